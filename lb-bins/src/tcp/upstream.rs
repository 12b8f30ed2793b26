//! What the data plane keeps of one backend besides lb-core's counters.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lb_health::CheckError;
use tokio::sync::watch;

use crate::config::Address;
use crate::names::Name;

/// What a backend of the daemon is to lb-core.
pub type Endpoint = Arc<Upstream>;

/// The endpoint of a backend: where it is and what went over the wire to and from it.
#[derive(Debug)]
pub struct Upstream {
    address: Address,
    /// There if it has to be resolved.
    name: Option<Arc<Name>>,
    traffic: Traffic,
    /// Whether the last connection attempt failed.
    failing: AtomicBool,
    /// Flows that went well and were not told of.
    successes: AtomicU64,
    /// How often its connections were cut: who connected before the last time has to go.
    cuts: watch::Sender<u64>,
}

/// Payload bytes, counted as they pass.
#[derive(Debug, Default)]
pub struct Traffic {
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
}

impl Upstream {
    /// The upstream at `address`, without history; with its name, if it has one.
    pub fn new(address: Address, name: Option<Arc<Name>>) -> Arc<Self> {
        Arc::new(Self {
            address,
            name,
            traffic: Traffic::default(),
            failing: AtomicBool::new(false),
            successes: AtomicU64::new(0),
            cuts: watch::Sender::new(0),
        })
    }

    /// Where it is, as configured.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Where it listens now.
    ///
    /// # Errors
    /// [`CheckError::Dns`], if it has a name that stands for nothing.
    pub fn current(&self) -> Result<SocketAddr, CheckError> {
        match (&self.address, &self.name) {
            (Address::Numeric(address), _) => Ok(*address),
            (Address::Named { port, .. }, Some(name)) => {
                name.current().map(|host| SocketAddr::new(host, *port))
            }
            (Address::Named { host, .. }, None) => {
                Err(CheckError::dns(Arc::clone(host), "nobody resolves it"))
            }
        }
    }

    /// The name, if it has one.
    pub const fn name(&self) -> Option<&Arc<Name>> {
        self.name.as_ref()
    }

    /// What passed so far.
    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Notes the outcome of a connection attempt; whether health should hear of it. Every failure
    /// should; of successes only the first after a failure, so that the usual case costs no message.
    pub fn attempted(&self, connected: bool) -> bool {
        if connected {
            self.failing.load(Ordering::Relaxed) && self.failing.swap(false, Ordering::Relaxed)
        } else {
            self.failing.store(true, Ordering::Relaxed);
            true
        }
    }

    /// Counts a flow that went well and is not told of by itself.
    pub(super) fn succeeded(&self) {
        self.successes.fetch_add(1, Ordering::Relaxed);
    }

    /// The flows that went well so far, but for those that health was told of.
    pub fn successes(&self) -> u64 {
        self.successes.load(Ordering::Relaxed)
    }

    /// Takes back that health should hear of a success: it could not be told.
    pub fn untold(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }

    /// Ends every connection that goes through this upstream now.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Changes at every [`cut`](Self::cut) from now on.
    pub fn cuts(&self) -> watch::Receiver<u64> {
        self.cuts.subscribe()
    }
}

impl Traffic {
    /// Bytes that clients sent to the backend.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes that the backend sent to clients.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}
