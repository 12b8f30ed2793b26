//! `draining_clients`.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use crate::harness::*;

const HOUR: &str = r#"drain_timeout = "1h""#;

/// A daemon whose every client belongs to one of three backends.
fn start(draining_clients: &str) -> (Balancer, Port, [Backend; 3]) {
    start_with(draining_clients, HOUR)
}

fn start_with(draining_clients: &str, drain_timeout: &str) -> (Balancer, Port, [Backend; 3]) {
    let (web, three) = (Port::free(), [(); 3].map(|()| Backend::greeter()));
    let list = backends(three.iter().map(|backend| (backend, 1)));
    let rest = [r#"scheduler = "rr""#, "persistence = {}", draining_clients, drain_timeout, &list];
    let balancer = Balancer::start(&server("web", &web, &rest));
    balancer.until_all_up();
    (balancer, web, three)
}

fn client(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// What an administrator may do so that a backend takes no new clients.
const WAYS: [(&str, &str); 2] = [("drain", ""), ("weight", "0")];

#[test]
fn kept_clients_come_back_to_a_backend_that_is_drained() {
    for keys in ["", r#"draining_clients = "keep""#] {
        for (order, body) in WAYS {
            let (balancer, web, three) = start(keys);
            let homes: Vec<_> =
                (2..11).map(|last| ask_from(client(last), web.address()).unwrap()).collect();
            balancer.order("web", &three[0], order, body);
            assert_eq!(balancer.state("web", &three[0]), "drain");
            for (last, home) in (2..).zip(&homes) {
                assert_eq!(ask_from(client(last), web.address()).unwrap(), *home);
            }
            for last in 20..26 {
                assert_ne!(ask_from(client(last), web.address()).unwrap(), three[0].name());
            }
        }
    }
}

/// As long as the drain timeout lasts, however it came to that.
#[test]
fn kept_clients_are_moved_in_the_end() {
    for (order, body) in WAYS {
        let (balancer, web, three) = start_with("", r#"drain_timeout = "1s""#);
        let home = ask_from(client(2), web.address()).unwrap();
        let drained = three.iter().find(|backend| backend.name() == home).unwrap();
        let begun = Instant::now();
        balancer.order("web", drained, order, body);
        until("the client moves", || {
            let now = ask_from(client(2), web.address());
            let is_over = begun.elapsed() >= Duration::from_secs(1);
            // Who is connected when the time is over is cut.
            let stays = now.as_ref().map_or(is_over, |now| *now == home);
            assert!(stays || is_over, "{order}: {now:?} after {:?}", begun.elapsed());
            now.is_ok() && !stays
        });
        assert_eq!(balancer.state("web", drained), "drain");
    }
}

#[test]
fn moved_clients_leave_a_backend_as_soon_as_it_is_drained() {
    for (order, body) in WAYS {
        let (balancer, web, three) = start(r#"draining_clients = "move""#);
        let mut open = Visitor::enter(web.address());
        let drained = open.who().unwrap();
        let drained = three.iter().find(|backend| backend.name() == drained).unwrap();
        let homes: Vec<_> =
            (2..11).map(|last| ask_from(client(last), web.address()).unwrap()).collect();
        balancer.order("web", drained, order, body);
        let mut moved = Vec::new();
        for (last, home) in (2..).zip(&homes) {
            let now = ask_from(client(last), web.address()).unwrap();
            assert_ne!(now, drained.name());
            assert!(now == *home || *home == drained.name(), "only those who have to move");
            moved.push(now);
        }
        assert_eq!(open.who().unwrap(), drained.name(), "connections go on");

        // A move is for good.
        match order {
            "weight" => balancer.order("web", drained, "weight", "1"),
            _ => balancer.order("web", drained, "enable", ""),
        };
        balancer.until_state("web", drained, "up");
        for (last, home) in (2..).zip(&moved) {
            assert_eq!(ask_from(client(last), web.address()).unwrap(), *home);
        }
    }
}

#[test]
fn a_reload_changes_what_becomes_of_them() {
    let (web, three) = (Port::free(), [(); 3].map(|()| Backend::greeter()));
    let config = |word: &str, weight: u16| {
        let list = backends(three.iter().zip([weight, 1, 1]));
        let word = format!("draining_clients = \"{word}\"");
        let rest = [r#"scheduler = "rr""#, "persistence = {}", &word, HOUR, &list];
        server("web", &web, &rest)
    };
    let balancer = Balancer::start(&config("keep", 1));
    balancer.until_all_up();
    let at_first: Vec<_> = (2..11)
        .filter(|&last| ask_from(client(last), web.address()).unwrap() == three[0].name())
        .collect();
    assert_eq!(at_first.len(), 3);
    balancer.reload(&config("keep", 0));
    for &last in &at_first {
        assert_eq!(ask_from(client(last), web.address()).unwrap(), three[0].name());
    }
    balancer.reload(&config("move", 0));
    for &last in &at_first {
        assert_ne!(ask_from(client(last), web.address()).unwrap(), three[0].name());
    }
}
