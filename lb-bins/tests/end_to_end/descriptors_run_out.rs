//! More clients than the limit of open descriptors allows.

use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::harness::*;

/// A daemon that may open this many descriptors and no more.
fn start(limit: u32, config: &str) -> Balancer {
    Balancer::start_with(config, |_, path| {
        let mut command = Command::new("/bin/sh");
        // Sets both limits: the daemon raises the soft one as far as it may.
        let line = format!("ulimit -n {limit} && exec \"$0\" --workers 2 --config \"$1\"");
        command.arg("-c").arg(line).arg(env!("CARGO_BIN_EXE_tcp-lb")).arg(path);
        command.env_remove("RUST_LOG");
        command
    })
}

#[test]
fn clients_wait_until_there_is_room_and_nothing_spins() {
    let (web, only) = (Port::free(), Backend::greeter());
    let balancer = start(64, &server("web", &web, &[QUICK_CHECK, &backends([(&only, 1)])]));
    balancer.until_all_up();
    balancer.until_logged(&["WARN", "only 64 open descriptors are allowed"]);
    let base = balancer.descriptors();
    assert!(base < 50, "{base} descriptors are open before anybody comes");

    // Far more than there is room for; all of them are connected as far as they can tell.
    let mut clients: Vec<_> = (0..100).map(|_| Visitor::enter(web.address())).collect();
    for client in &mut clients {
        client.0.write_all(b"who\n").unwrap();
    }
    balancer.until_logged(&["rest"]);
    until("those who fit in are served", || only.requests() >= 3);

    // Over a while, because that is what processor time is measured over.
    let before = balancer.processor_ticks();
    thread::sleep(Duration::from_secs(2));
    let spent = balancer.processor_ticks() - before;
    assert!(spent < 60, "{spent} of 200 ticks spent on waiting");

    // Each one that is served makes room for others: in the end, all were.
    let total = clients.len() as u64;
    thread::scope(|scope| {
        for mut client in clients.drain(..) {
            let name = only.name();
            scope.spawn(move || {
                let mut answer = vec![0; name.len() + 1];
                std::io::Read::read_exact(&mut client.0, &mut answer).unwrap();
                assert_eq!(answer, format!("{name}\n").as_bytes());
            });
        }
    });
    assert_eq!(only.requests(), total);

    balancer.until_idle("web");
    let status = balancer.server("web");
    assert!(status["accept_rests_total"].as_u64().unwrap() > 0, "{status}");
    assert_eq!(status["refused_total"], 0, "{status}");
    for _ in 0..20 {
        assert_eq!(ask(web.address()).unwrap(), only.name());
    }
    until("descriptors are given back", || balancer.descriptors() <= base + 2);
    // Not the backend's fault.
    assert!(balancer.lines_with("up → down").is_empty(), "{}", balancer.said());
    assert!(balancer.lines_with("panicked").is_empty(), "{}", balancer.said());
}

#[test]
fn who_stops_needs_no_descriptor() {
    let (web, only) = (Port::free(), Backend::greeter());
    let mut balancer = start(64, &server("web", &web, &[QUICK_CHECK, &backends([(&only, 1)])]));
    balancer.until_all_up();
    // Fewer than are open, so that there is none to be had for anything.
    let limit = Rlimit { current: Some(5), maximum: Some(64) };
    let process = Pid::from_raw(balancer.id() as i32).unwrap();
    prlimit(Some(process), Resource::Nofile, limit).unwrap();
    let begun = Instant::now();
    balancer.signal(Signal::TERM);
    assert!(balancer.ended().success(), "{}", balancer.said());
    assert!(begun.elapsed() < Duration::from_secs(20), "it waited for `drain_timeout`");
}

#[test]
fn bulk_transfers_get_through_without_a_pipe() {
    use std::io::Read;
    let (web, echo) = (Port::free(), Backend::echo());
    let balancer = start(40, &server("web", &web, &[&backends([(&echo, 1)])]));
    let mut stream = connect(web.address()).unwrap();
    stream.write_all(b"!").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    // They leave no descriptor for anything else.
    let _others: Vec<_> = (0..30).map(|_| connect(web.address()).unwrap()).collect();
    balancer.until_logged(&["rest"]);
    let bytes = vec![42; 20_000_000];
    let mut writer = stream.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| writer.write_all(&bytes).unwrap());
        let mut received = vec![0; bytes.len()];
        stream.read_exact(&mut received).unwrap();
        assert!(received == bytes);
    });
}
