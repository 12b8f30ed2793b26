//! What a CARP host says and hears, as datagrams.

use std::net::IpAddr;

use crate::addresses::Family;
use crate::refusal::Refusal;
use crate::wire::{CarpAdvertisement, CarpKey, Datagram, Ipv4Header, PROTOCOL};

/// Turns CARP advertisements into datagrams and back.
///
/// ```
/// use lb_vrrp::{AddressList, Vrid, carp::CarpChannel};
/// use lb_vrrp::wire::{CarpAdvertisement, CarpKey, Datagram};
///
/// let addresses = AddressList::new(["10.99.0.200".parse()?])?;
/// let key = CarpKey::new(b"passphrase", Vrid::new(51)?, addresses.as_addresses());
/// let channel = CarpChannel::new("10.99.0.11".parse()?, key);
///
/// let said = CarpAdvertisement { skew: 0, demotion: 0, base: 1, counter: 7 };
/// let mut packet = Vec::new();
/// channel.advertise(&said, 1, &mut packet);
/// let (source, heard) = channel.receive(&Datagram::ipv4(&packet)?)?;
/// assert_eq!((source.to_string().as_str(), heard), ("10.99.0.11", said));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CarpChannel {
    source: IpAddr,
    key: CarpKey,
}

impl CarpChannel {
    /// From the host with the primary address `source`, to the group of its family.
    pub const fn new(source: IpAddr, key: CarpKey) -> Self {
        Self { source, key }
    }

    /// Where it speaks from.
    pub const fn source(&self) -> IpAddr {
        self.source
    }

    /// Speaks from another address of this host; one of the other family is ignored.
    pub fn set_source(&mut self, source: IpAddr) {
        if Family::of(&source) == Family::of(&self.source) {
            self.source = source;
        }
    }

    /// To whom it speaks.
    pub const fn group(&self) -> IpAddr {
        Family::of(&self.source).group()
    }

    /// Appends one datagram: over IPv4 with its header, as ucarp sends it (low delay, not to be
    /// fragmented) with this identification; over IPv6 without.
    pub fn advertise(&self, said: &CarpAdvertisement, identification: u16, out: &mut Vec<u8>) {
        if let (IpAddr::V4(source), IpAddr::V4(destination)) = (self.source, self.group()) {
            let header = Ipv4Header {
                tos: 0x10,
                identification,
                dont_fragment: true,
                ttl: 255,
                protocol: PROTOCOL,
                source,
                destination,
            };
            header.emit(CarpAdvertisement::LENGTH, out);
        }
        said.encode(&self.key, out);
    }

    /// Reads and verifies one datagram.
    ///
    /// # Errors
    /// What is wrong with it first, in the order of [`Refusal`].
    pub fn receive(&self, datagram: &Datagram<'_>) -> Result<(IpAddr, CarpAdvertisement), Refusal> {
        let Datagram { source, destination, hop_limit, protocol, .. } = *datagram;
        if protocol != PROTOCOL {
            return Err(Refusal::Protocol { protocol });
        }
        if Family::of(&source) != Family::of(&self.source) {
            return Err(Refusal::Family { sender: source });
        }
        if hop_limit != 255 {
            return Err(Refusal::HopLimit { hop_limit });
        }
        let said = CarpAdvertisement::decode(datagram.payload, &self.key)?;
        if destination != self.group() {
            return Err(Refusal::Kind { destination });
        }
        Ok((source, said))
    }
}
