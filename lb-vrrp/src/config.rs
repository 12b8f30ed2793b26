//! What a [`VirtualRouter`](crate::VirtualRouter) is made of.

use std::net::IpAddr;
use std::time::Duration;

use crate::channel::ChannelConfig;
use crate::error::ConfigError;
use crate::tracking::{Tracker, TrackerId, Trackers};
use crate::values::{Interval, Priority, Version};

/// Whether a router takes over from a living master of lower priority.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Preempt {
    /// Not before it has heard one for this long, without hearing a higher one. A master that died
    /// is succeeded without delay, at the start as well.
    After(Duration),
    /// As soon as it has heard nobody better for the master-down interval. The default.
    #[default]
    Immediately,
    /// Not at all: who is master stays master (keepalived's `nopreempt`).
    Never,
}

/// What a router takes itself for when it starts.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Start {
    /// A backup, for the master-down interval at least. The default.
    #[default]
    Backup,
    /// The master: it listens for little more than one interval (keepalived's `state MASTER`).
    Master,
}

/// How a master tells the link where the addresses are. Each number is per address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Announcements {
    /// How often at once when it becomes master. Default: 5.
    pub first: u8,
    /// After how long the first burst is repeated, for switches that were not ready. Default: 5 s;
    /// zero for not at all.
    pub second_after: Duration,
    /// How often at once when it has heard a lower master, whom clients may have believed: at most
    /// one such burst in an interval. Default: 2.
    pub reaction: u8,
    /// How often it says so again, once each time, as long as it is master. Default: 1 s; zero for
    /// never. This is what ends a black hole when the other side lost its master without a word.
    pub refresh: Duration,
    /// The least time from one announcement to the next on its link, with those of all other routers
    /// there that have one of their own (keepalived's `garp_interval` and `gna_interval`): there are
    /// switches that learn slowly. A driver sees to that. Default: zero, there is none.
    pub spacing: Duration,
}

impl Default for Announcements {
    fn default() -> Self {
        Self {
            first: 5,
            second_after: Duration::from_secs(5),
            reaction: 2,
            refresh: Duration::from_secs(1),
            spacing: Duration::ZERO,
        }
    }
}

/// What a [`VirtualRouter`](crate::VirtualRouter) is made of. Valid by construction.
///
/// ```
/// use std::time::Duration;
/// use lb_vrrp::{Config, Interval, Preempt, Priority, Version};
///
/// let mut config = Config::new("10.99.0.11".parse()?);
/// config
///     .priority(Priority::new(200))?
///     .version(Version::V3, Interval::from_centis(10)?)?
///     .preempt(Preempt::After(Duration::from_secs(30)));
/// assert!(config.priority(Priority::RELEASE).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    pub(crate) accept: bool,
    pub(crate) announcements: Announcements,
    pub(crate) down_after: u8,
    pub(crate) interval: Interval,
    pub(crate) parting_advertisement: bool,
    pub(crate) phase: u16,
    pub(crate) preempt: Preempt,
    pub(crate) priority: Priority,
    pub(crate) release_limit: Option<Duration>,
    pub(crate) source: IpAddr,
    pub(crate) start: Start,
    pub(crate) startup_delay: Duration,
    pub(crate) trackers: Trackers,
    pub(crate) version: Version,
}

impl Config {
    /// Version 3, priority 100, an interval of one second, at the host with the primary address
    /// `source`: between equal priorities the higher address wins.
    pub fn new(source: IpAddr) -> Self {
        Self {
            accept: true,
            announcements: Announcements::default(),
            down_after: 3,
            interval: Interval::default(),
            parting_advertisement: true,
            phase: 0,
            preempt: Preempt::default(),
            priority: Priority::default(),
            release_limit: None,
            source,
            start: Start::default(),
            startup_delay: Duration::ZERO,
            trackers: Trackers::default(),
            version: Version::V3,
        }
    }

    /// The router at the end of this channel.
    pub fn of(channel: &ChannelConfig) -> Self {
        Self { version: channel.version, interval: channel.interval, ..Self::new(channel.source) }
    }

    /// Who is wanted more. Default: [`Priority::DEFAULT`].
    ///
    /// # Errors
    /// [`ConfigError::Priority`] for [`Priority::RELEASE`].
    pub fn priority(&mut self, priority: Priority) -> Result<&mut Self, ConfigError> {
        if priority == Priority::RELEASE {
            return Err(ConfigError::Priority);
        }
        self.priority = priority;
        Ok(self)
    }

    /// Which timers, and how often it advertises. Default: version 3, every second.
    ///
    /// # Errors
    /// [`ConfigError::IntervalForVersion`].
    pub fn version(
        &mut self,
        version: Version,
        interval: Interval,
    ) -> Result<&mut Self, ConfigError> {
        if !interval.fits(version) {
            return Err(ConfigError::IntervalForVersion { version, interval });
        }
        self.version = version;
        self.interval = interval;
        Ok(self)
    }

    /// Whether it takes over from a living master. Default: [`Preempt::Immediately`].
    pub const fn preempt(&mut self, preempt: Preempt) -> &mut Self {
        self.preempt = preempt;
        self
    }

    /// Whether a master that is not the owner takes packets for the addresses (RFC 9568 6.1). It is
    /// for whoever adds the addresses to act on. Default: it does.
    pub const fn accept(&mut self, accept: bool) -> &mut Self {
        self.accept = accept;
        self
    }

    /// By how many 65536ths of an interval the second advertisement of a master comes early. Routers of
    /// one host that become master together would otherwise speak at the same moment for ever, and wait
    /// for each other each time: give each its own. Default: 0.
    pub const fn phase(&mut self, fraction: u16) -> &mut Self {
        self.phase = fraction;
        self
    }

    /// How it tells the link. Default: as [`Announcements`] says.
    pub const fn announcements(&mut self, announcements: Announcements) -> &mut Self {
        self.announcements = announcements;
        self
    }

    /// After how many silent intervals a master is dead; all routers must agree. Default: 3, as the
    /// RFC has it.
    ///
    /// # Errors
    /// [`ConfigError::DownAfter`] unless it is 1 to 100.
    pub fn down_after(&mut self, intervals: u8) -> Result<&mut Self, ConfigError> {
        if !(1..=100).contains(&intervals) {
            return Err(ConfigError::DownAfter { intervals });
        }
        self.down_after = intervals;
        Ok(self)
    }

    /// Whether it says a last word when a better master is heard, so that the winner announces
    /// itself at once. Default: it does.
    pub const fn parting_advertisement(&mut self, say: bool) -> &mut Self {
        self.parting_advertisement = say;
        self
    }

    /// For how long a master that gives up still answers while it waits for a successor. Default: as
    /// long as the slowest successor needs, and a tenth of a second.
    pub const fn release_limit(&mut self, limit: Duration) -> &mut Self {
        self.release_limit = Some(limit);
        self
    }

    /// What it takes itself for at the start. Default: [`Start::Backup`].
    pub const fn start(&mut self, start: Start) -> &mut Self {
        self.start = start;
        self
    }

    /// For how long it hears and says nothing after the start. Default: zero.
    pub const fn startup_delay(&mut self, delay: Duration) -> &mut Self {
        self.startup_delay = delay;
        self
    }

    /// Lets its priority, or its fitness, depend on something, which is `id` to
    /// [`VirtualRouter::handle_tracking`](crate::VirtualRouter::handle_tracking) from now on, in later
    /// configurations as well. A second tracker of the same `id` takes the place of the first.
    pub fn track(&mut self, id: TrackerId, tracker: Tracker) -> &mut Self {
        self.trackers.set(id, tracker);
        self
    }

    /// The priority before anything that is tracked.
    pub const fn base_priority(&self) -> Priority {
        self.priority
    }

    /// The primary address of its host.
    pub const fn source(&self) -> IpAddr {
        self.source
    }

    /// How often it advertises.
    pub const fn interval(&self) -> Interval {
        self.interval
    }

    /// Which version's timers it goes by.
    pub const fn protocol(&self) -> Version {
        self.version
    }

    /// Whether packets for the addresses are taken: always by the owner.
    pub fn accepts(&self) -> bool {
        self.accept || self.priority == Priority::OWNER
    }

    /// How long after the first advertisement the second one comes.
    pub(crate) fn first_interval(&self) -> Duration {
        let interval = self.interval.as_duration();
        interval - interval * u32::from(self.phase) / (1 << 16)
    }

    /// `Skew_Time` (RFC 9568 6.1, RFC 3768 6.1): less for higher priorities. At full precision, as
    /// keepalived has it: rounded to centiseconds all priorities would be the same at 10 ms.
    pub(crate) fn skew(&self, priority: Priority, master_interval: Interval) -> Duration {
        let unit = match self.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => master_interval.as_duration(),
        };
        unit * (256 - u32::from(priority.get())) / 256
    }

    /// `Active_Down_Interval`: after this much silence a master is dead.
    pub(crate) fn master_down(&self, priority: Priority, master_interval: Interval) -> Duration {
        let silence = master_interval.as_duration() * u32::from(self.down_after);
        silence + self.skew(priority, master_interval)
    }

    /// How long the slowest successor needs after a release.
    pub(crate) fn release_time(&self) -> Duration {
        const ROOM: Duration = Duration::from_millis(100);
        self.release_limit.unwrap_or_else(|| self.skew(Priority::RELEASE, self.interval) + ROOM)
    }
}
