//! The control machine against a model that remembers everything and computes nothing ahead.
#![cfg_attr(feature = "fuzzer", no_main)]

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use fuzz::arbitrary::{self, Arbitrary};
use lb_core::backend::BackendId;
use lb_core::health::{Admin, ReportedWeight};
use lb_core::quorum::QuorumRule;
use lb_core::virtual_server::{
    Action, BackendConfig, Event, SorryMode, SorryServer, VirtualServerConfig,
};
use lb_core::{Algorithm, Health, VirtualServer, Weight};

fuzz::target!(|script: Script| script.run());

#[derive(Arbitrary, Debug)]
struct Script {
    algorithm: u8,
    first: Configuration,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Admin { backend: u8, word: Word },
    Drain,
    Health { backend: u8, up: bool, reports: Vec<u8>, percent: Option<u8> },
    Reconfigure(Configuration),
    Reschedule { algorithm: u8 },
    Weight { backend: u8, weight: u8 },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Word {
    Drain,
    Drained,
    Maintenance,
    Ready,
}

#[derive(Arbitrary, Clone, Debug)]
struct Configuration {
    backends: Vec<Line>,
    quorum: u8,
    hysteresis: u8,
    /// The sorry server's name, and whether it waits until nobody is alive.
    sorry: Option<(u8, bool)>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Line {
    name: u8,
    weight: u8,
    initially_up: bool,
}

const MOST_BACKENDS: usize = 16;

/// What the model knows of one backend, by name.
#[derive(Clone, Copy, Debug)]
struct Known {
    id: BackendId,
    line: Line,
    /// The administrator's weight.
    ordered: Option<u8>,
    admin: Admin,
    health: Option<Health>,
}

impl Known {
    fn live_weight(&self) -> Option<Weight> {
        let Health::Up { weight, .. } = self.health()? else { return None };
        match self.admin {
            Admin::Drain => Some(Weight::ZERO),
            Admin::Ready if self.ordered == Some(0) => Some(Weight::ZERO),
            Admin::Ready => {
                let base = self.ordered.unwrap_or(self.line.weight);
                let [configured, base] =
                    [self.line.weight, base].map(|weight| Weight::new(weight.into()));
                Some(weight.over(configured, base))
            }
            _ => None,
        }
    }

    fn health(&self) -> Option<Health> {
        self.health.or(self.line.initially_up.then_some(Health::UP))
    }
}

/// What must hold, and what was seen so far.
struct Run {
    server: VirtualServer<()>,
    now: Instant,
    known: Vec<Known>,
    config: Configuration,
    rule: QuorumRule,
    quorum_up: bool,
    /// The sorry server's name and identity.
    sorry: Option<(u8, BackendId)>,
    /// Whether its checks have failed: then it is as good as none.
    sorry_is_down: bool,
    /// Who was given an identity, and by which configuration.
    issued: HashMap<BackendId, (u8, usize)>,
    reloads: usize,
    generation: u64,
    published: usize,
}

impl Script {
    fn run(self) {
        let Some((config, rule)) = self.first.build() else { return };
        let Ok(server) = VirtualServer::new(config, algorithm(self.algorithm)) else { return };
        let mut run = Run {
            server,
            now: Instant::now(),
            known: Vec::new(),
            config: self.first.clone(),
            rule,
            quorum_up: false,
            sorry: None,
            sorry_is_down: false,
            issued: HashMap::new(),
            reloads: 0,
            generation: 0,
            published: 0,
        };
        run.learn(self.first, rule);
        run.drain();
        assert_eq!(run.published, 1, "the first drain publishes");
        for step in self.steps {
            run.step(step);
        }
        run.drain();
        let published = run.published;
        run.drain();
        assert_eq!(run.published, published, "nothing new, nothing published");
    }
}

impl Configuration {
    fn build(&self) -> Option<(VirtualServerConfig<()>, QuorumRule)> {
        let rule = QuorumRule::new(self.quorum.into(), self.hysteresis.into()).ok()?;
        let backends = self.backends.iter().take(MOST_BACKENDS).map(|line| {
            let backend =
                BackendConfig::new(line.name.to_string(), ()).weighing(u16::from(line.weight));
            if line.initially_up { backend.initially_up() } else { backend }
        });
        let sorry = self.sorry.map(|(name, waits)| {
            let mode = if waits { SorryMode::NoneAlive } else { SorryMode::QuorumLost };
            SorryServer::new(BackendConfig::new(name.to_string(), ()), mode)
        });
        Some((VirtualServerConfig::of(backends).with_quorum(rule).with_sorry(sorry), rule))
    }
}

impl Run {
    fn step(&mut self, step: Step) {
        match step {
            Step::Admin { backend, word } => {
                let word = match word {
                    Word::Drain => Admin::Drain,
                    Word::Drained => Admin::Drained,
                    Word::Maintenance => Admin::Maintenance,
                    Word::Ready => Admin::Ready,
                };
                let id = self.target(backend);
                let known = self.change(id, |known| known.admin = word);
                assert_eq!(self.server.set_admin(self.now, id, word), known);
            }
            Step::Drain => self.drain(),
            Step::Health { backend, up, reports, percent } => {
                let reports = reports.into_iter().map(|report| Weight::new(report.into()));
                let weight = reports.fold(ReportedWeight::NONE, ReportedWeight::and);
                let weight = percent.map_or(weight, |percent| weight.and_percent(percent.into()));
                let health = if up { Health::weighing(weight) } else { Health::Down };
                let id = self.target(backend);
                let known = self.change(id, |known| known.health = Some(health));
                if !known && self.sorry.is_some_and(|(_, sorry)| sorry == id) {
                    self.sorry_is_down = !up;
                }
                self.server.handle_health(self.now, id, health);
            }
            Step::Reconfigure(configuration) => {
                let Some((config, rule)) = configuration.build() else { return };
                if self.server.reconfigure(self.now, config).is_ok() {
                    self.learn(configuration, rule);
                }
            }
            Step::Reschedule { algorithm: number } => self.server.set_scheduler(algorithm(number)),
            Step::Weight { backend, weight } => {
                let id = self.target(backend);
                let known = self.change(id, |known| known.ordered = Some(weight));
                assert_eq!(self.server.set_weight(self.now, id, Weight::new(weight.into())), known);
            }
        }
    }

    /// Mostly somebody who is configured.
    fn target(&self, number: u8) -> BackendId {
        match self.known.get(usize::from(number) % (MOST_BACKENDS + 1)) {
            Some(known) => known.id,
            None => BackendId::new(number.into()),
        }
    }

    fn change(&mut self, id: BackendId, change: impl FnOnce(&mut Known)) -> bool {
        self.known.iter_mut().find(|known| known.id == id).map(change).is_some()
    }

    /// Follows an accepted configuration; identities are the machine's to give, and checked.
    fn learn(&mut self, configuration: Configuration, rule: QuorumRule) {
        let lines: Vec<_> = configuration.backends.iter().take(MOST_BACKENDS).copied().collect();
        let ids: Vec<_> = self.server.backends().map(|backend| backend.id).collect();
        assert_eq!(ids.len(), lines.len());
        // Whoever stays keeps the identity, from backend to sorry server and back as well.
        let before = std::mem::take(&mut self.known);
        let identity = |name: u8| {
            let backend = before.iter().find(|known| known.line.name == name);
            let sorry = self.sorry.filter(|sorry| sorry.0 == name);
            backend.map(|known| known.id).or(sorry.map(|sorry| sorry.1))
        };
        let sorry = self.server.sorry().map(|backend| backend.id());
        let sorry = configuration.sorry.map(|(name, _)| name).zip(sorry);
        for (name, id) in lines.iter().map(|line| line.name).zip(ids.iter().copied()).chain(sorry) {
            match identity(name) {
                Some(known) => assert_eq!(id, known, "{name} keeps the identity"),
                None => {
                    let owner = self.issued.entry(id).or_insert((name, self.reloads));
                    // A sorry server that is also a backend is one and the same.
                    assert_eq!(*owner, (name, self.reloads), "{id} was somebody's");
                }
            }
        }
        assert_eq!(configuration.sorry.is_some(), sorry.is_some());
        for (line, id) in lines.into_iter().zip(ids) {
            let known = match before.iter().find(|known| known.line.name == line.name) {
                Some(old) => {
                    let same = old.line.weight == line.weight;
                    // Whoever was up without a verdict stays up.
                    Known {
                        line,
                        ordered: old.ordered.filter(|_| same),
                        health: old.health(),
                        ..*old
                    }
                }
                None => Known { id, line, ordered: None, admin: Admin::Ready, health: None },
            };
            self.known.push(known);
        }
        if let Some((_, new)) = sorry {
            // Of whoever was not the sorry server before nothing is known.
            self.sorry_is_down &= self.sorry.is_some_and(|(_, old)| old == new);
        }
        self.sorry = sorry;
        self.reloads += 1;
        (self.config, self.rule) = (configuration, rule);
    }

    fn drain(&mut self) {
        let mut publications = 0;
        let mut quorum_events = Vec::new();
        while let Some(action) = self.server.poll_action() {
            match action {
                Action::Publish(pool) => {
                    publications += 1;
                    assert!(pool.generation() > self.generation, "generations grow");
                    self.generation = pool.generation();
                }
                Action::Notify(Event::QuorumGained { .. }) => quorum_events.push(true),
                Action::Notify(Event::QuorumLost { .. }) => quorum_events.push(false),
                Action::Notify(_) => {}
            }
        }
        assert!(publications <= 1, "at most one publication per drain");
        self.published += publications;

        let live: Vec<_> =
            self.known.iter().filter_map(|known| Some((known.id, known.live_weight()?))).collect();
        let total: u64 = live.iter().map(|&(_, weight)| u64::from(weight)).sum();
        let threshold = if self.quorum_up { self.rule.down_at() } else { self.rule.up_at() };
        let up = total > 0 && total >= threshold;
        let expected: Vec<bool> = (up != self.quorum_up).then_some(up).into_iter().collect();
        assert_eq!(quorum_events, expected, "one event per change of quorum");
        self.quorum_up = up;

        let sorry = self.config.sorry.filter(|_| !self.sorry_is_down);
        let sorry = sorry.filter(|(_, waits)| if *waits { total == 0 } else { !up });
        let published = self.server.published();
        assert_eq!(published.records_affinity(), sorry.is_none());
        match sorry {
            Some((name, _)) => {
                let names: Vec<_> = published.backends().iter().map(|one| one.name()).collect();
                assert_eq!(names, [name.to_string()], "the sorry server alone");
            }
            None => {
                let members = published.members().iter().map(|member| (member.id, member.weight));
                assert_eq!(members.collect::<Vec<_>>(), live, "who lives, and nobody else");
            }
        }
        let unique: HashSet<_> = published.members().iter().map(|member| member.id).collect();
        assert_eq!(unique.len(), published.members().len(), "nobody twice");
    }
}

/// Those that are quick to rebuild: it is not they who are looked at here.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::Fo, Algorithm::P2c, Algorithm::Rr, Algorithm::Wlc];

fn algorithm(number: u8) -> std::sync::Arc<dyn lb_core::Scheduler> {
    ALGORITHMS[usize::from(number) % ALGORITHMS.len()].scheduler()
}
