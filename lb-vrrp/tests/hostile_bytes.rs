//! Whatever comes from the network: it is read as what it says or refused with a reason, never a
//! panic, and no flipped bit goes unnoticed where anything covers it.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use lb_vrrp::wire::{
    Advertisement, CarpAdvertisement, CarpKey, ChecksumForm, Datagram, Ipv4Header,
};
use lb_vrrp::{
    AddressList, Authentication, Channel, ChannelConfig, ChecksumPolicy, HmacKeys, Interval,
    Migration, Peer, Priority, Reach, Reason, Refusal, Version, Vrid,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn utc() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000)
}

fn vrid() -> Vrid {
    Vrid::new(51).unwrap()
}

const SECRET: &[u8] = b"thirty-two octets or more of it.";

fn authentications() -> [(Version, Authentication); 5] {
    [
        (Version::V2, Authentication::NONE),
        (Version::V2, Authentication::password(b"lbsecret")),
        (Version::V2, Authentication::ah(b"lbsecret")),
        (Version::V3, Authentication::NONE),
        (Version::V3, Authentication::hmac(HmacKeys::new(7, SECRET).unwrap())),
    ]
}

/// A host with this last octet.
fn channel(host: u8, version: Version, authentication: &Authentication) -> Channel {
    let addresses = (0..3).map(|n| IpAddr::from([10, 0, 1, n]));
    let addresses = AddressList::new(addresses).unwrap();
    let mut config = ChannelConfig::new(vrid(), [10, 0, 0, host].into(), addresses).unwrap();
    config.version(version, Interval::SECOND).unwrap();
    config.authentication(authentication.clone()).unwrap();
    Channel::new(config)
}

fn channel6(host: u16, authentication: &Authentication) -> Channel {
    let address = |n| IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, n]);
    let addresses = AddressList::new([address(0x100), address(0x101)]).unwrap();
    let mut config = ChannelConfig::new(vrid(), address(host), addresses).unwrap();
    config.authentication(authentication.clone()).unwrap();
    Channel::new(config)
}

fn said(channel: &mut Channel, priority: u8) -> Vec<u8> {
    let mut packet = Vec::new();
    channel.advertise(utc(), Priority::new(priority), |_, octets| packet = octets.to_vec());
    packet
}

/// Over IPv4 every bit is covered: the header by its checksum, the message by its own.
#[test]
fn no_flipped_bit_over_ipv4_is_accepted() {
    for (version, authentication) in authentications() {
        for form in [ChecksumPolicy::Pseudo, ChecksumPolicy::Rfc9568] {
            let mut config = channel(1, version, &authentication).config().clone();
            config.checksum(form);
            let packet = said(&mut Channel::new(config), 200);
            let receive = |packet: &[u8]| {
                let datagram = Datagram::ipv4(packet)?;
                let mut receiver = channel(2, version, &authentication);
                receiver.receive(utc(), &datagram).map(|received| received.source)
            };
            assert_eq!(receive(&packet), Ok([10, 0, 0, 1].into()));
            for bit in 0..packet.len() * 8 {
                let mut flipped = packet.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let refusal = receive(&flipped);
                assert!(refusal.is_err(), "bit {bit} of {authentication:?}: {refusal:?}");
            }
        }
    }
}

/// Over IPv6 every bit of the message is covered, and so are source and destination.
#[test]
fn no_flipped_bit_over_ipv6_is_accepted() {
    let keys = Authentication::hmac(HmacKeys::new(7, SECRET).unwrap());
    for authentication in [Authentication::NONE, keys] {
        let message = said(&mut channel6(1, &authentication), 200);
        let [IpAddr::V6(source), IpAddr::V6(group)] =
            ["fe80::1", "ff02::12"].map(|address| address.parse::<IpAddr>().unwrap())
        else {
            unreachable!()
        };
        let receive = |source: u128, group: u128, message: &[u8]| {
            let datagram = Datagram::ipv6(source.into(), group.into(), 255, message);
            let mut receiver = channel6(2, &authentication);
            receiver.receive(utc(), &datagram).map(|received| received.source)
        };
        let [source, group] = [source, group].map(u128::from);
        assert!(receive(source, group, &message).is_ok());
        for bit in 0..message.len() * 8 {
            let mut flipped = message.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(receive(source, group, &flipped).is_err(), "bit {bit}");
        }
        for bit in 0..128 {
            assert!(receive(source ^ 1 << bit, group, &message).is_err());
            assert!(receive(source, group ^ 1 << bit, &message).is_err());
        }
    }
}

#[test]
fn no_flipped_bit_of_carp_is_accepted() {
    let addresses = AddressList::new([IpAddr::from([10, 0, 1, 1])]).unwrap();
    let key = CarpKey::new(b"passphrase", vrid(), addresses.as_addresses());
    let said = CarpAdvertisement { skew: 3, demotion: 0, base: 1, counter: 1 << 40 };
    let mut message = Vec::new();
    said.encode(&key, &mut message);
    assert_eq!(CarpAdvertisement::decode(&message, &key), Ok(said));
    for bit in 0..message.len() * 8 {
        let mut flipped = message.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(CarpAdvertisement::decode(&flipped, &key).is_err(), "bit {bit}");
    }
}

/// A checksum is no secret: who flips a bit and mends it says something else, and that is heard.
#[test]
fn with_a_mended_checksum_it_is_what_it_says() {
    let mut sender = channel(1, Version::V3, &Authentication::NONE);
    let other = said(&mut sender, 72); // 200 with one bit flipped
    let mut receiver = channel(2, Version::V3, &Authentication::NONE);
    let received = receiver.receive(utc(), &Datagram::ipv4(&other).unwrap()).unwrap();
    assert_eq!(received.advertisement.priority(), Priority::new(72));
}

/// Reserved bits are ignored (RFC 9568 5.2.5), once the checksum says that they were meant.
#[test]
fn reserved_bits_mean_nothing() {
    let addresses = AddressList::new([IpAddr::from([10, 0, 1, 1])]).unwrap();
    let addresses = addresses.as_addresses();
    let said =
        Advertisement::new(Version::V3, vrid(), Priority::DEFAULT, Interval::SECOND, addresses)
            .unwrap();
    let [source, group] = [[10, 0, 0, 1], [224, 0, 0, 18]].map(IpAddr::from);
    let mut octets = Vec::new();
    said.encode(ChecksumForm::Message, source, group, &mut octets);
    octets[4] |= 0x50;
    // The sum grows by as much as the word did.
    let checksum = u16::from_be_bytes([octets[6], octets[7]]) - 0x5000;
    octets[6..8].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(Advertisement::decode(&octets, source, group), Ok((said, ChecksumForm::Message)));
}

#[test]
fn every_form_of_checksum_is_accepted_and_told_apart() {
    let addresses = AddressList::new([IpAddr::from([10, 0, 1, 1])]).unwrap();
    let addresses = addresses.as_addresses();
    let said =
        Advertisement::new(Version::V3, vrid(), Priority::DEFAULT, Interval::SECOND, addresses)
            .unwrap();
    let [source, peer] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(IpAddr::from);
    for form in ChecksumForm::ALL {
        let mut octets = Vec::new();
        said.encode(form, source, peer, &mut octets);
        assert_eq!(Advertisement::decode(&octets, source, peer), Ok((said, form)));
    }
}

#[test]
fn auto_follows_what_it_hears() {
    let mut config = channel(1, Version::V3, &Authentication::NONE).config().clone();
    config.checksum(ChecksumPolicy::Auto);
    let mut follower = Channel::new(config.clone());
    assert_eq!(follower.checksum_form(), ChecksumForm::Pseudo);
    config = channel(2, Version::V3, &Authentication::NONE).config().clone();
    config.checksum(ChecksumPolicy::Rfc9568);
    let packet = said(&mut Channel::new(config), 100);
    follower.receive(utc(), &Datagram::ipv4(&packet).unwrap()).unwrap();
    assert_eq!(follower.checksum_form(), ChecksumForm::Message);
}

/// An interval of zero would turn every backup into a master at once.
#[test]
fn an_interval_of_zero_is_refused() {
    let octets = *b"\x31\x33\xc8\x00\x00\x00\x06\xcc";
    let [source, group] = [[10, 0, 0, 1], [224, 0, 0, 18]].map(IpAddr::from);
    assert_eq!(Advertisement::decode(&octets, source, group), Err(Refusal::NoInterval));
}

#[test]
fn refusals_come_in_keepaliveds_order() {
    let receive = |receiver: &mut Channel, packet: &[u8]| {
        let datagram = Datagram::ipv4(packet)?;
        receiver.receive(utc(), &datagram).map(|_| ())
    };
    /// Takes the packet apart, changes it and puts it together with good checksums.
    fn rebuilt(packet: &[u8], change: impl FnOnce(&mut Ipv4Header, &mut Vec<u8>)) -> Vec<u8> {
        let (mut header, payload) = Ipv4Header::parse(packet).unwrap();
        let mut message = packet[payload].to_vec();
        change(&mut header, &mut message);
        let mut out = Vec::new();
        header.emit(message.len(), &mut out);
        out.extend(message);
        out
    }
    let mut receiver = channel(2, Version::V2, &Authentication::password(b"lbsecret"));
    let good = said(&mut channel(1, Version::V2, &Authentication::password(b"lbsecret")), 200);
    assert_eq!(receive(&mut receiver, &good), Ok(()));
    // Each packet has the fault of its own line and all of the lines below it.
    type Fault = fn(&mut Ipv4Header, &mut Vec<u8>);
    let faults: [(Reason, Fault); 10] = [
        (Reason::Protocol, |header, _| header.protocol = 6),
        (Reason::Vrid, |_, message| message[1] = 52),
        (Reason::HopLimit, |header, _| header.ttl = 254),
        (Reason::Version, |_, message| message[0] ^= 0x10),
        (Reason::AuthType, |_, message| message[4] = 0),
        (Reason::Password, |_, message| *message.last_mut().unwrap() ^= 1),
        (Reason::IntervalMismatch, |_, message| message[5] = 2),
        (Reason::Type, |_, message| message[0] ^= 2),
        (Reason::Length, |_, message| message.insert(8, 0)),
        (Reason::Checksum, |_, message| message[8] ^= 1),
    ];
    for (line, (reason, _)) in faults.iter().enumerate() {
        let packet = rebuilt(&good, |header, message| {
            for (other, fault) in &faults[line..] {
                // A longer message has its password elsewhere.
                if *other != Reason::Length || *reason == Reason::Length {
                    fault(header, message);
                }
            }
        });
        let refusal = receive(&mut receiver, &packet).unwrap_err();
        // What is longer by an octet ends with another password, and is refused for that first.
        let expected = if *reason == Reason::Length { Reason::Password } else { *reason };
        assert_eq!(refusal.reason(), expected, "{refusal}");
    }
}

#[test]
fn unicast_comes_from_peers() {
    let peers = |peer: Peer| {
        let mut config = channel(2, Version::V3, &Authentication::NONE).config().clone();
        config.reach(Reach::unicast(vec![peer])).unwrap();
        Channel::new(config)
    };
    let from = |host: u8| {
        let mut config = channel(host, Version::V3, &Authentication::NONE).config().clone();
        config.reach(Reach::unicast(vec![Peer::new([10, 0, 0, 2].into())])).unwrap();
        said(&mut Channel::new(config), 200)
    };
    let receive = |receiver: &mut Channel, packet: &[u8]| {
        receiver
            .receive(utc(), &Datagram::ipv4(packet).unwrap())
            .map(|_| ())
            .map_err(|e| e.reason())
    };
    let one = Peer::new([10, 0, 0, 1].into());
    let mut receiver = peers(one.clone());
    assert_eq!(receive(&mut receiver, &from(1)), Ok(()));
    assert_eq!(receive(&mut receiver, &from(3)), Err(Reason::UnknownPeer));
    // keepalived 2.2.7 sends unicast over IPv6 with whatever the kernel's default is.
    let far = from(1);
    let (header, payload) = Ipv4Header::parse(&far).unwrap();
    let mut packet = Vec::new();
    Ipv4Header { ttl: 64, ..header }.emit(payload.len(), &mut packet);
    packet.extend(&far[payload]);
    assert_eq!(receive(&mut receiver, &packet), Ok(()));
    let mut near = peers(one.hop_limits(1..=64));
    assert_eq!(receive(&mut near, &from(1)), Err(Reason::PeerHopLimit));
    let multicast = said(&mut channel(1, Version::V3, &Authentication::NONE), 200);
    assert_eq!(receive(&mut near, &multicast), Err(Reason::Kind));
}

#[test]
fn nothing_is_heard_twice() {
    for (version, authentication) in authentications() {
        let mut sender = channel(1, version, &authentication);
        let mut receiver = channel(2, version, &authentication);
        let packets = [said(&mut sender, 200), said(&mut sender, 200)];
        let mut receive = |packet: &[u8]| {
            receiver.receive(utc(), &Datagram::ipv4(packet).unwrap()).map_err(|e| e.reason()).err()
        };
        assert_eq!(receive(&packets[0]), None);
        assert_eq!(receive(&packets[1]), None);
        let again = receive(&packets[0]);
        assert_eq!(receive(&packets[1]), again);
        let expected = match format!("{authentication:?}") {
            name if name.contains("Ah") => Some(Reason::AhReplayed),
            name if name.contains("Hmac") => Some(Reason::TrailerReplayed),
            _ => None,
        };
        assert_eq!(again, expected);
    }
}

/// With one counter for all of them, as keepalived has, the third router is refused.
#[test]
fn three_routers_with_authentication_headers_hear_each_other() {
    let ah = Authentication::ah(b"lbsecret");
    let mut routers = [1, 2, 3].map(|host| channel(host, Version::V2, &ah));
    for round in 0..3 {
        for speaker in [2, 0, 1] {
            let packet = said(&mut routers[speaker], 100);
            for (listener, router) in routers.iter_mut().enumerate() {
                if listener != speaker {
                    let datagram = Datagram::ipv4(&packet).unwrap();
                    assert!(router.receive(utc(), &datagram).is_ok(), "round {round}");
                }
            }
        }
    }
    // One that starts over has heard the others before it speaks, and goes on from there.
    let mut reborn = channel(1, Version::V2, &ah);
    let packet = said(&mut routers[1], 100);
    reborn.receive(utc(), &Datagram::ipv4(&packet).unwrap()).unwrap();
    let packet = said(&mut reborn, 100);
    assert!(routers[1].receive(utc(), &Datagram::ipv4(&packet).unwrap()).is_ok());
}

/// The kernel gives a packet whose identification is zero another one, which nobody signed.
#[test]
fn no_identification_is_zero() {
    let ah = Authentication::ah(b"lbsecret");
    let mut sender = channel(1, Version::V2, &ah);
    for _ in 0..=u32::from(u16::MAX) {
        let packet = said(&mut sender, 100);
        assert_ne!(packet[4..6], [0, 0]);
    }
}

#[test]
fn a_reload_forgets_no_sequence() {
    for (version, authentication) in authentications() {
        let mut sender = channel(1, version, &authentication);
        let mut receiver = channel(2, version, &authentication);
        let packet = said(&mut sender, 100);
        let datagram = Datagram::ipv4(&packet).unwrap();
        receiver.receive(utc(), &datagram).unwrap();
        for channel in [&mut sender, &mut receiver] {
            let config = channel.config().clone();
            channel.reconfigure(config);
        }
        let replayed = receiver.receive(utc(), &datagram).is_err();
        let mut sequenced = ["Ah", "HmacKeys"].iter();
        let sequenced = sequenced.any(|name| format!("{authentication:?}").contains(name));
        assert_eq!(replayed, sequenced, "{authentication:?}");
        let packet = said(&mut sender, 100);
        assert!(receiver.receive(utc(), &Datagram::ipv4(&packet).unwrap()).is_ok());
    }
}

#[test]
fn migrations_never_break_and_forgeries_never_pass() {
    let keys = |migration| {
        let mut keys = HmacKeys::new(7, SECRET).unwrap();
        keys.migration(migration);
        Authentication::hmac(keys)
    };
    let steps = [
        Authentication::NONE,
        keys(Migration::ReceiveOnly),
        keys(Migration::Permissive),
        keys(Migration::Enforce),
    ];
    let hears = |listener: usize, speaker: usize| {
        let packet = said(&mut channel(1, Version::V3, &steps[speaker]), 100);
        let mut listener = channel(2, Version::V3, &steps[listener]);
        listener.receive(utc(), &Datagram::ipv4(&packet).unwrap()).map(|_| ())
    };
    for step in 0..steps.len() - 1 {
        assert_eq!(hears(step, step + 1), Ok(()));
        assert_eq!(hears(step + 1, step), Ok(()));
    }
    assert_eq!(hears(3, 1), Err(Refusal::TrailerMissing));
    assert_eq!(hears(0, 2).map_err(|refusal| refusal.reason()), Err(Reason::Length));

    let other = Authentication::hmac(HmacKeys::new(7, &[9; 32]).unwrap());
    let unknown = Authentication::hmac(HmacKeys::new(8, SECRET).unwrap());
    for listener in &steps[1..] {
        let mut listener = channel(2, Version::V3, listener);
        let mut receive = |speaker: &Authentication| {
            let packet = said(&mut channel(1, Version::V3, speaker), 100);
            listener.receive(utc(), &Datagram::ipv4(&packet).unwrap()).map_err(|e| e.reason()).err()
        };
        assert_eq!(receive(&other), Some(Reason::TrailerForged));
        assert_eq!(receive(&unknown), Some(Reason::TrailerUnknownKey));
    }
}

#[test]
fn clocks_may_differ_by_the_window_and_be_corrected() {
    let keys = Authentication::hmac(HmacKeys::new(7, SECRET).unwrap());
    let mut sender = channel(1, Version::V3, &keys);
    let mut receiver = channel(2, Version::V3, &keys);
    let mut at = |sent: i64, heard: i64| {
        let shifted = |by: i64| {
            let by_this = Duration::from_secs(by.unsigned_abs());
            if by < 0 { utc() - by_this } else { utc() + by_this }
        };
        let mut packet = Vec::new();
        sender.advertise(shifted(sent), Priority::DEFAULT, |_, octets| packet = octets.to_vec());
        receiver.receive(shifted(heard), &Datagram::ipv4(&packet).unwrap()).map(|_| ())
    };
    assert_eq!(at(0, 5), Ok(()));
    assert_eq!(at(6, 0), Err(Refusal::TrailerStale { skew: -6 }));
    // The sender's clock was an hour ahead, with everybody else's, and both are corrected.
    assert_eq!(at(3600, 3600), Ok(()));
    assert_eq!(at(10, 10), Ok(()));
    // Set back by less than the window, it goes on counting.
    assert_eq!(at(7, 10), Ok(()));
}

/// Before anybody has told it the time.
#[test]
fn a_clock_that_stands_still_is_no_replay() {
    let keys = Authentication::hmac(HmacKeys::new(7, SECRET).unwrap());
    let mut sender = channel(1, Version::V3, &keys);
    let mut receiver = channel(2, Version::V3, &keys);
    for _ in 0..3 {
        let mut packet = Vec::new();
        let unset = SystemTime::UNIX_EPOCH;
        sender.advertise(unset, Priority::DEFAULT, |_, octets| packet = octets.to_vec());
        assert!(receiver.receive(unset, &Datagram::ipv4(&packet).unwrap()).is_ok());
    }
}

fn arbitrary_list(version: Version) -> impl Strategy<Value = AddressList> {
    let v4 = vec(any::<[u8; 4]>(), 1..=255)
        .prop_map(|list| AddressList::new(list.into_iter().map(IpAddr::from)).unwrap());
    let v6 = vec(any::<[u8; 16]>(), 1..=255)
        .prop_map(|list| AddressList::new(list.into_iter().map(IpAddr::from)).unwrap());
    match version {
        Version::V2 => v4.boxed(),
        Version::V3 => prop_oneof![v4, v6].boxed(),
    }
}

fn arbitrary_interval(version: Version) -> impl Strategy<Value = Interval> {
    match version {
        Version::V2 => (1..=255_u8).prop_map(|secs| Interval::from_secs(secs).unwrap()).boxed(),
        Version::V3 => (1..=4095_u16).prop_map(|cs| Interval::from_centis(cs).unwrap()).boxed(),
    }
}

proptest! {
    #[test]
    fn what_is_encoded_decodes(
        (version, list, interval) in prop_oneof![Just(Version::V2), Just(Version::V3)].prop_flat_map(
            |version| (Just(version), arbitrary_list(version), arbitrary_interval(version))
        ),
        vrid in 1..=255_u8,
        priority in any::<u8>(),
        hosts in any::<[u8; 16]>(),
        form in 0..3_usize,
    ) {
        let said = Advertisement::new(
            version,
            Vrid::new(vrid).unwrap(),
            Priority::new(priority),
            interval,
            list.as_addresses(),
        ).unwrap();
        let (source, destination) = match list.as_addresses().family() {
            lb_vrrp::Family::V4 => {
                let [a, b, c, d, e, f, g, h, ..] = hosts;
                (IpAddr::from([a, b, c, d]), IpAddr::from([e, f, g, h]))
            }
            lb_vrrp::Family::V6 => (IpAddr::from(hosts), lb_vrrp::Family::V6.group()),
        };
        let mut octets = Vec::new();
        said.encode(ChecksumForm::ALL[form], source, destination, &mut octets);
        let (decoded, _) = Advertisement::decode(&octets, source, destination).unwrap();
        prop_assert_eq!(decoded, said);
    }

    #[test]
    fn arbitrary_octets_are_refused_or_read(octets in vec(any::<u8>(), 0..600), host in any::<[u8; 4]>()) {
        let [source, group] = [IpAddr::from(host), IpAddr::from([224, 0, 0, 18])];
        if let Ok((said, form)) = Advertisement::decode(&octets, source, group) {
            let mut again = Vec::new();
            said.encode(form, source, group, &mut again);
            prop_assert_eq!(again.len(), octets.len());
        }
        for (version, authentication) in authentications() {
            if let Ok(datagram) = Datagram::ipv4(&octets) {
                let _ = channel(2, version, &authentication).receive(utc(), &datagram);
            }
        }
    }

    /// Past the IP header, where random octets never get.
    #[test]
    fn arbitrary_messages_are_refused_or_read(
        mut message in vec(any::<u8>(), 0..120),
        start in 0..6_usize,
        protocol in prop_oneof![Just(112), Just(51)],
    ) {
        // As far as it goes the message is a good one.
        for (place, &octet) in b"\x31\x33\xc8\x03\x00\x64".iter().take(start).enumerate() {
            if let Some(to) = message.get_mut(place) { *to = octet; }
        }
        let header = Ipv4Header {
            tos: 0xc0,
            identification: 1,
            dont_fragment: false,
            ttl: 255,
            protocol,
            source: [10, 0, 0, 1].into(),
            destination: [224, 0, 0, 18].into(),
        };
        let mut packet = Vec::new();
        header.emit(message.len(), &mut packet);
        packet.extend(&message);
        let datagram = Datagram::ipv4(&packet).unwrap();
        for (version, authentication) in authentications() {
            let _ = channel(2, version, &authentication).receive(utc(), &datagram);
        }
        let addresses = AddressList::new([IpAddr::from([10, 0, 0, 9])]).unwrap();
        let key = CarpKey::new(b"x", vrid(), addresses.as_addresses());
        prop_assert!(CarpAdvertisement::decode(&message, &key).is_err());
    }
}
