//! Whether enough backends live to serve, with hysteresis.

/// How much of a virtual server lives.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Strength {
    /// The sum of the effective weights of the live backends.
    pub weight: u64,
    /// How many backends are alive with a weight above 0.
    pub alive: usize,
    /// How many backends are configured and not in maintenance.
    pub configured: usize,
}

/// From which strength on a virtual server counts as up, and below which as down.
///
/// ```
/// use lb_core::quorum::{QuorumRule, Strength};
/// use lb_core::Quorum;
///
/// let weight = |weight| Strength { weight, alive: 1, configured: 1 };
/// let mut quorum = Quorum::new(QuorumRule::new(30, 2)?);
/// assert!(quorum.observe(weight(31)).is_none()); // not yet: up at 32
/// assert!(quorum.observe(weight(32)).is_some());
/// assert!(quorum.observe(weight(28)).is_none()); // still: down at 27
/// assert!(quorum.observe(weight(27)).is_some());
/// # Ok::<(), lb_core::quorum::QuorumError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct QuorumRule {
    measure: Measure,
    up_at: u64,
    down_at: u64,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Measure {
    /// The live weight.
    Weight,
    /// The live backends, in percent of those in service.
    Share,
}

/// These numbers make no quorum.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuorumError {
    /// With a hysteresis as large as the quorum it could never be lost by weight.
    #[error(
        "hysteresis {hysteresis} must be below quorum {quorum}; for thresholds further apart name both"
    )]
    Hysteresis {
        /// The quorum asked for.
        quorum: u64,
        /// The hysteresis asked for.
        hysteresis: u64,
    },
    /// Lost above the point where it is gained: it would flap without end.
    #[error("a quorum gained at {up_at} cannot be lost below {down_at}")]
    Reversed {
        /// Where it is gained.
        up_at: u64,
        /// Below which it is lost.
        down_at: u64,
    },
    /// More than all backends together.
    #[error("quorum needs {needed}, all backends together have {total}")]
    Unreachable {
        /// What it takes to gain the quorum.
        needed: u64,
        /// What there is if every backend lives.
        total: u64,
    },
    /// A quorum of nothing is no quorum.
    #[error("a quorum must be at least 1")]
    Zero,
}

impl QuorumRule {
    /// Any live backend will do: keepalived's default.
    pub const ANY: Self = Self { measure: Measure::Weight, up_at: 1, down_at: 1 };

    /// keepalived's `quorum` and `hysteresis`: gained at a live weight of `quorum + hysteresis`,
    /// lost below `quorum − hysteresis` or at 0 (`ipwrapper.c: update_quorum_state`). A well-known
    /// French tutorial has it lost at 29 and gained at 31 for quorum 30 and hysteresis 2; the
    /// source has it lost at 27 and gained at 32, and so have we.
    ///
    /// # Errors
    /// A quorum of 0, or a hysteresis that is not below it (keepalived lowers it with a warning).
    pub const fn new(quorum: u64, hysteresis: u64) -> Result<Self, QuorumError> {
        if quorum == 0 {
            return Err(QuorumError::Zero);
        }
        if hysteresis >= quorum {
            return Err(QuorumError::Hysteresis { quorum, hysteresis });
        }
        Self::between(quorum.saturating_add(hysteresis), quorum - hysteresis)
    }

    /// Gained at a live weight of `up_at`, lost below `down_at` or at 0. Two backends of weight 1
    /// with `between(2, 1)`: up when both live, down when none does.
    ///
    /// # Errors
    /// An `up_at` of 0, or a `down_at` above it.
    pub const fn between(up_at: u64, down_at: u64) -> Result<Self, QuorumError> {
        if up_at == 0 {
            return Err(QuorumError::Zero);
        }
        if down_at > up_at {
            return Err(QuorumError::Reversed { up_at, down_at });
        }
        Ok(Self { measure: Measure::Weight, up_at, down_at })
    }

    /// Gained when `up_at` percent of the backends in service live, lost below `down_at` percent
    /// or when none does, whatever their weights (seesaw's watermarks).
    ///
    /// # Errors
    /// As [`between`](Self::between), and an `up_at` above 100.
    pub const fn share(up_at: u64, down_at: u64) -> Result<Self, QuorumError> {
        if up_at > 100 {
            return Err(QuorumError::Unreachable { needed: up_at, total: 100 });
        }
        match Self::between(up_at, down_at) {
            Ok(rule) => Ok(Self { measure: Measure::Share, ..rule }),
            refused => refused,
        }
    }

    /// Whether backends of `total` weight together can ever gain this quorum. keepalived lowers a
    /// quorum above the total with a warning, and overlooks that the hysteresis may lift it there.
    ///
    /// # Errors
    /// [`QuorumError::Unreachable`] if they cannot.
    pub const fn reachable_with(&self, total: u64) -> Result<(), QuorumError> {
        match self.measure {
            Measure::Weight if self.up_at > total => {
                Err(QuorumError::Unreachable { needed: self.up_at, total })
            }
            _ => Ok(()),
        }
    }

    /// The live weight, or the percentage of live backends, at which the quorum is gained.
    pub const fn up_at(&self) -> u64 {
        self.up_at
    }

    /// The live weight, or the percentage of live backends, below which it is lost.
    pub const fn down_at(&self) -> u64 {
        self.down_at
    }

    /// Whether `strength` reaches `threshold`.
    fn reached(&self, strength: Strength, threshold: u64) -> bool {
        match self.measure {
            Measure::Weight => strength.weight >= threshold,
            Measure::Share => {
                strength.alive as u128 * 100 >= u128::from(threshold) * strength.configured as u128
            }
        }
    }
}

/// A change of quorum.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum QuorumChange {
    /// Enough live.
    Gained,
    /// Too few live.
    Lost,
}

/// The quorum of a virtual server: down until it is gained.
#[derive(Clone, Copy, Debug)]
pub struct Quorum {
    rule: QuorumRule,
    up: bool,
}

impl Quorum {
    /// A quorum that is not gained yet.
    pub const fn new(rule: QuorumRule) -> Self {
        Self { rule, up: false }
    }

    /// What lives now; the change that this makes, never the same one twice in a row.
    pub fn observe(&mut self, strength: Strength) -> Option<QuorumChange> {
        let threshold = if self.up { self.rule.down_at } else { self.rule.up_at };
        let up = strength.weight > 0 && self.rule.reached(strength, threshold);
        if up == self.up {
            return None;
        }
        self.up = up;
        Some(if up { QuorumChange::Gained } else { QuorumChange::Lost })
    }

    /// Judges by another rule from now on; what is gained stays gained until the next
    /// [`observe`](Self::observe).
    pub const fn set_rule(&mut self, rule: QuorumRule) {
        self.rule = rule;
    }

    /// The rule.
    pub const fn rule(&self) -> QuorumRule {
        self.rule
    }

    /// Whether it is gained.
    pub const fn is_up(&self) -> bool {
        self.up
    }
}
