//! `mh`: Maglev's look-up table.

use std::cmp::Reverse;
use std::fmt;

use super::{Consistent, PROBES, rendezvous};
use crate::hash::{fold, stir};
use crate::pool::Member;

/// `mh`: Google's Maglev (Eisenbud et al., *Maglev: A Fast and Reliable Software Network Load
/// Balancer*, 2016, section 3.4; IPVS' `mh`, Envoy's and Katran's Maglev).
///
/// A table of M slots, M prime, is filled in turns: each backend has its own order of all slots
/// (`offset + k · skip` mod M) and claims the next that is free. So the shares are as even as they
/// can be, within 1 % for M ≥ 100 · backends, and nearly every slot stays with its owner when
/// another one leaves: at most 1 % of those of the survivors move (but not none: see
/// [`Ring`](super::Ring) and [`Rendezvous`](super::Rendezvous)).
///
/// A backend of weight w claims in `w / greatest weight` of the turns, so that shares follow weights,
/// and everyone has at least one slot as long as there are enough. Turns begin with the heaviest,
/// and among equals with the lowest place; with that, directors with other lists agree.
///
/// A pick is one multiplication and one load, O(1). A redispatched flow goes on by a stride of its
/// own (double hashing, which visits all of a prime number of slots), so that the keys of one
/// backend spread over all others; where those together own next to nothing, it is chosen among
/// them as [`Rendezvous`](super::Rendezvous) does, O(n). A rebuild is O(M log M), and M times the
/// number of different weights where one weight dwarfs all others. A slot takes 2 bytes, or 4 with
/// more than 65,536 backends.
///
/// # Where it differs
/// IPVS builds its table with the last weight above 0 that a backend had, so that draining one moves
/// nobody else, and then has no answer for its clients. Here a drained backend owns no slot. IPVS'
/// turns are claims one after the other, which makes weights coarse; these are Envoy's and Katran's.
/// Envoy hashes a refused key again instead of striding.
#[derive(Clone)]
pub struct Maglev {
    slots: u32,
    table: Table,
}

/// The owners' indices; none if there are no members.
#[derive(Clone)]
enum Table {
    Narrow(Box<[u16]>),
    Wide(Box<[u32]>),
}

/// A Maglev table must have a prime number of slots, at most [`MOST_SLOTS`](Maglev::MOST_SLOTS).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[error("a table of {slots} slots: it must be a prime number up to {}", Maglev::MOST_SLOTS)]
pub struct BadTableSize {
    /// The number that was asked for.
    pub slots: u32,
}

impl Maglev {
    /// The slots of a table whose size nobody names: the paper's small table.
    pub const DEFAULT_SLOTS: u32 = 65_537;
    /// The largest table, as in Envoy.
    pub const MOST_SLOTS: u32 = 5_000_011;

    /// A table of 65,537 slots over no members yet: for up to about 650 backends with shares within
    /// 1 %.
    pub fn new() -> Self {
        Self { slots: Self::DEFAULT_SLOTS, table: Table::Narrow(Box::default()) }
    }

    /// A table of so many `slots` over no members yet. Take at least 100 for each backend. Two
    /// directors agree only with tables of the same size.
    ///
    /// ```
    /// use lb_core::scheduler::Maglev;
    ///
    /// assert!(Maglev::with_slots(655_373).is_ok());
    /// assert_eq!(
    ///     Maglev::with_slots(65_536).unwrap_err().to_string(),
    ///     "a table of 65536 slots: it must be a prime number up to 5000011",
    /// );
    /// ```
    ///
    /// # Errors
    /// [`BadTableSize`] if that is no prime number, or more than
    /// [`MOST_SLOTS`](Self::MOST_SLOTS).
    pub fn with_slots(slots: u32) -> Result<Self, BadTableSize> {
        if slots <= Self::MOST_SLOTS && is_prime(slots) {
            Ok(Self { slots, table: Table::Narrow(Box::default()) })
        } else {
            Err(BadTableSize { slots })
        }
    }

    /// The table: the index of each slot's owner. Empty without members.
    pub fn slots(&self) -> impl Iterator<Item = usize> {
        (0..self.slots).map_while(|slot| self.table.owner(slot))
    }
}

impl Default for Maglev {
    fn default() -> Self {
        Self::new()
    }
}

const fn is_prime(number: u32) -> bool {
    let mut divisor = 2;
    while divisor * divisor <= number {
        if number.is_multiple_of(divisor) {
            return false;
        }
        divisor += 1;
    }
    number > 1
}

impl Table {
    #[inline]
    fn owner(&self, slot: u32) -> Option<usize> {
        match self {
            Self::Narrow(owners) => owners.get(slot as usize).map(|&owner| owner.into()),
            Self::Wide(owners) => owners.get(slot as usize).map(|&owner| owner as usize),
        }
    }
}

/// A number below `bound` from the upper half of `bits`, without a division.
#[inline]
const fn scale(bits: u64, bound: u32) -> u32 {
    (((bits >> 32) * bound as u64) >> 32) as u32
}

/// A way through all of `slots`: where it begins, and the stride.
#[inline]
const fn way(begin: u64, stride: u64, slots: u32) -> (u32, u32) {
    (scale(begin, slots), 1 + scale(stride, slots - 1))
}

/// A backend while the table is filled.
struct Claimant {
    index: u32,
    next: u32,
    stride: u32,
}

/// Backends of one weight.
struct Class {
    weight: u64,
    /// Claims once so many times the greatest weight have gone round.
    due: u64,
    claimants: Vec<Claimant>,
}

/// Backends with a weight, the heaviest first, and those of one weight by their places.
fn classes(members: &[Member], slots: u32) -> Vec<Class> {
    let mut order: Vec<_> =
        members.iter().zip(0..).filter(|(one, _)| !one.weight.is_zero()).collect();
    order.sort_by_key(|(member, _)| (Reverse(member.weight), member.place));
    let claimant = |&(member, index): &(&Member, u32)| {
        let (next, stride) = way(stir(member.place), stir(!member.place), slots);
        Claimant { index, next, stride }
    };
    order
        .chunk_by(|(one, _), (other, _)| one.weight == other.weight)
        .map(|equals| Class {
            weight: equals[0].0.weight.into(),
            due: 0,
            claimants: equals.iter().map(claimant).collect(),
        })
        .collect()
}

/// A full table, of `entry`s of indices.
fn fill<T: Copy + Default>(
    mut classes: Vec<Class>,
    slots: u32,
    entry: impl Fn(u32) -> T,
) -> Box<[T]> {
    let greatest = classes.first().map_or(0, |heaviest| heaviest.weight);
    let mut table = vec![T::default(); slots as usize];
    // Beside the table, because nearly all of the time goes into looking for free slots.
    let taken = &mut *vec![false; slots as usize];
    let mut left = slots;
    // The heaviest claim in every turn, so that this ends.
    for turn in 1.. {
        for class in classes.iter_mut().filter(|class| turn * class.weight >= class.due) {
            class.due += greatest;
            for &mut Claimant { index, ref mut next, stride } in &mut class.claimants {
                let mut slot = *next;
                while taken[slot as usize] {
                    slot += stride;
                    slot -= if slot < slots { 0 } else { slots };
                }
                *next = slot;
                taken[slot as usize] = true;
                table[slot as usize] = entry(index);
                left -= 1;
                if left == 0 {
                    return table.into();
                }
            }
        }
    }
    unreachable!("turns are counted without end")
}

/// Keys are stirred: those of embedders need not be even.
#[inline]
const fn hash(key: u64) -> u64 {
    fold(key ^ 0x2d35_8dcc_aa6c_78a5, 0x8bb8_4b93_962e_acc9)
}

impl Consistent for Maglev {
    fn over(&self, members: &[Member]) -> Self {
        let classes = classes(members, self.slots);
        let table = if classes.is_empty() {
            Table::Narrow(Box::default())
        } else if members.len() <= usize::from(u16::MAX) + 1 {
            Table::Narrow(fill(classes, self.slots, |index| index as u16))
        } else {
            Table::Wide(fill(classes, self.slots, |index| index))
        };
        Self { slots: self.slots, table }
    }

    #[inline]
    fn owner(&self, key: u64) -> Option<usize> {
        self.table.owner(scale(hash(key), self.slots))
    }

    fn first(
        &self,
        members: &[Member],
        key: u64,
        usable: impl Fn(&Member) -> bool,
    ) -> Option<usize> {
        let hash = hash(key);
        let (mut slot, stride) = way(hash, stir(hash), self.slots);
        for _ in 0..PROBES {
            let owner = self.table.owner(slot)?;
            if members.get(owner).is_some_and(&usable) {
                return Some(owner);
            }
            slot += stride;
            slot -= if slot < self.slots { 0 } else { self.slots };
        }
        rendezvous::first(members, key, usable)
    }
}

impl fmt::Debug for Maglev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Maglev").field("slots", &self.slots).finish_non_exhaustive()
    }
}
