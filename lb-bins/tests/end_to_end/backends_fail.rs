//! Backends that die, hang, or come back, and clients that should not notice.

use std::io::Write;
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::*;

#[test]
fn a_backend_that_refuses_is_noticed_by_no_client() {
    let (web, mut dying, other) = (Port::free(), Backend::greeter(), Backend::greeter());
    let list = backends([(&dying, 1), (&other, 1)]);
    let rr = r#"scheduler = "rr""#;
    let balancer = Balancer::start(&server("web", &web, &[rr, QUICK_CHECK, &list]));
    balancer.until_all_up();

    let load = Load::start(web.address());
    load.serve(50);
    // What the backend has accepted already cannot be saved; whoever comes later must be.
    load.between(|| dying.kill());
    balancer.until_state("web", &dying, "down");
    load.serve(50);

    let report = balancer.backend("web", dying.address());
    assert_eq!(report["last_check"]["outcome"], "failed", "{report}");
    assert_eq!(report["last_check"]["cause"], "refused", "{report}");
    let line = balancer.until_logged(&["up → down", &dying.name()]);
    assert!(line.contains("refused"), "no reason in: {line}");

    dying.revive();
    balancer.until_state("web", &dying, "up");
    balancer.until_logged(&["down → up", &dying.name(), "check passed"]);
    let before = dying.requests();
    load.serve(50);
    assert!(dying.requests() > before);
    load.stop();
    assert_eq!(balancer.server("web")["refused_total"], 0);
}

#[test]
fn a_backend_that_crashes_fails_nobody_after_it_is_detected() {
    let (web, mut dying, other) = (Port::free(), Backend::greeter(), Backend::greeter());
    let list = backends([(&dying, 1), (&other, 1)]);
    let balancer = Balancer::start(&server("web", &web, &[QUICK_CHECK, &list]));
    balancer.until_all_up();
    let load = Load::start(web.address());
    load.serve(50);
    dying.kill();
    balancer.until_state("web", &dying, "down");
    load.forgive();
    let before = other.requests();
    load.serve(200);
    assert!(other.requests() >= before + 200);
    load.stop();
}

#[test]
fn traffic_alone_finds_a_dead_backend() {
    // The check looks elsewhere and passes: only connections fail.
    let (web, mut dying, other) = (Port::free(), Backend::greeter(), Backend::greeter());
    let checked = other.address().port();
    let check = format!(
        r#"check = {{ type = "tcp", port = {checked}, interval = "1h", fall = 3, rise = 1 }}"#
    );
    let list = backends([(&dying, 1), (&other, 1)]);
    let rr = r#"scheduler = "rr""#;
    let balancer = Balancer::start(&server("web", &web, &[rr, &check, &list]));
    balancer.until_all_up();
    dying.kill();
    for _ in 0..20 {
        assert_eq!(ask(web.address()).unwrap(), other.name());
    }
    balancer.until_state("web", &dying, "down");
    balancer.until_logged(&["up → down", &dying.name(), "connections fail", "refused"]);
}

#[test]
fn a_backend_that_does_not_answer_syn_is_given_up_after_the_connect_timeout() {
    let (web, hole, other) = (Port::free(), BlackHole::new(), Backend::greeter());
    let list = format!(
        r#"backend = [{{ address = "{}", weight = 9 }}, {{ address = "{}" }}]"#,
        hole.address(),
        other.name()
    );
    let rest = [r#"scheduler = "fo""#, r#"connect_timeout = "200ms""#, UNCHECKED, &list];
    let balancer = Balancer::start(&server("web", &web, &rest));
    for _ in 0..5 {
        assert_eq!(ask(web.address()).unwrap(), other.name());
    }
    let report = balancer.backend("web", hole.address());
    assert_eq!(report["connections_total"], 5, "{report}");
    assert_eq!(report["active_connections"], 0, "{report}");
    assert_eq!(balancer.server("web")["refused_total"], 0);
}

#[test]
fn a_check_of_a_backend_that_does_not_answer_syn_times_out() {
    let (web, hole, other) = (Port::free(), BlackHole::new(), Backend::greeter());
    let check = r#"check = { type = "tcp", interval = "200ms", timeout = "100ms", rise = 1 }"#;
    let list = format!(
        r#"backend = [{{ address = "{}" }}, {{ address = "{}", check = "none" }}]"#,
        hole.address(),
        other.name()
    );
    let balancer = Balancer::start(&server("web", &web, &[check, &list]));
    let last_check = eventually("it is down", || {
        let report = balancer.backend("web", hole.address());
        (report["state"] == "down").then(|| report["last_check"].clone())
    });
    assert_eq!(last_check["cause"], "timeout-connect", "{last_check}");
    assert_eq!(ask(web.address()).unwrap(), other.name());
}

#[test]
fn clients_are_reset_when_nobody_is_left() {
    let (web, mut only) = (Port::free(), Backend::greeter());
    let list = backends([(&only, 1)]);
    let balancer = Balancer::start(&server("web", &web, &[QUICK_CHECK, &list]));
    balancer.until_all_up();
    only.kill();
    balancer.until_state("web", &only, "down");
    for _ in 0..3 {
        ask(web.address()).unwrap_err();
    }
    until("they are counted", || balancer.server("web")["refused_total"] == 3);
    only.revive();
    balancer.until_all_up();
    assert_eq!(ask(web.address()).unwrap(), only.name());
}

#[test]
fn a_backend_that_never_answers_holds_up_nobody_else() {
    let (web, mut silent, other) = (Port::free(), Backend::silent(), Backend::greeter());
    let list = backends([(&silent, 1), (&other, 1)]);
    let rr = r#"scheduler = "rr""#;
    let balancer = Balancer::start(&server("web", &web, &[rr, QUICK_CHECK, &list]));
    balancer.until_all_up();
    let mut waiting = Vec::new();
    while waiting.len() < 40 {
        // Whoever got the good one leaves.
        let mut stream = connect(web.address()).unwrap();
        stream.write_all(b"who\n").unwrap();
        waiting.push(stream);
    }
    until("the good ones answer", || other.requests() >= 20);
    let report = balancer.backend("web", silent.address());
    assert_eq!(report["active_connections"], 20, "{report}");
    drop(waiting);
    silent.kill();
    balancer.until_idle("web");
}

#[test]
fn clients_that_send_nothing_hold_up_nobody_else() {
    let (web, only) = (Port::free(), Backend::greeter());
    let list = backends([(&only, 1)]);
    let balancer = Balancer::start(&server("web", &web, &[QUICK_CHECK, &list]));
    balancer.until_all_up();
    let silent: Vec<TcpStream> = (0..200).map(|_| connect(web.address()).unwrap()).collect();
    for _ in 0..50 {
        assert_eq!(ask(web.address()).unwrap(), only.name());
    }
    until("all are connected", || balancer.server("web")["open_connections"] == 200);
    drop(silent);
    balancer.until_idle("web");
}

#[test]
fn a_stopped_backend_process_is_like_a_dead_one() {
    // Here another balancer is the backend: a process of its own that can be stopped.
    let (inner, web) = (Port::free(), Port::free());
    let (only, other) = (Backend::greeter(), Backend::greeter());
    let behind = Balancer::start(&server("inner", &inner, &[&backends([(&only, 1)])]));
    let check = format!(
        r#"check = {{ type = "http", path = "/healthz", port = {}, interval = "100ms",
        timeout = "500ms", rise = 1, fall = 2 }}"#,
        behind.admin().port()
    )
    .replace('\n', " ");
    let list = format!(
        r#"backend = [{{ address = "{inner}", weight = 9, {check} }}, {{ address = "{}" }}]"#,
        other.name()
    );
    let balancer = Balancer::start(&server("web", &web, &[r#"scheduler = "fo""#, &list]));
    balancer.until_all_up();
    assert_eq!(ask(web.address()).unwrap(), only.name());

    behind.signal(Signal::STOP);
    let state = || balancer.backend("web", inner.address());
    let report = eventually("it is down", || Some(state()).filter(|one| one["state"] == "down"));
    assert_eq!(report["last_check"]["cause"], Value::from("timeout-response"), "{report}");
    assert_eq!(ask(web.address()).unwrap(), other.name());
    behind.signal(Signal::CONT);
    until("it is up", || state()["state"] == "up");
    assert_eq!(ask(web.address()).unwrap(), only.name());
}

#[test]
fn connections_go_on_while_their_backend_refuses_new_ones() {
    let (web, mut refusing, other) = (Port::free(), Backend::greeter(), Backend::greeter());
    let list = backends([(&refusing, 9), (&other, 1)]);
    let fo = r#"scheduler = "fo""#;
    let balancer = Balancer::start(&server("web", &web, &[fo, QUICK_CHECK, &list]));
    balancer.until_all_up();
    let mut visitor = Visitor::enter(web.address());
    assert_eq!(visitor.who().unwrap(), refusing.name());
    refusing.refuse();
    balancer.until_state("web", &refusing, "down");
    assert_eq!(ask(web.address()).unwrap(), other.name());
    assert_eq!(visitor.who().unwrap(), refusing.name());
}
