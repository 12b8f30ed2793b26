//! How many checks run at once.

use std::num::{NonZeroU32, NonZeroUsize};

use lb_health::checkers::ScriptSlots;
use tracing::warn;

use crate::config::Config;

/// How many checks run at once. Those that run have their places by it, so that no reload changes it; that
/// of scripts it does.
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

    /// The most scripts at once.
    pub(super) fn scripts(self) -> NonZeroUsize {
        let most = self.scripts.and_then(|most| NonZeroUsize::try_from(most).ok());
        most.unwrap_or_else(ScriptSlots::default_count)
    }

    /// Warns of others that take a restart.
    pub(super) fn warn_of(self, others: Self) {
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
