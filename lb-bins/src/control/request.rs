//! What control can be asked to do, and the handle to ask it with.

use std::time::Duration;

use lb_core::Weight;
use tokio::sync::{mpsc, oneshot};

use super::looked::Looked;
use super::reload::ReloadError;
use crate::config::{Address, Config, Daemon};
use crate::process::Governed;
use crate::requests::Requests;
use crate::status::{Explanation, Status};

/// Checks that are later than that do not come any more.
const LONGEST_LAG: Duration = Duration::from_secs(30);

/// One request to control, with the way back for its answer.
#[derive(Debug)]
pub(super) enum Request {
    Administer {
        virtual_server: String,
        backend: Address,
        order: Order,
        reply: Reply<Refusal>,
    },
    Explain {
        virtual_server: String,
        backend: Address,
        reply: Explained,
    },
    Ping {
        reply: oneshot::Sender<Duration>,
    },
    Prepare {
        config: Box<Config>,
        looked: Looked,
        reply: Reply<ReloadError>,
        decision: oneshot::Receiver<()>,
    },
    Reconfigure {
        config: Box<Config>,
        looked: Looked,
        reply: Reply<ReloadError>,
    },
    Status {
        reply: oneshot::Sender<Status>,
    },
    Stop,
}

impl Request {
    /// The configuration that is to be taken over, if any is.
    pub(super) fn config(&self) -> Option<&Config> {
        match self {
            Self::Prepare { config, .. } | Self::Reconfigure { config, .. } => Some(config),
            _ => None,
        }
    }
}

type Reply<E> = oneshot::Sender<Result<(), E>>;
type Explained = oneshot::Sender<Result<Explanation, Refusal>>;

/// What an administrator says about a backend. Lasts until it is changed or the process ends, over
/// reloads too; only a changed weight in the configuration replaces a [`Weight`](Self::Weight).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Out of service: no client is sent there, not even one that belongs there.
    Disable,
    /// No new client; connections are cut after the drain timeout.
    Drain,
    /// In service again, as far as its checks say so.
    Enable,
    /// Another weight than the configured one.
    Weight(Weight),
}

/// Why an order was not carried out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The process is about to end.
    #[error("the process is stopping")]
    Stopping,
    /// The virtual server has no such backend.
    #[error("virtual server `{virtual_server}` has no backend {backend}")]
    UnknownBackend {
        /// The virtual server.
        virtual_server: String,
        /// The address that was named.
        backend: Address,
    },
    /// There is no such virtual server.
    #[error("there is no virtual server `{name}`; there are: {known}")]
    UnknownVirtualServer {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
}

/// Asks control from anywhere. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle(Requests<Request>);

impl Handle {
    pub(super) fn new() -> (Self, mpsc::Receiver<Request>) {
        let (requests, receiver) = Requests::new();
        (Self(requests), receiver)
    }

    /// One whose checks are so late, and that says nothing else. Must be called within a runtime.
    #[cfg(test)]
    pub(crate) fn late(overdue: Duration) -> Self {
        let (handle, mut requests) = Self::new();
        tokio::spawn(async move {
            while let Some(Request::Ping { reply }) = requests.recv().await {
                let _ = reply.send(overdue);
            }
        });
        handle
    }

    /// Whether control still takes up what it is asked.
    pub async fn decides(&self) -> bool {
        self.overdue().await.is_some()
    }

    /// For how long nothing was checked that should have been; `None` once control has ended.
    async fn overdue(&self) -> Option<Duration> {
        self.0.ask(|reply| Request::Ping { reply }).await.ok()
    }

    /// What everything is like now; `None` once control has ended.
    pub async fn status(&self) -> Option<Status> {
        self.0.ask(|reply| Request::Status { reply }).await.ok()
    }

    /// Carries out an order on one backend.
    ///
    /// # Errors
    /// [`Refusal`], if there is no such backend.
    pub async fn administer(
        &self,
        virtual_server: String,
        backend: Address,
        order: Order,
    ) -> Result<(), Refusal> {
        let request = |reply| Request::Administer { virtual_server, backend, order, reply };
        self.0.ask(request).await.unwrap_or(Err(Refusal::Stopping))
    }

    /// Why a backend is in the state that it is in.
    ///
    /// # Errors
    /// [`Refusal`], if there is no such backend.
    pub async fn explain(
        &self,
        virtual_server: String,
        backend: Address,
    ) -> Result<Explanation, Refusal> {
        let request = |reply| Request::Explain { virtual_server, backend, reply };
        self.0.ask(request).await.unwrap_or(Err(Refusal::Stopping))
    }

    /// Takes over another configuration.
    ///
    /// # Errors
    /// [`ReloadError`], if it cannot be taken over whole; nothing has changed then.
    pub async fn reconfigure(&self, config: Config) -> Result<(), ReloadError> {
        let (looked, config) = (Looked::aside(&config).await?, Box::new(config));
        let request = |reply| Request::Reconfigure { config, looked, reply };
        self.0.ask(request).await.unwrap_or(Err(ReloadError::Stopping))
    }

    /// Gets ready for another configuration, which is taken over, or not, as the caller decides: for
    /// whoever has something of its own to take over with it.
    ///
    /// # Errors
    /// [`ReloadError`], if it cannot be taken over whole; nothing has changed then.
    pub async fn prepare(&self, config: Config) -> Result<Decision, ReloadError> {
        let (decide, decision) = oneshot::channel();
        let (looked, config) = (Looked::aside(&config).await?, Box::new(config));
        let request = |reply| Request::Prepare { config, looked, reply, decision };
        self.0.ask(request).await.unwrap_or(Err(ReloadError::Stopping))?;
        Ok(Decision(decide))
    }

    /// Stops accepting and ends when the last connection has, or its time is over; asked a second
    /// time, ends at once.
    pub async fn stop(&self) {
        // It has ended already: what else could be asked.
        let _ = self.0.send(Request::Stop).await;
    }
}

impl Governed for Handle {
    const DAEMON: Daemon = Daemon::TcpLb;
    type Refusal = ReloadError;

    async fn reconfigure(&self, config: Config) -> Result<(), ReloadError> {
        Self::reconfigure(self, config).await
    }

    async fn stop(&self) {
        Self::stop(self).await;
    }

    async fn is_well(&self) -> bool {
        self.overdue().await.is_some_and(|late| late < LONGEST_LAG)
    }
}

/// Whether a configuration that was [prepared](Handle::prepare) is taken over. Control decides nothing else
/// before it knows, while connections go on: whoever has it waits for nobody far away. Dropped, nothing has
/// changed.
#[derive(Debug)]
#[must_use = "dropped, it is a no"]
pub struct Decision(oneshot::Sender<()>);

impl Decision {
    /// Takes it over.
    pub fn take_over(self) {
        // It has ended meanwhile: there is nothing to take over.
        let _ = self.0.send(());
    }
}
