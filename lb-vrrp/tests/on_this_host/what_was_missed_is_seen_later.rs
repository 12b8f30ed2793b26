//! Looking at this host may fail for a while: nothing that happened meanwhile is forgotten.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use lb_vrrp::driver::{Input, Network, RouterId};
use lb_vrrp::linux::{LinuxNetwork, Settings};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use crate::namespace::{Namespace, is_possible};
use crate::{MS, channel, drain, open};

/// As long as it is there, this process gets no descriptor.
struct NoDescriptors(u64);

impl NoDescriptors {
    fn new() -> Self {
        let (before, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, 0, most).unwrap();
        Self(before)
    }
}

impl Drop for NoDescriptors {
    fn drop(&mut self) {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, self.0, most).unwrap();
    }
}

#[test]
#[ignore = "needs root and ip"]
fn without_descriptors_a_carrier_that_goes_is_seen_later() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = Namespace::new();
    space.inside(async || {
        let (mut network, id) = open(|_| ());
        let (inputs, errors) = drain(&mut network);
        let up = "Fault { cause: Interface, present: false }";
        assert!(errors == 0 && inputs.contains(&(id, up.to_owned())), "{inputs:?}");

        space.ip("link set far0 down");
        let none = NoDescriptors::new();
        let (mut errors, mut turns) = (0, 0);
        let end = Instant::now() + 350 * MS;
        while Instant::now() < end {
            network.ready_until(end).await.unwrap();
            errors += drain(&mut network).1;
            turns += 1;
        }
        assert!(errors > 0, "it cannot be looked at");
        assert!(turns <= 16, "{turns} turns: nothing but trying");
        drop(none);

        let down = (id, "Fault { cause: Interface, present: true }".to_owned());
        let end = Instant::now() + 1000 * MS;
        while !drain(&mut network).0.contains(&down) {
            assert!(Instant::now() < end, "it was forgotten");
            network.ready_until(end).await.unwrap();
        }
    });
}

/// Something of protocol 112 and this identifier, from another host behind this interface.
fn say(interface: &str, vrid: u8) {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112))).unwrap();
    socket.bind_device(Some(interface.as_bytes())).unwrap();
    socket.set_header_included_v4(true).unwrap();
    let group = Ipv4Addr::new(224, 0, 0, 18);
    let header = [0x45, 0, 0, 28, 0, 1, 0, 0, 255, 112, 0, 0, 10, 99, 1, 77, 224, 0, 0, 18];
    let packet = [&header[..], &[0x31, vrid, 100, 0, 0, 100, 0, 0]].concat();
    socket.send_to(&packet, &SocketAddrV4::new(group, 0).into()).unwrap();
}

/// Whether anything is heard by a router within a while.
async fn hears(network: &mut LinuxNetwork, id: RouterId) -> bool {
    let end = Instant::now() + 300 * MS;
    while Instant::now() < end {
        network.ready_until(end).await.unwrap();
        while let Ok(Some((who, input))) = network.next_input() {
            if who == id && matches!(input, Input::Datagram(_)) {
                return true;
            }
        }
    }
    false
}

/// A router that is deaf for good would be a second master.
#[test]
#[ignore = "needs root and ip"]
fn what_a_reload_could_not_open_is_opened_later() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = Namespace::new();
    space.inside(async || {
        let (mut network, id) = open(|_| ());
        drain(&mut network);
        say("far1", 51);
        assert!(!hears(&mut network, id).await, "it is somewhere else");

        let none = NoDescriptors::new();
        let elsewhere = Settings::new("eth1");
        assert!(network.reconfigure(id, &channel([10, 99, 1, 1]), elsewhere).is_err());
        assert!(drain(&mut network).1 > 0);
        drop(none);
        assert!(!hears(&mut network, id).await, "nobody says anything");
        say("far1", 51);
        assert!(hears(&mut network, id).await, "it is deaf");
    });
}
