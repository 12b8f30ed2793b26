//! What schedulers live through: random histories of memberships and flows.

use std::num::NonZeroU32;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;

use crate::backend::Limits;
use crate::backend::{Backend, BackendId};
use crate::pool::Seat;
use crate::weight::Weight;

/// What a scheduler lives through: memberships one after the other, with flows in each.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) seed: u64,
    pub(super) stages: Vec<Stage>,
}

#[derive(Clone, Debug)]
pub(super) struct Stage {
    /// Of two with one number the pool keeps the first.
    pub(super) members: Vec<Role>,
    pub(super) attempts: Vec<Attempt>,
}

/// What one backend is for a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Role {
    pub(super) number: u32,
    pub(super) weight: u16,
    /// The sixteenths of its share that it has.
    warmth: u16,
    priority: u8,
    zone: Option<&'static str>,
    limits: Limits,
}

impl Role {
    /// A role of nothing but a weight.
    const fn weighing(number: u32, weight: u16) -> Self {
        Self { number, weight, warmth: WARM, priority: 0, zone: None, limits: Limits::NONE }
    }

    /// The backend in this role.
    pub(super) fn given_to(&self, backend: &Backend<()>) -> Seat<()> {
        let backend = backend.with_endpoint(()).at_priority(self.priority);
        backend.set_limits(self.limits);
        let weight = Weight::new(self.weight);
        Seat {
            backend: Arc::new(backend.in_zone(self.zone.map(Arc::from))),
            weight,
            whole: weight.times(WARM / self.warmth),
            warmth: Weight::new(self.warmth),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) hash: u64,
    pub(super) tried: Vec<BackendId>,
    /// Whether the flow is still there when the next one comes.
    pub(super) stays: bool,
}

/// Nobody starts slowly.
const WARM: u16 = 16;

/// How many backends random histories are about: few, so that they come back.
const CAST: u32 = 8;

fn weight() -> impl Strategy<Value = u16> {
    // The greatest weights make for long rebuilds with some schedulers: the extremes try them once.
    prop_oneof![50 => 1_u16..10, 20 => Just(0), 1 => 10_u16..100]
}

fn limits() -> impl Strategy<Value = Limits> {
    let bounded = (option::of(1..4_u32), option::of((1..4_u32, option::of(1..4_u32))));
    let bounded = bounded.prop_map(|(max, thresholds)| {
        let mut limits = Limits::NONE;
        if let Some(max) = max.and_then(NonZeroU32::new) {
            limits = limits.at_most(max);
        }
        if let Some((upper, lower)) = thresholds
            && let Some(upper) = NonZeroU32::new(upper)
        {
            let lower = lower.and_then(NonZeroU32::new).map(|lower| lower.min(upper));
            limits = limits.overloaded_at(upper, lower).unwrap_or(limits);
        }
        limits
    });
    prop_oneof![Just(Limits::NONE), bounded]
}

fn role() -> impl Strategy<Value = Role> {
    let zone = prop_oneof![Just(None), Just(Some("a")), Just(Some("b"))];
    let warmth = prop_oneof![4 => Just(WARM), 1 => 1..WARM];
    (0..CAST, weight(), warmth, 0..3_u8, zone, limits()).prop_map(
        |(number, weight, warmth, priority, zone, limits)| Role {
            number,
            weight,
            warmth,
            priority,
            zone,
            limits,
        },
    )
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let tried = vec((0..CAST).prop_map(BackendId::new), 0..4);
    // Some come again: there are schedulers that remember them.
    let hash = prop_oneof![any::<u64>(), 0..4_u64];
    (hash, tried, any::<bool>()).prop_map(|(hash, tried, stays)| Attempt { hash, tried, stays })
}

pub(super) fn stage() -> impl Strategy<Value = Stage> {
    (vec(role(), 0..7), vec(attempt(), 0..20))
        .prop_map(|(members, attempts)| Stage { members, attempts })
}

pub(super) fn history() -> impl Strategy<Value = History> {
    (any::<u64>(), vec(stage(), 1..6)).prop_map(|(seed, stages)| History { seed, stages })
}

/// Memberships at the edge of what there is, each with first and repeated attempts.
pub(super) fn extremes() -> History {
    let all = |count: u32, weight: u16| -> Vec<Role> {
        (0..count).map(|number| Role::weighing(number, weight)).collect()
    };
    let one_among = |count, weight, other| {
        let mut members = all(count, other);
        members[count as usize / 2].weight = weight;
        members
    };
    let attempts = [vec![], vec![0], vec![1, 0], vec![7; 9]].into_iter().cycle().take(24);
    let attempts: Vec<Attempt> = attempts
        .map(|tried: Vec<u32>| tried.into_iter().map(BackendId::new).collect())
        .zip([0, 1, u64::MAX, 1 << 63].into_iter().cycle())
        .map(|(tried, hash)| Attempt { hash, tried, stays: true })
        .collect();
    let memberships = [
        vec![],
        all(1, 0),
        all(1, 1),
        all(1, u16::MAX),
        all(2, u16::MAX),
        all(300, 0),
        all(300, 1),
        all(300, u16::MAX),
        one_among(3, 1, 0),
        one_among(3, u16::MAX, 0),
        one_among(3, u16::MAX, 1),
        one_among(3, 1, u16::MAX),
    ];
    let stage = |members| Stage { members, attempts: attempts.clone() };
    History { seed: 1, stages: memberships.map(stage).into() }
}

/// A membership, and every subset of it as those tried.
pub(super) fn refusals() -> impl Strategy<Value = Stage> {
    (vec(role(), 0..6), any::<u64>()).prop_map(|(members, hash)| {
        let subset = |bits: usize| {
            let chosen =
                members.iter().enumerate().filter(move |(index, _)| bits >> index & 1 == 1);
            chosen.map(|(_, role)| BackendId::new(role.number)).collect()
        };
        let attempts = (0..1 << members.len())
            .map(|bits| Attempt { hash, tried: subset(bits), stays: false })
            .collect();
        Stage { members, attempts }
    })
}
