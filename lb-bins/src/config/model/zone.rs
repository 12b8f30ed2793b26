//! Which link an address is on that is on every link (RFC 4007).

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};

/// An address with a port, as it is written. Its zone is the number of an interface or its name (RFC 4007,
/// 11.2): what number that has is looked up now.
pub(in crate::config) fn socket_address(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (mut address, zone) = zoned(text)?;
    let any = socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    address.set_scope_id(name_to_index(any, zone).ok()?);
    Some(address.into())
}

/// The address and the name of its zone, if that is how it is written.
pub(in crate::config) fn zoned(text: &str) -> Option<(SocketAddrV6, &str)> {
    let (host, rest) = text.split_once('%')?;
    let (zone, port) = rest.rsplit_once("]:")?;
    let address = format!("{host}]:{port}").parse().ok()?;
    (!zone.is_empty()).then_some((address, zone))
}

/// Whether it takes a zone to say which link an address is on, and there is none (RFC 4291, 2.5.6).
pub(in crate::config) fn is_on_every_link(address: SocketAddr) -> bool {
    match address {
        SocketAddr::V4(_) => false,
        SocketAddr::V6(address) => is_link_local(*address.ip()) && address.scope_id() == 0,
    }
}

const fn is_link_local(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xFFC0 == 0xFE80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_a_number_or_a_name() {
        let known = |text| socket_address(text).map(|address| address.to_string());
        assert_eq!(known("[fe80::1%7]:80").as_deref(), Some("[fe80::1%7]:80"));
        // The loopback interface is the first of every network namespace.
        assert_eq!(known("[fe80::1%lo]:80").as_deref(), Some("[fe80::1%1]:80"));
        for text in ["[fe80::1%no-such-one]:80", "[fe80::1%]:80", "fe80::1%lo:80", "[fe80::1%lo]:x"]
        {
            assert_eq!(known(text), None, "{text}");
        }
        let named = zoned("[fe80::1%no-such-one]:80").map(|(_, zone)| zone);
        assert_eq!(named, Some("no-such-one"));
    }

    #[test]
    fn only_local_addresses_of_a_link_take_one() {
        let takes = |text: &str| is_on_every_link(text.parse().unwrap());
        assert!(takes("[fe80::1]:80") && takes("[febf::1]:80"));
        for text in
            ["[fe80::1%1]:80", "[fec0::1]:80", "[::1]:80", "[2001:db8::1]:80", "127.0.0.1:80"]
        {
            assert!(!takes(text), "{text}");
        }
    }
}
