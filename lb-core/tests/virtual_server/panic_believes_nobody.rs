//! When too few live of every priority, checks are not believed: those that are down get flows as
//! well; never those that are drained, in maintenance, or not checked yet.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lb_core::backend::BackendId;
use lb_core::health::Admin;
use lb_core::quorum::QuorumRule;
use lb_core::virtual_server::{
    Action, BackendConfig, ConfigError, Event, SorryMode, SorryServer, VirtualServerConfig,
};
use lb_core::{Algorithm, Health, VirtualServer, Weight};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest,
};
use proptest::prop_oneof;
use support::start;

type Server = VirtualServer<()>;

/// What was told of the panic since the last time: whether it began. And that what was published is
/// told nothing else about.
fn told(server: &mut Server) -> Vec<bool> {
    let mut told = Vec::new();
    while let Some(action) = server.poll_action() {
        match action {
            Action::Notify(Event::PanicBegan { .. }) => told.push(true),
            Action::Notify(Event::PanicEnded { .. }) => told.push(false),
            _ => {}
        }
    }
    told
}

fn members(server: &Server) -> Vec<(u32, u16)> {
    let members = server.published().members().iter();
    members.map(|member| (member.id.number(), member.weight.value())).collect()
}

fn named(count: usize) -> impl Iterator<Item = BackendConfig<()>> {
    ('A'..).take(count).map(|name| BackendConfig::new(name.to_string(), ()))
}

/// `count` backends under a threshold of 50 percent, all of them up.
fn server(count: usize, priority: impl Fn(usize) -> u8) -> (Instant, Server) {
    let backends = named(count).zip(0..).map(|(one, place)| one.at_priority(priority(place)));
    let config = VirtualServerConfig::of(backends.collect::<Vec<_>>()).panicking_below(50);
    let (now, mut server) = (start(), Server::new(config, Algorithm::Rr.scheduler()).unwrap());
    say(&mut server, now, 0..count, Health::UP);
    assert_eq!(told(&mut server), []);
    (now, server)
}

fn say(server: &mut Server, now: Instant, places: impl IntoIterator<Item = usize>, health: Health) {
    for place in places {
        server.handle_health(now, BackendId::new(place as u32), health);
    }
}

#[test]
fn no_more_than_all_can_live() {
    let config = |percent| VirtualServerConfig::of(named(1)).panicking_below(percent);
    assert_eq!(config(100).validate(), Ok(()));
    assert_eq!(config(101).validate(), Err(ConfigError::PanicBelow { percent: 101 }));
}

#[test]
fn half_is_enough_and_less_is_not() {
    let (now, mut server) = server(4, |_| 0);
    say(&mut server, now, [0, 1], Health::Down);
    assert_eq!((told(&mut server), members(&server)), (vec![], vec![(2, 1), (3, 1)]));
    say(&mut server, now, [2], Health::Down);
    let all = vec![(0, 1), (1, 1), (2, 1), (3, 1)];
    assert_eq!((told(&mut server), members(&server)), (vec![true], all.clone()));
    // What is said once is not said again.
    say(&mut server, now, [3], Health::Down);
    assert_eq!((told(&mut server), members(&server)), (vec![], all));
    say(&mut server, now, [2, 3], Health::UP);
    assert_eq!((told(&mut server), members(&server)), (vec![false], vec![(2, 1), (3, 1)]));
}

#[test]
fn as_long_as_one_priority_can_serve_nobody_panics() {
    let (now, mut server) = server(4, |place| u8::from(place > 1));
    say(&mut server, now, [0, 1, 2], Health::Down);
    assert_eq!((told(&mut server), members(&server)), (vec![], vec![(3, 1)]));
    say(&mut server, now, [3], Health::Down);
    assert_eq!((told(&mut server), members(&server).len()), (vec![true], 4));
    say(&mut server, now, [2], Health::UP);
    assert_eq!((told(&mut server), members(&server)), (vec![false], vec![(2, 1)]));
}

/// A standby that is taken out of service cannot serve instead.
#[test]
fn a_priority_without_anybody_in_service_does_not_count() {
    for admin in [Admin::Drain, Admin::Drained, Admin::Maintenance] {
        let (now, mut server) = server(4, |place| u8::from(place > 2));
        server.set_admin(now, BackendId::new(3), admin);
        say(&mut server, now, [0, 1], Health::Down);
        assert_eq!(told(&mut server), [true], "{admin:?}");
        assert_eq!(members(&server)[..3], [(0, 1), (1, 1), (2, 1)]);
        assert!(members(&server).iter().skip(3).all(|&member| member == (3, 0)), "{admin:?}");
    }
}

#[test]
fn who_is_drained_by_its_weight_is_not_down_for_its_checks_alone() {
    let (now, mut server) = server(3, |_| 0);
    server.set_weight(now, BackendId::new(1), Weight::ZERO);
    server.set_weight(now, BackendId::new(2), Weight::ZERO);
    say(&mut server, now, [1, 2], Health::Down);
    assert_eq!((told(&mut server), members(&server)), (vec![], vec![(0, 1)]));
    say(&mut server, now, [0], Health::Down);
    assert_eq!((told(&mut server), members(&server)), (vec![true], vec![(0, 1)]));
}

/// Who had all of its share in the panic does not lose it by recovering.
#[test]
fn nobody_starts_slowly_out_of_a_panic() {
    let config = VirtualServerConfig::of(named(3))
        .panicking_below(50)
        .with_slow_start(Duration::from_secs(16));
    let (now, mut server) = (start(), Server::new(config, Algorithm::Rr.scheduler()).unwrap());
    say(&mut server, now, 0..3, Health::UP);
    assert_eq!(told(&mut server), []);
    say(&mut server, now, 1..3, Health::Down);
    assert_eq!((told(&mut server), members(&server)), (vec![true], vec![(0, 1), (1, 1), (2, 1)]));
    say(&mut server, now, [1], Health::UP);
    assert_eq!((told(&mut server), members(&server)), (vec![false], vec![(0, 1), (1, 1)]));
    // This one was out of service since.
    say(&mut server, now, [2], Health::UP);
    assert_eq!((told(&mut server), members(&server)), (vec![], vec![(0, 16), (1, 16), (2, 1)]));
}

#[test]
fn nobody_panics_before_it_is_known_who_lives() {
    let config = VirtualServerConfig::of((0..4).map(|n| BackendConfig::new(n.to_string(), ())));
    let config = config.panicking_below(50);
    let (now, mut server) = (start(), Server::new(config, Algorithm::Rr.scheduler()).unwrap());
    say(&mut server, now, [0, 1], Health::Down);
    assert_eq!((told(&mut server), members(&server)), (vec![], vec![]));
    say(&mut server, now, [2], Health::Down);
    assert_eq!((told(&mut server), members(&server).len()), (vec![true], 3));
}

#[derive(Clone, Debug)]
enum Step {
    Health(usize, bool),
    Admin(usize, Admin),
    Weight(usize, u16),
}

fn step() -> impl Strategy<Value = Step> {
    let admin = prop_oneof![
        4 => Just(Admin::Ready),
        1 => Just(Admin::Drain),
        1 => Just(Admin::Drained),
        1 => Just(Admin::Maintenance),
    ];
    prop_oneof![
        6 => (0..5_usize, proptest::bool::weighted(0.3)).prop_map(|(one, up)| Step::Health(one, up)),
        2 => (0..5_usize, admin).prop_map(|(one, admin)| Step::Admin(one, admin)),
        1 => (0..5_usize, 0..3_u16).prop_map(|(one, weight)| Step::Weight(one, weight)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_and_none_but_those_are_used(
        priorities in vec(0..3_u8, 5),
        below in prop_oneof![0..=100_u8, Just(50)],
        sorry in option::of(any::<bool>()),
        quorum in 1..4_u64,
        steps in vec((step(), any::<bool>()), 1..40),
    ) {
        let backends = named(5).zip(&priorities).map(|(one, &priority)| one.at_priority(priority));
        let mode = |lost| if lost { SorryMode::QuorumLost } else { SorryMode::NoneAlive };
        let sorry = sorry.map(|lost| SorryServer::new(BackendConfig::new("sorry", ()), mode(lost)));
        let config = VirtualServerConfig::of(backends.collect::<Vec<_>>())
            .panicking_below(below)
            .with_quorum(QuorumRule::new(quorum, 0).unwrap())
            .with_sorry(sorry);
        let (now, mut server) = (start(), Server::new(config, Algorithm::Rr.scheduler()).unwrap());

        let mut verdicts = [None::<bool>; 5];
        let (mut admins, mut weights, mut panicked) = ([Admin::Ready; 5], [1_u16; 5], false);
        for (step, looked) in steps {
            match step {
                Step::Health(one, up) => {
                    verdicts[one] = Some(up);
                    say(&mut server, now, [one], if up { Health::UP } else { Health::Down });
                }
                Step::Admin(one, admin) => {
                    admins[one] = admin;
                    server.set_admin(now, BackendId::new(one as u32), admin);
                }
                Step::Weight(one, weight) => {
                    weights[one] = weight;
                    server.set_weight(now, BackendId::new(one as u32), Weight::new(weight));
                }
            }
            if !looked {
                continue;
            }
            let told = told(&mut server);
            let ready = |one: &usize| admins[*one] == Admin::Ready && weights[*one] > 0;
            let with = |verdict| (0..5).filter(ready).filter(move |&one| verdicts[one] == Some(verdict));
            let (live, down) = (with(true).collect::<Vec<_>>(), with(false).collect::<Vec<_>>());
            // Of whom nothing is known yet, the best is assumed.
            let unknown = (0..5).filter(ready).filter(|&one| verdicts[one].is_none());
            let hoped: Vec<_> = live.iter().copied().chain(unknown).collect();
            let few_at = |priority| {
                let count = |places: &[usize]| places.iter().filter(|&&one| priorities[one] == priority).count();
                let (live, down) = (count(&hoped), count(&down));
                (live as f64) < f64::from(below) / 100.0 * (live + down) as f64
            };
            let concerned = hoped.iter().chain(&down).map(|&one| priorities[one]);
            let few = !down.is_empty() && concerned.collect::<BTreeSet<_>>().into_iter().all(few_at);
            let is_sorry = !server.published().records_affinity();
            let panics = few && !is_sorry;
            // Once for each change.
            let due: &[bool] = if panics == panicked { &[] } else { &[panics] };
            prop_assert_eq!(&told, due);
            panicked = panics;
            if is_sorry {
                prop_assert_eq!(members(&server), [(5, 1)]);
                continue;
            }
            let published: Vec<_> = members(&server).into_iter().filter(|one| one.1 > 0).collect();
            let used = |one: &usize| live.contains(one) || (panics && down.contains(one));
            let used: Vec<_> = (0..5).filter(used).map(|one| (one as u32, weights[one])).collect();
            prop_assert_eq!(published, used);
            for (id, _) in members(&server) {
                let told = admins[id as usize];
                prop_assert!(!matches!(told, Admin::Drained | Admin::Maintenance));
            }
        }
    }
}
