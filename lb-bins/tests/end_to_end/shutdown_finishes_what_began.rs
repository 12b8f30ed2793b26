//! SIGTERM and SIGINT.

use std::net::Shutdown;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::*;

fn start(drain_timeout: &str, backend: &Backend) -> (Balancer, Port) {
    let web = Port::free();
    let drain_timeout = format!("drain_timeout = \"{drain_timeout}\"");
    let list = backends([(backend, 1)]);
    let balancer = Balancer::start(&server("web", &web, &[&drain_timeout, QUICK_CHECK, &list]));
    balancer.until_all_up();
    (balancer, web)
}

#[test]
fn an_idle_daemon_ends_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let only = Backend::greeter();
        let (mut balancer, web) = start("1h", &only);
        ask(web.address()).unwrap();
        balancer.signal(signal);
        assert_eq!(balancer.ended().code(), Some(0), "{}", balancer.said());
        balancer.until_logged(&["every connection has ended"]);
    }
}

#[test]
fn an_open_connection_is_finished() {
    let only = Backend::greeter();
    let (mut balancer, web) = start("1h", &only);
    let mut visitor = Visitor::enter(web.address());
    visitor.who().unwrap();
    balancer.signal(Signal::TERM);
    until("it does not accept any more", || ask(web.address()).is_err());
    // What is going on can still be seen.
    assert_eq!(balancer.server("web")["open_connections"], 1);
    for _ in 0..10 {
        assert_eq!(visitor.who().unwrap(), only.name());
    }
    assert!(!balancer.has_ended());
    visitor.0.shutdown(Shutdown::Both).unwrap();
    assert_eq!(balancer.ended().code(), Some(0));
}

#[test]
fn a_connection_that_hangs_is_cut_after_the_drain_timeout() {
    let only = Backend::greeter();
    let (mut balancer, web) = start("500ms", &only);
    let mut visitor = Visitor::enter(web.address());
    visitor.who().unwrap();
    balancer.signal(Signal::TERM);
    assert_eq!(balancer.ended().code(), Some(0), "{}", balancer.said());
    balancer.until_logged(&["the drain timeout is over", "1 connections are cut"]);
    visitor.until_cut();
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let only = Backend::greeter();
    let (mut balancer, web) = start("1h", &only);
    let mut visitor = Visitor::enter(web.address());
    visitor.who().unwrap();
    balancer.signal(Signal::TERM);
    balancer.until_logged(&["stopping: no new connections"]);
    balancer.signal(Signal::TERM);
    balancer.ended();
    balancer.until_logged(&["stopping at once"]);
    visitor.until_cut();
}

#[test]
fn connections_of_a_virtual_server_that_was_removed_are_finished_too() {
    let (first, second, only) = (Port::free(), Port::free(), Backend::greeter());
    let list = backends([(&only, 1)]);
    let rest = [r#"drain_timeout = "1h""#, &list];
    let stays = server("stays", &first, &rest);
    let mut balancer = Balancer::start(&(stays.clone() + &server("goes", &second, &rest)));
    let mut visitor = Visitor::enter(second.address());
    visitor.who().unwrap();
    balancer.reload(&stays);
    balancer.signal(Signal::TERM);
    until("it does not accept any more", || ask(first.address()).is_err());
    for _ in 0..200 {
        assert_eq!(visitor.who().unwrap(), only.name());
    }
    visitor.0.shutdown(Shutdown::Both).unwrap();
    assert_eq!(balancer.ended().code(), Some(0));
}

#[test]
fn whoever_is_connected_when_it_stops_is_served() {
    for _ in 0..5 {
        let only = Backend::greeter();
        let (mut balancer, web) = start("1h", &only);
        let load = Load::start(web.address());
        load.serve(20);
        balancer.signal(Signal::TERM);
        load.until_refused();
        load.stop_where_refused();
        assert_eq!(balancer.ended().code(), Some(0));
    }
}

#[test]
fn a_queue_is_served_to_its_end() {
    const CLIENTS: usize = 500;
    if !enough_descriptors(4 * CLIENTS as u64) {
        return;
    }
    // A backend without a verdict: clients are connected, but wait.
    let (web, only, hole) = (Port::free(), Backend::greeter(), BlackHole::new());
    let list = format!(
        r#"backend = [{{ address = "{}", check = "none" }}, {{ address = "{}", weight = 0 }}]"#,
        only.name(),
        hole.address()
    );
    let check = r#"check = { type = "tcp", interval = "1h", timeout = "1h" }"#;
    let rest = [r#"drain_timeout = "1h""#, check, &list];
    let mut balancer = Balancer::start(&server("web", &web, &rest));
    let mut queued: Vec<_> = (0..CLIENTS).map(|_| Visitor::enter(web.address())).collect();
    balancer.signal(Signal::TERM);
    for visitor in &mut queued {
        assert_eq!(visitor.who().unwrap(), only.name());
    }
    drop(queued);
    assert_eq!(balancer.ended().code(), Some(0));
}

#[test]
fn a_burst_at_that_moment_is_served_or_refused_but_never_dropped() {
    const CLIENTS: usize = 64;
    for _ in 0..3 {
        let only = Backend::greeter();
        let (mut balancer, web) = start("1h", &only);
        let together = Barrier::new(CLIENTS + 1);
        let (to, name) = (web.address(), only.name());
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    together.wait();
                    // Until it is refused.
                    while let Ok(stream) = connect(to) {
                        assert_eq!(Visitor(stream).who().unwrap(), name);
                    }
                });
            }
            together.wait();
            balancer.signal(Signal::TERM);
        });
        assert_eq!(balancer.ended().code(), Some(0));
    }
}

#[test]
fn hooks_of_the_last_moment_are_not_lost() {
    let (web, only) = (Port::free(), Backend::greeter());
    let hooks = Folder::new();
    let script = hooks.script("notify", r#"sleep 0.5; echo "$1" >> "$(dirname "$0")/events""#);
    let hook = format!("on_quorum_up = [\"{}\", \"up\"]", script.display());
    let list = backends([(&only, 1)]);
    let mut balancer = Balancer::start(&server("web", &web, &[&hook, QUICK_CHECK, &list]));
    balancer.until_logged(&["quorum gained"]);
    balancer.signal(Signal::TERM);
    assert_eq!(balancer.ended().code(), Some(0));
    assert_eq!(hooks.read("events"), "up\n");
}

/// keepalived's `omega`: a route that goes with the quorum must not outlive the daemon.
#[test]
fn a_stop_is_going_down_for_scripts_if_that_is_wanted() {
    for wanted in [true, false] {
        let (web, only, hole) = (Port::free(), Backend::greeter(), Port::free());
        let hooks = Folder::new();
        let script = hooks.script("notify", r#"echo "$1 $LB_BACKEND" >> "$(dirname "$0")/events""#);
        let hook = |key, word| format!("{key} = [\"{}\", \"{word}\"]", script.display());
        let dead = hole.address().to_string();
        let list =
            format!(r#"backend = [{{ address = "{}" }}, {{ address = "{dead}" }}]"#, only.name());
        let rest = [
            &*hook("on_quorum_down", "lost"),
            &*hook("on_down", "down"),
            &format!("down_when_stopped = {wanted}"),
            QUICK_CHECK,
            &list,
        ];
        let mut balancer = Balancer::start(&server("web", &web, &rest));
        balancer.until_logged(&["accepting"]);
        balancer.signal(Signal::TERM);
        assert_eq!(balancer.ended().code(), Some(0));
        let told = if wanted { format!("down {}\nlost \n", only.name()) } else { String::new() };
        // Who is down already was told of.
        assert_eq!(hooks.read("events").replace(&format!("down {dead}\n"), ""), told);
    }
}

#[test]
fn stopping_before_the_first_verdict_does_not_spin() {
    let (web, only, hole) = (Port::free(), Backend::greeter(), BlackHole::new());
    let list = format!(
        r#"backend = [{{ address = "{}", check = "none" }}, {{ address = "{}" }}]"#,
        only.name(),
        hole.address()
    );
    let check = r#"check = { type = "tcp", interval = "1h", timeout = "1h" }"#;
    let rest = [r#"drain_timeout = "1h""#, check, &list];
    let mut balancer = Balancer::start(&server("web", &web, &rest));
    let mut visitor = Visitor::enter(web.address());
    balancer.signal(Signal::TERM);
    assert_eq!(visitor.who().unwrap(), only.name());
    // Past the time at which clients would have been let in, two seconds after the start, and over
    // a while, because that is what processor time is measured over.
    thread::sleep(Duration::from_secs(2));
    let before = balancer.processor_ticks();
    thread::sleep(Duration::from_secs(1));
    let spent = balancer.processor_ticks() - before;
    assert!(spent < 30, "{spent} of 100 ticks spent on waiting");
    drop(visitor);
    assert_eq!(balancer.ended().code(), Some(0));
}
