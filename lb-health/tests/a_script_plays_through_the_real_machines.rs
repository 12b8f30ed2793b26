//! C1 to C4 together: checks, quorum, sorry server and pool through scripted trouble, in virtual time.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod thorough;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lb_core::Algorithm;
use lb_core::quorum::QuorumRule;
use lb_core::virtual_server::{BackendConfig, Event, SorryMode, SorryServer, VirtualServerConfig};
use lb_health::CheckSpec;
use lb_health::simulate::{Conduct, Incident, Moment, Simulation, What};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

const NAMES: [&str; 4] = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"];
const SORRY: &str = "10.9.9.9:80";

#[expect(clippy::disallowed_methods, reason = "any instant serves as the origin")]
fn origin() -> Instant {
    Instant::now()
}

fn simulation(
    quorum: u32,
    hysteresis: u32,
    sorry: Option<SorryMode>,
    seed: u64,
) -> Simulation<&'static str> {
    let sorry = sorry.map(|mode| SorryServer::new(BackendConfig::named(SORRY), mode));
    let config = VirtualServerConfig::of(NAMES.map(BackendConfig::named))
        .with_quorum(QuorumRule::new(quorum.into(), hysteresis.into()).unwrap())
        .with_sorry(sorry);
    let checks = |_: &str| vec![CheckSpec::default()];
    let mut rng = SmallRng::seed_from_u64(seed);
    Simulation::new(origin(), config, Algorithm::Rr.scheduler(), checks, &mut rng).unwrap()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn the_sorry_server_comes_and_goes_with_the_quorum() {
    let mut simulation = simulation(2, 0, Some(SorryMode::QuorumLost), 1);
    let script = [
        "10s 10.0.0.1:80 dies",
        "10s 10.0.0.2:80 dies",
        "20s 10.0.0.3:80 hangs",
        "40s 10.0.0.1:80 recovers",
    ];
    let script = script.map(|line| line.parse::<Incident>().unwrap());
    let story = simulation.play(&script, seconds(60));
    let text: Vec<_> = story.iter().map(ToString::to_string).collect();
    let lost =
        story.iter().position(|one| matches!(one.what, What::Server(Event::QuorumLost { .. })));
    let lost = lost.unwrap_or_else(|| panic!("{text:#?}"));
    assert!(story[lost].at > seconds(20) && story[lost].at < seconds(28), "{text:#?}");
    let sorry = What::Pool(vec![(SORRY.into(), 1)]);
    assert!(story.iter().any(|one| one.what == sorry && one.at == story[lost].at), "{text:#?}");
    let last = vec![(NAMES[0].to_owned(), 1), (NAMES[3].to_owned(), 1)];
    let pools: Vec<_> = story.iter().filter(|one| matches!(one.what, What::Pool(_))).collect();
    assert_eq!(pools.last().unwrap().what, What::Pool(last), "{text:#?}");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed| {
        let flaps = "5s 10.0.0.2:80 flaps 3s".parse().unwrap();
        simulation(1, 0, None, seed).play(&[flaps], seconds(300))
    };
    assert_eq!(story(1), story(1));
    assert_ne!(story(1), story(2));
    assert!(story(1).iter().filter(|one| matches!(one.what, What::Verdict { .. })).count() > 10);
}

fn incidents() -> impl Strategy<Value = Vec<Incident>> {
    let conduct = prop_oneof![
        Just(Conduct::Answers),
        Just(Conduct::Hangs),
        Just(Conduct::Refuses),
        (1_u64..20).prop_map(|period| Conduct::Flaps(seconds(period))),
    ];
    let incident = (0_u64..120, 0_usize..4, conduct).prop_map(|(at, backend, conduct)| Incident {
        at: seconds(at),
        backend: NAMES[backend].into(),
        conduct,
    });
    prop::collection::vec(incident, 0..12)
}

/// Who lives by the verdicts, and whether quorum holds, from the definitions of Q1 and C4 alone.
struct Naive {
    up: BTreeMap<String, bool>,
    quorum: bool,
    rule: (u32, u32),
}

impl Naive {
    fn settle(&mut self) -> u32 {
        let alive = self.up.values().filter(|up| **up).count() as u32;
        let (quorum, hysteresis) = self.rule;
        self.quorum = match self.quorum {
            true => !(alive == 0 || alive < quorum - hysteresis),
            false => alive >= quorum + hysteresis,
        };
        alive
    }
}

proptest! {
    #![proptest_config(thorough::config())]

    #[test]
    fn quorum_and_pool_follow_from_the_verdicts(
        incidents in incidents(),
        (quorum, hysteresis) in (1_u32..=3).prop_flat_map(|q| (Just(q), 0..q.min(5 - q))),
        sorry in prop_oneof![Just(None), Just(Some(SorryMode::QuorumLost)), Just(Some(SorryMode::NoneAlive))],
        seed in any::<u64>(),
    ) {
        let mut simulation = simulation(quorum, hysteresis, sorry, seed);
        let story = simulation.play(&incidents, seconds(180));
        let up = NAMES.map(|name| (name.to_owned(), false)).into();
        let mut naive = Naive { up, quorum: false, rule: (quorum, hysteresis) };
        let mut told = false;
        let mut pool: Vec<String> = Vec::new();
        // What happens at one instant is judged together.
        for batch in story.chunk_by(|one, other| one.at == other.at) {
            for Moment { what, .. } in batch {
                match what {
                    What::Verdict { backend, up, .. } => {
                        let before = naive.up.insert(backend.clone(), *up);
                        // K1, but for the first verdict.
                        prop_assert!(before != Some(*up) || !up, "{backend} is {up} again");
                    }
                    What::Pool(members) => pool = members.iter().map(|(name, _)| name.clone()).collect(),
                    What::Server(Event::QuorumGained { .. }) => {
                        prop_assert!(!told, "Q4: gained twice");
                        told = true;
                    }
                    What::Server(Event::QuorumLost { .. }) => {
                        prop_assert!(told, "Q4: lost twice");
                        told = false;
                    }
                    _ => {}
                }
            }
            let alive = naive.settle();
            prop_assert_eq!(told, naive.quorum, "Q1 with {} alive", alive);
            let living: Vec<_> =
                naive.up.iter().filter(|(_, up)| **up).map(|(name, _)| name.clone()).collect();
            let expected = match sorry {
                Some(SorryMode::QuorumLost) if !naive.quorum => vec![SORRY.to_owned()],
                Some(SorryMode::NoneAlive) if !naive.quorum && alive == 0 => vec![SORRY.to_owned()],
                _ => living,
            };
            prop_assert_eq!(&pool, &expected, "C4 at {:?}", batch[0].at);
        }
    }
}
