//! Of the senders of authenticated advertisements each has a sequence of its own: three hosts of one
//! virtual router are not each other's replays.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use lb_vrrp::wire::Datagram;
use lb_vrrp::{
    AddressList, Authentication, Channel, ChannelConfig, Interval, Peer, Priority, Reach, Reason,
    Version, Vrid,
};

const UTC: SystemTime = SystemTime::UNIX_EPOCH;

fn host(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 99, 0, last).into()
}

/// One of three, the others of which are its peers.
fn channel(last: u8) -> Channel {
    let addresses = AddressList::new([host(200)]).unwrap();
    let mut config = ChannelConfig::new(Vrid::new(51).unwrap(), host(last), addresses).unwrap();
    config.version(Version::V2, Interval::SECOND).unwrap();
    config.authentication(Authentication::ah(b"secret")).unwrap();
    let others = (1..=3).filter(|other| *other != last).map(|other| Peer::new(host(other)));
    config.reach(Reach::unicast(others.collect())).unwrap();
    Channel::new(config)
}

/// What it says to this one.
fn say(channel: &mut Channel, to: IpAddr) -> Vec<u8> {
    let mut said = Vec::new();
    channel.advertise(UTC, Priority::new(100), |destination, packet| {
        if destination == to {
            said.extend_from_slice(packet);
        }
    });
    said
}

fn hear(channel: &mut Channel, packet: &[u8]) -> Result<IpAddr, Reason> {
    let received = channel.receive(UTC, &Datagram::ipv4(packet).unwrap());
    received.map(|received| received.source).map_err(|refusal| refusal.reason())
}

#[test]
fn who_has_said_less_is_heard_beside_who_has_said_more() {
    let [mut a, mut b, mut c] = [1, 2, 3].map(channel);
    for _ in 0..10 {
        let said = say(&mut a, host(3));
        assert_eq!(hear(&mut c, &said), Ok(host(1)));
    }
    let first = say(&mut b, host(3));
    assert_eq!(hear(&mut c, &first), Ok(host(2)), "it has heard nobody, and begins");
    let said = say(&mut a, host(3));
    assert_eq!(hear(&mut c, &said), Ok(host(1)));
    for (said, sender) in [(said, "A"), (first, "B")] {
        assert_eq!(hear(&mut c, &said), Err(Reason::AhReplayed), "{sender} has said that before");
    }
    // A keepalived that hears C must not take it for a replay of what A has said.
    let said = say(&mut c, host(1));
    assert_eq!(hear(&mut a, &said), Ok(host(3)));
    let sequence = u32::from_be_bytes(said[28..32].try_into().unwrap());
    assert!(sequence > 11, "{sequence}");
}
