//! Saying what is wrong with what others say: at once, and then no more for a while.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::refusal::Reason;

/// For so long nothing more is said of what was said: who floods the link does not flood the log.
const PAUSE: Duration = Duration::from_secs(600);

/// Of so many senders that list other addresses each is named: whoever changes its address with each packet
/// does not flood the log either. A link has fewer routers than that.
const SENDERS: usize = 16;

/// What may be complained of, each apart from the others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Complaint {
    /// Of this sender: that another one was named says nothing of it.
    AddressesDiffer(IpAddr),
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
        self.0.retain(|(_, said)| now.saturating_duration_since(*said) < PAUSE);
        let is_sender = |known: &Complaint| matches!(known, Complaint::AddressesDiffer(_));
        let senders = self.0.iter().filter(|(known, _)| is_sender(known)).count();
        let is_known = self.0.iter().any(|(known, _)| *known == complaint);
        let is_one_too_many = is_sender(&complaint) && senders >= SENDERS;
        let is_news = !is_known && !is_one_too_many;
        if is_news {
            self.0.push((complaint, now));
        }
        is_news
    }

    /// All is news again: with another configuration it may be right, or wrong in another way.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_sender(number: u32) -> Complaint {
        Complaint::AddressesDiffer(IpAddr::from(number.to_be_bytes()))
    }

    #[test]
    fn each_sender_is_named_once_in_ten_minutes_but_not_any_number_of_them() {
        #[allow(clippy::disallowed_methods, reason = "any instant is the beginning")]
        let start = Instant::now();
        let mut complaints = Complaints::default();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(complaints.is_news(start, of_sender(0)));
        assert!(complaints.is_news(after(180), of_sender(1)), "another one");
        assert!(!complaints.is_news(after(599), of_sender(0)));
        assert!(complaints.is_news(after(600), of_sender(0)), "it may have been mended since");
        assert!(!complaints.is_news(after(600), of_sender(1)), "its time is not over");
        let named = (0..1000).filter(|&number| complaints.is_news(after(601), of_sender(number)));
        assert_eq!(named.count(), SENDERS - 2);
        assert_eq!(complaints.0.len(), SENDERS, "nobody takes memory");
        assert!(
            complaints.is_news(after(601), Complaint::Refused(Reason::HopLimit)),
            "that is not of them"
        );
        assert!(complaints.is_news(after(780), of_sender(1000)), "there is room again");
    }
}
