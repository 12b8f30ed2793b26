//! The persistence table against a map with timestamps that is searched from end to end.

#![expect(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lb_core::PersistenceTable;
use lb_core::backend::BackendId;
use lb_core::persistence::Replicated;
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;
use proptest::test_runner::TestCaseError;
use support::{after, start};

/// A client's backend and when it was last used, in milliseconds from the start.
type Entry = (BackendId, u64);

/// A table, and beside it what is to be known of it: nothing about the order but by last use.
struct Pair {
    start: Instant,
    /// A snapshot of it shows what is there without refreshing it.
    table: Replicated<u8>,
    timeout: u64,
    min_age: u64,
    /// By less than this, what has expired may be there for longer.
    pause: u64,
    elapsed: u64,
    /// With those that have expired, as long as the table may hold them.
    entries: BTreeMap<u8, Entry>,
    /// Whether the table may hold what was forgotten.
    stale: bool,
}

impl Pair {
    fn new(timeout: u64, min_age: u64, capacity: usize) -> Self {
        let millis = Duration::from_millis;
        let table = PersistenceTable::new(millis(timeout), capacity.try_into().unwrap())
            .with_min_age(millis(min_age));
        Self {
            start: start(),
            table: Replicated::new(table, 1),
            timeout,
            min_age,
            pause: (timeout / 16).max(1),
            elapsed: 0,
            entries: BTreeMap::new(),
            stale: false,
        }
    }

    fn now(&self) -> Instant {
        after(self.start, self.elapsed)
    }

    fn is_live(&self, &(_, used): &Entry) -> bool {
        self.elapsed < used + self.timeout
    }

    fn live(&self) -> BTreeMap<u8, Entry> {
        let live = self.entries.iter().filter(|(_, entry)| self.is_live(entry));
        live.map(|(&key, &entry)| (key, entry)).collect()
    }

    fn shown(&self) -> Vec<(u8, BackendId)> {
        self.table.snapshot().map(|update| (update.key, update.backend)).collect()
    }

    fn step(&mut self, operation: &Operation) -> Result<(), TestCaseError> {
        match *operation {
            Operation::Expire => self.expire()?,
            Operation::Forget(backend) => {
                // What is used within the millisecond in which another is forgotten counts as used
                // a millisecond later.
                self.elapsed += 1;
                self.table.forget(backend);
                self.entries.retain(|_, (known, _)| *known != backend);
                self.stale = true;
            }
            Operation::Get(key) => {
                let known = self.entries.remove(&key).filter(|entry| self.is_live(entry));
                let known = known.map(|(backend, _)| backend);
                prop_assert_eq!(self.table.get(self.now(), 0, &key), known);
                self.entries.extend(known.map(|backend| (key, (backend, self.elapsed))));
            }
            Operation::Insert(key, backend) => self.insert(key, backend)?,
            Operation::Pass(steps) => self.elapsed += steps * (self.timeout / 1024).max(1),
            Operation::Sleep => {
                let deadline = self.table.table().next_deadline();
                if let Some(deadline) = deadline.filter(|&deadline| deadline > self.now()) {
                    self.elapsed = (deadline - self.start).as_millis() as u64;
                    self.expire()?;
                }
            }
            Operation::Until(key) => {
                if let Some((_, used)) = self.entries.get(&key) {
                    self.elapsed = self.elapsed.max(used + self.timeout);
                }
            }
        }
        Ok(())
    }

    fn expire(&mut self) -> Result<(), TestCaseError> {
        let now = self.now();
        self.table.handle_timeout(now);
        prop_assert!(self.table.table().next_deadline().is_none_or(|deadline| deadline > now));
        let latest = self.timeout + self.pause - 1;
        self.entries.retain(|_, (_, used)| self.elapsed < *used + latest);
        self.stale = false;
        Ok(())
    }

    fn insert(&mut self, key: u8, backend: BackendId) -> Result<(), TestCaseError> {
        let is_full = self.table.table().len() == self.table.table().capacity();
        let mut others = self.live();
        let is_known = others.remove(&key).is_some();
        if !self.table.insert(self.now(), 0, key, backend) {
            prop_assert!(is_full && !is_known);
            let age = |&(_, used): &Entry| self.elapsed - used;
            prop_assert!(others.values().all(|entry| age(entry) < self.min_age));
            return Ok(());
        }
        let stays: BTreeMap<_, _> = self.shown().into_iter().collect();
        let (stay, leave): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|(other, _)| stays.contains_key(other));
        prop_assert!(leave.len() <= usize::from(is_full && !is_known));
        for (other, (_, used)) in leave {
            prop_assert!(self.elapsed - used >= self.min_age, "too young to make room");
            let is_oldest = stay.iter().all(|&(_, (_, other))| used <= other);
            prop_assert!(is_oldest, "somebody else was unused for longer");
            self.entries.remove(&other);
        }
        self.entries.insert(key, (backend, self.elapsed));
        Ok(())
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        // Shows the table how much time has passed.
        prop_assert_eq!(self.table.get(self.now(), 0, &u8::MAX), None);
        let (live, shown) = (self.live(), self.shown());
        let backends: BTreeMap<_, _> = live.iter().map(|(&key, entry)| (key, entry.0)).collect();
        prop_assert_eq!(shown.iter().copied().collect::<BTreeMap<_, _>>(), backends);
        prop_assert_eq!(shown.len(), live.len());
        let table = self.table.table();
        prop_assert!((live.len()..=table.capacity()).contains(&table.len()));
        let deadline = table.next_deadline();
        prop_assert_eq!(deadline.is_none(), table.is_empty());
        // What was forgotten leaves when somebody takes it back, and may be the next to expire.
        if self.stale {
            return Ok(());
        }
        prop_assert!(table.len() <= self.entries.len());
        // Those that were used since they were last looked at may have it come too early.
        if let Some(first) = live.values().map(|&(_, used)| used).min() {
            let latest = after(self.start, first + self.timeout + self.pause);
            prop_assert!(deadline < Some(latest));
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Expire,
    Forget(BackendId),
    Get(u8),
    Insert(u8, BackendId),
    /// So many 1024ths of the timeout, or milliseconds if that is less.
    Pass(u64),
    /// Until the table's deadline.
    Sleep,
    /// Until this client expires, exactly.
    Until(u8),
}

fn operation() -> impl Strategy<Value = Operation> {
    let backend = || (0..4_u32).prop_map(BackendId::new);
    proptest::prop_oneof![
        1 => Just(Operation::Expire),
        1 => backend().prop_map(Operation::Forget),
        6 => (0..12_u8).prop_map(Operation::Get),
        6 => (0..12_u8, backend()).prop_map(|(key, backend)| Operation::Insert(key, backend)),
        4 => (0..6_u64).prop_map(Operation::Pass),
        1 => (0..700_u64).prop_map(Operation::Pass),
        1 => Just(Operation::Sleep),
        1 => (0..12_u8).prop_map(Operation::Until),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_bounded_map_with_timestamps(
        // So few that every insertion looks at all of them for what was forgotten.
        capacity in 1..9_usize,
        timeout in select(vec![0, 1, 77, 2_560, 60_000, 3_600_000, 1_000_000_000_u64]),
        // In sixteenths of the timeout.
        min_age in 0..24_u64,
        operations in vec(operation(), 1..200),
    ) {
        let mut pair = Pair::new(timeout, timeout * min_age / 16, capacity);
        for operation in operations {
            pair.step(&operation)?;
            pair.check()?;
        }
    }

    /// Callers on several cores bring instants that are slightly out of order. Nothing may then
    /// come before its time, nor be left behind for good.
    #[test]
    fn instants_out_of_order_do_no_harm(
        [timeout, pause] in select(vec![[100, 6], [60_000, 3_750]]),
        operations in vec((operation(), 0..20_u64), 1..200),
    ) {
        let start = start();
        let (step, [timeout, pause]) = (timeout / 100, [timeout, pause].map(Duration::from_millis));
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
                Operation::Pass(steps) => elapsed += steps * step,
                Operation::Sleep | Operation::Until(_) => {}
            }
            let next = table.next_deadline();
            prop_assert!(next.is_none_or(|next| Some(next + pause) > deadline));
            deadline = next;
        }
        table.handle_timeout(after(start, elapsed + 20) + timeout);
        prop_assert!(table.is_empty());
    }
}

#[test]
fn the_longest_unused_makes_room() {
    let start = start();
    let mut table = PersistenceTable::new(Duration::from_secs(60), 2.try_into().unwrap());
    let [a, b, c] = [1, 2, 3].map(BackendId::new);
    table.insert(start, 'a', a);
    table.insert(after(start, 1_000), 'b', b);
    assert_eq!(table.get(after(start, 2_000), &'a'), Some(a));
    table.insert(after(start, 3_000), 'c', c);
    assert_eq!(
        ['a', 'b', 'c'].map(|key| table.get(after(start, 4_000), &key)),
        [Some(a), None, Some(c)]
    );
}

/// What the documentation promises of a table that is too large to look at everybody.
#[test]
fn hardly_anybody_makes_room_who_was_here_lately() {
    const CAPACITY: u32 = 20_000;
    let (start, home) = (start(), BackendId::new(1));
    let capacity = (CAPACITY as usize).try_into().unwrap();
    let mut table = PersistenceTable::new(Duration::from_secs(3600), capacity);
    for client in 0..10 * CAPACITY {
        table.insert(after(start, client.into()), client, home);
    }
    assert_eq!(table.len(), table.capacity());
    let now = after(start, 10 * u64::from(CAPACITY));
    let mut lost = |age: std::ops::Range<u32>| {
        let all = age.len();
        let known = age.filter(|age| table.get(now, &(10 * CAPACITY - 1 - age)).is_some()).count();
        (all - known) * 1000 / all
    };
    assert_eq!(lost(0..CAPACITY / 4), 0, "of a thousand");
    assert!(lost(0..CAPACITY / 2) < 15);
    // And hardly anybody stays for ever.
    assert!(lost(2 * CAPACITY..3 * CAPACITY) > 980);
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
