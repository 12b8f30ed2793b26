//! Interfaces and sources that no configuration names any more are no longer open.

use lb_vrrp::driver::{Network, RouterId};
use lb_vrrp::linux::{LinuxNetwork, Settings};
use lb_vrrp::{AddressList, ChannelConfig, TrackerId, Vrid};

use crate::namespace::{Namespace, is_possible};
use crate::{channel, drain, open};

/// Sockets that are open. `nft` is run beside all this, by pipes.
fn descriptors() -> usize {
    let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let what = all.filter_map(|one| std::fs::read_link(one.path()).ok());
    what.filter(|what| what.to_string_lossy().starts_with("socket:")).count()
}

/// Says something, so that all is open that is needed for it.
fn speak(network: &mut LinuxNetwork, id: RouterId) {
    assert_eq!(drain(network).1, 0);
    let (group, packet) = ([224, 0, 0, 18].into(), [0x45, 0, 0, 20].to_vec());
    let header = [0, 0, 0, 0, 255, 112, 0, 0, 0, 0, 0, 0, 224, 0, 0, 18];
    network.send(id, group, &[packet, header.to_vec()].concat()).unwrap();
    network.announce(id, [10, 99, 0, 200].into()).unwrap();
}

#[test]
#[ignore = "needs root and ip"]
fn fifty_reloads_leave_as_much_open_as_one() {
    if !is_possible(&[["ip", "-V"]]) {
        return;
    }
    const RELOADS: u8 = 50;
    let space = Namespace::new();
    for number in 0..RELOADS {
        space.ip(&format!("link add one{number} type veth peer name other{number}"));
        space.ip(&format!("link set one{number} up"));
        space.ip(&format!("link set other{number} up"));
        space.ip(&format!("address add 10.99.0.{}/24 dev eth{}", 2 + number, number % 2));
    }
    space.inside(async || {
        let (mut network, id) = open(|_| ());
        let steady = ChannelConfig::new(
            Vrid::new(52).unwrap(),
            [10, 99, 1, 1].into(),
            AddressList::new([[10, 99, 1, 200].into()]).unwrap(),
        );
        network.open(&steady.unwrap(), Settings::new("eth1")).unwrap();
        speak(&mut network, id);
        let before = descriptors();
        for number in 0..RELOADS {
            // Somewhere else, from somewhere else, and with another interface that it looks at.
            let mut settings = Settings::new(format!("eth{}", number % 2));
            settings.tracked.push((format!("one{number}"), TrackerId::new(0)));
            network.reconfigure(id, &channel([10, 99, 0, 2 + number]), settings).unwrap();
            speak(&mut network, id);
        }
        network.reconfigure(id, &channel([10, 99, 0, 1]), Settings::new("eth0")).unwrap();
        speak(&mut network, id);
        assert_eq!(descriptors(), before, "after {RELOADS} reloads");

        // Trying what could be leaves nothing either, nor does one that comes and goes.
        network.can_become(id, &channel([10, 99, 0, 3]), &Settings::new("one0")).unwrap();
        let other = network.open(&channel([10, 99, 0, 3]), Settings::new("one1")).unwrap();
        assert!(descriptors() > before);
        network.close(other).unwrap();
        assert_eq!(descriptors(), before);
    });
}
