//! Servers, checked as backends are.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;

use lb_core::{Health, Weight};
use lb_health::monitor::{Because, Obstruction};
use lb_health::{CheckSpec, Driver, Event};
use lb_vrrp::Signal;
use rand::rngs::SmallRng;
use tracing::{info, warn};

use super::Reporter;
use crate::checkers::{AnyChecker, Files, Shared, checker, spec};
use crate::config::{Address, VrrpCheck};
use crate::names::{Names, nominal};
use crate::status::in_full;
use crate::vip::StartError;

/// What is checked where there is no target: this host alone.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

/// Whatever runs the checks of each name.
pub(in crate::vip) type Checkers = HashMap<String, Built>;

/// What runs the checks of one name.
#[derive(Debug, Default)]
pub(in crate::vip) struct Built {
    /// What is in the files that they need.
    pub(super) stamp: u64,
    pub(super) checks: Vec<Prepared>,
}

/// One check that only has to be started.
pub(in crate::vip) struct Prepared {
    target: SocketAddr,
    checker: AnyChecker,
    spec: CheckSpec,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("target", &self.target).finish_non_exhaustive()
    }
}

/// Builds them. Reads the files that they need.
///
/// # Errors
/// [`StartError::Check`], if a file is not as it should be, or a checker refuses what the configuration
/// allowed.
pub(super) fn checkers<'a>(
    all: impl Iterator<Item = &'a VrrpCheck>,
    resolvers: &[SocketAddr],
) -> Result<Checkers, StartError> {
    let (shared, mut names) = (Shared::default(), Names::new(resolvers));
    let mut files = Files::default();
    let each = all.map(|check| {
        let target = Address::from(check.target.unwrap_or(NOWHERE));
        let prepared = check.checks.iter().map(|one| {
            let address = one.target(&target);
            let checker = checker(one, &address, Weight::ONE, &shared, &mut files)?;
            let checker = names.checker(&address, &one.kind, checker);
            Ok(Prepared { target: nominal(&address), checker, spec: spec(one, 1)? })
        });
        let prepared = prepared.collect::<Result<Vec<_>, _>>();
        let failed = |source| StartError::Check { name: check.name.clone(), source };
        let (stamp, checks) = (files.of_each(&check.checks), prepared.map_err(failed)?);
        Ok((check.name.clone(), Built { stamp, checks }))
    });
    each.collect()
}

/// Runs the checks until this is dropped, and reports when all pass, or not any more. Others, which were up
/// or not `before`, are succeeded as by a backend: it stays up until these have failed for long enough, and
/// comes up when each has passed once.
pub(super) async fn watch(
    watched: VrrpCheck,
    checkers: Vec<Prepared>,
    before: Option<bool>,
    reporter: Reporter,
) {
    let check = &*watched.name;
    let mut driver = Driver::new(rand::make_rng::<SmallRng>());
    for Prepared { target, checker, spec } in checkers {
        let spec = match before {
            Some(is_up) => spec.with_initially_up(is_up).with_first_decisive(!is_up),
            None => spec,
        };
        driver.watch((), target, checker, spec);
    }
    loop {
        match driver.next().await {
            Event::Verdict(verdict) => {
                let is_up = matches!(verdict.health, Health::Up { .. });
                let mut reason = None;
                match verdict.because {
                    Because::Failed { error, .. } => {
                        let error = in_full(&error);
                        warn!(check, up = is_up, error, "tracked check");
                        reason = Some(error);
                    }
                    _ => info!(check, up = is_up, "tracked check"),
                }
                let signal = if is_up { Signal::Up } else { Signal::Down };
                reporter.report_with(signal, reason.filter(|_| !is_up)).await;
            }
            Event::Obstructed(Obstruction { errors, error, .. }) => {
                let error = in_full(&error);
                warn!(check, errors, error, "cannot be checked, and stays as it is");
            }
            Event::Unobstructed { .. } => info!(check, "can be checked again"),
            _ => {}
        }
    }
}
