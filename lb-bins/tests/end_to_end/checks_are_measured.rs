//! Checks in `/metrics`, and the last of their runs in `/status` and `/explain`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::harness::*;

fn page(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\nbody")
}

/// The series of `/metrics` of this name.
fn series(balancer: &Balancer, name: &str) -> Vec<String> {
    let text = get(balancer.admin(), "/metrics").unwrap().body;
    text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
}

#[test]
fn outcome_cause_and_time_of_each_check_are_metrics() {
    let status = Arc::new(Mutex::new("503 No"));
    let said = Arc::clone(&status);
    let backend = Backend::http(move |_| page(*said.lock().unwrap()));
    let web = Port::free();
    let check = r#"check = [{ type = "tcp" }, { type = "http", interval = "50ms", timeout = "20s", fall = 1 }]"#;
    let list = backends_with([(&backend, check)]);
    let balancer = Balancer::start(&server("web", &web, &[&list]));
    balancer.until_state("web", &backend, "down");
    let labels =
        format!(r#"virtual_server="web",backend="{}",check="1",type="http""#, backend.name());
    let has = |name: &str, more: &str, value: &str| {
        let wanted = format!("{name}{{{labels}{more}}} {value}");
        let found = series(&balancer, name);
        assert!(found.contains(&wanted), "{wanted} is not in {found:#?}");
    };
    has("lb_check_outcome", r#",outcome="failed""#, "1");
    has("lb_check_outcome", r#",outcome="passed""#, "0");
    has("lb_check_outcome", r#",outcome="local""#, "0");
    has("lb_check_cause", r#",cause="status""#, "1");
    has("lb_check_local_errors", "", "0");
    has("lb_check_obstructed", "", "0");
    has("lb_check_up", "", "0");
    for phase in ["connect", "response", "whole"] {
        let of = format!(r#"lb_check_duration_seconds{{{labels},phase="{phase}"}} "#);
        let found = series(&balancer, "lb_check_duration_seconds");
        let value = found.iter().find_map(|line| line.strip_prefix(&of)).unwrap();
        assert!((0.0..20.0).contains(&value.parse::<f64>().unwrap()), "{phase}: {value}");
    }
    assert_eq!(series(&balancer, "lb_checks_overdue_seconds").len(), 1);
    assert_eq!(series(&balancer, "lb_checks_late_seconds").len(), 1);
    assert_eq!(series(&balancer, "lb_checks_runs_total").len(), 1);

    // The last runs, not the last one alone.
    *status.lock().unwrap() = "200 OK";
    balancer.until_state("web", &backend, "up");
    has("lb_check_outcome", r#",outcome="passed""#, "1");
    assert!(series(&balancer, "lb_check_cause").is_empty());
    let runs = balancer.backend("web", backend.address())["checks"][1]["runs"].clone();
    let outcomes: Vec<_> = runs.as_array().unwrap().iter().map(|run| &run["outcome"]).collect();
    assert_eq!(outcomes, ["passed", "failed"], "{runs}");
}

#[test]
fn what_cannot_be_run_here_is_no_failure_and_is_counted() {
    let (backend, web) = (Backend::greeter(), Port::free());
    let check =
        r#"check = { type = "tcp", source = "192.0.2.77", interval = "50ms", timeout = "20s" }"#;
    let balancer = Balancer::start(&server("web", &web, &[check, &backends([(&backend, 1)])]));
    until("it is obstructed", || {
        balancer.backend("web", backend.address())["checks"][0]["obstructed"] == true
    });
    let checks = balancer.backend("web", backend.address())["checks"].clone();
    assert!(checks[0]["local_errors"].as_u64().unwrap() >= 3, "{checks}");
    assert_eq!(checks[0]["runs"][0]["outcome"], "local", "{checks}");
    assert!(series(&balancer, "lb_check_obstructed")[0].ends_with(" 1"));
    let why = get(balancer.admin(), &format!("/explain/web/{}", backend.name())).unwrap().body;
    assert!(why.contains("could not be run here") && why.contains("says nothing of it"), "{why}");
    balancer.until_logged(&["cannot be checked", "bind the source address", "requested address"]);
    // Told to, it counts all the same.
    let check = check.replace("tcp\",", "tcp\", local_limit = 2,");
    balancer.reload(&server("web", &web, &[&check, &backends([(&backend, 1)])]));
    balancer.until_state("web", &backend, "down");
}

/// All are due at once, and each takes a while.
#[test]
fn no_more_checks_are_under_way_than_may_be() {
    let counts = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let slow = || {
        let counts = Arc::clone(&counts);
        Backend::serving(move |mut stream| {
            let counts = Arc::clone(&counts);
            async move {
                let (now, most) = &*counts;
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                let _ = stream.write_all(b"ready").await;
            }
        })
    };
    let (all, web) = ([slow(), slow(), slow(), slow()], Port::free());
    let check = r#"check = { type = "tcp", steps = [{ expect = "ready" }], interval = "100ms", timeout = "20s" }"#;
    let list = backends(all.each_ref().map(|backend| (backend, 1)));
    let config = server("web", &web, &[check, &list]);
    let balancer = Balancer::start(&format!("max_checks = 1\n{config}"));
    balancer.until_all_up();
    until("each has run again", || {
        balancer.status()["checks"]["runs_total"].as_u64().unwrap() > 12
    });
    assert_eq!(counts.1.load(Ordering::SeqCst), 1);
}

#[test]
fn of_several_pages_the_one_that_failed_is_named() {
    let backend =
        Backend::http(|head| page(if head.starts_with("GET /b ") { "404 No" } else { "200 OK" }));
    let web = Port::free();
    let check = r#"check = { type = "http", urls = [{ path = "/a" }, { path = "/b" }, { path = "/c" }], interval = "50ms", timeout = "20s", fall = 1 }"#;
    let balancer = Balancer::start(&server("web", &web, &[check, &backends([(&backend, 1)])]));
    balancer.until_state("web", &backend, "down");
    let why = get(balancer.admin(), &format!("/explain/web/{}", backend.name())).unwrap().body;
    assert!(why.contains("asked for   /b\n") && why.contains("status 404"), "{why}");
}
