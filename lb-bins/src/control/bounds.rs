//! How many checks run at once.

use std::num::{NonZeroU32, NonZeroUsize};

use lb_health::checkers::ScriptSlots;
use tracing::warn;

use crate::config::Config;

/// How many checks run at once, as it was when they began: those that run have their places by it, and no
/// reload changes it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Bounds {
    checks: Option<NonZeroU32>,
    scripts: Option<NonZeroU32>,
}

impl Bounds {
    /// The most checks at once, if there is a bound.
    pub(super) fn checks(self) -> Option<NonZeroUsize> {
        NonZeroUsize::try_from(self.checks?).ok()
    }

    /// The places of scripts.
    pub(super) fn slots(self) -> ScriptSlots {
        let most = self.scripts.and_then(|most| NonZeroUsize::try_from(most).ok());
        most.map_or_else(ScriptSlots::default, ScriptSlots::new)
    }

    /// Warns of others.
    pub(super) fn warn_of(self, others: Self) {
        if others.scripts != self.scripts {
            warn!("another `max_scripts` takes a restart");
        }
        if others.checks != self.checks {
            warn!("another `max_checks` takes a restart");
        }
    }

    /// A configuration that says nothing else.
    pub(super) fn alone(self) -> Config {
        Config { max_checks: self.checks, max_scripts: self.scripts, ..Config::default() }
    }
}

impl From<&Config> for Bounds {
    fn from(config: &Config) -> Self {
        Self { checks: config.max_checks, scripts: config.max_scripts }
    }
}
