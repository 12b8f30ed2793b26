//! Announcing addresses by BGP, through a daemon that speaks it: as long as this host is fit for them,
//! and withdrawn before it gives them up.
//!
//! ```text
//!   instances, scripts, files, processes ──▶ keeper ──▶ Speakers ──▶ task ──▶ Voice: BIRD or ExaBGP
//!                         departure ◀── withdrawn, and `withdraw_delay` ──┘
//! ```

mod bird;
mod exabgp;
mod status;
mod task;
mod voice;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use lb_vrrp::Signal;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::warn;

pub use self::status::AnnouncementStatus;
use self::task::{Report, State, Wanted, run};
use self::voice::{ANSWER, Turns};
use super::watch::Thing;
use crate::config::{BgpAnnouncement, Config, Track};

/// A withdrawal that takes longer is not waited for: one attempt that is under way, and the next.
const LONGEST_WITHDRAWAL: Duration = Duration::from_secs(2 * ANSWER.as_secs() + 1);

/// All announcements of a configuration.
#[derive(Debug, Default)]
pub(super) struct Speakers {
    all: BTreeMap<String, Announcement>,
    turns: Turns,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Announcement {
    config: BgpAnnouncement,
    things: Vec<Depended>,
    /// How many departures it is withdrawn for.
    held: usize,
    wanted: watch::Sender<Wanted>,
    report: watch::Receiver<Report>,
    task: JoinHandle<()>,
}

/// Something that it depends on.
#[derive(Debug)]
struct Depended {
    thing: Thing,
    reverse: bool,
    signal: Signal,
}

impl Depended {
    /// Of what nobody has seen yet it cannot be said.
    const fn is_fit(&self) -> bool {
        match self.signal {
            Signal::Unknown => false,
            Signal::Up | Signal::Value(0) => !self.reverse,
            _ => self.reverse,
        }
    }
}

/// All that an announcement depends on, with what is known of it.
fn things(config: &BgpAnnouncement, known: &HashMap<Thing, Signal>) -> Vec<Depended> {
    let depended = |(thing, track): (Thing, &Track)| {
        let signal = known.get(&thing).copied().unwrap_or_default();
        Depended { thing, reverse: track.reverse, signal }
    };
    Thing::all_of(&config.tracks).map(depended).collect()
}

impl Speakers {
    /// Takes over a configuration: what is gone is withdrawn, what has changed is said anew, what is
    /// as it was is not disturbed.
    pub(super) fn reconfigure(&mut self, config: &Config, known: &HashMap<Thing, Signal>) {
        let mut before = std::mem::take(&mut self.all);
        for configured in &config.bgp_announcements {
            let name = configured.name.clone();
            let mut announcement = match before.remove(&name) {
                Some(announcement) => announcement,
                None => Announcement::start(configured.clone(), self.turns.clone()),
            };
            announcement.things = things(configured, known);
            announcement.config = configured.clone();
            self.all.insert(name, announcement);
        }
        for gone in before.into_values() {
            gone.wanted.send_modify(Wanted::end);
        }
    }

    /// Something that may be depended on was seen.
    pub(super) fn see(&mut self, thing: &Thing, signal: Signal) {
        for announcement in self.all.values_mut() {
            let known = announcement.things.iter_mut().filter(|known| known.thing == *thing);
            known.for_each(|known| known.signal = signal);
        }
    }

    /// Has each announced or withdrawn as it should be now; `is_master` says so of instances.
    pub(super) fn decide(&self, is_master: impl Fn(&str) -> bool) {
        for announcement in self.all.values() {
            let BgpAnnouncement { instance, speaker, interval, .. } = &announcement.config;
            let is_fit = announcement.things.iter().all(Depended::is_fit)
                && instance.as_deref().is_none_or(&is_master)
                && announcement.held == 0;
            announcement
                .wanted
                .send_if_modified(|wanted| wanted.become_this(is_fit, speaker, *interval));
        }
    }

    /// Withdraws those that `leave`, until they are [let go](Self::let_go) as often. Each future
    /// resolves when routers know of one; there is none for those that were announced nowhere.
    pub(super) fn withdraw(
        &mut self,
        leave: impl Fn(&BgpAnnouncement) -> bool,
    ) -> (Vec<String>, Vec<BoxFuture<'static, ()>>) {
        let mut held = Vec::new();
        let mut waits = Vec::new();
        for announcement in self.all.values_mut().filter(|announcement| leave(&announcement.config))
        {
            announcement.held += 1;
            held.push(announcement.config.name.clone());
            let BgpAnnouncement { speaker, interval, withdraw_delay, .. } = &announcement.config;
            announcement
                .wanted
                .send_if_modified(|wanted| wanted.become_this(false, speaker, *interval));
            let order = announcement.wanted.borrow().number;
            if !announcement.report.borrow().is_settled(order, *withdraw_delay) {
                waits.push(announcement.withdrawn(order).boxed());
            }
        }
        (held, waits)
    }

    /// What was withdrawn for a departure may be announced again, if it should be.
    pub(super) fn let_go(&mut self, held: &[String]) {
        for name in held {
            if let Some(announcement) = self.all.get_mut(name) {
                announcement.held = announcement.held.saturating_sub(1);
            }
        }
    }

    pub(super) fn status(&self) -> Vec<AnnouncementStatus> {
        self.all.values().map(AnnouncementStatus::of).collect()
    }

    /// Resolves when everything is withdrawn, or cannot be.
    pub(super) async fn finish(self) {
        for announcement in self.all.values() {
            announcement.wanted.send_modify(Wanted::end);
        }
        for announcement in self.all.into_values() {
            if timeout(LONGEST_WITHDRAWAL, announcement.task).await.is_err() {
                warn!(announcement = announcement.config.name, "not withdrawn: the speaker hangs");
            }
        }
    }
}

impl Announcement {
    /// Nothing is announced until it is [decided](Speakers::decide); what a process before this one
    /// has left is put right at once.
    fn start(config: BgpAnnouncement, turns: Turns) -> Self {
        let wanted = Wanted::new(config.speaker.clone(), config.interval);
        let (wanted, orders) = watch::channel(wanted);
        let (reports, report) = watch::channel(Report::new(Instant::now()));
        let task = tokio::spawn(run(config.name.clone(), orders, reports, turns));
        Self { config, things: Vec::new(), held: 0, wanted, report, task }
    }

    /// Resolves when routers have had their time since the withdrawal that has this number, or when
    /// it has failed.
    fn withdrawn(&self, order: u64) -> impl Future<Output = ()> + Send + use<> {
        let mut report = self.report.clone();
        let (name, delay) = (self.config.name.clone(), self.config.withdraw_delay);
        async move {
            let obeyed = report.wait_for(|report| report.number >= order);
            let since = match timeout(LONGEST_WITHDRAWAL, obeyed).await {
                Ok(Ok(report)) if report.state == State::Withdrawn => report.since,
                _ => return warn!(announcement = name, "not withdrawn before it is left"),
            };
            sleep_until(since + delay).await;
        }
    }
}
