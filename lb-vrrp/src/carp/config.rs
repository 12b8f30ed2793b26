//! What a [`CarpHost`](crate::carp::CarpHost) is made of.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::Announcements;
use crate::error::ConfigError;
use crate::tracking::{Tracker, TrackerId, Trackers};

/// What unfitness does.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Demotion {
    /// It is added to the skew, up to 240, as FreeBSD does, and ucarp cannot tell. The default.
    #[default]
    AddedToSkew,
    /// It is said, and counts more than the skew, as with OpenBSD. Everybody must know of it.
    Said,
}

/// What a [`CarpHost`](crate::carp::CarpHost) is made of. Valid by construction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CarpConfig {
    pub(crate) announcements: Announcements,
    pub(super) base: u8,
    pub(super) dead_ratio: u8,
    pub(super) demotion: Demotion,
    pub(super) first_counter: u64,
    pub(super) preempt: bool,
    pub(super) skew: u8,
    pub(super) source: IpAddr,
    pub(crate) trackers: Trackers,
}

impl CarpConfig {
    /// One that advertises every second, without skew, and does not preempt, at the host with the
    /// primary address `source`: between equals the lower address stays master, as with ucarp.
    pub fn new(source: IpAddr) -> Self {
        Self {
            announcements: Announcements::default(),
            base: 1,
            dead_ratio: 3,
            demotion: Demotion::default(),
            first_counter: 0,
            preempt: false,
            skew: 0,
            source,
            trackers: Trackers::default(),
        }
    }

    /// Makes it depend on something: while that is down, a vital one is a fault, and one that weighs
    /// demotes by its weight, whichever its sign: there is nothing to be promoted to. It is `id` to
    /// [`CarpHost::handle_tracking`](super::CarpHost::handle_tracking), in later configurations as well; a
    /// second tracker of the same `id` takes the place of the first.
    pub fn track(&mut self, id: TrackerId, tracker: Tracker) -> &mut Self {
        self.trackers.set(id, tracker);
        self
    }

    /// It advertises every `base` seconds and `skew` 256ths: who does so most often wins.
    /// Default: 1 and 0.
    ///
    /// # Errors
    /// [`ConfigError::CarpPeriod`] unless both are below 255 and `base` is above 0.
    pub fn period(&mut self, base: u8, skew: u8) -> Result<&mut Self, ConfigError> {
        if base == 0 || base == u8::MAX || skew == u8::MAX {
            return Err(ConfigError::CarpPeriod { base, skew });
        }
        self.base = base;
        self.skew = skew;
        Ok(self)
    }

    /// After how many silent bases a master is dead. Default: 3.
    ///
    /// # Errors
    /// [`ConfigError::DownAfter`] unless it is 1 to 100.
    pub fn dead_ratio(&mut self, bases: u8) -> Result<&mut Self, ConfigError> {
        if !(1..=100).contains(&bases) {
            return Err(ConfigError::DownAfter { intervals: bases });
        }
        self.dead_ratio = bases;
        Ok(self)
    }

    /// Whether it takes over from a living master that advertises less often. Default: not.
    pub const fn preempt(&mut self, preempt: bool) -> &mut Self {
        self.preempt = preempt;
        self
    }

    /// What unfitness does. Default: [`Demotion::AddedToSkew`].
    pub const fn demotion(&mut self, demotion: Demotion) -> &mut Self {
        self.demotion = demotion;
        self
    }

    /// The counter of the first advertisement, which should not be one that was used before: draw
    /// it. Default: 0.
    pub const fn first_counter(&mut self, counter: u64) -> &mut Self {
        self.first_counter = counter;
        self
    }

    /// How it tells the link. Default: as [`Announcements`] says.
    pub const fn announcements(&mut self, announcements: Announcements) -> &mut Self {
        self.announcements = announcements;
        self
    }

    /// The primary address of its host.
    pub const fn source(&self) -> IpAddr {
        self.source
    }

    /// The same host elsewhere.
    pub const fn set_source(&mut self, source: IpAddr) -> &mut Self {
        self.source = source;
        self
    }

    /// The skew with a demotion on top.
    pub(super) fn skew(&self, demotion: u8) -> u8 {
        /// As far as FreeBSD goes, so that a demoted host is not taken for one that gives up.
        const MOST: u8 = 240;
        match self.demotion {
            Demotion::AddedToSkew if demotion > 0 => {
                self.skew.saturating_add(demotion).min(MOST.max(self.skew))
            }
            Demotion::AddedToSkew | Demotion::Said => self.skew,
        }
    }
}

/// A base and a skew as time.
pub(super) fn period(base: u32, skew: u8) -> Duration {
    Duration::from_secs(base.into()) + Duration::from_secs(skew.into()) / 256
}
