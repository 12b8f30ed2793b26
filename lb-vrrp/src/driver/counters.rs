//! What a driver counts.

use std::fmt;

use crate::channel::Received;
use crate::refusal::Reason;
use crate::values::Priority;
use crate::wire::ChecksumForm;

/// What a [`Driver`](super::Driver) has done so far for one router. None of them ever goes down.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counters {
    /// Advertisements that were accepted by the channel.
    pub received: u64,
    /// Of those, how many changed nothing.
    pub discarded: u64,
    /// Of those that were received, how many list other addresses than ours.
    pub addresses_differ: u64,
    /// Of those, how many have another interval than ours, which version 3 allows.
    pub interval_differs: u64,
    /// Of those that were received, how many gave the addresses up.
    pub releases_received: u64,
    /// Advertisements sent, one for each destination.
    pub sent: u64,
    /// Of those, and of those that were not, how many gave the addresses up (priority 0), one for
    /// all destinations.
    pub released: u64,
    /// Advertisements that the network did not take.
    pub not_sent: u64,
    /// Frames that told the link where an address is.
    pub announced: u64,
    /// How often it became master.
    pub became_master: u64,
    /// How often it was master no more.
    pub released_master: u64,
    checksums: [u64; ChecksumForm::ALL.len()],
    refused: [u64; Reason::ALL.len()],
}

impl Counters {
    pub(super) const fn new() -> Self {
        Self {
            received: 0,
            discarded: 0,
            addresses_differ: 0,
            interval_differs: 0,
            releases_received: 0,
            sent: 0,
            released: 0,
            not_sent: 0,
            announced: 0,
            became_master: 0,
            released_master: 0,
            checksums: [0; ChecksumForm::ALL.len()],
            refused: [0; Reason::ALL.len()],
        }
    }

    /// How many of those that were received have a checksum of this form.
    pub const fn checksum(&self, form: ChecksumForm) -> u64 {
        self.checksums[form.index()]
    }

    /// Of VRRP: CARP has but one form, and no intervals to differ in.
    pub(super) fn receive(&mut self, received: &Received<'_>) {
        self.checksums[received.checksum.index()] += 1;
        self.addresses_differ += u64::from(received.addresses_differ);
        self.interval_differs += u64::from(received.interval_differs);
        let is_release = received.advertisement.priority() == Priority::RELEASE;
        self.releases_received += u64::from(is_release);
    }

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
            ("interval_differs", self.interval_differs),
            ("releases_received", self.releases_received),
            ("sent", self.sent),
            ("released", self.released),
            ("not_sent", self.not_sent),
            ("announced", self.announced),
            ("became_master", self.became_master),
            ("released_master", self.released_master),
        ] {
            map.entry(&name, &count);
        }
        let refused = Reason::ALL.iter().filter(|reason| self.refused(**reason) > 0);
        map.entries(refused.map(|reason| (reason.name(), self.refused(*reason)))).finish()
    }
}
