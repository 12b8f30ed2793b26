//! Checks that report a weight, beside an administrator who gives one.

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
    weighs(&balancer, &backend, 60, "up");
    assert_eq!(balancer.order("web", &backend, "weight", "0").status, 200);
    assert_eq!(balancer.state("web", &backend), "drain");
    "down\n".clone_into(&mut line.lock().unwrap());
    weighs(&balancer, &backend, 0, "down");
    // What the agent says takes back no order.
    "up\n".clone_into(&mut line.lock().unwrap());
    weighs(&balancer, &backend, 0, "drain");
    assert_eq!(balancer.order("web", &backend, "weight", "7").status, 200);
    weighs(&balancer, &backend, 7, "up");
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
