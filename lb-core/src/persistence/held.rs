//! Clients that are remembered because they are there.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Instant;

/// Keeps a client remembered until it is dropped, by the flow that the client has open; or nobody.
///
/// It knows the place in the table and not the client, so that a lease can have it whatever clients
/// are recognised by. The place is the client's for as long: nothing moves in a table, and nobody
/// else gets a slot that is held.
#[derive(Default)]
pub(crate) struct Held {
    table: Option<Arc<dyn Release>>,
    slot: u32,
}

impl Held {
    /// Of a slot that counts one more flow already.
    pub(super) const fn new(table: Arc<dyn Release>, slot: usize) -> Self {
        Self { table: Some(table), slot: slot as u32 }
    }

    /// The flow has ended at `now`. One that is only dropped ended when the table was shown the time last.
    pub(crate) fn end(&mut self, now: Instant) {
        if let Some(table) = self.table.take() {
            table.release(self.slot as usize, Some(now));
        }
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        if let Some(table) = &self.table {
            table.release(self.slot as usize, None);
        }
    }
}

/// A table whose slots can be held.
pub(super) trait Release: RefUnwindSafe + Send + Sync + UnwindSafe {
    /// A flow that held this slot has ended, at this time if that is known.
    fn release(&self, slot: usize, now: Option<Instant>);
}
