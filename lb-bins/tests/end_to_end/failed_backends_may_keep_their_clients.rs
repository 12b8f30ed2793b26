//! `on_failure`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::*;

/// A daemon with two backends that are checked elsewhere: the first by a server that can say that it
/// is not well, though it is.
fn start(keys: &str) -> (Balancer, Port, [Backend; 2], Backend, Arc<AtomicBool>) {
    let (web, two) = (Port::free(), [(); 2].map(|()| Backend::greeter()));
    let well = Arc::new(AtomicBool::new(true));
    let answer = Arc::clone(&well);
    let doctor = Backend::http(move |_| {
        let status = if answer.load(Ordering::SeqCst) { "200 OK" } else { "503 No" };
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")
    });
    let address = doctor.address();
    let check = format!(
        r#"check = {{ type = "http", address = "{address}", interval = "50ms", timeout = "20s", rise = 1, fall = 1 }}, {keys}"#
    );
    let list = backends_with([(&two[0], check.as_str()), (&two[1], r#"check = "none""#)]);
    let rest = [r#"scheduler = "rr""#, "quorum = 2", "persistence = {}", &list];
    let balancer = Balancer::start(&server("web", &web, &rest));
    balancer.until_all_up();
    (balancer, web, two, doctor, well)
}

fn ask_as(last: u8, web: &Port) -> String {
    ask_from(IpAddr::from(Ipv4Addr::new(127, 0, 0, last)), web.address()).unwrap()
}

#[test]
fn at_weight_0_persisted_clients_stay_and_no_others_come() {
    let (balancer, web, two, _doctor, well) = start(r#"on_failure = "weight-0""#);
    let homes: Vec<_> = (2..8).map(|last| ask_as(last, &web)).collect();
    let mut open = Visitor::enter(web.address());
    let mut other = Visitor::enter(web.address());
    let before = [open.who().unwrap(), other.who().unwrap()];
    well.store(false, Ordering::SeqCst);
    balancer.until_state("web", &two[0], "down");
    assert_eq!(balancer.backend("web", two[0].address())["weight"], 0);
    let quorum = balancer.server("web")["quorum"].clone();
    assert_eq!((&quorum["up"], &quorum["live_weight"]), (&false.into(), &1.into()), "it is dead");
    assert_eq!([open.who().unwrap(), other.who().unwrap()], before);
    for (last, home) in (2..8).zip(&homes) {
        assert_eq!(ask_as(last, &web), *home);
    }
    for last in 20..26 {
        assert_eq!(ask_as(last, &web), two[1].name());
    }
    well.store(true, Ordering::SeqCst);
    balancer.until_state("web", &two[0], "up");
    assert_eq!(balancer.server("web")["quorum"]["up"], true);
}

#[test]
fn a_backend_that_is_really_dead_loses_nobody() {
    let (balancer, web, mut two, _doctor, well) = start(r#"on_failure = "weight-0""#);
    (2..8).for_each(|last| drop(ask_as(last, &web)));
    two[0].kill();
    well.store(false, Ordering::SeqCst);
    balancer.until_state("web", &two[0], "down");
    for last in 2..8 {
        assert_eq!(ask_as(last, &web), two[1].name());
    }
}

#[test]
fn removed_its_clients_go_elsewhere_and_a_reload_changes_that() {
    let (balancer, web, two, _doctor, well) = start("");
    let at_first: Vec<u8> = (2..8).filter(|&last| ask_as(last, &web) == two[0].name()).collect();
    assert_eq!(at_first.len(), 3);
    // Without a client that asks meanwhile, it still belongs there.
    let config = balancer.folder().read("lb.toml");
    let config = config.split_once('\n').unwrap().1.to_owned();
    well.store(false, Ordering::SeqCst);
    balancer.until_state("web", &two[0], "down");
    balancer.reload(&config.replace("fall = 1 }", r#"fall = 1 }, on_failure = "weight-0""#));
    for &last in &at_first {
        assert_eq!(ask_as(last, &web), two[0].name());
    }
    balancer.reload(&config);
    for &last in &at_first {
        assert_eq!(ask_as(last, &web), two[1].name());
    }
}
