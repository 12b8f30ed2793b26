//! Rise and fall: when results in a row change what is believed of a target.

use std::num::NonZeroU32;

/// How many results in a row decide.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Thresholds {
    /// The successes in a row that lead up.
    pub rise: NonZeroU32,
    /// The failures in a row that lead down.
    pub fall: NonZeroU32,
    /// Whether the very first result decides alone.
    pub first_decisive: bool,
}

impl Default for Thresholds {
    /// Rise 2, fall 3, the first result decides.
    fn default() -> Self {
        const TWO: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);
        const THREE: NonZeroU32 = TWO.saturating_add(1);
        Self { rise: TWO, fall: THREE, first_decisive: true }
    }
}

/// One thing that happens to a check.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CheckInput {
    /// The target passed.
    Ok,
    /// The target failed.
    Fail,
    /// The run says nothing of the target.
    Local,
    /// The check is suspended.
    Off,
    /// The check is resumed.
    On,
    /// Real traffic failed there: a doubt, and no run of the check.
    Traffic,
}

/// The verdict of one check changed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Transition {
    /// It is down now.
    Down,
    /// It is up now.
    Up,
}

/// What a check believed before it was suspended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LastKnown {
    /// That the target fails.
    Down,
    /// Nothing yet.
    Unknown,
    /// That the target passes.
    Up,
}

/// What a check believes of its target. Pure: it knows results, not time.
///
/// ```text
///                 first Ok (or rise in a row)
///      ┌─────────┐ ─────────────────────────▶ ┌────┐ ◀─┐ Ok: failures = 0
///      │ Unknown │                            │ Up │ ──┘ Fail, Traffic: failures + 1
///      └─────────┘ ───────────┐               └────┘
///                 first Fail  │   Ok, passes   ▲  │   Fail, failures reach fall; or
///       (or fall in a row)    ▼   reach rise   │  ▼   Traffic, failures reach fall and 3
///                           ┌──────┐ ──────────┘  │
///   Fail: passes = 0   ┌──▶ │ Down │ ◀────────────┘
///                      └─── └──────┘
///
///   any ── Off ──▶ Off { last known } ── On ──▶ what was last known, stale:
///                                               the next result decides alone.
///   any ── Local ──▶ unchanged, streaks included.
///   any but Up, and what is stale ── Traffic ──▶ unchanged.
/// ```
///
/// A client may fail for reasons of its own, and many at once under load: where a single run decides, a
/// single client must not. So it takes [`Self::FEWEST_OF_TRAFFIC`] failures in a row or more until traffic
/// takes anything down, and a stale belief waits for a run.
///
/// ```
/// use lb_health::state::{CheckInput, CheckState, Thresholds, Transition};
///
/// let thresholds = Thresholds::default(); // rise 2, fall 3
/// let mut state = CheckState::default();
/// let mut feed = |input| state.observe(input, thresholds);
///
/// assert_eq!(feed(CheckInput::Ok), Some(Transition::Up));
/// assert_eq!(feed(CheckInput::Fail), None);
/// assert_eq!(feed(CheckInput::Local), None); // out of descriptors: no third failure
/// assert_eq!(feed(CheckInput::Fail), None);
/// assert_eq!(feed(CheckInput::Fail), Some(Transition::Down));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CheckState {
    /// The target fails.
    Down {
        /// Successes in a row so far, below rise.
        passes: u32,
        /// The belief is old: the next result decides alone.
        stale: bool,
    },
    /// The check is suspended.
    Off {
        /// What it believed before.
        last_known: LastKnown,
    },
    /// No verdict yet. At most one of the streaks is above zero.
    Unknown {
        /// Successes in a row so far, below rise.
        passes: u32,
        /// Failures in a row so far, below fall.
        failures: u32,
    },
    /// The target passes.
    Up {
        /// Failures in a row so far: below fall or, if there is traffic's among them, below
        /// [`FEWEST_OF_TRAFFIC`](CheckState::FEWEST_OF_TRAFFIC) as well.
        failures: u32,
        /// The belief is old: the next result decides alone.
        stale: bool,
    },
}

impl CheckState {
    /// The failures in a row that it takes at least until traffic's word takes a target down: as many as by
    /// default those of runs.
    pub const FEWEST_OF_TRAFFIC: u32 = 3;

    const DOWN: Self = Self::Down { passes: 0, stale: false };
    const UNKNOWN: Self = Self::Unknown { passes: 0, failures: 0 };
    const UP: Self = Self::Up { failures: 0, stale: false };

    /// Takes one input; answers the transition if it changed the verdict. O(1).
    pub fn observe(&mut self, input: CheckInput, thresholds: Thresholds) -> Option<Transition> {
        let (next, transition) = self.after(input, thresholds);
        *self = next;
        transition
    }

    /// Whether one more failure of traffic takes the target down.
    #[must_use]
    pub fn falls_by_traffic(mut self, thresholds: Thresholds) -> bool {
        self.observe(CheckInput::Traffic, thresholds) == Some(Transition::Down)
    }

    /// The state of the check that takes this one's place when the configuration changes.
    ///
    /// A backend that is up stays up until the new check's own verdict (keepalived's rule since
    /// #1180); one that is down needs a single success. What was not decided starts over.
    #[must_use]
    pub const fn replaced(self) -> Self {
        match self {
            Self::Up { .. } => Self::UP,
            Self::Down { .. } => Self::Down { passes: 0, stale: true },
            Self::Unknown { .. } => Self::UNKNOWN,
            Self::Off { .. } => self,
        }
    }

    /// Whether few more results may change the verdict, so that they are wanted soon.
    pub const fn near_edge(self) -> bool {
        match self {
            Self::Unknown { .. } => true,
            Self::Up { failures, stale } => failures > 0 || stale,
            Self::Down { passes, stale } => passes > 0 || stale,
            Self::Off { .. } => false,
        }
    }

    /// The streaks that show in a status: (successes, failures) in a row, towards the next verdict.
    pub const fn streaks(self) -> (u32, u32) {
        match self {
            Self::Unknown { passes, failures } => (passes, failures),
            Self::Up { failures, .. } => (0, failures),
            Self::Down { passes, .. } => (passes, 0),
            Self::Off { .. } => (0, 0),
        }
    }

    fn after(self, input: CheckInput, thresholds: Thresholds) -> (Self, Option<Transition>) {
        let Thresholds { rise, fall, first_decisive } = thresholds;
        match (self, input) {
            (_, CheckInput::Local) => (self, None),

            (Self::Up { failures, stale: false }, CheckInput::Traffic) => {
                if failures + 1 >= fall.get().max(Self::FEWEST_OF_TRAFFIC) {
                    (Self::DOWN, Some(Transition::Down))
                } else {
                    (Self::Up { failures: failures + 1, stale: false }, None)
                }
            }
            (_, CheckInput::Traffic) => (self, None),

            (Self::Off { .. }, CheckInput::Ok | CheckInput::Fail | CheckInput::Off) => (self, None),
            (Self::Off { last_known }, CheckInput::On) => (last_known.recalled(), None),
            (_, CheckInput::Off) => (Self::Off { last_known: self.last_known() }, None),
            (_, CheckInput::On) => (self, None),

            (Self::Unknown { passes, .. }, CheckInput::Ok) => {
                if first_decisive || passes + 1 >= rise.get() {
                    (Self::UP, Some(Transition::Up))
                } else {
                    (Self::Unknown { passes: passes + 1, failures: 0 }, None)
                }
            }
            (Self::Unknown { failures, .. }, CheckInput::Fail) => {
                if first_decisive || failures + 1 >= fall.get() {
                    (Self::DOWN, Some(Transition::Down))
                } else {
                    (Self::Unknown { passes: 0, failures: failures + 1 }, None)
                }
            }

            (Self::Up { .. }, CheckInput::Ok) => (Self::UP, None),
            (Self::Up { failures, stale }, CheckInput::Fail) => {
                if stale || failures + 1 >= fall.get() {
                    (Self::DOWN, Some(Transition::Down))
                } else {
                    (Self::Up { failures: failures + 1, stale }, None)
                }
            }

            (Self::Down { .. }, CheckInput::Fail) => (Self::DOWN, None),
            (Self::Down { passes, stale }, CheckInput::Ok) => {
                if stale || passes + 1 >= rise.get() {
                    (Self::UP, Some(Transition::Up))
                } else {
                    (Self::Down { passes: passes + 1, stale }, None)
                }
            }
        }
    }

    const fn last_known(self) -> LastKnown {
        match self {
            Self::Down { .. } => LastKnown::Down,
            Self::Off { last_known } => last_known,
            Self::Unknown { .. } => LastKnown::Unknown,
            Self::Up { .. } => LastKnown::Up,
        }
    }
}

impl Default for CheckState {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl LastKnown {
    const fn recalled(self) -> CheckState {
        match self {
            Self::Down => CheckState::Down { passes: 0, stale: true },
            Self::Unknown => CheckState::UNKNOWN,
            Self::Up => CheckState::Up { failures: 0, stale: true },
        }
    }
}
