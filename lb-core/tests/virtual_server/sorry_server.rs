//! When the sorry server takes over, what it leaves alone, and how it goes.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::sync::Arc;

use lb_core::backend::BackendId;
use lb_core::quorum::QuorumRule;
use lb_core::virtual_server::{Action, BackendConfig, SorryMode, SorryServer, VirtualServerConfig};
use lb_core::{Algorithm, Director, Health, Pool, VirtualServer, Weight};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert, prop_assert_eq, proptest};
use support::{Zeros, seeded, start};

type Server = VirtualServer<&'static str>;

const MODES: [Option<SorryMode>; 3] =
    [None, Some(SorryMode::NoneAlive), Some(SorryMode::QuorumLost)];

/// `a`, `b` and `c`, of which two make a quorum.
fn config(sorry: Option<(&'static str, SorryMode)>) -> VirtualServerConfig<&'static str> {
    VirtualServerConfig::of(["a", "b", "c"].map(BackendConfig::named))
        .with_quorum(QuorumRule::new(2, 0).unwrap())
        .with_sorry(sorry.map(|(name, mode)| SorryServer::new(BackendConfig::named(name), mode)))
}

fn server(sorry: Option<(&'static str, SorryMode)>) -> Server {
    VirtualServer::new(config(sorry), Algorithm::Rr.scheduler()).unwrap()
}

fn ids(server: &Server) -> Vec<BackendId> {
    server.backends().map(|backend| backend.id).collect()
}

/// All pools published until there is nothing more to do.
fn drain(server: &mut Server) -> Vec<Arc<Pool<&'static str>>> {
    std::iter::from_fn(|| server.poll_action())
        .filter_map(|action| match action {
            Action::Publish(pool) => Some(pool),
            Action::Notify(_) => None,
        })
        .collect()
}

fn names<'a>(pool: &'a Pool<&'static str>) -> Vec<&'a str> {
    pool.backends().iter().map(|backend| backend.name()).collect()
}

/// Puts exactly the first `count` backends up.
fn raise(server: &mut Server, count: usize) {
    for (place, id) in ids(server).into_iter().enumerate() {
        server.handle_health(
            support::start(),
            id,
            if place < count { Health::UP } else { Health::Down },
        );
    }
}

#[test]
fn the_table_holds() {
    for (alive, mode, expected) in [
        (3, None, &["a", "b", "c"][..]),
        (3, Some(SorryMode::NoneAlive), &["a", "b", "c"]),
        (3, Some(SorryMode::QuorumLost), &["a", "b", "c"]),
        (1, None, &["a"]),
        (1, Some(SorryMode::NoneAlive), &["a"]),
        (1, Some(SorryMode::QuorumLost), &["sorry"]),
        (0, None, &[]),
        (0, Some(SorryMode::NoneAlive), &["sorry"]),
        (0, Some(SorryMode::QuorumLost), &["sorry"]),
    ] {
        let mut server = server(mode.map(|mode| ("sorry", mode)));
        raise(&mut server, 3);
        drain(&mut server);
        raise(&mut server, alive);
        drain(&mut server);
        assert_eq!(names(server.published()), expected, "{alive} alive, {mode:?}");
        assert_eq!(server.published().records_affinity(), !expected.contains(&"sorry"));
    }
}

#[test]
fn all_drained_is_as_good_as_none_alive() {
    let mut server = server(Some(("sorry", SorryMode::NoneAlive)));
    raise(&mut server, 3);
    for id in ids(&server) {
        server.set_weight(support::start(), id, Weight::ZERO);
    }
    drain(&mut server);
    assert_eq!(names(server.published()), ["sorry"]);
}

#[test]
fn it_never_counts() {
    let mut server = server(Some(("sorry", SorryMode::QuorumLost)));
    drain(&mut server);
    assert_eq!((server.strength().weight, server.strength().configured), (0, 3));
    assert!(!server.quorum().is_up());
    // Nor has anybody to say how it is, and nobody says what it weighs.
    let sorry = server.sorry().unwrap().id();
    server.handle_health(support::start(), sorry, Health::UP);
    assert!(!server.set_weight(support::start(), sorry, Weight::MAX));
    assert!(drain(&mut server).is_empty());
    assert_eq!(names(server.published()), ["sorry"]);
}

#[test]
fn changes_below_quorum_publish_nothing() {
    let mut server = server(Some(("sorry", SorryMode::QuorumLost)));
    drain(&mut server);
    for id in ids(&server) {
        server.handle_health(support::start(), id, Health::UP);
        assert!(drain(&mut server).is_empty() || server.quorum().is_up());
        server.handle_health(support::start(), id, Health::Down);
        assert!(drain(&mut server).is_empty());
    }
}

#[test]
fn taking_it_away_puts_the_live_ones_back() {
    let mut server = server(Some(("sorry", SorryMode::QuorumLost)));
    raise(&mut server, 1);
    drain(&mut server);
    assert_eq!(names(server.published()), ["sorry"]);
    server.reconfigure(support::start(), config(None)).unwrap();
    drain(&mut server);
    assert_eq!(names(server.published()), ["a"]);
    assert!(server.published().records_affinity());
    // And bringing it back takes them out again.
    server.reconfigure(support::start(), config(Some(("sorry", SorryMode::QuorumLost)))).unwrap();
    drain(&mut server);
    assert_eq!(names(server.published()), ["sorry"]);
}

#[test]
fn one_that_is_a_backend_too_is_one_entry() {
    for mode in [SorryMode::NoneAlive, SorryMode::QuorumLost] {
        let mut server = server(Some(("b", mode)));
        assert_eq!(server.sorry().unwrap().id(), ids(&server)[1]);
        raise(&mut server, 0);
        drain(&mut server);
        // Known to be down, but there is no better.
        assert_eq!(names(server.published()), ["b"]);
        raise(&mut server, 3);
        drain(&mut server);
        assert_eq!(names(server.published()), ["a", "b", "c"]);
    }
}

/// The same member at the same weight, but now clients belong to it.
#[test]
fn one_that_is_the_only_backend_is_published_when_it_recovers() {
    let only = VirtualServerConfig::of([BackendConfig::named("a")])
        .with_sorry(config(Some(("a", SorryMode::QuorumLost))).sorry);
    let mut server = VirtualServer::new(only, Algorithm::Rr.scheduler()).unwrap();
    drain(&mut server);
    assert!(!server.published().records_affinity());
    let id = ids(&server)[0];
    server.handle_health(support::start(), id, Health::UP);
    let pools = drain(&mut server);
    assert_eq!(pools.len(), 1);
    assert!(pools[0].records_affinity());
}

#[test]
fn it_keeps_its_identity() {
    let mut server = server(Some(("sorry", SorryMode::QuorumLost)));
    let before = server.sorry().unwrap().clone();
    server.reconfigure(support::start(), config(Some(("sorry", SorryMode::NoneAlive)))).unwrap();
    let after = server.sorry().unwrap();
    assert_eq!(before.id(), after.id());
    assert!(Arc::ptr_eq(before.load(), after.load()));
}

/// A backend that is demoted to sorry server, or the other way round, is still the same machine
/// with the same flows on it.
#[test]
fn it_keeps_its_identity_when_it_changes_sides() {
    let mut server = server(Some(("sorry", SorryMode::QuorumLost)));
    let (a, sorry) = (ids(&server)[0], server.sorry().unwrap().id());

    let mut swapped = config(Some(("a", SorryMode::QuorumLost)));
    swapped.backends[0] = BackendConfig::named("sorry");
    server.reconfigure(support::start(), swapped).unwrap();
    assert_eq!((ids(&server)[0], server.sorry().unwrap().id()), (sorry, a));
}

#[test]
fn its_clients_return_to_their_backend() {
    let mut server = server(Some(("sorry", SorryMode::QuorumLost)));
    raise(&mut server, 3);
    drain(&mut server);
    let director = Director::new(Arc::clone(server.published()))
        .with_persistence(std::time::Duration::from_secs(60), 100.try_into().unwrap());
    let now = start();
    let assign = || director.assign(now, &7_u64, &[], &mut Zeros).unwrap().name().to_owned();
    let home = assign();
    raise(&mut server, 0);
    drain(&mut server).into_iter().for_each(|pool| director.publish(pool));
    assert_eq!(assign(), "sorry");
    raise(&mut server, 3);
    drain(&mut server).into_iter().for_each(|pool| director.publish(pool));
    assert_eq!(assign(), home);
}

#[test]
fn the_rotation_goes_on_where_it_was_before() {
    let mut server = server(Some(("sorry", SorryMode::QuorumLost)));
    raise(&mut server, 3);
    drain(&mut server);
    let pick = |server: &Server| {
        let flow = lb_core::Flow::new(0);
        server.published().pick(&flow, &mut Zeros).unwrap().name().to_owned()
    };
    assert_eq!([pick(&server), pick(&server)], ["a", "b"]);
    raise(&mut server, 0);
    drain(&mut server);
    assert_eq!([pick(&server), pick(&server)], ["sorry", "sorry"]);
    raise(&mut server, 3);
    drain(&mut server);
    assert_eq!([pick(&server), pick(&server)], ["c", "a"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// No pool on the way is empty while there is anybody to put in it, and each is all sorry or
    /// none.
    #[test]
    fn the_swap_leaves_no_gap(
        mode in (0..MODES.len()).prop_flat_map(|place| Just(MODES[place])),
        steps in vec((0..3_usize, 0..3_u16), 1..40),
    ) {
        let mut server = server(mode.map(|mode| ("sorry", mode)));
        for (place, word) in steps {
            let id = ids(&server)[place];
            match word {
                0 => server.handle_health(support::start(), id, Health::Down),
                1 => server.handle_health(support::start(), id, Health::UP),
                _ => server.handle_health(support::start(), id, Health::weighing(Weight::ZERO)),
            }
            for pool in drain(&mut server) {
                let live = server.strength().weight > 0;
                prop_assert!(!pool.members().is_empty() || (mode.is_none() && !live));
                let is_sorry = names(&pool).contains(&"sorry");
                prop_assert!(!is_sorry || names(&pool) == ["sorry"]);
                prop_assert_eq!(pool.records_affinity(), !is_sorry);
                let picked = pool.pick(&lb_core::Flow::new(0), &mut seeded(1)).is_ok();
                prop_assert_eq!(picked, live || mode.is_some());
                let due = match mode {
                    None => false,
                    Some(SorryMode::NoneAlive) => !live,
                    Some(SorryMode::QuorumLost) => !server.quorum().is_up(),
                };
                prop_assert_eq!(is_sorry, due);
            }
        }
    }
}

/// A sorry server that is down is as good as none; of another one nothing is known.
#[test]
fn a_sorry_server_that_is_down_takes_nobody() {
    let config = |sorry: &'static str| {
        let sorry = SorryServer::new(BackendConfig::named(sorry), SorryMode::QuorumLost);
        VirtualServerConfig::of(["a", "b"].map(BackendConfig::named))
            .with_quorum(QuorumRule::new(2, 0).unwrap())
            .with_sorry(sorry)
    };
    let mut server = VirtualServer::new(config("s"), Algorithm::Rr.scheduler()).unwrap();
    let now = support::start();
    let serving = |server: &mut VirtualServer<&'static str>| -> Vec<&'static str> {
        while server.poll_action().is_some() {}
        server.published().backends().iter().map(|backend| *backend.endpoint()).collect()
    };
    let (first, sorry) = (server.backends().next().unwrap().id, server.sorry().unwrap().id());
    server.handle_health(now, first, Health::UP);
    assert_eq!(serving(&mut server), ["s"]);
    server.handle_health(now, sorry, Health::Down);
    assert!(server.sorry_is_down());
    assert_eq!(serving(&mut server), ["a"]);
    // What is known of it outlives a reload, if it is the same.
    server.reconfigure(now, config("s")).unwrap();
    assert_eq!(serving(&mut server), ["a"]);
    server.reconfigure(now, config("t")).unwrap();
    assert_eq!((serving(&mut server), server.sorry_is_down()), (vec!["t"], false));
    server.handle_health(now, server.sorry().unwrap().id(), Health::Down);
    server.handle_health(now, server.sorry().unwrap().id(), Health::UP);
    assert_eq!(serving(&mut server), ["t"]);
}
