//! `when_full` and `when_down` of `persistence`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::*;

fn ask_as(last: u8, web: &Port) -> std::io::Result<String> {
    ask_from(IpAddr::from(Ipv4Addr::new(127, 0, 0, last)), web.address())
}

fn until_waiting(balancer: &Balancer, count: u64) {
    until("so many wait", || balancer.server("web")["queue"]["length"] == count);
}

#[test]
fn clients_of_a_full_backend_wait_for_it_and_keep_nobody_else() {
    let (web, two) = (Port::free(), [(); 2].map(|()| Backend::greeter()));
    let list = backends_with(two.each_ref().map(|one| (one, "max_connections = 1")));
    let config = |when_full: &str| {
        let persistence = format!(r#"persistence = {{ when_full = "{when_full}" }}"#);
        let queue = r#"queue = { length = 20, timeout = "10m" }"#;
        server("web", &web, &[r#"scheduler = "fo""#, &persistence, queue, UNCHECKED, &list])
    };
    let balancer = Balancer::start(&config("wait"));
    balancer.until_all_up();
    let mut first = Visitor::enter(web.address());
    assert_eq!(first.who().unwrap(), two[0].name());
    let mut waiting = Visitor::enter(web.address());
    until_waiting(&balancer, 1);
    // The other one is there for everybody else.
    for last in 2..6 {
        assert_eq!(ask_as(last, &web).unwrap(), two[1].name());
        until("it has left", || {
            balancer.backend("web", two[1].address())["active_connections"] == 0
        });
    }
    until_waiting(&balancer, 1);
    drop(first);
    assert_eq!(waiting.who().unwrap(), two[0].name());
    until_waiting(&balancer, 0);
    // A reload that says otherwise is heard by those who wait, and forgets nobody.
    let mut moved = Visitor::enter(web.address());
    until_waiting(&balancer, 1);
    balancer.reload(&config("move"));
    assert_eq!(moved.who().unwrap(), two[1].name());
    drop((waiting, moved));
    balancer.until_idle("web");
    assert_eq!(ask(web.address()).unwrap(), two[0].name());
    assert_eq!(balancer.server("web")["refused_total"], 0);
}

#[test]
fn clients_of_a_backend_that_is_down_are_refused_until_it_is_back() {
    let (web, mut two) = (Port::free(), [(); 2].map(|()| Backend::greeter()));
    let well = Arc::new(AtomicBool::new(true));
    let answer = Arc::clone(&well);
    let doctor = Backend::http(move |_| {
        let status = if answer.load(Ordering::SeqCst) { "200 OK" } else { "503 No" };
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")
    });
    let check = format!(
        r#"check = {{ type = "http", address = "{}", interval = "50ms", timeout = "20s", rise = 1, fall = 1 }}"#,
        doctor.address()
    );
    let list = backends_with([(&two[0], check.as_str()), (&two[1], r#"check = "none""#)]);
    let persistence = r#"persistence = { when_down = "refuse" }"#;
    let rest = [r#"scheduler = "fo""#, persistence, &list];
    let balancer = Balancer::start(&server("web", &web, &rest));
    balancer.until_all_up();
    let refused = |reason: &str| balancer.server("web")["refused"][reason].clone();
    assert_eq!(ask_as(2, &web).unwrap(), two[0].name());
    well.store(false, Ordering::SeqCst);
    balancer.until_state("web", &two[0], "down");
    ask_as(2, &web).unwrap_err();
    assert_eq!(refused("home_down"), 1);
    assert_eq!(ask_as(3, &web).unwrap(), two[1].name());
    // Whoever takes it out does not expect it back: its clients are moved.
    assert_eq!(balancer.order("web", &two[0], "disable", "").status, 200);
    assert_eq!(ask_as(2, &web).unwrap(), two[1].name());
    assert_eq!(balancer.order("web", &two[0], "enable", "").status, 200);
    well.store(true, Ordering::SeqCst);
    balancer.until_state("web", &two[0], "up");
    assert_eq!(ask_as(4, &web).unwrap(), two[0].name());
    // The same where no check has noticed yet: nobody else is asked.
    two[0].kill();
    ask_as(4, &web).unwrap_err();
    assert_eq!(refused("unreachable"), 1);
    two[0].revive();
    balancer.until_state("web", &two[0], "up");
    assert_eq!(ask_as(4, &web).unwrap(), two[0].name());
    assert_eq!(ask_as(2, &web).unwrap(), two[1].name());
}
