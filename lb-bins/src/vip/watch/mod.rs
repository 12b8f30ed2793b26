//! What virtual routers depend on, beside interfaces: scripts, files, processes, checks and quorums.

mod births;
mod check;
mod file;
mod lasting;
mod looked;
mod process;
mod quorum;
mod script;

use std::collections::{BTreeSet, HashMap};

use lb_vrrp::Signal;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use self::check::Checkers;
pub(super) use self::looked::Looked;
use super::status::TrackedStatus;
use crate::config::check::Initial;
use crate::config::{
    Config, ScriptInitial, Track, Tracks, VrrpCheck, VrrpScript, VrrpTrackFile, VrrpTrackProcess,
};
use crate::notify::Quorums;

/// So many characters of a reason are kept.
const LONGEST_REASON: usize = 299;

/// What it is, by name.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Thing {
    Check(String),
    File(String),
    Process(String),
    Quorum(String),
    Script(String),
}

impl Thing {
    /// All that somebody depends on, and how.
    pub(super) fn all_of(tracks: &Tracks) -> impl Iterator<Item = (Self, &Track)> {
        type Kind = fn(String) -> Thing;
        let Tracks { scripts, files, processes, checks, quorums } = tracks;
        let kinds: [(_, Kind); 5] = [
            (scripts, Self::Script),
            (files, Self::File),
            (processes, Self::Process),
            (checks, Self::Check),
            (quorums, Self::Quorum),
        ];
        kinds.into_iter().flat_map(|(tracks, thing)| {
            tracks.iter().map(move |track| (thing(track.name.clone()), track))
        })
    }
}

/// What is to be watched.
#[derive(Clone, Debug, PartialEq)]
enum Watched {
    Check(VrrpCheck),
    File(VrrpTrackFile),
    Process(VrrpTrackProcess),
    /// Of the virtual server of this name.
    Quorum(String),
    Script(VrrpScript),
}

impl Watched {
    /// Whether what was seen of another one of its name holds until this one has seen something: a reload that
    /// changes how somebody is asked is no reason to believe anything else, as with the checks of backends,
    /// and in keepalived. What can be looked at at once is.
    const fn succeeds(&self) -> bool {
        matches!(self, Self::Check(_) | Self::Script(_))
    }
}

/// What was seen of something.
#[derive(Debug)]
pub(super) struct Sighting {
    pub(super) thing: Thing,
    pub(super) signal: Signal,
    /// Why it is down, if it is and that is known.
    reason: Option<String>,
}

/// What is known of something.
#[derive(Clone, Debug)]
struct Seen {
    signal: Signal,
    reason: Option<String>,
}

/// Tells what was seen: whenever it is something else, and at first.
#[derive(Clone, Debug)]
struct Reporter {
    thing: Thing,
    sender: mpsc::Sender<Sighting>,
}

impl Reporter {
    async fn report(&self, signal: Signal) {
        self.report_with(signal, None).await;
    }

    /// Up, or down for this reason.
    async fn report_health(&self, reason: Option<String>) {
        let signal = if reason.is_none() { Signal::Up } else { Signal::Down };
        self.report_with(signal, reason).await;
    }

    async fn report_with(&self, signal: Signal, reason: Option<String>) {
        let reason = reason.map(|reason| bounded(&reason));
        // If nobody listens any more there is nothing to be done.
        let _ = self.sender.send(Sighting { thing: self.thing.clone(), signal, reason }).await;
    }
}

/// A reason, which may have come from anywhere: nobody reads more of it, and it is kept.
fn bounded(text: &str) -> String {
    match text.char_indices().nth(LONGEST_REASON) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// All that is watched, as long as this lives.
#[derive(Debug)]
pub(super) struct Watches {
    sender: mpsc::Sender<Sighting>,
    watches: HashMap<Thing, Watch>,
    /// What is known of each.
    seen: HashMap<Thing, Seen>,
    quorums: watch::Receiver<Quorums>,
}

#[derive(Debug)]
struct Watch {
    watched: Watched,
    /// What is in the files that it needs.
    stamp: u64,
    task: AbortHandle,
}

impl Watch {
    /// Whether that is what it does.
    fn does(&self, watched: &Watched, stamp: u64) -> bool {
        (&self.watched, self.stamp) == (watched, stamp)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watches {
    pub(super) fn new(quorums: watch::Receiver<Quorums>) -> (Self, mpsc::Receiver<Sighting>) {
        let (sender, receiver) = mpsc::channel(64);
        (Self { sender, watches: HashMap::new(), seen: HashMap::new(), quorums }, receiver)
    }

    /// Watches what this configuration describes, and nothing else. What stays as it was is not
    /// disturbed; checks that are new or others are run by these `checkers`.
    pub(super) fn watch(&mut self, config: &Config, mut checkers: Checkers) {
        let mut before = std::mem::take(&mut self.watches);
        for watched in Watched::all(config) {
            let (thing, stamp) = (watched.thing(), watched.stamp(&checkers));
            let known = before.remove(&thing).filter(|known| known.does(&watched, stamp));
            let watch = known.unwrap_or_else(|| {
                let before = self.seen.get(&thing).filter(|_| watched.succeeds());
                let before = before.map(|seen| seen.signal == Signal::Up);
                if before.is_none() {
                    self.seen.remove(&thing);
                }
                let reporter = Reporter { thing: thing.clone(), sender: self.sender.clone() };
                let task = match watched.clone() {
                    Watched::Check(check) => {
                        let built = checkers.remove(&check.name).unwrap_or_default();
                        tokio::spawn(check::watch(check, built.checks, before, reporter))
                    }
                    Watched::File(watched) => tokio::spawn(file::watch(watched, reporter)),
                    Watched::Process(watched) => tokio::spawn(process::watch(watched, reporter)),
                    Watched::Quorum(name) => {
                        tokio::spawn(quorum::watch(name, self.quorums.clone(), reporter))
                    }
                    Watched::Script(watched) => {
                        tokio::spawn(script::watch(watched, before, reporter))
                    }
                };
                let task = task.abort_handle();
                Watch { watched, stamp, task }
            });
            self.watches.insert(thing, watch);
        }
        for gone in before.keys() {
            self.seen.remove(gone);
        }
    }

    /// Remembers what was seen.
    pub(super) fn see(&mut self, sighting: Sighting) {
        let Sighting { thing, signal, reason } = sighting;
        self.seen.insert(thing, Seen { signal, reason });
    }

    /// What is known of all that was looked at, or what it counts as until it is.
    pub(super) fn signals(&self, looked: &mut Looked) -> HashMap<Thing, Signal> {
        let Looked { signals, checkers, .. } = looked;
        let signals = signals.drain(..).map(|(watched, initially)| {
            let (thing, stamp) = (watched.thing(), watched.stamp(checkers));
            let known = self.watches.get(&thing);
            let is_known = known.is_some_and(|known| known.does(&watched, stamp));
            let holds = is_known || watched.succeeds();
            let known = self.seen.get(&thing).filter(|_| holds).map(|seen| seen.signal);
            (thing, known.unwrap_or(initially))
        });
        signals.collect()
    }

    /// What was seen.
    pub(super) fn status(&self) -> Vec<TrackedStatus> {
        let all = self.watches.keys().map(|thing| {
            let (kind, name) = thing.words();
            let seen = self.seen.get(thing);
            let reason = seen.and_then(|seen| seen.reason.clone());
            let seen = seen.map(|seen| seen.signal);
            let state = match seen {
                Some(Signal::Down) => Some("down"),
                Some(Signal::Up) => Some("up"),
                _ => None,
            };
            let value = match seen {
                Some(Signal::Value(number)) => Some(number),
                _ => None,
            };
            TrackedStatus { kind, name: name.to_owned(), state, value, reason }
        });
        all.collect()
    }
}

impl Thing {
    /// What it is, and its name.
    pub(super) fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Check(name) => ("check", name),
            Self::File(name) => ("file", name),
            Self::Process(name) => ("process", name),
            Self::Quorum(name) => ("quorum", name),
            Self::Script(name) => ("script", name),
        }
    }
}

impl Watched {
    fn all(config: &Config) -> impl Iterator<Item = Self> {
        let scripts = config.vrrp_scripts.iter().cloned().map(Self::Script);
        let files = config.vrrp_track_files.iter().cloned().map(Self::File);
        let processes = config.vrrp_track_processes.iter().cloned().map(Self::Process);
        let checks = config.vrrp_checks.iter().cloned().map(Self::Check);
        let tracks = config.tracks().flat_map(|tracks| &tracks.quorums);
        let quorums: BTreeSet<_> = tracks.map(|track| track.name.clone()).collect();
        let quorums = quorums.into_iter().map(Self::Quorum);
        scripts.chain(files).chain(processes).chain(checks).chain(quorums)
    }

    /// What is in the files that it needs, of which `checkers` were made.
    fn stamp(&self, checkers: &Checkers) -> u64 {
        match self {
            Self::Check(check) => checkers.get(&check.name).map_or(0, |built| built.stamp),
            _ => 0,
        }
    }

    fn initially(&self) -> Signal {
        match self {
            Self::Check(check) if check.checks.iter().all(|one| one.initial == Initial::Up) => {
                Signal::Up
            }
            // Before anything is known of it nobody can rely on it.
            Self::Check(_) | Self::Quorum(_) => Signal::Down,
            Self::File(file) => Signal::Value(file::read(&file.file)),
            Self::Process(process) => process::signal(process),
            Self::Script(script) => match script.initial {
                ScriptInitial::Down => Signal::Down,
                ScriptInitial::Unknown => Signal::Unknown,
                ScriptInitial::Up => Signal::Up,
            },
        }
    }

    fn thing(&self) -> Thing {
        match self {
            Self::Check(check) => Thing::Check(check.name.clone()),
            Self::File(file) => Thing::File(file.name.clone()),
            Self::Process(process) => Thing::Process(process.name.clone()),
            Self::Quorum(name) => Thing::Quorum(name.clone()),
            Self::Script(script) => Thing::Script(script.name.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As by backends: an old password is of no use; but who is up is so until the new one has failed.
    #[tokio::test]
    async fn a_check_begins_anew_when_a_file_that_it_needs_has_changed() {
        let path = std::env::temp_dir().join(format!("vip-password-{}", std::process::id()));
        let text = format!(
            "[[vrrp_check]]\nname = \"primary\"\ntarget = \"127.0.0.1:1\"\n\
             check = {{ type = \"redis\", password_file = {path:?} }}\n\
             [[vrrp_instance]]\nname = \"web\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
             addresses = [\"192.0.2.200\"]\ntrack_checks = [\"primary\"]\n"
        );
        let config = Config::parse("vip.toml", &text).unwrap();
        let (mut watches, _seen) = Watches::new(watch::Sender::default().subscribe());
        let thing = Thing::Check("primary".to_owned());
        let mut tasks = Vec::new();
        for password in ["one", "one", "two"] {
            std::fs::write(&path, password).unwrap();
            let mut looked = Looked::at(&config, None).await.unwrap();
            let signals = watches.signals(&mut looked);
            let known = if tasks.is_empty() { Signal::Down } else { Signal::Up };
            assert_eq!(signals[&thing], known);
            watches.watch(&config, looked.checkers);
            tasks.push(watches.watches[&thing].task.id());
            let sighting = Sighting { thing: thing.clone(), signal: Signal::Up, reason: None };
            watches.see(sighting);
        }
        assert!(tasks[0] == tasks[1] && tasks[1] != tasks[2], "{tasks:?}");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_reason_takes_no_more_room_than_anybody_reads() {
        let bounded_length = |text: &str| bounded(text).chars().count();
        assert_eq!(bounded("exit status: 3"), "exit status: 3");
        assert_eq!(bounded_length(&"ä".repeat(299)), 299);
        assert_eq!(bounded_length(&"ä".repeat(100_000)), 300);
    }
}
