//! What virtual routers depend on, beside interfaces: scripts, files and processes.

mod file;
mod process;
mod script;

use std::collections::HashMap;

use lb_vrrp::Signal;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::config::check::Initial;
use crate::config::{Config, VrrpScript, VrrpTrackFile, VrrpTrackProcess};

/// What it is, by name.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Thing {
    File(String),
    Process(String),
    Script(String),
}

/// What is to be watched.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Watched {
    File(VrrpTrackFile),
    Process(VrrpTrackProcess),
    Script(VrrpScript),
}

/// Tells what was seen: whenever it is something else, and at first.
#[derive(Clone, Debug)]
struct Reporter {
    thing: Thing,
    sender: mpsc::Sender<(Thing, Signal)>,
}

impl Reporter {
    async fn report(&self, signal: Signal) {
        // If nobody listens any more there is nothing to be done.
        let _ = self.sender.send((self.thing.clone(), signal)).await;
    }
}

/// All that is watched, as long as this lives.
#[derive(Debug)]
pub(super) struct Watches {
    sender: mpsc::Sender<(Thing, Signal)>,
    watches: HashMap<Thing, Watch>,
    /// What is known of each.
    seen: HashMap<Thing, Signal>,
}

#[derive(Debug)]
struct Watch {
    watched: Watched,
    task: AbortHandle,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watches {
    pub(super) fn new() -> (Self, mpsc::Receiver<(Thing, Signal)>) {
        let (sender, receiver) = mpsc::channel(64);
        (Self { sender, watches: HashMap::new(), seen: HashMap::new() }, receiver)
    }

    /// Watches what this configuration describes, and nothing else. What stays as it was is not
    /// disturbed.
    pub(super) fn watch(&mut self, config: &Config) {
        let mut before = std::mem::take(&mut self.watches);
        for watched in Watched::all(config) {
            let thing = watched.thing();
            let known = before.remove(&thing).filter(|known| known.watched == watched);
            let watch = known.unwrap_or_else(|| {
                self.seen.remove(&thing);
                let reporter = Reporter { thing: thing.clone(), sender: self.sender.clone() };
                let task = tokio::spawn(watched.clone().watch(reporter)).abort_handle();
                Watch { watched, task }
            });
            self.watches.insert(thing, watch);
        }
        for gone in before.keys() {
            self.seen.remove(gone);
        }
    }

    /// Remembers what was seen.
    pub(super) fn see(&mut self, thing: Thing, signal: Signal) {
        self.seen.insert(thing, signal);
    }

    /// What is known of all that this configuration describes, or what it counts as until it is.
    pub(super) fn signals(&self, config: &Config) -> HashMap<Thing, Signal> {
        let signals = Watched::all(config).map(|watched| {
            let thing = watched.thing();
            let is_known = self.watches.get(&thing).is_some_and(|known| known.watched == watched);
            let known = self.seen.get(&thing).filter(|_| is_known).copied();
            let signal = known.unwrap_or_else(|| watched.initially());
            (thing, signal)
        });
        signals.collect()
    }
}

impl Watched {
    fn all(config: &Config) -> impl Iterator<Item = Self> {
        let scripts = config.vrrp_scripts.iter().cloned().map(Self::Script);
        let files = config.vrrp_track_files.iter().cloned().map(Self::File);
        let processes = config.vrrp_track_processes.iter().cloned().map(Self::Process);
        scripts.chain(files).chain(processes)
    }

    fn initially(&self) -> Signal {
        match self {
            Self::File(file) => Signal::Value(file::read(&file.file)),
            Self::Process(process) => process::signal(process),
            Self::Script(script) if script.initial == Initial::Down => Signal::Down,
            Self::Script(_) => Signal::Up,
        }
    }

    fn thing(&self) -> Thing {
        match self {
            Self::File(file) => Thing::File(file.name.clone()),
            Self::Process(process) => Thing::Process(process.name.clone()),
            Self::Script(script) => Thing::Script(script.name.clone()),
        }
    }

    async fn watch(self, reporter: Reporter) {
        match self {
            Self::File(watched) => file::watch(watched, reporter).await,
            Self::Process(watched) => process::watch(watched, reporter).await,
            Self::Script(watched) => script::watch(watched, reporter).await,
        }
    }
}
