//! A virtual router is spoken for by one process of a host, whatever becomes of its configuration.

use std::io::ErrorKind;

use lb_vrrp::driver::Network;
use lb_vrrp::linux::{LinuxNetwork, Settings};
use lb_vrrp::{ChannelConfig, Peer, Reach};

use crate::channel;
use crate::namespace::{Namespace, is_possible};

fn with_peer(peer: u8) -> ChannelConfig {
    let reach = Reach::unicast(vec![Peer::new([10, 99, 0, peer].into())]);
    channel([10, 99, 0, 1]).reach(reach).unwrap().clone()
}

#[test]
#[ignore = "needs root and ip"]
fn whoever_has_it_keeps_it_and_gets_no_other_that_is_taken() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let settings = || Settings::new("eth0");
    Namespace::new().inside(async || {
        let (mut one, mut two) = (LinuxNetwork::new().unwrap(), LinuxNetwork::new().unwrap());
        assert!(one.is_alone() && !two.is_alone());
        let first = one.open(&with_peer(2), settings()).unwrap();
        let refused = two.open(&with_peer(2), settings()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AddrInUse, "{refused}");
        let second = two.open(&with_peer(3), settings()).unwrap();

        // With the other's peers it would be the other, which is found out before anything is changed.
        let refused = one.can_become(first, &with_peer(3), &settings()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AddrInUse, "{refused}");
        two.open(&with_peer(2), settings()).unwrap_err();
        two.close(second).unwrap();
        one.can_become(first, &with_peer(3), &settings()).unwrap();
        one.reconfigure(first, &with_peer(3), settings()).unwrap();
        two.open(&with_peer(3), settings()).unwrap_err();
        let second = two.open(&with_peer(2), settings()).unwrap();

        // Two of one process may be the same for a while: the one that stays has it.
        let next = one.open(&with_peer(3), settings()).unwrap();
        one.close(first).unwrap();
        two.open(&with_peer(3), settings()).unwrap_err();
        one.close(next).unwrap();
        two.open(&with_peer(3), settings()).unwrap();
        two.close(second).unwrap();
    });
}
