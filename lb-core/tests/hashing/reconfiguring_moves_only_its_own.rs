//! A virtual server that is reconfigured moves no client but those of the backend that changes,
//! whatever all of them weigh; and then agrees with one that was just started.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use lb_core::hash::stable_hash;
use lb_core::scheduler::LoadFactor;
use lb_core::virtual_server::{BackendConfig, VirtualServerConfig};
use lb_core::{Algorithm, Flow, Scheduler, VirtualServer};
use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::sample::{Index, select};
use std::sync::Arc;
use support::{Zeros, start};

const KEYS: u64 = 1_000;

type Share = (&'static str, u16);

/// Those that promise it, for short.
const PROMISING: [Algorithm; 5] =
    [Algorithm::Dh, Algorithm::Ketama, Algorithm::Rendezvous, Algorithm::Ring, Algorithm::Sh];

fn config(shares: &[Share]) -> VirtualServerConfig<&'static str> {
    VirtualServerConfig::of(
        shares
            .iter()
            .map(|&(name, weight)| BackendConfig::named(name).weighing(weight).initially_up()),
    )
}

/// Who owns each key, by name, as published now.
fn owners(server: &mut VirtualServer<&'static str>) -> Vec<&'static str> {
    while server.poll_action().is_some() {}
    let pool = server.published();
    let key = |number: u64| stable_hash(&number.to_le_bytes());
    let owner = |number| pool.pick(&Flow::new(key(number)), &mut Zeros).map(|one| *one.endpoint());
    (0..KEYS).map(|number| owner(number).unwrap_or("nobody")).collect()
}

/// Who owned each key before and after a reconfiguration, which a fresh server agrees with.
fn before_and_after(
    scheduler: &Arc<dyn Scheduler>,
    before: &[Share],
    after: &[Share],
) -> Vec<(&'static str, &'static str)> {
    let mut server = VirtualServer::new(config(before), Arc::clone(scheduler)).unwrap();
    let were = owners(&mut server);
    server.reconfigure(start(), config(after)).unwrap();
    let are = owners(&mut server);
    let mut fresh = VirtualServer::new(config(after), Arc::clone(scheduler)).unwrap();
    assert_eq!(are, owners(&mut fresh), "a fresh director agrees");
    were.into_iter().zip(are).collect()
}

fn schedulers() -> impl Strategy<Value = Arc<dyn Scheduler>> {
    let factor = LoadFactor::percent(125).unwrap();
    (select(PROMISING.to_vec()), proptest::bool::ANY).prop_map(move |(algorithm, bounded)| {
        if bounded { algorithm.bounded(factor).unwrap() } else { algorithm.scheduler() }
    })
}

/// At least two backends of one order of weights or of any, all together beneath the line at which
/// `ketama` halves its points.
fn shares() -> impl Strategy<Value = Vec<Share>> {
    let names = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "a", "b", "[2001:db8::1]:80", "c"];
    let weight = prop_oneof![1..6_u16, (1..10_u16).prop_map(|tens| tens * 10), 1..200_u16];
    vec(weight, 2..=names.len()).prop_map(move |weights| names.into_iter().zip(weights).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn leaving_and_coming(scheduler in schedulers(), shares in shares(), which: Index) {
        let which = which.index(shares.len());
        let mut rest = shares.clone();
        let (name, _) = rest.remove(which);
        for (was, is) in before_and_after(&scheduler, &shares, &rest) {
            prop_assert!(was == is || was == name, "{was} lost a key to {is} when {name} left");
        }
        for (was, is) in before_and_after(&scheduler, &rest, &shares) {
            prop_assert!(was == is || is == name, "{was} lost a key to {is} when {name} came");
        }
    }

    #[test]
    fn another_weight(
        scheduler in schedulers(),
        (shares, which) in shares().prop_flat_map(|all| (Just(all.clone()), 0..all.len())),
        weight in prop_oneof![0..6_u16, 0..200_u16],
    ) {
        let mut changed = shares.clone();
        let (name, old) = std::mem::replace(&mut changed[which], (shares[which].0, weight));
        for (was, is) in before_and_after(&scheduler, &shares, &changed) {
            let concerned = if weight > old { is } else { was };
            prop_assert!(was == is || concerned == name, "{was} lost a key to {is}: {name} {old} → {weight}");
        }
    }

    #[test]
    fn only_proportions_count(
        algorithm in select(vec![Algorithm::Ring, Algorithm::Rendezvous]),
        shares in shares(),
        factor in 2..80_u16,
    ) {
        let scaled: Vec<_> = shares.iter().map(|&(name, weight)| (name, weight * factor)).collect();
        for (was, is) in before_and_after(&algorithm.scheduler(), &shares, &scaled) {
            prop_assert_eq!(was, is);
        }
    }
}

/// What the weights have in common changes from 50 to 100: 23 percent of the others' clients moved
/// when points were counted in that.
#[test]
fn the_odd_one_out() {
    let shares = [("a", 100), ("b", 100), ("c", 50)];
    for algorithm in PROMISING {
        for (was, is) in before_and_after(&algorithm.scheduler(), &shares, &shares[..2]) {
            assert!(was == is || was == "c", "{algorithm}: {was} lost a key to {is}");
        }
    }
}

/// Maglev's promise is a smaller one, and holds for unequal weights as well.
#[test]
fn maglev_moves_one_percent_of_the_others() {
    let shares = [("a", 100), ("b", 100), ("c", 50), ("d", 30), ("e", 70), ("f", 1)];
    for gone in 0..shares.len() {
        let mut rest = shares.to_vec();
        let (name, _) = rest.remove(gone);
        let moves = before_and_after(&Algorithm::Mh.scheduler(), &shares, &rest);
        let others = moves.iter().filter(|(was, _)| *was != name).count();
        let moved = moves.iter().filter(|(was, is)| *was != name && was != is).count();
        assert!(moved * 100 <= others, "{moved} of {others} when {name} left");
    }
}
