//! Backends that have just come, among others that are busy.

use crate::backend::BackendId;
use crate::pool::Member;
use crate::sync::{AtomicU32, Ordering};

use super::least::PerShare;

/// What an exact scan adds to the load of members that have just come, or whose weight has grown.
///
/// Who has just come has nothing to do, and so is the first choice of every scan, until it has as
/// much as everybody else: all flows of all balancers that have heard of it go there at once. So it
/// begins as if it had as much as the others have on average, for its share; that wears off as picks
/// are made, in as many of them as there are flows. Of those it gets about twice its share, the one
/// half because it has one, the other because it has yet to come to have as much as it is taken to
/// have. Nothing of this is for a membership that is the first.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// The members that took flows, sorted.
    known: Box<[Known]>,
    /// By index. Empty if nobody has just come.
    owed: Box<[u32]>,
    /// In how many picks it wears off, and how many of them are left.
    picks: u32,
    left: AtomicU32,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    id: BackendId,
    weight: u16,
    parts: u16,
    /// What was owed of it.
    owed: u64,
}

/// So many picks for each member at most: where flows last for hours, a newcomer need not wait for
/// as many others as there are of them.
const MOST_PICKS: usize = 64;

impl Arrivals {
    /// What there is to add over another membership, of which `load` says what each has.
    pub(super) fn over(&self, members: &[Member], load: impl Fn(&Member) -> PerShare) -> Self {
        let takes_flows = |member: &&Member| !member.weight.is_zero();
        let known = |member: &Member| {
            let position = self.known.binary_search_by_key(&member.id, |known| known.id).ok()?;
            Some(&self.known[position])
        };
        let sum_of = |counts: &dyn Fn(&Known, &Member) -> bool| {
            let members = members.iter().filter(takes_flows);
            let counted = members.filter(|one| known(one).is_some_and(|known| counts(known, one)));
            counted.map(&load).fold(PerShare { load: 0, share: 0 }, |sum, one| PerShare {
                load: sum.load.saturating_add(one.load),
                share: sum.share + one.share,
            })
        };
        // What the others have; where all others have grown as well, what all have.
        let mut sum = sum_of(&|known, one| !known.has_grown(one));
        if sum.share == 0 {
            sum = sum_of(&|_, _| true);
        }
        let owed = |member: &Member| {
            let load = load(member);
            let even = u128::from(sum.load) * u128::from(load.share);
            let missing = even.div_ceil(u128::from(sum.share)).saturating_sub(load.load.into());
            let missing = u32::try_from(missing).unwrap_or(u32::MAX);
            match known(member) {
                Some(known) if !known.has_grown(member) => {
                    missing.min(u32::try_from(self.owed_now(known)).unwrap_or(u32::MAX))
                }
                _ => missing,
            }
        };
        let mut all = Box::<[u32]>::default();
        if sum.share > 0 && sum.load > 0 {
            all = members
                .iter()
                .map(|member| if member.weight.is_zero() { 0 } else { owed(member) })
                .collect();
        }
        if all.iter().all(|&owed| owed == 0) {
            all = Box::default();
        }
        let owed = |index: usize| u64::from(all.get(index).copied().unwrap_or(0));
        let mut known: Box<[_]> = (members.iter().enumerate())
            .filter(|(_, member)| !member.weight.is_zero())
            .map(|(index, one)| Known {
                id: one.id,
                weight: one.weight.value(),
                parts: one.parts,
                owed: owed(index),
            })
            .collect();
        known.sort_unstable_by_key(|known| known.id);
        let active: u64 = members.iter().map(|member| u64::from(member.load.active())).sum();
        let picks = active.clamp(1, (members.len() * MOST_PICKS).max(1) as u64) as u32;
        Self { known, owed: all, picks, left: AtomicU32::new(picks) }
    }

    /// What is to be added for the pick that is made now, if anything.
    #[inline]
    pub(super) fn take_turn(&self) -> Option<Turn<'_>> {
        if self.owed.is_empty() {
            return None;
        }
        let one_less = |left: u32| left.checked_sub(1);
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).ok()?;
        Some(Turn { arrivals: self, left })
    }

    /// What is left of what was owed of a member.
    fn owed_now(&self, known: &Known) -> u64 {
        self.worn_off(known.owed, self.left.load(Ordering::Relaxed))
    }

    fn worn_off(&self, owed: u64, left: u32) -> u64 {
        (owed * u64::from(left)).div_ceil(u64::from(self.picks.max(1)))
    }
}

impl Known {
    /// Whether its weight is larger now, in parts of what is configured.
    fn has_grown(&self, member: &Member) -> bool {
        let [before, now] = [(self.weight, member.parts), (member.weight.value(), self.parts)]
            .map(|(weight, parts)| u32::from(weight) * u32::from(parts));
        now > before
    }
}

/// One pick while some have just come.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    arrivals: &'a Arrivals,
    left: u32,
}

impl Turn<'_> {
    /// How many flows the member is taken to have beside its own.
    pub(super) fn of(&self, index: usize) -> u64 {
        let owed = self.arrivals.owed.get(index).copied().unwrap_or(0);
        self.arrivals.worn_off(owed.into(), self.left)
    }
}
