//! What a virtual server is about to be: everything that can be wrong with it is found here.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use lb_core::backend::{Limits, LimitsError};
use lb_core::director::QueueConfig;
use lb_core::flow::Granularity;
use lb_core::hash::HashSeed;
use lb_core::persistence::PersistenceConfig;
use lb_core::quorum::{QuorumError, QuorumRule};
use lb_core::scheduler::{LoadFactor, Priorities, Zones};
use lb_core::virtual_server::{BackendConfig, ConfigError, SorryServer, VirtualServerConfig};
use lb_core::{Algorithm, Director, Scheduler, VirtualServer, Weight};
use lb_health::spec::SpecError;
use tokio::sync::mpsc;
use tracing::info;

use super::service::Service;
use crate::config::{
    self, Address, HashKey, OnFailure, Persistence, Quorum, SorryMode, is_keyed_by_destination,
};
use crate::names::Names;
use crate::tcp::{
    Attempt, Bound, Client, Endpoint, Gate, Hashed, Listener, Observed, Recognition, Route,
    RouteSettings, ServerKey, Tally, Upstream, Workers,
};

/// A virtual server's configuration in the form that lb-core takes, checked.
pub(super) struct Plan {
    machine: VirtualServerConfig<Endpoint>,
    config: config::VirtualServer,
}

/// A virtual server that cannot be built: the configuration's rules and the machine's differ.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The backends and the quorum.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The thresholds of a backend.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// The quorum alone.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// The intervals of a check.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

/// Where a service gets its connections from.
pub(super) enum Socket<'a> {
    /// Nobody listened there before.
    Bound(Bound, &'a Workers),
    /// This or another service listens there already.
    Open(Arc<Listener>),
}

impl Plan {
    /// A plan for `config`, with the `known` endpoints where the address is the same.
    ///
    /// # Errors
    /// [`PlanError`], if lb-core refuses what the configuration allowed.
    pub(super) fn new(
        config: config::VirtualServer,
        known: &HashMap<Address, Endpoint>,
        names: &mut Names,
    ) -> Result<Self, PlanError> {
        let mut endpoint = |address: &Address| match known.get(address) {
            Some(known) => Arc::clone(known),
            None => Upstream::new(address.clone(), names.of(address)),
        };
        let backends = config.backends.iter().map(|backend| {
            let name = backend.address.to_string();
            let planned = BackendConfig::new(name, endpoint(&backend.address))
                .weighing(backend.weight)
                .limited(limits(backend)?)
                .at_priority(backend.priority)
                .in_zone(backend.zone.as_deref().map(Arc::from));
            let planned = match backend.on_failure {
                OnFailure::Remove => planned,
                OnFailure::WeightZero => planned.inhibited_on_failure(),
            };
            let reports = |check: &config::Check| check.kind.reports_weight();
            Ok(match (backend.checks.is_empty(), backend.checks.iter().any(reports)) {
                (true, _) => planned.initially_up(),
                (false, true) => planned.reporting_weight(),
                (false, false) => planned,
            })
        });
        let backends = backends.collect::<Result<Vec<_>, LimitsError>>()?;
        let sorry = config.sorry_server.as_ref().map(|address| {
            let mode = match config.sorry_mode {
                SorryMode::Last => lb_core::virtual_server::SorryMode::NoneAlive,
                SorryMode::Quorum => lb_core::virtual_server::SorryMode::QuorumLost,
            };
            SorryServer::new(BackendConfig::new(address.to_string(), endpoint(address)), mode)
        });
        let quorum = match config.quorum {
            Quorum::Weight { quorum, hysteresis } => QuorumRule::new(quorum, hysteresis)?,
            Quorum::Thresholds { up_at, down_at } => QuorumRule::between(up_at, down_at)?,
            Quorum::Shares { up_at, down_at } => QuorumRule::share(up_at.into(), down_at.into())?,
        };
        let machine = VirtualServerConfig::of(backends)
            .with_quorum(quorum)
            .with_sorry(sorry)
            .with_slow_start(config.slow_start)
            .panicking_below(config.panic_below)
            .with_draining_clients(config.draining_clients)
            .with_drain_timeout(config.drain_timeout);
        let machine = match config.persistence {
            Some(Persistence { when_full, when_down, .. }) => {
                machine.with_clients_when_full(when_full).with_clients_when_down(when_down)
            }
            None => machine,
        };
        machine.validate()?;
        Ok(Self { machine, config })
    }

    /// The machine's configuration, and who schedules for it.
    pub(super) fn into_parts(self) -> (VirtualServerConfig<Endpoint>, Arc<dyn Scheduler>) {
        (self.machine, Scheduling::of(&self.config).scheduler())
    }

    /// What is planned for.
    pub(super) const fn config(&self) -> &config::VirtualServer {
        &self.config
    }

    /// Begins a service that was not there before.
    ///
    /// # Errors
    /// None in practice: the plan is checked.
    pub(super) fn start(
        self,
        key: ServerKey,
        attempts: mpsc::Sender<Attempt>,
        socket: Socket<'_>,
    ) -> Result<Service, ConfigError> {
        let Self { machine, config } = self;
        let machine = VirtualServer::new(machine, Scheduling::of(&config).scheduler())?;
        let director = Arc::new(director(&config, &machine));
        director.set_queue(queue(&config));
        let tally = Arc::default();
        let gate = Arc::default();
        let listener = socket.lead_to(route(&config, key, &director, &tally, &gate, attempts));
        let passive = config.passive;
        let mut service = Service::new(key, config, machine, director, tally, gate, listener);
        service.eject_by(Instant::now(), passive, false);
        Ok(service)
    }

    /// Takes over a service that runs.
    ///
    /// # Errors
    /// None in practice: the plan is checked.
    pub(super) fn take_over(
        self,
        mut service: Service,
        attempts: mpsc::Sender<Attempt>,
        socket: Socket<'_>,
    ) -> Result<Service, ConfigError> {
        let Self { machine, config } = self;
        log_changes(&service.config, &config);
        let scheduling = Scheduling::of(&config);
        if scheduling != Scheduling::of(&service.config) {
            service.machine.set_scheduler(scheduling.scheduler());
        }
        let alive = service.machine.strength().alive;
        service.machine.reconfigure(Instant::now(), machine)?;
        if alive > 0 && service.machine.strength().alive == 0 {
            service.close_gate();
        }
        // What becomes of clients is the machine's; whoever is remembered stays so.
        let table = |persistence: Persistence| {
            let Persistence { timeout, while_open, granularity, capacity, min_age, .. } =
                persistence;
            (timeout, while_open, granularity, capacity, min_age)
        };
        let assigning = |config: &config::VirtualServer| {
            (config.persistence.map(table), config.hash_seed.clone())
        };
        if assigning(&config) != assigning(&service.config) {
            let director = director(&config, &service.machine).sharing_queue(&service.director);
            service.assign_by(Arc::new(director));
        }
        service.director.set_queue(queue(&config));
        let Service { key, director, tally, gate, .. } = &service;
        let route = route(&config, *key, director, tally, gate, attempts);
        service.move_to(socket.lead_to(route));
        let (passive, former) = (config.passive, service.config.passive);
        service.config = config;
        service.eject_by(Instant::now(), passive, passive != former);
        Ok(service)
    }
}

/// Everything that a scheduler is made from: as long as it is the same, the rotation goes on.
#[derive(PartialEq)]
struct Scheduling<'a> {
    algorithm: Algorithm,
    bounded: Option<u32>,
    zone: Option<&'a str>,
    /// From what share of live backends on the next priority helps, if there are several.
    spill_below: Option<u8>,
}

impl<'a> Scheduling<'a> {
    fn of(config: &'a config::VirtualServer) -> Self {
        let ranked = config.backends.iter().any(|backend| backend.priority > 0);
        Self {
            algorithm: config.scheduler,
            bounded: config.bounded,
            zone: config.zone.as_deref(),
            spill_below: ranked.then_some(config.spill_below),
        }
    }

    /// The algorithm, for each zone, for each priority. With a rotation of its own, so that a fleet
    /// does not begin with the same backend everywhere.
    fn scheduler(&self) -> Arc<dyn Scheduler> {
        let factor = self.bounded.and_then(|percent| LoadFactor::percent(percent).ok());
        let mut scheduler = factor
            .and_then(|factor| self.algorithm.bounded(factor))
            .unwrap_or_else(|| self.algorithm.scheduler_at(rand::random()));
        if let Some(zone) = self.zone {
            scheduler = Arc::new(Zones::around(zone, scheduler));
        }
        if let Some(percent) = self.spill_below {
            scheduler = Arc::new(Priorities::around(scheduler).spilling_below(percent));
        }
        scheduler
    }
}

fn limits(backend: &config::Backend) -> Result<Limits, LimitsError> {
    let mut limits = Limits::NONE;
    if let Some(most) = backend.max_connections {
        limits = limits.at_most(most);
    }
    match backend.u_threshold {
        Some(upper) => limits.overloaded_at(upper, backend.l_threshold),
        None => Ok(limits),
    }
}

fn director(
    config: &config::VirtualServer,
    machine: &VirtualServer<Endpoint>,
) -> Director<Client, Endpoint> {
    let mut director = Director::new(Arc::clone(machine.published()));
    if let Some(seed) = &config.hash_seed {
        director = director.with_hash_seed(HashSeed::of(seed.as_bytes()));
    }
    if let Some(persistence) = config.persistence {
        let capacity = NonZeroUsize::new(persistence.capacity as usize);
        let capacity = capacity.unwrap_or(NonZeroUsize::MIN);
        // Nobody may know which clients share a place in the table.
        let seed = HashSeed::new(rand::random());
        let table = PersistenceConfig::new(persistence.timeout, capacity)
            .min_age(persistence.min_age)
            .while_open(persistence.while_open)
            .seed(seed);
        director = director.with_persistence_config(&table);
    }
    director
}

fn queue(config: &config::VirtualServer) -> Option<QueueConfig> {
    let queue = config.queue?;
    let length = NonZeroUsize::new(queue.length as usize)?;
    Some(QueueConfig::new(length).timeout(queue.timeout))
}

fn route(
    config: &config::VirtualServer,
    key: ServerKey,
    director: &Arc<Director<Client, Endpoint>>,
    tally: &Arc<Tally>,
    gate: &Arc<Gate>,
    attempts: mpsc::Sender<Attempt>,
) -> Arc<Route> {
    let persisted = config.persistence.map(|persistence| persistence.granularity);
    // Whether clients are remembered changes nothing about who is hashed alike. A listener is of one
    // family.
    let bits = persisted.unwrap_or(config::defaults::granularity(config.listen.ip()));
    let hashed_bits = config.hash_granularity.unwrap_or(bits);
    let settings = RouteSettings {
        server: key,
        name: config.name.clone(),
        recognition: Recognition {
            granularity: Granularity::new(bits, bits),
            hash_granularity: Granularity::new(hashed_bits, hashed_bits),
            hashed: match config.hash_key {
                _ if is_keyed_by_destination(config.scheduler) => Hashed::Destination,
                // Its ring is nginx', and so are its keys.
                HashKey::Source if config.scheduler == Algorithm::Ketama => Hashed::SourceText,
                HashKey::Source => Hashed::Source,
                HashKey::SourcePort => Hashed::SourcePort,
            },
        },
        gate: Arc::clone(gate),
        connect_timeout: config.connect_timeout,
        retries: config.retries.into(),
        observed: match config.passive {
            Some(_) => Observed::Flows,
            None => Observed::Connections,
        },
    };
    Arc::new(Route::new(settings, Arc::clone(director), Arc::clone(tally), attempts))
}

fn log_changes(before: &config::VirtualServer, after: &config::VirtualServer) {
    let virtual_server = &*after.name;
    if before.name != after.name {
        info!(virtual_server, "renamed, from {}", before.name);
    }
    if before.listen != after.listen {
        info!(virtual_server, listen = %after.listen, "accepting, and no more at {}", before.listen);
    }
    let weights = |config: &config::VirtualServer| -> HashMap<Address, Weight> {
        config.backends.iter().map(|backend| (backend.address.clone(), backend.weight)).collect()
    };
    let (before, after) = (weights(before), weights(after));
    for backend in before.keys().filter(|address| !after.contains_key(address)) {
        info!(virtual_server, %backend, "removed from the configuration");
    }
    for (backend, to) in after {
        match before.get(&backend) {
            None => info!(virtual_server, %backend, "added by the configuration"),
            Some(&from) if from != to => {
                info!(virtual_server, %backend, "weight {from} → {to}: configuration");
            }
            Some(_) => {}
        }
    }
}

impl Socket<'_> {
    fn lead_to(self, route: Arc<Route>) -> Arc<Listener> {
        match self {
            Self::Bound(bound, workers) => Arc::new(Listener::open(bound, route, workers)),
            Self::Open(listener) => {
                listener.lead_to(route);
                listener
            }
        }
    }
}
