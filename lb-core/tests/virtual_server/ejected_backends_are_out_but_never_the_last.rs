//! Backends that real traffic finds wanting: out of the pool, but never the last one (R3, R5).
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use crate::support;

use std::time::Instant;

use lb_core::backend::BackendId;
use lb_core::health::Admin;
use lb_core::virtual_server::{BackendConfig, BackendState, VirtualServerConfig};
use lb_core::{Algorithm, Health, VirtualServer, Weight};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert_eq, proptest};
use proptest::prop_oneof;
use support::start;

type Server = VirtualServer<()>;

fn server(count: usize, panic_below: u8) -> (Instant, Server) {
    let backends = ('A'..).take(count).map(|name| BackendConfig::new(name.to_string(), ()));
    let config = VirtualServerConfig::of(backends).panicking_below(panic_below);
    let (now, mut server) = (start(), Server::new(config, Algorithm::Rr.scheduler()).unwrap());
    for place in 0..count {
        server.handle_health(now, id(place), Health::UP);
    }
    (now, server)
}

fn id(place: usize) -> BackendId {
    BackendId::new(place as u32)
}

fn members(server: &mut Server) -> Vec<u32> {
    while server.poll_action().is_some() {}
    server.published().members().iter().map(|member| member.id.number()).collect()
}

fn state(server: &Server, place: usize) -> BackendState {
    server.backend(id(place)).unwrap().state
}

#[test]
fn an_ejected_backend_is_out_until_it_is_taken_back() {
    let (now, mut server) = server(3, 0);
    assert_eq!(members(&mut server), [0, 1, 2]);
    assert!(server.set_ejected(now, id(1), true));
    assert_eq!(state(&server, 1), BackendState::Ejected);
    assert_eq!(members(&mut server), [0, 2]);
    assert_eq!((server.strength().weight, server.strength().alive), (2, 2));
    // What checks say of it stands above.
    server.handle_health(now, id(1), Health::Down);
    assert_eq!(state(&server, 1), BackendState::Down);
    server.handle_health(now, id(1), Health::UP);
    assert_eq!((members(&mut server), state(&server, 1)), (vec![0, 2], BackendState::Ejected));
    server.set_admin(now, id(1), Admin::Drain);
    assert_eq!(state(&server, 1), BackendState::Drain);
    server.set_admin(now, id(1), Admin::Ready);
    assert!(server.set_ejected(now, id(1), false));
    assert_eq!((members(&mut server), state(&server, 1)), (vec![0, 1, 2], BackendState::Up));
    assert!(!server.set_ejected(now, id(7), true));
}

#[test]
fn the_last_one_serves_whatever_is_found_of_it() {
    let (now, mut server) = server(3, 0);
    server.set_ejected(now, id(0), true);
    server.handle_health(now, id(1), Health::Down);
    assert_eq!(members(&mut server), [2]);
    server.set_admin(now, id(2), Admin::Maintenance);
    assert_eq!((members(&mut server), state(&server, 0)), (vec![0], BackendState::Up));
    server.set_admin(now, id(2), Admin::Ready);
    assert_eq!((members(&mut server), state(&server, 0)), (vec![2], BackendState::Ejected));
    server.set_weight(now, id(2), Weight::ZERO);
    assert_eq!(members(&mut server), [0, 2]);
}

#[test]
fn in_a_panic_they_serve_as_well() {
    let (now, mut server) = server(4, 60);
    server.set_ejected(now, id(0), true);
    assert_eq!(members(&mut server), [1, 2, 3]);
    server.handle_health(now, id(1), Health::Down);
    assert_eq!(members(&mut server), [0, 1, 2, 3]);
}

#[derive(Clone, Debug)]
enum Said {
    Admin(usize, bool),
    Ejected(usize, bool),
    Up(usize, bool),
    Weight(usize, u16),
}

fn said() -> impl Strategy<Value = Said> {
    let (place, on) = (0..4_usize, any::<bool>());
    prop_oneof![
        1 => (place.clone(), on).prop_map(|(place, on)| Said::Admin(place, on)),
        3 => (place.clone(), on).prop_map(|(place, on)| Said::Ejected(place, on)),
        3 => (place.clone(), on).prop_map(|(place, on)| Said::Up(place, on)),
        1 => (place, prop_oneof![Just(0), 1..4_u16]).prop_map(|(place, weight)| Said::Weight(place, weight)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whoever_may_serve_and_is_not_ejected_does_or_else_all_who_may(steps in vec(said(), 1..40)) {
        let (now, mut server) = server(4, 0);
        let (mut ready, mut ejected, mut up, mut weight) = ([true; 4], [false; 4], [true; 4], [1; 4]);
        for step in steps {
            match step {
                Said::Admin(one, on) => {
                    ready[one] = on;
                    server.set_admin(now, id(one), if on { Admin::Ready } else { Admin::Maintenance });
                }
                Said::Ejected(one, on) => {
                    ejected[one] = on;
                    server.set_ejected(now, id(one), on);
                }
                Said::Up(one, on) => {
                    up[one] = on;
                    server.handle_health(now, id(one), if on { Health::UP } else { Health::Down });
                }
                Said::Weight(one, value) => {
                    weight[one] = value;
                    server.set_weight(now, id(one), Weight::new(value));
                }
            }
            let may = |one: &usize| ready[*one] && up[*one] && weight[*one] > 0;
            let mut due: Vec<_> = (0..4).filter(|one| may(one) && !ejected[*one]).collect();
            if due.is_empty() {
                due = (0..4).filter(may).collect();
            }
            members(&mut server);
            let serve = server.published().members().iter().filter(|one| !one.weight.is_zero());
            let serve: Vec<_> = serve.map(|member| member.id.number() as usize).collect();
            prop_assert_eq!(serve, due);
        }
    }
}
