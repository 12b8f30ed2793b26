//! Quorum with hysteresis against the two lines of arithmetic that it comes down to.

use crate::support;

use lb_core::quorum::{QuorumChange, QuorumError, QuorumRule, Strength};
use lb_core::virtual_server::{Action, BackendConfig, ConfigError, Event, VirtualServerConfig};
use lb_core::{Algorithm, Health, Quorum, VirtualServer, Weight};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

fn weighing(weight: u64) -> Strength {
    Strength { weight, alive: usize::from(weight > 0), configured: 1 }
}

fn observe(quorum: &mut Quorum, weight: u64) -> bool {
    quorum.observe(weighing(weight));
    quorum.is_up()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_keepalived_arithmetic(q in 1..50_u64, h in 0..50_u64, weights in vec(0..120_u64, 1..60)) {
        let h = h % q;
        let mut quorum = Quorum::new(QuorumRule::new(q, h).unwrap());
        let mut up = false;
        for weight in weights {
            let before = up;
            up = if up { !(weight == 0 || weight < q - h) } else { weight >= q + h };
            let change = quorum.observe(weighing(weight));
            let due = match (before, up) {
                (false, true) => Some(QuorumChange::Gained),
                (true, false) => Some(QuorumChange::Lost),
                _ => None,
            };
            prop_assert_eq!(change, due);
            prop_assert_eq!(quorum.is_up(), up);
            if q - h <= weight && weight < q + h && weight > 0 {
                prop_assert_eq!(change, None);
            }
            if weight == 0 {
                prop_assert!(!quorum.is_up());
            }
        }
    }

    #[test]
    fn changes_alternate(up_at in 1..40_u64, span in 0..40_u64, weights in vec(0..80_u64, 1..60)) {
        let mut quorum = Quorum::new(QuorumRule::between(up_at, up_at.saturating_sub(span)).unwrap());
        let changes: Vec<_> = weights.into_iter().filter_map(|weight| quorum.observe(weighing(weight))).collect();
        prop_assert!(changes.first().is_none_or(|&first| first == QuorumChange::Gained));
        prop_assert!(changes.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn shares_are_of_those_configured(
        (high, low) in (0..=100_u64, 0..=100_u64),
        counts in vec((0..30_usize, 1..30_usize, 1..9_u64), 1..40),
    ) {
        let (high, low) = (high.max(low).max(1), high.min(low));
        let mut quorum = Quorum::new(QuorumRule::share(high, low).unwrap());
        let mut up = false;
        for (alive, configured, weight) in counts {
            let alive = alive.min(configured);
            let percent = 100.0 * alive as f64 / configured as f64;
            up = alive > 0 && percent >= (if up { low } else { high }) as f64;
            quorum.observe(Strength { weight: alive as u64 * weight, alive, configured });
            prop_assert_eq!(quorum.is_up(), up);
        }
    }

    #[test]
    fn what_is_reachable_is_reached(q in 1..20_u64, h in 0..20_u64, weights in vec(any::<u8>(), 1..6)) {
        let backends: Vec<_> = weights.iter().zip(["a", "b", "c", "d", "e"]).map(|(&weight, name)| {
            BackendConfig::named(name).weighing(u16::from(weight % 16)).initially_up()
        }).collect();
        let total: u64 = weights.iter().map(|&weight| u64::from(weight % 16)).sum();
        let quorum = QuorumRule::new(q, h % q).unwrap();
        let config = VirtualServerConfig::of(backends).with_quorum(quorum);
        match VirtualServer::new(config, Algorithm::Rr.scheduler()) {
            Ok(mut server) => {
                while server.poll_action().is_some() {}
                // No weight at all is fine: all are out of service on purpose.
                prop_assert_eq!(server.quorum().is_up(), total > 0);
            }
            Err(error) => {
                prop_assert!(q + h % q > total);
                let needed = q + h % q;
                prop_assert_eq!(error, ConfigError::Quorum(QuorumError::Unreachable { needed, total }));
            }
        }
    }
}

/// A well-known tutorial has it down at 29 and up at 31.
#[test]
fn thirty_with_hysteresis_two() {
    let mut quorum = Quorum::new(QuorumRule::new(30, 2).unwrap());
    for (weight, up) in [
        (31, false),
        (32, true),
        (33, true),
        (29, true),
        (28, true),
        (27, false),
        (28, false),
        (31, false),
        (32, true),
        (0, false),
    ] {
        assert_eq!(observe(&mut quorum, weight), up, "at {weight}");
    }
}

#[test]
fn up_with_both_and_down_with_none() {
    let mut quorum = Quorum::new(QuorumRule::between(2, 1).unwrap());
    for (weight, up) in [(1, false), (2, true), (1, true), (0, false), (1, false)] {
        assert_eq!(observe(&mut quorum, weight), up, "at {weight}");
    }
    // Nothing at all is never enough, whatever the numbers say.
    let mut quorum = Quorum::new(QuorumRule::between(1, 0).unwrap());
    assert!(observe(&mut quorum, 1) && !observe(&mut quorum, 0));
}

#[test]
fn what_makes_no_quorum_is_refused() {
    assert_eq!(QuorumRule::new(0, 0), Err(QuorumError::Zero));
    for (quorum, hysteresis) in [(1, 1), (2, 2), (30, 31)] {
        let error = QuorumError::Hysteresis { quorum, hysteresis };
        assert_eq!(QuorumRule::new(quorum, hysteresis), Err(error));
    }
    assert_eq!(QuorumRule::between(0, 0), Err(QuorumError::Zero));
    assert_eq!(QuorumRule::between(1, 2), Err(QuorumError::Reversed { up_at: 1, down_at: 2 }));
    assert_eq!(
        QuorumRule::share(101, 1),
        Err(QuorumError::Unreachable { needed: 101, total: 100 })
    );
    assert!(QuorumRule::new(u64::MAX, u64::MAX - 1).is_ok(), "the sum saturates");
}

/// keepalived accepts this one and then never serves.
#[test]
fn two_of_weight_one_never_reach_three() {
    let quorum = QuorumRule::new(2, 1).unwrap();
    let config = VirtualServerConfig::of(["a", "b"].map(BackendConfig::named)).with_quorum(quorum);
    let refusal = VirtualServer::new(config, Algorithm::Rr.scheduler()).unwrap_err();
    assert_eq!(refusal, ConfigError::Quorum(QuorumError::Unreachable { needed: 3, total: 2 }));
}

fn events(server: &mut VirtualServer<&'static str>) -> Vec<Event> {
    std::iter::from_fn(|| server.poll_action())
        .filter_map(|action| match action {
            Action::Notify(event) => Some(event),
            Action::Publish(_) => None,
        })
        .collect()
}

#[test]
fn servers_that_fail_together_lose_it_once() {
    let names = ["a", "b", "c", "d"].map(|name| BackendConfig::named(name).initially_up());
    let quorum = QuorumRule::new(3, 0).unwrap();
    let config = VirtualServerConfig::of(names).with_quorum(quorum);
    let mut server = VirtualServer::new(config, Algorithm::Rr.scheduler()).unwrap();
    let strength = Strength { weight: 4, alive: 4, configured: 4 };
    assert_eq!(events(&mut server), [Event::QuorumGained { strength }]);

    let ids: Vec<_> = server.backends().map(|backend| backend.id).collect();
    for &id in &ids[..3] {
        server.handle_health(support::start(), id, Health::Down);
    }
    let told = events(&mut server);
    assert_eq!(told.len(), 4, "{told:?}");
    let strength = Strength { weight: 1, alive: 1, configured: 4 };
    assert_eq!(told[3], Event::QuorumLost { strength });

    // Lost and gained again between two drains is nothing.
    server.handle_health(support::start(), ids[0], Health::UP);
    server.handle_health(support::start(), ids[1], Health::UP);
    events(&mut server);
    server.handle_health(support::start(), ids[0], Health::Down);
    server.handle_health(support::start(), ids[0], Health::UP);
    assert!(
        events(&mut server)
            .iter()
            .all(|event| matches!(event, Event::BackendDown { .. } | Event::BackendUp { .. }))
    );
}

#[test]
fn weights_and_rules_are_judged_anew() {
    let of = |quorum| {
        let backends =
            ["a", "b"].map(|name| BackendConfig::named(name).weighing(10).initially_up());
        VirtualServerConfig::of(backends).with_quorum(QuorumRule::new(quorum, 0).unwrap())
    };
    let mut server = VirtualServer::new(of(15), Algorithm::Rr.scheduler()).unwrap();
    let id = server.backends().next().unwrap().id;
    let lost = |events: Vec<Event>| {
        let mut changes = events.into_iter().filter_map(|event| match event {
            Event::QuorumGained { .. } => Some(false),
            Event::QuorumLost { .. } => Some(true),
            _ => None,
        });
        let change = changes.next();
        assert_eq!(changes.next(), None);
        change
    };
    assert_eq!(lost(events(&mut server)), Some(false));
    // An edit that changes nothing tells nothing.
    server.reconfigure(support::start(), of(15)).unwrap();
    assert_eq!(lost(events(&mut server)), None);
    // A script's weight.
    server.handle_health(support::start(), id, Health::weighing(Weight::new(4)));
    assert_eq!(lost(events(&mut server)), Some(true));
    // A lower rule.
    server.reconfigure(support::start(), of(14)).unwrap();
    assert_eq!(lost(events(&mut server)), Some(false));
    // The administrator's weight.
    server.handle_health(support::start(), id, Health::UP);
    server.set_weight(support::start(), id, Weight::ZERO);
    assert_eq!(lost(events(&mut server)), Some(true));
    // A quorum that is refused changes nothing.
    assert!(server.reconfigure(support::start(), of(21)).is_err());
    assert_eq!(lost(events(&mut server)), None);
    assert_eq!(server.quorum().rule().up_at(), 14);
}
