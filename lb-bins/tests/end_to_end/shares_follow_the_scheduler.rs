//! Who gets how much of 1,000 connections.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::harness::*;

const CONNECTIONS: u64 = 1_000;

/// A daemon with three backends of these weights, all of which are up.
fn start(scheduler: &str, weights: [u16; 3]) -> (Balancer, Port, [Backend; 3]) {
    let (web, three) = (Port::free(), weights.map(|_| Backend::greeter()));
    let scheduler = format!("scheduler = \"{scheduler}\"");
    let list = backends(three.iter().zip(weights));
    let balancer = Balancer::start(&server("web", &web, &[&scheduler, QUICK_CHECK, &list]));
    balancer.until_all_up();
    (balancer, web, three)
}

/// How many of 1,000 connections, one after the other, each backend gets.
fn shares_in_sequence(scheduler: &str, weights: [u16; 3]) -> [u64; 3] {
    let (balancer, web, three) = start(scheduler, weights);
    for _ in 0..CONNECTIONS {
        ask(web.address()).unwrap();
    }
    let served = three.each_ref().map(Backend::requests);
    assert_eq!(served.iter().sum::<u64>(), CONNECTIONS);
    assert_eq!(balancer.totals("web", three.each_ref()), served);
    served
}

/// How many of 1,000 connections, all open at once, each backend gets.
fn shares_at_once(scheduler: &str, weights: [u16; 3]) -> [u64; 3] {
    if !enough_descriptors(4 * CONNECTIONS) {
        let total = weights.iter().sum::<u16>();
        return weights.map(|weight| CONNECTIONS * u64::from(weight) / u64::from(total));
    }
    let (balancer, web, three) = start(scheduler, weights);
    let mut visitors = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut visitor = Visitor::enter(web.address());
        visitor.who().unwrap();
        visitors.push(visitor);
    }
    let served = three.each_ref().map(Backend::requests);
    assert_eq!(served.iter().sum::<u64>(), CONNECTIONS);
    for (backend, served) in three.iter().zip(served) {
        let report = balancer.backend("web", backend.address());
        assert_eq!(report["active_connections"], served);
    }
    drop(visitors);
    balancer.until_idle("web");
    for backend in &three {
        assert_eq!(balancer.backend("web", backend.address())["active_connections"], 0);
    }
    served
}

#[track_caller]
fn assert_near(served: [u64; 3], expected: [u64; 3], tolerance: u64) {
    let near = served.iter().zip(expected).all(|(&is, should)| is.abs_diff(should) <= tolerance);
    assert!(near, "{served:?} instead of {expected:?}");
}

#[test]
fn rr_is_even() {
    // Weights do not count.
    assert_near(shares_in_sequence("rr", [1, 1, 7]), [333, 333, 334], 1);
}

#[test]
fn wrr_follows_the_weights() {
    assert_near(shares_in_sequence("wrr", [5, 3, 2]), [500, 300, 200], 3);
}

#[test]
fn random_follows_the_weights_roughly() {
    // Eight standard deviations.
    assert_near(shares_in_sequence("random", [5, 3, 2]), [500, 300, 200], 126);
}

#[test]
fn lc_is_even_over_open_connections() {
    assert_near(shares_at_once("lc", [1, 1, 7]), [333, 333, 334], 10);
}

#[test]
fn wlc_follows_the_weights_over_open_connections() {
    assert_near(shares_at_once("wlc", [5, 3, 2]), [500, 300, 200], 10);
}

#[test]
fn sed_follows_the_weights_over_open_connections() {
    assert_near(shares_at_once("sed", [5, 3, 2]), [500, 300, 200], 10);
}

#[test]
fn nq_follows_the_weights_over_open_connections() {
    assert_near(shares_at_once("nq", [5, 3, 2]), [500, 300, 200], 10);
}

#[test]
fn p2c_is_nearly_even_over_open_connections() {
    assert_near(shares_at_once("p2c", [1, 1, 1]), [333, 333, 334], 12);
}

#[test]
fn fo_sends_all_to_the_heaviest_that_lives() {
    let (balancer, web, [light, mut heavy, middle]) = start("fo", [1, 3, 2]);
    for _ in 0..CONNECTIONS {
        assert_eq!(ask(web.address()).unwrap(), heavy.name());
    }
    heavy.kill();
    balancer.until_state("web", &heavy, "down");
    for _ in 0..50 {
        assert_eq!(ask(web.address()).unwrap(), middle.name());
    }
    heavy.revive();
    balancer.until_state("web", &heavy, "up");
    for _ in 0..50 {
        assert_eq!(ask(web.address()).unwrap(), heavy.name());
    }
    assert_eq!(light.requests(), 0);
}

#[test]
fn sh_keeps_each_client_and_spreads_all() {
    let (balancer, web, mut three) = start("sh", [1, 1, 1]);
    let clients = || (2..=101).map(|last| IpAddr::from(Ipv4Addr::new(127, 0, 0, last)));
    let homes: HashMap<_, _> =
        clients().map(|client| (client, ask_from(client, web.address()).unwrap())).collect();
    for _ in 0..9 {
        for client in clients() {
            assert_eq!(ask_from(client, web.address()).unwrap(), homes[&client]);
        }
    }
    for backend in &three {
        let clients = homes.values().filter(|home| **home == backend.name()).count();
        assert!((10..=60).contains(&clients), "{clients} of 100 at {}", backend.name());
    }
    // Whoever is at home elsewhere does not notice that one has died.
    let [dead, ..] = &mut three;
    dead.kill();
    balancer.until_state("web", dead, "down");
    for client in clients() {
        let now = ask_from(client, web.address()).unwrap();
        assert_ne!(now, dead.name());
        assert!(now == homes[&client] || homes[&client] == dead.name());
    }
}
