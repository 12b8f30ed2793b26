//! `rendezvous`: every backend bids for every key.

use std::cmp::Ordering;
use std::fmt;

use super::{Consistent, ring};
use crate::hash::{fold, stir};
use crate::pool::Member;

/// `rendezvous`: highest random weight (Thaler and Ravishankar, *Using Name-Based Mappings to
/// Increase Hit Rates*, 1998), with weights (Schindelhauer and Schomaker, *Weighted Distributed Hash
/// Tables*, 2005; Envoy's and Sozu's are the same formula).
///
/// Key and backend together hash to a number u, evenly between 0 and 1, and the backend with the
/// greatest `-w / ln u` has the key. Shares are in exact proportion to the weights, whatever they
/// are, without a table; when a backend leaves, is drained or refuses, its keys go to their second
/// bidders, in proportion to weight, and nobody else's move, ever.
///
/// The price is that all are asked: O(n) a pick, one multiplication for each backend, so that it is
/// for up to a few hundred backends. It takes 24 bytes a backend; a rebuild sorts them,
/// O(n log n).
///
/// # Where it differs
/// Logarithms of floating point differ in the last digit from one C library to the next, and then
/// so do the choices of two directors. This one is of base 2, which changes no choice, and in
/// integers: `-log₂ u`, rounded up to a multiple of 2⁻⁴⁰, so that shares are off by 2⁻⁴⁰ times the
/// number of backends. Ties go to the greater u, then to the lowest place. u is a hash h of 64 bits
/// as `(h + ½) / 2⁶⁴`, which is neither 0 nor 1.
#[derive(Clone, Default)]
pub struct Rendezvous {
    /// Of all members with a weight, in the order of their places.
    seats: Box<[Seat]>,
    equal: bool,
}

#[derive(Clone, Copy)]
struct Seat {
    place: Place,
    index: u32,
    weight: u16,
}

/// Two independent halves of what a backend contributes to its bids.
#[derive(Clone, Copy)]
struct Place(u64, u64);

impl Place {
    const fn of(member: &Member) -> Self {
        Self(member.place, stir(member.place))
    }
}

/// A key, stirred.
#[derive(Clone, Copy)]
struct Key(u64);

impl Key {
    #[inline]
    const fn of(key: u64) -> Self {
        Self(stir(key ^ 0x4b33_a62e_d433_d4a3))
    }

    /// What the backend at `place` has for this key: the numerator of u.
    #[inline]
    const fn hash(self, place: Place) -> u64 {
        fold(self.0 ^ place.0, self.0.rotate_left(32) ^ place.1)
    }
}

/// A bid of `weight / cost`.
#[derive(Clone, Copy)]
struct Bid {
    weight: u16,
    hash: u64,
    cost: u64,
}

impl Bid {
    fn new(weight: u16, hash: u64) -> Self {
        Self { weight, hash, cost: cost(hash) }
    }

    /// Whether no bid of this `weight` and `hash` beats this one, without a logarithm:
    /// `-log₂ u ≥ (1 - u) · log₂ e`, of which this takes 1.4375.
    #[inline]
    fn outbids(&self, weight: u16, hash: u64) -> bool {
        let rest = !hash >> (64 - FRACTION);
        let least = rest + (rest >> 2) + (rest >> 3) + (rest >> 4);
        u64::from(weight) * self.cost < u64::from(self.weight) * least
    }

    /// The better bid is the greater one. No product exceeds 2⁶³.
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, another) =
            (u64::from(self.weight) * other.cost, u64::from(other.weight) * self.cost);
        one.cmp(&another).then(self.hash.cmp(&other.hash))
    }
}

/// Binary digits of a cost behind the point.
const FRACTION: u32 = 40;

/// `-log₂ ((hash + ½) / 2⁶⁴)`, rounded up to a multiple of 2⁻⁴⁰, in such multiples: 1 to 65 · 2⁴⁰. A
/// greater hash never costs more.
const fn cost(hash: u64) -> u64 {
    let doubled = 2 * hash as u128 + 1;
    let whole = 127 - doubled.leading_zeros();
    // Between 1 and 2, in units of 2⁻⁶³: squared, it yields one digit of its logarithm after another.
    let mut rest = ((doubled << doubled.leading_zeros()) >> 64) as u64;
    let mut digits = 0;
    let mut count = 0;
    while count < FRACTION {
        let square = rest as u128 * rest as u128;
        let digit = square >> 127;
        rest = (square >> (63 + digit)) as u64;
        digits = digits << 1 | digit as u64;
        count += 1;
    }
    ((65 - whole as u64) << FRACTION) - digits
}

impl Rendezvous {
    /// Without members yet.
    pub fn new() -> Self {
        Self::default()
    }
}

/// The highest bidder for `key` among the `usable` members.
pub(super) fn first(
    members: &[Member],
    key: u64,
    usable: impl Fn(&Member) -> bool,
) -> Option<usize> {
    let key = Key::of(key);
    let usable = members.iter().enumerate().filter(|(_, member)| usable(member));
    // Places decide between equal bids, as the order of the seats does.
    let bids = usable.map(|(index, member)| {
        let bid = Bid::new(member.weight.value(), key.hash(Place::of(member)));
        (bid, member.place, index)
    });
    let best = bids.max_by(|one, other| one.0.cmp(&other.0).then(other.1.cmp(&one.1)));
    best.map(|(_, _, index)| index)
}

/// The highest bidder for `key` among `seats`, the first of equals.
#[inline]
fn highest<'a>(seats: impl Iterator<Item = &'a Seat>, key: Key) -> Option<usize> {
    let mut best: Option<(Bid, u32)> = None;
    for seat in seats {
        let hash = key.hash(seat.place);
        if best.is_some_and(|(best, _)| best.outbids(seat.weight, hash)) {
            continue;
        }
        let bid = Bid::new(seat.weight, hash);
        if best.is_none_or(|(best, _)| bid.cmp(&best).is_gt()) {
            best = Some((bid, seat.index));
        }
    }
    best.map(|(_, index)| index as usize)
}

/// The same where all weights are equal: then no logarithm is needed to compare two hashes.
#[inline]
fn highest_of_equals(seats: &[Seat], key: Key) -> Option<usize> {
    let (first, others) = seats.split_first()?;
    let mut best = (key.hash(first.place), first.index);
    for seat in others {
        let hash = key.hash(seat.place);
        best = if hash > best.0 { (hash, seat.index) } else { best };
    }
    Some(best.1 as usize)
}

impl Consistent for Rendezvous {
    fn over(&self, members: &[Member]) -> Self {
        let order = ring::in_order(members).into_iter().map(|index| {
            let member = &members[index as usize];
            Seat { place: Place::of(member), index, weight: member.weight.value() }
        });
        let seats: Box<[Seat]> = order.filter(|seat| seat.weight > 0).collect();
        let equal = seats.windows(2).all(|pair| pair[0].weight == pair[1].weight);
        Self { seats, equal }
    }

    #[inline]
    fn owner(&self, key: u64) -> Option<usize> {
        let key = Key::of(key);
        if self.equal {
            highest_of_equals(&self.seats, key)
        } else {
            highest(self.seats.iter(), key)
        }
    }

    fn first(
        &self,
        members: &[Member],
        key: u64,
        usable: impl Fn(&Member) -> bool,
    ) -> Option<usize> {
        let usable = |seat: &&Seat| members.get(seat.index as usize).is_some_and(&usable);
        highest(self.seats.iter().filter(usable), Key::of(key))
    }
}

impl fmt::Debug for Rendezvous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendezvous").field("backends", &self.seats.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    const ONE: f64 = (1_u64 << FRACTION) as f64;

    proptest! {
        #[test]
        fn costs_are_logarithms(hash in prop_oneof![any::<u64>(), 0..100_u64, u64::MAX - 100..]) {
            // ln_1p, because a u near 1 is not a number of 53 bits.
            let rest = ((!hash) as f64 + 0.5) / 2_f64.powi(64);
            let exact = -(-rest).ln_1p() / std::f64::consts::LN_2;
            let exact = if hash < 1 << 40 { 64.0 - (hash as f64 + 0.5).log2() } else { exact };
            let error = cost(hash) as f64 / ONE - exact;
            // The second term is what f64 itself may be off by.
            prop_assert!(error.abs() <= 1.0 / ONE + exact * 1e-14, "{error}");
        }

        #[test]
        fn costs_never_grow_with_the_hash(hash: u64, distance in prop_oneof![0..9_u64, any::<u64>()]) {
            prop_assert!(cost(hash) >= cost(hash.saturating_add(distance)));
        }

        /// The shortcut never contradicts the logarithm.
        #[test]
        fn who_is_outbid_is_lower(
            one: u64, other in prop_oneof![any::<u64>(), u64::MAX - 1_000_000..],
            weight in 1..=u16::MAX, another in 1..=u16::MAX,
        ) {
            let (bid, lower) = (Bid::new(weight, one), Bid::new(another, other));
            if bid.outbids(another, other) {
                prop_assert!(bid.cmp(&lower).is_gt());
            }
            prop_assert_eq!(bid.cmp(&bid), Ordering::Equal);
        }
    }

    #[test]
    fn the_ends_of_the_scale() {
        assert_eq!(cost(0), 65 << FRACTION);
        assert_eq!(cost(u64::MAX), 1);
        assert_eq!(cost(1 << 63), (1 << FRACTION));
        assert_eq!(u64::from(u16::MAX).checked_mul(cost(0)).map(|most| most >> 63), Some(0));
    }
}
