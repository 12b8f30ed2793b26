//! Leaving on purpose: routers and clouds learn of it before the hosts of the link do, so that nobody
//! sends to where the addresses are no more.

use std::collections::{HashSet, VecDeque};
use std::fmt;

use futures::future::{BoxFuture, FutureExt, join_all};
use tokio::sync::oneshot;
use tracing::info;

use super::claim::Claim;
use super::error::StartError;
use super::keeper::Keeper;
use super::reload::predecessors;
use super::request::{Go, Order, Refusal};
use super::spec::Spec;
use super::watch::Looked;
use crate::config::{BgpAnnouncement, Config};

/// What is to be done once nobody far away sends anything here.
#[derive(Debug)]
pub(super) enum Departure {
    Reconfigure {
        config: Box<Config>,
        looked: Box<Looked>,
        reply: oneshot::Sender<Result<(), StartError>>,
    },
    Stop,
    Switchover {
        instance: String,
        reply: oneshot::Sender<Result<(), Refusal>>,
    },
}

/// Those that wait for that: one after the other, so that none overtakes another.
#[derive(Default)]
pub(super) struct Departures(VecDeque<Pending>);

struct Pending {
    departure: Departure,
    /// The announcements that are withdrawn for it.
    held: Vec<String>,
    /// Resolves when that is known, to whether it is still to be.
    known: BoxFuture<'static, bool>,
}

impl fmt::Debug for Departures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|pending| &pending.departure)).finish()
    }
}

impl Departures {
    /// The next one whose time has come. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> (Departure, Vec<String>, bool) {
        let may = match self.0.front_mut() {
            Some(pending) => pending.known.as_mut().await,
            None => std::future::pending().await,
        };
        match self.0.pop_front() {
            Some(Pending { departure, held, .. }) => (departure, held, may),
            None => std::future::pending().await,
        }
    }
}

impl Keeper {
    /// Withdraws and gives back what is to be left, and does the rest when that is known: at once, if
    /// there is nothing to wait for. Whoever wants to know that all have `left` has to answer; until then
    /// nobody else leaves.
    pub(super) fn depart(&mut self, departure: Departure, left: Option<oneshot::Sender<Go>>) {
        let leaving = self.leaving_for(&departure);
        let leaves = |announcement: &BgpAnnouncement| match &departure {
            Departure::Stop => true,
            Departure::Reconfigure { config, .. }
                if !config.bgp_announcements.iter().any(|new| new.name == announcement.name) =>
            {
                true
            }
            _ => announcement.instance.as_ref().is_some_and(|name| leaving.contains(name)),
        };
        let (held, mut waits) = self.speakers.withdraw(leaves);
        for (_, instance) in self.instances.iter_mut().filter(|(name, _)| leaving.contains(*name)) {
            let claim = instance.claim.take_if(|claim| claim.gives_back());
            let release = claim.and_then(Claim::release).map(|release| self.beside.spawn(release));
            waits.extend(release.map(|release| release.map(drop).boxed()));
        }
        if left.is_none() && waits.is_empty() && self.departures.0.is_empty() {
            return self.leave(departure, held, true);
        }
        if !held.is_empty() {
            info!(announcements = ?held, "withdrawn first, for routers to know");
        }
        let known = async move {
            join_all(waits).await;
            match left {
                Some(left) => is_told_to_go(left).await,
                None => true,
            }
        };
        let known = known.boxed();
        self.departures.0.push_back(Pending { departure, held, known });
    }

    /// What was waited for is known, and whether it `may` be done.
    pub(super) fn leave(&mut self, departure: Departure, held: Vec<String>, may: bool) {
        match departure {
            Departure::Stop => return self.driver.shutdown(),
            Departure::Reconfigure { reply, .. } if self.is_stopping => {
                let _ = reply.send(Err(StartError::Stopping));
            }
            // Whoever asked knows why not.
            Departure::Reconfigure { .. } if !may => {}
            Departure::Reconfigure { config, looked, reply } => {
                let _ = reply.send(self.reconfigure(*config, *looked));
            }
            Departure::Switchover { instance, reply } => {
                let _ = reply.send(self.order(instance, Order::Switchover));
            }
        }
        self.speakers.let_go(&held);
        self.claim_again();
    }

    /// Without waiting for anybody any more, in the middle of it or not.
    pub(super) fn stop_at_once(&mut self) {
        if self.departures.0.drain(..).any(|one| matches!(one.departure, Departure::Stop)) {
            self.driver.shutdown();
        }
        self.driver.shutdown();
    }

    /// Masters that remained what they were claim what they have given back.
    pub(super) fn claim_again(&mut self) {
        let beside = self.beside.clone();
        let _beside = beside.enter();
        let masters: Vec<_> =
            self.instances.keys().filter(|name| self.is_master(name)).cloned().collect();
        for name in masters {
            if let Some(instance) = self.instances.get_mut(&name)
                && instance.claim.is_none()
            {
                instance.claim = Claim::start(&instance.spec);
            }
        }
    }

    /// The masters that will be none.
    fn leaving_for(&self, departure: &Departure) -> HashSet<String> {
        let stay: HashSet<_> = match departure {
            Departure::Reconfigure { config, .. } => {
                let specs: Vec<_> = Spec::all(config).collect();
                let stay = predecessors(&self.instances, &specs);
                stay.into_values().map(|instance| instance.spec.name()).collect()
            }
            _ => HashSet::new(),
        };
        let leaves = |name: &str| match departure {
            Departure::Stop => true,
            Departure::Reconfigure { .. } => !stay.contains(name),
            Departure::Switchover { instance, .. } => {
                let members = self.groups.iter().map(|group| &group.config.members);
                let mut groups = members.filter(|members| members.contains(instance));
                name == instance || groups.any(|members| members.iter().any(|one| one == name))
            }
        };
        let leaving = self.instances.keys().filter(|name| leaves(name) && self.is_master(name));
        leaving.cloned().collect()
    }
}

/// Whoever has asked for it is told that everybody has left, and says whether it is still to be.
async fn is_told_to_go(left: oneshot::Sender<Go>) -> bool {
    let (go, may) = oneshot::channel();
    left.send(go).is_ok() && may.await.is_ok()
}
