//! What would happen if: a configuration and a script, through the real machines, in virtual time.

mod duration;
mod moment;
mod script;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_core::backend::{BackendId, Outcome};
use lb_core::health::Admin;
use lb_core::virtual_server::{self, ConfigError, VirtualServerConfig};
use lb_core::{Scheduler, VirtualServer};
use rand::Rng;

use crate::monitor::{Action, Because, Run};
use crate::outliers::{Ejection, OutlierRules, Outliers, can_spare};
use crate::trace::Phase;
use crate::{CheckError, CheckId, CheckSpec, Event, Failure, Monitor, Report, Verdict};

pub use duration::{ParseDurationError, duration};
pub use moment::{Moment, What};
pub use script::{Conduct, Incident, ParseIncidentError, Turn, time};

/// A virtual server and its checks, through hours of trouble within milliseconds.
///
/// The machines are those that serve ([`Monitor`], [`VirtualServer`], [`Outliers`]), so what they
/// decide here they decide in earnest; only the backends are played. Nothing here reads a clock: times
/// count from the beginning, and the same seed gives the same story.
///
/// ```
/// use std::time::{Duration, Instant};
/// use lb_core::Algorithm;
/// use lb_core::virtual_server::{BackendConfig, VirtualServerConfig};
/// use lb_health::CheckSpec;
/// use lb_health::simulate::{Moment, Simulation, What};
/// use rand::{SeedableRng, rngs::SmallRng};
///
/// let config = VirtualServerConfig::of(["10.0.0.1:80", "10.0.0.2:80"].map(BackendConfig::named));
/// let checks = |_: &str| vec![CheckSpec::default()];
/// let (scheduler, mut rng) = (Algorithm::Rr.scheduler(), SmallRng::seed_from_u64(1));
/// let mut simulation = Simulation::new(Instant::now(), config, scheduler, checks, &mut rng)?;
/// let story = simulation.play(&["10s 10.0.0.2:80 dies".parse()?], Duration::from_secs(60));
/// let down = story.iter().find(|moment| moment.to_string().contains("down")).unwrap();
/// assert!(down.at > Duration::from_secs(10) && down.at < Duration::from_secs(14), "{down}");
/// let Some(Moment { what: What::Pool(pool), .. }) = story.last() else { panic!() };
/// assert_eq!(pool, &[("10.0.0.1:80".to_owned(), 1)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Simulation<E = SocketAddr> {
    begun: Instant,
    now: Instant,
    server: VirtualServer<E>,
    monitor: Monitor,
    /// There if clients' failures eject, instead of counting for the checks.
    outliers: Option<Outliers<BackendId>>,
    names: BTreeMap<BackendId, String>,
    /// What each backend is checked by, in order.
    checks: HashMap<BackendId, Vec<CheckSpec>>,
    /// What each backend does, and since when.
    conducts: HashMap<String, (Instant, Conduct)>,
    /// Who is up, as far as it was told.
    up: HashSet<BackendId>,
    /// Runs that are going, by the time that they end.
    going: BinaryHeap<Reverse<(Instant, u64)>>,
    results: HashMap<u64, (Run, Result<Report, Failure>)>,
}

/// How soon a backend that answers does so, or refuses.
const ANSWER: Duration = Duration::from_millis(1);

impl<E> Simulation<E> {
    /// A simulation of what `config` describes, that begins at `origin`. Each backend is checked as
    /// `checks` says of its name.
    ///
    /// # Errors
    /// If the configuration is refused.
    pub fn new(
        origin: Instant,
        config: VirtualServerConfig<E>,
        scheduler: Arc<dyn Scheduler>,
        checks: impl Fn(&str) -> Vec<CheckSpec>,
        rng: &mut dyn Rng,
    ) -> Result<Self, ConfigError> {
        let mut simulation = Self {
            begun: origin,
            now: origin,
            server: VirtualServer::new(config, scheduler)?,
            monitor: Monitor::new(),
            outliers: None,
            names: BTreeMap::new(),
            checks: HashMap::new(),
            conducts: HashMap::new(),
            up: HashSet::new(),
            going: BinaryHeap::new(),
            results: HashMap::new(),
        };
        simulation.check_as(&checks, rng);
        Ok(simulation)
    }

    /// The same, where failures of clients eject a backend instead of counting for its checks.
    #[must_use]
    pub fn with_outliers(mut self, rules: OutlierRules) -> Self {
        let mut outliers = Outliers::new(rules);
        self.names.keys().for_each(|&backend| outliers.insert(self.now, backend));
        self.outliers = Some(outliers);
        self
    }

    /// Takes over another configuration and other checks, as a daemon that reloads: who stays keeps
    /// the verdict, unchanged checks keep their streaks and their phase (X1 to X5).
    ///
    /// # Errors
    /// If the configuration is refused; nothing has changed then.
    pub fn reconfigure(
        &mut self,
        config: VirtualServerConfig<E>,
        scheduler: Arc<dyn Scheduler>,
        checks: impl Fn(&str) -> Vec<CheckSpec>,
        rng: &mut dyn Rng,
    ) -> Result<(), ConfigError> {
        self.server.reconfigure(self.now, config)?;
        self.server.set_scheduler(scheduler);
        self.check_as(&checks, rng);
        if let Some(outliers) = &mut self.outliers {
            self.names.keys().for_each(|&backend| outliers.insert(self.now, backend));
        }
        Ok(())
    }

    /// Plays the next `time`, in which these incidents happen; answers what came of them, by the
    /// time since the very beginning. Incidents count from now on; what went on before goes on.
    pub fn play(&mut self, incidents: &[Incident], time: Duration) -> Vec<Moment> {
        let (begin, end) = (self.now, self.now + time);
        let mut incidents: Vec<_> = incidents.iter().filter(|one| one.at <= time).collect();
        incidents.sort_by_key(|incident| incident.at);
        // Those of one moment stay in order.
        incidents.reverse();
        let mut story = Vec::new();
        loop {
            self.drain(&mut story);
            let incident = incidents.last().map(|incident| begin + incident.at);
            let result = self.going.peek().map(|&Reverse((at, _))| at);
            let outliers = self.outliers.as_ref().and_then(Outliers::next_deadline);
            let machines = [self.monitor.next_deadline(), self.server.next_deadline(), outliers];
            let next = machines.into_iter().chain([incident, result]).flatten().min();
            let Some(next) = next.filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
            while let Some(incident) = incidents.pop_if(|one| begin + one.at <= self.now) {
                let what = What::Incident(Incident::clone(incident));
                story.push(Moment { at: self.now - self.begun, what });
                self.suffer(incident, &mut story);
            }
            while let Some(&Reverse((at, number))) = self.going.peek()
                && at <= self.now
            {
                self.going.pop();
                if let Some((run, result)) = self.results.remove(&number) {
                    self.monitor.handle_result(self.now, run, result);
                }
            }
            self.monitor.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
            if let Some(outliers) = &mut self.outliers {
                outliers.handle_timeout(self.now);
            }
        }
        self.now = end;
        story
    }

    /// The checks, for reading.
    pub const fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// The virtual server, for reading.
    pub const fn server(&self) -> &VirtualServer<E> {
        &self.server
    }

    /// Checks every backend that there is by these, and nobody else.
    fn check_as(&mut self, checks: &impl Fn(&str) -> Vec<CheckSpec>, rng: &mut dyn Rng) {
        let named = |one: virtual_server::BackendStatus<'_, E>| (one.id, one.name.to_owned());
        let names: BTreeMap<_, _> = self.server.backends().map(named).collect();
        for gone in self.names.keys().filter(|known| !names.contains_key(known)) {
            self.monitor.forget(*gone);
            self.checks.remove(gone);
            self.up.remove(gone);
            if let Some(outliers) = &mut self.outliers {
                outliers.remove(*gone);
            }
        }
        for (&backend, name) in &names {
            let (wanted, known) = (checks(name), self.checks.entry(backend).or_default());
            let running: Vec<CheckId> = self.monitor.checks_of(backend).map(|(id, _)| id).collect();
            for (place, spec) in wanted.iter().enumerate() {
                match running.get(place) {
                    Some(_) if known.get(place) == Some(spec) => {}
                    Some(&id) => self.monitor.replace(self.now, id, spec.clone()),
                    None => drop(self.monitor.watch(self.now, backend, spec.clone(), rng)),
                }
            }
            running.iter().skip(wanted.len()).for_each(|&id| self.monitor.forget_check(id));
            *known = wanted;
        }
        self.names = names;
    }

    fn suffer(&mut self, incident: &Incident, story: &mut Vec<Moment>) {
        let (now, name) = (self.now, &incident.backend);
        if let Turn::Conduct(conduct) = incident.turn {
            self.conducts.insert(name.clone(), (now, conduct));
        }
        let known = self.names.iter().find(|(_, known)| *known == name);
        let Some((&backend, _)) = known else { return };
        match incident.turn {
            Turn::Conduct(_) => {}
            Turn::Admin(word) => {
                self.server.set_admin(now, backend, word);
                match word {
                    Admin::Maintenance => self.monitor.suspend(backend),
                    _ => self.monitor.resume(now, backend),
                }
            }
            Turn::TurnsAway(clients) => {
                for _ in 0..clients {
                    match &mut self.outliers {
                        Some(outliers) => outliers.handle_outcome(now, backend, Outcome::Failure),
                        None => self.turn_away(backend, story),
                    }
                }
            }
            Turn::Weight(weight) => drop(self.server.set_weight(now, backend, weight)),
        }
    }

    /// A client fails at `backend`, which goes down for it if the others can do without.
    fn turn_away(&mut self, backend: BackendId, story: &mut Vec<Moment>) {
        let is_last_straw = self.monitor.at_stake(backend).next().is_some();
        let overruled = self.names.keys().filter(|&&id| self.monitor.is_overruled(id));
        if is_last_straw && !can_spare(self.server.strength(), overruled.count()) {
            return self.monitor.doubt(self.now, backend);
        }
        self.monitor.handle_passive(self.now, backend, Err(CheckError::Refused));
        if is_last_straw {
            // The next one may have to be spared for it.
            self.drain(story);
        }
    }

    fn drain(&mut self, story: &mut Vec<Moment>) {
        let at = self.now - self.begun;
        let mut tell = |what| story.push(Moment { at, what });
        while let Some(ejection) = self.outliers.as_mut().and_then(Outliers::poll_action) {
            let (host, out) = match ejection {
                Ejection::Back { host } => (host, false),
                Ejection::Out { host, .. } => (host, true),
            };
            self.server.set_ejected(self.now, host, out);
            tell(What::Ejection { backend: self.name(host), out });
        }
        while let Some(action) = self.monitor.poll_action() {
            match action {
                Action::Run(run) => self.start(run),
                Action::Cancel(run) => drop(self.results.remove(&run.number())),
                Action::Notify(Event::Verdict(verdict)) => tell(self.judge(&verdict)),
                Action::Notify(event) => {
                    let begins = matches!(event, Event::Obstructed(_));
                    tell(What::Obstruction { backend: self.name(event.backend()), begins });
                }
            }
        }
        while let Some(action) = self.server.poll_action() {
            tell(match action {
                // The checks' own verdicts say so already, and why.
                virtual_server::Action::Notify(
                    virtual_server::Event::BackendDown { .. }
                    | virtual_server::Event::BackendUp { .. },
                ) => continue,
                virtual_server::Action::Notify(event) => What::Server(event),
                virtual_server::Action::Publish(pool) => What::Pool(
                    pool.members()
                        .iter()
                        .zip(pool.backends())
                        .map(|(member, backend)| (backend.name().to_owned(), member.weight.value()))
                        .collect(),
                ),
            });
        }
    }

    fn judge(&mut self, verdict: &Verdict) -> What {
        let (id, up) = (verdict.backend, verdict.health.is_up());
        self.server.handle_health(self.now, id, verdict.health);
        let was_up = if up { !self.up.insert(id) } else { self.up.remove(&id) };
        let backend = self.name(id);
        if up && was_up {
            let weight = self.server.backend(id).map_or(0, |status| status.weight.value());
            return What::Weight { backend, weight };
        }
        let (cause, clients) = match &verdict.because {
            Because::Failed { error, .. } => (Some(error.cause()), false),
            Because::Traffic { error, .. } => (Some(error.cause()), true),
            _ => (None, false),
        };
        What::Verdict { backend, up, cause, clients }
    }

    fn name(&self, backend: BackendId) -> String {
        self.names.get(&backend).cloned().unwrap_or_default()
    }

    fn start(&mut self, run: Run) {
        let Some(check) = self.monitor.check(run.check()) else { return };
        let backend = check.backends().next();
        let name = backend.and_then(|backend| self.names.get(&backend));
        let known = name.and_then(|name| self.conducts.get(name)).copied();
        let (since, conduct) = known.unwrap_or((self.now, Conduct::Answers));
        let first = backend.and_then(|backend| self.monitor.checks_of(backend).next());
        let is_first = first.is_some_and(|(first, _)| first == run.check());
        let timeout = check.spec().timeout();
        let refuses = (ANSWER, Err(CheckError::Refused.into()));
        let (after, result) = match conduct {
            Conduct::Flaps(period) => {
                let turns = (self.now - since).as_nanos() / period.as_nanos().max(1);
                if turns.is_multiple_of(2) { refuses } else { (ANSWER, Ok(Report::ALIVE)) }
            }
            Conduct::Hangs => (timeout, Err(CheckError::Timeout { phase: Phase::Connect }.into())),
            Conduct::Obstructed => {
                let source = Arc::new(std::io::ErrorKind::OutOfMemory.into());
                (ANSWER, Err(CheckError::Local { operation: "connect", source }.into()))
            }
            Conduct::Refuses => refuses,
            Conduct::Reports(weight) if is_first => (ANSWER, Ok(Report::weighing(weight))),
            Conduct::ReportsPercent(percent) if is_first => {
                let mut report = Report::ALIVE;
                report.advice.percent = Some(percent);
                (ANSWER, Ok(report))
            }
            Conduct::Answers | Conduct::Reports(_) | Conduct::ReportsPercent(_) => {
                (ANSWER, Ok(Report::ALIVE))
            }
        };
        self.going.push(Reverse((self.now + after.min(timeout), run.number())));
        self.results.insert(run.number(), (run, result));
    }
}

impl<E> fmt::Debug for Simulation<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("now", &self.now).finish_non_exhaustive()
    }
}
