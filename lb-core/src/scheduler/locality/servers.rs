//! A few members in one machine word.

/// The indices of up to [`MOST`](Self::MOST) members, the newest first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Servers([u16; Self::MOST]);

impl Servers {
    /// What fits into a word that is read and written whole.
    pub(super) const MOST: usize = 4;

    pub(super) fn iter(self) -> impl Iterator<Item = usize> + Clone {
        // 0 is nobody, and so an index is one less than what stands for it.
        self.0.into_iter().map_while(|server| usize::from(server).checked_sub(1))
    }

    pub(super) fn len(self) -> usize {
        self.iter().count()
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0[0] == 0
    }

    pub(super) fn with(self, newest: usize) -> Self {
        [newest].into_iter().chain(self.iter()).collect()
    }

    pub(super) fn without(self, index: usize) -> Self {
        self.iter().filter(|&server| server != index).collect()
    }

    pub(super) fn pack(self) -> u64 {
        self.0.into_iter().rev().fold(0, |word, server| word << u16::BITS | u64::from(server))
    }

    pub(super) const fn unpack(word: u64) -> Self {
        Self([word as u16, (word >> 16) as u16, (word >> 32) as u16, (word >> 48) as u16])
    }
}

/// The first that fit. A member with an index of 65 535 or more is not remembered.
impl FromIterator<usize> for Servers {
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> Self {
        let mut servers = Self::default();
        let numbers = indices.into_iter().filter_map(|index| u16::try_from(index + 1).ok());
        for (known, server) in servers.0.iter_mut().zip(numbers) {
            *known = server;
        }
        servers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for indices in [&[][..], &[0], &[65_534, 0], &[3, 1, 2, 0]] {
            let servers: Servers = indices.iter().copied().collect();
            assert_eq!(Servers::unpack(servers.pack()).iter().collect::<Vec<_>>(), indices);
            assert_eq!(servers.len(), indices.len());
        }
        assert_eq!(Servers::default().pack(), 0);
    }

    #[test]
    fn the_newest_is_first_and_the_oldest_makes_room() {
        let servers = (0..5).fold(Servers::default(), Servers::with);
        assert_eq!(servers.iter().collect::<Vec<_>>(), [4, 3, 2, 1]);
        assert_eq!(servers.without(3).iter().collect::<Vec<_>>(), [4, 2, 1]);
    }

    #[test]
    fn who_is_far_down_the_list_is_not_remembered() {
        assert_eq!(
            [65_535, 70_000, 9].into_iter().collect::<Servers>(),
            Servers::default().with(9)
        );
    }
}
