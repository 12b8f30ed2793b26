//! Who a client is: to persistence, and to schedulers that hash.

use std::hash::{Hash, Hasher};
use std::io;
use std::net::{IpAddr, SocketAddr};

use lb_core::flow::{ClientKey, Granularity};
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
}

/// How the clients of a virtual server are told apart.
#[derive(Clone, Copy, Debug)]
pub struct Recognition {
    /// What makes one client.
    pub granularity: Granularity,
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
        let hash = match self.hashed {
            Hashed::Destination => stream.local_addr()?.ip().flow_hash(),
            Hashed::Source => network.flow_hash(),
            Hashed::SourcePort => SocketAddr::new(network, peer.port()).flow_hash(),
        };
        Ok(Client { network, hash })
    }
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
