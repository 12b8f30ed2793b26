//! What a client is recognised by.

use std::borrow::Cow;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::hash::stable_hash;

/// What a client is recognised by: its address, a network, a cookie, a user name.
///
/// `Hash` and `Eq` serve the persistence table; [`flow_hash`](Self::flow_hash) serves hashing
/// schedulers and must be the same on every platform and in every process, so that two directors
/// agree. (`Hash` of the standard library promises neither.)
///
/// A key is owned, because a table may have to keep it. Where none does, a request costs no
/// allocation if its key is the hash itself, `stable_hash(path.as_bytes())`, which is a key like any
/// other; where one does, an `Arc<str>` is cloned for nothing.
pub trait ClientKey: Clone + Eq + Hash + Send + 'static {
    /// A hash of the key that is stable across processes, platforms and releases. O(length).
    fn flow_hash(&self) -> u64;

    /// Where the client says that it belongs, if it brings that along: the
    /// [place](crate::Backend::place) of a backend. What a director remembers of the client gives way
    /// to it. Default: it does not say. See [`Sticky`](super::Sticky).
    #[inline]
    fn belongs_to(&self) -> Option<u64> {
        None
    }
}

/// An IPv4-mapped IPv6 address counts as the IPv4 address it stands for.
impl ClientKey for IpAddr {
    fn flow_hash(&self) -> u64 {
        match self.to_canonical() {
            Self::V4(address) => stable_hash(&address.octets()),
            Self::V6(address) => stable_hash(&address.octets()),
        }
    }
}

/// Address and port: spreads the connections of one client (IPVS' `sh-port`).
impl ClientKey for SocketAddr {
    fn flow_hash(&self) -> u64 {
        let port = self.port().to_be_bytes();
        match self.ip().to_canonical() {
            IpAddr::V4(address) => stable_hash(&with_port::<6>(&address.octets(), port)),
            IpAddr::V6(address) => stable_hash(&with_port::<18>(&address.octets(), port)),
        }
    }
}

fn with_port<const LENGTH: usize>(address: &[u8], port: [u8; 2]) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..address.len()].copy_from_slice(address);
    bytes[address.len()..].copy_from_slice(&port);
    bytes
}

impl ClientKey for String {
    fn flow_hash(&self) -> u64 {
        stable_hash(self.as_bytes())
    }
}

impl ClientKey for &'static str {
    fn flow_hash(&self) -> u64 {
        stable_hash(self.as_bytes())
    }
}

impl ClientKey for Cow<'static, str> {
    fn flow_hash(&self) -> u64 {
        stable_hash(self.as_bytes())
    }
}

impl ClientKey for Arc<str> {
    fn flow_hash(&self) -> u64 {
        stable_hash(self.as_bytes())
    }
}

impl ClientKey for Vec<u8> {
    fn flow_hash(&self) -> u64 {
        stable_hash(self)
    }
}

impl ClientKey for Arc<[u8]> {
    fn flow_hash(&self) -> u64 {
        stable_hash(self)
    }
}

/// A hash computed elsewhere, taken as it is.
impl ClientKey for u64 {
    fn flow_hash(&self) -> u64 {
        *self
    }
}

/// No client can be told from another.
impl ClientKey for () {
    fn flow_hash(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_never_change() {
        // A change here moves every client of every `sh` pool at the next upgrade.
        let hash = |key: &str| key.parse::<IpAddr>().unwrap().flow_hash();
        assert_eq!(hash("::ffff:192.0.2.7"), hash("192.0.2.7"));
        assert_ne!(hash("192.0.2.7"), hash("192.0.2.8"));
        let socket: SocketAddr = "192.0.2.7:80".parse().unwrap();
        assert_eq!(socket.flow_hash(), stable_hash(&[192, 0, 2, 7, 0, 80]));
        let texts =
            ["/a".flow_hash(), "/a".to_owned().flow_hash(), Arc::<str>::from("/a").flow_hash()];
        assert_eq!(texts, [stable_hash(b"/a"); 3]);
    }
}
