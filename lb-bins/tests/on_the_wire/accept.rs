//! What a master that does not accept takes, and what not.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::daemon::run_ours;
use crate::lab::{Host, Lab, MS, has, ip, is_possible};

const SECOND: Duration = Duration::from_secs(1);

fn configuration(accept: bool, priority: u8) -> String {
    format!(
        "[[vrrp_instance]]\nname = \"four\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
         priority = {priority}\nadvert_interval = \"100ms\"\naccept = {accept}\n\
         addresses = [\"10.99.0.200/24\"]\n\
         [[vrrp_instance]]\nname = \"six\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
         priority = {priority}\nadvert_interval = \"100ms\"\naccept = {accept}\n\
         addresses = [\"fe80::200/64\", \"fd99::200/64\"]\n"
    )
}

#[test]
#[ignore = "needs root and nft"]
fn who_does_not_accept_forwards_and_is_found_but_not_reached() {
    if !is_possible() || !has("nft", "--version") {
        eprintln!("skipped: there is no nft");
        return;
    }
    let lab = Lab::new();
    lab.add_cables(1);
    let (a, client) = (lab.space(Host::A), lab.client());
    let nft = |arguments: &str| {
        let mut nft = Command::new("ip");
        nft.args(["netns", "exec", &a, "nft"]).args(arguments.split(' '));
        String::from_utf8(nft.output().unwrap().stdout).unwrap()
    };
    // Somebody's own rules, and what a crash has left.
    nft("add table inet somebody");
    nft("add table inet lb_vrrp");
    nft("add table inet lb_vrrp_12345");
    // Behind this host, by way of the address.
    let sysctl = ["netns", "exec", &a, "sysctl", "-qw", "net.ipv4.ip_forward=1"];
    assert!(Command::new("ip").args(sysctl).status().unwrap().success());
    ip(&format!("-n {client} route add 10.98.1.0/24 via 10.99.0.200"));
    let listen =
        |host: Host| Lab::inside(&lab.space(host), || TcpListener::bind("[::]:7777").unwrap());
    let _listeners = [Host::A, Host::B].map(listen);
    let index = ip(&format!("-n {client} -o link show eth0"));
    let index: u32 = index.split(':').next().unwrap().parse().unwrap();
    let connects = |address: &str| {
        let mut address = SocketAddr::new(address.parse().unwrap(), 7777);
        if let SocketAddr::V6(address) = &mut address
            && address.ip().is_unicast_link_local()
        {
            address.set_scope_id(index);
        }
        Lab::inside(&client, || TcpStream::connect_timeout(&address, 500 * MS)).is_ok()
    };
    let has_all = || ["10.99.0.200", "fd99::200"].iter().all(|one| lab.holds(Host::A, one));

    let daemon = run_ours(&lab, Host::A, &configuration(false, 100));
    lab.until(5 * SECOND, "a master", has_all);
    let tables = nft("list tables");
    assert!(tables.contains("inet somebody") && tables.contains("inet lb_vrrp\n"), "{tables}");
    assert!(!tables.contains("12345"), "{tables}");
    for address in ["10.99.0.200", "fd99::200", "fe80::200"] {
        assert!(!connects(address), "{address}");
    }
    for address in ["10.99.0.1", "fd99::1", "fe80::1", "10.98.1.2"] {
        assert!(connects(address), "{address} is its own, or behind it");
    }
    let found = ip(&format!("-n {client} neighbour show"));
    for address in ["10.99.0.200 ", "fd99::200 ", "fe80::200 "] {
        let line = found.lines().find(|line| line.starts_with(address)).unwrap_or_default();
        assert!(line.contains("lladdr"), "{address} is not found: {found}");
    }

    // As whoever loads rules of their own does; and a part of it.
    for gone in ["flush ruleset", "flush table inet lb_vrrp"] {
        nft(gone);
        let is_there = || nft("list ruleset").contains("drop");
        lab.until(3 * SECOND, "what is refused is refused again", is_there);
        assert!(!connects("10.99.0.200"), "after {gone}");
    }
    nft("add table inet somebody");

    daemon.reload_text(&configuration(true, 100));
    lab.until(2 * SECOND, "it accepts", || connects("10.99.0.200"));
    assert!(connects("fd99::200") && connects("fe80::200"));
    daemon.reload_text(&configuration(false, 100));
    lab.until(3 * SECOND, "it does not", || !connects("10.99.0.200"));
    // The owner always does.
    daemon.reload_text(&configuration(false, 255));
    lab.until(2 * SECOND, "the owner accepts", || connects("10.99.0.200"));
    daemon.reload_text(&configuration(false, 100));
    lab.until(3 * SECOND, "it does not", || !connects("10.99.0.200"));
    daemon.tell_to_stop();
    daemon.wait();
    let tables = nft("list tables");
    assert!(tables.contains("somebody") && !tables.contains("lb_vrrp"), "{tables}");
}
