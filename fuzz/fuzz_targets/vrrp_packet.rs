//! Whatever arrives as VRRP or CARP: it is read or refused with a reason, never a panic; what is read
//! can be said again; and a key keeps out everybody without it.
#![cfg_attr(fuzzing, no_main)]

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
    /// What follows an IPv6 header.
    Message6 { source: u128, hop_limit: u8 },
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
const KINDS: usize = 7;

fn channel(kind: usize, host: u8) -> Channel {
    let addresses = [1, 2].map(|n| IpAddr::from([10, 0, 1, n]));
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
        4 => (Version::V3, Authentication::NONE),
        5 => (Version::V3, keys(Migration::Enforce)),
        _ => (Version::V3, keys(Migration::Permissive)),
    };
    let config = (|| {
        let mut config = ChannelConfig::new(vrid(), [10, 0, 0, host].into(), addresses)?;
        config.version(version, Interval::SECOND)?.authentication(authentication)?;
        if kind == 3 {
            let peer = Peer::new([10, 0, 0, 3 - host].into());
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
            Way::Packet => receive(utc, &self.octets),
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
                receive(utc, &packet);
                decode(&self.octets, header.source.into(), header.destination.into());
            }
            Way::Message6 { source, hop_limit } => {
                let (source, group) = (Ipv6Addr::from(source), Family::V6.group());
                decode(&self.octets, source.into(), group);
                let IpAddr::V6(group) = group else { unreachable!("that of IPv6") };
                let datagram = Datagram::ipv6(source, group, hop_limit, &self.octets);
                assert!(channel(4, 2).receive(utc, &datagram).is_err(), "it speaks IPv4");
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
        if mend && packet[0] == 0x45 {
            mend_checksum(&mut packet[..Ipv4Header::LENGTH], 10);
            let start = if packet[9] == 51 { 44 } else { 20 };
            mend_checksum(packet.get_mut(start..).unwrap_or_default(), 6);
        }
        let Ok(datagram) = Datagram::ipv4(&packet) else { return };
        let heard = channel(kind, 2).receive(utc, &datagram).is_ok();
        if packet == good {
            assert!(heard, "nothing was changed");
        }
        receive(utc, &packet);
    }
}

/// By whoever might listen.
fn receive(utc: SystemTime, packet: &[u8]) {
    let Ok(datagram) = Datagram::ipv4(packet) else { return };
    for kind in 0..KINDS {
        let mut listener = channel(kind, 2);
        match listener.receive(utc, &datagram) {
            Ok(received) => {
                assert_eq!(received.advertisement.vrid(), vrid());
                let again = listener.receive(utc, &datagram).is_ok();
                assert!(!again || !matches!(kind, 2 | 3 | 5), "nothing is heard twice");
            }
            Err(refusal) => assert!(!refusal.to_string().is_empty()),
        }
    }
}

fn decode(message: &[u8], source: IpAddr, destination: IpAddr) {
    let Ok((said, form)) = Advertisement::decode(message, source, destination) else { return };
    let mut again = Vec::new();
    said.encode(form, source, destination, &mut again);
    if let Ok(decoded) = Advertisement::decode(&again, source, destination) {
        assert_eq!(decoded.0.priority(), said.priority());
        assert_eq!(decoded.0.addresses(), said.addresses());
    } else {
        unreachable!("what was read can be said");
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
