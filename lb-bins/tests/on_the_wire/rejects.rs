//! A backend whose packet filter rejects: the network says so by ICMP, and whoever checks or connects
//! takes its word.

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::daemon::run_ours;
use crate::lab::{Host, Lab, has, is_possible, status};

const LIMIT: Duration = Duration::from_secs(20);

/// A virtual server on one host, checked as this says, for two backends on the other.
fn config(check: &str, backend: &str) -> String {
    format!(
        r#"
admin = "127.0.0.1:9900"

[[virtual_server]]
name = "web"
listen = "127.0.0.1:8000"
scheduler = "rr"
check = {check}
backend = [{{ address = "{backend}:7001" }}, {{ address = "{backend}:7002" }}]

[[vrrp_instance]]
name = "front"
interface = "eth0"
virtual_router_id = 51
addresses = ["10.99.0.200/24"]
"#
    )
}

/// The state of a backend, and why.
fn backend(lab: &Lab, place: usize) -> (String, String) {
    let status = status(&lab.space(Host::A));
    let backend = &status["virtual_servers"][0]["backends"][place];
    let text = |key: &str| backend[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

fn filter(lab: &Lab, arguments: &str) {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &lab.space(Host::B), "nft"]);
    let output = command.args(arguments.split(' ')).output().unwrap();
    assert!(
        output.status.success(),
        "nft {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn is_not_possible() -> bool {
    !is_possible() || !has("nft", "--version")
}

/// From now on the second of the backends is not to be spoken to.
fn reject(lab: &Lab, family: &str) {
    filter(lab, "add table inet filter");
    filter(lab, "add chain inet filter input { type filter hook input priority 0 ; }");
    let rule = "add rule inet filter input tcp dport 7002 reject with";
    filter(lab, &format!("{rule} {family} type admin-prohibited"));
}

#[test]
#[ignore = "needs root, keepalived and nft"]
fn a_check_that_is_rejected_takes_a_backend_down() {
    if is_not_possible() {
        return;
    }
    for (family, address) in [("icmpv6", "[fd99::2]"), ("icmp", "10.99.0.2")] {
        let lab = Lab::new();
        let listen =
            |port| Lab::inside(&lab.space(Host::B), || TcpListener::bind(("::", port)).unwrap());
        let _listeners = [7001, 7002].map(listen);
        let check = r#"{ type = "tcp", interval = "100ms", timeout = "3s", fall = 2 }"#;
        let daemon = run_ours(&lab, Host::A, &config(check, address));
        let all_up = || (0..2).all(|place| backend(&lab, place).0 == "up");
        lab.until(LIMIT, "both are up", all_up);

        reject(&lab, family);
        lab.until(LIMIT, "who rejects is down", || backend(&lab, 1).0 == "down");
        let (_, reason) = backend(&lab, 1);
        assert!(reason.contains("unreachable"), "{family}: {reason}");
        assert_eq!(backend(&lab, 0).0, "up");

        filter(&lab, "flush ruleset");
        lab.until(LIMIT, "both are up again", all_up);
        daemon.tell_to_stop();
        daemon.wait();
    }
}

#[test]
#[ignore = "needs root, keepalived and nft"]
fn clients_that_are_rejected_take_a_backend_down() {
    if is_not_possible() {
        return;
    }
    let lab = Lab::new();
    let listen =
        |port| Lab::inside(&lab.space(Host::B), || TcpListener::bind(("::", port)).unwrap());
    let _listeners = [7001, 7002].map(listen);
    // The check passes: it asks the other one.
    let check = r#"{ type = "tcp", port = 7001, interval = "1h" }"#;
    let daemon = run_ours(&lab, Host::A, &config(check, "[fd99::2]"));
    lab.until(LIMIT, "both are up", || (0..2).all(|place| backend(&lab, place).0 == "up"));

    reject(&lab, "icmpv6");
    lab.until(LIMIT, "who rejects is down", || {
        Lab::inside(&lab.space(Host::A), || {
            (0..10).for_each(|_| drop(TcpStream::connect("127.0.0.1:8000")));
        });
        backend(&lab, 1).0 == "down"
    });
    let (_, reason) = backend(&lab, 1);
    assert!(reason.contains("connections fail: unreachable"), "{reason}");
    assert_eq!(backend(&lab, 0).0, "up");
    daemon.tell_to_stop();
    daemon.wait();
}
