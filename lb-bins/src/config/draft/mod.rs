//! What a front end reads and validation judges: values of the right type, each with its place.
//!
//! A front end reports what it cannot read as a value of the type here. All that can be said about
//! values (bounds, uniqueness, what must be there) is said by [`validate`](crate::config::validate), so
//! that every front end has the same rules.

pub(in crate::config) mod announcement;
pub(in crate::config) mod check;
pub(in crate::config) mod claim;
pub(in crate::config) mod vrrp;

use std::net::SocketAddr;
use std::time::Duration;

use lb_core::virtual_server::{DrainingClients, WhenDown, WhenFull};

use self::check::Check;
use crate::config::model::{Account, Address, Door, Forwarding, HashKey, OnFailure, SorryMode};
use crate::config::source::{Span, Spanned};

/// A value that may be missing.
///
/// A refused value is not a missing one: it has been reported, no default may be judged in its
/// place, and what depends on it cannot be judged at all.
#[derive(Clone, Debug, Default)]
pub(in crate::config) enum Field<T> {
    /// Nothing was written.
    #[default]
    Absent,
    /// What was written has been reported as a mistake.
    Refused,
    /// What was written.
    Given(Spanned<T>),
}

impl<T> Field<T> {
    /// The value, if there is one.
    pub(in crate::config) const fn given(&self) -> Option<&Spanned<T>> {
        match self {
            Self::Absent | Self::Refused => None,
            Self::Given(spanned) => Some(spanned),
        }
    }

    /// The same, to be changed.
    pub(in crate::config) const fn given_mut(&mut self) -> Option<&mut Spanned<T>> {
        match self {
            Self::Absent | Self::Refused => None,
            Self::Given(spanned) => Some(spanned),
        }
    }

    /// Where the value is, if there is one.
    pub(in crate::config) fn span(&self) -> Option<Span> {
        self.given().map(|spanned| spanned.span)
    }

    /// The value, or the one that holds when there is none.
    pub(in crate::config) fn or(&self, default: T) -> T
    where
        T: Copy,
    {
        self.given().map_or(default, |spanned| spanned.value)
    }

    /// The same value as another type.
    pub(in crate::config) fn map<U>(self, change: impl FnOnce(T) -> U) -> Field<U> {
        match self {
            Self::Absent => Field::Absent,
            Self::Refused => Field::Refused,
            Self::Given(Spanned { value, span }) => {
                Field::Given(Spanned { value: change(value), span })
            }
        }
    }

    /// Whether nothing was written.
    pub(in crate::config) const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether something was written that has been reported as a mistake.
    pub(in crate::config) const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused)
    }
}

/// A list, each of its elements with its place.
#[derive(Clone, Debug)]
pub(in crate::config) struct List<T> {
    /// The elements that could be read.
    pub(in crate::config) elements: Vec<Spanned<T>>,
    /// Whether those are all: the others have been reported as mistakes.
    pub(in crate::config) complete: bool,
}

impl<T> List<T> {
    /// Whether nothing was written, not even something that was refused.
    pub(in crate::config) const fn is_empty(&self) -> bool {
        self.elements.is_empty() && self.complete
    }
}

/// A whole configuration.
#[derive(Debug, Default)]
pub(in crate::config) struct Draft {
    pub(in crate::config) admin: Field<Door>,
    pub(in crate::config) admin_allow_remote: Field<bool>,
    pub(in crate::config) user: Field<Account>,
    pub(in crate::config) script_user: Field<Account>,
    pub(in crate::config) script_security: Field<bool>,
    pub(in crate::config) notify_fifo: Field<String>,
    pub(in crate::config) notify_fifo_script: Field<List<String>>,
    pub(in crate::config) notify_timeout: Field<Duration>,
    pub(in crate::config) smtp: Field<Mail>,
    pub(in crate::config) resolvers: Field<List<SocketAddr>>,
    pub(in crate::config) max_checks: Field<i64>,
    pub(in crate::config) max_scripts: Field<i64>,
    pub(in crate::config) virtual_servers: Field<List<VirtualServer>>,
    pub(in crate::config) vrrp_instances: Field<List<vrrp::VrrpInstance>>,
    pub(in crate::config) carp_instances: Field<List<vrrp::CarpInstance>>,
    pub(in crate::config) vrrp_sync_groups: Field<List<vrrp::VrrpSyncGroup>>,
    pub(in crate::config) vrrp_scripts: Field<List<vrrp::VrrpScript>>,
    pub(in crate::config) vrrp_checks: Field<List<vrrp::VrrpCheck>>,
    pub(in crate::config) vrrp_track_files: Field<List<vrrp::VrrpTrackFile>>,
    pub(in crate::config) vrrp_track_processes: Field<List<vrrp::VrrpTrackProcess>>,
    pub(in crate::config) static_addresses: Field<List<vrrp::VirtualAddress>>,
    pub(in crate::config) static_routes: Field<List<vrrp::Route>>,
    pub(in crate::config) static_rules: Field<List<vrrp::Rule>>,
    pub(in crate::config) bgp_announcements: Field<List<announcement::BgpAnnouncement>>,
}

#[derive(Debug, Default)]
pub(in crate::config) struct Mail {
    pub(in crate::config) server: Field<Address>,
    pub(in crate::config) from: Field<String>,
    pub(in crate::config) to: Field<List<String>>,
    pub(in crate::config) helo: Field<String>,
    pub(in crate::config) starttls: Field<bool>,
    pub(in crate::config) tls: Field<bool>,
    pub(in crate::config) options: check::Tls,
    pub(in crate::config) user: Field<String>,
    pub(in crate::config) password_file: Field<String>,
}

#[derive(Debug, Default)]
pub(in crate::config) struct VirtualServer {
    pub(in crate::config) name: Field<String>,
    pub(in crate::config) listen: Field<SocketAddr>,
    pub(in crate::config) forwarding: Field<Forwarding>,
    pub(in crate::config) scheduler: Field<String>,
    pub(in crate::config) hash_key: Field<HashKey>,
    pub(in crate::config) hash_granularity: Field<i64>,
    pub(in crate::config) hash_seed: Field<String>,
    pub(in crate::config) bounded: Field<Hundredths>,
    pub(in crate::config) zone: Field<String>,
    pub(in crate::config) spill_below: Field<i64>,
    pub(in crate::config) panic_below: Field<i64>,
    pub(in crate::config) slow_start: Field<Duration>,
    pub(in crate::config) queue: Field<Queue>,
    pub(in crate::config) quorum: Field<Quorum>,
    pub(in crate::config) hysteresis: Field<i64>,
    pub(in crate::config) sorry_server: Field<Address>,
    pub(in crate::config) sorry_mode: Field<SorryMode>,
    pub(in crate::config) sorry_checks: Field<Checks>,
    pub(in crate::config) persistence: Field<Persistence>,
    pub(in crate::config) draining_clients: Field<DrainingClients>,
    pub(in crate::config) on_quorum_up: Field<List<String>>,
    pub(in crate::config) on_quorum_down: Field<List<String>>,
    pub(in crate::config) down_when_stopped: Field<bool>,
    pub(in crate::config) on_failure: Field<OnFailure>,
    pub(in crate::config) on_up: Field<List<String>>,
    pub(in crate::config) on_down: Field<List<String>>,
    pub(in crate::config) passive: Field<Passive>,
    pub(in crate::config) connect_timeout: Field<Duration>,
    pub(in crate::config) drain_timeout: Field<Duration>,
    pub(in crate::config) retries: Field<i64>,
    pub(in crate::config) checks: Field<Checks>,
    pub(in crate::config) backends: Field<List<Backend>>,
}

/// A number with at most two decimals.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Hundredths(pub(in crate::config) i64);

#[derive(Debug, Default)]
pub(in crate::config) struct Passive {
    pub(in crate::config) consecutive: Field<i64>,
    pub(in crate::config) failure_percent: Field<i64>,
    pub(in crate::config) minimum: Field<i64>,
    pub(in crate::config) interval: Field<Duration>,
    pub(in crate::config) eject: Field<Duration>,
    pub(in crate::config) longest: Field<Duration>,
    pub(in crate::config) max_ejected: Field<i64>,
    pub(in crate::config) deviations: Field<Hundredths>,
    pub(in crate::config) back_on_check: Field<bool>,
}

#[derive(Debug, Default)]
pub(in crate::config) struct Queue {
    pub(in crate::config) length: Field<i64>,
    pub(in crate::config) timeout: Field<Duration>,
}

#[derive(Debug)]
pub(in crate::config) enum Quorum {
    Thresholds { up_at: Field<Threshold>, down_at: Field<Threshold> },
    Weight(i64),
}

#[derive(Clone, Copy, Debug)]
pub(in crate::config) enum Threshold {
    Percent(i64),
    Weight(i64),
}

#[derive(Debug, Default)]
pub(in crate::config) struct Persistence {
    pub(in crate::config) timeout: Field<Duration>,
    pub(in crate::config) while_open: Field<bool>,
    pub(in crate::config) granularity: Field<i64>,
    pub(in crate::config) capacity: Field<i64>,
    pub(in crate::config) min_age: Field<Duration>,
    pub(in crate::config) when_full: Field<WhenFull>,
    pub(in crate::config) when_down: Field<WhenDown>,
}

#[derive(Debug, Default)]
pub(in crate::config) struct Backend {
    pub(in crate::config) address: Field<Address>,
    pub(in crate::config) weight: Field<i64>,
    pub(in crate::config) priority: Field<i64>,
    pub(in crate::config) zone: Field<String>,
    pub(in crate::config) max_connections: Field<i64>,
    pub(in crate::config) u_threshold: Field<i64>,
    pub(in crate::config) l_threshold: Field<i64>,
    pub(in crate::config) on_failure: Field<OnFailure>,
    pub(in crate::config) on_up: Field<List<String>>,
    pub(in crate::config) on_down: Field<List<String>>,
    pub(in crate::config) checks: Field<Checks>,
}

#[derive(Debug)]
pub(in crate::config) enum Checks {
    Listed(List<Check>),
    Unchecked,
}
