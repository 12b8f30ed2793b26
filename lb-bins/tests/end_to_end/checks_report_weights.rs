//! Checks that report a weight, beside an administrator who gives one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;

use crate::harness::*;

fn start(backend: &Backend, check: &str) -> Balancer {
    let web = Port::free();
    let check = format!(
        "check = {{ interval = \"50ms\", timeout = \"10s\", rise = 1, fall = 1, {check} }}"
    );
    Balancer::start(&server("web", &web, &[&check, &backends([(backend, 100)])]))
}

fn weighs(balancer: &Balancer, backend: &Backend, weight: u16, state: &str) {
    until(&format!("{state} with weight {weight}"), || {
        let report = balancer.backend("web", backend.address());
        report["weight"] == weight && report["state"] == state
    });
}

/// A server that says its line to whoever comes.
fn agent() -> (Backend, Arc<Mutex<String>>) {
    let line = Arc::new(Mutex::new("up\n".to_owned()));
    let said = Arc::clone(&line);
    let agent = Backend::serving(move |mut stream| {
        let line = said.lock().unwrap().clone();
        async move {
            let _ = stream.write_all(line.as_bytes()).await;
        }
    });
    (agent, line)
}

#[test]
fn an_agent_has_a_share_of_what_the_administrator_gives() {
    let (backend, (agent, line)) = (Backend::greeter(), agent());
    let check = format!(r#"type = "agent", port = {}"#, agent.address().port());
    let balancer = start(&backend, &check);
    weighs(&balancer, &backend, 100, "up");
    "50%\n".clone_into(&mut line.lock().unwrap());
    weighs(&balancer, &backend, 50, "up");
    assert_eq!(balancer.order("web", &backend, "weight", "30").status, 200);
    weighs(&balancer, &backend, 15, "up");
    "drain\n".clone_into(&mut line.lock().unwrap());
    weighs(&balancer, &backend, 0, "drain");
    "up 200%\n".clone_into(&mut line.lock().unwrap());
    until("it was heard", || {
        let report = balancer.backend("web", backend.address());
        report["checks"][0]["runs"][0]["percent"] == 200
    });
    weighs(&balancer, &backend, 0, "drain");
    "ready\n".clone_into(&mut line.lock().unwrap());
    weighs(&balancer, &backend, 60, "up");
    assert_eq!(balancer.order("web", &backend, "weight", "0").status, 200);
    assert_eq!(balancer.state("web", &backend), "drain");
    "down\n".clone_into(&mut line.lock().unwrap());
    weighs(&balancer, &backend, 0, "down");
    // What the agent says takes back no order.
    "up\n".clone_into(&mut line.lock().unwrap());
    weighs(&balancer, &backend, 0, "drain");
    assert_eq!(balancer.order("web", &backend, "weight", "7").status, 200);
    weighs(&balancer, &backend, 14, "up");
}

/// One word will do, either way: it is said, and not found out.
#[test]
fn an_agent_that_says_down_once_is_heard() {
    let (backend, web) = (Backend::greeter(), Port::free());
    let asked = AtomicU32::new(0);
    let agent = Backend::serving(move |mut stream| {
        let down = asked.fetch_add(1, Ordering::SeqCst) == 4;
        async move {
            let _ = stream.write_all(if down { b"down\n" } else { &b"up\n"[..] }).await;
        }
    });
    let port = agent.address().port();
    let check = format!(
        "check = {{ type = \"agent\", port = {port}, interval = \"50ms\", timeout = \"10s\" }}"
    );
    let balancer = Balancer::start(&server("web", &web, &[&check, &backends([(&backend, 1)])]));
    balancer.until_logged(&["up → down", "the agent says that it is down"]);
    balancer.until_logged(&["down → up", "agent check passed"]);
    balancer.until_state("web", &backend, "up");
}

#[test]
fn an_agent_says_how_many_connections_there_may_be() {
    let (backend, (agent, line), web) = (Backend::greeter(), agent(), Port::free());
    let check = format!(
        "check = {{ type = \"agent\", port = {}, interval = \"50ms\", timeout = \"10s\" }}",
        agent.address().port()
    );
    let queue = r#"queue = { length = 10, timeout = "10m" }"#;
    let list = backends([(&backend, 100)]);
    "up 50% maxconn:2\n".clone_into(&mut line.lock().unwrap());
    let balancer = Balancer::start(&server("web", &web, &[queue, &check, &list]));
    // It may have no limit but this one, so a queue is no mistake.
    assert_eq!(balancer.lines_with("queue"), [""; 0]);
    let report = || balancer.backend("web", backend.address());
    let allowed = |most: Option<u64>, weight: u64| {
        until(&format!("{most:?} connections at weight {weight}"), || {
            let report = report();
            report["max_connections"].as_u64() == most && report["weight"] == weight
        });
    };
    allowed(Some(2), 50);
    balancer.until_logged(&["at most 2 connections"]);
    assert_eq!(report()["checks"][0]["runs"][0]["max_connections"], 2);

    let guests = [(); 2].map(|()| {
        let mut guest = Visitor::enter(web.address());
        guest.who().unwrap();
        guest
    });
    until("it is full", || report()["full"] == true);
    let waiting = connect(web.address()).unwrap();
    let waits = |count: u64| {
        until("so many wait", || balancer.server("web")["queue"]["length"] == count);
    };
    waits(1);
    // Room for one more, and who waited is told.
    "up 50% maxconn:3\n".clone_into(&mut line.lock().unwrap());
    assert_eq!(Visitor(waiting).who().unwrap(), backend.name());
    // Those who are there stay; what it says holds on while it is of no help.
    "maxconn:1\n".clone_into(&mut line.lock().unwrap());
    allowed(Some(1), 50);
    "what?\n".clone_into(&mut line.lock().unwrap());
    until("it is of no help", || report()["checks"][0]["local_errors"].as_u64() > Some(0));
    allowed(Some(1), 50);
    let [mut one, other] = guests;
    assert_eq!(one.who().unwrap(), backend.name());
    let waiting = connect(web.address()).unwrap();
    waits(1);
    drop(other);
    until("one is there", || report()["active_connections"] == 1);
    waits(1);
    "up 100%\n".clone_into(&mut line.lock().unwrap());
    allowed(Some(1), 100);
    "maxconn:0\n".clone_into(&mut line.lock().unwrap());
    allowed(None, 100);
    assert_eq!(Visitor(waiting).who().unwrap(), backend.name());
}

/// It has the weight that it says each time, and the log its peace.
#[test]
fn an_agent_that_says_something_else_each_time_fills_no_log() {
    let backend = Backend::greeter();
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let agent = Backend::serving(move |mut stream| {
        let turn = count.fetch_add(1, Ordering::SeqCst) % 100;
        async move {
            let line = format!("up {}% maxconn:{}\n", turn + 1, turn + 7);
            let _ = stream.write_all(line.as_bytes()).await;
        }
    });
    let check = format!(r#"type = "agent", port = {}"#, agent.address().port());
    let check = format!("check = {{ interval = \"10ms\", timeout = \"10s\", {check} }}");
    let web = Port::free();
    let balancer = Balancer::start(&server("web", &web, &[&check, &backends([(&backend, 100)])]));
    until("it was asked often", || asked.load(Ordering::SeqCst) > 150);
    let report = || balancer.backend("web", backend.address());
    let (before, weight) = (asked.load(Ordering::SeqCst), report()["weight"].clone());
    until("it has another weight", || report()["weight"] != weight);
    until("it was asked again", || asked.load(Ordering::SeqCst) > before);
    let lines = [" → ", "connections: "].map(|what| balancer.lines_with(what).len());
    // A state, and 20 of both together.
    assert!(lines.iter().sum::<usize>() <= 21, "{lines:?}");
    // An order is told in any case.
    assert_eq!(balancer.order("web", &backend, "weight", "0").status, 200);
    balancer.until_logged(&["the administrator says so"]);
}

#[test]
fn a_number_in_a_file_is_added_to_what_the_administrator_gives() {
    let (backend, folder) = (Backend::greeter(), Folder::new());
    let path = folder.write("load", "-30\n");
    let check = format!(r#"type = "file", path = "{}", weight = 1"#, path.display());
    let balancer = start(&backend, &check);
    weighs(&balancer, &backend, 70, "up");
    assert_eq!(balancer.order("web", &backend, "weight", "200").status, 200);
    assert_eq!(balancer.backend("web", backend.address())["weight"], 170);
    folder.write("load", "5\n");
    weighs(&balancer, &backend, 205, "up");
    assert_eq!(balancer.order("web", &backend, "weight", "0").status, 200);
    assert_eq!(balancer.backend("web", backend.address())["weight"], 0);
    assert_eq!(balancer.state("web", &backend), "drain");
}

/// HAProxy's `disable-on-404` holds for servers that run.
#[test]
fn a_page_that_asks_for_no_new_clients_is_named_and_brings_nobody_up() {
    let (web, status) = (Port::free(), Arc::new(AtomicU32::new(404)));
    let says = Arc::clone(&status);
    let leaving = Backend::http(move |_| {
        format!("HTTP/1.1 {} So\r\nContent-Length: 0\r\n\r\n", says.load(Ordering::SeqCst))
    });
    let check = r#"check = { type = "http", interval = "50ms", drain_status = [404] }"#;
    let list = backends_with([(&leaving, check)]);
    let balancer = Balancer::start(&server("web", &web, &[&list]));
    // It was never seen up.
    balancer.until_state("web", &leaving, "down");
    balancer.until_logged(&["→ down", "http check failed: status 404, not one of 200-299"]);
    status.store(200, Ordering::SeqCst);
    balancer.until_state("web", &leaving, "up");
    status.store(404, Ordering::SeqCst);
    balancer.until_state("web", &leaving, "drain");
    balancer.until_logged(&["→ drain", "http check passed: status 404 asks for no new clients"]);
    let run = balancer.backend("web", leaving.address())["checks"][0]["runs"][0].clone();
    assert_eq!((&run["outcome"], &run["weight"]), (&"passed".into(), &0.into()), "{run}");
    status.store(200, Ordering::SeqCst);
    balancer.until_state("web", &leaving, "up");

    // Who is down stays so, and it is seen as what it is.
    status.store(500, Ordering::SeqCst);
    balancer.until_state("web", &leaving, "down");
    status.store(404, Ordering::SeqCst);
    let last = |what: &str| {
        until(what, || {
            let run = balancer.backend("web", leaving.address())["checks"][0]["runs"][0].clone();
            run["detail"].as_str().is_some_and(|detail| detail.contains(what))
                && run["repeated"].as_u64() > Some(5)
        });
    };
    last("status 404");
    assert_eq!(balancer.state("web", &leaving), "down");
    status.store(200, Ordering::SeqCst);
    balancer.until_state("web", &leaving, "up");
}
