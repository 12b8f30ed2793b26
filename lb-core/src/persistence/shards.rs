//! Tables side by side, so that those who look up seldom wait for each other.

use std::hash::{BuildHasher, Hash};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::config::Node;
use super::held::Held;
use super::{PersistenceConfig, PersistenceTable, Replicated, Update};
use crate::backend::BackendId;
use crate::hash::HashSeed;

/// One table in parts, each behind a lock of its own.
pub(crate) struct Shards<K> {
    tables: Box<[Shard<K>]>,
    seed: HashSeed,
    /// Whether clients are remembered for as long as they have flows open.
    while_open: bool,
    /// Whose updates are drained next.
    drained: AtomicUsize,
}

/// Each is counted apart, so that flows which hold it do not meet those of all others there.
pub(crate) type Shard<K> = Arc<Mutex<Table<K>>>;

/// With fewer clients than this to a shard, some shards would be full long before others.
const SMALLEST: usize = 1024;
const MOST: usize = 64;

/// A part of the table, with a change feed or without.
pub(crate) enum Table<K> {
    Alone(PersistenceTable<K>),
    Replicated(Replicated<K>, SharedClock),
}

/// The clock that all nodes share, as far as one of them can tell from its own.
#[derive(Clone, Copy)]
pub(crate) struct SharedClock {
    at: Instant,
    millis: u64,
}

impl SharedClock {
    fn millis(&self, now: Instant) -> u64 {
        let since = |later: Instant, earlier: Instant| {
            u64::try_from(later.saturating_duration_since(earlier).as_millis()).unwrap_or(u64::MAX)
        };
        self.millis.saturating_add(since(now, self.at)).saturating_sub(since(self.at, now))
    }
}

impl<K: Clone + Eq + Hash> Table<K> {
    /// As [`PersistenceTable::get`], but says where, too.
    pub(crate) fn use_slot(&mut self, now: Instant, key: &K) -> Option<(usize, BackendId)> {
        match self {
            Self::Alone(table) => table.use_slot(now, key),
            Self::Replicated(table, clock) => table.use_slot(now, clock.millis(now), key),
        }
    }

    /// As [`PersistenceTable::insert`], but says where.
    pub(crate) fn insert_slot(
        &mut self,
        now: Instant,
        key: K,
        backend: BackendId,
    ) -> Option<usize> {
        match self {
            Self::Alone(table) => table.insert_slot(now, key, backend),
            Self::Replicated(table, clock) => {
                table.insert_slot(now, clock.millis(now), key, backend)
            }
        }
    }

    /// One more flow holds a slot, until it is [released](Held::release).
    pub(crate) fn hold(&mut self, slot: usize) {
        match self {
            Self::Alone(table) => table.hold(slot),
            Self::Replicated(table, _) => table.hold(slot),
        }
    }

    fn release(&mut self, now: Option<Instant>, slot: usize) {
        match self {
            Self::Alone(table) => {
                table.release(now, slot);
            }
            Self::Replicated(table, clock) => table.release(now, |now| clock.millis(now), slot),
        }
    }

    fn forget(&mut self, backend: BackendId) {
        match self {
            Self::Alone(table) => table.forget(backend),
            Self::Replicated(table, _) => table.forget(backend),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Alone(table) => table.handle_timeout(now),
            Self::Replicated(table, _) => table.handle_timeout(now),
        }
    }

    const fn table(&self) -> &PersistenceTable<K> {
        match self {
            Self::Alone(table) => table,
            Self::Replicated(table, _) => table.table(),
        }
    }
}

impl<K: Clone + Eq + Hash> Shards<K> {
    pub(crate) fn new(config: &PersistenceConfig) -> Self {
        let &PersistenceConfig { timeout, capacity, min_age, seed, while_open, replicated } =
            config;
        let count = (capacity.get() / SMALLEST).clamp(1, MOST);
        let each = NonZeroUsize::new(capacity.get() / count).unwrap_or(capacity);
        let table = || {
            let table = PersistenceTable::with_hasher(timeout, each, seed).with_min_age(min_age);
            match replicated {
                None => Table::Alone(table),
                // One number will do for all of them: a client is always in the same one.
                Some(Node { number, clock: (at, millis) }) => {
                    Table::Replicated(Replicated::new(table, number), SharedClock { at, millis })
                }
            }
        };
        let tables = (0..count).map(|_| Arc::new(Mutex::new(table()))).collect();
        Self { tables, seed, while_open, drained: AtomicUsize::new(0) }
    }

    /// The table of a client: by its key, and not by what a scheduler goes by, which may differ for
    /// the same client.
    pub(crate) fn of(&self, client: &K) -> &Shard<K> {
        &self.tables[self.place(client)]
    }

    /// Whether clients are remembered for as long as they have flows open.
    pub(crate) const fn while_open(&self) -> bool {
        self.while_open
    }

    fn place(&self, client: &K) -> usize {
        // Mixed again: by the bits that choose the table all its clients would meet in one place of it.
        let hash = u128::from(self.seed.mix(self.seed.hash_one(client)));
        ((hash * self.tables.len() as u128) >> 64) as usize
    }

    /// How many clients are remembered. O(shards).
    pub(crate) fn len(&self) -> usize {
        self.tables.iter().map(|table| lock(table).table().len()).sum()
    }

    /// As [`PersistenceTable::forget`]. O(shards).
    pub(crate) fn forget(&self, backend: BackendId) {
        self.tables.iter().for_each(|table| lock(table).forget(backend));
    }

    /// As [`Replicated::drain_updates`], at most so many. Goes on where the last call stopped, so that
    /// tables that have ever more to tell do not keep the others from it.
    pub(crate) fn drain_updates(&self, most: usize) -> Vec<Update<K>> {
        let (mut updates, first) = (Vec::new(), self.drained.load(Ordering::Relaxed));
        for place in (first..).take(self.tables.len()) {
            if updates.len() == most {
                break;
            }
            let place = place % self.tables.len();
            if let Table::Replicated(table, _) = &mut *lock(&self.tables[place]) {
                updates.extend(table.drain_updates().take(most - updates.len()));
            }
            self.drained.store(place + 1, Ordering::Relaxed);
        }
        updates
    }

    /// As [`Replicated::snapshot`], one table after the other.
    pub(crate) fn snapshot(&self) -> Vec<Update<K>> {
        let mut updates = Vec::new();
        for table in &self.tables {
            if let Table::Replicated(table, _) = &*lock(table) {
                updates.extend(table.snapshot());
            }
        }
        updates
    }

    /// As [`Replicated::apply`].
    pub(crate) fn apply(&self, now: Instant, update: Update<K>) -> bool {
        match &mut *lock(&self.tables[self.place(&update.key)]) {
            Table::Alone(_) => false,
            Table::Replicated(table, clock) => table.apply(now, clock.millis(now), update),
        }
    }

    /// From `now` on, the clock that all nodes share shows what follows on `millis`.
    pub(crate) fn set_clock(&self, now: Instant, millis: u64) {
        for table in &self.tables {
            if let Table::Replicated(_, clock) = &mut *lock(table) {
                *clock = SharedClock { at: now, millis };
            }
        }
    }

    /// As [`PersistenceTable::handle_timeout`], one table after the other.
    pub(crate) fn handle_timeout(&self, now: Instant) {
        self.tables.iter().for_each(|table| lock(table).handle_timeout(now));
    }
}

impl<K: Clone + Eq + Hash + Send> Held for Mutex<Table<K>> {
    fn release(&self, slot: u32, now: Option<Instant>) {
        lock(self).release(now, slot as usize);
    }
}

/// A table is consistent between any two calls, so that a panic elsewhere does not taint it.
pub(crate) fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;

    use super::*;
    use crate::backend::BackendId;
    use crate::hash::HashSeed;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn nobody_tells_so_much_that_others_are_not_heard() {
        let (now, capacity) = (Instant::now(), NonZeroUsize::new(1 << 16).expect("not zero"));
        let config = PersistenceConfig::new(Duration::from_secs(60), capacity);
        let shards = Shards::<u64>::new(&config.replicated(1, now, 0));
        let mut told = std::collections::BTreeSet::new();
        for round in 0..2 * MOST as u64 {
            for client in 0..1000 {
                let backend = BackendId::new((round % 2) as u32);
                lock(shards.of(&client)).insert_slot(now, client, backend);
            }
            let updates = shards.drain_updates(1);
            assert_eq!(updates.len(), 1);
            told.extend(updates.iter().map(|update| shards.place(&update.key)));
        }
        assert_eq!(told.len(), MOST);
        assert_eq!(shards.drain_updates(0), []);
    }

    /// Whoever chooses a client's table by the same bits of its hash as its group in there makes all
    /// clients of a table crowd in a 64th of it: each then passes most of the others.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn clients_of_one_table_spread_over_all_of_it() {
        const CLIENTS: u32 = 50_000;
        let capacity = NonZeroUsize::new(1 << 16).expect("not zero");
        for seed in 0..4 {
            let config = PersistenceConfig::new(Duration::from_secs(60), capacity)
                .seed(HashSeed::new([seed, 1]));
            let (shards, now) = (Shards::new(&config), Instant::now());
            for client in 0..CLIENTS {
                let address = IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + client));
                lock(shards.of(&address)).insert_slot(now, address, BackendId::new(0));
            }
            assert_eq!((shards.tables.len(), shards.len()), (MOST, CLIENTS as usize));
            for table in &shards.tables {
                let table = lock(table);
                let table = table.table();
                // 781 expected, with a standard deviation of 28.
                assert!((640..920).contains(&table.len()), "{}", table.len());
                // About one in a hundred is expected beyond its group.
                let passed = table.slots.passed();
                assert!(passed < table.len() / 10, "{passed} of {} passed", table.len());
            }
        }
    }
}
