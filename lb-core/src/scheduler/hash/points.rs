//! A ring of points, laid out for look-up.

/// The points of a ring in the order of their hashes, and where each range of leading bits begins
/// among them.
///
/// Hashes are even, so there are a few points in each range, side by side: a look-up misses the
/// cache twice at most, where a binary search of a large ring would at nearly every step. The index
/// takes at most a byte a point.
#[derive(Clone, Debug)]
pub(super) struct Points<H> {
    /// Hashes and owners.
    points: Box<[(H, u32)]>,
    beginnings: Box<[u32]>,
    /// From a hash to its range.
    shift: u32,
}

impl<H: Copy + Ord + Into<u64>> Points<H> {
    const BITS: u32 = 8 * size_of::<H>() as u32;

    /// The ring of these points, which are in order.
    pub(super) fn new(points: Vec<(H, u32)>) -> Self {
        let bits = (points.len().max(8) as u32).ilog2() - 2;
        let shift = Self::BITS - bits;
        let mut beginnings = vec![0; 1 << bits];
        for &(hash, _) in &points {
            beginnings[(hash.into() >> shift) as usize] += 1;
        }
        // From how many there are in each range to how many there are before it.
        let mut before = 0;
        for range in &mut beginnings {
            before += std::mem::replace(range, before);
        }
        Self { points: points.into(), beginnings: beginnings.into(), shift }
    }

    /// How many points there are.
    pub(super) const fn len(&self) -> usize {
        self.points.len()
    }

    /// The owner of the first point at or after `hash`, around the ring.
    #[inline]
    pub(super) fn owner(&self, hash: H) -> Option<usize> {
        let owner = self.points.get(self.position(hash)).or_else(|| self.points.first());
        owner.map(|&(_, owner)| owner as usize)
    }

    /// The owners of all points from the first at or after `hash`, once around the ring.
    pub(super) fn owners(&self, hash: H) -> impl Iterator<Item = usize> {
        let (before, after) = self.points.split_at(self.position(hash));
        after.iter().chain(before).map(|&(_, owner)| owner as usize)
    }

    /// Of the first point at or after `hash`; behind the last if all are before it.
    #[inline]
    fn position(&self, hash: H) -> usize {
        let beginning = self.beginnings[(hash.into() >> self.shift) as usize] as usize;
        let steps = self.points[beginning..].iter().position(|&(point, _)| point >= hash);
        steps.map_or(self.points.len(), |steps| beginning + steps)
    }
}

impl<H: Copy + Ord + Into<u64>> Default for Points<H> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_scan_finds(
            mut points in vec((prop_oneof![any::<u32>(), 0..9_u32, u32::MAX - 9..], any::<u32>()), 0..300),
            hashes in vec(prop_oneof![any::<u32>(), 0..9_u32, u32::MAX - 9..], 20),
        ) {
            points.sort_unstable();
            let wide: Vec<_> =
                points.iter().map(|&(hash, owner)| (u64::from(hash) << 32, owner)).collect();
            let (ring, wide) = (Points::new(points.clone()), Points::new(wide));
            let known = points.iter().map(|&(hash, _)| hash);
            for hash in hashes.into_iter().chain(known) {
                let next = points.iter().position(|&(point, _)| point >= hash);
                let first = points.get(next.unwrap_or(0)).map(|&(_, owner)| owner as usize);
                prop_assert_eq!(ring.owner(hash), first);
                prop_assert_eq!(wide.owner(u64::from(hash) << 32), first);
                prop_assert_eq!(ring.owners(hash).next(), first);
                prop_assert_eq!(ring.owners(hash).count(), points.len());
            }
        }
    }
}
