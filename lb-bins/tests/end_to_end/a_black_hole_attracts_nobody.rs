//! Outcomes: a backend that fails fast does not look idle, and one that is slow looks slow.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

/// Answers after a while.
fn slow(time: Duration) -> Backend {
    Backend::serving(move |mut stream| async move {
        let mut byte = [0];
        while matches!(stream.read(&mut byte).await, Ok(1)) {
            tokio::time::sleep(time).await;
            let _ = stream.write_all(&byte).await;
        }
    })
}

/// Accepts, and closes or resets at once; how often.
fn black_hole(resets: bool) -> (Backend, Arc<AtomicU64>) {
    let visits = Arc::<AtomicU64>::default();
    let count = Arc::clone(&visits);
    let backend = Backend::serving(move |stream| {
        count.fetch_add(1, Ordering::SeqCst);
        if resets {
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
        async move { drop(stream) }
    });
    (backend, visits)
}

#[test]
fn a_backend_that_closes_at_once_gets_at_most_twice_its_share() {
    const CLIENTS: u64 = 16;
    const VISITS: u64 = 80;
    for (scheduler, resets) in
        [("lc", false), ("lc", true), ("wlc", false), ("p2c", false), ("least_time", false)]
    {
        let (hole, visits) = black_hole(resets);
        let others = [(); 9].map(|()| slow(Duration::from_millis(20)));
        let web = Port::free();
        let list = backends(others.iter().chain([&hole]).map(|backend| (backend, 1)));
        let key = format!("scheduler = \"{scheduler}\"\ncheck = \"none\"");
        let balancer = Balancer::start(&server("web", &web, &[&key, &list]));
        balancer.until_all_up();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let address = web.address();
                thread::spawn(move || {
                    for _ in 0..VISITS {
                        // Whoever ends in the hole hears nothing: that is what it is for. A reset
                        // may come before the connection is known to be open.
                        let Ok(mut stream) = connect(address) else { continue };
                        let _ = stream.write_all(b"x").and_then(|()| stream.read(&mut [0]));
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
        balancer.until_idle("web");
        // A reset may come before the balancer knows that there is a connection: then somebody else
        // serves the client, and one visit makes two picks.
        let status = balancer.server("web");
        let backends = status["backends"].as_array().unwrap().iter();
        let picks: u64 = backends.map(|one| one["connections_total"].as_u64().unwrap()).sum();
        let visits = visits.load(Ordering::SeqCst);
        assert!(visits <= 2 * picks / 10, "{scheduler}: {visits} of {picks}");
        let report = balancer.backend("web", hole.address());
        assert_eq!(report["failures_total"], visits, "{scheduler}: {report}");
        assert_eq!(report["state"], "up", "nobody checks it");
        for other in &others {
            assert_eq!(balancer.backend("web", other.address())["failures_total"], 0);
        }
    }
}

#[test]
fn a_backend_that_is_slow_to_answer_gets_less() {
    for scheduler in ["least_time", "peak_ewma"] {
        let (web, fast, slow) =
            (Port::free(), slow(Duration::ZERO), slow(Duration::from_millis(50)));
        let key = format!("scheduler = \"{scheduler}\"");
        let list = backends([(&fast, 1), (&slow, 1)]);
        let balancer = Balancer::start(&server("web", &web, &[&key, &list]));
        balancer.until_all_up();
        for _ in 0..60 {
            let mut stream = connect(web.address()).unwrap();
            stream.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
            // Staying does not count: the first byte was what mattered.
        }
        balancer.until_idle("web");
        let [fast, slow] = balancer.totals("web", [&fast, &slow]);
        assert!(fast > 2 * slow, "{scheduler}: {fast} and {slow}");
    }
}

#[test]
fn whoever_refuses_has_failed_and_whoever_only_looks_tells_nothing() {
    let (web, mut a, b) = (Port::free(), Backend::greeter(), Backend::greeter());
    let list = backends([(&a, 1), (&b, 1)]);
    let balancer = Balancer::start(&server("web", &web, &[r#"scheduler = "rr""#, &list]));
    balancer.until_all_up();
    let failures = |backend: &Backend| {
        balancer.backend("web", backend.address())["failures_total"].as_u64().unwrap()
    };
    for _ in 0..10 {
        drop(connect(web.address()).unwrap());
        ask(web.address()).unwrap();
    }
    balancer.until_idle("web");
    assert_eq!((failures(&a), failures(&b)), (0, 0));
    let [before] = balancer.totals("web", [&a]);
    a.kill();
    for _ in 0..10 {
        assert_eq!(ask(web.address()).unwrap(), b.name());
    }
    let [after] = balancer.totals("web", [&a]);
    assert!(after > before);
    assert_eq!((failures(&a), failures(&b)), (after - before, 0));
}
