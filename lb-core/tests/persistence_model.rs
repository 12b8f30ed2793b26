//! The persistence table against a list that is searched from end to end.

mod support;

use std::time::{Duration, Instant};

use lb_core::PersistenceTable;
use lb_core::backend::BackendId;
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, prop_assert, prop_assert_eq, proptest};
use support::{after, start};

/// Entries from the longest unused to the latest.
struct Model {
    timeout: Duration,
    min_age: Duration,
    capacity: usize,
    entries: Vec<(u8, BackendId, Instant)>,
}

impl Model {
    fn get(&mut self, now: Instant, key: u8) -> Option<BackendId> {
        let place = self.entries.iter().position(|&(known, _, _)| known == key)?;
        let (_, backend, expires) = self.entries.remove(place);
        (expires > now).then(|| {
            self.entries.push((key, backend, now + self.timeout));
            backend
        })
    }

    fn insert(&mut self, now: Instant, key: u8, backend: BackendId) -> bool {
        match self.entries.iter().position(|&(known, _, _)| known == key) {
            Some(place) => drop(self.entries.remove(place)),
            None if self.entries.len() == self.capacity => {
                let (_, _, expires) = self.entries[0];
                if expires > now && expires - self.timeout + self.min_age > now {
                    return false;
                }
                self.entries.remove(0);
            }
            None => {}
        }
        self.entries.push((key, backend, now + self.timeout));
        true
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Expire,
    Forget(BackendId),
    Get(u8),
    Insert(u8, BackendId),
    Pass(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let backend = || (0..4_u32).prop_map(BackendId::new);
    proptest::prop_oneof![
        1 => proptest::prelude::Just(Operation::Expire),
        1 => backend().prop_map(Operation::Forget),
        6 => (0..12_u8).prop_map(Operation::Get),
        6 => (0..12_u8, backend()).prop_map(|(key, backend)| Operation::Insert(key, backend)),
        // Coarse, so that instants meet deadlines exactly.
        4 => (0..5_u64).prop_map(|steps| Operation::Pass(80 * steps)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_bounded_map_with_timestamps(
        // So few that every insertion looks at all of them for what was forgotten.
        capacity in 1..9_usize,
        [timeout, min_age] in [0..12_u64, 0..12_u64],
        operations in vec(operation(), 1..200),
    ) {
        let start = start();
        let [timeout, min_age] = [timeout, min_age].map(|steps| Duration::from_millis(80 * steps));
        let mut table =
            PersistenceTable::new(timeout, capacity.try_into().unwrap()).with_min_age(min_age);
        let mut model = Model { timeout, min_age, capacity, entries: Vec::new() };
        let (mut elapsed, mut stale) = (0, false);
        for operation in operations {
            let now = after(start, elapsed);
            match operation {
                Operation::Expire => {
                    table.handle_timeout(now);
                    model.entries.retain(|&(_, _, expires)| expires > now);
                    prop_assert!(table.next_deadline().is_none_or(|deadline| deadline > now));
                    stale = false;
                }
                Operation::Forget(backend) => {
                    // What is used within the millisecond in which another is forgotten counts as
                    // used a millisecond later.
                    elapsed += 1;
                    table.forget(backend);
                    model.entries.retain(|&(_, known, _)| known != backend);
                    stale = true;
                }
                Operation::Get(key) => prop_assert_eq!(table.get(now, &key), model.get(now, key)),
                Operation::Insert(key, backend) => {
                    prop_assert_eq!(table.insert(now, key, backend), model.insert(now, key, backend));
                }
                Operation::Pass(millis) => elapsed += millis,
            }
            prop_assert!(table.len() <= capacity);
            // What was forgotten leaves when somebody takes it back, and what has expired with it.
            if !stale {
                let deadline = model.entries.first().map(|&(_, _, expires)| expires);
                prop_assert_eq!(table.len(), model.entries.len());
                prop_assert_eq!(table.is_empty(), model.entries.is_empty());
                prop_assert_eq!(table.next_deadline(), deadline);
            }
        }
    }

    /// Callers on several cores bring instants that are slightly out of order. Nothing may then
    /// come before its time, nor be left behind for good.
    #[test]
    fn instants_out_of_order_do_no_harm(operations in vec((operation(), 0..20_u64), 1..200)) {
        let start = start();
        let timeout = Duration::from_millis(100);
        let mut table = PersistenceTable::new(timeout, 6.try_into().unwrap());
        let mut touched = [None; 12];
        let (mut elapsed, mut deadline) = (100, None);
        for (operation, late) in operations {
            let now = after(start, elapsed - late);
            match operation {
                Operation::Expire => table.handle_timeout(now),
                Operation::Forget(backend) => table.forget(backend),
                Operation::Get(key) => {
                    if table.get(now, &key).is_some() {
                        // Kept no longer than the latest clock allows.
                        let last: Instant = touched[usize::from(key)].unwrap();
                        prop_assert!(now < last + timeout + Duration::from_millis(20));
                        touched[usize::from(key)] = Some(now.max(last));
                    }
                }
                Operation::Insert(key, backend) => {
                    table.insert(now, key, backend);
                    prop_assert_eq!(table.get(now, &key), Some(backend));
                    let last = touched[usize::from(key)].unwrap_or(now);
                    touched[usize::from(key)] = Some(now.max(last));
                }
                Operation::Pass(millis) => elapsed += millis / 8,
            }
            let next = table.next_deadline();
            prop_assert!(next.is_none() || next >= deadline);
            deadline = next;
        }
        table.handle_timeout(after(start, elapsed + 120));
        prop_assert!(table.is_empty());
    }
}

#[test]
fn the_longest_unused_makes_room() {
    let start = start();
    let mut table = PersistenceTable::new(Duration::from_secs(60), 2.try_into().unwrap());
    let [a, b, c] = [1, 2, 3].map(BackendId::new);
    table.insert(start, 'a', a);
    table.insert(after(start, 1), 'b', b);
    assert_eq!(table.get(after(start, 2), &'a'), Some(a));
    table.insert(after(start, 3), 'c', c);
    assert_eq!(
        ['a', 'b', 'c'].map(|key| table.get(after(start, 4), &key)),
        [Some(a), None, Some(c)]
    );
}

#[test]
fn a_timeout_beyond_the_clock_is_as_good_as_never() {
    let start = start();
    let mut table = PersistenceTable::new(Duration::MAX, 2.try_into().unwrap());
    table.insert(start, 'a', BackendId::new(1));
    let years = Duration::from_secs(50 * 365 * 86_400);
    assert_eq!(table.get(start + years, &'a'), Some(BackendId::new(1)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Larger than one step of taking back: what is forgotten may be in the way for a while, but is
    /// never returned, and nobody is pushed out before `min_age`.
    #[test]
    fn forgotten_is_never_returned_and_the_young_are_never_pushed_out(
        capacity in 9..200_usize,
        min_age in 0..400_u64,
        operations in vec((0..10_u8, 0..400_u16, 0..30_u32, 0..8_u64), 1..2_000),
    ) {
        let start = start();
        let timeout = Duration::from_millis(500);
        let mut table = PersistenceTable::new(timeout, capacity.try_into().unwrap())
            .with_min_age(Duration::from_millis(min_age));
        let (mut elapsed, mut model) = (0, std::collections::HashMap::new());
        for (kind, key, backend, pause) in operations {
            // A forgetting takes a millisecond of the table's time.
            elapsed += pause + 1;
            let (now, backend) = (after(start, elapsed), BackendId::new(backend));
            match kind {
                0 => {
                    table.forget(backend);
                    model.retain(|_, &mut (known, _)| known != backend);
                }
                1 => table.handle_timeout(now),
                2..6 => {
                    let known = model.get(&key).copied();
                    match (table.get(now, &key), known) {
                        (Some(found), Some((backend, used))) => {
                            prop_assert_eq!(found, backend);
                            prop_assert!(elapsed - used < 500);
                            model.insert(key, (backend, elapsed));
                        }
                        (None, Some((_, used))) => {
                            let age = elapsed - used;
                            prop_assert!(age >= 499 || age >= min_age.saturating_sub(1));
                            model.remove(&key);
                        }
                        (found, None) => prop_assert_eq!(found, None),
                    }
                }
                _ => {
                    if table.insert(now, key, backend) {
                        model.insert(key, (backend, elapsed));
                        prop_assert_eq!(table.get(now, &key), Some(backend));
                    } else {
                        prop_assert!(min_age > 0);
                        prop_assert_eq!(table.get(now, &key), None);
                    }
                }
            }
            prop_assert!(table.len() <= capacity);
        }
        for _ in 0..17 {
            table.handle_timeout(after(start, elapsed));
        }
        prop_assert!(table.len() <= model.len(), "what was forgotten has been taken back");
    }
}

#[test]
fn a_flood_pushes_nobody_out_who_was_here_lately() {
    let start = start();
    let mut table = PersistenceTable::new(Duration::from_secs(60), 100.try_into().unwrap())
        .with_min_age(Duration::from_secs(10));
    let home = BackendId::new(1);
    assert!((0..100).all(|client| table.insert(start, client, home)));
    assert!((100..10_000).all(|stranger| !table.insert(after(start, 9_999), stranger, home)));
    assert!((0..50).all(|client| table.get(after(start, 9_999), &client) == Some(home)));
    // Then the flood gets the room of those who did not come back, and no more.
    let taken =
        (100..10_000).filter(|&stranger| table.insert(after(start, 10_000), stranger, home));
    assert_eq!(taken.count(), 50);
    assert!((0..50).all(|client| table.get(after(start, 10_001), &client) == Some(home)));
}

#[test]
fn more_backends_are_forgotten_than_there_is_room_to_note() {
    let start = start();
    let mut table = PersistenceTable::new(Duration::from_secs(60), 1_000.try_into().unwrap());
    for round in 0..5_u64 {
        let now = after(start, round * 100);
        for client in 0..1_000_u32 {
            assert!(table.insert(now, client, BackendId::new(client)));
        }
        for backend in (0..1_000).step_by(2).map(BackendId::new) {
            table.forget(backend);
        }
        for client in 0..1_000 {
            let home = (client % 2 == 1).then(|| BackendId::new(client));
            assert_eq!(table.get(now, &client), home);
        }
    }
}

#[test]
fn nothing_comes_back_after_the_clock_has_wrapped_around() {
    let start = start();
    let (one, two) = (BackendId::new(1), BackendId::new(2));
    // 2³² ms, where the stamps are the same again.
    for millis in [1 << 31, 1 << 32, (1 << 32) + 1, 1 << 33] {
        let mut table = PersistenceTable::new(Duration::from_secs(60), 10.try_into().unwrap());
        table.insert(start, 'a', one);
        table.insert(start, 'b', two);
        table.forget(two);
        let now = after(start, millis);
        assert_eq!(['a', 'b'].map(|key| table.get(now, &key)), [None, None]);
        assert!(table.insert(now, 'b', two));
        assert_eq!(table.get(now, &'b'), Some(two));
        assert_eq!(table.next_deadline(), Some(after(now, 60_000)));
    }
}
