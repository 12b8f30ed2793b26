//! C1 to C4 together: checks, quorum, sorry server and pool through scripted trouble, in virtual time.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::thorough;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lb_core::Algorithm;
use lb_core::quorum::QuorumRule;
use lb_core::virtual_server::{BackendConfig, Event, SorryMode, SorryServer, VirtualServerConfig};
use lb_health::CheckSpec;
use lb_health::outliers::OutlierRules;
use lb_health::simulate::{Conduct, Incident, Moment, Simulation, Turn, What};
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

/// The story without its times, and without what the script itself says.
fn told(story: &[Moment]) -> Vec<String> {
    let own = story.iter().filter(|one| !matches!(one.what, What::Incident(_)));
    own.map(|one| one.what.to_string()).collect()
}

fn script(lines: &[&str]) -> Vec<Incident> {
    lines.iter().map(|line| line.parse().unwrap()).collect()
}

/// A simulation of which the beginning is over: all are up.
fn begun() -> Simulation<&'static str> {
    let mut simulation = simulation(1, 0, None, 1);
    simulation.play(&[], seconds(10));
    simulation
}

#[test]
fn orders_weights_and_faults_of_this_host_are_played_as_well() {
    let [a, b, c, d] = NAMES;
    for (lines, expected) in [
        (
            vec![format!("1s {a} drain"), format!("2s {a} enable")],
            vec![
                format!("new flows go to {a}=0 {b}=1 {c}=1 {d}=1"),
                format!("new flows go to {a}=1 {b}=1 {c}=1 {d}=1"),
            ],
        ),
        (
            vec![format!("1s {a} disable"), format!("1s {a} dies"), format!("20s {a} enable")],
            vec![
                format!("new flows go to {b}=1 {c}=1 {d}=1"),
                // Whom nobody has looked at meanwhile is taken to be as before, until the next run.
                format!("new flows go to {a}=1 {b}=1 {c}=1 {d}=1"),
                format!("{a} is down: refused"),
                format!("new flows go to {b}=1 {c}=1 {d}=1"),
            ],
        ),
        (
            vec![format!("1s {a} weight 3"), format!("5s {a} reports 50%")],
            vec![
                format!("new flows go to {a}=3 {b}=1 {c}=1 {d}=1"),
                format!("{a} weighs 2"),
                format!("new flows go to {a}=2 {b}=1 {c}=1 {d}=1"),
            ],
        ),
        (
            vec![format!("1s {a} reports 9"), format!("5s {a} recovers")],
            vec![
                format!("{a} weighs 9"),
                format!("new flows go to {a}=9 {b}=1 {c}=1 {d}=1"),
                format!("{a} weighs 1"),
                format!("new flows go to {a}=1 {b}=1 {c}=1 {d}=1"),
            ],
        ),
        (
            vec![format!("1s {a} obstructed"), format!("30s {a} recovers")],
            vec![
                format!("{a} cannot be checked, and stays as it is"),
                format!("{a} can be checked again"),
            ],
        ),
        (
            vec![format!("1s {a} turns-away 2"), format!("20s {a} turns-away 3")],
            vec![
                format!("{a} is down, as clients find: refused"),
                format!("new flows go to {b}=1 {c}=1 {d}=1"),
                format!("{a} is up"),
                format!("new flows go to {a}=1 {b}=1 {c}=1 {d}=1"),
            ],
        ),
    ] {
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let story = begun().play(&script(&lines), seconds(50));
        assert_eq!(told(&story), expected, "{lines:?}");
    }
}

/// A burst of clients that all fail takes one of four, and the checks have the last word on the others.
#[test]
fn who_turn_clients_away_all_at_once_do_not_all_go() {
    let [a, b, c, d] = NAMES;
    let lines = NAMES.map(|name| format!("1s {name} turns-away 9"));
    let lines = lines.each_ref().map(String::as_str);
    let story = begun().play(&script(&lines), seconds(50));
    let expected = [
        format!("{a} is down, as clients find: refused"),
        format!("new flows go to {b}=1 {c}=1 {d}=1"),
        format!("{a} is up"),
        format!("new flows go to {a}=1 {b}=1 {c}=1 {d}=1"),
    ];
    assert_eq!(told(&story), expected);
}

#[test]
fn who_turns_clients_away_is_ejected_where_that_is_the_rule() {
    let [a, b, c, d] = NAMES;
    let mut simulation = begun().with_outliers(OutlierRules::default());
    let line = format!("1s {a} turns-away 5");
    let story = simulation.play(&script(&[&line]), seconds(60));
    let expected = [
        format!("{a} is ejected: clients fail there"),
        format!("new flows go to {b}=1 {c}=1 {d}=1"),
        format!("{a} is not ejected any more"),
        format!("new flows go to {a}=1 {b}=1 {c}=1 {d}=1"),
    ];
    assert_eq!(told(&story), expected);
    let back = story.last().unwrap().at;
    assert_eq!(back, seconds(10 + 1 + 30), "told by the time since the very beginning");
}

#[test]
fn a_reload_keeps_what_is_known() {
    let [a, b, c, d] = NAMES;
    let mut simulation = begun();
    let line = format!("1s {a} dies");
    simulation.play(&script(&[&line]), seconds(20));
    let config = VirtualServerConfig::of([a, b, c].map(BackendConfig::named));
    let longer = CheckSpec::default().with_interval(seconds(20)).unwrap();
    let checks = |_: &str| vec![longer.clone()];
    let mut rng = SmallRng::seed_from_u64(2);
    simulation.reconfigure(config, Algorithm::Rr.scheduler(), checks, &mut rng).unwrap();
    let story = simulation.play(&script(&[&format!("5s {d} dies")]), seconds(60));
    assert_eq!(told(&story), [format!("new flows go to {b}=1 {c}=1")]);
    // Of a changed check one success brings up whom the former one took down (X3).
    let story = simulation.play(&script(&[&format!("0s {a} recovers")]), seconds(60));
    assert_eq!(told(&story), [format!("{a} is up"), format!("new flows go to {a}=1 {b}=1 {c}=1")]);
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
        turn: Turn::Conduct(conduct),
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
