//! `wrr`: by weight, smoothly interleaved.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng;

use super::{Period, smooth_period};
use crate::flow::Flow;
use crate::pool::Member;
use crate::scheduler::Scheduler;

/// `wrr`: nginx's smooth weighted round robin.
///
/// A backend of weight `w` gets `w` of every `Σw` picks, spread as evenly as the others allow:
/// weights 5, 1, 1 give `A A B A C A A` and not `A A A A A B C`. The sequence
/// (`ngx_http_upstream_round_robin.c`: raise each by its weight, take the first greatest, lower it
/// by the total) repeats after `Σw / gcd` picks, so it is laid out once when the membership
/// changes; a pick is one atomic exchange and one load, O(1). Threads that run into each other go
/// through whole periods side by side, as with [`RoundRobin`](crate::scheduler::RoundRobin).
///
/// A change of membership continues at the same fraction of the period. A redispatched flow is
/// drawn by weight among the rest, so that the share of a backend that refuses is spread over all.
///
/// # Where it differs
/// - nginx lowers the weight of a server that failed by `weight / max_fails` and raises it by one with
///   each pick after that; here weights are what they are said to be, and failures are for
///   checks, passive ones too, and for schedulers that look at outcomes.
/// - While a server is not to be used, nginx goes on smoothly over the rest; here a down backend has no
///   place in the sequence either, but the turns of a full or refusing one are drawn by weight.
///
/// # Limits
/// Weights whose period is longer than 65 536 entries (or than one per backend, where there are
/// more backends than that) are scaled to that length and rounded, equals alike and none below one
/// entry. With n backends a period is then up to n entries longer, and a share off by at most
/// (n + 1) / 65 536 of the whole.
#[derive(Debug, Default)]
pub struct SmoothWeighted {
    period: Period,
}

impl SmoothWeighted {
    /// A rotation that starts at the beginning of its period.
    pub fn new() -> Self {
        Self::default()
    }

    /// A rotation that starts `phase` picks later; only its lower 31 bits count.
    pub fn starting_at(phase: u64) -> Self {
        Self { period: Period::starting_at(phase) }
    }

    /// A rotation that starts where the first pick draws.
    pub fn starting_anywhere() -> Self {
        Self { period: Period::starting_anywhere() }
    }

    /// The same fraction of a period of `length` as the cursor is through this one.
    fn resume(&self, length: u64) -> u64 {
        let position = self.period.cursor.position();
        match self.period.sequence.len() as u64 {
            old if old == 0 || length == 0 || self.period.cursor.is_untouched() => position,
            old => (u128::from(position % old) * u128::from(length) / u128::from(old)) as u64,
        }
    }
}

/// The members of one share. They take turns in their order, because whoever of them was chosen
/// less often is ahead; so only one of them can be next.
struct Peers {
    share: i64,
    members: Vec<u32>,
    next: usize,
    /// The current value, in nginx's sense, of the member whose turn it is.
    value: i64,
}

/// One period of the smooth sequence. O(Σ shares · distinct shares).
pub(super) fn lay_out(shares: &[i64]) -> Box<[u32]> {
    let mut by_share = BTreeMap::<i64, Vec<u32>>::new();
    for (index, &share) in shares.iter().enumerate().filter(|(_, share)| **share > 0) {
        by_share.entry(share).or_default().push(index as u32);
    }
    let mut groups: Vec<Peers> = by_share
        .into_iter()
        .map(|(share, members)| Peers { share, members, next: 0, value: 0 })
        .collect();
    let total: i64 = shares.iter().sum();
    (0..total)
        .filter_map(|_| {
            for group in &mut groups {
                group.value += group.share;
            }
            let chosen = groups
                .iter_mut()
                .max_by_key(|group| (group.value, Reverse(group.members[group.next])))?;
            let member = chosen.members[chosen.next];
            chosen.next += 1;
            if chosen.next == chosen.members.len() {
                // All of them were chosen equally often: the first one's turn, one period's worth
                // further behind.
                chosen.next = 0;
                chosen.value -= total;
            }
            Some(member)
        })
        .collect()
}

impl Scheduler for SmoothWeighted {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        let sequence = smooth_period(members.iter().map(|member| member.weight));
        let position = self.resume(sequence.len() as u64);
        Arc::new(Self { period: Period::at(position, sequence) })
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, rng: &mut dyn Rng) -> Option<usize> {
        self.period.pick(members, flow, rng)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// nginx's sequence as it is written down: raise all, take the first greatest, lower it.
    fn by_the_book(shares: &[i64]) -> Vec<u32> {
        let total: i64 = shares.iter().sum();
        let mut current = vec![0; shares.len()];
        (0..total)
            .map(|_| {
                let (mut best, mut greatest) = (0, i64::MIN);
                for (index, (value, share)) in current.iter_mut().zip(shares).enumerate() {
                    *value += share;
                    if *share > 0 && *value > greatest {
                        (best, greatest) = (index, *value);
                    }
                }
                current[best] -= total;
                best as u32
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn peers_of_one_share_take_turns_as_in_the_book(
            shares in prop::collection::vec(0_i64..12, 0..24),
        ) {
            prop_assert_eq!(lay_out(&shares).to_vec(), by_the_book(&shares));
        }
    }
}
