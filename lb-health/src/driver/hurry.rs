//! Runs that are asked for from elsewhere.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::task::Waker;

use super::mailbox::Mailbox;
use super::{Driver, now};
use crate::CheckId;

/// Brings the next run of one check forward, from any thread: see [`Driver::hurry`].
#[derive(Clone)]
pub struct Hurry {
    check: CheckId,
    nudges: Arc<Mailbox<CheckId>>,
}

impl Hurry {
    /// Lets the check run as soon as it may. Does not block.
    pub fn now(&self) {
        self.nudges.post(self.check);
    }
}

impl fmt::Debug for Hurry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hurry").field(&self.check).finish()
    }
}

/// Those that were asked for and not looked at.
#[derive(Default)]
pub(super) struct Nudges {
    mailbox: Arc<Mailbox<CheckId>>,
    /// What it is emptied into.
    batch: Vec<CheckId>,
}

impl Nudges {
    pub(super) fn listen(&self, waker: &Waker) {
        self.mailbox.listen(waker);
    }
}

impl<K: Copy + Eq + Hash> Driver<K> {
    /// Whoever has this can bring the next run of `check` forward, because something has happened: see
    /// [`Monitor::hurry`](crate::Monitor::hurry). It does nothing once the check is forgotten.
    pub fn hurry(&self, check: CheckId) -> Hurry {
        Hurry { check, nudges: Arc::clone(&self.nudges.mailbox) }
    }

    /// Does what was asked for; answers whether anything was.
    pub(super) fn take_nudges(&mut self) -> bool {
        let Nudges { mailbox, batch } = &mut self.nudges;
        mailbox.take(batch);
        let is_step = !batch.is_empty();
        while let Some(check) = batch.pop() {
            self.monitor.hurry(now(), check);
        }
        is_step
    }
}
