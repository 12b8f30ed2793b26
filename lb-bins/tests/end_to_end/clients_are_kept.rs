//! Persistence.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use crate::harness::*;

fn client(third: u8, last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, third, last).into()
}

fn start(persistence: &str) -> (Balancer, Port, [Backend; 3]) {
    let (web, three) = (Port::free(), [(); 3].map(|()| Backend::greeter()));
    let list = backends(three.iter().map(|backend| (backend, 1)));
    let rest = [r#"scheduler = "rr""#, persistence, QUICK_CHECK, &list];
    let balancer = Balancer::start(&server("web", &web, &rest));
    balancer.until_all_up();
    (balancer, web, three)
}

#[test]
fn each_client_returns_to_its_backend() {
    let (balancer, web, _three) = start(r#"persistence = { timeout = "60s" }"#);
    let mut homes = HashSet::new();
    for last in 2..12 {
        let home = ask_from(client(0, last), web.address()).unwrap();
        for _ in 0..10 {
            assert_eq!(ask_from(client(0, last), web.address()).unwrap(), home);
        }
        homes.insert(home);
    }
    assert_eq!(homes.len(), 3, "rr spreads new clients");
    assert_eq!(balancer.server("web")["persisted_clients"], 10);
}

#[test]
fn a_network_of_clients_is_one_client() {
    let (balancer, web, _three) = start(r#"persistence = { timeout = "60s", granularity = 24 }"#);
    let mut homes = HashSet::new();
    for third in 0..6 {
        let home = ask_from(client(third, 2), web.address()).unwrap();
        for last in 3..20 {
            assert_eq!(ask_from(client(third, last), web.address()).unwrap(), home);
        }
        homes.insert(home);
    }
    assert_eq!(homes.len(), 3, "rr spreads new networks");
    assert_eq!(balancer.server("web")["persisted_clients"], 6);
}

#[test]
fn a_client_is_forgotten_after_the_timeout() {
    let (balancer, web, _three) = start(r#"persistence = { timeout = "300ms" }"#);
    let home = ask(web.address()).unwrap();
    until("it is forgotten", || balancer.server("web")["persisted_clients"] == 0);
    // The next in turn is another one.
    assert_ne!(ask(web.address()).unwrap(), home);
}

#[test]
fn a_client_is_not_forgotten_while_it_is_connected() {
    let persistence = r#"persistence = { timeout = "2s", while_open = true }"#;
    let (balancer, web, _three) = start(persistence);
    let mut session = Visitor::enter(web.address());
    let home = session.who().unwrap();
    // Somebody who came later is forgotten before, and so are those who are connected without that key.
    ask_from(client(0, 2), web.address()).unwrap();
    until("both are known", || balancer.server("web")["persisted_clients"] == 2);
    until("the other is forgotten", || balancer.server("web")["persisted_clients"] == 1);
    assert_eq!(ask(web.address()).unwrap(), home);
    assert_eq!(session.who().unwrap(), home);
    until("that was the second timeout", || {
        ask_from(client(0, 3), web.address()).unwrap();
        until("it is forgotten", || balancer.server("web")["persisted_clients"] == 1);
        true
    });
    drop(session);
    balancer.until_idle("web");
    assert_eq!(ask(web.address()).unwrap(), home, "for the timeout after that");
    until("it is forgotten", || balancer.server("web")["persisted_clients"] == 0);
}

#[test]
fn a_client_of_a_dead_backend_moves_and_stays_there() {
    let (balancer, web, mut three) = start(r#"persistence = { timeout = "60s" }"#);
    let home = ask(web.address()).unwrap();
    let dying = three.iter_mut().find(|backend| backend.name() == home).unwrap();
    dying.kill();
    let refuge = ask(web.address()).unwrap();
    assert_ne!(refuge, home);
    balancer.until_state("web", dying, "down");
    dying.revive();
    balancer.until_state("web", dying, "up");
    for _ in 0..10 {
        assert_eq!(ask(web.address()).unwrap(), refuge);
    }
}

#[test]
fn new_clients_do_not_push_out_whoever_was_there_lately() {
    let persistence = r#"persistence = { timeout = "1h", capacity = 2, min_age = "1h" }"#;
    let (balancer, web, _three) = start(persistence);
    let homes = [2, 3].map(|last| ask_from(client(0, last), web.address()).unwrap());
    // They are served all the same.
    for last in 10..40 {
        ask_from(client(0, last), web.address()).unwrap();
    }
    for (last, home) in [2, 3].into_iter().zip(&homes) {
        assert_eq!(ask_from(client(0, last), web.address()).unwrap(), *home);
    }
    assert_eq!(balancer.server("web")["persisted_clients"], 2);
}
