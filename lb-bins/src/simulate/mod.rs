//! What would happen if: a configuration and a script, through the machines that serve, on a virtual
//! clock.

mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use lb_core::virtual_server::ConfigError;
use lb_health::simulate::{Incident, Moment, Simulation, time};
use rand::SeedableRng;
use rand::rngs::StdRng;

pub use self::script::{ScriptError, ScriptErrors, ScriptProblem};

use self::script::{Line, Numbered, parse};
use crate::config::{Config, ConfigErrors, ConfigFile, Daemon, VirtualServer, read_bounded};
use crate::control::{PlanError, Rehearsal};
use crate::tcp::Endpoint;

/// What is to be simulated.
#[derive(Args, Debug)]
#[group(skip)]
pub struct Arguments {
    /// Play this script through the configuration on a virtual clock, and print what would come of
    /// it: verdicts, weights, quorum, who gets new connections. A line is TIME BACKEND WHAT, such as
    /// `10s 192.0.2.1:80 dies`, or TIME reload FILE
    #[arg(long, value_name = "SCRIPT", requires = "config", conflicts_with_all = ["check", "demo", "probe", "genhash"])]
    simulate: Option<PathBuf>,

    /// Simulate so much time; a minute more than the script by default
    #[arg(long = "for", value_name = "TIME", requires = "simulate", value_parser = time)]
    length: Option<Duration>,

    /// Another number, another draw of all that is left to chance: phases and jitter
    #[arg(long, value_name = "NUMBER", requires = "simulate", default_value_t = 1)]
    seed: u64,
}

/// What cannot be simulated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// A configuration that the script reloads.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// A configuration that the machines refuse.
    #[error("virtual server `{name}`: {source}")]
    Plan {
        /// The virtual server.
        name: String,
        /// Why.
        source: PlanError,
    },
    /// Lines of the script.
    #[error(transparent)]
    Script(#[from] ScriptErrors),
    /// What a line of the script takes over cannot be played.
    #[error(
        "{}:{number}: error: this reload cannot be played\n{}\n", path.display(), .source.to_string().trim_end()
    )]
    Reload {
        /// The script.
        path: PathBuf,
        /// The line, from 1.
        number: usize,
        /// Why.
        source: Box<Self>,
    },
    /// There is no script.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The script.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A virtual server that is played, and since when.
struct Stage {
    simulation: Simulation<Endpoint>,
    since: Duration,
    backends: BTreeSet<String>,
}

/// All of them, by name; in the order of the names, as they are in what is printed.
struct Play {
    origin: Instant,
    rng: StdRng,
    stages: BTreeMap<String, Stage>,
    story: Vec<(Moment, String)>,
}

impl Arguments {
    /// Whether anything is to be simulated.
    pub const fn is_asked(&self) -> bool {
        self.simulate.is_some()
    }

    /// Plays the script through `config`, which was read from `file`; the text to print.
    ///
    /// # Errors
    /// [`SimulateError`], of all lines up to the next reload that cannot be played.
    pub fn run(&self, file: &ConfigFile, config: &Config) -> Result<String, SimulateError> {
        let path = self.simulate.as_deref().unwrap_or(Path::new(""));
        let text = read_bounded(path).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
        });
        let text =
            text.map_err(|source| SimulateError::Unreadable { path: path.to_owned(), source })?;
        let mut lines = parse(path, &text)?;
        // Those of one moment stay in order.
        lines.sort_by_key(|line| line.line.at());
        let last = lines.last().map_or(Duration::ZERO, |line| line.line.at());
        let end = self.length.unwrap_or(last + Duration::from_secs(60));
        let mut play = Play::begin(config, self.seed)?;
        let (mut now, mut rest) = (Duration::ZERO, &lines[..]);
        loop {
            let is_reload = |line: &Numbered| matches!(line.line, Line::Reload { .. });
            let length = rest.iter().position(is_reload).unwrap_or(rest.len());
            let (scene, after) = rest.split_at(length);
            let until = after.first().map_or(end, |next| next.line.at().min(end));
            play.perform(path, scene, now, until)?;
            let Some((Numbered { line: Line::Reload { path: next, .. }, number, .. }, others)) =
                after.split_first()
            else {
                return Ok(play.told());
            };
            let next = path.parent().unwrap_or(Path::new("")).join(next);
            let reloaded = play.reload(until, &ConfigFile { path: next, ..file.clone() });
            reloaded.map_err(|source| SimulateError::Reload {
                path: path.to_owned(),
                number: *number,
                source: Box::new(source),
            })?;
            (now, rest) = (until, others);
        }
    }
}

impl Play {
    fn begin(config: &Config, seed: u64) -> Result<Self, SimulateError> {
        let (rng, stages) = (StdRng::seed_from_u64(seed), BTreeMap::new());
        let mut play = Self { origin: Instant::now(), rng, stages, story: Vec::new() };
        play.stage(Duration::ZERO, config)?;
        Ok(play)
    }

    fn reload(&mut self, now: Duration, file: &ConfigFile) -> Result<(), SimulateError> {
        let config = file.load_for(Daemon::TcpLb)?;
        self.stage(now, &config)
    }

    /// Has exactly these virtual servers on stage; those that stay go on.
    fn stage(&mut self, now: Duration, config: &Config) -> Result<(), SimulateError> {
        let mut former = std::mem::take(&mut self.stages);
        for server in &config.virtual_servers {
            let stage = match former.remove(&server.name) {
                Some(stage) => self.change(stage, server, config)?,
                None => self.enter(now, server, config)?,
            };
            self.stages.insert(server.name.clone(), stage);
        }
        Ok(())
    }

    fn enter(
        &mut self,
        now: Duration,
        server: &VirtualServer,
        config: &Config,
    ) -> Result<Stage, SimulateError> {
        let Rehearsal { machine, scheduler, specs, outliers } = rehearsal(server, config)?;
        let checks = |name: &str| specs.get(name).cloned().unwrap_or_default();
        let origin = self.origin + now;
        let simulation = Simulation::new(origin, machine, scheduler, checks, &mut self.rng);
        let simulation = simulation.map_err(|source| refused(server, source))?;
        let simulation = match outliers {
            Some(rules) => simulation.with_outliers(rules),
            None => simulation,
        };
        Ok(Stage { simulation, since: now, backends: specs.into_keys().collect() })
    }

    fn change(
        &mut self,
        mut stage: Stage,
        server: &VirtualServer,
        config: &Config,
    ) -> Result<Stage, SimulateError> {
        let Rehearsal { machine, scheduler, specs, .. } = rehearsal(server, config)?;
        let checks = |name: &str| specs.get(name).cloned().unwrap_or_default();
        let changed = stage.simulation.reconfigure(machine, scheduler, checks, &mut self.rng);
        changed.map_err(|source| refused(server, source))?;
        Ok(Stage { backends: specs.into_keys().collect(), ..stage })
    }

    /// Plays from `now` until then.
    fn perform(
        &mut self,
        path: &Path,
        lines: &[Numbered],
        now: Duration,
        until: Duration,
    ) -> Result<(), SimulateError> {
        let errors = lines.iter().filter_map(|Numbered { number, text, line }| {
            let Line::Incident { server, incident } = line else { return None };
            let problem = self.nobody(server.as_deref(), &incident.backend)?;
            let (path, number, text) = (path.to_owned(), *number, text.clone());
            Some(ScriptError { path, number, text, problem })
        });
        ScriptErrors::none(errors.collect())?;
        for (name, stage) in &mut self.stages {
            let own = lines.iter().filter_map(|line| match &line.line {
                Line::Incident { server, incident }
                    if stage.suffers(name, server.as_deref(), &incident.backend) =>
                {
                    Some(Incident { at: incident.at.saturating_sub(now), ..incident.clone() })
                }
                _ => None,
            });
            let incidents: Vec<_> = own.collect();
            let story = stage.simulation.play(&incidents, until.saturating_sub(now));
            self.story.extend(story.into_iter().map(|moment| {
                let at = moment.at + stage.since;
                (Moment { at, ..moment }, name.clone())
            }));
        }
        Ok(())
    }

    /// Why nobody is meant by that, if so.
    fn nobody(&self, server: Option<&str>, backend: &str) -> Option<ScriptProblem> {
        if self.stages.iter().any(|(name, stage)| stage.suffers(name, server, backend)) {
            return None;
        }
        let known = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
        if let Some(server) = server.filter(|server| !self.stages.contains_key(*server)) {
            let known = known(self.stages.keys().map(String::as_str).collect());
            return Some(ScriptProblem::UnknownServer { server: server.to_owned(), known });
        }
        let meant = self.stages.iter().filter(|(name, _)| server.is_none_or(|one| one == *name));
        let known =
            known(meant.flat_map(|(_, stage)| &stage.backends).map(String::as_str).collect());
        let (backend, server) = (backend.to_owned(), server.map(str::to_owned));
        Some(ScriptProblem::UnknownBackend { backend, server, known })
    }

    /// A line for each moment; with the virtual server, if there are several.
    fn told(mut self) -> String {
        // What happens to one virtual server at one moment stays in order.
        self.story.sort_by(|(one, a), (other, b)| (one.at, a).cmp(&(other.at, b)));
        let several = self.story.iter().any(|(_, name)| *name != self.story[0].1);
        let mut text = String::new();
        for (Moment { at, what }, name) in &self.story {
            let name = if several { format!("{name}: ") } else { String::new() };
            let _ = writeln!(text, "{:>9.3} s  {name}{what}", at.as_secs_f64());
        }
        text
    }
}

impl Stage {
    /// Whether a line about this backend is about this virtual server, called `name`.
    fn suffers(&self, name: &str, server: Option<&str>, backend: &str) -> bool {
        server.is_none_or(|server| server == name) && self.backends.contains(backend)
    }
}

fn rehearsal(server: &VirtualServer, config: &Config) -> Result<Rehearsal, SimulateError> {
    let failed = |source| SimulateError::Plan { name: server.name.clone(), source };
    Rehearsal::of(server, config).map_err(failed)
}

fn refused(server: &VirtualServer, source: ConfigError) -> SimulateError {
    SimulateError::Plan { name: server.name.clone(), source: source.into() }
}
