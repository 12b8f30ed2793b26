//! Which client belongs to which backend, for a while.

mod clock;
mod config;
mod forgotten;
mod index;
mod replicated;
mod seed;
mod slots;

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use clock::Clock;
pub use config::PersistenceConfig;
use forgotten::Forgotten;
use index::Index;
pub use replicated::{Replicated, Stamp, Update};
pub use seed::{HashSeed, SeededHasher};
use slots::Slots;

use crate::backend::BackendId;

/// A bounded, expiring table from client to backend: IPVS' persistence templates, HAProxy's stick
/// table.
///
/// An entry lives for `timeout` after it was last looked up or written. With one timeout for all,
/// the order of last use *is* the order of expiry, so that one list serves both. The table has no
/// thread and no timer: an expired entry is never returned, and its room is taken back when it is
/// met or by [`handle_timeout`](Self::handle_timeout).
///
/// ```
/// use std::time::{Duration, Instant};
/// use lb_core::backend::BackendId;
/// use lb_core::PersistenceTable;
///
/// let backend = BackendId::new(7);
/// let start = Instant::now();
/// let at = |seconds| start + Duration::from_secs(seconds);
/// let mut table = PersistenceTable::new(Duration::from_secs(60), 1_000.try_into()?);
/// table.insert(at(0), "client", backend);
/// assert_eq!(table.get(at(59), &"client"), Some(backend)); // and 60 s more from here
/// assert_eq!(table.get(at(118), &"client"), Some(backend));
/// assert_eq!(table.get(at(178), &"client"), None);
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
///
/// # When it is full
///
/// The entry that was not used for the longest time makes room, to within a *grain*: whoever makes
/// room was last used less than a grain later than anybody who stays. A grain is at most a 256th of
/// the timeout and at most 1024 ms, but at least a tick of the table's clock (see [Time](#time)).
/// Within a grain, an entry keeps its place in the order: moving it at every look-up would make a
/// look-up in a large table take twice the time.
///
/// That alone would let whoever can make up keys push everybody else out. With
/// [`with_min_age`](Self::with_min_age), an entry that was used within `min_age` is never pushed
/// out: if there is none that was not used for a grain more, the new client may not be remembered,
/// and [`insert`](Self::insert) says so. A flood then costs new clients their stickiness for as
/// long as it lasts, and known clients nothing as long as they come back within `min_age`.
///
/// # Memory
///
/// All of it is asked for at construction, none later. An entry takes a slot of 32 bytes if the key
/// has at most 17, as an [`IpAddr`](std::net::IpAddr) has, else of 64 or more; then 6.4 bytes of
/// index and between ¾ and 1½ of notes on what was forgotten. Keys are kept whole, so that no
/// client is ever taken for another; a `String` besides owns its text, which the caller allocated.
/// Of a removed entry, the key is dropped when its slot is used again.
///
/// A look-up reads two places of a table that may well be larger than the processor's caches. Pages
/// of 2 MiB make that faster, if the allocator asks for them (with glibc,
/// `GLIBC_TUNABLES=glibc.malloc.hugetlb=1`).
///
/// # Time
///
/// The table counts milliseconds since the first instant that it was shown (or, if the timeout is
/// twelve days or more, the smallest power of two of them of which the timeout has at most 2³⁰): an
/// entry expires up to that much too early or too late. What is used within the tick in which a
/// backend is forgotten counts as used one tick later. Timeouts end at 139 years. The table's time
/// never goes back: an instant before the latest one counts as the latest one, which callers on
/// several cores bring about all the time.
///
/// # Hashing
///
/// Keys are found by `S`; see [`HashSeed`], the default, on what an attacker can do to a table
/// whose hash function is known.
pub struct PersistenceTable<K, S = HashSeed> {
    hasher: S,
    clock: Clock,
    timeout: u32,
    min_age: u32,
    index: Index,
    slots: Slots<K>,
    forgotten: Forgotten,
}

/// How many slots are looked at for something stale when a client is inserted while there may be
/// some.
const STEP: usize = 8;
/// At eight look-ups of each entry a second, which is all that a table of a million can do, every
/// ninth of them moves one.
const COARSEST_GRAIN: Duration = Duration::from_millis(1024);
/// No age may come near the 2³² ticks at which it would wrap around.
const HIGHEST_AGE: u64 = 1 << 31;

impl<K: Eq + Hash> PersistenceTable<K> {
    /// An empty table for at most `capacity` clients (and never more than 2²⁴ − 2), hashed with the
    /// public seed.
    pub fn new(timeout: Duration, capacity: NonZeroUsize) -> Self {
        Self::with_hasher(timeout, capacity, HashSeed::default())
    }
}

impl<K: Eq + Hash, S: BuildHasher> PersistenceTable<K, S> {
    /// An empty table for at most `capacity` clients (and never more than 2²⁴ − 2), hashed by
    /// `hasher`: a [`HashSeed`], or any other whose hashes are good in all 64 bits.
    pub fn with_hasher(timeout: Duration, capacity: NonZeroUsize, hasher: S) -> Self {
        let capacity = capacity.get().min(Slots::<K>::MOST);
        let clock = Clock::for_timeout(timeout);
        let timeout = clock.ticks(timeout);
        Self {
            hasher,
            timeout,
            min_age: 0,
            index: Index::new(capacity),
            slots: Slots::new(capacity, grain(&clock, timeout)),
            clock,
            forgotten: Forgotten::new(capacity),
        }
    }

    /// Never pushes out an entry that was used within `min_age`; rather, new clients are not
    /// remembered. Zero, the default, remembers every new client. Entries expire and are forgotten
    /// all the same.
    #[must_use]
    pub fn with_min_age(mut self, min_age: Duration) -> Self {
        self.min_age = self.clock.ticks(min_age);
        self
    }

    /// The backend that this client belongs to; looking refreshes it. O(1).
    #[inline]
    pub fn get(&mut self, now: Instant, key: &K) -> Option<BackendId> {
        Some(self.use_slot(now, key)?.1)
    }

    /// This client belongs to `backend` from now on. O(1); takes the room of the entry longest
    /// unused, to within a grain, if the table is full.
    ///
    /// Returns whether the client is remembered: always so if there is room or an entry that was
    /// not used within `min_age` and a grain.
    pub fn insert(&mut self, now: Instant, key: K, backend: BackendId) -> bool {
        self.insert_slot(now, key, backend).is_some()
    }

    /// Forgets every client of `backend`: they are scheduled anew. O(1).
    ///
    /// Their entries are never returned again. Their room is taken back bit by bit by later
    /// insertions and by [`handle_timeout`](Self::handle_timeout); until then they count in
    /// [`len`](Self::len), and a full table may push out or refuse others although they are there.
    pub fn forget(&mut self, backend: BackendId) {
        if !self.forgotten.has_room_for(backend) {
            // So many different backends since the hand last came around: the work is spread over
            // that many calls.
            self.sweep(usize::MAX);
        }
        let Some(stamp) = self.slots.used() else { return };
        if stamp == self.clock.stamp() {
            // So that whatever is used from now on is used later.
            self.clock.advance(1);
        }
        self.forgotten.record(backend, stamp, self.slots.capacity());
    }

    /// The moment for [`handle_timeout`](Self::handle_timeout): when the next entry expires, or
    /// less than a grain later. An entry that was forgotten but not yet taken back counts.
    pub fn next_deadline(&self) -> Option<Instant> {
        let stamp = self.slots.entry(self.slots.oldest()?).stamp();
        self.clock.instant(stamp, self.timeout)
    }

    /// Takes back the room of every entry that has expired, but for some that did so less than a
    /// grain ago, and of some that were forgotten. O(1) for each of the expired; after something
    /// was forgotten, a sixteenth of the table besides.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        while let Some(oldest) = self.slots.oldest()
            && self.is_over(oldest)
        {
            self.remove(oldest);
        }
        self.sweep(self.slots.capacity() / 16 + STEP);
    }

    /// How many clients are remembered, with those that are expired or forgotten and not yet taken
    /// back.
    pub const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no client is remembered.
    pub const fn is_empty(&self) -> bool {
        self.slots.len() == 0
    }

    /// How many clients there is room for.
    pub const fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// As [`get`](Self::get), but says where, too.
    #[inline]
    fn use_slot(&mut self, now: Instant, key: &K) -> Option<(u32, BackendId)> {
        self.advance(now);
        let hash = self.hasher.hash_one(key);
        let slot = self.find(hash, key)?;
        if self.is_over(slot) {
            self.remove_at(hash, slot);
            return None;
        }
        Some((slot, self.slots.touch(slot, self.clock.stamp())))
    }

    /// As [`insert`](Self::insert), but says where.
    fn insert_slot(&mut self, now: Instant, key: K, backend: BackendId) -> Option<u32> {
        self.advance(now);
        let hash = self.hasher.hash_one(&key);
        if let Some(slot) = self.find(hash, &key) {
            self.slots.entry_mut(slot).assign(backend);
            self.slots.touch(slot, self.clock.stamp());
            return Some(slot);
        }
        self.sweep(STEP);
        if self.slots.is_full() {
            let oldest = self.slots.oldest()?;
            let age = self.clock.age(self.slots.entry(oldest).stamp());
            if age < self.min_age && !self.is_over(oldest) {
                return None;
            }
            self.remove(oldest);
        }
        let slot = self.slots.push(key, backend, self.clock.stamp());
        self.index.insert(hash, slot);
        Some(slot)
    }

    /// Where a client is that is remembered now; does not refresh it.
    fn live_slot(&mut self, now: Instant, key: &K) -> Option<u32> {
        self.advance(now);
        let slot = self.find(self.hasher.hash_one(key), key)?;
        (!self.is_over(slot)).then_some(slot)
    }

    fn is_live(&self, slot: u32) -> bool {
        !self.slots.is_free(slot) && !self.is_over(slot)
    }

    #[inline]
    fn find(&self, hash: u64, key: &K) -> Option<u32> {
        self.index.find(hash, |slot| self.slots.entry(slot).key() == key)
    }

    /// Whether an entry has expired or its backend has been forgotten.
    #[inline]
    fn is_over(&self, slot: u32) -> bool {
        let entry = self.slots.entry(slot);
        self.clock.age(entry.stamp()) >= self.timeout
            || !self.forgotten.is_empty()
                && self.forgotten.covers(&self.clock, entry.backend(), entry.stamp())
    }

    fn remove(&mut self, slot: u32) {
        self.remove_at(self.hasher.hash_one(self.slots.entry(slot).key()), slot);
    }

    fn remove_at(&mut self, hash: u64, slot: u32) {
        self.index.remove(hash, slot);
        self.slots.remove(slot);
    }

    /// The table's time goes on to `now`.
    #[inline]
    fn advance(&mut self, now: Instant) {
        let ticks = self.clock.ahead(now);
        if ticks > 0 {
            self.go_on(ticks);
        }
    }

    #[cold]
    fn go_on(&mut self, ticks: u64) {
        self.keep_ages_low(ticks);
        self.clock.advance(ticks);
    }

    /// Takes back what would be too old to say how old it is. With milliseconds, that is what
    /// nobody touched for 24 days. What is left is older than the oldest by a grain at most.
    fn keep_ages_low(&mut self, ticks: u64) {
        let too_old = |age: u32| u64::from(age).saturating_add(ticks) > HIGHEST_AGE;
        if !self.forgotten.is_empty() && too_old(self.forgotten.age(&self.clock)) {
            self.sweep(usize::MAX);
        }
        while let Some(oldest) = self.slots.oldest()
            && too_old(self.clock.age(self.slots.entry(oldest).stamp()))
        {
            self.remove(oldest);
        }
    }

    /// Looks at so many slots for stale entries, if there can be any.
    fn sweep(&mut self, slots: usize) {
        if self.forgotten.is_empty() {
            return;
        }
        for _ in 0..slots {
            let (filled, all) = (self.slots.filled(), self.slots.capacity());
            let Some(slot) = self.forgotten.visit(filled, all) else { return };
            let slot = slot as u32;
            if !self.slots.is_free(slot) && self.is_over(slot) {
                self.remove(slot);
            }
        }
    }
}

/// How many ticks a grain has, if the timeout has so many: a power of two.
fn grain(clock: &Clock, timeout: u32) -> u32 {
    1 << (timeout / 256).clamp(1, clock.ticks(COARSEST_GRAIN)).ilog2()
}

impl<K, S> fmt::Debug for PersistenceTable<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersistenceTable")
            .field("clients", &self.slots.len())
            .field("capacity", &self.slots.capacity())
            .field("clock", &self.clock)
            .field("timeout", &self.timeout)
            .field("min_age", &self.min_age)
            .finish_non_exhaustive()
    }
}
