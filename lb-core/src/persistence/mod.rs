//! Which client belongs to which backend, for a while.

mod clearing;
mod clock;
mod config;
mod forgotten;
mod held;
mod replicated;
mod shards;
mod slots;

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use clock::Clock;
pub use config::PersistenceConfig;
use forgotten::Forgotten;
pub(crate) use held::Held;
pub use replicated::{Replicated, Stamp, Update};
pub(crate) use shards::{Shard, Shards, lock};
use slots::{Entry, Slots};

use crate::backend::BackendId;
use crate::hash::HashSeed;

/// A bounded, expiring table from client to backend: IPVS' persistence templates, HAProxy's stick
/// table.
///
/// An entry lives for `timeout` after it was last looked up or written. The table has no thread and
/// no timer: an expired entry is never returned, and its room is taken back when it is met or by
/// [`handle_timeout`](Self::handle_timeout).
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
/// Of the thirteen or so that share a place with a new client (of eight at least, or of all, in a
/// table of fewer), the one that was not used for the longest time makes room. Which clients share
/// a place, only the seed knows. The longest unused of all is therefore not always the next to go:
/// when as many new clients have come as a quarter of the capacity, fewer than one in a thousand of
/// them were pushed out by the others, and of half the capacity, one in a hundred. To keep all in
/// the order of their last use would make a look-up in a large table take twice the time.
///
/// That alone would let whoever can make up keys push everybody else out. With
/// [`with_min_age`](Self::with_min_age), an entry that was used within `min_age` is never pushed
/// out: if all that share the place of a new client were, it is not remembered, and
/// [`insert`](Self::insert) says so. A flood then costs new clients their stickiness for as long as
/// it lasts, and known clients nothing as long as they come back within `min_age`.
///
/// # Memory
///
/// All of it is asked for at construction, none later. There are fifteen slots for each thirteen
/// clients; one takes 33 bytes if the key has at most 16, or 20 with values that it never takes (an [`IpAddr`](std::net::IpAddr) has
/// 17, an `Arc<str>` 16), else 65 or more (a `String` has 24); so that it is 38 bytes an entry, and
/// between ¾ and 1½ of notes on what was forgotten. Keys are kept whole, so that no client is ever
/// taken for another; a text besides is what the caller allocated.
///
/// A look-up waits for one place of a table that may well be larger than the processor's caches; the
/// pieces of hashes that it looks at first, a byte an entry, are usually in a near one. Pages of
/// 2 MiB make that faster, if the allocator asks for them (with glibc,
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
    slots: Slots<K>,
    forgotten: Forgotten,
    /// The tick in which to look for what has expired: nothing that there is now was last used more
    /// than the timeout and a [`pause`](Self::pause) before it.
    due: u64,
}

/// So many clients at most, as every slot is written to at construction.
const MOST: usize = 1 << 24;
/// How many slots are looked at for something stale when a client is inserted while there may be
/// some.
const STEP: usize = 16;

impl<K: Eq + Hash> PersistenceTable<K> {
    /// An empty table for at most `capacity` clients (and never more than 2²⁴), hashed with the
    /// public seed.
    pub fn new(timeout: Duration, capacity: NonZeroUsize) -> Self {
        Self::with_hasher(timeout, capacity, HashSeed::default())
    }
}

impl<K: Eq + Hash, S: BuildHasher> PersistenceTable<K, S> {
    /// An empty table for at most `capacity` clients (and never more than 2²⁴), hashed by
    /// `hasher`: a [`HashSeed`], or any other whose hashes are good in all 64 bits.
    pub fn with_hasher(timeout: Duration, capacity: NonZeroUsize, hasher: S) -> Self {
        let capacity = capacity.get().min(MOST);
        let clock = Clock::for_timeout(timeout);
        let timeout = clock.ticks(timeout);
        Self {
            hasher,
            timeout,
            min_age: 0,
            slots: Slots::new(capacity),
            clock,
            forgotten: Forgotten::new(capacity),
            due: 0,
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

    /// This client belongs to `backend` from now on. O(1); if the table is full, it takes the room of
    /// the longest unused of a dozen.
    ///
    /// Returns whether the client is remembered: always so if there is room, or if that one was not
    /// used within `min_age`.
    pub fn insert(&mut self, now: Instant, key: K, backend: BackendId) -> bool {
        self.insert_slot(now, key, backend).is_some()
    }

    /// Forgets every client of `backend`: they are scheduled anew. O(1), amortised: in
    /// between it may go through the whole table, if very many different backends were forgotten.
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
        self.forgotten.record(backend, stamp, self.slots.slots());
    }

    /// The moment for [`handle_timeout`](Self::handle_timeout), if there is anything: less than a
    /// sixteenth of the timeout (or a tick of the table's clock) after the next entry expires, or
    /// before that, if those that might have expired were used meanwhile.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.is_empty() { None } else { self.clock.start_of(self.due) }
    }

    /// When it is time for that, takes back the room of every entry that has expired or was
    /// forgotten. O(capacity), a few nanoseconds for each slot, but at most sixteen times in a
    /// timeout. Otherwise O(1), or after something was forgotten a sixteenth of the table.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        if self.due <= self.clock.latest() && !self.is_empty() {
            self.clear_out(0);
        }
        self.sweep(self.slots.slots() / 16 + STEP);
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
    fn use_slot(&mut self, now: Instant, key: &K) -> Option<(usize, BackendId)> {
        self.advance(now);
        let hash = self.hasher.hash_one(key);
        let slot = self.slots.find(hash, key)?;
        if self.slots.entry(slot).is_none_or(|entry| self.is_over(entry)) {
            self.take_out(hash, slot);
            return None;
        }
        Some((slot, self.slots.touch(slot, self.clock.stamp())?))
    }

    /// As [`insert`](Self::insert), but says where.
    fn insert_slot(&mut self, now: Instant, key: K, backend: BackendId) -> Option<usize> {
        self.advance(now);
        let hash = self.hasher.hash_one(&key);
        if let Some(slot) = self.slots.find(hash, &key) {
            self.slots.assign(slot, backend);
            self.slots.touch(slot, self.clock.stamp());
            return Some(slot);
        }
        self.sweep(STEP);
        if self.slots.is_full() {
            // What has expired is older than anything else as it is.
            let age = |entry: &Entry<K>| match self.is_forgotten(entry) {
                true => u32::MAX,
                false => self.clock.age(entry.stamp()),
            };
            let (eldest, age) = self.slots.eldest(hash, age)?;
            if age < self.min_age.min(self.timeout) {
                return None;
            }
            self.remove(eldest);
        }
        if self.is_empty() {
            self.due = self.clock.latest() + u64::from(self.timeout);
        }
        Some(self.slots.insert(hash, key, backend, self.clock.stamp()))
    }

    /// One more flow of the client in this slot is open: until it has ended, the client is remembered.
    fn hold(&mut self, slot: usize) {
        self.slots.hold(slot);
    }

    /// A flow that held a slot has ended, `now` or when the table was shown the time last: from then on
    /// the timeout counts. Whether anybody is remembered there still.
    fn release(&mut self, now: Option<Instant>, slot: usize) -> bool {
        now.into_iter().for_each(|now| self.advance(now));
        let is_live = self.live(slot).is_some();
        if is_live {
            self.slots.touch(slot, self.clock.stamp());
        } else {
            // It has to leave, unless another flow holds it.
            self.slots.evict(slot);
        }
        if self.slots.release(slot) {
            self.remove(slot);
        }
        is_live
    }

    /// Where a client is that is remembered now; does not refresh it.
    fn live_slot(&mut self, now: Instant, key: &K) -> Option<usize> {
        self.advance(now);
        let slot = self.slots.find(self.hasher.hash_one(key), key)?;
        self.live(slot).map(|_| slot)
    }

    /// What a slot holds, unless that is over.
    fn live(&self, slot: usize) -> Option<&Entry<K>> {
        self.slots.entry(slot).filter(|entry| !self.is_over(entry))
    }

    /// Whether an entry has expired or its backend has been forgotten.
    #[inline]
    fn is_over(&self, entry: &Entry<K>) -> bool {
        let has_expired = self.clock.age(entry.stamp()) >= self.timeout;
        match entry.is_held() {
            false => has_expired || self.is_forgotten(entry),
            true => entry.is_homeless() || self.is_forgotten(entry),
        }
    }

    #[inline]
    fn is_forgotten(&self, entry: &Entry<K>) -> bool {
        !self.forgotten.is_empty()
            && self.forgotten.covers(&self.clock, entry.backend(), entry.stamp())
    }

    /// As [`take_out`](Self::take_out), if there is anything.
    fn remove(&mut self, slot: usize) {
        if let Some(entry) = self.slots.entry(slot) {
            self.take_out(self.hasher.hash_one(entry.key()), slot);
        }
    }

    /// Takes out what is over. What flows hold stays in its slot until they have ended, or until its
    /// client comes back, and belongs nowhere.
    #[cold]
    fn take_out(&mut self, hash: u64, slot: usize) {
        match self.slots.entry(slot).is_some_and(Entry::is_held) {
            true => self.slots.evict(slot),
            false => self.slots.remove(hash, slot),
        }
    }
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
