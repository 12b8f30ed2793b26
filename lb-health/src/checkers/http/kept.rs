//! Connections that wait for the next run.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::session::Session;

/// One connection for each target, at most. While it waits nobody looks at it: whether it still
/// lives is found out by using it.
#[derive(Debug, Default)]
pub(in crate::checkers) struct Kept(Mutex<HashMap<SocketAddr, Session>>);

impl Kept {
    /// Takes the connection to `address`, if one is kept: two runs never share one.
    pub(in crate::checkers) fn take(&self, address: SocketAddr) -> Option<Session> {
        self.sessions().remove(&address)
    }

    /// Keeps this connection to `address`.
    pub(in crate::checkers) fn put(&self, address: SocketAddr, session: Session) {
        let former = self.sessions().insert(address, session);
        // Closed only once the others may go on.
        drop(former);
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<SocketAddr, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
