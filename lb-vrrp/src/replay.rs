//! What was seen of whom, so that nobody can say it again.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// The highest sequence of each sender, for a bounded number of them.
///
/// Only what was verified gets here, so that nobody without the key can push anybody out.
#[derive(Clone, Debug)]
pub(crate) struct ReplayTable {
    /// Least recently heard first.
    senders: Vec<(IpAddr, u64)>,
    capacity: usize,
}

impl ReplayTable {
    pub(crate) const fn new(capacity: usize) -> Self {
        Self { senders: Vec::new(), capacity }
    }

    /// The same, with room for as many as `other`.
    pub(crate) fn resized(&self, other: &Self) -> Self {
        let surplus = self.senders.len().saturating_sub(other.capacity);
        Self { senders: self.senders[surplus..].to_vec(), capacity: other.capacity }
    }

    /// Where `sender` is.
    pub(crate) fn last(&self, sender: IpAddr) -> Option<u64> {
        self.senders.iter().find(|(known, _)| *known == sender).map(|&(_, last)| last)
    }

    /// Remembers where `sender` is now.
    pub(crate) fn record(&mut self, sender: IpAddr, sequence: u64) {
        if let Some(place) = self.senders.iter().position(|(known, _)| *known == sender) {
            self.senders.remove(place);
        } else if self.senders.len() == self.capacity {
            self.senders.remove(0);
        }
        self.senders.push((sender, sequence));
    }
}

/// Whether `later` is after `earlier`, if both are less than half of all numbers apart (RFC 1982).
pub(crate) const fn is_after(later: u64, earlier: u64) -> bool {
    (later.wrapping_sub(earlier) as i64) > 0
}

/// `utc` as the upper 48 bits of a sequence: seconds, then 1/65536 of them. Before 1970 is 1970.
pub(crate) fn sequence_at(utc: SystemTime) -> u64 {
    let since = utc.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let fraction = (u64::from(since.subsec_nanos()) << 16) / 1_000_000_000;
    // Seconds wrap in 2106, and serial numbers do not mind.
    since.as_secs() << 32 | fraction << 16
}

/// How many seconds `sequence` is behind `now`, another sequence; negative if it is ahead.
pub(crate) const fn seconds_behind(now: u64, sequence: u64) -> i32 {
    ((now >> 32) as u32).wrapping_sub((sequence >> 32) as u32) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_heard_is_forgotten() {
        let [a, b, c] = [1, 2, 3].map(|n| IpAddr::from([10, 0, 0, n]));
        let mut table = ReplayTable::new(2);
        table.record(a, 5);
        table.record(b, 6);
        table.record(a, 7);
        table.record(c, 1);
        assert_eq!([a, b, c].map(|sender| table.last(sender)), [Some(7), None, Some(1)]);
    }

    #[test]
    fn serial_numbers_wrap() {
        assert!(is_after(1, u64::MAX));
        assert!(!is_after(u64::MAX, 1));
        assert!(!is_after(5, 5));
    }

    #[test]
    fn time_is_in_the_upper_bits() {
        let utc = SystemTime::UNIX_EPOCH + Duration::new(0x6800_0000, 500_000_000);
        assert_eq!(sequence_at(utc), 0x6800_0000_8000_0000);
        assert_eq!(seconds_behind(sequence_at(utc), 0x6800_0002_0000_0000), -2);
    }
}
