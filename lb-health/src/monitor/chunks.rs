//! A list that grows without moving what is in it.

use std::ops::{Index, IndexMut};

/// A vector in pieces. To let a plain one grow to a hundred thousand checks is to copy megabytes
/// every so often, all at once, and to leave holes of that size in memory.
#[derive(Debug)]
pub(crate) struct Chunks<T>(Vec<Vec<T>>);

const CHUNK: usize = 1024;

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Chunks<T> {
    pub(crate) fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * CHUNK + last.len())
    }

    pub(crate) fn push(&mut self, item: T) {
        match self.0.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(item),
            // Few checks are to take little.
            None => self.0.push(vec![item]),
            Some(_) => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(item);
                self.0.push(chunk);
            }
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.0.get(index / CHUNK)?.get(index % CHUNK)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.0.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}

impl<T> Index<usize> for Chunks<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        &self.0[index / CHUNK][index % CHUNK]
    }
}

impl<T> IndexMut<usize> for Chunks<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.0[index / CHUNK][index % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_a_vector() {
        let mut chunks = Chunks::default();
        assert_eq!(chunks.len(), 0);
        for number in 0..3 * CHUNK + 7 {
            chunks.push(number);
            assert_eq!(chunks.len(), number + 1);
            chunks[number] += 1;
        }
        assert!(chunks.iter().copied().eq(1..=3 * CHUNK + 7));
        assert_eq!(chunks.get(CHUNK), Some(&(CHUNK + 1)));
        assert_eq!(chunks.get(4 * CHUNK), None);
        assert_eq!(chunks.get_mut(3 * CHUNK + 7), None);
    }
}
