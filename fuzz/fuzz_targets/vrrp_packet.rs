//! Whatever arrives as VRRP or CARP: it is read or refused with a reason, never a panic; what is read
//! can be said again; and a key keeps out everybody without it.
#![cfg_attr(feature = "fuzzer", no_main)]

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use fuzz::arbitrary::{self, Arbitrary};
use lb_vrrp::wire::{Advertisement, CarpAdvertisement, CarpKey, Datagram, Ipv4Header};
use lb_vrrp::{
    AddressList, Authentication, Channel, ChannelConfig, Family, HmacKeys, Interval, Migration,
    Peer, Priority, Reach, Version, Vrid,
};

fuzz::target!(|input: Input| input.run());

#[derive(Arbitrary, Debug)]
struct Input {
    utc: u32,
    way: Way,
    octets: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
enum Way {
    /// A whole IPv4 packet.
    Packet,
    /// What follows a good IPv4 header.
    Message { protocol: Protocol, source: u32, ttl: u8, unicast: bool, mend: bool },
    /// What follows an IPv6 header, with a trailer of our key or not.
    Message6 { source: u128, hop_limit: u8, unicast: bool, mend: bool },
    /// A good packet of this kind, with these octets written over it.
    Changed { kind: u8, at: u8, mend: bool },
    /// CARP.
    Carp { mend: bool },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Protocol {
    Ah,
    Other(u8),
    Vrrp,
}

const SECRET: &[u8] = b"thirty-two octets or more of it.";
/// Of channels: the last three over IPv6.
const KINDS: usize = 10;
/// Those that hear nothing twice.
const SEQUENCED: [usize; 4] = [2, 3, 5, 8];

fn family(kind: usize) -> Family {
    if kind < 7 { Family::V4 } else { Family::V6 }
}

fn host(family: Family, number: u8) -> IpAddr {
    match family {
        Family::V4 => [10, 0, 0, number].into(),
        Family::V6 => [0xfe80, 0, 0, 0, 0, 0, 0, u16::from(number)].into(),
    }
}

fn channel(kind: usize, number: u8) -> Channel {
    let family = family(kind);
    let addresses = [101, 102].map(|last| host(family, last));
    let Ok(addresses) = AddressList::new(addresses) else { unreachable!("two of a family") };
    let keys = |migration| {
        let Ok(mut keys) = HmacKeys::new(7, SECRET) else { unreachable!("long enough") };
        keys.migration(migration);
        Authentication::hmac(keys)
    };
    let (version, authentication) = match kind {
        0 => (Version::V2, Authentication::NONE),
        1 => (Version::V2, Authentication::password(b"lbsecret")),
        2 | 3 => (Version::V2, Authentication::ah(b"lbsecret")),
        4 | 7 => (Version::V3, Authentication::NONE),
        5 | 8 => (Version::V3, keys(Migration::Enforce)),
        _ => (Version::V3, keys(Migration::Permissive)),
    };
    let config = (|| {
        let mut config = ChannelConfig::new(vrid(), host(family, number), addresses)?;
        config.version(version, Interval::SECOND)?.authentication(authentication)?;
        if kind == 3 {
            let peer = Peer::new(host(family, 3 - number));
            config.reach(Reach::Unicast { peers: vec![peer], check_source: false })?;
        }
        Ok::<_, lb_vrrp::ConfigError>(config)
    })();
    match config {
        Ok(config) => Channel::new(config),
        Err(error) => unreachable!("{error}"),
    }
}

fn vrid() -> Vrid {
    Vrid::new(51).unwrap_or_else(|_| unreachable!("not 0"))
}

impl Input {
    fn run(mut self) {
        let utc = SystemTime::UNIX_EPOCH + Duration::from_secs(self.utc.into());
        match self.way {
            Way::Packet => receive_ipv4(utc, &self.octets),
            Way::Message { protocol, source, ttl, unicast, mend } => {
                if mend {
                    mend_checksum(&mut self.octets, 6);
                }
                let header = Ipv4Header {
                    tos: Ipv4Header::TOS,
                    identification: 1,
                    dont_fragment: false,
                    ttl,
                    protocol: match protocol {
                        Protocol::Ah => 51,
                        Protocol::Other(other) => other,
                        Protocol::Vrrp => 112,
                    },
                    source: source.into(),
                    destination: if unicast { [10, 0, 0, 2] } else { [224, 0, 0, 18] }.into(),
                };
                let mut packet = Vec::new();
                header.emit(self.octets.len(), &mut packet);
                packet.extend(&self.octets);
                receive_ipv4(utc, &packet);
                decode(&self.octets, header.source.into(), header.destination.into());
            }
            Way::Message6 { source, hop_limit, unicast, mend } => {
                let source = Ipv6Addr::from(source);
                let to = if unicast { host(Family::V6, 2) } else { Family::V6.group() };
                let IpAddr::V6(destination) = to else { unreachable!("of IPv6") };
                if mend {
                    // What a trailer covers it has to be made for; the checksum ends before it.
                    mend_checksum6(message(&mut self.octets, Family::V6), source, destination);
                }
                decode(&self.octets, source.into(), to);
                receive(utc, &Datagram::ipv6(source, destination, hop_limit, &self.octets));
            }
            Way::Changed { kind, at, mend } => self.change(utc, kind, at, mend),
            Way::Carp { mend } => {
                if mend {
                    mend_checksum(&mut self.octets, 6);
                }
                carp(&self.octets);
            }
        }
    }

    fn change(&self, utc: SystemTime, kind: u8, at: u8, mend: bool) {
        let kind = usize::from(kind) % KINDS;
        let mut packet = Vec::new();
        channel(kind, 1).advertise(utc, Priority::DEFAULT, |_, said| packet = said.to_vec());
        let good = packet.clone();
        let at = usize::from(at) % packet.len();
        for (to, from) in packet[at..].iter_mut().zip(&self.octets) {
            *to = *from;
        }
        let IpAddr::V6(source) = host(Family::V6, 1) else { unreachable!("of IPv6") };
        let IpAddr::V6(group) = Family::V6.group() else { unreachable!("of IPv6") };
        if mend && family(kind) == Family::V6 {
            mend_checksum6(message(&mut packet, Family::V6), source, group);
        } else if mend && packet[0] == 0x45 {
            mend_checksum(&mut packet[..Ipv4Header::LENGTH], 10);
            let start = if packet[9] == 51 { 44 } else { 20 };
            let rest = packet.get_mut(start..).unwrap_or_default();
            mend_checksum(if kind >= 4 { message(rest, Family::V4) } else { rest }, 6);
        }
        let datagram = match family(kind) {
            Family::V4 => Datagram::ipv4(&packet),
            Family::V6 => Ok(Datagram::ipv6(source, group, 255, &packet)),
        };
        let Ok(datagram) = datagram else { return };
        let heard = channel(kind, 2).receive(utc, &datagram).is_ok();
        if packet == good {
            assert!(heard, "nothing was changed");
        }
        // The trailer covers everything but the checksum, which is covered by itself.
        let is_signed = kind == 5 || kind == 8;
        let start = if family(kind) == Family::V4 { Ipv4Header::LENGTH } else { 0 };
        if is_signed && heard {
            let same = |a: &[u8], b: &[u8]| a[..6] == b[..6] && a[8..] == b[8..];
            assert!(same(&packet[start..], &good[start..]), "nobody without the key says that");
        }
        receive(utc, &datagram);
    }
}

fn receive_ipv4(utc: SystemTime, packet: &[u8]) {
    if let Ok(datagram) = Datagram::ipv4(packet) {
        receive(utc, &datagram);
    }
}

/// By whoever might listen.
fn receive(utc: SystemTime, datagram: &Datagram<'_>) {
    for kind in 0..KINDS {
        let mut listener = channel(kind, 2);
        match listener.receive(utc, datagram) {
            Ok(received) => {
                assert_eq!(received.advertisement.vrid(), vrid());
                assert_eq!(Family::of(&received.source), family(kind));
                assert_eq!(received.advertisement.addresses().family(), family(kind));
                let again = listener.receive(utc, datagram).is_ok();
                assert!(!again || !SEQUENCED.contains(&kind), "nothing is heard twice");
            }
            Err(refusal) => assert!(!refusal.to_string().is_empty()),
        }
    }
}

fn decode(message: &[u8], source: IpAddr, destination: IpAddr) {
    let Ok((said, form)) = Advertisement::decode(message, source, destination) else { return };
    let mut again = Vec::new();
    said.encode(form, source, destination, &mut again);
    match Advertisement::decode(&again, source, destination) {
        Ok((decoded, _)) => assert_eq!(decoded, said),
        Err(refusal) => unreachable!("what was read can be said: {refusal}"),
    }
}

fn carp(message: &[u8]) {
    let Ok(addresses) = AddressList::new([IpAddr::from([10, 0, 1, 1])]) else { return };
    let key = CarpKey::new(b"passphrase", vrid(), addresses.as_addresses());
    if let Ok(said) = CarpAdvertisement::decode(message, &key) {
        let mut again = Vec::new();
        said.encode(&key, &mut again);
        assert_eq!(again, message);
    }
}

/// The message of version 3 alone, as long as it says that it is, without what is behind it.
fn message(octets: &mut [u8], family: Family) -> &mut [u8] {
    let size = if family == Family::V4 { 4 } else { 16 };
    let says = 8 + size * usize::from(octets.get(3).copied().unwrap_or_default());
    let length = says.min(octets.len());
    &mut octets[..length]
}

/// Writes the checksum of a message over IPv6.
fn mend_checksum6(message: &mut [u8], source: Ipv6Addr, destination: Ipv6Addr) {
    let mut whole = [source.octets(), destination.octets()].concat();
    whole.extend((message.len() as u32).to_be_bytes());
    whole.extend([0, 0, 0, 112]);
    let start = whole.len();
    whole.extend_from_slice(message);
    mend_checksum(&mut whole, start + 6);
    message.copy_from_slice(&whole[start..]);
}

/// Writes the checksum without a pseudo-header at `at`.
fn mend_checksum(octets: &mut [u8], at: usize) {
    let Some(field) = octets.get_mut(at..at + 2) else { return };
    field.fill(0);
    let sum = octets.chunks(2).fold(0_u32, |sum, pair| {
        sum + (u32::from(pair[0]) << 8) + u32::from(pair.get(1).copied().unwrap_or_default())
    });
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    octets[at..at + 2].copy_from_slice(&(!(folded as u16)).to_be_bytes());
}
