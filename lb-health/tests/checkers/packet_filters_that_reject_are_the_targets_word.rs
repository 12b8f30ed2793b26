//! Servers whose packet filter rejects, by each message of ICMP that there is for it; and what the packet
//! filter of this host drops.
#![cfg(all(target_os = "linux", feature = "dns", feature = "ping", feature = "udp"))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lb_health::checkers::{Dns, Ping, Tcp, Udp};
use lb_health::{Checker, Failure, Target};
use tower::ServiceExt;

/// A server's packet filter, which rejects at a port of its own in each of these ways.
struct Filter {
    family: &'static str,
    address: &'static str,
    /// What lasts: whoever connects is told, and whoever waits for a datagram.
    for_good: &'static [&'static str],
    /// What may be over in a moment is told to who connects alone (`udp_err`).
    for_now: &'static [&'static str],
}

const FILTERS: [Filter; 2] = [
    Filter {
        family: "icmp",
        address: "192.0.2.1",
        for_good: &["admin-prohibited", "host-prohibited", "net-prohibited", "prot-unreachable"],
        for_now: &["host-unreachable", "net-unreachable"],
    },
    Filter {
        family: "icmpv6",
        address: "2001:db8::1",
        for_good: &["admin-prohibited", "policy-fail", "reject-route"],
        for_now: &["addr-unreachable", "no-route"],
    },
];

impl Filter {
    /// The ways, each with its port.
    fn rejects(&self) -> impl Iterator<Item = (&'static str, u16)> {
        self.for_good.iter().chain(self.for_now).copied().zip(FIRST_PORT..)
    }
}

const FIRST_PORT: u16 = 7000;
/// What leaves for it is dropped.
const DROPPED: u16 = 7999;

/// Where everything is on one host, a message may come while the socket is still at work, and is not taken
/// before the next packet is rejected as well (`tcp_v6_err`): after a second.
const TIMEOUT: Duration = Duration::from_secs(5);

async fn cause<C: Checker>(checker: C, address: SocketAddr) -> &'static str {
    let result = checker.oneshot(Target::new(address, TIMEOUT)).await;
    result.map_or_else(|failure| Failure::cause(&failure.into()), |_| "ok")
}

/// Checks what is rejected in a network of its own, and prints what comes of it. Not a test: part of the one
/// below.
#[tokio::test]
#[ignore = "part of another test"]
async fn check_all() {
    if std::env::var_os("CHECK_REJECTED").is_none() {
        return;
    }
    for filter in FILTERS {
        let Filter { family, address, for_good, .. } = filter;
        for (reject, port) in filter.rejects() {
            let target = SocketAddr::new(address.parse().unwrap(), port);
            println!("{family} {reject}: tcp {}", cause(Tcp::new(), target).await);
            if for_good.contains(&reject) {
                println!("{family} {reject}: udp {}", cause(Udp::new(), target).await);
                println!("{family} {reject}: dns {}", cause(Dns::default(), target).await);
            }
        }
        let target = SocketAddr::new(address.parse().unwrap(), 0);
        println!("{family}: ping {}", cause(Ping::new(), target).await);
        let target = SocketAddr::new(address.parse().unwrap(), DROPPED);
        println!("{family}: dropped {}", cause(Udp::new(), target).await);
    }
}

/// The commands that make such a network, all of it on loopback.
fn network() -> String {
    let mut script = "ip link set lo up && nft add table inet filter && \
         nft 'add chain inet filter input { type filter hook input priority 0; }' && \
         nft 'add chain inet filter output { type filter hook output priority 0; }'"
        .to_owned();
    for filter in FILTERS {
        let Filter { family, address, .. } = filter;
        let (ip, echo) = if family == "icmp" { ("ip", "icmp") } else { ("ip6", "icmpv6") };
        let length = if family == "icmp" { 32 } else { 128 };
        write!(script, " && ip address add {address}/{length} dev lo").unwrap();
        for (reject, port) in filter.rejects() {
            write!(
                script,
                " && nft add rule inet filter input {ip} daddr {address} th dport {port} \
                 reject with {family} type {reject}"
            )
            .unwrap();
        }
        write!(
            script,
            " && nft add rule inet filter input {ip} daddr {address} {echo} type echo-request \
             reject with {family} type admin-prohibited && \
             nft add rule inet filter output {ip} daddr {address} udp dport {DROPPED} drop"
        )
        .unwrap();
    }
    script
}

#[test]
#[ignore = "needs root and nft"]
fn who_rejects_is_unreachable_and_what_does_not_leave_is_our_own_fault() {
    for program in ["/usr/bin/unshare", "/usr/sbin/ip", "/usr/sbin/nft"] {
        if !Path::new(program).exists() {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{program} is missing");
            eprintln!("skipped: {program} is missing");
            return;
        }
    }
    let here = module_path!().rsplit("::").next().unwrap();
    let script =
        format!("{} && exec \"$0\" --exact {here}::check_all --ignored --nocapture", network());
    let output = Command::new("/usr/bin/unshare")
        .args(["--net", "sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("CHECK_REJECTED", "1")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    for filter in FILTERS {
        let family = filter.family;
        for (reject, _) in filter.rejects() {
            let lasts = filter.for_good.contains(&reject);
            for checker in if lasts { &["tcp", "udp", "dns"][..] } else { &["tcp"] } {
                let line = format!("{family} {reject}: {checker} unreachable\n");
                assert!(printed.contains(&line), "no {line:?} in {printed}");
            }
        }
        assert!(printed.contains(&format!("{family}: ping unreachable\n")), "{printed}");
        assert!(printed.contains(&format!("{family}: dropped local\n")), "{printed}");
    }
}
