//! Backends, as a configuration has them.

use std::num::NonZeroU32;

use lb_core::Weight;

use super::check::Check;
use super::{Address, Command};

/// A server behind a virtual server.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// Where flows are sent.
    pub address: Address,
    /// Its share of new flows; default: 1. Zero drains it.
    pub weight: Weight,
    /// The group that it is in: 0, the default, is tried first.
    pub priority: u8,
    /// Where it is; default: nowhere.
    pub zone: Option<String>,
    /// How many connections it takes at once; default: as many as come.
    pub max_connections: Option<NonZeroU32>,
    /// With how many connections it counts as full until it has fewer than
    /// [`l_threshold`](Self::l_threshold); default: never.
    pub u_threshold: Option<NonZeroU32>,
    /// At most `u_threshold`, which is there; default: three quarters of it.
    pub l_threshold: Option<NonZeroU32>,
    /// What becomes of it when its checks fail; default: [`OnFailure::Remove`].
    pub on_failure: OnFailure,
    /// What runs when it comes up; default: nothing.
    pub on_up: Option<Command>,
    /// What runs when it goes down; default: nothing.
    pub on_down: Option<Command>,
    /// What decides whether it is alive: all must pass. Empty: always alive.
    ///
    /// Its own checks, or else those of the virtual server.
    pub checks: Vec<Check>,
}

/// What becomes of a backend whose checks fail.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum OnFailure {
    /// It is taken out.
    #[default]
    Remove,
    /// It is drained, so that those who are persisted there stay: keepalived's
    /// `inhibit_on_failure`.
    WeightZero,
}
