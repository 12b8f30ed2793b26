//! The ping checker on loopback, with and without the right to any kind of socket.
#![cfg(feature = "ping")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use lb_health::checkers::Ping;
use lb_health::trace::Phase;

use self::support::{cause, check};

const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Pings loopback in a network of its own, and prints what comes of it. Not a test: part of those
/// below, run with other rights.
#[tokio::test]
#[ignore = "part of other tests"]
async fn ping_loopback() {
    if std::env::var_os("PING_LOOPBACK").is_none() {
        return;
    }
    for ip in LOOPBACK {
        for size in [0, 7, Ping::SIZE, 9000, Ping::LARGEST] {
            let result = check(Ping::new().with_size(size), SocketAddr::new(ip, 80)).await;
            match result {
                Ok(report) => {
                    assert!(report.trace.spent(Phase::Response).is_some());
                    println!("ping: alive");
                }
                Err(failure) => println!("ping: {} {failure}", failure.cause()),
            }
        }
        // Nobody has this address, and the network says so, or nothing.
        let nobody: IpAddr = match ip {
            IpAddr::V4(_) => [192, 0, 2, 1].into(),
            IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        };
        println!("nobody: {}", cause(Ping::new(), SocketAddr::new(nobody, 0)).await);
        let elsewhere = Ping::new().with_origin(nobody);
        println!("elsewhere: {}", cause(elsewhere, SocketAddr::new(ip, 0)).await);
    }
}

/// What [`ping_loopback`] prints, where these groups may have datagram sockets, as a user with raw
/// sockets or without.
fn printed(groups: &str, has_raw: bool) -> Option<String> {
    for program in ["/usr/bin/unshare", "/usr/bin/setpriv", "/usr/sbin/ip"] {
        if !Path::new(program).exists() {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{program} is missing");
            eprintln!("skipped: {program} is missing");
            return None;
        }
    }
    let rights = if has_raw { "" } else { "setpriv --bounding-set=-net_raw --inh-caps=-net_raw" };
    let script = format!(
        "ip link set lo up && echo '{groups}' >/proc/sys/net/ipv4/ping_group_range && \
         exec {rights} \"$0\" --exact ping_takes_the_socket_it_is_given::ping_loopback --ignored --nocapture"
    );
    let output = Command::new("/usr/bin/unshare")
        .args(["--net", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("PING_LOOPBACK", "1")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    Some(printed)
}

fn assert_alive(printed: &str) {
    assert_eq!(printed.matches("ping: alive").count(), 10, "{printed}");
    assert_eq!(printed.matches("nobody: unreachable").count(), 2, "{printed}");
    assert_eq!(printed.matches("elsewhere: local").count(), 2, "{printed}");
}

#[test]
#[ignore = "needs root"]
fn a_datagram_socket_needs_no_right() {
    printed("0 2147483647", false).iter().for_each(|printed| assert_alive(printed));
}

#[test]
#[ignore = "needs root"]
fn a_raw_socket_does_where_there_is_no_other() {
    printed("1 0", true).iter().for_each(|printed| assert_alive(printed));
}

#[test]
#[ignore = "needs root"]
fn without_either_the_setting_is_named() {
    let Some(printed) = printed("1 0", false) else { return };
    let named = "ping: local cannot open a ping socket: net.ipv4.ping_group_range";
    assert_eq!(printed.matches(named).count(), 10, "{printed}");
}

#[tokio::test]
async fn loopback_answers_or_the_fault_is_ours() {
    for ip in LOOPBACK {
        let result = check(Ping::new(), SocketAddr::new(ip, 0)).await;
        // A host may have no IPv6, or give nobody the right.
        let excused = |failure: &lb_health::Failure| {
            failure.is_local() || (ip.is_ipv6() && failure.cause() == "unreachable")
        };
        assert!(result.as_ref().err().is_none_or(excused), "{ip}: {result:?}");
    }
}
