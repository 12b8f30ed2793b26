//! Addresses, routes and rules that are there whoever is master.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use lb_vrrp::linux::{Fixed, FixedSettings};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::config::Config;

/// How long something may be missing that somebody took away, or whose interface was not there.
const PATIENCE: Duration = Duration::from_secs(1);

/// All of them, as long as this daemon runs.
#[derive(Debug)]
pub(super) struct Statics {
    kernel: FixedSettings,
    /// In the order in which they need each other.
    all: Vec<Static>,
    /// Whether it was looked at what a crash has left.
    has_inherited: bool,
    look: Interval,
}

#[derive(Debug)]
struct Static {
    fixed: Fixed,
    /// Whether we put it there; else it was there before, and stays when we go.
    is_ours: bool,
    /// Whether it was said that somebody else has put it there.
    is_others: bool,
    /// What was wrong the last time: said once.
    failure: Option<String>,
}

impl Statics {
    /// None yet. To be called in a runtime.
    pub(super) fn new() -> io::Result<Self> {
        let mut look = interval(PATIENCE);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let kernel = FixedSettings::new()?;
        Ok(Self { kernel, all: Vec::new(), has_inherited: false, look })
    }

    /// Has those of a configuration. What stays is not touched.
    pub(super) fn set(&mut self, config: &Config) {
        let addresses = config.static_addresses.iter().cloned().map(Fixed::Address);
        let routes = config.static_routes.iter().cloned().map(Fixed::Route);
        let rules = config.static_rules.iter().cloned().map(Fixed::Rule);
        let wanted: Vec<_> = addresses.chain(routes).chain(rules).collect();
        let inherited = self.inherit(&wanted);
        let (stay, go): (Vec<_>, Vec<_>) =
            self.all.drain(..).partition(|known| wanted.contains(&known.fixed));
        self.all = stay;
        self.remove(go);
        let mut before = std::mem::take(&mut self.all);
        for fixed in wanted {
            let known = before.iter().position(|known| known.fixed == fixed);
            let is_ours = inherited.contains(&fixed);
            let fresh = Static { fixed, is_ours, is_others: false, failure: None };
            let one = known.map_or(fresh, |at| before.swap_remove(at));
            let is_new = known.is_none();
            self.all.push(one);
            if is_new && let Some(one) = self.all.last_mut() {
                one.put(&mut self.kernel);
            }
        }
    }

    /// What a crash has left, once: all of it goes but this.
    fn inherit(&mut self, wanted: &[Fixed]) -> Vec<Fixed> {
        if std::mem::replace(&mut self.has_inherited, true) {
            return Vec::new();
        }
        let inherited = self.kernel.inherit(wanted);
        let kept: Vec<_> = inherited.kept.iter().map(described).collect();
        tell_leftovers(&inherited.removed, &kept);
        for error in inherited.failures {
            warn!(%error, "what a crash may have left of what is static is left alone");
        }
        inherited.kept
    }

    /// When they are to be looked at again; without any, never.
    pub(super) async fn due(&mut self) {
        if self.all.is_empty() {
            return std::future::pending().await;
        }
        self.look.tick().await;
    }

    /// Puts back what is not there any more, and there what could not be put.
    pub(super) fn look(&mut self) {
        for one in self.all.iter_mut().filter(|one| one.can_be_repeated()) {
            one.put(&mut self.kernel);
        }
    }

    /// Takes away what we put there.
    pub(super) fn clear(&mut self) {
        let all = self.all.drain(..).collect();
        self.remove(all);
    }

    fn remove(&mut self, gone: Vec<Static>) {
        for one in gone.into_iter().rev().filter(|one| one.is_ours) {
            if let Err(error) = self.kernel.remove(&one.fixed) {
                let what = described(&one.fixed);
                warn!(%error, "something static is left on this host: {what}");
            }
        }
    }
}

impl Static {
    /// A rule without a priority of its own would be there once more each time.
    fn can_be_repeated(&self) -> bool {
        !matches!(&self.fixed, Fixed::Rule(rule) if rule.priority.is_none() && self.is_ours)
    }

    fn put(&mut self, kernel: &mut FixedSettings) {
        match kernel.add(&self.fixed) {
            Ok(true) => {
                let again = if self.is_ours { " back" } else { "" };
                info!("put{again} in place: {}", described(&self.fixed));
                (self.is_ours, self.failure) = (true, None);
            }
            Ok(false) => {
                self.failure = None;
                if !self.is_ours && !std::mem::replace(&mut self.is_others, true) {
                    info!("there already, and left alone: {}", described(&self.fixed));
                }
            }
            Err(error) => {
                let failure = Some(error.to_string());
                if self.failure != failure {
                    warn!(%error, "not in place: {}", described(&self.fixed));
                }
                self.failure = failure;
            }
        }
    }
}

/// Logs what a process that was killed has left, and what became of it.
pub(super) fn tell_leftovers(removed: &[impl Display], kept: &[impl Display]) {
    for what in removed {
        info!("removed what a run that was killed had left: {what}");
    }
    for what in kept {
        info!("found what a run that was killed had left: {what}");
    }
}

fn described(fixed: &Fixed) -> String {
    match fixed {
        Fixed::Address(address) => format!("address {}/{}", address.address, address.prefix),
        Fixed::Route(route) => route.to_string(),
        Fixed::Rule(rule) => rule.to_string(),
        other => format!("{other:?}"),
    }
}
