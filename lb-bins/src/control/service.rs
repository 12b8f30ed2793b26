//! One virtual server: its machine, and what the machine's actions do.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_core::{
    Action, BackendConfig, BackendId, BackendState, ConfigError, Director, Event, Granularity,
    QuorumError, QuorumRule, Scheduler, SorryServer, Strength, VirtualServer, VirtualServerConfig,
};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::checks::ServerKey;
use crate::config::{self, CheckKind, Command, Quorum, SorryMode};
use crate::notify::{Job, Scripts};
use crate::tcp::{
    Attempt, Bound, Endpoint, Listener, Route, RouteSettings, Tally, Upstream, Workers,
};

/// Clients wait this long for the first verdicts; then they are served by what there is.
const LONGEST_GATE: Duration = Duration::from_secs(2);

/// What lb-core needs of a virtual server's configuration, checked.
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
    /// The quorum alone.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
}

/// One virtual server that runs.
pub(super) struct Service {
    pub(super) key: ServerKey,
    pub(super) config: config::VirtualServer,
    pub(super) machine: VirtualServer<Endpoint>,
    pub(super) director: Arc<Director<IpAddr, Endpoint>>,
    pub(super) tally: Arc<Tally>,
    pub(super) listener: Arc<Listener>,
    scripts: Scripts,
    /// When clients are let in even if some backend has no verdict yet.
    gate: Option<Instant>,
}

impl Plan {
    /// A plan for `config`, with the endpoints of `running` where the address is the same.
    ///
    /// # Errors
    /// [`PlanError`], if lb-core refuses what the configuration allowed.
    pub(super) fn new(
        config: config::VirtualServer,
        running: Option<&Service>,
    ) -> Result<Self, PlanError> {
        let endpoint = |address| {
            let known = running.and_then(|service| service.endpoint(address));
            known.unwrap_or_else(|| Upstream::new(address))
        };
        let backends = config.backends.iter().map(|backend| {
            let planned =
                BackendConfig::new(backend.address.to_string(), endpoint(backend.address))
                    .weighing(backend.weight);
            let reports = |check: &config::Check| {
                matches!(check.kind, CheckKind::Script { dynamic_weight: true, .. })
            };
            match (backend.checks.is_empty(), backend.checks.iter().any(reports)) {
                (true, _) => planned.initially_up(),
                (false, true) => planned.reporting_weight(),
                (false, false) => planned,
            }
        });
        let sorry = config.sorry_server.map(|address| SorryServer {
            backend: BackendConfig::new(address.to_string(), endpoint(address)),
            mode: match config.sorry_mode {
                SorryMode::Last => lb_core::SorryMode::NoneAlive,
                SorryMode::Quorum => lb_core::SorryMode::QuorumLost,
            },
        });
        let quorum = match config.quorum {
            Quorum::Weight { quorum, hysteresis } => QuorumRule::new(quorum, hysteresis)?,
            Quorum::Thresholds { up_at, down_at } => QuorumRule::between(up_at, down_at)?,
            Quorum::Shares { up_at, down_at } => QuorumRule::share(up_at.into(), down_at.into())?,
        };
        let machine = VirtualServerConfig { backends: backends.collect(), quorum, sorry };
        machine.validate()?;
        Ok(Self { machine, config })
    }

    fn scheduler(&self) -> Arc<dyn Scheduler> {
        // A phase of its own, so that a fleet does not begin with the same backend everywhere.
        self.config.scheduler.scheduler_at(rand::random())
    }

    fn director(&self, machine: &VirtualServer<Endpoint>) -> Arc<Director<IpAddr, Endpoint>> {
        let director = Director::new(Arc::clone(machine.published()));
        Arc::new(match self.config.persistence {
            Some(persistence) => {
                let capacity = NonZeroUsize::new(persistence.capacity as usize);
                let capacity = capacity.unwrap_or(NonZeroUsize::MIN);
                director.with_persistence(persistence.timeout, capacity)
            }
            None => director,
        })
    }

    fn route(
        &self,
        key: ServerKey,
        director: &Arc<Director<IpAddr, Endpoint>>,
        tally: &Arc<Tally>,
        attempts: mpsc::Sender<Attempt>,
    ) -> Arc<Route> {
        let bits = self.config.persistence.map(|persistence| persistence.granularity);
        let settings = RouteSettings {
            server: key,
            name: self.config.name.clone(),
            granularity: bits.map_or(Granularity::HOST, Granularity::new),
            connect_timeout: self.config.connect_timeout,
            retries: self.config.retries.into(),
        };
        Arc::new(Route::new(settings, Arc::clone(director), Arc::clone(tally), attempts))
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
        let scheduler = self.scheduler();
        let machine = VirtualServer::new(self.machine.clone(), scheduler)?;
        let director = self.director(&machine);
        let tally = Arc::default();
        let listener = socket.lead_to(self.route(key, &director, &tally, attempts));
        Ok(Service {
            key,
            machine,
            director,
            tally,
            listener,
            scripts: Scripts::start(),
            gate: Some(Instant::now() + LONGEST_GATE),
            config: self.config,
        })
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
        if self.config.scheduler != service.config.scheduler {
            service.machine.set_scheduler(self.scheduler());
        }
        service.machine.reconfigure(self.machine.clone())?;
        if self.config.persistence != service.config.persistence {
            service.director = self.director(&service.machine);
        }
        let route = self.route(service.key, &service.director, &service.tally, attempts);
        service.listener = socket.lead_to(route);
        if service.gate.is_none() {
            service.listener.accept();
        }
        service.config = self.config;
        Ok(service)
    }
}

/// Where a service gets its connections from.
pub(super) enum Socket<'a> {
    /// Nobody listened there before.
    Bound(Bound, &'a Workers),
    /// This or another service listens there already.
    Open(Arc<Listener>),
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

impl Service {
    /// The endpoint at `address`, of a backend or the sorry server.
    pub(super) fn endpoint(&self, address: SocketAddr) -> Option<Endpoint> {
        let backends = self.machine.backends().map(|status| status.backend);
        let mut all = backends.chain(self.machine.sorry()).map(|backend| backend.endpoint());
        all.find(|endpoint| endpoint.address() == address).cloned()
    }

    /// The identity of the backend at `address`.
    pub(super) fn backend(&self, address: SocketAddr) -> Option<BackendId> {
        let mut all = self.machine.backends();
        all.find(|status| status.backend.endpoint().address() == address).map(|status| status.id)
    }

    /// The state and the name of a backend.
    pub(super) fn state(&self, backend: BackendId) -> Option<(BackendState, u16)> {
        let status = self.machine.backends().find(|status| status.id == backend)?;
        Some((status.state, status.weight.value()))
    }

    /// Changes the machine, logs what became of `backend` and why, and carries out what follows.
    pub(super) fn change(
        &mut self,
        backend: BackendId,
        why: &str,
        change: impl FnOnce(&mut VirtualServer<Endpoint>),
    ) {
        let before = self.state(backend);
        change(&mut self.machine);
        if let (Some((before, old_weight)), Some((after, weight))) = (before, self.state(backend)) {
            let backend = self.machine.backends().find(|status| status.id == backend);
            let backend = backend.map_or("", |status| status.name);
            let virtual_server = &*self.config.name;
            if before == after {
                if old_weight != weight {
                    info!(virtual_server, backend, "weight {old_weight} → {weight}: {why}");
                }
            } else if after == BackendState::Down {
                warn!(virtual_server, backend, "{before} → {after}: {why}");
            } else {
                info!(virtual_server, backend, weight, "{before} → {after}: {why}");
            }
        }
        self.settle();
    }

    /// Carries out what the machine asks for, and lets clients in once it is known who lives.
    pub(super) fn settle(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Publish(pool) => self.director.publish(pool),
                Action::Notify(event) => self.tell(&event),
            }
        }
        let warm = |state| state != BackendState::Warming;
        if self.gate.is_some() && self.machine.backends().all(|status| warm(status.state)) {
            self.open_gate();
        }
    }

    /// When clients are let in at the latest.
    pub(super) const fn gate(&self) -> Option<Instant> {
        self.gate
    }

    /// Lets clients in.
    pub(super) fn open_gate(&mut self) {
        self.gate = None;
        self.listener.accept();
        info!(virtual_server = self.config.name, listen = %self.listener.address(), "accepting");
    }

    fn tell(&self, event: &Event) {
        let virtual_server = &*self.config.name;
        let (what, strength, script) = match event {
            Event::QuorumGained { strength } => ("up", strength, &self.config.on_quorum_up),
            Event::QuorumLost { strength } => ("down", strength, &self.config.on_quorum_down),
            // The verdict that made it was logged with its reason.
            _ => return,
        };
        let Strength { weight, alive, configured } = *strength;
        if what == "up" {
            info!(virtual_server, weight, "quorum gained: {alive} of {configured} backends live");
        } else {
            warn!(virtual_server, weight, "quorum lost: {alive} of {configured} backends live");
        }
        if let Some(command) = script {
            self.scripts.run(self.job(command, what, strength));
        }
    }

    fn job(&self, command: &Command, what: &'static str, strength: &Strength) -> Job {
        let rule = self.machine.quorum().rule();
        Job {
            command: command.clone(),
            variables: vec![
                ("LB_VIRTUAL_SERVER", self.config.name.clone()),
                ("LB_QUORUM", what.to_owned()),
                ("LB_LIVE_WEIGHT", strength.weight.to_string()),
                ("LB_QUORUM_UP_AT", rule.up_at().to_string()),
                ("LB_QUORUM_DOWN_AT", rule.down_at().to_string()),
            ],
        }
    }

    /// Resolves when the scripts that were asked for have ended.
    pub(super) async fn finish(self) {
        self.scripts.finish().await;
    }
}
