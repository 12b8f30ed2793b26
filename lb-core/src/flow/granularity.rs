//! How much of an address tells one client from another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many leading bits of an address tell one client from another, for each family: IPVS'
/// `persistence_granularity`.
///
/// ```
/// use lb_core::flow::Granularity;
///
/// let office = Granularity::new(24, 64);
/// assert_eq!(office.network("2001:db8::7".parse()?).to_string(), "2001:db8::");
/// assert_eq!(office.network("192.0.2.7".parse()?), office.network("192.0.2.200".parse()?));
/// assert_eq!(Granularity::HOST.network("192.0.2.7".parse()?).to_string(), "192.0.2.7");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Granularity {
    v4: u8,
    v6: u8,
}

impl Granularity {
    /// Every address is a client of its own.
    pub const HOST: Self = Self::new(32, 128);

    /// The first `v4` bits of an IPv4 address, and the first `v6` of an IPv6 one (of which a host
    /// commonly has all that begin with the same 64). More bits than an address has mean all of them.
    pub const fn new(v4: u8, v6: u8) -> Self {
        Self { v4, v6 }
    }

    /// The network that `client` belongs to, as its first address. An IPv4-mapped IPv6 address
    /// counts as the IPv4 address it stands for.
    pub fn network(self, client: IpAddr) -> IpAddr {
        let host_bits = |width: u32, bits: u8| width.saturating_sub(bits.into());
        match client.to_canonical() {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(host_bits(32, self.v4)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(host_bits(128, self.v6)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn granularity_cuts_both_families_at_every_length() {
        let v4 = |bits| Granularity::new(bits, 0).network("203.0.113.255".parse().unwrap());
        assert_eq!(v4(0), "0.0.0.0".parse::<IpAddr>().unwrap());
        assert_eq!(v4(25), "203.0.113.128".parse::<IpAddr>().unwrap());
        assert_eq!(v4(200), "203.0.113.255".parse::<IpAddr>().unwrap());
        let v6 = |bits| Granularity::new(0, bits).network("2001:db8:ffff::1".parse().unwrap());
        assert_eq!(v6(0), "::".parse::<IpAddr>().unwrap());
        assert_eq!(v6(32), "2001:db8::".parse::<IpAddr>().unwrap());
        assert_eq!(v6(128), "2001:db8:ffff::1".parse::<IpAddr>().unwrap());
    }
}
