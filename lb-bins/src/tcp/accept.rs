//! Accepting: one loop per worker and listener.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Resource, getrlimit};
use socket2::{SockFilter, SockRef};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::yield_now;
use tracing::{error, warn};

use super::connect::is_local;
use super::listen::Bound;
use super::route::Route;
use super::workers::Workers;

/// How long accepting rests when this host has run out of descriptors or memory. The waiting
/// clients stay in the kernel's queue; without a rest the loop would spin on the same error.
const REST: Duration = Duration::from_millis(50);

/// Descriptors that clients do not get; an eighth, where there are few.
const MOST_KEPT_FREE: u64 = 64;

/// The first descriptor that clients do not get. The limit is raised before anybody is accepted and
/// stays from then on.
static CEILING: LazyLock<u64> = LazyLock::new(|| {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    limit - (limit / 8).min(MOST_KEPT_FREE)
});

/// A listening address, and the route that its connections take.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    shared: Arc<Shared>,
    stage: watch::Sender<Stage>,
}

#[derive(Debug)]
struct Shared {
    route: ArcSwap<Route>,
    rests: AtomicU64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Clients wait in the kernel's queue.
    Hold,
    Accept,
    Stop,
}

/// A classic BPF program that sees TCP headers and drops those with SYN but without ACK: a client
/// that comes while the socket closes asks again a second later, and is refused then or served by
/// whoever listens, instead of being connected and reset.
const NO_SYN: [SockFilter; 5] = [
    SockFilter::new(0x30, 0, 0, 13),     // load the byte of the flags
    SockFilter::new(0x54, 0, 0, 0x12),   // keep SYN and ACK
    SockFilter::new(0x15, 0, 1, 0x02),   // SYN alone?
    SockFilter::new(0x06, 0, 0, 0),      // drop
    SockFilter::new(0x06, 0, 0, 0xffff), // take
];

impl Listener {
    /// Takes over the sockets; nobody is accepted yet.
    pub fn open(bound: Bound, route: Arc<Route>, workers: &Workers) -> Self {
        let address = bound.address();
        let shared = Arc::new(Shared { route: ArcSwap::new(route), rests: AtomicU64::new(0) });
        let (stage, _) = watch::channel(Stage::Hold);
        workers.spread(bound.into_sockets(), |socket| {
            let (shared, stage) = (Arc::clone(&shared), stage.subscribe());
            async move {
                match TcpListener::from_std(socket) {
                    Ok(listener) => accept(listener, &shared, stage).await,
                    Err(error) => error!(%address, %error, "cannot accept"),
                }
            }
        });
        Self { address, shared, stage }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections elsewhere; those under way go on as they are.
    pub fn lead_to(&self, route: Arc<Route>) {
        self.shared.route.store(route);
    }

    /// Begins to accept.
    pub fn accept(&self) {
        self.stage.send_if_modified(|stage| {
            let held = *stage == Stage::Hold;
            if held {
                *stage = Stage::Accept;
            }
            held
        });
    }

    /// How often accepting rested because this host had run out of something.
    pub fn rests(&self) -> u64 {
        self.shared.rests.load(Ordering::Relaxed)
    }

    /// Stops listening. Clients whose connection is complete already are still served.
    pub fn stop(&self) {
        self.stage.send_replace(Stage::Stop);
    }

    /// Whether every worker has stopped listening, and handed on what was queued.
    pub fn is_closed(&self) -> bool {
        self.stage.is_closed()
    }

    /// Resolves when it [is closed](Self::is_closed): somebody else may listen there.
    pub async fn closed(&self) {
        self.stage.closed().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn accept(listener: TcpListener, shared: &Arc<Shared>, mut stage: watch::Receiver<Stage>) {
    if stage.wait_for(|stage| *stage != Stage::Hold).await.is_err() {
        return;
    }
    let mut resting = false;
    while *stage.borrow_and_update() == Stage::Accept {
        let accepted = tokio::select! {
            biased;
            _ = stage.changed() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((client, peer)) => {
                // Whoever comes next waits in the queue until this one has what it needs.
                let spare = loop {
                    match reserve(&client) {
                        Ok(spare) => break spare,
                        Err(error) => rest(shared, &error, &mut resting, &mut stage).await,
                    }
                };
                resting = false;
                carry(shared, client, peer, spare);
            }
            Err(error) if is_local(&error) => {
                rest(shared, &error, &mut resting, &mut stage).await;
            }
            // The client gave up while it was queued, or its network failed (`accept(2)`).
            Err(_) => {}
        }
    }
    match listener.into_std() {
        Ok(listener) => serve_queue(&listener, shared).await,
        Err(error) => error!(%error, "clients that are queued are lost"),
    }
}

/// Accepts who is queued. The kernel resets what is left when the socket closes, so the queue must
/// be empty then, and nobody may join it meanwhile.
async fn serve_queue(listener: &std::net::TcpListener, shared: &Arc<Shared>) {
    // Without the filter a client could be lost here and there: no reason not to stop.
    let _ = SockRef::from(listener).attach_filter(&NO_SYN);
    let mut shaking_hands = true;
    // The system is asked, not tokio: that only knows of clients that its last poll has seen, and
    // hands out no more than a budget at a time.
    loop {
        let accepted = listener.accept().and_then(|(client, peer)| {
            client.set_nonblocking(true)?;
            Ok((TcpStream::from_std(client)?, peer))
        });
        match accepted {
            Ok((client, peer)) => {
                let spare = loop {
                    match reserve(&client) {
                        Ok(spare) => break spare,
                        Err(_) => tokio::time::sleep(REST).await,
                    }
                };
                carry(shared, client, peer, spare);
            }
            // Whoever was answered before the filter was there joins the queue with its next packet.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && shaking_hands => {
                shaking_hands = false;
                tokio::time::sleep(REST).await;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) if is_local(&error) => tokio::time::sleep(REST).await,
            // The client has gone; let others have the worker meanwhile, in case it was not that.
            Err(_) => yield_now().await,
        }
    }
}

/// Waits for room; said once per time that there is none.
async fn rest(
    shared: &Shared,
    error: &io::Error,
    resting: &mut bool,
    stage: &mut watch::Receiver<Stage>,
) {
    shared.rests.fetch_add(1, Ordering::Relaxed);
    if !*resting {
        warn!(%error, "accepting rests until there is room again");
    }
    *resting = true;
    // Stopping need not wait for the rest to end.
    let _ = tokio::time::timeout(REST, stage.changed()).await;
}

/// A descriptor for the connection to the backend, before that is opened: a client for whom there
/// is none can still wait, one that was accepted for nothing would have to be reset. The last
/// descriptors are not for clients: checks, administration and reload need some, too.
fn reserve(client: &TcpStream) -> io::Result<OwnedFd> {
    let spare = fcntl_dupfd_cloexec(client, 0)?;
    // The system gives out the lowest number that is free, so that the number tells how many are
    // in use (`open(2)`).
    if spare.as_raw_fd() as u64 >= *CEILING {
        return Err(Errno::MFILE.into());
    }
    Ok(spare)
}

fn carry(shared: &Shared, client: TcpStream, peer: SocketAddr, spare: OwnedFd) {
    let route = shared.route.load_full();
    // Counted at once: whoever stops this process must see it.
    let visit = route.enter();
    tokio::spawn(async move { route.carry(visit, client, peer, spare).await });
}
