//! `panic_below`.

use std::collections::HashSet;
use std::fmt::Write as _;

use crate::harness::*;

/// A daemon with four backends, each of which is checked at a door of its own.
fn start() -> (Balancer, Port, [Backend; 4], [Backend; 4]) {
    let (web, four) = (Port::free(), [(); 4].map(|()| Backend::greeter()));
    let doors = [(); 4].map(|()| Backend::silent());
    let mut text = server("web", &web, &[r#"scheduler = "rr""#, "panic_below = 50"]);
    for (backend, door) in four.iter().zip(&doors) {
        let (address, port) = (backend.address(), door.address().port());
        write!(text, "[[virtual_server.backend]]\naddress = \"{address}\"\n{QUICK_CHECK}").unwrap();
        text = text.replacen("type = \"tcp\", i", &format!("type = \"tcp\", port = {port}, i"), 1);
    }
    let balancer = Balancer::start(&text);
    balancer.until_all_up();
    (balancer, web, four, doors)
}

/// Who serves.
fn serving(web: &Port) -> HashSet<String> {
    (0..12).map(|_| ask(web.address()).unwrap()).collect()
}

#[test]
fn when_too_few_live_all_get_connections() {
    let (balancer, web, four, mut doors) = start();
    let panics = || balancer.server("web")["panic"] == true;
    for down in 1..=2 {
        doors[down - 1].kill();
        balancer.until_state("web", &four[down - 1], "down");
        assert!(!panics(), "{down} of 4 are down");
        let alive: HashSet<_> = four[down..].iter().map(Backend::name).collect();
        assert_eq!(serving(&web), alive);
    }
    doors[2].kill();
    until("a panic", panics);
    balancer.until_logged(&["WARN", "panic: 1 of 4 backends live, fewer than 50 percent"]);
    assert_eq!(serving(&web), four.iter().map(Backend::name).collect());
    assert_eq!(balancer.state("web", &four[0]), "down", "it says what the checks say");
    let metrics = get(balancer.admin(), "/metrics").unwrap().body;
    assert!(metrics.contains("lb_virtual_server_panic{virtual_server=\"web\"} 1\n"), "{metrics}");

    doors[0].revive();
    until("no panic", || !panics());
    balancer.until_logged(&["INFO", "panic is over: 2 of 4 backends live"]);
    let alive = [&four[0], &four[3]].map(Backend::name);
    assert_eq!(serving(&web), alive.into());
}

#[test]
fn those_that_are_really_dead_are_left_to_others() {
    let (balancer, web, mut four, mut doors) = start();
    for (backend, door) in four.iter_mut().zip(&mut doors).skip(1) {
        backend.kill();
        door.kill();
    }
    until("a panic", || balancer.server("web")["panic"] == true);
    assert_eq!(serving(&web), [four[0].name()].into());
    assert_eq!(balancer.server("web")["refused_total"], 0);
}
