//! The virtual servers of a configuration that has virtual routers as well, in the same process.
//!
//! They have threads of their own, which start when the first virtual server does: whatever they do, no
//! advertisement is late for it.

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::error::StartError;
use crate::config::Config;
use crate::control::{Bounds, Control, Decision, Handle};
use crate::notify::{News, Observer, Quorums};
use crate::tcp::Workers;

/// News that the keeper has not read yet.
const NEWS: usize = 1024;

/// The balancer, if there is one. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Balancer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    beside: runtime::Handle,
    workers: NonZeroUsize,
    observer: Observer,
    running: Mutex<Option<Running>>,
    /// How often this process was told to stop.
    stops: AtomicU32,
}

#[derive(Debug)]
struct Running {
    control: Handle,
    task: Option<JoinHandle<()>>,
}

impl Balancer {
    /// None yet, and its news.
    pub(super) fn new(
        beside: runtime::Handle,
        workers: NonZeroUsize,
    ) -> (Self, mpsc::Receiver<News>) {
        let (news, receiver) = mpsc::channel(NEWS);
        let observer = Observer { news, quorums: watch::Sender::default() };
        let (running, stops) = (Mutex::default(), AtomicU32::new(0));
        (Self(Arc::new(Shared { beside, workers, observer, running, stops })), receiver)
    }

    /// Which virtual servers have their quorum.
    pub(super) fn quorums(&self) -> watch::Receiver<Quorums> {
        self.0.observer.quorums.subscribe()
    }

    /// Asks it, if there is one.
    pub(super) fn control(&self) -> Option<Handle> {
        self.with(|running| running.as_ref().map(|running| running.control.clone()))
    }

    /// One that somebody else runs.
    #[cfg(test)]
    pub(super) fn be(&self, control: Handle) {
        self.with(|there| *there = Some(Running { control, task: None }));
    }

    fn with<T>(&self, what: impl FnOnce(&mut Option<Running>) -> T) -> T {
        // Nothing panics while it has it.
        what(&mut self.0.running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gets ready for the virtual servers of `config`; nothing changes until it is decided.
    ///
    /// # Errors
    /// [`StartError::Balancer`], or that its threads cannot be started.
    pub(super) async fn prepare(&self, config: &Config) -> Result<Option<Decision>, StartError> {
        let control = match self.control() {
            Some(control) => control,
            None if config.virtual_servers.is_empty() => return Ok(None),
            None => self.start(Bounds::from(config)).await?,
        };
        // The pipe, the mail and the admin address are the keeper's.
        let mut config = Config { admin: None, notify_fifo: None, smtp: None, ..config.clone() };
        config.notify_fifo_script = None;
        Ok(Some(control.prepare(config).await?))
    }

    async fn start(&self, bounds: Bounds) -> Result<Handle, StartError> {
        let Shared { beside, workers, observer, .. } = &*self.0;
        let (count, observer) = (*workers, observer.clone());
        // There: whoever starts a thread hands on its own priority.
        let started = beside.spawn(async move {
            let workers = Workers::start(count)?;
            let control = Control::observed(workers, observer, bounds);
            let handle = control.handle();
            let task = tokio::spawn(control.run());
            Ok::<_, io::Error>(Running { control: handle, task: Some(task) })
        });
        let failed = StartError::Threads;
        let running = started.await.map_err(|error| failed(io::Error::other(error)))?;
        let running = running.map_err(failed)?;
        let control = running.control.clone();
        self.with(|there| *there = Some(running));
        Ok(control)
    }

    /// The first time nothing: clients find the successor of this host before connections here are
    /// drained. After that there is no more time.
    pub(super) async fn hear_of_stop(&self) {
        let before = self.0.stops.fetch_add(1, Ordering::Relaxed);
        if before > 0
            && let Some(control) = self.control()
        {
            control.stop().await;
            control.stop().await;
        }
    }

    /// Accepts nobody any more, and resolves when the last connection has ended, or its time is over.
    pub(super) async fn finish(self) {
        let running = self.with(|running| {
            let running = running.as_mut()?;
            Some((running.control.clone(), running.task.take()?))
        });
        if let Some((control, task)) = running {
            control.stop().await;
            // A panic in there was reported when it happened.
            let _ = task.await;
        }
    }
}
