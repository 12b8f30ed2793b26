//! Frames that left real daemons: all of them are understood, and all of them can be produced, bit
//! for bit, from their parameters.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use lb_vrrp::wire::{CarpAdvertisement, CarpKey, ChecksumForm, Datagram, Ipv4Header, Packet};
use lb_vrrp::{
    AddressList, ArpTarget, Authentication, Channel, ChannelConfig, Family, Freshness,
    GratuitousArp, HmacKeys, Interval, MacAddr, Peer, Priority, Reach, Refusal, UnsolicitedNa,
    Version, Vrid,
};
use serde_json::Value;

const ETHERNET: usize = 14;
const IPV6: usize = 40;

struct Capture {
    case: String,
    kind: String,
    ucarp: bool,
    version: u64,
    vrid: Vrid,
    priority: Priority,
    centis: u64,
    addresses: AddressList,
    auth: String,
    password: Vec<u8>,
    unicast: bool,
    frame: Vec<u8>,
}

fn captures() -> Vec<Capture> {
    let text = include_str!("captures/real_daemons.json");
    let all: Value = serde_json::from_str(text).unwrap();
    let captures = all["vectors"].as_array().unwrap().iter().map(|vector| {
        let text = |key: &str| vector[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| vector[key].as_u64().unwrap();
        let addresses = vector["vips"].as_array().unwrap().iter();
        let addresses = addresses.map(|address| address.as_str().unwrap().parse().unwrap());
        Capture {
            case: text("case"),
            kind: text("kind"),
            ucarp: text("daemon") == "ucarp",
            version: number("version"),
            vrid: Vrid::new(number("vrid") as u8).unwrap(),
            priority: Priority::new(number("priority") as u8),
            centis: number("advert_centis"),
            addresses: AddressList::new(addresses).unwrap(),
            auth: text("auth"),
            password: text("auth_pass").into_bytes(),
            unicast: vector["unicast"].as_bool().unwrap(),
            frame: hex(&text("eth_frame_hex")),
        }
    });
    captures.collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

impl Capture {
    fn packet(&self) -> &[u8] {
        &self.frame[ETHERNET..]
    }

    fn mac(&self) -> MacAddr {
        MacAddr(self.frame[6..12].try_into().unwrap())
    }

    fn datagram(&self) -> Datagram<'_> {
        match self.addresses.family() {
            Family::V4 => Datagram::ipv4(self.packet()).unwrap(),
            Family::V6 => {
                let (header, payload) = self.packet().split_at(IPV6);
                let address =
                    |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&header[at..at + 16]).unwrap());
                Datagram::ipv6(address(8), address(24), header[7], payload)
            }
        }
    }

    /// As the daemon was configured, at the host with the address `at` that talks to `peer`.
    fn channel(&self, at: IpAddr, peer: IpAddr) -> Channel {
        let mut config = ChannelConfig::new(self.vrid, at, self.addresses.clone()).unwrap();
        let version = if self.version == 2 { Version::V2 } else { Version::V3 };
        config.version(version, Interval::from_centis(self.centis as u16).unwrap()).unwrap();
        let authentication = match self.auth.as_str() {
            "PASS" => Authentication::password(&self.password),
            "AH" => Authentication::ah(&self.password),
            _ => Authentication::NONE,
        };
        config.authentication(authentication).unwrap();
        if self.unicast {
            config.reach(Reach::unicast(vec![Peer::new(peer)])).unwrap();
        }
        Channel::new(config)
    }

    fn receiver(&self) -> Channel {
        let datagram = self.datagram();
        let host = match self.addresses.family() {
            Family::V4 if self.unicast => datagram.destination(),
            Family::V4 => IpAddr::from([10, 99, 0, 12]),
            Family::V6 => "fe80::12".parse().unwrap(),
        };
        self.channel(host, datagram.source())
    }

    fn is_advertisement(&self) -> bool {
        self.kind.starts_with("advert")
    }
}

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

#[test]
fn there_are_all_of_them() {
    let captures = captures();
    let count = |kind: &str| captures.iter().filter(|capture| capture.kind == kind).count();
    assert_eq!(captures.len(), 35);
    let kinds = ["advert", "advert-prio0", "gratuitous-arp-op1", "unsolicited-na", "carp"];
    assert_eq!(kinds.map(count), [16, 8, 8, 1, 2]);
}

#[test]
fn every_advertisement_is_understood() {
    for capture in captures().iter().filter(|capture| capture.is_advertisement()) {
        let case = (&capture.case, &capture.kind);
        let datagram = capture.datagram();
        let received = capture.receiver().receive(NOW, &datagram).expect(&capture.case);
        let said = received.advertisement;
        assert_eq!(said.vrid(), capture.vrid, "{case:?}");
        assert_eq!(said.priority(), capture.priority, "{case:?}");
        assert_eq!(u64::from(said.interval().as_centis()), capture.centis, "{case:?}");
        assert_eq!(said.addresses(), capture.addresses.as_addresses(), "{case:?}");
        assert!(!received.addresses_differ && !received.interval_differs, "{case:?}");
        let form = if capture.version == 2 { ChecksumForm::Message } else { ChecksumForm::Pseudo };
        assert_eq!(received.checksum, form, "{case:?}");
        assert_eq!(received.source, datagram.source());
    }
}

/// The three frames of a case are the first, second and a later packet of one daemon, and ours sends
/// the same as its first, second, ..., with identifications and sequences in step.
#[test]
fn every_advertisement_is_produced() {
    let captures = captures();
    let mut produced = 0;
    for capture in captures.iter().filter(|capture| capture.is_advertisement()) {
        let datagram = capture.datagram();
        let mut channel = capture.channel(datagram.source(), datagram.destination());
        let number = match capture.addresses.family() {
            Family::V4 => u16::from_be_bytes(capture.packet()[4..6].try_into().unwrap()),
            Family::V6 => 1,
        };
        let expected = match capture.addresses.family() {
            Family::V4 => capture.packet(),
            Family::V6 => &capture.packet()[IPV6..], // the rest is the kernel's
        };
        let mut last = Vec::new();
        for _ in 0..number {
            channel.advertise(NOW, capture.priority, |destination, packet| {
                assert_eq!(destination, datagram.destination());
                last = packet.to_vec();
            });
        }
        assert_eq!(last, expected, "{} {}", capture.case, capture.kind);
        let destination = datagram.destination();
        if destination.is_multicast() {
            assert_eq!(MacAddr::of_group(destination).0, capture.frame[..6]);
        }
        produced += 1;
    }
    assert_eq!(produced, 24);
}

#[test]
fn every_announcement_is_produced() {
    for capture in captures() {
        let mut frame = Vec::new();
        let address = capture.addresses.iter().next().unwrap();
        match (capture.kind.as_str(), address) {
            ("gratuitous-arp-op1", IpAddr::V4(address)) => {
                let target = if capture.ucarp { ArpTarget::Sender } else { ArpTarget::Broadcast };
                GratuitousArp { mac: capture.mac(), address, target }.emit(&mut frame);
            }
            ("unsolicited-na", IpAddr::V6(address)) => {
                UnsolicitedNa { mac: capture.mac(), address, router: false }.emit(&mut frame);
            }
            _ => continue,
        }
        assert_eq!(frame, capture.frame, "{}", capture.case);
        if capture.case.ends_with("vmac") {
            assert_eq!(MacAddr::of_virtual_router(Family::V4, capture.vrid), capture.mac());
        }
    }
}

#[test]
fn every_carp_advertisement_is_understood_and_produced() {
    for capture in captures().iter().filter(|capture| capture.kind == "carp") {
        let key = CarpKey::new(&capture.password, capture.vrid, capture.addresses.as_addresses());
        let packet = capture.packet();
        let (header, payload) = Ipv4Header::parse(packet).unwrap();
        let said = CarpAdvertisement::decode(&packet[payload], &key).unwrap();
        assert_eq!((said.base, said.skew, said.demotion), (1, 0, 0));

        let mut message = Vec::new();
        said.encode(&key, &mut message);
        let mut produced = Vec::new();
        header.emit(message.len(), &mut produced);
        produced.extend(message);
        assert_eq!(produced, packet);
        assert_eq!((header.tos, header.ttl, header.dont_fragment), (0x10, 255, true));
        assert_eq!(capture.frame[6..12], [0, 0, 0x5e, 0, 0, capture.vrid.get()]);
    }
}

#[test]
fn carp_is_no_vrrp_and_the_reverse() {
    for capture in captures().iter().filter(|capture| capture.kind == "carp") {
        let mut config =
            ChannelConfig::new(capture.vrid, [10, 99, 0, 12].into(), capture.addresses.clone())
                .unwrap();
        config.version(Version::V2, Interval::SECOND).unwrap();
        let refusal = Channel::new(config).receive(NOW, &capture.datagram()).unwrap_err();
        // What is the demotion there is the authentication here, and there are not seven addresses.
        assert_eq!(refusal, Refusal::Length { expected: 8 + 7 * 4 + 8, length: 36 });
    }
    for capture in captures().iter().filter(|capture| capture.is_advertisement()) {
        let key = CarpKey::new(b"lbsecret", capture.vrid, capture.addresses.as_addresses());
        let message = &capture.packet()[Ipv4Header::LENGTH..];
        assert!(CarpAdvertisement::decode(message, &key).is_err());
    }
}

/// The images in the appendix of draft-cassen-vrrp-auth-hmac: key 00..1f, router 51, priority 200.
#[test]
fn the_hmac_drafts_vectors() {
    let secret: Vec<u8> = (0..32).collect();
    let utc = SystemTime::UNIX_EPOCH + Duration::new(0x6800_0000, 500_000_000);
    let cases = [
        (
            IpAddr::from(Ipv4Addr::new(198, 51, 100, 10)),
            "192.0.2.100",
            "198.51.100.20",
            concat!(
                "3133c80100644402c0000264",
                "010100006800000080000000",
                "1b84bc4e8e43892dc6d98448f8ee2265"
            ),
        ),
        (
            "fe80::10".parse().unwrap(),
            "fe80::100",
            "fe80::20",
            concat!(
                "3133c8010064a2e9fe800000000000000000000000000100",
                "010100006800000080000000",
                "c8c56146ebfd66ee10ec4d8186461b78"
            ),
        ),
    ];
    for (source, address, peer, image) in cases {
        let addresses = AddressList::new([address.parse().unwrap()]).unwrap();
        let channel = |at, peer| {
            let mut keys = HmacKeys::new(1, &secret).unwrap();
            keys.freshness(Freshness::Monotonic);
            let mut config =
                ChannelConfig::new(Vrid::new(51).unwrap(), at, addresses.clone()).unwrap();
            config.authentication(Authentication::hmac(keys)).unwrap();
            config.checksum(lb_vrrp::ChecksumPolicy::Rfc9568);
            config.reach(Reach::unicast(vec![Peer::new(peer)])).unwrap();
            Channel::new(config)
        };
        let peer = peer.parse().unwrap();
        let mut sent = Vec::new();
        channel(source, peer).advertise(utc, Priority::new(200), |_, packet| {
            sent = packet.to_vec();
        });
        let message = if source.is_ipv4() { &sent[Ipv4Header::LENGTH..] } else { &sent };
        assert_eq!(message, hex(image), "{source}");

        let datagram = match (source, peer) {
            (IpAddr::V6(source), IpAddr::V6(peer)) => Datagram::ipv6(source, peer, 255, &sent),
            _ => Datagram::ipv4(&sent).unwrap(),
        };
        let mut receiver = channel(peer, source);
        let received = receiver.receive(utc, &datagram).unwrap();
        assert_eq!(received.advertisement.priority(), Priority::new(200));
        assert_eq!(receiver.receive(utc, &datagram), Err(Refusal::TrailerReplayed));
        assert!(Packet::new_checked(message, Family::of(&source)).is_ok());
    }
}
