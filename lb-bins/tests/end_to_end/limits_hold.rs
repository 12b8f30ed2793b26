//! `max_connections`, `u_threshold`, `l_threshold` and the queue.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

/// A daemon with one greeter of these limits, in front of it a queue, if any.
fn start(limits: &str, queue: &str) -> (Balancer, Port, Backend) {
    let (web, a) = (Port::free(), Backend::greeter());
    let list = backends_with([(&a, limits)]);
    let balancer = Balancer::start(&server("web", &web, &[queue, UNCHECKED, &list]));
    balancer.until_all_up();
    (balancer, web, a)
}

fn until_waiting(balancer: &Balancer, count: u64) {
    until("so many wait", || balancer.server("web")["queue"]["length"] == count);
}

fn until_active(balancer: &Balancer, backend: &Backend, count: u64) {
    let active = || balancer.backend("web", backend.address())["active_connections"].clone();
    until("so many are connected", || active() == count);
}

/// Somebody who is served, and keeps the place.
fn settle(web: &Port) -> Visitor {
    let mut visitor = Visitor::enter(web.address());
    visitor.who().unwrap();
    visitor
}

#[test]
fn no_backend_ever_has_more_connections_than_it_may() {
    const MOST: u64 = 3;
    const CLIENTS: u64 = 40;
    const VISITS: u64 = 5;

    /// How many are there, and were at most.
    #[derive(Default)]
    struct Crowd(AtomicU64, AtomicU64);

    let crowds = [(); 2].map(|()| Arc::<Crowd>::default());
    let two = crowds.each_ref().map(|crowd| {
        let crowd = Arc::clone(crowd);
        Backend::serving(move |mut stream| {
            let crowd = Arc::clone(&crowd);
            async move {
                let now = crowd.0.fetch_add(1, Ordering::SeqCst) + 1;
                crowd.1.fetch_max(now, Ordering::SeqCst);
                let mut byte = [0];
                while matches!(stream.read(&mut byte).await, Ok(1)) {
                    // Long enough for others to come.
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    let _ = stream.write_all(&byte).await;
                }
                crowd.0.fetch_sub(1, Ordering::SeqCst);
            }
        })
    });
    let web = Port::free();
    let list = backends_with(two.iter().map(|one| (one, format!("max_connections = {MOST}"))));
    let queue = r#"queue = { length = 1000, timeout = "10m" }"#;
    let balancer = Balancer::start(&server("web", &web, &[queue, &list]));
    balancer.until_all_up();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let address = web.address();
            thread::spawn(move || {
                for _ in 0..VISITS {
                    let mut stream = connect(address).unwrap();
                    stream.write_all(b"x").unwrap();
                    stream.read_exact(&mut [0]).unwrap();
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    let most = crowds.each_ref().map(|crowd| crowd.1.load(Ordering::SeqCst));
    assert_eq!(most, [MOST; 2], "as many as may be, and no more");
    assert_eq!(balancer.totals("web", two.each_ref()).iter().sum::<u64>(), CLIENTS * VISITS);
    assert_eq!(balancer.server("web")["refused_total"], 0);
    balancer.until_idle("web");
    assert_eq!(balancer.server("web")["queue"]["length"], 0);
}

#[test]
fn whoever_waits_longest_is_next() {
    let served = Arc::<Mutex<Vec<u8>>>::default();
    let backend = {
        let served = Arc::clone(&served);
        Backend::serving(move |mut stream| {
            let served = Arc::clone(&served);
            async move {
                let mut name = [0];
                while matches!(stream.read(&mut name).await, Ok(1)) {
                    served.lock().unwrap().push(name[0]);
                    let _ = stream.write_all(&name).await;
                }
            }
        })
    };
    let web = Port::free();
    let list = backends_with([(&backend, "max_connections = 1")]);
    let queue = r#"queue = { length = 20, timeout = "10m" }"#;
    let balancer = Balancer::start(&server("web", &web, &[queue, &list]));
    let enter = |name: u8| -> TcpStream {
        let mut stream = connect(web.address()).unwrap();
        stream.write_all(&[name]).unwrap();
        stream
    };
    let mut line = vec![enter(0)];
    until_active(&balancer, &backend, 1);
    for name in 1..20 {
        line.push(enter(name));
        until_waiting(&balancer, name.into());
    }
    for mut client in line {
        client.read_exact(&mut [0]).unwrap();
        // With this one's end it is the next one's turn.
        drop(client);
    }
    assert_eq!(*served.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[test]
fn nobody_waits_longer_than_the_timeout() {
    let (balancer, web, a) = start("max_connections = 1", r#"queue = { timeout = "200ms" }"#);
    let mut first = settle(&web);
    until_turned_away(web.address());
    let status = balancer.server("web");
    assert_eq!(status["refused"]["queue_timeout"], 1, "{status}");
    assert_eq!(status["refused_total"], 1, "{status}");
    assert_eq!(status["queue"]["length"], 0, "{status}");
    let metrics = get(balancer.admin(), "/metrics").unwrap().body;
    let labels = r#"{virtual_server="web",reason="queue_timeout"}"#;
    let sample = format!("lb_virtual_server_refused_connections_total{labels} 1\n");
    assert!(metrics.contains(&sample), "{metrics}");
    assert_eq!(first.who().unwrap(), a.name());
}

#[test]
fn whoever_finds_the_queue_full_is_refused_at_once() {
    let queue = r#"queue = { length = 1, timeout = "10m" }"#;
    let (balancer, web, a) = start("max_connections = 1", queue);
    let first = settle(&web);
    let mut second = Visitor::enter(web.address());
    until_waiting(&balancer, 1);
    until_turned_away(web.address());
    let status = balancer.server("web");
    assert_eq!(status["refused"]["queue_full"], 1, "{status}");
    assert_eq!(status["queue"]["limit"], 1, "{status}");
    let report = balancer.backend("web", a.address());
    assert_eq!((&report["state"], &report["full"]), (&"up".into(), &true.into()), "{report}");
    drop(first);
    assert_eq!(second.who().unwrap(), a.name());
}

#[test]
fn without_a_queue_whoever_finds_no_room_is_refused_at_once() {
    let (balancer, web, _a) = start("max_connections = 1", "");
    let _first = settle(&web);
    until_turned_away(web.address());
    let status = balancer.server("web");
    assert_eq!(status["refused"]["full"], 1, "{status}");
    assert!(status["queue"].is_null(), "{status}");
}

#[test]
fn whoever_resets_its_connection_gives_up_its_place() {
    let queue = r#"queue = { length = 1, timeout = "10m" }"#;
    let (balancer, web, a) = start("max_connections = 1", queue);
    let first = settle(&web);
    let mut tired = Visitor::enter(web.address());
    tired.0.write_all(b"who\n").unwrap();
    until_waiting(&balancer, 1);
    SockRef::from(&tired.0).set_linger(Some(Duration::ZERO)).unwrap();
    drop(tired);
    until_waiting(&balancer, 0);
    let status = balancer.server("web");
    assert_eq!((&status["abandoned_total"], &status["refused_total"]), (&1.into(), &0.into()));
    let mut next = Visitor::enter(web.address());
    until_waiting(&balancer, 1);
    drop(first);
    assert_eq!(next.who().unwrap(), a.name());
}

#[test]
fn whoever_has_said_everything_still_waits_for_the_answer() {
    let queue = r#"queue = { length = 1, timeout = "10m" }"#;
    let (balancer, web, a) = start("max_connections = 1", queue);
    let first = settle(&web);
    let mut patient = connect(web.address()).unwrap();
    patient.write_all(b"who\n").unwrap();
    patient.shutdown(Shutdown::Write).unwrap();
    until_waiting(&balancer, 1);
    drop(first);
    let mut answer = String::new();
    patient.read_to_string(&mut answer).unwrap();
    assert_eq!(answer.trim_end(), a.name());
}

#[test]
fn an_overload_lasts_until_the_lower_threshold() {
    let (balancer, web, a) = start("u_threshold = 4, l_threshold = 2", "");
    let full = || balancer.backend("web", a.address())["full"] == true;
    let mut visitors: Vec<_> = (0..4).map(|_| settle(&web)).collect();
    assert!(full());
    for left in [3, 2] {
        visitors.pop();
        until_active(&balancer, &a, left);
        assert!(full(), "{left} are not below the lower threshold");
        assert!(ask(web.address()).is_err());
    }
    visitors.pop();
    until_active(&balancer, &a, 1);
    assert!(!full());
    assert_eq!(balancer.state("web", &a), "up");
    assert_eq!(ask(web.address()).unwrap(), a.name());
}

#[test]
fn a_higher_threshold_makes_room_at_once() {
    let (web, a) = (Port::free(), Backend::greeter());
    let config = |limits| server("web", &web, &[QUICK_CHECK, &backends_with([(&a, limits)])]);
    let balancer = Balancer::start(&config("u_threshold = 2, l_threshold = 1"));
    balancer.until_all_up();
    let _visitors: Vec<_> = (0..2).map(|_| settle(&web)).collect();
    assert!(ask(web.address()).is_err());
    balancer.reload(&config("u_threshold = 4, l_threshold = 1"));
    assert_eq!(ask(web.address()).unwrap(), a.name());
}

#[test]
fn whoever_is_full_leaves_its_share_to_the_others() {
    let (web, two) = (Port::free(), [(); 2].map(|()| Backend::greeter()));
    let [small, large] = &two;
    let list = backends_with([(small, "weight = 100, max_connections = 2"), (large, "weight = 1")]);
    let balancer = Balancer::start(&server("web", &web, &[r#"scheduler = "wrr""#, &list]));
    balancer.until_all_up();
    let mut visitors: Vec<_> = (0..10).map(|_| Visitor::enter(web.address())).collect();
    let homes: Vec<_> = visitors.iter_mut().map(|visitor| visitor.who().unwrap()).collect();
    assert_eq!(homes.iter().filter(|home| **home == small.name()).count(), 2, "{homes:?}");
    assert_eq!(homes.iter().filter(|home| **home == large.name()).count(), 8, "{homes:?}");
}

#[test]
fn other_limits_hold_at_once_and_nobody_is_sent_away_for_them() {
    let (web, a) = (Port::free(), Backend::greeter());
    let queue = r#"queue = { length = 9, timeout = "10m" }"#;
    let config = |limits: &str, queue: &str| {
        server("web", &web, &[queue, QUICK_CHECK, &backends_with([(&a, limits)])])
    };
    let balancer = Balancer::start(&config("max_connections = 2", queue));
    balancer.until_all_up();
    let mut served: Vec<_> = (0..2).map(|_| settle(&web)).collect();
    let mut waiting: Vec<_> = (0..3).map(|_| Visitor::enter(web.address())).collect();
    until_waiting(&balancer, 3);

    // Room for one more.
    balancer.reload(&config("max_connections = 3", queue));
    until_waiting(&balancer, 2);
    until_active(&balancer, &a, 3);

    // Less room than there are guests: they stay.
    balancer.reload(&config("max_connections = 1", queue));
    assert_eq!(balancer.backend("web", a.address())["max_connections"], 1);
    for visitor in &mut served {
        assert_eq!(visitor.who().unwrap(), a.name());
    }
    served.clear();
    until_active(&balancer, &a, 1);
    assert_eq!(balancer.server("web")["queue"]["length"], 2);

    // Another length: whoever waits goes on waiting, in the same line.
    let shorter = r#"queue = { length = 3, timeout = "10m" }"#;
    balancer.reload(&config("max_connections = 1", shorter));
    let mut newest = Visitor::enter(web.address());
    until_waiting(&balancer, 3);

    // As much room as anybody wants.
    balancer.reload(&config("weight = 1", ""));
    for visitor in waiting.iter_mut().chain([&mut newest]) {
        assert_eq!(visitor.who().unwrap(), a.name());
    }
    assert_eq!(balancer.server("web")["refused_total"], 0);
    assert_eq!(balancer.totals("web", [&a]), [6]);
}

#[test]
fn who_is_removed_and_comes_back_has_the_connections_that_it_had() {
    let (web, a, b) = (Port::free(), Backend::greeter(), Backend::greeter());
    let config = |backends: &[(&Backend, &str)]| {
        let settings = ["scheduler = \"first\"", "drain_timeout = \"10m\"", UNCHECKED];
        let list = backends_with(backends.iter().copied());
        server("web", &web, &[&settings.join("\n"), &list])
    };
    let limit = "max_connections = 1";
    let both = config(&[(&a, limit), (&b, limit)]);
    let balancer = Balancer::start(&both);
    balancer.until_all_up();
    let mut first = settle(&web);
    for _ in 0..3 {
        balancer.reload(&config(&[(&b, limit)]));
        balancer.reload(&both);
        balancer.until_all_up();
        assert_eq!(balancer.backend("web", a.address())["active_connections"], 1);
    }
    assert_eq!(settle(&web).who().unwrap(), b.name());
    // It is still there, and an order reaches it.
    assert_eq!(first.who().unwrap(), a.name());
    drop(first);
    until_active(&balancer, &a, 0);
}
