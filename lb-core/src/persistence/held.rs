//! Clients that are remembered because they are there.

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Instant;

/// A table in which flows hold slots, so that their clients are remembered.
///
/// A lease knows the slot and not the client, so that it can be of any table, whatever clients are
/// recognised by. The slot is the client's for as long: nothing moves in a table, and nobody else gets
/// a slot that is held.
pub(crate) trait Held: RefUnwindSafe + Send + Sync + UnwindSafe {
    /// A flow that held this slot has ended, at this time or when the table was shown the time last.
    fn release(&self, slot: u32, now: Option<Instant>);
}
