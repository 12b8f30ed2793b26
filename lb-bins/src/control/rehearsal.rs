//! A virtual server as it would be, without anything that is real.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lb_core::Scheduler;
use lb_core::virtual_server::VirtualServerConfig;
use lb_health::CheckSpec;
use lb_health::outliers::OutlierRules;

use super::passive::rules;
use super::plan::{Plan, PlanError};
use super::reload::number_of_checks;
use crate::checkers::spec;
use crate::config::{Config, VirtualServer};
use crate::names::Names;
use crate::tcp::Endpoint;

/// What the machines of one virtual server are made from.
pub(crate) struct Rehearsal {
    pub(crate) machine: VirtualServerConfig<Endpoint>,
    pub(crate) scheduler: Arc<dyn Scheduler>,
    /// How each backend is checked, by the name that it has in the machine.
    pub(crate) specs: BTreeMap<String, Vec<CheckSpec>>,
    pub(crate) outliers: Option<OutlierRules>,
}

impl Rehearsal {
    /// What `server` of `config` would be.
    ///
    /// # Errors
    /// [`PlanError`], as of a start.
    pub(crate) fn of(server: &VirtualServer, config: &Config) -> Result<Self, PlanError> {
        let total = number_of_checks(config);
        let (machine, scheduler) =
            Plan::new(server.clone(), &HashMap::new(), &mut Names::new(&[]))?.into_parts();
        let mut specs = BTreeMap::new();
        for backend in &server.backends {
            let own: Result<Vec<_>, _> =
                backend.checks.iter().map(|check| spec(check, total)).collect();
            specs.insert(backend.address.to_string(), own?);
        }
        Ok(Self { machine, scheduler, specs, outliers: server.passive.map(rules) })
    }
}
