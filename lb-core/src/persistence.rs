//! Which client belongs to which backend, for a while.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use crate::backend::BackendId;

/// A bounded, expiring table from client to backend: IPVS' persistence templates, HAProxy's stick
/// table.
///
/// An entry lives for `timeout` after it was last looked up or written. With one timeout for all,
/// the order of last use *is* the order of expiry, so that one list serves both: look-up, insertion
/// and the expiry of one entry are O(1). When the table is full, the entry that was not used for
/// the longest time makes room. The table has no thread and no timer: an expired entry is never
/// returned, and its room is taken back when it is met or by [`handle_timeout`](Self::handle_timeout).
///
/// ```
/// use std::time::{Duration, Instant};
/// use lb_core::{BackendId, PersistenceTable};
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
pub struct PersistenceTable<K> {
    timeout: Duration,
    capacity: NonZeroUsize,
    slots_by_key: HashMap<K, u32>,
    slots: Vec<Entry<K>>,
    /// Slots that hold nothing now.
    free: Vec<u32>,
    ends: Ends,
}

struct Entry<K> {
    key: K,
    backend: BackendId,
    expires: Instant,
    older: Option<u32>,
    newer: Option<u32>,
}

/// The two ends of the list of entries by last use.
#[derive(Clone, Copy, Default)]
struct Ends {
    oldest: Option<u32>,
    newest: Option<u32>,
}

/// Slots are numbered in 32 bits.
const MOST_SLOTS: usize = u32::MAX as usize;

impl<K: Clone + Eq + Hash> PersistenceTable<K> {
    /// An empty table for at most `capacity` clients (and never more than 2³² − 1).
    pub fn new(timeout: Duration, capacity: NonZeroUsize) -> Self {
        Self {
            timeout,
            capacity,
            slots_by_key: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            ends: Ends::default(),
        }
    }

    /// The backend that this client belongs to; looking refreshes it. O(1).
    pub fn get(&mut self, now: Instant, key: &K) -> Option<BackendId> {
        let slot = *self.slots_by_key.get(key)?;
        if self.slots[slot as usize].expires <= now {
            self.remove(slot);
            return None;
        }
        self.touch(now, slot);
        Some(self.slots[slot as usize].backend)
    }

    /// This client belongs to `backend` from now on. O(1); takes the room of the entry longest
    /// unused if the table is full.
    pub fn insert(&mut self, now: Instant, key: K, backend: BackendId) {
        if let Some(&slot) = self.slots_by_key.get(&key) {
            self.slots[slot as usize].backend = backend;
            self.touch(now, slot);
            return;
        }
        if let Some(oldest) = self.ends.oldest
            && self.len() >= self.capacity.get().min(MOST_SLOTS)
        {
            self.remove(oldest);
        }
        let expires = self.expiry(now);
        let entry = Entry { key: key.clone(), backend, expires, older: None, newer: None };
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = entry;
            slot
        } else {
            self.slots.push(entry);
            (self.slots.len() - 1) as u32
        };
        self.slots_by_key.insert(key, slot);
        self.append(slot);
    }

    /// Forgets every client of `backend`: they are scheduled anew. O(entries).
    pub fn forget(&mut self, backend: BackendId) {
        let mut next = self.ends.oldest;
        while let Some(slot) = next {
            let entry = &self.slots[slot as usize];
            next = entry.newer;
            if entry.backend == backend {
                self.remove(slot);
            }
        }
    }

    /// When the next entry expires: the moment for [`handle_timeout`](Self::handle_timeout).
    pub fn next_deadline(&self) -> Option<Instant> {
        self.ends.oldest.map(|slot| self.slots[slot as usize].expires)
    }

    /// Takes back the room of every entry that has expired. O(expired).
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(oldest) = self.ends.oldest
            && self.slots[oldest as usize].expires <= now
        {
            self.remove(oldest);
        }
    }

    /// How many clients are remembered, expired ones that nobody met included.
    pub fn len(&self) -> usize {
        self.slots_by_key.len()
    }

    /// Whether no client is remembered.
    pub fn is_empty(&self) -> bool {
        self.slots_by_key.is_empty()
    }

    fn expiry(&self, now: Instant) -> Instant {
        // A timeout beyond the clock's range is a century: as good as never.
        const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        let expires = now.checked_add(self.timeout).or_else(|| now.checked_add(CENTURY));
        let expires = expires.unwrap_or(now);
        // Callers on several cores may bring instants that are slightly out of order; the list's
        // order must hold all the same.
        let newest = self.ends.newest.map(|slot| self.slots[slot as usize].expires);
        newest.map_or(expires, |newest| newest.max(expires))
    }

    fn touch(&mut self, now: Instant, slot: u32) {
        self.slots[slot as usize].expires = self.expiry(now);
        if self.ends.newest != Some(slot) {
            self.unlink(slot);
            self.append(slot);
        }
    }

    fn remove(&mut self, slot: u32) {
        self.unlink(slot);
        self.slots_by_key.remove(&self.slots[slot as usize].key);
        self.free.push(slot);
    }

    fn unlink(&mut self, slot: u32) {
        let Entry { older, newer, .. } = self.slots[slot as usize];
        match older {
            Some(older) => self.slots[older as usize].newer = newer,
            None => self.ends.oldest = newer,
        }
        match newer {
            Some(newer) => self.slots[newer as usize].older = older,
            None => self.ends.newest = older,
        }
    }

    fn append(&mut self, slot: u32) {
        let newest = self.ends.newest.replace(slot);
        let entry = &mut self.slots[slot as usize];
        (entry.older, entry.newer) = (newest, None);
        match newest {
            Some(newest) => self.slots[newest as usize].newer = Some(slot),
            None => self.ends.oldest = Some(slot),
        }
    }
}

impl<K> fmt::Debug for PersistenceTable<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersistenceTable")
            .field("clients", &self.slots_by_key.len())
            .field("capacity", &self.capacity)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
