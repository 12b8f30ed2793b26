//! The persistence table against a list that is searched from end to end.

mod support;

use std::time::{Duration, Instant};

use lb_core::{BackendId, PersistenceTable};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, prop_assert, prop_assert_eq, proptest};
use support::{after, start};

/// Entries from the longest unused to the latest.
struct Model {
    timeout: Duration,
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

    fn insert(&mut self, now: Instant, key: u8, backend: BackendId) {
        match self.entries.iter().position(|&(known, _, _)| known == key) {
            Some(place) => drop(self.entries.remove(place)),
            None if self.entries.len() == self.capacity => drop(self.entries.remove(0)),
            None => {}
        }
        self.entries.push((key, backend, now + self.timeout));
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
        capacity in 1..9_usize,
        timeout in (0..12_u64).prop_map(|steps| 80 * steps),
        operations in vec(operation(), 1..200),
    ) {
        let start = start();
        let timeout = Duration::from_millis(timeout);
        let mut table = PersistenceTable::new(timeout, capacity.try_into().unwrap());
        let mut model = Model { timeout, capacity, entries: Vec::new() };
        let mut elapsed = 0;
        for operation in operations {
            let now = after(start, elapsed);
            match operation {
                Operation::Expire => {
                    table.handle_timeout(now);
                    model.entries.retain(|&(_, _, expires)| expires > now);
                    prop_assert!(table.next_deadline().is_none_or(|deadline| deadline > now));
                }
                Operation::Forget(backend) => {
                    table.forget(backend);
                    model.entries.retain(|&(_, known, _)| known != backend);
                }
                Operation::Get(key) => prop_assert_eq!(table.get(now, &key), model.get(now, key)),
                Operation::Insert(key, backend) => {
                    table.insert(now, key, backend);
                    model.insert(now, key, backend);
                }
                Operation::Pass(millis) => elapsed += millis,
            }
            prop_assert!(table.len() <= capacity);
            prop_assert_eq!(table.len(), model.entries.len());
            prop_assert_eq!(table.is_empty(), model.entries.is_empty());
            prop_assert_eq!(table.next_deadline(), model.entries.first().map(|&(_, _, expires)| expires));
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
