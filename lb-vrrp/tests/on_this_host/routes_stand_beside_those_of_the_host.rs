//! A route to where the host has one as well: neither replaces, takes away or is taken for the other.

use std::net::IpAddr;
use std::time::Instant;

use lb_vrrp::driver::{Network, RouterId};
use lb_vrrp::linux::{Fixed, FixedSettings, LinuxNetwork, NextHop, Route, RouteKind, Scope};

use crate::namespace::{Namespace, is_possible};
use crate::{MS, drain, open};

/// What the host has: by the router that it was told, of both families.
const OF_THE_HOST: [&str; 4] = [
    "route add default via 10.99.0.254",
    "route add 10.9.0.0/16 via 10.99.0.254 dev eth0",
    "-6 route add default via fd99::254",
    "-6 route add fd09::/64 via fd99::254 dev eth0",
];

fn route(to: &str, via: &str) -> Route {
    let mut route = Route::new(to.parse().unwrap());
    route.via = Some(via.parse().unwrap());
    route
}

/// The same by another router; and the last one by the very same.
fn ours() -> Vec<Route> {
    vec![
        route("0.0.0.0/0", "10.99.0.253"),
        route("10.9.0.0/16", "10.99.0.253"),
        route("::/0", "fd99::253"),
        route("fd09::/64", "fd99::253"),
        route("10.9.0.0/16", "10.99.0.254"),
        route("fd09::/64", "fd99::254"),
    ]
}

fn host() -> Namespace {
    let space = Namespace::new();
    space.ip("address add fd99::1/64 dev eth0 nodad");
    for route in OF_THE_HOST {
        space.ip(route);
    }
    space
}

/// All routes, in any order: over IPv6 the several ways of one place are shown as one route.
fn seen(space: &Namespace) -> Vec<String> {
    let all = ["-4", "-6"].map(|family| space.ip(&format!("{family} -o route show table all")));
    let all = all.concat();
    let mut all: Vec<_> = all.lines().map(|line| line.trim_end().to_owned()).collect();
    all.sort();
    all
}

fn gateways(space: &Namespace, to: &str) -> Vec<String> {
    let all =
        space.ip(&format!("{} -o route show {to}", if to.contains(':') { "-6" } else { "-4" }));
    let mut words = all.split_whitespace();
    let mut gateways = Vec::new();
    while let Some(word) = words.next() {
        if word == "via" {
            gateways.extend(words.next().map(str::to_owned));
        }
    }
    gateways
}

#[test]
#[ignore = "needs root and ip"]
fn what_the_host_has_is_there_before_beside_and_after() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = host();
    let before = seen(&space);
    space.inside(async || {
        let (mut network, id) = open(|settings| settings.routes = ours());
        drain(&mut network);
        for _ in 0..2 {
            network.add_routes(id).unwrap();
            // Over IPv4 the last one that comes is the first that is asked.
            assert_eq!(gateways(&space, "default"), ["10.99.0.253", "10.99.0.254"]);
            assert_eq!(
                gateways(&space, "10.9.0.0/16"),
                ["10.99.0.254", "10.99.0.253", "10.99.0.254"]
            );
            assert_eq!(gateways(&space, "::/0"), ["fd99::254", "fd99::253"]);
            assert_eq!(gateways(&space, "fd09::/64"), ["fd99::254", "fd99::253"]);
        }
        network.remove_routes(id).unwrap();
        assert_eq!(seen(&space), before);
        network.remove_routes(id).unwrap();
        assert_eq!(seen(&space), before, "what is not there is not taken from anybody else");
    });
}

/// Several ways over IPv6 are several routes, of which each may be there by itself.
#[test]
#[ignore = "needs root and ip"]
fn of_several_ways_the_ones_that_are_missing_come_back() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = host();
    let before = seen(&space);
    space.inside(async || {
        let hop = |via: &str| NextHop::new(Some(via.parse().unwrap()), Some("eth0".to_owned()));
        let mut several = Route::new("fd09::/64".parse().unwrap());
        several.next_hops = vec![hop("fd99::252"), hop("fd99::253"), hop("fd99::254")];
        let (mut network, id) = open(|settings| settings.routes = vec![several]);
        drain(&mut network);
        network.add_routes(id).unwrap();
        let all = ["fd99::254", "fd99::252", "fd99::253"];
        assert_eq!(gateways(&space, "fd09::/64"), all);
        for gone in ["fd99::252", "fd99::253"] {
            space.ip(&format!("-6 route del fd09::/64 via {gone}"));
            network.add_routes(id).unwrap();
            let mut there = gateways(&space, "fd09::/64");
            there.sort();
            assert_eq!(there, ["fd99::252", "fd99::253", "fd99::254"]);
        }
        network.remove_routes(id).unwrap();
        assert_eq!(seen(&space), before);
    });
}

#[test]
#[ignore = "needs root and ip"]
fn what_a_crash_has_left_goes_and_what_the_host_has_stays() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = host();
    let before = seen(&space);
    space.inside(async || {
        let (mut network, id) = open(|settings| settings.routes = ours());
        drain(&mut network);
        network.add_routes(id).unwrap();
        // Dropping it is what a crash is to the kernel.
        drop(network);
        assert_ne!(seen(&space), before);
        // The next one is to have others.
        let (mut network, id) = open(|_| ());
        let told = drain(&mut network).0;
        assert_eq!(seen(&space), before);
        let told: Vec<_> =
            told.iter().filter(|(_, input)| input.starts_with("Leftovers")).collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].0 == id && told[0].1.matches("Route(").count() == 5, "{told:?}");
    });
}

/// Does what a driver does when routes are lost.
async fn until_lost(network: &mut LinuxNetwork, id: RouterId) {
    let end = Instant::now() + 1000 * MS;
    while !drain(network).0.contains(&(id, "RoutesLost".to_owned())) {
        assert!(Instant::now() < end, "nobody told it");
        network.ready_until(Instant::now() + 100 * MS).await.unwrap();
    }
    network.add_routes(id).unwrap();
}

#[test]
#[ignore = "needs root and ip"]
fn who_replaces_or_removes_routes_of_one_place_has_ours_back() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = host();
    space.inside(async || {
        let (mut network, id) = open(|settings| settings.routes = ours());
        network.add_routes(id).unwrap();
        drain(&mut network);
        space.ip("route replace default via 10.99.0.251");
        until_lost(&mut network, id).await;
        assert!(gateways(&space, "default").contains(&"10.99.0.253".to_owned()));
        // All ways at once.
        space.ip("-6 route del fd09::/64");
        until_lost(&mut network, id).await;
        assert!(gateways(&space, "fd09::/64").contains(&"fd99::253".to_owned()));
        space.ip("-6 route replace default via fd99::251");
        until_lost(&mut network, id).await;
        assert!(gateways(&space, "::/0").contains(&"fd99::253".to_owned()));
    });
}

#[test]
#[ignore = "needs root and ip"]
fn what_does_not_move_stands_beside_it_as_well() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = host();
    let before = seen(&space);
    let (all, other) = (ours(), route("10.9.0.0/16", "10.99.0.252"));
    let wanted: Vec<_> = all.iter().cloned().map(Fixed::Route).collect();
    space.inside(async || {
        let mut first = FixedSettings::new().unwrap();
        for (fixed, is_new) in wanted.iter().zip([true, true, true, true, true, false]) {
            assert_eq!(first.add(fixed).unwrap(), is_new, "{fixed:?}");
            assert!(!first.add(fixed).unwrap(), "once");
        }
        first.add(&Fixed::Route(other)).unwrap();
        assert_eq!(gateways(&space, "default"), ["10.99.0.253", "10.99.0.254"]);
        drop(first);
        let mut second = FixedSettings::new().unwrap();
        let inherited = second.inherit(&wanted).kept;
        assert!(wanted[..5].iter().all(|one| inherited.contains(one)), "{inherited:?}");
        assert!(!gateways(&space, "10.9.0.0/16").contains(&"10.99.0.252".to_owned()));
        for fixed in &wanted {
            second.remove(fixed).unwrap();
        }
        assert_eq!(seen(&space), before);
    });
}

/// Whatever a route says, it is known again.
#[test]
#[ignore = "needs root and ip"]
fn routes_of_every_kind_are_known_again() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = host();
    let before = seen(&space);
    let alike = |change: &dyn Fn(&mut Route)| {
        ["10.8.0.0/16", "fd08::/64"].map(|to| {
            let mut route = Route::new(to.parse().unwrap());
            change(&mut route);
            route
        })
    };
    let v6 = |route: &Route| route.to.address().is_ipv6();
    let via = |route: &Route, last: u8| -> IpAddr {
        if v6(route) { format!("fd99::{last}") } else { format!("10.99.0.{last}") }.parse().unwrap()
    };
    let kinds = [
        alike(&|route| route.kind = RouteKind::Blackhole),
        alike(&|route| (route.kind, route.table) = (RouteKind::Unreachable, 1000)),
        alike(&|route| (route.dev, route.metric) = (Some("eth1".to_owned()), Some(7))),
        alike(&|route| (route.dev, route.scope) = (Some("eth0".to_owned()), Some(Scope::Global))),
        alike(&|route| route.via = Some(via(route, 9))),
        alike(&|route| {
            let nowhere = if v6(route) { "fd77::8" } else { "10.77.0.8" };
            (route.via, route.dev) = (Some(nowhere.parse().unwrap()), Some("eth1".to_owned()));
            (route.onlink, route.table) = (true, 77);
        }),
        alike(&|route| {
            (route.via, route.source) = (Some(via(route, 7)), Some(via(route, 1)));
            (route.mtu, route.mtu_lock, route.advmss) = (Some(1400), true, Some(1300));
            route.metric = Some(33);
        }),
        alike(&|route| {
            let hop = |last, weight| NextHop::new(Some(via(route, last)), None).weight(weight);
            (route.next_hops, route.metric) = (vec![hop(5, 1), hop(6, 20)], Some(44));
        }),
    ];
    let wanted: Vec<_> = kinds.into_iter().flatten().map(Fixed::Route).collect();
    space.inside(async || {
        let mut first = FixedSettings::new().unwrap();
        for fixed in &wanted {
            assert!(first.add(fixed).unwrap(), "{fixed:?}");
            assert!(!first.add(fixed).unwrap(), "{fixed:?}");
        }
        let full = seen(&space);
        drop(first);
        let mut second = FixedSettings::new().unwrap();
        let inherited = second.inherit(&wanted).kept;
        for fixed in &wanted {
            assert!(inherited.contains(fixed), "{fixed:?}");
        }
        assert_eq!(seen(&space), full);
        // To the kernel a route without a router may be one with any.
        for fixed in wanted.iter().rev() {
            second.remove(fixed).unwrap();
        }
        assert_eq!(seen(&space), before);
    });
}
