//! Routes that went with an interface, or never were there for want of one, are there again with it.

use std::time::Instant;

use lb_vrrp::driver::{Network, RouterId};
use lb_vrrp::linux::{LinuxNetwork, Route};

use crate::namespace::{Namespace, is_possible};
use crate::{MS, drain, open};

/// By which way it leads over `eth1`.
fn route(to: &str, via: Option<[u8; 4]>, dev: Option<&str>) -> Route {
    let mut route = Route::new(to.parse().unwrap());
    (route.via, route.dev) = (via.map(Into::into), dev.map(str::to_owned));
    route
}

fn ours(space: &Namespace) -> usize {
    space.ip("route show proto 112").lines().count()
}

/// Does what a driver does when routes are lost, until as many are there.
async fn until(network: &mut LinuxNetwork, space: &Namespace, id: RouterId, count: usize) {
    let end = Instant::now() + 2000 * MS;
    while ours(space) != count {
        assert!(Instant::now() < end, "{}", space.ip("route show"));
        network.ready_until(Instant::now() + 100 * MS).await.unwrap();
        if drain(network).0.contains(&(id, "RoutesLost".to_owned())) {
            let _ = network.add_routes(id);
        }
    }
}

#[test]
#[ignore = "needs root and ip"]
fn an_interface_goes_and_comes_back() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = Namespace::new();
    space.inside(async || {
        let router = Some([10, 99, 1, 9]);
        let routes = vec![
            route("10.1.0.0/16", router, Some("eth1")),
            route("10.2.0.0/16", router, None),
            route("10.3.0.0/16", None, Some("eth1")),
            route("10.4.0.0/16", None, Some("eth0")),
        ];
        let (mut network, id) = open(|settings| settings.routes = routes);
        network.add_routes(id).unwrap();
        drain(&mut network);
        assert_eq!(ours(&space), 4);
        space.ip("link set eth1 down");
        until(&mut network, &space, id, 1).await;
        space.ip("link set eth1 up");
        until(&mut network, &space, id, 4).await;
    });
}

#[test]
#[ignore = "needs root and ip"]
fn what_cannot_be_added_is_named() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = Namespace::new();
    space.inside(async || {
        let routes = vec![
            route("10.1.0.0/16", None, Some("eth1")),
            route("10.2.0.0/16", None, Some("late0")),
            route("10.3.0.0/16", Some([10, 88, 0, 1]), None),
        ];
        let (mut network, id) = open(|settings| settings.routes = routes);
        let error = network.add_routes(id).unwrap_err().to_string();
        assert_eq!(
            error,
            "route to 10.2.0.0/16 dev late0 in table 254: entity not found; \
             route to 10.3.0.0/16 via 10.88.0.1 in table 254: \
             Network is unreachable (os error 101)"
        );
        assert_eq!(ours(&space), 1, "the others are there");
    });
}
