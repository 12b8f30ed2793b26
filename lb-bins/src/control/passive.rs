//! Backends that are ejected for what clients see of them.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use lb_core::Backend;
use lb_core::backend::{BackendId, Outcome};
use lb_core::virtual_server::BackendState;
use lb_health::CheckError;
use lb_health::outliers::{Ejection, OutlierRules, Outliers};
use tracing::warn;

use super::service::Service;
use crate::config::Passive;
use crate::tcp::Endpoint;

/// The rules that are configured.
pub(super) fn rules(passive: Passive) -> OutlierRules {
    let Passive { consecutive, failure_percent, minimum, interval, eject, longest, .. } = passive;
    let factor = f64::from(passive.deviations) / 100.0;
    OutlierRules::default()
        .consecutive_failures(NonZeroU32::new(consecutive))
        .failure_percent((failure_percent > 0).then_some(failure_percent))
        .success_rate_factor((passive.deviations > 0).then_some(factor))
        // Of few backends none can lie far from the mean, and one that fails by itself may well go.
        .comparing(1, minimum)
        .sweeping_every(interval)
        .base_ejection(eject)
        .longest_ejection(longest)
        .most_ejected_percent(passive.max_ejected)
}

/// What is held against the backends of one virtual server.
pub(super) struct Ejector {
    outliers: Outliers<BackendId>,
    known: HashMap<BackendId, Record>,
    /// Whether who is out is back as soon as its checks pass.
    back_on_check: bool,
}

/// What is known of one backend.
struct Record {
    backend: Arc<Backend<Endpoint>>,
    /// The flows that went well when the rates were last looked at.
    successes: u64,
    /// How often it was ejected.
    ejections: u64,
    /// Since when it is out.
    out_since: Option<Instant>,
}

impl Ejector {
    fn new(passive: Passive) -> Self {
        let (outliers, known) = (Outliers::new(rules(passive)), HashMap::new());
        Self { outliers, known, back_on_check: passive.back_on_check }
    }

    /// Has exactly these backends.
    fn follow(&mut self, now: Instant, backends: HashMap<BackendId, Arc<Backend<Endpoint>>>) {
        let gone = self.known.keys().filter(|id| !backends.contains_key(id)).copied();
        for gone in gone.collect::<Vec<_>>() {
            self.known.remove(&gone);
            self.outliers.remove(gone);
        }
        for (id, backend) in backends {
            self.outliers.insert(now, id);
            let successes = backend.endpoint().successes();
            match self.known.get_mut(&id) {
                Some(record) => record.backend = backend,
                None => {
                    let (ejections, out_since) = (0, None);
                    self.known.insert(id, Record { backend, successes, ejections, out_since });
                }
            }
        }
    }

    /// Until when a backend is out, if it is.
    pub(super) fn ejected_until(&self, backend: BackendId) -> Option<Instant> {
        self.outliers.ejected_until(backend)
    }

    /// How often it was ejected.
    pub(super) fn ejections(&self, backend: BackendId) -> u64 {
        self.known.get(&backend).map_or(0, |record| record.ejections)
    }

    /// Counts the flows that went well since the last time.
    fn count(&mut self) {
        for (&id, record) in &mut self.known {
            let successes = record.backend.endpoint().successes();
            let new = successes.saturating_sub(std::mem::replace(&mut record.successes, successes));
            self.outliers.handle_successes(id, u32::try_from(new).unwrap_or(u32::MAX));
        }
    }
}

impl Service {
    /// Ejects by the configured rules from now on, or not at all. As long as they stay the same,
    /// nothing that is held against anybody is forgotten.
    pub(super) fn eject_by(&mut self, now: Instant, passive: Option<Passive>, changed: bool) {
        if changed {
            self.ejector = None;
            for id in self.backends().into_keys() {
                self.machine.set_ejected(now, id, false);
            }
        }
        let backends = self.backends();
        if let Some(passive) = passive {
            let ejector = self.ejector.get_or_insert_with(|| Ejector::new(passive));
            ejector.follow(now, backends);
            self.carry_out(now, "the others are gone");
        }
    }

    /// Takes what a client met with, which is of the backend's doing; whether that is what ejections go by.
    pub(super) fn learn(
        &mut self,
        now: Instant,
        backend: BackendId,
        outcome: &Result<(), CheckError>,
    ) -> bool {
        let Some(ejector) = &mut self.ejector else { return false };
        match outcome {
            Ok(()) => ejector.outliers.handle_outcome(now, backend, Outcome::Success),
            Err(error) => {
                ejector.outliers.handle_outcome(now, backend, Outcome::Failure);
                self.carry_out(now, &format!("clients fail there in a row: {error}"));
            }
        }
        true
    }

    /// When something about ejections is due.
    pub(super) fn next_ejection(&self) -> Option<Instant> {
        self.ejector.as_ref()?.outliers.next_deadline()
    }

    /// Looks at the rates, and lets those back whose time is over.
    pub(super) fn handle_ejections(&mut self, now: Instant) {
        if self.next_ejection().is_none_or(|due| due > now) {
            return;
        }
        if let Some(ejector) = &mut self.ejector {
            ejector.count();
            ejector.outliers.handle_timeout(now);
        }
        self.carry_out(now, "too many clients fail there");
    }

    /// Lets those back whose checks have passed since, if that is the rule.
    pub(super) fn check_ejections(
        &mut self,
        now: Instant,
        passed_since: impl Fn(BackendId, Instant) -> bool,
    ) {
        let Some(ejector) = self.ejector.as_mut().filter(|ejector| ejector.back_on_check) else {
            return;
        };
        for (&id, record) in &ejector.known {
            if record.out_since.is_some_and(|since| passed_since(id, since)) {
                ejector.outliers.handle_check_passed(id);
            }
        }
        self.carry_out(now, "its checks pass");
    }

    /// Does what was decided, for this reason.
    fn carry_out(&mut self, now: Instant, why: &str) {
        while let Some(ejector) = &mut self.ejector
            && let Some(ejection) = ejector.outliers.poll_action()
        {
            let (id, until) = match ejection {
                Ejection::Back { host } => (host, None),
                Ejection::Out { host, until } => (host, Some(until)),
            };
            if let Some(record) = ejector.known.get_mut(&id) {
                record.ejections += u64::from(until.is_some());
                record.out_since = until.map(|_| now);
            }
            let why = match until {
                Some(until) => format!("{why}; ejected for {:.1?}", until - now),
                None if why == "its checks pass" => why.to_owned(),
                None => "it gets another chance".to_owned(),
            };
            self.change(id, &why, |machine| {
                machine.set_ejected(now, id, until.is_some());
            });
            if until.is_some() && self.state(id).is_some_and(|(state, _)| state == BackendState::Up)
            {
                let backend = self.machine.backend(id).map_or("", |status| status.name);
                let virtual_server = &*self.config.name;
                warn!(virtual_server, backend, "{why}, but it serves on, as nobody else does");
            }
        }
    }
}
