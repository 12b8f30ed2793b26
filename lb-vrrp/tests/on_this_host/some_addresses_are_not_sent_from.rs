//! Addresses that are for those who ask for them, and not for what this host sends of itself.

use lb_vrrp::driver::Network;
use lb_vrrp::linux::{LinuxNetwork, Settings, VirtualAddress};
use lb_vrrp::{AddressList, ChannelConfig, Vrid};

use crate::namespace::{Namespace, is_possible};

#[test]
#[ignore = "needs root and ip"]
fn an_address_is_deprecated_if_it_is_alone_or_as_it_is_said() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    let space = Namespace::new();
    let alone = |last: u16| VirtualAddress::new([0xfd99, 0, 0, 0, 0, 0, 0, last].into());
    let addresses = [
        (alone(1), true),
        (alone(2).deprecated(false), false),
        (alone(3).deprecated(true), true),
        (alone(4).prefix(64), false),
        (alone(5).prefix(64).deprecated(true), true),
        (alone(6).prefix(64).deprecated(false), false),
        (VirtualAddress::new([10, 99, 7, 1].into()), false),
        (VirtualAddress::new([10, 99, 7, 2].into()).deprecated(true), false),
    ];
    space.inside(async || {
        let list = AddressList::new([addresses[0].0.address]).unwrap();
        let source = "fe80::1".parse().unwrap();
        let channel = ChannelConfig::new(Vrid::new(51).unwrap(), source, list).unwrap();
        let mut settings = Settings::new("eth0");
        settings.addresses = addresses.iter().map(|(one, _)| one.clone()).collect();
        let mut network = LinuxNetwork::new().unwrap();
        let id = network.open(&channel, settings).unwrap();
        for (address, is_deprecated) in &addresses {
            let address = address.address;
            network.add_address(id, address).unwrap();
            let seen = space.ip(&format!("-o address show dev eth0 to {address}"));
            assert_eq!(seen.contains(" deprecated "), *is_deprecated, "{seen}");
            // It is for ever all the same.
            assert!(seen.contains("valid_lft forever"), "{seen}");
            network.remove_address(id, address).unwrap();
        }
    });
}
