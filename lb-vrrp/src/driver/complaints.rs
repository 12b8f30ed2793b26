//! Saying what is wrong with what others say: at once, and then no more for a while.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::refusal::Reason;

/// For so long nothing more is said of what was said: who floods the link does not flood the log.
const PAUSE: Duration = Duration::from_secs(600);

/// What may be complained of, each apart from the others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Complaint {
    AddressesDiffer,
    Refused(Reason),
    /// Somebody takes an address away.
    Restored(IpAddr),
}

/// Since when enough was said of each, as far as one router heard it.
#[derive(Debug, Default)]
pub(super) struct Complaints(Vec<(Complaint, Instant)>);

impl Complaints {
    /// Whether this is to be said now; then it counts as said.
    pub(super) fn is_news(&mut self, now: Instant, complaint: Complaint) -> bool {
        if complaint == Complaint::Refused(Reason::Vrid) {
            // Several virtual routers share a link.
            return false;
        }
        let Some((_, said)) = self.0.iter_mut().find(|(known, _)| *known == complaint) else {
            self.0.push((complaint, now));
            return true;
        };
        let is_news = now.saturating_duration_since(*said) >= PAUSE;
        if is_news {
            *said = now;
        }
        is_news
    }

    /// All is news again: with another configuration it may be right, or wrong in another way.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
