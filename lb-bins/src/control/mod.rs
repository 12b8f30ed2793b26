//! The one task that owns every machine: it alone decides, everybody else carries out.
//!
//! ```text
//!  checks ── verdicts ──┐                       ┌──▶ Director ··· read by every worker
//!  workers ─ attempts ──┼──▶ Control ─ actions ─┼──▶ scripts, pipe, mail
//!  admin, signals ──────┘                       └──▶ log
//! ```

mod administer;
mod administration;
mod bounds;
mod changes;
mod checks;
mod instance;
mod leaving;
mod looked;
mod observed;
mod passive;
mod plan;
mod rehearsal;
mod reload;
mod report;
mod request;
mod service;
mod spare;
mod telling;
mod timing;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{join, join_all};
use lb_core::Backend;
use lb_health::monitor::{Because, Obstruction};
use lb_health::{CheckError, Event, Verdict};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;
use tracing::{info, warn};

pub use administration::Serve;
pub use plan::PlanError;
pub(crate) use rehearsal::Rehearsal;
pub use reload::ReloadError;
pub use request::{Decision, Handle, Order, Refusal};

use crate::config::Config;
use crate::names::Names;
use crate::notify::{Notifier, Observer};
use crate::status::in_full;
use crate::tcp::{Attempt, Endpoint, Tally, Workers};
pub(crate) use administration::{Administration, Opened};
pub use bounds::Bounds;
use checks::{Checks, Place};
use leaving::Leaving;
use looked::Looked;
use reload::Preparation;
use request::Request;
use service::Service;
use timing::TICK;

/// Attempts that control has not read yet. Beyond them it is told enough already.
const ATTEMPTS: usize = 4096;
/// Verdicts and attempts that may go into one pool. A request never waits for more.
const BATCH: usize = 1024;
/// How long the last scripts and mails are waited for.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Owns every virtual server.
pub struct Control {
    services: Vec<Service>,
    next_server: u32,
    checks: Checks,
    names: Names,
    /// Draining and removed backends whose connections are cut at some time.
    cuts: Vec<Cut>,
    removed: Vec<Removed>,
    leaving: Leaving,
    workers: Workers,
    administration: Administration,
    notifier: Notifier,
    serve_admin: Serve,
    attempts: mpsc::Sender<Attempt>,
    attempted: mpsc::Receiver<Attempt>,
    handle: Handle,
    requests: mpsc::Receiver<Request>,
    next_tick: Instant,
    stopping_since: Option<Instant>,
    /// What is taken over, or not, before anything else is done.
    undecided: Option<(Preparation, oneshot::Receiver<()>)>,
    observer: Option<Observer>,
}

struct Cut {
    at: Instant,
    place: Place,
    backend: Arc<Backend<Endpoint>>,
}

/// A virtual server that was removed while clients were connected.
struct Removed {
    tally: Arc<Tally>,
    until: Instant,
}

impl Control {
    /// Starts what `config` asks for: sockets listen when this returns, and clients are accepted as
    /// soon as [`run`](Self::run) has the first verdicts. `serve_admin` answers on the admin
    /// address, if there is one. Must be called within a runtime.
    ///
    /// # Errors
    /// [`ReloadError`], if any of it cannot be; nothing is left behind then.
    pub fn start(
        config: Config,
        workers: Workers,
        serve_admin: Serve,
    ) -> Result<Self, ReloadError> {
        let (attempts, attempted) = mpsc::channel(ATTEMPTS);
        let (handle, requests) = Handle::new();
        let mut control = Self {
            services: Vec::new(),
            next_server: 0,
            checks: Checks::aside(Bounds::from(&config)),
            names: Names::new(&config.resolvers),
            cuts: Vec::new(),
            removed: Vec::new(),
            leaving: Leaving::default(),
            workers,
            administration: Administration::default(),
            notifier: Notifier::default(),
            serve_admin,
            attempts,
            attempted,
            handle,
            requests,
            next_tick: Instant::now() + TICK,
            stopping_since: None,
            undecided: None,
            observer: None,
        };
        let looked = Looked::at(&config)?;
        control.reconfigure(config, looked)?;
        Ok(control)
    }

    /// A handle to ask this control with.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Decides until it is told to stop and the last connection has ended, or its time is over;
    /// told a second time, returns at once.
    pub async fn run(mut self) {
        loop {
            if let Some((prepared, decision)) = self.undecided.take()
                && decision.await.is_ok()
            {
                self.take_over(prepared);
            }
            let deadline = self.next_deadline();
            tokio::select! {
                Some(request) = self.requests.recv() => {
                    if let Some(config) = request.config() {
                        self.leaving.make_way(config).await;
                    }
                    if self.obey(request).is_break() {
                        return self.cut_the_rest().await;
                    }
                }
                event = self.checks.next() => self.heed(&event),
                Some(change) = self.names.next() => self.checks.moved(&change.host),
                Some(attempt) = self.attempted.recv() => self.learn(attempt),
                () = sleep_until(deadline.into()) => {
                    if self.handle_timeout(Instant::now()).is_break() {
                        break;
                    }
                }
            }
            self.catch_up();
            self.services.iter_mut().for_each(|service| service.settle(&mut self.notifier));
            self.show_quorums();
        }
        self.cut_the_rest().await;
        let scripts = self.services.into_iter().map(Service::finish);
        let last = join(join_all(scripts), self.notifier.finish());
        if tokio::time::timeout(LAST_WORDS, last).await.is_err() {
            warn!("scripts that still run are killed, and mail that waits is not sent");
        }
    }

    /// Takes in what else is there already, so that many verdicts at once (a start, a rack that
    /// dies) make one new pool and not one each.
    fn catch_up(&mut self) {
        for _ in 0..BATCH {
            if let Ok(attempt) = self.attempted.try_recv() {
                self.learn(attempt);
            } else if let Some(event) = self.checks.next().now_or_never() {
                self.heed(&event);
            } else {
                return;
            }
        }
    }

    fn learn(&mut self, attempt: Attempt) {
        let Attempt { server, backend, outcome } = attempt;
        // It says nothing of the backend, nor gives reason to doubt its checks.
        if outcome.as_ref().is_err_and(CheckError::is_local) {
            return;
        }
        let place = Place { server, backend };
        let told = self
            .service_mut(place)
            .is_some_and(|service| service.learn(Instant::now(), backend, &outcome));
        // Who is ejected for it is not down for it.
        if told {
            return;
        }
        let at_stake: Vec<Place> = match outcome {
            Ok(()) => Vec::new(),
            Err(_) => self.checks.at_stake(place).collect(),
        };
        let can_spare = |one: &Place| {
            let is_overruled = |backend| self.checks.is_overruled(Place { backend, ..*one });
            self.service(*one).is_some_and(|service| service.can_spare(one.backend, is_overruled))
        };
        if !at_stake.iter().all(can_spare) {
            return self.checks.doubt(place);
        }
        self.checks.passive(place, outcome);
        // Whether the next one can be spared depends on that: it must not wait for its turn.
        if !at_stake.is_empty() {
            self.heed_all();
        }
    }

    /// Takes in what the checks have to tell already.
    fn heed_all(&mut self) {
        for _ in 0..BATCH {
            match self.checks.next().now_or_never() {
                Some(event) => self.heed(&event),
                None => return,
            }
        }
    }

    fn heed(&mut self, event: &Event<Place>) {
        if let Event::Verdict(verdict) = event {
            self.judge(verdict);
            return;
        }
        let place = event.backend();
        let Some(service) = self.service(place) else { return };
        let virtual_server = &*service.config.name;
        let backend = service.name_of(place.backend);
        match event {
            Event::Obstructed(Obstruction { check, errors, error, .. }) => {
                let (check, error) = (self.checks.name(place, *check), in_full(error));
                warn!(
                    virtual_server,
                    backend, check, errors, error, "cannot be checked, and stays as it is"
                );
            }
            Event::Unobstructed { check, .. } => {
                let check = self.checks.name(place, *check);
                info!(virtual_server, backend, check, "can be checked again");
            }
            _ => {}
        }
    }

    fn judge(&mut self, verdict: &Verdict<Place>) {
        let (now, place) = (Instant::now(), verdict.backend);
        let why = match &verdict.because {
            Because::Failed { check, error } => {
                format!("{} check failed: {}", self.checks.name(place, *check), in_full(error))
            }
            Because::Passed { check } => self.checks.passed(place, *check),
            Because::Traffic { error, held_until: None } => format!("connections fail: {error}"),
            Because::Traffic { error, held_until: Some(until) } => {
                let hold = until.saturating_duration_since(now);
                format!("connections fail again: {error}; checks do not count for {hold:.1?}")
            }
            Because::Initial { check } => match self.checks.has_found(*check) {
                // For another virtual server, that has the same one.
                Some(found) => format!("{} check {found} already", self.checks.name(place, *check)),
                None => "taken to be up until it is checked".to_owned(),
            },
            _ => "a check was removed".to_owned(),
        };
        if let Some(service) = self.service_mut(place) {
            service.change(place.backend, &why, |machine| {
                machine.handle_health(now, place.backend, verdict.health);
            });
        }
    }

    fn named(&self, virtual_server: &str) -> Result<&Service, Refusal> {
        let mut services = self.services.iter();
        services.find(|service| service.config.name == virtual_server).ok_or_else(|| {
            let known: Vec<_> = self.services.iter().map(|one| &*one.config.name).collect();
            Refusal::UnknownVirtualServer {
                name: virtual_server.to_owned(),
                known: known.join(", "),
            }
        })
    }

    fn service(&self, place: Place) -> Option<&Service> {
        self.services.iter().find(|service| service.key == place.server)
    }

    fn service_mut(&mut self, place: Place) -> Option<&mut Service> {
        self.services.iter_mut().find(|service| service.key == place.server)
    }

    /// Nobody waits for an answer that cannot be sent: whoever asked has gone.
    fn obey(&mut self, request: Request) -> ControlFlow<()> {
        match request {
            Request::Administer { virtual_server, backend, order, reply } => {
                let _ = reply.send(self.administer(&virtual_server, backend, order));
            }
            Request::Explain { virtual_server, backend, reply } => {
                let _ = reply.send(self.explain(Instant::now(), &virtual_server, &backend));
            }
            Request::Ping { reply } => {
                let _ = reply.send(self.checks.overdue(Instant::now()));
            }
            Request::Prepare { reply, .. } | Request::Reconfigure { reply, .. }
                if self.stopping_since.is_some() =>
            {
                let _ = reply.send(Err(ReloadError::Stopping));
            }
            Request::Prepare { config, looked, reply, decision } => {
                let prepared = self.prepare(*config, looked).map(|prepared| {
                    self.undecided = Some((prepared, decision));
                });
                let _ = reply.send(prepared);
            }
            Request::Reconfigure { config, looked, reply } => {
                let _ = reply.send(self.reconfigure(*config, looked));
            }
            Request::Status { reply } => {
                let _ = reply.send(self.status(Instant::now()));
            }
            Request::Stop if self.stopping_since.is_some() => {
                warn!("stopping at once");
                return ControlFlow::Break(());
            }
            Request::Stop => self.stop(),
        }
        ControlFlow::Continue(())
    }
}
