//! What a Monitor tells of a backend, and why.

use std::time::Instant;

use lb_core::Health;
use lb_core::backend::BackendId;
use lb_core::health::{ReportedLimit, ReportedWeight};

use crate::state::CheckState;
use crate::{Check, CheckError, CheckId};

/// What happened to a backend or one of its checks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<K = BackendId> {
    /// A check cannot be run: [`Obstruction::THRESHOLD`] runs in a row failed for a reason on this
    /// host. They say nothing of the backend, whose health stays as it is, unwatched.
    Obstructed(Obstruction<K>),
    /// A check that was obstructed could be run again, whatever came of it.
    Unobstructed {
        /// The backend.
        backend: K,
        /// Its check.
        check: CheckId,
    },
    /// The combined health of a backend changed.
    Verdict(Verdict<K>),
}

impl<K: Copy> Event<K> {
    /// The backend it happened to.
    pub const fn backend(&self) -> K {
        match self {
            Self::Obstructed(obstruction) => obstruction.backend,
            Self::Unobstructed { backend, .. } => *backend,
            Self::Verdict(verdict) => verdict.backend,
        }
    }

    /// The check that it is about, if it is about one alone.
    pub(crate) const fn check(&self) -> Option<CheckId> {
        match self {
            Self::Obstructed(obstruction) => Some(obstruction.check),
            Self::Unobstructed { check, .. } => Some(*check),
            Self::Verdict(_) => None,
        }
    }
}

/// A check cannot be run.
///
/// Told once, when the count is full, and anew when the check that
/// [replaced](crate::Monitor::replace) it cannot be run either; further errors only count in
/// [`Check::local_errors`](crate::Check::local_errors).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Obstruction<K = BackendId> {
    /// The backend.
    pub backend: K,
    /// Its check.
    pub check: CheckId,
    /// The runs in a row that failed here.
    pub errors: u32,
    /// What the last of them met with.
    pub error: CheckError,
}

impl Obstruction {
    /// The runs in a row that must fail here before it is told: one stall is no obstruction.
    pub const THRESHOLD: u32 = 3;
}

/// The combined health of a backend changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verdict<K = BackendId> {
    /// The backend.
    pub backend: K,
    /// What all of its checks say together.
    pub health: Health,
    /// What decided it.
    pub because: Because,
}

/// What decided a [`Verdict`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Because {
    /// A run failed.
    Failed {
        /// The check.
        check: CheckId,
        /// Its cause.
        error: CheckError,
    },
    /// A check no longer counts, and the others say this.
    Forgotten {
        /// The check.
        check: CheckId,
    },
    /// A new check is taken to pass until its first verdict, or is of no help and left out.
    Initial {
        /// The check.
        check: CheckId,
    },
    /// A run passed.
    Passed {
        /// The check.
        check: CheckId,
    },
    /// The backend is checked again, and its checks are not those it was suspended with.
    Resumed,
    /// Traffic failed to reach the backend.
    Traffic {
        /// What happened to it.
        error: CheckError,
        /// Until when checks that pass do not bring the backend up: it came up on their word
        /// before, and traffic failed again. See [`Monitor`](crate::Monitor).
        held_until: Option<Instant>,
    },
}

/// The checks of one backend together: all must pass, their weights add up, and the least limit counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Combined {
    Down,
    /// No check fails, but one that counts has yet to say so.
    Undecided,
    Up(ReportedWeight, ReportedLimit),
}

impl Combined {
    /// No check at all: nothing speaks against the backend.
    pub(crate) const NONE: Self = Self::Up(ReportedWeight::NONE, ReportedLimit::NONE);

    /// With one more check.
    pub(crate) fn and<K: Copy + Eq>(self, check: &Check<K>) -> Self {
        let passes = match check.state {
            _ if check.is_left_out() => return self,
            CheckState::Down { .. } => return Self::Down,
            CheckState::Off { .. } => false,
            CheckState::Unknown { .. } => check.spec.initially_up(),
            CheckState::Up { stale, .. } => !stale,
        };
        match self {
            Self::Down => Self::Down,
            Self::Up(sum, limit) if passes => {
                Self::Up(check.said.weight(sum), limit.with(check.said.limit()))
            }
            Self::Undecided | Self::Up(..) => Self::Undecided,
        }
    }

    /// The health to publish, if it is decided.
    pub(crate) const fn health(self) -> Option<Health> {
        match self {
            Self::Down => Some(Health::Down),
            Self::Undecided => None,
            Self::Up(weight, limit) => Some(Health::Up { weight, limit }),
        }
    }
}
