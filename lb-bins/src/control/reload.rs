//! Taking over a configuration: first everything that can fail, then everything at once.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use lb_core::backend::BackendId;
use lb_core::health::Admin;
use lb_core::{Backend, Weight};
use tracing::info;

use super::administration::Opened;
use super::checks::{Checks, Place, Prepared};
use super::looked::Looked;
use super::plan::{Plan, PlanError, Socket};
use super::service::Service;
use super::{Bounds, Control, Cut, Removed};
use crate::admin::DoorError;
use crate::checkers::{CheckConfigError, Files};
use crate::config::{Address, Config, VirtualServer};
use crate::names::Names;
use crate::notify::{self, Notifier, NotifyError};
use crate::tcp::{BindError, Bound, Endpoint, Listener, ServerKey};

/// A configuration that was not taken over. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The admin address or socket.
    #[error(transparent)]
    Admin(#[from] DoorError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A check cannot be built.
    #[error("virtual server `{virtual_server}`, backend {backend}: {source}")]
    Check {
        /// The virtual server.
        virtual_server: String,
        /// The backend.
        backend: Address,
        /// Why.
        #[source]
        source: CheckConfigError,
    },
    /// The pipe or the mail that changes are told by.
    #[error(transparent)]
    Notify(#[from] NotifyError),
    /// A virtual server cannot be built.
    #[error("virtual server `{virtual_server}`: {source}")]
    Plan {
        /// The virtual server.
        virtual_server: String,
        /// Why.
        #[source]
        source: PlanError,
    },
    /// The process is about to end.
    #[error("the process is stopping")]
    Stopping,
}

/// The checks of one virtual server's backends, by address.
type PreparedChecks = Vec<(Address, Vec<Prepared>)>;

/// What becomes of one configured virtual server.
enum Step {
    /// It is new, or `former` becomes what is planned.
    Change { plan: Box<Plan>, former: Option<ServerKey>, checks: PreparedChecks, stamp: u64 },
    /// It is as it was: nothing of it is touched.
    Keep(ServerKey),
}

/// A configuration that only has to be taken over.
pub(super) struct Preparation {
    config: Config,
    steps: Vec<Step>,
    bound: HashMap<SocketAddr, Bound>,
    admin: Option<Opened>,
    telling: notify::Preparation,
}

impl Control {
    /// Whether a start with `config` would get as far as to listen.
    ///
    /// # Errors
    /// [`ReloadError`], as of a start.
    pub fn rehearse(config: &Config) -> Result<(), ReloadError> {
        let (checks, total) = (Checks::new(), number_of_checks(config));
        let (mut names, mut files) = (Names::new(&[]), Files::default());
        Notifier::rehearse(config)?;
        let mut servers = config.virtual_servers.iter();
        servers.try_for_each(|server| {
            let failed = |source| ReloadError::Plan { virtual_server: server.name.clone(), source };
            Plan::new(server.clone(), &HashMap::new(), &mut names).map_err(failed)?;
            prepare(&checks, server, total, &mut names, &mut files).map(drop)
        })
    }

    /// Gets ready what `config` needs, and changes nothing. Virtual servers are recognised by name (or,
    /// if they were only renamed, by where they listen), backends by address.
    ///
    /// # Errors
    /// [`ReloadError`]; nothing is left behind then.
    pub(super) fn prepare(
        &mut self,
        config: Config,
        looked: Looked,
    ) -> Result<Preparation, ReloadError> {
        let Looked { mut files, telling } = looked;
        let total = number_of_checks(&config);
        let mut steps = Vec::new();
        let former = Former::of(&self.services, &config);
        for server in &config.virtual_servers {
            let stamp = files.of_server(server);
            let former = former.of_server(server).map(|at| &self.services[at]);
            // What is in a file belongs to what is configured.
            if let Some(same) = former.filter(|one| one.config == *server && one.stamp == stamp) {
                steps.push(Step::Keep(same.key));
                continue;
            }
            let failed = |source| ReloadError::Plan { virtual_server: server.name.clone(), source };
            let known = former.map(|former| self.endpoints(former)).unwrap_or_default();
            let plan = Plan::new(server.clone(), &known, &mut self.names).map_err(failed)?;
            let former = former.map(|former| former.key);
            let checks = prepare(&self.checks, server, total, &mut self.names, &mut files)?;
            steps.push(Step::Change { plan: Box::new(plan), former, checks, stamp });
        }
        let open = self.open();
        let ours: Vec<SocketAddr> = open.keys().copied().collect();
        let mut bound = HashMap::new();
        for server in &config.virtual_servers {
            let listen = server.listen;
            if !open.contains_key(&listen) {
                let comes_and_goes = config.is_virtual(listen.ip());
                let count = self.workers.count();
                let sockets = Bound::bind_perhaps_early(listen, count, &ours, comes_and_goes)?;
                bound.insert(listen, sockets);
            }
        }
        let admin = self.administration.open(config.admin.as_ref())?;
        Ok(Preparation { config, steps, bound, admin, telling })
    }

    /// Where it listens.
    fn open(&self) -> HashMap<SocketAddr, Arc<Listener>> {
        let all = self.services.iter();
        all.map(|service| (service.listener.address(), Arc::clone(&service.listener))).collect()
    }

    /// Takes over a whole configuration, the first one or another.
    ///
    /// # Errors
    /// [`ReloadError`]; nothing has changed then.
    pub(super) fn reconfigure(
        &mut self,
        config: Config,
        looked: Looked,
    ) -> Result<(), ReloadError> {
        let prepared = self.prepare(config, looked)?;
        self.take_over(prepared);
        Ok(())
    }

    /// Takes over what was prepared.
    pub(super) fn take_over(&mut self, prepared: Preparation) {
        let Preparation { config, steps, mut bound, admin, telling } = prepared;
        let open = self.open();
        self.checks.bound_by(Bounds::from(&config));
        // What the system says of names may have changed, too.
        self.names.resolve_by(&config.resolvers);
        // Everything that could fail has not: the plans were validated by the machines' own rules.
        self.notifier.take_over(&config, telling);
        let wanted = config.admin.as_ref();
        self.administration.move_to(wanted, admin, self.serve_admin, &self.handle);
        let mut former: HashMap<ServerKey, Service> =
            self.services.drain(..).map(|service| (service.key, service)).collect();
        for step in steps {
            let (plan, key, checks, stamp) = match step {
                Step::Change { plan, former, checks, stamp } => (plan, former, checks, stamp),
                Step::Keep(key) => {
                    self.services.extend(former.remove(&key));
                    continue;
                }
            };
            let listen = plan.config().listen;
            let socket = match (open.get(&listen), bound.remove(&listen)) {
                (Some(listener), _) => Socket::Open(Arc::clone(listener)),
                (None, Some(bound)) => Socket::Bound(bound, &self.workers),
                (None, None) => continue,
            };
            let attempts = self.attempts.clone();
            let former = key.and_then(|key| former.remove(&key));
            let before = former.as_ref().map(Service::backends).unwrap_or_default();
            let checked = former.as_ref().map(Service::checked).unwrap_or_default();
            let service = match former {
                Some(service) => plan.take_over(service, attempts, socket),
                None => {
                    let key = ServerKey::new(self.next_server);
                    self.next_server += 1;
                    plan.start(key, attempts, socket)
                }
            };
            let mut service = service.expect("the plan was validated when it was made");
            service.stamp = stamp;
            self.set_checks(&service, &checked, checks);
            let stay = service.endpoints();
            let gone =
                |backend: &Backend<Endpoint>| !stay.contains_key(backend.endpoint().address());
            self.retire(&service, before.into_iter().filter(|(_, backend)| gone(backend)));
            service.settle(&mut self.notifier);
            // Whoever was removed and is back need not go.
            self.cuts.retain(|cut| {
                cut.place.server != service.key
                    || match service.machine.backend(cut.place.backend) {
                        Some(status) => status.admin == Admin::Drain,
                        None => !stay.contains_key(cut.backend.endpoint().address()),
                    }
            });
            self.services.push(service);
        }
        for gone in former.into_values() {
            info!(virtual_server = gone.config.name, "removed");
            for backend in gone.checked() {
                self.checks.forget(Place { server: gone.key, backend });
            }
            self.retire(&gone, gone.backends().into_iter());
            let until = Instant::now() + gone.config.drain_timeout;
            self.removed.push(Removed { tally: gone.tally, until });
        }
        self.leaving.extend(open.into_values(), &self.services);
    }

    /// The endpoints of a service, and of whoever is on the way out of it: one that comes back has its
    /// connections back, too.
    fn endpoints(&self, service: &Service) -> HashMap<Address, Endpoint> {
        let leaving = self.cuts.iter().filter(|cut| cut.place.server == service.key);
        let leaving = leaving.map(|cut| cut.backend.endpoint());
        let mut known: HashMap<_, _> =
            leaving.map(|endpoint| (endpoint.address().clone(), Arc::clone(endpoint))).collect();
        known.extend(service.endpoints());
        known
    }

    /// Sees to it that the connections of backends that are gone end in time.
    fn retire(
        &mut self,
        service: &Service,
        gone: impl Iterator<Item = (BackendId, Arc<Backend<Endpoint>>)>,
    ) {
        let at = Instant::now() + service.config.drain_timeout;
        for (id, backend) in gone {
            let place = Place { server: service.key, backend: id };
            // One that was drained before has a time already.
            if self.cuts.iter().all(|cut| cut.place != place) {
                self.cuts.push(Cut { at, place, backend });
            }
        }
    }

    /// Runs these checks for a service's backends, and no others; it had some for those `before`.
    fn set_checks(&mut self, service: &Service, before: &[BackendId], checks: PreparedChecks) {
        let server = service.key;
        let mut identities = service.identities();
        if let Some(sorry) = service.machine.sorry() {
            identities.entry(sorry.endpoint().address().clone()).or_insert(sorry.id());
        }
        let stay: HashSet<BackendId> = identities.values().copied().collect();
        for &backend in before.iter().filter(|id| !stay.contains(id)) {
            self.checks.forget(Place { server, backend });
        }
        for (address, checks) in checks {
            if let Some(&backend) = identities.get(&address) {
                self.checks.set(Place { server, backend }, checks);
            }
        }
    }
}

/// Which of the services that run a virtual server is the new form of: the one of that name, or one that
/// listens there and was renamed.
struct Former<'a> {
    by_name: HashMap<&'a str, usize>,
    /// Of those alone whose name is gone.
    by_listen: HashMap<SocketAddr, usize>,
}

impl<'a> Former<'a> {
    fn of(services: &'a [Service], config: &Config) -> Self {
        let named: HashSet<&str> = config.virtual_servers.iter().map(|one| &*one.name).collect();
        let all = || services.iter().map(|service| &service.config).zip(0..);
        let renamed = all().filter(|(config, _)| !named.contains(&*config.name));
        Self {
            by_name: all().map(|(config, at)| (&*config.name, at)).collect(),
            by_listen: renamed.map(|(config, at)| (config.listen, at)).collect(),
        }
    }

    fn of_server(&self, server: &VirtualServer) -> Option<usize> {
        self.by_name.get(&*server.name).or_else(|| self.by_listen.get(&server.listen)).copied()
    }
}

/// Builds the checks of a virtual server; all virtual servers have `total`.
fn prepare(
    checks: &Checks,
    server: &VirtualServer,
    total: u32,
    names: &mut Names,
    files: &mut Files,
) -> Result<PreparedChecks, ReloadError> {
    let backends = server.backends.iter();
    let all = backends.map(|backend| (&backend.address, backend.weight, &*backend.checks));
    let sorry = server.sorry_server.iter();
    // Who is a backend as well is checked as that.
    let sorry = sorry.filter(|sorry| server.backends.iter().all(|one| one.address != **sorry));
    let sorry = sorry.map(|sorry| (sorry, Weight::ONE, &*server.sorry_checks));
    let each = all.chain(sorry).map(|(address, weight, own)| {
        let prepared = checks.prepare(address, weight, own, total, names, files);
        let prepared = prepared.map_err(|source| {
            let virtual_server = server.name.clone();
            ReloadError::Check { virtual_server, backend: address.clone(), source }
        });
        Ok((address.clone(), prepared?))
    });
    each.collect()
}

/// How many checks there are.
pub(super) fn number_of_checks(config: &Config) -> u32 {
    let servers = config.virtual_servers.iter();
    let each = servers.map(|server| {
        let backends = server.backends.iter().map(|backend| backend.checks.len() as u32);
        backends.sum::<u32>() + server.sorry_checks.len() as u32
    });
    each.sum()
}
