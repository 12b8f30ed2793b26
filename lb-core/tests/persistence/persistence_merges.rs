//! Tables that were told the same updates are the same, in whatever order they were told.

#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::time::{Duration, Instant};

use lb_core::PersistenceTable;
use lb_core::backend::BackendId;
use lb_core::persistence::{Replicated, Update};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use rand::Rng;
use support::{after, seeded, start};

const EPOCH: u64 = 1_700_000_000_000;
const NODES: u32 = 3;

fn node(number: u32) -> Replicated<u8> {
    let table = PersistenceTable::new(Duration::from_secs(60), 64.try_into().unwrap());
    Replicated::new(table, number).with_refresh(Duration::from_millis(100))
}

/// What a node knows, by client.
fn known(node: &Replicated<u8>) -> Vec<Update<u8>> {
    let mut known: Vec<_> = node.snapshot().collect();
    known.sort_by_key(|update| update.key);
    known
}

/// Tells `node` all updates in an order that `seed` decides, a third of them twice.
fn tell(node: &mut Replicated<u8>, now: (Instant, u64), updates: &[Update<u8>], seed: u64) {
    let mut rng = seeded(seed);
    let mut order: Vec<_> = updates.to_vec();
    order.extend(
        updates.iter().filter(|_| rng.next_u32().is_multiple_of(3)).copied().collect::<Vec<_>>(),
    );
    for end in (1..order.len()).rev() {
        order.swap(end, rng.next_u64() as usize % (end + 1));
    }
    for update in order {
        node.apply(now.0, now.1, update);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merged_in_any_order_they_are_the_same(
        // Who, what, which client, which backend, when (not in order: clocks differ).
        history in vec((0..NODES, 0..4_u8, 0..12_u8, 0..4_u32, 0..300_u64), 1..120),
        seeds in [any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()],
    ) {
        let start = start();
        let mut nodes: Vec<_> = (0..NODES).map(node).collect();
        let (mut updates, mut elapsed) = (Vec::new(), 300);
        for (who, what, client, backend, late) in history {
            elapsed += 7;
            let (now, millis) = (after(start, elapsed), EPOCH + elapsed - late);
            let one = &mut nodes[who as usize];
            match what {
                0 => drop(one.get(now, millis, &client)),
                1 => {
                    // Some hear of it while it happens.
                    for &update in updates.iter().skip(backend as usize).step_by(3) {
                        one.apply(now, millis, update);
                    }
                }
                _ => prop_assert!(one.insert(now, millis, client, BackendId::new(backend))),
            }
            // Each change is told: nothing waits for a later one of the same client.
            updates.extend(one.drain_updates());
        }

        let now = (after(start, elapsed), EPOCH + elapsed);
        let mut fresh = node(99);
        tell(&mut fresh, now, &updates, seeds[3]);
        for (one, seed) in nodes.iter_mut().zip(seeds) {
            tell(one, now, &updates, seed);
            prop_assert_eq!(known(one), known(&fresh));
        }
        // What comes first does not matter, nor does what comes again.
        let before = known(&fresh);
        prop_assert!(updates.iter().all(|&update| !fresh.apply(now.0, now.1, update)));
        prop_assert_eq!(known(&fresh), before);
        // Only what a node learns itself is its news.
        prop_assert_eq!(fresh.drain_updates().count(), 0);
        // A snapshot tells somebody who joins everything.
        let mut joined = node(100);
        tell(&mut joined, now, &known(&fresh), seeds[0]);
        prop_assert_eq!(known(&joined), known(&fresh));
    }
}

#[test]
fn each_client_is_told_once_and_as_it_is_now() {
    let now = start();
    let mut one = node(1);
    for (client, backend) in [(1, 1), (2, 1), (1, 2)] {
        one.insert(now, EPOCH, client, BackendId::new(backend));
    }
    let told = |one: &mut Replicated<u8>| -> Vec<_> {
        one.drain_updates().map(|update| (update.key, update.backend.number())).collect()
    };
    assert_eq!(told(&mut one), [(1, 2), (2, 1)]);
    assert_eq!(told(&mut one), []);
    // That it is still there is news only after a while.
    one.get(now, EPOCH + 99, &1);
    assert_eq!(told(&mut one), []);
    one.get(now, EPOCH + 100, &1);
    assert_eq!(told(&mut one), [(1, 2)]);
    // What was forgotten, or heard better from others, is not told.
    one.insert(now, EPOCH + 200, 3, BackendId::new(3));
    one.insert(now, EPOCH + 200, 1, BackendId::new(1));
    one.forget(BackendId::new(3));
    let better = Update {
        key: 1,
        backend: BackendId::new(7),
        stamp: lb_core::persistence::Stamp { millis: EPOCH + 300, sequence: 0, node: 2 },
    };
    assert!(one.apply(after(now, 2), EPOCH + 300, better));
    assert_eq!(told(&mut one), []);
}

#[test]
fn what_is_stamped_too_far_away_is_not_taken() {
    let now = start();
    let mut one = node(1);
    for (millis, taken) in [(0, true), (59_999, true), (60_000, false)] {
        for stamped in [EPOCH - millis, EPOCH + millis] {
            let key = (millis % 250) as u8;
            one.forget(BackendId::new(1));
            let stamp = lb_core::persistence::Stamp { millis: stamped, sequence: 0, node: 2 };
            let update = Update { key, backend: BackendId::new(1), stamp };
            assert_eq!(one.apply(now, EPOCH, update), taken, "{stamped}");
        }
    }
}

#[test]
fn a_client_that_moves_here_wins_over_a_clock_that_is_ahead() {
    let now = start();
    let (mut one, mut two) = (node(1), node(2));
    one.insert(now, EPOCH + 5_000, 1, BackendId::new(1));
    one.drain_updates().for_each(|update| assert!(two.apply(now, EPOCH, update)));
    two.insert(now, EPOCH, 1, BackendId::new(2));
    two.drain_updates().for_each(|update| assert!(one.apply(now, EPOCH + 5_000, update)));
    assert_eq!(one.get(now, EPOCH + 5_000, &1), Some(BackendId::new(2)));
}
