//! Why an instance is not fit to be a master, in words.

use lb_vrrp::driver::{Driver, RouterId};
use lb_vrrp::linux::LinuxNetwork;
use lb_vrrp::{FaultCause, FaultCauses, TrackerId};
use tracing::{info, warn};

use super::instance::Instance;
use crate::config::has_interface;

/// What is wrong with one instance now.
#[derive(Debug)]
pub(super) struct Faults {
    pub(super) causes: FaultCauses,
    /// What it depends on and is not as it should be.
    pub(super) trackers: Vec<TrackerId>,
}

impl Faults {
    /// Those that its router has by now: of one event, which may bring several causes after each other, all.
    pub(super) fn of(driver: &Driver<LinuxNetwork>, id: RouterId) -> Option<Self> {
        if let Some(router) = driver.router(id) {
            let trackers = router.trackers_at_fault().collect();
            return Some(Self { causes: router.faults(), trackers });
        }
        let host = driver.carp(id)?;
        Some(Self { causes: host.faults(), trackers: host.trackers_at_fault().collect() })
    }

    /// Logs what is wrong, if something is that was `told` last as well as what was: others that are gone are
    /// no fault, and the last of them is good news.
    pub(super) fn tell(&self, instance: &Instance, told: FaultCauses) {
        let (name, interface) = (instance.spec.name(), instance.spec.interface());
        let is_new = |cause| self.tells(cause) && !told.contains(cause);
        let causes = || self.words(instance).join(", ");
        if self.causes.iter().any(is_new) {
            warn!(instance = name, interface, causes = causes(), "at fault");
        } else if self.causes == told {
            // Another input of the same event.
        } else if self.causes.is_empty() {
            info!(instance = name, "not at fault any more");
        } else {
            info!(instance = name, left = causes(), "a cause of its fault is gone");
        }
    }

    /// Whether that is worth a word beside the others, which lead to it or are nearer to home.
    fn tells(&self, cause: FaultCause) -> bool {
        match cause {
            FaultCause::NoSource => !self.causes.contains(FaultCause::Interface),
            FaultCause::Group => self.causes.iter().all(|other| other == FaultCause::Group),
            _ => true,
        }
    }

    fn words(&self, instance: &Instance) -> Vec<String> {
        let interface = instance.spec.interface();
        let told = self.causes.iter().filter(|cause| self.tells(*cause));
        let words = told.flat_map(|cause| match cause {
            FaultCause::Addresses => vec!["its addresses cannot be added".to_owned()],
            FaultCause::Group => vec!["another member of its group is at fault".to_owned()],
            FaultCause::Interface if has_interface(interface) => {
                vec![format!("interface `{interface}` is down")]
            }
            FaultCause::Interface => vec![format!("there is no interface `{interface}`")],
            FaultCause::NoSource => {
                vec![format!("interface `{interface}` has no address to speak from")]
            }
            FaultCause::Tracker => {
                let quoted = |(kind, name)| format!("{kind} `{name}`");
                self.tracked(instance).map(quoted).collect()
            }
            other => vec![other.name().to_owned()],
        });
        words.collect()
    }

    /// For a status: what is at fault by its type and name.
    pub(super) fn names(&self, instance: &Instance) -> Vec<String> {
        let names = self.causes.iter().flat_map(|cause| match cause {
            FaultCause::Tracker => {
                let plain = |(kind, name)| format!("{kind} {name}");
                self.tracked(instance).map(plain).collect()
            }
            other => vec![other.name().to_owned()],
        });
        names.collect()
    }

    fn tracked<'i>(&self, instance: &'i Instance) -> impl Iterator<Item = (&'static str, &'i str)> {
        self.trackers.iter().filter_map(|tracker| instance.tracked(*tracker))
    }
}
