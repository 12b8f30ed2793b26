//! What is too long for a frame leaves in several, whichever MAC address it should come from.

use std::net::{IpAddr, Ipv6Addr};
use std::time::SystemTime;

use lb_vrrp::driver::Network;
use lb_vrrp::linux::{LinuxNetwork, Settings};
use lb_vrrp::{AddressList, Channel, ChannelConfig, Priority, Vrid};

use crate::namespace::{Namespace, is_possible};

#[test]
#[ignore = "needs root and ip"]
fn a_virtual_mac_address_has_many_addresses() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = Namespace::new();
    space.ip("address add fe80::1/64 dev eth0 nodad");
    space.inside(async || {
        let mut network = LinuxNetwork::new().unwrap();
        for count in [90, 91, 255] {
            let first = "fe80::51".parse::<IpAddr>().unwrap();
            let others =
                (1..count).map(|last| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last).into());
            let addresses = AddressList::new([first].into_iter().chain(others)).unwrap();
            let source = "fe80::1".parse::<IpAddr>().unwrap();
            let channel = ChannelConfig::new(Vrid::new(51).unwrap(), source, addresses).unwrap();
            let mut settings = Settings::new("eth0");
            settings.virtual_mac = Some("vip0".to_owned());
            let id = network.open(&channel, settings).unwrap();
            let mut sent = Vec::new();
            let utc = SystemTime::UNIX_EPOCH;
            Channel::new(channel).advertise(utc, Priority::new(200), |destination, packet| {
                sent.push(network.send(id, destination, packet).map_err(|error| error.to_string()));
            });
            assert_eq!(sent, [Ok(())], "{count} addresses");
            network.close(id).unwrap();
        }
    });
}
