//! Listeners that nobody uses any more, until they are closed.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use super::service::Service;
use crate::config::Config;
use crate::tcp::Listener;

/// How long a listener that is closing is waited for by whoever wants its address. It takes as long as
/// a client may have to finish its handshake, a twentieth of a second.
const LONGEST_CLOSING: Duration = Duration::from_secs(1);

/// Those that serve who is queued still, and then close.
#[derive(Default)]
pub(super) struct Leaving(Vec<Arc<Listener>>);

impl Leaving {
    /// Stops those of `listeners` that none of these services uses.
    pub(super) fn extend(
        &mut self,
        listeners: impl Iterator<Item = Arc<Listener>>,
        services: &[Service],
    ) {
        let used: HashSet<_> = services.iter().map(|service| service.listener.address()).collect();
        let unused = listeners.filter(|listener| !used.contains(&listener.address()));
        self.0.extend(unused.inspect(|listener| listener.stop()));
    }

    /// Lets go of those that are closed.
    pub(super) fn tick(&mut self) {
        self.0.retain(|listener| !listener.is_closed());
    }

    /// Waits until none of them keeps from listening what `config` is to listen on: it may be told to come
    /// back to an address that it has left a moment ago.
    pub(super) async fn make_way(&self, config: &Config) {
        let wanted = || config.virtual_servers.iter().map(|server| server.listen);
        let overlaps = |one: &Arc<Listener>| wanted().any(|other| overlap(one.address(), other));
        let closing = self.0.iter().filter(|one| overlaps(one)).map(|one| one.closed());
        // Those that take longer are told of as in use.
        let _ = tokio::time::timeout(LONGEST_CLOSING, join_all(closing)).await;
    }
}

/// Whether two cannot listen there side by side.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && (one.ip() == other.ip() || is_any)
}
