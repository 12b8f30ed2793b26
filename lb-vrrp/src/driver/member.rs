//! What one router has in a driver, beside its state: a voice, and what is counted.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::announcer::Announcer;
use super::complaints::{Complaint, Complaints};
use super::debounce::{Debouncer, Which};
use super::links::Links;
use super::restorer::Restorer;
use super::voice::{Said, Voice};
use super::{Counters, Network, Operation, Pacing, Report, RouterId};
use crate::router::{Action, Event, Role};

/// How long a router whose addresses could not be added leaves them to others before it tries again.
const RETRY: Duration = Duration::from_secs(5);

/// How long after routes or rules could not be added they are tried again.
const ROUTES_RETRY: Duration = Duration::from_secs(1);

/// One router's part of the driver.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: RouterId,
    pub(super) voice: Voice,
    pub(super) counters: Counters,
    pub(super) complaints: Complaints,
    pub(super) announcer: Announcer,
    pub(super) reports: Vec<Report>,
    pub(super) debouncer: Debouncer,
    /// What somebody takes away again and again; `None` for the routes.
    restorer: Restorer<Option<IpAddr>>,
    /// When addresses that could not be added are tried again.
    pub(super) retry_at: Option<Instant>,
    /// When routes and rules that could not be added are.
    routes_retry_at: Option<Instant>,
    /// It is to be forgotten when it has ended.
    pub(super) is_leaving: bool,
    /// Whether the network was told that it gives the addresses up.
    is_hushed: bool,
    /// Whether it was said that nothing can be sent.
    is_mute: bool,
    /// What could not be announced, which was said of the first one.
    unannounced: Vec<IpAddr>,
}

/// What an action came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Done {
    /// It is done, or as good as.
    Yes,
    /// Addresses could not be added.
    NotAdded,
}

impl Member {
    pub(super) fn new(id: RouterId, voice: Voice, pacing: Pacing) -> Self {
        Self {
            id,
            voice,
            counters: Counters::new(),
            complaints: Complaints::default(),
            announcer: Announcer::new(pacing),
            reports: Vec::new(),
            debouncer: Debouncer::default(),
            restorer: Restorer::default(),
            retry_at: None,
            routes_retry_at: None,
            is_leaving: false,
            is_hushed: false,
            is_mute: false,
            unannounced: Vec::new(),
        }
    }

    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let deadlines = [
            self.announcer.next_deadline(now),
            self.retry_at,
            self.routes_retry_at,
            self.restorer.next_deadline(),
            self.debouncer.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Does what the router asks for.
    pub(super) fn perform(
        &mut self,
        now: Instant,
        action: Action<Said>,
        network: &mut impl Network,
    ) -> Done {
        match action {
            Action::AddAddresses => return self.add_all(now, network),
            Action::RestoreAddress(address) => {
                if self.restorer.lose(now, Some(address)) {
                    return self.restore(now, address, network);
                }
            }
            Action::RemoveAddresses => {
                self.announcer.clear();
                self.restorer.clear();
                self.routes_retry_at = None;
                let removed = network.remove_routes(self.id);
                self.note(Operation::RemoveRoutes, removed);
                for address in self.addresses(network) {
                    self.remove(address, network);
                }
            }
            Action::RemoveAddress(address) => self.remove(address, network),
            Action::Advertise(said) => self.advertise(said, network),
            Action::Announce { times } => {
                for address in self.addresses(network) {
                    self.announcer.ask(address, times);
                }
            }
            Action::Notify(event) => {
                if let Event::Transition { from, to, .. } = event {
                    self.counters.became_master += u64::from(to == Role::Master);
                    self.counters.released_master += u64::from(from == Role::Master);
                }
                self.reports.push(Report::Event(event));
            }
        }
        Done::Yes
    }

    /// Adds everything that is not there yet.
    pub(super) fn add_all(&mut self, now: Instant, network: &mut impl Network) -> Done {
        let mut done = Done::Yes;
        for address in self.addresses(network) {
            if self.add(now, address, network) == Done::NotAdded {
                done = Done::NotAdded;
            }
        }
        self.add_routes(now, network);
        done
    }

    /// After another configuration: what it does not have any more is not spoken of, and what is new is
    /// added if the router `holds` its addresses.
    pub(super) fn take_over(
        &mut self,
        now: Instant,
        before: &[IpAddr],
        reconfigured: io::Result<()>,
        holds: bool,
        network: &mut impl Network,
    ) -> Done {
        self.note(Operation::Reconfigure, reconfigured);
        self.complaints.clear();
        let after = self.addresses(network);
        for gone in before.iter().filter(|old| !after.contains(old)) {
            self.announcer.forget(*gone);
        }
        self.unannounced.retain(|address| after.contains(address));
        // It may be others now that are not there.
        self.routes_retry_at = None;
        if holds { self.add_all(now, network) } else { Done::Yes }
    }

    fn restore(&mut self, now: Instant, address: IpAddr, network: &mut impl Network) -> Done {
        let done = self.add(now, address, network);
        if done == Done::Yes && self.complaints.is_news(now, Complaint::Restored(address)) {
            self.reports.push(Report::Restored { address });
        }
        // The kernel takes the routes away with the address that they are spoken from.
        self.add_routes(now, network);
        done
    }

    /// What was taken away too often to be put back at once, and what could not be added.
    pub(super) fn restore_late(&mut self, now: Instant, network: &mut impl Network) -> Done {
        while let Some(what) = self.restorer.pop(now) {
            match what {
                Some(address) if self.restore(now, address, network) == Done::NotAdded => {
                    return Done::NotAdded;
                }
                Some(address) => self.announcer.ask(address, 1),
                None => self.add_routes(now, network),
            }
        }
        if self.routes_retry_at.is_some_and(|at| at <= now) {
            self.add_routes(now, network);
        }
        Done::Yes
    }

    /// Somebody took routes or rules away.
    pub(super) fn restore_routes(&mut self, now: Instant, network: &mut impl Network) {
        if self.restorer.lose(now, None) {
            self.add_routes(now, network);
        }
    }

    fn add_routes(&mut self, now: Instant, network: &mut impl Network) {
        let added = network.add_routes(self.id);
        let retry_at = added.is_err().then(|| now + ROUTES_RETRY);
        // Whoever tries again has been told of.
        if std::mem::replace(&mut self.routes_retry_at, retry_at).is_none() {
            self.note(Operation::AddRoutes, added);
        }
    }

    fn advertise(&mut self, said: Said, network: &mut impl Network) {
        let is_release = said.is_release();
        if std::mem::replace(&mut self.is_hushed, is_release) != is_release {
            let hushed = network.hush(self.id, is_release);
            self.note(Operation::SetUp, hushed);
        }
        let mut failed = None;
        let Self { voice, counters, id, .. } = self;
        voice.advertise(network.utc(), said, |destination, packet| {
            match network.send(*id, destination, packet) {
                Ok(()) => counters.sent += 1,
                Err(error) => {
                    counters.not_sent += 1;
                    failed = Some((Operation::Advertise(destination), error));
                }
            }
        });
        counters.released += u64::from(is_release);
        let is_news = !std::mem::replace(&mut self.is_mute, failed.is_some());
        if let Some((operation, error)) = failed.filter(|_| is_news) {
            self.note(operation, Err(error));
        }
    }

    /// What is due of the announcements, this far from all others on the link.
    pub(super) fn announce(
        &mut self,
        now: Instant,
        spacing: Duration,
        links: &mut Links,
        network: &mut impl Network,
    ) {
        let (id, family) = (self.id, self.voice.addresses().family());
        loop {
            let reserve = || links.reserve(network.link(id), family, spacing, now);
            let Some(address) = self.announcer.pop(now, reserve) else { return };
            if self.restorer.is_waiting(Some(address)) {
                continue;
            }
            let told = network.announce(self.id, address);
            self.counters.announced += u64::from(told.is_ok());
            let is_news = self.unannounced.is_empty();
            self.unannounced.retain(|known| *known != address);
            if told.is_err() {
                self.unannounced.push(address);
            }
            if is_news {
                self.note(Operation::Announce(address), told);
            }
        }
    }

    fn add(&mut self, now: Instant, address: IpAddr, network: &mut impl Network) -> Done {
        let added = network.add_address(self.id, address);
        let done = if added.is_ok() { Done::Yes } else { Done::NotAdded };
        if done == Done::NotAdded {
            self.retry_at = Some(now + RETRY);
        }
        self.note(Operation::Add(address), added);
        done
    }

    fn remove(&mut self, address: IpAddr, network: &mut impl Network) {
        self.unannounced.retain(|known| *known != address);
        let removed = network.remove_address(self.id, address);
        self.note(Operation::Remove(address), removed);
    }

    /// All that the router holds, those first that it speaks of.
    pub(super) fn addresses(&self, network: &impl Network) -> Vec<IpAddr> {
        let mut addresses: Vec<_> = self.voice.addresses().iter().collect();
        addresses.extend(network.excluded(self.id));
        addresses
    }

    /// Of its own interface a fault tells.
    pub(super) fn tell_interface(&mut self, which: Which, is_up: bool) {
        if let Which::Tracked(tracker) = which {
            self.reports.push(Report::TrackedInterface { tracker, is_up });
        }
    }

    pub(super) fn note(&mut self, operation: Operation, result: io::Result<()>) {
        if let Err(error) = result {
            self.reports.push(Report::Failed { operation, error });
        }
    }
}
