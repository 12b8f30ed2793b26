//! What a listener leads to.

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_core::Director;
use lb_core::backend::Outcome;
use lb_core::env::TokioEnv;
use lb_core::pool::NoBackend;
use lb_core::service::{Balance, BalanceError};
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tower::ServiceExt;
use tracing::debug;

use super::client::{Client, Recognition};
use super::connect::{Connection, Connector, Request, judged_later};
use super::gate::Gate;
use super::key::ServerKey;
use super::listen;
use super::relay::{self, End};
use super::reporter::{Attempt, Observed, Reporter};
use super::tally::{RefusalReason, Tally, Visit};
use super::upstream::Endpoint;
use super::witness::Witness;

/// How connections of one virtual server are carried.
#[derive(Clone, Debug)]
pub struct RouteSettings {
    /// The virtual server.
    pub server: ServerKey,
    /// Its name.
    pub name: String,
    /// What tells clients apart.
    pub recognition: Recognition,
    /// Where clients wait while nobody is known to live.
    pub gate: Arc<Gate>,
    /// How long a backend may take to accept.
    pub connect_timeout: Duration,
    /// How many more backends are asked when one does not.
    pub retries: usize,
    /// What health is told of.
    pub observed: Observed,
}

/// One virtual server, seen from the data plane: immutable, replaced whole on reload.
pub struct Route {
    name: String,
    recognition: Recognition,
    gate: Arc<Gate>,
    balance: Balancer,
    reporter: Arc<Reporter>,
    tally: Arc<Tally>,
}

/// Balances by who a client is.
type Balancer = Balance<Connector, Client, fn(&Request) -> Client, TokioEnv, Endpoint, JudgedLater>;
type JudgedLater = fn(&Connection) -> Option<Outcome>;

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Route {
    /// A route to what `director` assigns; health hears of what is observed through `attempts`.
    pub fn new(
        settings: RouteSettings,
        director: Arc<Director<Client, Endpoint>>,
        tally: Arc<Tally>,
        attempts: mpsc::Sender<Attempt>,
    ) -> Self {
        let RouteSettings { server, name, recognition, gate, connect_timeout, retries, observed } =
            settings;
        let reporter = Arc::new(Reporter::new(server, observed, attempts));
        let connector = Connector::new(connect_timeout, Arc::clone(&reporter));
        let client: fn(&Request) -> Client = |request| request.client;
        let balance = Balance::with_env(director, client, TokioEnv, connector)
            .judging(judged_later as JudgedLater)
            .retries(retries);
        Self { name, recognition, gate, balance, reporter, tally }
    }

    /// A connection to a backend. While it is not known yet who lives, nobody is turned away.
    async fn connect(&self, client: Client, spare: OwnedFd) -> Result<Connection, BalanceError> {
        let mut request = Request { client, spare: Some(spare) };
        loop {
            let closed = self.gate.is_closed();
            let outcome = self.balance.clone().oneshot(request).await;
            let nobody_lives = match &outcome {
                Err(BalanceError::NoBackend(reason)) => {
                    !matches!(reason, NoBackend::AllFull { .. })
                }
                _ => false,
            };
            if !nobody_lives || !(closed || self.gate.is_closed()) {
                return outcome;
            }
            self.gate.opened().await;
            request = Request { client, spare: None };
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
        let Ok(key) = self.recognition.recognise(&client, peer) else {
            return self.tally.abandon();
        };
        // Most of all it is for those who wait in the queue: whoever has reset its connection gives
        // up its place. An end of what the client sends does not count: it may have asked already,
        // or want to listen only.
        let connection = tokio::select! {
            biased;
            connection = self.connect(key, spare) => connection,
            _ = relay::broken(&client) => return self.tally.abandon(),
        };
        let Connection { lease, stream, mut cuts } = match connection {
            Ok(connection) => connection,
            Err(error) => {
                self.tally.refuse(RefusalReason::from(&error));
                debug!(virtual_server = self.name, %peer, %error, "client refused");
                return relay::reset(&client);
            }
        };
        listen::prepare(&SockRef::from(&stream));
        let (virtual_server, backend) = (&*self.name, lease.name());
        let witness = Witness::of(&lease, &self.reporter);
        let is_whole = tokio::select! {
            end = relay::relay(&client, &stream, &witness) => {
                witness.judge(&end);
                if let End { broken: Some((by, error)), .. } = &end {
                    debug!(virtual_server, %peer, backend, ?by, %error, "connection broken");
                }
                end.broken.is_none()
            },
            _ = cuts.changed() => {
                debug!(virtual_server, %peer, backend, "connection cut");
                false
            },
        };
        if !is_whole {
            // Neither side may take this for the end of what the other had to say.
            relay::reset(&client);
            relay::reset(&stream);
        }
        // Closed when its place is given to the next.
        drop(stream);
        lease.end(Instant::now());
    }
}
