//! `ovf` against the kernel's rule, over counters of any kind; and what becomes of flows that nobody
//! takes.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::sync::Arc;

use lb_core::backend::BackendId;
use lb_core::pool::NoBackend;
use lb_core::{Algorithm, Flow, Lease, Pool};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, prop_assert_eq, proptest};
use support::{Zeros, index, pool};

fn leases(pool: &Pool<()>, active: &[u32]) -> Vec<Lease<()>> {
    let each = pool.backends().iter().zip(active);
    each.flat_map(|(backend, &active)| (0..active).map(|_| Lease::new(Arc::clone(backend))))
        .collect()
}

/// The kernel's rule: go through the list, skip who has no weight or more flows than weight, keep
/// whoever is heavier than the one kept.
fn by_the_rule(crowd: &[(u16, u32)], tried: &[u32]) -> Option<usize> {
    let mut kept: Option<usize> = None;
    for (place, &(weight, active)) in crowd.iter().enumerate() {
        let skipped = weight == 0 || active > weight.into() || tried.contains(&(place as u32));
        if !skipped && kept.is_none_or(|kept| weight > crowd[kept].0) {
            kept = Some(place);
        }
    }
    kept
}

/// Weight and active flows of each.
fn crowd() -> impl Strategy<Value = Vec<(u16, u32)>> {
    vec((0..6_u16, 0..8_u32), 0..9)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_chooses_by_the_kernels_rule(crowd in crowd(), tried in vec(0..9_u32, 0..3)) {
        let (weights, active): (Vec<_>, Vec<_>) = crowd.iter().copied().unzip();
        let pool = pool(Algorithm::Ovf, &weights);
        let _leases = leases(&pool, &active);
        let refused: Vec<_> = tried.iter().copied().map(BackendId::new).collect();
        let chosen = index(&pool, &Flow::new(0).retried(&refused), &mut Zeros);
        prop_assert_eq!(chosen, by_the_rule(&crowd, &tried));
    }
}

/// Each takes its weight and one more.
#[test]
fn it_runs_over_one_flow_late() {
    let pool = pool(Algorithm::Ovf, &[2, 3, 0, 3, 1]);
    let pick = || pool.pick(&Flow::new(0), &mut Zeros);
    let mut leases: Vec<_> = (0..13).map(|_| Lease::new(Arc::clone(pick().unwrap()))).collect();
    let order: String = leases.iter().map(|lease| lease.name()).collect();
    assert_eq!(order, "BBBBDDDDAAAEE");
    assert_eq!(pick().unwrap_err(), NoBackend::AllFull { full: 4 });
    // A place on a light one is as good as any other.
    drop(leases.pop());
    assert_eq!(pick().unwrap().name(), "E");
    // And who was passed over is asked again first.
    drop(leases.remove(0));
    assert_eq!(pick().unwrap().name(), "B");
}

#[test]
fn a_refusal_names_its_reason() {
    let pool = pool(Algorithm::Ovf, &[1, 1, 0]);
    let tried = [BackendId::new(0)];
    let flow = Flow::new(0).retried(&tried);
    let leases = leases(&pool, &[0, 2, 0]);
    let refusal = pool.pick(&flow, &mut Zeros).unwrap_err();
    assert_eq!(refusal, NoBackend::AllFull { full: 1 });
    assert_eq!(refusal.to_string(), "all 1 usable backends have as many flows as they may");
    drop(leases);
    assert_eq!(pool.pick(&flow, &mut Zeros).unwrap().name(), "B");
    let tried = [0, 1].map(BackendId::new);
    let refusal = pool.pick(&Flow::new(0).retried(&tried), &mut Zeros).unwrap_err();
    assert_eq!(refusal, NoBackend::AllTried { tried: 2 });
}

#[test]
fn a_client_that_belongs_to_a_full_backend_gets_there() {
    let pool = pool(Algorithm::Ovf, &[1]);
    let _leases = leases(&pool, &[9]);
    let flow = Flow::new(0).preferring(Some(BackendId::new(0)));
    assert_eq!(pool.pick(&flow, &mut Zeros).unwrap().name(), "A");
}
