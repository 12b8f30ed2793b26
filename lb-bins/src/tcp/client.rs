//! Who a client is: to persistence, and to schedulers that hash.

use std::hash::{Hash, Hasher};
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};

use lb_core::flow::{ClientKey, Granularity};
use lb_core::scheduler::ketama_hash;
use tokio::net::TcpStream;

/// What schedulers that hash look at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Hashed {
    /// The address that the client connected to. It says something where a virtual server listens
    /// on several.
    Destination,
    /// The client's network.
    #[default]
    Source,
    /// The client's network and port.
    SourcePort,
    /// The client's network as it is written, by the hash that nginx takes.
    SourceText,
}

/// How the clients of a virtual server are told apart.
#[derive(Clone, Copy, Debug)]
pub struct Recognition {
    /// What makes one client.
    pub granularity: Granularity,
    /// What of it is hashed, if a hash decides.
    pub hash_granularity: Granularity,
    /// What decides where it goes, if a hash does.
    pub hashed: Hashed,
}

/// A client. Two connections from one network are the same client, wherever they are scheduled.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    network: IpAddr,
    hash: u64,
}

impl Recognition {
    /// The client at the other end of `stream`.
    ///
    /// # Errors
    /// What the system says if it does not know any more where the client connected to.
    pub(super) fn recognise(self, stream: &TcpStream, peer: SocketAddr) -> io::Result<Client> {
        let network = self.granularity.network(peer.ip());
        let source = self.hash_granularity.network(peer.ip());
        let hash = match self.hashed {
            Hashed::Destination => stream.local_addr()?.ip().flow_hash(),
            Hashed::Source => source.flow_hash(),
            Hashed::SourcePort => SocketAddr::new(source, peer.port()).flow_hash(),
            Hashed::SourceText => text_hash(source),
        };
        Ok(Client { network, hash })
    }
}

/// What nginx' `hash $remote_addr consistent` takes of an address.
///
/// The text is that of `ngx_sock_ntop`, but for the addresses of IPv6 that were once to stand for
/// those of IPv4 (`::192.0.2.1`), which nobody has any more.
fn text_hash(address: IpAddr) -> u64 {
    // Room for the longest, so that no client costs an allocation.
    let mut text = [0; 45];
    let mut rest = &mut text[..];
    let written = write!(rest, "{address}");
    debug_assert!(written.is_ok(), "{address} is longer than an address");
    let left = rest.len();
    ketama_hash(&text[..text.len() - left])
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        self.network == other.network
    }
}

impl Eq for Client {}

impl Hash for Client {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.network.hash(state);
    }
}

impl ClientKey for Client {
    fn flow_hash(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_hashed_as_nginx_writes_it() {
        for text in [
            "0.0.0.0",
            "192.0.2.1",
            "255.255.255.255",
            "::",
            "::1",
            "2001:db8::1",
            "2001:db8:0:1:1:1:1:1",
            "1:0:0:2::3",
            "::ffff:192.0.2.1",
            "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff",
        ] {
            let address: IpAddr = text.parse().expect("it is one");
            assert_eq!(text_hash(address), ketama_hash(text.as_bytes()), "{text}");
        }
    }
}
