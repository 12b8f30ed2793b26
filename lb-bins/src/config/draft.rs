//! What a front end reads and validation judges: values of the right type, each with its place.
//!
//! A front end reports what it cannot read as a value of the type here. All that can be said about
//! values (bounds, uniqueness, what must be there) is said by [`validate`](super::validate), so
//! that every front end has the same rules.

use std::net::SocketAddr;
use std::time::Duration;

use lb_core::virtual_server::DrainingClients;

use super::model::{HashKey, Initial, SorryMode};
use super::source::{Span, Spanned};

/// A value that may be missing.
///
/// A refused value is not a missing one: it has been reported, no default may be judged in its
/// place, and what depends on it cannot be judged at all.
#[derive(Clone, Debug, Default)]
pub(super) enum Field<T> {
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
    pub(super) const fn given(&self) -> Option<&Spanned<T>> {
        match self {
            Self::Absent | Self::Refused => None,
            Self::Given(spanned) => Some(spanned),
        }
    }

    /// Where the value is, if there is one.
    pub(super) fn span(&self) -> Option<Span> {
        self.given().map(|spanned| spanned.span)
    }

    /// The value, or the one that holds when there is none.
    pub(super) fn or(&self, default: T) -> T
    where
        T: Copy,
    {
        self.given().map_or(default, |spanned| spanned.value)
    }

    /// Whether something was written that has been reported as a mistake.
    pub(super) const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused)
    }
}

/// A list, each of its elements with its place.
#[derive(Clone, Debug)]
pub(super) struct List<T> {
    /// The elements that could be read.
    pub(super) elements: Vec<Spanned<T>>,
    /// Whether those are all: the others have been reported as mistakes.
    pub(super) complete: bool,
}

impl<T> List<T> {
    /// Whether nothing was written, not even something that was refused.
    pub(super) const fn is_empty(&self) -> bool {
        self.elements.is_empty() && self.complete
    }
}

/// A whole configuration.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) admin: Field<SocketAddr>,
    pub(super) admin_allow_remote: Field<bool>,
    pub(super) virtual_servers: Field<List<VirtualServer>>,
}

#[derive(Debug)]
pub(super) struct VirtualServer {
    pub(super) name: Field<String>,
    pub(super) listen: Field<SocketAddr>,
    pub(super) scheduler: Field<String>,
    pub(super) hash_key: Field<HashKey>,
    pub(super) bounded: Field<Hundredths>,
    pub(super) zone: Field<String>,
    pub(super) spill_below: Field<i64>,
    pub(super) panic_below: Field<i64>,
    pub(super) slow_start: Field<Duration>,
    pub(super) queue: Field<Queue>,
    pub(super) quorum: Field<Quorum>,
    pub(super) hysteresis: Field<i64>,
    pub(super) sorry_server: Field<SocketAddr>,
    pub(super) sorry_mode: Field<SorryMode>,
    pub(super) persistence: Field<Persistence>,
    pub(super) draining_clients: Field<DrainingClients>,
    pub(super) on_quorum_up: Field<List<String>>,
    pub(super) on_quorum_down: Field<List<String>>,
    pub(super) connect_timeout: Field<Duration>,
    pub(super) drain_timeout: Field<Duration>,
    pub(super) retries: Field<i64>,
    pub(super) checks: Field<Checks>,
    pub(super) backends: Field<List<Backend>>,
}

/// A number with at most two decimals.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hundredths(pub(super) i64);

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) length: Field<i64>,
    pub(super) timeout: Field<Duration>,
}

#[derive(Debug)]
pub(super) enum Quorum {
    Thresholds { up_at: Field<Threshold>, down_at: Field<Threshold> },
    Weight(i64),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Threshold {
    Percent(i64),
    Weight(i64),
}

#[derive(Debug)]
pub(super) struct Persistence {
    pub(super) timeout: Field<Duration>,
    pub(super) granularity: Field<i64>,
    pub(super) capacity: Field<i64>,
    pub(super) min_age: Field<Duration>,
}

#[derive(Debug)]
pub(super) struct Backend {
    pub(super) address: Field<SocketAddr>,
    pub(super) weight: Field<i64>,
    pub(super) priority: Field<i64>,
    pub(super) zone: Field<String>,
    pub(super) max_connections: Field<i64>,
    pub(super) u_threshold: Field<i64>,
    pub(super) l_threshold: Field<i64>,
    pub(super) checks: Field<Checks>,
}

#[derive(Debug)]
pub(super) enum Checks {
    Listed(List<Check>),
    Unchecked,
}

#[derive(Debug)]
pub(super) struct Check {
    pub(super) kind: Field<CheckType>,
    pub(super) port: Field<i64>,
    pub(super) interval: Field<Duration>,
    pub(super) timeout: Field<Duration>,
    pub(super) rise: Field<i64>,
    pub(super) fall: Field<i64>,
    pub(super) fast_interval: Field<Duration>,
    pub(super) down_interval: Field<Duration>,
    pub(super) jitter: Field<i64>,
    pub(super) initial: Field<Initial>,
    pub(super) path: Field<String>,
    pub(super) host: Field<String>,
    pub(super) status: Field<List<Status>>,
    pub(super) md5: Field<String>,
    pub(super) command: Field<List<String>>,
    pub(super) dynamic_weight: Field<bool>,
}

/// The kinds of check by name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum CheckType {
    Http,
    Script,
    #[default]
    Tcp,
}

/// A range of status codes of which nothing is known yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status {
    pub(super) first: i64,
    pub(super) last: i64,
}
