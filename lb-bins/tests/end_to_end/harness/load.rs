//! Clients that come all the time.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Visitor, connect, until};

const CLIENTS: usize = 4;
/// A pause between requests of one client, so that tests beside this one get something done.
const PAUSE: Duration = Duration::from_millis(1);

/// A steady stream of new connections, one request each.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    served: AtomicU64,
    failures: Mutex<Vec<String>>,
    refused: AtomicU64,
    /// Held by every request that is under way.
    under_way: RwLock<()>,
}

impl Load {
    pub(crate) fn start(to: SocketAddr) -> Self {
        Self::start_with(to, |to| Visitor(connect(to)?).who().map(drop))
    }

    /// Requests of another kind.
    pub(crate) fn start_with(to: SocketAddr, request: fn(SocketAddr) -> io::Result<()>) -> Self {
        let shared = Arc::<Shared>::default();
        let clients = (0..CLIENTS)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    while !shared.over.load(Ordering::SeqCst) {
                        visit(to, request, &shared);
                        thread::sleep(PAUSE);
                    }
                })
            })
            .collect();
        Self { shared, clients }
    }

    /// Does something at a moment when no request is under way.
    pub(crate) fn between<T>(&self, act: impl FnOnce() -> T) -> T {
        let _nobody = self.shared.under_way.write().unwrap();
        act()
    }

    /// Waits until so many more were served.
    pub(crate) fn serve(&self, more: u64) {
        let goal = self.served() + more;
        until("requests are served", || self.served() >= goal || !self.failures().is_empty());
    }

    fn served(&self) -> u64 {
        self.shared.served.load(Ordering::SeqCst)
    }

    pub(crate) fn failures(&self) -> Vec<String> {
        self.shared.failures.lock().unwrap().clone()
    }

    /// Forgets what failed until now.
    pub(crate) fn forgive(&self) {
        self.between(|| self.shared.failures.lock().unwrap().clear());
    }

    /// Waits until nobody listens any more: connections are refused, as opposed to failing later.
    pub(crate) fn until_refused(&self) {
        until("connections are refused", || self.shared.refused.load(Ordering::SeqCst) > 0);
    }

    /// Ends; how many were served. Connections that were refused are none that failed: they are
    /// counted as failures only here, if `refusals_allowed` is not set.
    fn end(mut self, refusals_allowed: bool) -> u64 {
        self.shared.over.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            client.join().unwrap();
        }
        let (served, failures) = (self.served(), self.failures());
        assert!(
            failures.is_empty(),
            "{} of {} requests failed: {:?}",
            failures.len(),
            served as usize + failures.len(),
            &failures[..failures.len().min(5)]
        );
        let refused = self.shared.refused.load(Ordering::SeqCst);
        assert!(refusals_allowed || refused == 0, "{refused} connections were refused");
        served
    }

    /// Ends, and fails if any request did.
    pub(crate) fn stop(self) -> u64 {
        self.end(false)
    }

    /// Ends, and fails if any request did whose connection was not refused.
    pub(crate) fn stop_where_refused(self) -> u64 {
        self.end(true)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
    }
}

fn visit(to: SocketAddr, request: fn(SocketAddr) -> io::Result<()>, shared: &Shared) {
    let _under_way = shared.under_way.read().unwrap();
    match request(to) {
        Ok(()) => {
            shared.served.fetch_add(1, Ordering::SeqCst);
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            shared.refused.fetch_add(1, Ordering::SeqCst);
        }
        Err(error) => shared.failures.lock().unwrap().push(error.to_string()),
    }
}
