//! What one virtual router says and hears, as datagrams.

mod config;
mod receive;

use std::net::IpAddr;
use std::time::SystemTime;

pub use config::{ChannelConfig, ChecksumPolicy, Peer, Reach};
pub use receive::Received;

use crate::authentication::Method;
use crate::replay::{ReplayTable, is_after, seconds_behind, sequence_at};
use crate::values::Priority;
use crate::wire::packet::{PASSWORD, Password};
use crate::wire::trailer::{self, Trailer};
use crate::wire::{self, ChecksumForm, Ipv4Header, PROTOCOL, ah};

/// How many senders are remembered at least.
const SENDERS: usize = 8;

/// Turns advertisements into datagrams and back, with all that is checked on the way.
///
/// It knows how the routers of one identifier talk (version, addresses, authentication, peers) and
/// remembers what its own next sequence number is and what it heard of whom. It knows nothing of
/// states: that is the [`VirtualRouter`](crate::VirtualRouter). UTC is an argument, and only the
/// HMAC trailer looks at it.
///
/// ```
/// use std::time::SystemTime;
/// use lb_vrrp::{AddressList, Channel, ChannelConfig, Priority, Vrid, wire::Datagram};
///
/// let addresses = AddressList::new(["10.99.0.200".parse()?])?;
/// let on = |host: &str| -> Result<_, Box<dyn std::error::Error>> {
///     let config = ChannelConfig::new(Vrid::new(51)?, host.parse()?, addresses.clone())?;
///     Ok(Channel::new(config))
/// };
/// let (mut here, mut there) = (on("10.99.0.11")?, on("10.99.0.12")?);
///
/// let utc = SystemTime::UNIX_EPOCH;
/// let mut sent = Vec::new();
/// here.advertise(utc, Priority::new(200), |_, packet| sent.extend_from_slice(packet));
///
/// let received = there.receive(utc, &Datagram::ipv4(&sent)?)?;
/// assert_eq!(received.advertisement.priority(), Priority::new(200));
/// assert_eq!(received.source, "10.99.0.11".parse::<std::net::IpAddr>()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Channel {
    config: ChannelConfig,
    heard: ReplayTable,
    /// The last sequence of the trailer that was sent.
    sequence: Option<u64>,
    /// The last one of the authentication header that was sent or heard: keepalived has one for all.
    ah_sequence: u32,
    identification: u16,
    /// The form of checksum that the last verified router used.
    form: Option<ChecksumForm>,
    /// Reused, so that advertising does not allocate.
    message: Vec<u8>,
    packet: Vec<u8>,
}

impl Channel {
    /// One that has said and heard nothing.
    pub fn new(config: ChannelConfig) -> Self {
        let senders = match &config.reach {
            Reach::Multicast { .. } => SENDERS,
            Reach::Unicast { peers, .. } => peers.len().max(SENDERS),
        };
        Self {
            config,
            heard: ReplayTable::new(senders),
            sequence: None,
            ah_sequence: 0,
            identification: 0,
            form: None,
            message: Vec::new(),
            packet: Vec::new(),
        }
    }

    /// What it was made of.
    pub const fn config(&self) -> &ChannelConfig {
        &self.config
    }

    /// Takes another configuration. Sequences go on, so that peers see no replay.
    pub fn reconfigure(&mut self, config: ChannelConfig) {
        let fresh = Self::new(config);
        *self = Self {
            heard: self.heard.resized(&fresh.heard),
            sequence: self.sequence,
            ah_sequence: self.ah_sequence,
            identification: self.identification,
            form: self.form,
            ..fresh
        };
    }

    /// The form of checksum that is sent over IPv4 in version 3.
    pub fn checksum_form(&self) -> ChecksumForm {
        match self.config.checksum {
            ChecksumPolicy::Auto => self.form.unwrap_or(ChecksumForm::Pseudo),
            ChecksumPolicy::Pseudo => ChecksumForm::Pseudo,
            ChecksumPolicy::Rfc9568 => ChecksumForm::Message,
        }
    }

    /// Encodes one advertisement and gives it to `send`, for each destination.
    ///
    /// Over IPv4 it is a whole packet with its header (`IP_HDRINCL`), since the authentication header
    /// covers that; over IPv6 it is what follows the header. It allocates only the first time.
    pub fn advertise(
        &mut self,
        utc: SystemTime,
        priority: Priority,
        mut send: impl FnMut(IpAddr, &[u8]),
    ) {
        let sequence = self.next_sequence(utc);
        let form = self.checksum_form();
        let Self { config, message, packet, .. } = self;
        let advertisement = config.advertisement(priority);
        message.clear();
        advertisement.emit(&config.password(), message);
        let end = message.len();
        if let Some((id, key)) = config.signing_key() {
            let trailer = Trailer { key: *id, sequence };
            trailer.emit(key, advertisement.version(), config.source, 0, message);
        }
        // Over IPv6 the kernel sums up all that it is given.
        let covered = if config.source.is_ipv6() { message.len() } else { end };
        for destination in config.reach.destinations() {
            message[wire::packet::CHECKSUM].fill(0);
            advertisement.fill_checksum(form, config.source, destination, 0, covered, message);
            let (IpAddr::V4(from), IpAddr::V4(to)) = (config.source, destination) else {
                send(destination, message);
                continue;
            };
            // The kernel replaces a zero, and the authentication header would no longer hold.
            self.identification = self.identification.checked_add(1).unwrap_or(1);
            let ah = config.ah_key().map(|key| (key, ah::Header::of(from, self.ah_sequence)));
            let header = Ipv4Header {
                tos: Ipv4Header::TOS,
                identification: self.identification,
                dont_fragment: false,
                ttl: 255,
                protocol: if ah.is_some() { ah::PROTOCOL } else { PROTOCOL },
                source: from,
                destination: to,
            };
            packet.clear();
            header.emit(message.len() + ah.map_or(0, |_| ah::LENGTH), packet);
            if let Some((_, ah)) = ah {
                ah.emit(packet);
            }
            packet.extend_from_slice(message);
            if let Some((key, _)) = ah {
                ah::seal(key, !to.is_multicast(), packet);
            }
            send(destination, packet);
        }
    }

    /// The sequence of the next packet; that of the authentication header grows as well.
    ///
    /// The clock, or one more than the last if the clock did not move on; but once the last one is
    /// so far ahead that peers refuse it, because the clock was set back, the clock again.
    fn next_sequence(&mut self, utc: SystemTime) -> u64 {
        self.ah_sequence = self.ah_sequence.saturating_add(1);
        let clock = sequence_at(utc);
        let window = match &self.config.authentication.0 {
            Method::Hmac(keys) => keys.window(self.config.interval.as_duration()),
            _ => None,
        };
        let is_stranded =
            |last| window.is_some_and(|window| seconds_behind(last, clock) > window as i32);
        let sequence = match self.sequence {
            Some(last) if !is_after(clock, last) && !is_stranded(last) => last.wrapping_add(1),
            _ => clock,
        };
        self.sequence = Some(sequence);
        sequence
    }
}

impl ChannelConfig {
    fn password(&self) -> Password {
        match &self.authentication.0 {
            Method::Password(secret) => secret.0,
            _ => [0; PASSWORD],
        }
    }

    fn ah_key(&self) -> Option<&ah::Key> {
        match &self.authentication.0 {
            Method::Ah(key) => Some(key),
            _ => None,
        }
    }

    /// `None` while nothing is signed.
    fn signing_key(&self) -> Option<&(u8, trailer::Key)> {
        match &self.authentication.0 {
            Method::Hmac(keys) => keys.signing(),
            _ => None,
        }
    }
}
