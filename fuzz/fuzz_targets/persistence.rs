//! The persistence table against the simplest thing that could be right: a list in order of last
//! use.
#![cfg_attr(feature = "fuzzer", no_main)]

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use fuzz::arbitrary::{self, Arbitrary};
use lb_core::PersistenceTable;
use lb_core::backend::BackendId;

fuzz::target!(|script: Script| script.run());

#[derive(Arbitrary, Debug)]
struct Script {
    timeout: u8,
    capacity: u8,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Expire,
    Forget {
        backend: u8,
    },
    Get {
        key: u8,
    },
    Insert {
        key: u8,
        backend: u8,
    },
    /// Clocks of several callers are not quite the same.
    LateGet {
        key: u8,
        behind: u8,
    },
    Wait {
        seconds: u8,
    },
}

/// One remembered client: key, backend, expiry in seconds from the start.
type Entry = (u8, u8, u64);

struct Model {
    timeout: u64,
    capacity: usize,
    /// Longest unused first; with those that have expired, as long as the table holds them.
    entries: Vec<Entry>,
}

impl Model {
    fn place(&self, key: u8) -> Option<usize> {
        self.entries.iter().position(|entry| entry.0 == key)
    }

    /// Moves to the end, and never expires before an entry that was used earlier.
    fn append(&mut self, now: u64, key: u8, backend: u8) {
        let newest = self.entries.last().map_or(0, |entry| entry.2);
        self.entries.retain(|entry| entry.0 != key);
        self.entries.push((key, backend, newest.max(now + self.timeout)));
    }

    fn get(&mut self, now: u64, key: u8) -> Option<u8> {
        let place = self.place(key)?;
        let (_, backend, expires) = self.entries[place];
        if expires <= now {
            self.entries.remove(place);
            return None;
        }
        self.append(now, key, backend);
        Some(backend)
    }

    fn insert(&mut self, now: u64, key: u8, backend: u8) {
        if self.place(key).is_none() && self.entries.len() == self.capacity {
            self.entries.remove(0);
        }
        self.append(now, key, backend);
    }
}

impl Script {
    fn run(self) {
        let timeout = u64::from(self.timeout);
        // So few that every insertion looks at all of them for what was forgotten.
        let capacity = NonZeroUsize::MIN.saturating_add(usize::from(self.capacity % 8));
        let mut table = PersistenceTable::new(Duration::from_secs(timeout), capacity);
        let mut model = Model { timeout, capacity: capacity.get(), entries: Vec::new() };
        let mut now = 1000;
        for step in self.steps {
            now += 1;
            match step {
                Step::Expire => {
                    expire(&mut table, &mut model, now);
                    assert!(table.next_deadline().is_none_or(|deadline| deadline > at(now)));
                }
                Step::Forget { backend } => {
                    table.forget(BackendId::new(backend.into()));
                    model.entries.retain(|entry| entry.1 != backend);
                    // Takes their room back, which is not done at once.
                    expire(&mut table, &mut model, now);
                }
                Step::Get { key } => look_up(&mut table, &mut model, now, 0, key),
                Step::Insert { key, backend } => {
                    table.insert(at(now), key, BackendId::new(backend.into()));
                    model.insert(now, key, backend);
                }
                Step::LateGet { key, behind } => {
                    look_up(&mut table, &mut model, now, u64::from(behind), key);
                }
                Step::Wait { seconds } => now += u64::from(seconds),
            }
            assert_eq!(table.len(), model.entries.len());
            assert!(table.len() <= capacity.get());
            let (deadline, first) = (table.next_deadline(), model.entries.first());
            assert_eq!(deadline.is_none(), first.is_none());
            let late = Duration::from_secs(timeout) / 16 + Duration::from_millis(1);
            assert!(deadline <= first.map(|first| at(first.2) + late));
        }
    }
}

/// The table looks for what has expired now and then, and then finds all of it.
fn expire(table: &mut PersistenceTable<u8>, model: &mut Model, now: u64) {
    table.handle_timeout(at(now));
    if table.len() < model.entries.len() {
        model.entries.retain(|entry| entry.2 > now);
    }
}

/// The table's time does not go back: who is behind is answered as of the latest.
fn look_up(table: &mut PersistenceTable<u8>, model: &mut Model, now: u64, behind: u64, key: u8) {
    expire(table, model, now);
    let known = table.get(at(now - behind), &key);
    assert_eq!(known, model.get(now, key).map(|backend| BackendId::new(backend.into())));
}

/// So many seconds after the start of the process.
fn at(seconds: u64) -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now) + Duration::from_secs(seconds)
}
