//! Tables of several balancers that tell each other what they learn.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::time::{Duration, Instant};

use super::PersistenceTable;
use crate::backend::BackendId;
use crate::hash::HashSeed;

/// When something was learnt, and by whom: later stamps win over earlier ones, everywhere alike.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Stamp {
    /// Milliseconds on the clock that all nodes share.
    pub millis: u64,
    /// Tells apart what one node learnt within a millisecond.
    pub sequence: u32,
    /// The node; tells apart what two nodes learnt at once.
    pub node: u32,
}

/// One thing learnt: this client belongs to this backend.
///
/// [`BackendId`]s mean something in one process only. Whoever carries updates to another node
/// carries the backend's name, and looks up the identity that it has there.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Update<K> {
    /// The client.
    pub key: K,
    /// Where it belongs.
    pub backend: BackendId,
    /// Since when, and who says so.
    pub stamp: Stamp,
}

/// A [`PersistenceTable`] with a change feed, so that the tables of several balancers can be merged:
/// HAProxy's peers, IPVS' sync daemon, without the transport.
///
/// What a node learns comes out of [`drain_updates`](Self::drain_updates); what others learnt goes
/// into [`apply`](Self::apply), in any order and any number of times. Of two updates of one client
/// the one with the later [`Stamp`] wins, on every node. Two nodes that have been told the same are
/// therefore in the same state, apart from what one of them had no room for, let expire or forgot.
/// A node passes on only what it learnt itself: tell every update to every node.
///
/// Besides the instant that the table needs, each call takes the milliseconds of a clock that all
/// nodes share, such as those since the epoch. Nodes' clocks may differ: a client that moves is
/// always stamped later than what this node knew of it. An update that is stamped further ahead of
/// this node's clock than the timeout, or further behind, is not taken.
///
/// It takes 25 bytes an entry more than the table alone, and a table alone pays nothing for it.
///
/// ```
/// use std::time::{Duration, Instant};
/// use lb_core::backend::BackendId;
/// use lb_core::persistence::Replicated;
/// use lb_core::PersistenceTable;
///
/// let table = || PersistenceTable::new(Duration::from_secs(60), 1_000.try_into().unwrap());
/// let mut one = Replicated::new(table(), 1);
/// let mut two = Replicated::new(table(), 2);
///
/// let (now, millis) = (Instant::now(), 1_700_000_000_000);
/// one.insert(now, millis, "client", BackendId::new(7));
/// for update in one.drain_updates() {
///     two.apply(now, millis, update); // after a journey
/// }
/// assert_eq!(two.get(now, millis, &"client"), Some(BackendId::new(7)));
/// assert_eq!(two.drain_updates().next(), None); // nothing that only it knows
/// ```
pub struct Replicated<K, S = HashSeed> {
    table: PersistenceTable<K, S>,
    timeout_millis: u64,
    /// How old a stamp becomes before a look-up is news.
    refresh_millis: u64,
    /// The latest stamp of this node.
    last: Stamp,
    /// By slot.
    stamps: Box<[Stamp]>,
    /// By slot.
    queued: Box<[Queued]>,
    /// Each slot at most once, so that it never grows.
    queue: VecDeque<u32>,
}

/// What the queue knows of a slot.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Queued {
    Absent,
    /// There, and this node has something to tell.
    News,
    /// There, but others know already.
    Nothing,
}

impl<K: Clone + Eq + Hash, S: BuildHasher> Replicated<K, S> {
    /// `table` with a feed, on the node of this number, which no other node has. What is in the
    /// table already is older than anything that is learnt.
    ///
    /// That a client is still there is news after a quarter of the timeout.
    pub fn new(table: PersistenceTable<K, S>, node: u32) -> Self {
        let slots = table.slots.slots();
        let timeout_millis = table.clock.millis(table.timeout);
        Self {
            timeout_millis,
            refresh_millis: timeout_millis / 4,
            last: Stamp { node, ..Stamp::default() },
            stamps: vec![Stamp::default(); slots].into(),
            queued: vec![Queued::Absent; slots].into(),
            queue: VecDeque::with_capacity(slots),
            table,
        }
    }

    /// That a client is still there is news after `interval`, which should be well below the
    /// timeout; zero makes every look-up news.
    #[must_use]
    pub fn with_refresh(mut self, interval: Duration) -> Self {
        self.refresh_millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// As [`PersistenceTable::get`].
    pub fn get(&mut self, now: Instant, millis: u64, key: &K) -> Option<BackendId> {
        Some(self.use_slot(now, millis, key)?.1)
    }

    /// As [`PersistenceTable::insert`].
    pub fn insert(&mut self, now: Instant, millis: u64, key: K, backend: BackendId) -> bool {
        self.insert_slot(now, millis, key, backend).is_some()
    }

    /// Takes over what another node learnt, unless something later is known. O(1).
    ///
    /// Returns whether it was news. The client counts as seen now.
    pub fn apply(&mut self, now: Instant, millis: u64, update: Update<K>) -> bool {
        let Update { key, backend, stamp } = update;
        if millis.abs_diff(stamp.millis) >= self.timeout_millis {
            return false;
        }
        let live = self.table.live_slot(now, &key);
        // Nobody issues a stamp twice; if two nodes have one number, they still end up alike.
        let known =
            live.and_then(|slot| Some((self.stamps[slot], self.table.live(slot)?.backend())));
        if known.is_some_and(|known| known >= (stamp, backend)) {
            return false;
        }
        let Some(slot) = self.table.insert_slot(now, key, backend) else { return false };
        self.stamps[slot] = stamp;
        let queued = &mut self.queued[slot];
        if *queued == Queued::News {
            *queued = Queued::Nothing;
        }
        true
    }

    /// What this node learnt since the last drain, each client once and as it is now, the longest
    /// waiting first. What is not taken from the iterator stays for the next time.
    pub fn drain_updates(&mut self) -> impl Iterator<Item = Update<K>> {
        std::iter::from_fn(|| {
            loop {
                let slot = self.queue.pop_front()? as usize;
                let queued = std::mem::replace(&mut self.queued[slot], Queued::Absent);
                if queued == Queued::News
                    && let Some(update) = self.update(slot)
                {
                    return Some(update);
                }
            }
        })
    }

    /// All that this node knows, whoever learnt it, in no particular order: for a node that joins.
    pub fn snapshot(&self) -> impl Iterator<Item = Update<K>> {
        (0..self.table.slots.slots()).filter_map(|slot| self.update(slot))
    }

    /// As [`PersistenceTable::forget`]. Other nodes forget by their own verdict. An update that is
    /// under way may bring a client back to the backend; a pick then finds the backend gone, and
    /// moves the client again.
    pub fn forget(&mut self, backend: BackendId) {
        self.table.forget(backend);
    }

    /// As [`PersistenceTable::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.table.handle_timeout(now);
    }

    /// The table itself, to look at.
    pub const fn table(&self) -> &PersistenceTable<K, S> {
        &self.table
    }

    /// As [`get`](Self::get), but says where, too.
    pub(super) fn use_slot(
        &mut self,
        now: Instant,
        millis: u64,
        key: &K,
    ) -> Option<(usize, BackendId)> {
        let (slot, backend) = self.table.use_slot(now, key)?;
        self.refresh(slot, millis);
        Some((slot, backend))
    }

    /// As [`insert`](Self::insert), but says where.
    pub(super) fn insert_slot(
        &mut self,
        now: Instant,
        millis: u64,
        key: K,
        backend: BackendId,
    ) -> Option<usize> {
        let known = self.table.live_slot(now, &key).map(|slot| self.stamps[slot]);
        let slot = self.table.insert_slot(now, key, backend)?;
        self.learn(slot, millis, known.unwrap_or_default());
        Some(slot)
    }

    /// As of the table; others are not told of it.
    pub(super) fn hold(&mut self, slot: usize) {
        self.table.hold(slot);
    }

    /// As of the table: that the client was there until now may be news. `millis` says what the clock
    /// that all nodes share showed at an instant.
    pub(super) fn release(
        &mut self,
        now: Option<Instant>,
        millis: impl FnOnce(Instant) -> u64,
        slot: usize,
    ) {
        if self.table.release(now, slot)
            && let Some(now) = self.table.clock.start_of(self.table.clock.latest())
        {
            self.refresh(slot, millis(now));
        }
    }

    /// Somebody is there who was before: news now and then.
    fn refresh(&mut self, slot: usize, millis: u64) {
        let known = self.stamps[slot];
        if millis >= known.millis.saturating_add(self.refresh_millis) {
            self.learn(slot, millis, known);
        }
    }

    /// What is known in a slot now, if anything.
    fn update(&self, slot: usize) -> Option<Update<K>> {
        let entry = self.table.live(slot)?;
        let (key, backend) = (entry.key().clone(), entry.backend());
        Some(Update { key, backend, stamp: self.stamps[slot] })
    }

    /// Stamps what this node just learnt: later than what it knew, and than all it ever said.
    fn learn(&mut self, slot: usize, millis: u64, known: Stamp) {
        let (past, node) = (self.last.max(known), self.last.node);
        self.last = if millis > past.millis {
            Stamp { millis, sequence: 0, node }
        } else if let Some(sequence) = past.sequence.checked_add(1) {
            Stamp { millis: past.millis, sequence, node }
        } else {
            Stamp { millis: past.millis.saturating_add(1), sequence: 0, node }
        };
        self.stamps[slot] = self.last;
        let queued = &mut self.queued[slot];
        if *queued == Queued::Absent {
            self.queue.push_back(slot as u32);
        }
        *queued = Queued::News;
    }
}

impl<K, S> fmt::Debug for Replicated<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replicated")
            .field("node", &self.last.node)
            .field("table", &self.table)
            .field("queued", &self.queue.len())
            .finish_non_exhaustive()
    }
}
