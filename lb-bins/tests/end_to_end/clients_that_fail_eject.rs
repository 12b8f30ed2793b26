//! Backends that take connections and do nothing with them, under `passive`.

use std::time::Duration;

use socket2::SockRef;
use tokio::io::AsyncReadExt;

use crate::harness::*;

/// Takes connections, and resets each as soon as the client has spoken.
fn resetter() -> Backend {
    Backend::serving(|mut stream| async move {
        let _ = stream.read_u8().await;
        let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    })
}

fn start(backends_of: &[&Backend], more: &[&str]) -> (Balancer, Port) {
    let web = Port::free();
    let list = backends(backends_of.iter().map(|&backend| (backend, 1)));
    let rest = [r#"scheduler = "wrr""#, QUICK_CHECK, &list];
    let balancer = Balancer::start(&server("web", &web, &[&rest[..], more].concat()));
    balancer.until_all_up();
    (balancer, web)
}

/// Lets clients come until this backend is out.
fn until_ejected(balancer: &Balancer, web: &Port, backend: &Backend) {
    until("it is ejected", || {
        let _ = ask(web.address());
        balancer.state("web", backend) == "ejected"
    });
}

#[test]
fn a_backend_that_resets_is_out_and_comes_back() {
    let (good, bad) = (Backend::greeter(), resetter());
    let passive = r#"passive = { consecutive = 3, eject = "2s", max_ejected = 50 }"#;
    let (balancer, web) = start(&[&good, &bad], &[passive]);
    until_ejected(&balancer, &web, &bad);
    balancer.until_logged(&[&bad.name(), "up → ejected", "clients fail there in a row"]);
    let report = balancer.backend("web", bad.address());
    assert_eq!((&report["weight"], &report["ejections_total"]), (&0.into(), &1.into()), "{report}");
    assert!(report["ejected_ms"].as_u64().unwrap() <= 2000, "{report}");
    assert_eq!(report["last_check"]["outcome"], "passed", "its check sees nothing of it");
    for _ in 0..10 {
        // It is out for longer than that takes.
        if balancer.state("web", &bad) == "ejected" {
            assert_eq!(ask(web.address()).unwrap(), good.name());
        }
    }
    let why = get(balancer.admin(), &format!("/explain/web/{}", bad.name())).unwrap().body;
    assert!(why.contains("Clients fail there") || balancer.state("web", &bad) == "up", "{why}");
    balancer.until_state("web", &bad, "up");
    balancer.until_logged(&[&bad.name(), "ejected → up", "another chance"]);
    // The second time it takes twice as long.
    until_ejected(&balancer, &web, &bad);
    let logged = balancer.until_logged(&[&bad.name(), "ejected for 4.0s"]);
    assert!(logged.contains("up → ejected"), "{logged}");
    let metrics = get(balancer.admin(), "/metrics").unwrap().body;
    let wanted =
        format!(r#"lb_backend_ejections_total{{virtual_server="web",backend="{}"}} 2"#, bad.name());
    assert!(metrics.contains(&wanted), "{metrics}");
}

#[test]
fn nobody_is_ejected_who_is_the_last() {
    let (mut other, bad) = (Backend::greeter(), resetter());
    let passive =
        r#"passive = { consecutive = 2, eject = "10m", longest = "10m", max_ejected = 100 }"#;
    let (balancer, web) = start(&[&other, &bad], &[passive]);
    other.kill();
    balancer.until_state("web", &other, "down");
    for _ in 0..10 {
        assert!(ask(web.address()).is_err(), "who resets does so");
    }
    assert_eq!(balancer.state("web", &bad), "up");
    balancer.until_logged(&[&bad.name(), "serves on, as nobody else does"]);
    // As soon as somebody else can, it is out.
    other.revive();
    balancer.until_state("web", &bad, "ejected");
    assert_eq!(ask(web.address()).unwrap(), other.name());
    other.kill();
    balancer.until_state("web", &bad, "up");
}

#[test]
fn a_check_that_passes_brings_it_back_where_that_is_the_rule() {
    let (good, bad) = (Backend::greeter(), resetter());
    let passive = r#"passive = { consecutive = 3, eject = "10m", longest = "10m", max_ejected = 50, back_on_check = true }"#;
    let (balancer, web) = start(&[&good, &bad], &[passive]);
    until_ejected(&balancer, &web, &bad);
    balancer.until_state("web", &bad, "up");
    balancer.until_logged(&[&bad.name(), "ejected → up", "its checks pass"]);
}

#[test]
fn shares_of_failures_eject_at_the_end_of_an_interval() {
    let (good, bad) = (Backend::greeter(), resetter());
    let passive = r#"passive = { consecutive = 0, failure_percent = 50, minimum = 5, interval = "500ms", eject = "10m", longest = "10m", max_ejected = 50 }"#;
    let (balancer, web) = start(&[&good, &bad], &[passive]);
    until_ejected(&balancer, &web, &bad);
    balancer.until_logged(&[&bad.name(), "up → ejected", "too many clients fail there"]);
    assert_eq!(balancer.state("web", &good), "up");
}

#[test]
fn refusals_eject_instead_of_taking_down_and_checks_stand_above() {
    let (good, mut dead) = (Backend::greeter(), Backend::greeter());
    // A check that takes its time.
    let slow = r#"check = { type = "tcp", interval = "60s", fast_interval = "60s", down_interval = "60s", fall = 2 }"#;
    let passive =
        r#"passive = { consecutive = 3, eject = "10m", longest = "10m", max_ejected = 50 }"#;
    let web = Port::free();
    let list = backends([(&good, 1), (&dead, 1)]);
    let config = server("web", &web, &[r#"scheduler = "wrr""#, slow, &list, passive]);
    let balancer = Balancer::start(&config);
    balancer.until_all_up();
    dead.kill();
    until("it is ejected", || {
        assert_eq!(ask(web.address()).unwrap(), good.name(), "no client notices");
        balancer.state("web", &dead) == "ejected"
    });
    // What is held against it outlives a reload that does not change the rules, and no other.
    balancer.reload(&config.replace("wrr", "rr"));
    assert_eq!(balancer.state("web", &dead), "ejected");
    dead.revive();
    balancer.reload(&config.replace("consecutive = 3", "consecutive = 4"));
    assert_eq!(balancer.state("web", &dead), "up");
}
