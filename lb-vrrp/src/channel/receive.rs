//! What is heard, and all that is wrong with it, in the order of [`Refusal`].

use std::net::IpAddr;
use std::time::SystemTime;

use ctutils::CtEq;

use super::{Channel, ChannelConfig, Reach};
use crate::addresses::Family;
use crate::authentication::{HmacKeys, Method};
use crate::refusal::Refusal;
use crate::replay::{is_after, seconds_behind, sequence_at};
use crate::values::Version;
use crate::wire::trailer::Trailer;
use crate::wire::{Advertisement, AuthType, ChecksumForm, Datagram, PROTOCOL, Packet, ah, trailer};

/// An advertisement that was accepted, and what is odd about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Received<'a> {
    /// Who said it.
    pub source: IpAddr,
    /// What was said.
    pub advertisement: Advertisement<'a>,
    /// Which form of checksum it has.
    pub checksum: ChecksumForm,
    /// The routers do not agree on the addresses. Worth an alarm, but no reason not to listen:
    /// dropping such packets makes two masters out of a rolling change.
    pub addresses_differ: bool,
    /// The sender's interval is not ours; in version 3 its own counts.
    pub interval_differs: bool,
}

impl Channel {
    /// Reads one datagram of protocol 112 or 51.
    ///
    /// # Errors
    /// The first thing that is wrong with it. Then nothing has changed.
    pub fn receive<'a>(
        &mut self,
        utc: SystemTime,
        datagram: &Datagram<'a>,
    ) -> Result<Received<'a>, Refusal> {
        let config = &self.config;
        let source = datagram.source;
        let family = config.addresses.family();
        if Family::of(&source) != family || Family::of(&datagram.destination) != family {
            return Err(Refusal::Family { sender: source });
        }
        let (ah, message) = split_ah(config, datagram)?;
        let packet = Packet::new_checked(message, family)?;
        if packet.vrid() != config.vrid.get() {
            return Err(Refusal::Vrid { vrid: packet.vrid() });
        }
        check_hop_limit(config, datagram)?;
        let version = config.version;
        if packet.version() != Some(version) {
            return Err(Refusal::Version { version: packet.version_number() });
        }

        let signed = match &config.authentication.0 {
            Method::Hmac(keys) => self.check_trailer(keys, utc, source, &packet)?,
            _ => None,
        };
        if version == Version::V2 {
            self.check_v2(ah, datagram, &packet)?;
        }
        let trailer = if signed.is_some() { trailer::LENGTH } else { 0 };
        packet.check_type_and_length(version, trailer)?;
        let advertisement = Advertisement::parse(&packet, version)?;
        let form = packet.check_checksum(version, trailer, source, datagram.destination)?;
        check_reach(config, datagram)?;

        let addresses_differ =
            !advertisement.addresses().same_set(&config.addresses.as_addresses());
        let interval_differs = advertisement.interval() != config.interval;
        // Only now is it certain who said it, and that it was said to us.
        if let Some(sequence) = signed.or(ah.map(|ah| u64::from(ah.sequence))) {
            self.heard.record(source, sequence);
        }
        if let Some(ah) = ah {
            self.ah_sequence = self.ah_sequence.max(ah.sequence);
        }
        self.form = Some(form);
        Ok(Received { source, advertisement, checksum: form, addresses_differ, interval_differs })
    }

    /// The sequence of the trailer, if there is one. What looks like one but does not verify is
    /// refused, whatever the migration.
    fn check_trailer(
        &self,
        keys: &HmacKeys,
        utc: SystemTime,
        source: IpAddr,
        packet: &Packet<'_>,
    ) -> Result<Option<u64>, Refusal> {
        let version = self.config.version;
        let octets = packet.octets();
        let Some(octets_of_trailer) = octets
            .get(packet.message_length(version)..)
            .and_then(|rest| <&[u8; trailer::LENGTH]>::try_from(rest).ok())
        else {
            let missing = keys.is_enforced().then_some(Refusal::TrailerMissing);
            return missing.map_or(Ok(None), Err);
        };
        let trailer = Trailer::parse(octets_of_trailer)?;
        let clock = sequence_at(utc);
        let window = keys.window(self.config.interval.as_duration());
        let is_stale = |sequence| {
            window.is_some_and(|window| seconds_behind(clock, sequence).unsigned_abs() > window)
        };
        // Before the digest, which costs more: this only ever refuses.
        if is_stale(trailer.sequence) {
            return Err(Refusal::TrailerStale { skew: seconds_behind(clock, trailer.sequence) });
        }
        let Some(key) = keys.key(trailer.key) else {
            return Err(Refusal::TrailerUnknownKey { key: trailer.key });
        };
        if !trailer::verify(key, version, source, octets) {
            return Err(Refusal::TrailerForged);
        }
        // What is outside of the window orders nothing that could still be accepted; forgetting it
        // lets a sender come back whose clock was corrected.
        let last = self.heard.last(source).filter(|&last| !is_stale(last));
        if last.is_some_and(|last| !is_after(trailer.sequence, last)) {
            return Err(Refusal::TrailerReplayed);
        }
        Ok(Some(trailer.sequence))
    }

    fn check_v2(
        &self,
        ah: Option<ah::Header>,
        datagram: &Datagram<'_>,
        packet: &Packet<'_>,
    ) -> Result<(), Refusal> {
        let ours = self.config.authentication.auth_type();
        let theirs = packet.auth_type();
        if ours != theirs {
            return Err(Refusal::AuthType { ours, theirs });
        }
        match &self.config.authentication.0 {
            Method::Password(secret) => {
                let expected = packet.message_length(Version::V2);
                let length = packet.octets().len();
                let theirs = packet.password().ok_or(Refusal::Length { expected, length })?;
                if !theirs.ct_eq(&secret.0).to_bool() {
                    return Err(Refusal::Password);
                }
            }
            Method::Ah(key) => {
                let (Some(ah), Some(header)) = (ah, datagram.header) else {
                    return Err(Refusal::AhMalformed);
                };
                let unicast = !datagram.destination.is_multicast();
                if !ah::verify(key, unicast, header, datagram.payload) {
                    return Err(Refusal::AhForged);
                }
                // Of its sender alone: with one for all, three routers refuse each other.
                if let Some(last) = self.heard.last(datagram.source)
                    && u64::from(ah.sequence) <= last
                {
                    let last = last as u32; // recorded from a `u32`
                    return Err(Refusal::AhReplayed { sequence: ah.sequence, last });
                }
            }
            Method::None | Method::Hmac(_) => {}
        }
        let ours = self.config.interval;
        if packet.centis(Version::V2) != ours.as_centis() {
            let theirs = (packet.centis(Version::V2) / 100) as u8; // it was one octet
            return Err(Refusal::IntervalMismatch { ours, theirs });
        }
        Ok(())
    }
}

/// What follows the authentication header, if there is to be one.
fn split_ah<'a>(
    config: &ChannelConfig,
    datagram: &Datagram<'a>,
) -> Result<(Option<ah::Header>, &'a [u8]), Refusal> {
    let wanted = config.authentication.auth_type() == AuthType::Ah;
    match (datagram.protocol, wanted) {
        (PROTOCOL, false) => Ok((None, datagram.payload)),
        (PROTOCOL, true) => Err(Refusal::AhMissing),
        (ah::PROTOCOL, false) => Err(Refusal::AhUnexpected),
        (ah::PROTOCOL, true) => {
            let (ah, message) = ah::Header::parse(datagram.payload)?;
            Ok((Some(ah), message))
        }
        (protocol, _) => Err(Refusal::Protocol { protocol }),
    }
}

/// Multicast comes from the link itself or not at all. How far a peer may be is looked at later.
fn check_hop_limit(config: &ChannelConfig, datagram: &Datagram<'_>) -> Result<(), Refusal> {
    let hop_limit = datagram.hop_limit;
    let local = matches!(config.reach, Reach::Multicast { .. });
    if local && hop_limit != 255 {
        return Err(Refusal::HopLimit { hop_limit });
    }
    Ok(())
}

fn check_reach(config: &ChannelConfig, datagram: &Datagram<'_>) -> Result<(), Refusal> {
    let Datagram { source, destination, hop_limit, .. } = *datagram;
    match &config.reach {
        Reach::Multicast { group } if destination == *group => Ok(()),
        Reach::Multicast { .. } => Err(Refusal::Kind { destination }),
        Reach::Unicast { .. } if destination.is_multicast() => Err(Refusal::Kind { destination }),
        Reach::Unicast { peers, check_source } => {
            match peers.iter().find(|peer| peer.address == source) {
                Some(peer) if !peer.hop_limits.contains(&hop_limit) => {
                    Err(Refusal::PeerHopLimit { sender: source, hop_limit })
                }
                None if *check_source => Err(Refusal::UnknownPeer { sender: source }),
                _ => Ok(()),
            }
        }
    }
}
