//! What would happen if: a configuration and a script, through the real machines, in virtual time.

mod script;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_core::backend::BackendId;
use lb_core::quorum::Strength;
use lb_core::virtual_server::{self, ConfigError, VirtualServerConfig};
use lb_core::{Scheduler, VirtualServer};
use rand::Rng;

use crate::{Action, Because, CheckError, CheckSpec, Event, Failure, Monitor, Phase, Report, Run};

pub use script::{Conduct, Incident, ParseIncidentError};

/// A virtual server and its checks, through hours of trouble within milliseconds.
///
/// The machines are those that serve ([`Monitor`] and [`VirtualServer`]), so what they decide here
/// they decide in earnest; only the backends are played. Nothing here reads a clock: times count from
/// the beginning, and the same seed gives the same story.
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
    now: Instant,
    server: VirtualServer<E>,
    monitor: Monitor,
    names: HashMap<BackendId, String>,
    /// What each backend does, and since when.
    conducts: HashMap<String, (Instant, Conduct)>,
    /// Runs that are going, by the time that they end.
    going: BinaryHeap<Reverse<(Instant, u64)>>,
    results: HashMap<u64, (Run, Result<Report, Failure>)>,
}

/// Something happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// The time since the beginning.
    pub at: Duration,
    /// What happens.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum What {
    /// A backend changes what it does.
    Incident(Incident),
    /// New flows go to these backends from now on, in these shares.
    Pool(Vec<(String, u16)>),
    /// The virtual server has something to tell: quorum, panic.
    Server(virtual_server::Event),
    /// The checks have a new verdict on a backend.
    Verdict {
        /// The backend.
        backend: String,
        /// Whether it is up.
        up: bool,
        /// The [cause](CheckError::cause) of the failure that decided, if one did.
        cause: Option<&'static str>,
    },
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
        let server = VirtualServer::new(config, scheduler)?;
        let names: HashMap<_, _> =
            server.backends().map(|backend| (backend.id, backend.name.to_owned())).collect();
        let mut monitor = Monitor::new();
        for backend in server.backends() {
            for spec in checks(backend.name) {
                monitor.watch(origin, backend.id, spec, rng);
            }
        }
        let (conducts, going, results) = Default::default();
        Ok(Self { now: origin, server, monitor, names, conducts, going, results })
    }

    /// Plays the next `time`, in which these incidents happen; answers what came of them. Incidents
    /// count from now on; what went on before goes on.
    pub fn play(&mut self, incidents: &[Incident], time: Duration) -> Vec<Moment> {
        let (begin, end) = (self.now, self.now + time);
        let mut incidents: Vec<_> = incidents.iter().filter(|one| one.at <= time).collect();
        incidents.sort_by_key(|incident| Reverse(incident.at));
        let mut story = Vec::new();
        loop {
            self.drain(begin, &mut story);
            let incident = incidents.last().map(|incident| begin + incident.at);
            let result = self.going.peek().map(|&Reverse((at, _))| at);
            let machines = [self.monitor.next_deadline(), self.server.next_deadline()];
            let next = machines.into_iter().chain([incident, result]).flatten().min();
            let Some(next) = next.filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
            while let Some(incident) = incidents.pop_if(|one| begin + one.at <= self.now) {
                self.conducts.insert(incident.backend.clone(), (self.now, incident.conduct));
                let what = What::Incident(Incident::clone(incident));
                story.push(Moment { at: self.now - begin, what });
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

    fn drain(&mut self, begin: Instant, story: &mut Vec<Moment>) {
        let at = self.now - begin;
        while let Some(action) = self.monitor.poll_action() {
            match action {
                Action::Run(run) => self.start(run),
                Action::Notify(Event::Verdict(verdict)) => {
                    self.server.handle_health(self.now, verdict.backend, verdict.health);
                    let cause = match &verdict.because {
                        Because::Failed { error, .. } => Some(error.cause()),
                        _ => None,
                    };
                    let backend = self.names[&verdict.backend].clone();
                    let what = What::Verdict { backend, up: verdict.health.is_up(), cause };
                    story.push(Moment { at, what });
                }
                // Nobody suspends or forgets a check here, and no run fails for local reasons.
                Action::Cancel(_) | Action::Notify(_) => {}
            }
        }
        while let Some(action) = self.server.poll_action() {
            let what = match action {
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
            };
            story.push(Moment { at, what });
        }
    }

    fn start(&mut self, run: Run) {
        let Some(check) = self.monitor.check(run.check()) else { return };
        let name = check.backends().next().and_then(|backend| self.names.get(&backend));
        let known = name.and_then(|name| self.conducts.get(name)).copied();
        let (since, conduct) = known.unwrap_or((self.now, Conduct::Answers));
        let timeout = check.spec().timeout();
        let refuses = (ANSWER, Err(CheckError::Refused.into()));
        let (after, result) = match conduct {
            Conduct::Answers => (ANSWER, Ok(Report::ALIVE)),
            Conduct::Flaps(period) => {
                let turns = (self.now - since).as_nanos() / period.as_nanos().max(1);
                if turns.is_multiple_of(2) { refuses } else { (ANSWER, Ok(Report::ALIVE)) }
            }
            Conduct::Hangs => (timeout, Err(CheckError::Timeout { phase: Phase::Connect }.into())),
            Conduct::Refuses => refuses,
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

impl fmt::Display for Moment {
    /// One line: `  12.250 s  web1 is down: refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3} s  ", self.at.as_secs_f64())?;
        match &self.what {
            What::Incident(Incident { backend, conduct, .. }) => match conduct {
                Conduct::Answers => write!(f, "[{backend} answers]"),
                Conduct::Flaps(period) => write!(f, "[{backend} flaps every {period:?}]"),
                Conduct::Hangs => write!(f, "[{backend} hangs]"),
                Conduct::Refuses => write!(f, "[{backend} refuses]"),
            },
            What::Pool(pool) => {
                f.write_str("new flows go to")?;
                if pool.is_empty() {
                    f.write_str(" nobody")?;
                }
                pool.iter().try_for_each(|(name, weight)| write!(f, " {name}={weight}"))
            }
            What::Server(event) => {
                use virtual_server::Event;
                let (what, lives) = match event {
                    Event::PanicBegan { strength } => ("panic began", strength),
                    Event::PanicEnded { strength } => ("panic ended", strength),
                    Event::QuorumGained { strength } => ("quorum gained", strength),
                    Event::QuorumLost { strength } => ("quorum lost", strength),
                    other => return write!(f, "{other:?}"),
                };
                let Strength { weight, alive, configured } = lives;
                write!(f, "{what}: {alive} of {configured} live, of weight {weight}")
            }
            What::Verdict { backend, up: true, .. } => write!(f, "{backend} is up"),
            What::Verdict { backend, cause: None, .. } => write!(f, "{backend} is down"),
            What::Verdict { backend, cause: Some(cause), .. } => {
                write!(f, "{backend} is down: {cause}")
            }
        }
    }
}
