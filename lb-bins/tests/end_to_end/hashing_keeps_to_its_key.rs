//! `hash_key`, `bounded`, and who hashes what.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::harness::*;

fn local(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

fn start<const N: usize>(keys: &[&str]) -> (Balancer, Port, [Backend; N]) {
    let (web, all) = (Port::free(), [(); N].map(|()| Backend::greeter()));
    let list = backends(all.iter().map(|backend| (backend, 1)));
    let keys = keys.join("\n");
    let balancer = Balancer::start(&server("web", &web, &[&keys, UNCHECKED, &list]));
    balancer.until_all_up();
    (balancer, web, all)
}

/// How often each of them answered one client's 120 connections.
fn answers(web: &Port) -> HashMap<String, usize> {
    let mut answers = HashMap::new();
    for _ in 0..120 {
        *answers.entry(ask(web.address()).unwrap()).or_default() += 1;
    }
    answers
}

#[test]
fn with_the_port_the_connections_of_one_client_spread() {
    for scheduler in ["sh", "mh", "ketama", "rendezvous", "ring"] {
        let scheduler = format!("scheduler = \"{scheduler}\"");
        let (_balancer, web, _three) = start::<3>(&[&scheduler, r#"hash_key = "source-port""#]);
        let answers = answers(&web);
        assert_eq!(answers.len(), 3, "{scheduler}: {answers:?}");
        assert!(answers.values().all(|&count| count >= 10), "{scheduler}: {answers:?}");
    }
    let (_balancer, web, _three) = start::<3>(&[r#"scheduler = "sh""#, r#"hash_key = "source""#]);
    assert_eq!(answers(&web).len(), 1);
}

#[test]
fn a_network_has_one_backend_if_told_so() {
    let of_a_network = |keys: &[&str]| -> HashSet<String> {
        let (_balancer, web, _three) = start::<3>(keys);
        (2..40).map(|last| ask_from(local(last), web.address()).unwrap()).collect()
    };
    let scheduler = r#"scheduler = "sh""#;
    assert_eq!(of_a_network(&[scheduler]).len(), 3);
    assert_eq!(of_a_network(&[scheduler, "hash_granularity = 24"]).len(), 1);
    // Whatever persistence knows a client by.
    let (balancer, web, _three) =
        start::<3>(&[scheduler, "hash_granularity = 24", "persistence = { granularity = 32 }"]);
    let homes: HashSet<_> =
        (2..40).map(|last| ask_from(local(last), web.address()).unwrap()).collect();
    assert_eq!((homes.len(), &balancer.server("web")["persisted_clients"]), (1, &38.into()));
}

fn persistence_knows_a_client_whatever_its_port(persistence: &str) {
    let keys = [r#"scheduler = "sh""#, r#"hash_key = "source-port""#, persistence];
    let (balancer, web, _three) = start::<3>(&keys);
    assert_eq!(answers(&web).len(), 1);
    for last in 2..20 {
        ask_from(local(last), web.address()).unwrap();
    }
    assert_eq!(balancer.server("web")["persisted_clients"], 1);
}

#[test]
fn a_small_table_knows_a_client_whatever_its_port() {
    persistence_knows_a_client_whatever_its_port(
        "persistence = { capacity = 1000, granularity = 24 }",
    );
}

#[test]
fn a_large_table_knows_a_client_whatever_its_port() {
    persistence_knows_a_client_whatever_its_port("persistence = { granularity = 24 }");
}

#[test]
fn a_bound_keeps_one_client_from_having_a_backend_to_itself() {
    let (_balancer, web, four) = start::<4>(&[r#"scheduler = "sh""#, "bounded = 1.25"]);
    let mut visitors: Vec<_> = (0..40).map(|_| Visitor::enter(web.address())).collect();
    let mut homes = HashMap::<String, usize>::new();
    for visitor in &mut visitors {
        *homes.entry(visitor.who().unwrap()).or_default() += 1;
    }
    // A quarter more than a quarter of all, and as much as two workers may misjudge each other by.
    assert!(homes.values().all(|&count| count <= 15), "{homes:?}");
    assert!(homes.len() >= 3, "{homes:?}");
    drop(four);
}

/// Who does not know the seed cannot know who shares a backend.
#[test]
fn a_seed_deals_clients_out_anew() {
    let (web, three) = (Port::free(), [(); 3].map(|()| Backend::greeter()));
    let list = backends(three.iter().map(|backend| (backend, 1)));
    let config = |seed: &str| server("web", &web, &[r#"scheduler = "sh""#, seed, UNCHECKED, &list]);
    let balancer = Balancer::start(&config(""));
    balancer.until_all_up();
    let homes = |seed: &str| -> Vec<String> {
        balancer.reload(&config(seed));
        (2..60).map(|last| ask_from(local(last), web.address()).unwrap()).collect()
    };
    let plain = homes("");
    let seeded = homes(r#"hash_seed = "one""#);
    let moved = plain.iter().zip(&seeded).filter(|(one, other)| one != other).count();
    assert!((20..58).contains(&moved), "{moved} of 58 moved: two thirds are expected");
    assert_eq!(homes(r#"hash_seed = "one""#), seeded);
    assert_ne!(homes(r#"hash_seed = "two""#), seeded);
    assert_eq!(homes(""), plain);
}

#[test]
fn some_hash_where_clients_connect_to() {
    for scheduler in ["dh", "lblc", "lblcr"] {
        let (web, three) = (Port::free_everywhere(), [(); 3].map(|()| Backend::greeter()));
        // Enough weight for `lblc` not to mind how many come.
        let list = backends(three.iter().map(|backend| (backend, 100)));
        let key = format!("scheduler = \"{scheduler}\"");
        let balancer = Balancer::start(&server("web", &web, &[&key, UNCHECKED, &list]));
        balancer.until_all_up();
        let mut homes = HashSet::new();
        for destination in 1..40 {
            let to = SocketAddr::new(local(destination), web.address().port());
            let home = ask_from(local(1), to).unwrap();
            for client in [2, 3, 99] {
                assert_eq!(ask_from(local(client), to).unwrap(), home, "{scheduler}");
            }
            homes.insert(home);
        }
        assert_eq!(homes.len(), 3, "{scheduler}");
    }
}
