//! The interface of a virtual MAC address that somebody deletes or sets down is there again, and what was
//! on it as well.

use std::net::IpAddr;
use std::time::Instant;

use lb_vrrp::driver::{Network, RouterId};
use lb_vrrp::linux::{LinuxNetwork, Settings};

use crate::namespace::{Namespace, is_possible};
use crate::{MS, channel, drain, open};

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 99, 0, 200));

/// Does what the driver of a master does, until `ip` says this of the interface.
async fn until(network: &mut LinuxNetwork, space: &Namespace, id: RouterId, words: &[&str]) {
    let end = Instant::now() + 2000 * MS;
    loop {
        let shown = space.ip("address show");
        let there = shown.split_once("vip0@").map_or("", |(_, there)| there);
        if words.iter().all(|word| there.contains(word)) {
            return;
        }
        assert!(Instant::now() < end, "{words:?} in {shown}");
        network.ready_until(Instant::now() + 100 * MS).await.unwrap();
        let (inputs, _) = drain(network);
        if inputs.contains(&(id, format!("AddressLost({ADDRESS})"))) {
            network.add_address(id, ADDRESS).unwrap();
        }
    }
}

/// A network with one router that has the address on a virtual MAC address.
fn master() -> (LinuxNetwork, RouterId) {
    let (mut network, id) = open(|settings| settings.virtual_mac = Some("vip0".to_owned()));
    network.add_address(id, ADDRESS).unwrap();
    drain(&mut network);
    (network, id)
}

#[test]
#[ignore = "needs root and ip"]
fn it_is_deleted_or_set_down() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = Namespace::new();
    space.inside(async || {
        let (mut network, id) = master();
        let whole = ["state UP", "00:00:5e:00:01:33", "10.99.0.200/32"];
        until(&mut network, &space, id, &whole).await;
        space.ip("link delete vip0");
        assert!(!space.ip("address").contains("10.99.0.200"), "it went with its interface");
        until(&mut network, &space, id, &whole).await;
        space.ip("link set vip0 down");
        until(&mut network, &space, id, &whole).await;
    });
}

/// Somebody sets it down each time: it is set up again, but not as fast as that.
#[test]
#[ignore = "needs root and ip"]
fn who_is_stubborn_does_not_keep_us_busy() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = Namespace::new();
    space.inside(async || {
        let (mut network, id) = master();
        let whole = ["state UP", "10.99.0.200/32"];
        until(&mut network, &space, id, &whole).await;
        let (start, mut restored) = (Instant::now(), 0);
        for _ in 0..60 {
            space.ip("link set vip0 down");
            let end = Instant::now() + 10 * MS;
            while Instant::now() < end {
                network.ready_until(end).await.unwrap();
                drain(&mut network);
            }
            restored += u128::from(space.ip("link show vip0").contains(",UP"));
        }
        // So many at once, and then four a second.
        let most = 17 + start.elapsed().as_millis() / 250;
        assert!(most < 60, "too slow to tell");
        assert!((10..=most).contains(&restored), "{restored} times, {most} at most");
        until(&mut network, &space, id, &whole).await;
    });
}

/// A reload may give the name of one that is leaving to another router: on another interface it is made
/// anew, and what was on it is put back.
#[test]
#[ignore = "needs root and ip"]
fn a_name_is_handed_on_to_who_has_it_from_now_on() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = Namespace::new();
    space.inside(async || {
        let (mut network, first) = master();
        until(&mut network, &space, first, &["state UP", "10.99.0.200/32"]).await;
        let mut settings = Settings::new("eth1");
        settings.virtual_mac = Some("vip0".to_owned());
        let second = network.open(&channel([10, 99, 1, 1]), settings.clone()).unwrap();
        // As a driver does for one that leaves.
        network.hush(first, true).unwrap();
        network.remove_address(first, ADDRESS).unwrap();
        network.add_address(second, ADDRESS).unwrap();
        network.close(first).unwrap();
        let whole = ["eth1: ", "state UP", "10.99.0.200/32"];
        until(&mut network, &space, second, &whole).await;
        let answers = || {
            let path = "/proc/sys/net/ipv4/conf/vip0/arp_ignore";
            std::fs::read_to_string(path).unwrap().trim().to_owned()
        };
        assert_eq!(answers(), "1");
        // On the same interface it stays as it is, and does not stay hushed.
        network.hush(second, true).unwrap();
        assert_eq!(answers(), "8");
        let third = network.open(&channel([10, 99, 1, 1]), settings).unwrap();
        network.remove_address(second, ADDRESS).unwrap();
        network.close(second).unwrap();
        assert_eq!(answers(), "1");
        network.close(third).unwrap();
    });
}
