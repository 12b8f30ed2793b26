//! What is static is there while vip-keeper runs, comes back when somebody takes it away, and is gone
//! afterwards; beside a keepalived, which is given the same file.
//!
//! Needs root for network namespaces, and `keepalived` and `ip`: `cargo test -- --ignored`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// What a host has, as far as it can differ.
const SHOW: &str = r#"
show() {
    ip -oneline address show | grep -v ' lo \|fe80' | awk '{ print $2, $3, $4 }'
    ip route; ip route show table 100 2>/dev/null; ip -6 route | grep -v fe80; ip rule
}
seen() { show | sed 's/ proto [a-z0-9]*//; s/ scope link//' >"$1"; }
ip link add eth0 type veth peer name eth1
ip address add 192.0.2.9/24 dev eth0
for link in lo eth0 eth1; do ip link set "$link" up; done
"#;

const KEEPALIVED: &str = r#"
keepalived --vrrp --dont-fork --log-console --pid k.pid --vrrp_pid v.pid -f keepalived.conf >k.log 2>&1 &
for _ in $(seq 100); do ip rule | grep -q 1009: && break; sleep 0.1; done
sleep 0.5; seen during; kill $!; wait $!; seen after
"#;

const OURS: &str = r#"
seen before
"$VIP_KEEPER" --config keepalived.conf >log 2>&1 &
for _ in $(seq 100); do ip rule | grep -q 1009: && break; sleep 0.1; done
sleep 0.5; seen during
ip address del 192.0.2.10/24 dev eth1; ip rule del priority 1000
ip route del 203.0.113.0/24; ip route del blackhole 10.21.0.0/16
seen less
sleep 2.5; seen again
sed -i '/blackhole/d; /priority 1000/d' keepalived.conf; kill -HUP $!; sleep 1; seen reloaded
kill $!; wait $!; seen after
"#;

/// Runs a script on a host of its own, which has `eth0` and `eth1`.
fn on_a_host(folder: &Path, script: &str) {
    let status = Command::new("unshare")
        .args(["--net", "bash", "-c", &format!("{SHOW}{script}")])
        .env("VIP_KEEPER", env!("CARGO_BIN_EXE_vip-keeper"))
        .current_dir(folder)
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

#[test]
#[ignore = "needs root, keepalived and ip"]
fn addresses_routes_and_rules_are_those_of_keepalived() {
    const CONFIG: &str = include_str!("keepalived/migrates/statics.conf");
    // An address on the other side of the link is a router for nobody, and the instance is not asked.
    let (statics, _instance) = CONFIG.split_once("vrrp_instance").unwrap();
    let config = format!(
        "{}\nvrrp_instance A {{\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {{\n\
         192.0.2.1/24\n }}\n}}\n",
        statics.replace(" onlink", "")
    );
    let folder = std::env::temp_dir().join(format!("lb-statics-{}", std::process::id()));
    let [keepalived, ours] = ["keepalived", "ours"].map(|name| folder.join(name));
    for (host, script) in [(&keepalived, KEEPALIVED), (&ours, OURS)] {
        fs::create_dir_all(host).unwrap();
        fs::write(host.join("keepalived.conf"), &config).unwrap();
        on_a_host(host, script);
    }
    let seen = |host: &Path, when: &str| fs::read_to_string(host.join(when)).unwrap();
    let log = seen(&ours, "log");
    assert_eq!(seen(&ours, "during"), seen(&keepalived, "during"), "{log}");
    assert_ne!(seen(&ours, "less"), seen(&ours, "during"));
    assert_eq!(seen(&ours, "again"), seen(&ours, "during"), "{log}");
    let reloaded = seen(&ours, "reloaded");
    assert!(!reloaded.contains("blackhole 10.21") && !reloaded.contains("1000:"), "{reloaded}");
    assert!(reloaded.contains("203.0.113.0/24") && reloaded.contains("1001:"), "{reloaded}");
    assert_eq!(seen(&ours, "after"), seen(&ours, "before"), "{log}");
    fs::remove_dir_all(&folder).unwrap();
}
