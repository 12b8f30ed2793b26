//! What a listener leads to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lb_core::service::{Balance, BalanceError};
use lb_core::{Director, Granularity, SystemEnv};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tower::ServiceExt;
use tracing::debug;

use super::connect::{Attempt, Connection, Connector};
use super::gate::Gate;
use super::upstream::Endpoint;
use super::{listen, relay};
use crate::control::ServerKey;

/// How connections of one virtual server are carried.
#[derive(Clone, Debug)]
pub struct RouteSettings {
    /// The virtual server.
    pub server: ServerKey,
    /// Its name.
    pub name: String,
    /// What tells clients apart.
    pub granularity: Granularity,
    /// Where clients wait while nobody is known to live.
    pub gate: Arc<Gate>,
    /// How long a backend may take to accept.
    pub connect_timeout: Duration,
    /// How many more backends are asked when one does not.
    pub retries: usize,
}

/// One virtual server, seen from the data plane: immutable, replaced whole on reload.
pub struct Route {
    name: String,
    granularity: Granularity,
    gate: Arc<Gate>,
    balance: Balancer,
    tally: Arc<Tally>,
}

/// Balances by the network that a client is in, which is also the whole of its request.
type Balancer = Balance<Connector, IpAddr, fn(&IpAddr) -> IpAddr, SystemEnv, Endpoint>;

/// What happened to the clients of one virtual server. Kept over reloads.
#[derive(Debug, Default)]
pub struct Tally {
    accepted: AtomicU64,
    refused: AtomicU64,
    open: AtomicU64,
}

impl Tally {
    /// Connections that clients opened.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Connections that were reset because no backend took them.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Connections that are open now.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Acquire)
    }

    /// Counts one connection until the guard is dropped.
    fn enter(self: &Arc<Self>) -> Visit {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::AcqRel);
        Visit(Arc::clone(self))
    }
}

/// One connection of a [`Tally`].
#[derive(Debug)]
pub(super) struct Visit(Arc<Tally>);

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Route {
    /// A route to what `director` assigns; health hears of connection attempts through `attempts`.
    pub fn new(
        settings: RouteSettings,
        director: Arc<Director<IpAddr, Endpoint>>,
        tally: Arc<Tally>,
        attempts: mpsc::Sender<Attempt>,
    ) -> Self {
        let RouteSettings { server, name, granularity, gate, connect_timeout, retries } = settings;
        let connector = Connector::new(server, connect_timeout, attempts);
        let itself: fn(&IpAddr) -> IpAddr = |network| *network;
        let balance = Balance::new(director, itself, connector).retries(retries);
        Self { name, granularity, gate, balance, tally }
    }

    /// A connection to a backend. While it is not known yet who lives, nobody is turned away.
    async fn connect(&self, client: IpAddr) -> Result<Connection, BalanceError> {
        loop {
            let closed = self.gate.is_closed();
            match self.balance.clone().oneshot(client).await {
                Err(BalanceError::NoBackend(_)) if closed || self.gate.is_closed() => {
                    self.gate.opened().await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Counts a connection from here on until the visit is dropped.
    pub(super) fn enter(&self) -> Visit {
        self.tally.enter()
    }

    /// Carries one connection from its first byte to its last. `spare` is given back when the
    /// backend's connection is about to take its place.
    pub(super) async fn carry(
        &self,
        visit: Visit,
        client: TcpStream,
        peer: SocketAddr,
        spare: OwnedFd,
    ) {
        let _visit = visit;
        let network = self.granularity.network(peer.ip());
        drop(spare);
        let Connection { stream, lease, mut cuts } = match self.connect(network).await {
            Ok(connection) => connection,
            Err(error) => {
                self.tally.refused.fetch_add(1, Ordering::Relaxed);
                debug!(virtual_server = self.name, %peer, %error, "client refused");
                return relay::reset(&client);
            }
        };
        listen::prepare(&SockRef::from(&stream));
        let (virtual_server, backend) = (&*self.name, lease.name());
        tokio::select! {
            relayed = relay::relay(&client, &stream, lease.endpoint().traffic()) => match relayed {
                Ok(()) => return,
                Err(error) => {
                    debug!(virtual_server, %peer, backend, %error, "connection broken");
                }
            },
            _ = cuts.changed() => debug!(virtual_server, %peer, backend, "connection cut"),
        }
        // Neither side may take this for the end of what the other had to say.
        relay::reset(&client);
        relay::reset(&stream);
    }
}
