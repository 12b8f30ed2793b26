//! Packets that a router is not to take are refused again when somebody has flushed all rules, however
//! many there were.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

use lb_vrrp::driver::Network;
use lb_vrrp::linux::LinuxNetwork;

use crate::namespace::{Namespace, is_possible};
use crate::{MS, drain, open};

/// More than the kernel keeps for who does not read them.
const RULES: usize = 30_000;

/// `nft` in the namespace of this thread, with this to read.
fn nft(script: &str) -> String {
    let mut command = Command::new("nft");
    command.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Until packets for the address are refused.
async fn until_refused(network: &mut LinuxNetwork, when: &str) {
    let end = Instant::now() + 5000 * MS;
    while !nft("list sets").contains("10.99.0.200") {
        assert!(Instant::now() < end, "packets are taken {when}");
        network.ready_until(Instant::now() + 100 * MS).await.unwrap();
        drain(network);
    }
}

#[test]
#[ignore = "needs root, ip and nft"]
fn a_flush_of_many_rules_is_noticed() {
    if !is_possible(&[["ip", "-V"], ["nft", "--version"]]) {
        return;
    }
    let space = Namespace::new();
    space.inside(async || {
        // Flushed first: what is told of ours comes last.
        let rules = "ip saddr 192.0.2.1 tcp dport 80 counter accept\n".repeat(RULES);
        nft(&format!("table ip others {{ chain input {{\n{rules}}}\n}}\n"));
        let (mut network, _) = open(|settings| settings.accept = false);
        until_refused(&mut network, "at the start").await;
        // What it is told of its own table is read.
        for _ in 0..5 {
            network.ready_until(Instant::now() + 100 * MS).await.unwrap();
            drain(&mut network);
        }
        nft("flush ruleset");
        assert_eq!(nft("list sets"), "");
        until_refused(&mut network, "after a flush").await;
    });
}

/// Somebody deletes the table each time: it is put back, but not as fast as it goes.
#[test]
#[ignore = "needs root, ip and nft"]
fn who_is_stubborn_does_not_keep_us_busy() {
    if !is_possible(&[["ip", "-V"], ["nft", "--version"]]) {
        return;
    }
    let space = Namespace::new();
    space.inside(async || {
        let (mut network, _) = open(|settings| settings.accept = false);
        until_refused(&mut network, "at the start").await;
        let (start, mut restored) = (Instant::now(), 0);
        for _ in 0..60 {
            nft("flush ruleset");
            let end = Instant::now() + 30 * MS;
            while Instant::now() < end {
                network.ready_until(end).await.unwrap();
                drain(&mut network);
            }
            restored += u128::from(nft("list sets").contains("10.99.0.200"));
        }
        // So many at once, and then four a second.
        let most = 17 + start.elapsed().as_millis() / 250;
        assert!(most < 60, "too slow to tell");
        assert!((10..=most).contains(&restored), "{restored} times, {most} at most");
        until_refused(&mut network, "though he has let go").await;
    });
}
