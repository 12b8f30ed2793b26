//! `PersistenceConfig::while_open`: who has a flow open is remembered, however long that is, and for the
//! timeout after its last one has ended.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lb_core::backend::BackendId;
use lb_core::persistence::PersistenceConfig;
use lb_core::{Algorithm, Director, Lease, Pool};
use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest,
};
use proptest::prop_oneof;
use proptest::test_runner::TestCaseResult;
use support::{Zeros, after, start};

const TIMEOUT: u64 = 1_000;
const BACKENDS: u32 = 4;

fn director(config: PersistenceConfig) -> Director<u64, ()> {
    let backends = ["a", "b", "c", "d"].map(|name| (name, ()));
    Director::new(Pool::named(backends, &*Algorithm::Rr.scheduler_at(0)))
        .with_persistence_config(&config)
}

fn config(capacity: usize) -> PersistenceConfig {
    PersistenceConfig::new(Duration::from_millis(TIMEOUT), capacity.try_into().unwrap())
}

/// What is known of one client.
#[derive(Clone, Copy, Debug)]
struct Known {
    home: BackendId,
    /// When a flow of it began or ended last.
    used: u64,
}

/// A director, and beside it a list of who came and who went.
struct Stage {
    begin: Instant,
    now: u64,
    director: Director<u64, ()>,
    capacity: usize,
    known: BTreeMap<u64, Known>,
    /// Each with its client, if the director has it counted.
    flows: Vec<(u64, bool, Lease<()>)>,
}

#[derive(Clone, Debug)]
enum Step {
    Begin(u64),
    /// The flow in this place ends, and says so or is just dropped.
    End(usize, bool),
    Forget(BackendId),
    Pass(u64),
}

impl Stage {
    fn new(capacity: usize) -> Self {
        let begin = start();
        Self {
            begin,
            now: 0,
            // With a feed, so that it can be seen who is remembered without asking for anybody.
            director: director(config(capacity).while_open(true).replicated(1, begin, 0)),
            capacity,
            known: BTreeMap::new(),
            flows: Vec::new(),
        }
    }

    /// As the director is told each second.
    fn tell_time(&self) {
        self.director.expire(after(self.begin, self.now));
    }

    fn has_open(&self, client: u64) -> bool {
        self.flows.iter().any(|&(other, counted, _)| counted && other == client)
    }

    fn shown(&self) -> BTreeMap<u64, BackendId> {
        self.director.snapshot().iter().map(|update| (update.key, update.backend)).collect()
    }

    fn step(&mut self, step: &Step) -> TestCaseResult {
        match *step {
            Step::Begin(client) => self.begin_flow(client)?,
            Step::End(place, says_so) if place < self.flows.len() => {
                let (client, counted, lease) = self.flows.remove(place);
                if !says_so {
                    self.tell_time();
                }
                let before = self.director.persisted();
                match says_so {
                    true => lease.end(after(self.begin, self.now)),
                    false => drop(lease),
                }
                if counted && let Some(known) = self.known.get_mut(&client) {
                    known.used = self.now;
                } else if counted && !self.has_open(client) {
                    prop_assert_eq!(self.director.persisted(), before - 1, "it was forgotten");
                }
            }
            Step::End(..) => {}
            Step::Forget(backend) => {
                // What is used in the tick in which another is forgotten counts as used later.
                self.now += 1;
                self.director.forget(backend);
                self.known.retain(|_, known| known.home != backend);
            }
            Step::Pass(time) => {
                self.now += time;
                // Nobody need tell the director.
                return Ok(());
            }
        }
        self.tell_time();
        prop_assert_eq!(self.shown(), self.homes());
        Ok(())
    }

    /// Who is remembered by now, and where.
    fn homes(&mut self) -> BTreeMap<u64, BackendId> {
        let now = self.now;
        let mut known = std::mem::take(&mut self.known);
        known.retain(|&client, known| self.has_open(client) || now < known.used + TIMEOUT);
        self.known = known;
        self.known.iter().map(|(&client, known)| (client, known.home)).collect()
    }

    fn begin_flow(&mut self, client: u64) -> TestCaseResult {
        let (before, is_full) = (self.homes(), self.director.persisted() == self.capacity);
        let now = after(self.begin, self.now);
        let lease = self.director.assign(now, &client, &[], &mut Zeros).unwrap();
        let home = before.get(&client).copied();
        prop_assert!(home.is_none_or(|home| home == lease.id()));
        let shown = self.shown();
        let counted = shown.contains_key(&client);
        if counted {
            self.known.insert(client, Known { home: lease.id(), used: self.now });
        } else {
            // Everybody else is there, and nobody gives way.
            prop_assert!(is_full && self.known.keys().all(|&other| self.has_open(other)));
        }
        let left: Vec<_> = before.keys().filter(|&other| !shown.contains_key(other)).collect();
        prop_assert!(left.len() <= usize::from(is_full && home.is_none()));
        for client in left {
            prop_assert!(!self.has_open(*client), "pushed out while it is there");
            let used = self.known.remove(client).unwrap().used;
            let others = self.known.iter().filter(|&(&other, _)| !self.has_open(other));
            prop_assert!(others.clone().all(|(_, other)| used <= other.used));
        }
        self.flows.push((client, counted, lease));
        Ok(())
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..10_u64).prop_map(Step::Begin),
        6 => (0..12_usize, any::<bool>()).prop_map(|(place, says_so)| Step::End(place, says_so)),
        1 => (0..BACKENDS).prop_map(|backend| Step::Forget(BackendId::new(backend))),
        4 => prop_oneof![0..TIMEOUT / 4, Just(TIMEOUT - 1), Just(TIMEOUT), 0..9 * TIMEOUT]
            .prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_list_of_who_is_there(
        // So few that all share one place.
        capacity in 1..12_usize,
        steps in vec(step(), 1..150),
        // Many flows at the end leave nothing behind.
        at_once in any::<bool>(),
    ) {
        let mut stage = Stage::new(capacity);
        for step in steps {
            stage.step(&step)?;
        }
        if at_once {
            stage.flows.clear();
        }
        while !stage.flows.is_empty() {
            stage.step(&Step::End(0, true))?;
        }
        stage.director.expire(after(stage.begin, stage.now + 2 * TIMEOUT));
        prop_assert_eq!(stage.director.persisted(), 0);
    }
}

/// A session in a database that lasts two hours: whatever its client opens beside it goes to the same
/// server, and so does what it opens soon after.
#[test]
fn a_long_flow_keeps_its_client() {
    let begin = start();
    let at = |minutes: u64| begin + Duration::from_secs(60 * minutes);
    let five_minutes = PersistenceConfig::new(Duration::from_secs(300), 10.try_into().unwrap());
    // Where flows go, by how many others came before.
    let homes = |while_open, says_so| {
        let director = director(five_minutes.while_open(while_open));
        let assign = |minutes| director.assign(at(minutes), &7, &[], &mut Zeros).unwrap();
        let session = assign(0);
        let beside = assign(60).id().number();
        let home = session.id().number();
        if says_so {
            session.end(at(120));
        } else {
            director.expire(at(120));
            drop(session);
        }
        let [soon, late] = [124, 129].map(|minutes| assign(minutes).id().number());
        [home, beside, soon, late]
    };
    for says_so in [true, false] {
        assert_eq!(homes(true, says_so), [0, 0, 0, 1]);
        assert_eq!(homes(false, says_so), [0, 1, 2, 3]);
    }
}

/// Ages are counted in 32 bits of milliseconds, which are 49 days.
#[test]
fn no_flow_is_too_long() {
    let (begin, hour) = (start(), Duration::from_secs(3_600));
    for is_told in [true, false] {
        let director = director(config(10).while_open(true));
        let assign = |now| director.assign(now, &7, &[], &mut Zeros).unwrap();
        let session = assign(begin);
        let mut now = begin;
        for _ in 0..100 * 24 {
            now += hour;
            if is_told {
                director.expire(now);
            }
        }
        assert_eq!(assign(now).id(), session.id());
        director.expire(now);
        drop(session);
        assert_eq!(director.persisted(), 1);
        director.expire(now + hour);
        assert_eq!(director.persisted(), 0);
    }
}

/// When the clock of 32 bits has gone around, what was forgotten before is so still.
#[test]
fn no_flow_is_too_long_to_be_forgotten() {
    let begin = start();
    let director = director(config(10).while_open(true));
    let assign =
        |millis, client| director.assign(after(begin, millis), &client, &[], &mut Zeros).unwrap();
    let session = assign(0, 7);
    let _other = assign((1 << 32) - 1_000, 8);
    director.forget(session.id());
    assert_ne!(assign((1 << 32) + 500, 7).id(), session.id());
}

/// Its flows may end before or after the director that has begun them.
#[test]
fn leases_may_outlive_the_director() {
    let director = director(config(10).while_open(true));
    let lease = director.assign(start(), &7, &[], &mut Zeros).unwrap();
    drop(director);
    assert_eq!(lease.load().active(), 1);
    drop(lease);
}

/// A client may have many flows at once, on several threads, and none is forgotten in the count.
#[test]
fn flows_end_on_any_thread() {
    let (begin, director) = (start(), director(config(10_000).while_open(true)));
    std::thread::scope(|scope| {
        for first in 0..4_u64 {
            let director = &director;
            scope.spawn(move || {
                for round in 0..2_000 {
                    let leases = [first, round % 7, 9]
                        .map(|client| director.assign(begin, &client, &[], &mut Zeros).unwrap());
                    drop(leases);
                }
            });
        }
    });
    director.expire(after(begin, TIMEOUT - 1));
    assert_eq!(director.persisted(), 8);
    director.expire(after(begin, 2 * TIMEOUT));
    assert_eq!(director.persisted(), 0);
}
