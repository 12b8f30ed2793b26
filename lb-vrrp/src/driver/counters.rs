//! What a driver counts.

use std::fmt;

use crate::refusal::Reason;

/// What a [`Driver`](super::Driver) has done so far. None of them ever goes down.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counters {
    /// Advertisements that were accepted by the channel.
    pub received: u64,
    /// Of those, how many changed nothing.
    pub discarded: u64,
    /// Of those that were received, how many list other addresses than ours.
    pub addresses_differ: u64,
    /// Advertisements sent, one for each destination.
    pub sent: u64,
    /// Advertisements that the network did not take.
    pub not_sent: u64,
    /// Frames that told the link where an address is.
    pub announced: u64,
    /// How often it became master.
    pub became_master: u64,
    refused: [u64; Reason::ALL.len()],
}

impl Counters {
    /// How many datagrams were refused for this reason.
    pub const fn refused(&self, reason: Reason) -> u64 {
        self.refused[reason.index()]
    }

    pub(super) const fn refuse(&mut self, reason: Reason) {
        self.refused[reason.index()] += 1;
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, count) in [
            ("received", self.received),
            ("discarded", self.discarded),
            ("addresses_differ", self.addresses_differ),
            ("sent", self.sent),
            ("not_sent", self.not_sent),
            ("announced", self.announced),
            ("became_master", self.became_master),
        ] {
            map.entry(&name, &count);
        }
        let refused = Reason::ALL.iter().filter(|reason| self.refused(**reason) > 0);
        map.entries(refused.map(|reason| (reason.name(), self.refused(*reason)))).finish()
    }
}
