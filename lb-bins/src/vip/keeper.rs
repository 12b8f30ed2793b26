//! The one task that drives the virtual routers and tells what happens to them.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;

use lb_vrrp::driver::{Driver, Report, RouterId};
use lb_vrrp::linux::LinuxNetwork;
use lb_vrrp::{Event, Role};
use tokio::runtime;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::balancer::Balancer;
use super::bgp::Speakers;
use super::departure::{Departure, Departures};
use super::error::StartError;
use super::faults::Faults;
use super::instance::{Group, Instance};
use super::notices::{Happening, Notice, Subject};
use super::request::{Handle, Order, Refusal, Request};
use super::spec::Spec;
use super::statics::{Statics, tell_leftovers};
use super::status::{
    CarpInstanceStatus, InstanceStatus, Status, SyncGroupStatus, role_of_group, tracked_by,
};
use super::watch::{Looked, Sighting, Watches};
use crate::config::Config;
use crate::control::{Administration, Decision, Serve};
use crate::notify::{News, Notifier};
use crate::status::ChecksStatus;

/// Drives all virtual routers of a configuration.
#[derive(Debug)]
pub struct Keeper {
    pub(super) driver: Driver<LinuxNetwork>,
    pub(super) instances: BTreeMap<String, Instance>,
    pub(super) names: HashMap<RouterId, String>,
    /// Those that are in no configuration any more, and have not ended yet.
    pub(super) leaving: Vec<Instance>,
    pub(super) groups: Vec<Group>,
    pub(super) statics: Statics,
    pub(super) watches: Watches,
    pub(super) speakers: Speakers,
    pub(super) departures: Departures,
    seen: mpsc::Receiver<Sighting>,
    pub(super) notifier: Notifier,
    /// Of the balancer in this process.
    news: mpsc::Receiver<News>,
    /// Where everything is done that may take its time.
    pub(super) beside: runtime::Handle,
    pub(super) administration: Administration,
    pub(super) serve_admin: Serve<Handle>,
    pub(super) handle: Handle,
    requests: mpsc::Receiver<Request>,
    pub(super) is_stopping: bool,
}

impl Keeper {
    /// Starts every instance; they take part as soon as [`run`](Self::run) does. Everything that may
    /// take its time is done `beside`; a balancer has as many `workers`. `serve_admin` answers on the
    /// admin address. Must be called within a runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        config: Config,
        beside: runtime::Handle,
        workers: NonZeroUsize,
        serve_admin: Serve<Handle>,
    ) -> Result<Self, StartError> {
        let network = LinuxNetwork::new().map_err(StartError::Network)?;
        if !network.is_alone() {
            warn!(
                "another vip-keeper runs in this network namespace: no address should be in both files"
            );
        }
        let (balancer, news) = Balancer::new(beside.clone(), workers);
        let (handle, requests) = Handle::new(balancer.clone());
        let (watches, seen) = Watches::new(balancer.quorums());
        let mut keeper = Self {
            driver: Driver::new(network),
            instances: BTreeMap::new(),
            names: HashMap::new(),
            leaving: Vec::new(),
            groups: Vec::new(),
            statics: Statics::new().map_err(StartError::Network)?,
            watches,
            speakers: Speakers::default(),
            departures: Departures::default(),
            seen,
            notifier: Notifier::default(),
            news,
            beside,
            administration: Administration::default(),
            serve_admin,
            handle,
            requests,
            is_stopping: false,
        };
        let looked = Looked::at(&config, None).await?;
        let decision = balancer.prepare(&config).await?;
        keeper.reconfigure(config, looked)?;
        decision.into_iter().for_each(Decision::take_over);
        Ok(keeper)
    }

    /// Asks this keeper.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until it was told to stop, every router has ended, and after that every connection.
    pub async fn run(mut self) {
        let balancer = self.handle.balancer().clone();
        let mut draining = std::pin::pin!(balancer.finish());
        let mut is_released = false;
        loop {
            self.speak();
            tokio::select! {
                report = self.driver.next(), if !is_released => match report {
                    Some((id, report)) => self.heed(id, report),
                    None => is_released = true,
                },
                () = &mut draining, if is_released => break,
                Some(request) = self.requests.recv() => self.obey(request),
                Some(sighting) = self.seen.recv() => self.see(sighting),
                () = self.statics.due() => self.statics.look(),
                (departure, held, may) = self.departures.next() => {
                    self.leave(departure, held, may);
                }
                Some(news) = self.news.recv() => self.notifier.tell(news),
            }
        }
        self.end().await;
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::Order { instance, order: Order::Switchover, reply }
                if self.is_master(&instance) && !self.is_stopping =>
            {
                self.depart(Departure::Switchover { instance, reply }, None);
            }
            Request::Order { instance, order, reply } => {
                let _ = reply.send(self.order(instance, order));
            }
            Request::Door { reply } => {
                let _ = reply.send(self.administration.door().cloned());
            }
            Request::Ping { reply } => {
                let _ = reply.send(());
            }
            Request::Reconfigure { reply, .. } if self.is_stopping => {
                let _ = reply.send(Err(StartError::Stopping));
            }
            Request::Reconfigure { config, looked, left, reply } => {
                self.depart(Departure::Reconfigure { config, looked, reply }, Some(left));
            }
            Request::Status { reply } => {
                let _ = reply.send(self.status());
            }
            Request::Stop => {
                info!(
                    "{}",
                    match self.is_stopping {
                        false => "stopping: masters answer until their successors do",
                        true => "stopping at once",
                    }
                );
                match std::mem::replace(&mut self.is_stopping, true) {
                    false => self.depart(Departure::Stop, None),
                    true => self.stop_at_once(),
                }
            }
        }
    }

    /// Whether an instance is master, and not about to be none.
    pub(super) fn is_master(&self, name: &str) -> bool {
        let Some(instance) = self.instances.get(name) else { return false };
        self.driver.role(instance.id) == Role::Master && !self.driver.is_releasing(instance.id)
    }

    /// Has announced and withdrawn by BGP what should be by now.
    fn speak(&self) {
        self.speakers.decide(|instance| self.is_master(instance));
    }

    pub(super) fn order(&mut self, name: String, order: Order) -> Result<(), Refusal> {
        let Some(instance) = self.instances.get(&name) else {
            let known: Vec<_> = self.instances.keys().map(String::as_str).collect();
            return Err(Refusal::UnknownInstance { name, known: known.join(", ") });
        };
        match order {
            Order::Preempt => {
                self.driver.preempt_again(instance.id);
                Ok(())
            }
            Order::Switchover if self.driver.is_releasing(instance.id) => {
                Err(Refusal::Leaving { instance: name })
            }
            Order::Switchover => self.driver.switchover(instance.id).map_err(|refused| {
                Refusal::NotMaster { instance: name, role: refused.role.name() }
            }),
        }
    }

    fn see(&mut self, sighting: Sighting) {
        let Sighting { thing, signal, .. } = &sighting;
        for instance in self.instances.values() {
            if let Some(tracker) = instance.tracker_of(thing) {
                self.driver.track(instance.id, tracker, *signal);
            }
        }
        self.speakers.see(thing, *signal);
        self.watches.see(sighting);
    }

    fn status(&self) -> Status {
        let instances = self.instances.values().filter_map(|instance| {
            let Spec::Vrrp(config) = &instance.spec else { return None };
            let counters = self.driver.counters(instance.id)?;
            let router = self.driver.router(instance.id)?;
            Some(InstanceStatus::of(instance, config, router, counters))
        });
        let hosts = self.instances.values().filter_map(|instance| {
            let Spec::Carp(config) = &instance.spec else { return None };
            let counters = self.driver.counters(instance.id)?;
            let host = self.driver.carp(instance.id)?;
            Some(CarpInstanceStatus::of(instance, config, host, counters))
        });
        let groups = self.groups.iter().map(|group| SyncGroupStatus {
            name: group.config.name.clone(),
            state: self.role_of(group).name(),
            members: group.config.members.clone(),
        });
        Status {
            vrrp_instances: instances.collect(),
            carp_instances: hosts.collect(),
            vrrp_sync_groups: groups.collect(),
            bgp_announcements: self.speakers.status(),
            tracked: tracked_by(self.instances.values(), self.watches.status()),
            virtual_servers: Vec::new(),
            notify: self.notifier.status(),
            checks: ChecksStatus::default(),
        }
    }

    fn role_of(&self, group: &Group) -> Role {
        let members = group.config.members.iter().filter_map(|name| self.instances.get(name));
        let roles: Vec<_> = members.map(|member| self.driver.role(member.id)).collect();
        role_of_group(&roles)
    }

    /// What the driver tells.
    fn heed(&mut self, id: RouterId, report: Report) {
        let beside = self.beside.clone();
        let _beside = beside.enter();
        let router = self.driver.router(id);
        let seen = router.map(|router| (router.state().role(), router.priority().get()));
        let Self { driver, instances, names, leaving, notifier, .. } = self;
        let gone = leaving.iter_mut().find(|one| one.id == id);
        // Another one may have its name by now: that goes on.
        let is_deleted = gone.as_ref().is_some_and(|one| !instances.contains_key(one.spec.name()));
        let known = names.get(&id).and_then(|name| instances.get_mut(name));
        let Some(instance) = known.or(gone) else { return };
        if let Some((_, priority)) = seen {
            instance.priority = priority;
        }
        let happening = match report {
            Report::Ended => return self.forget(id),
            Report::Failed { operation, error } => {
                let instance = instance.spec.name();
                return warn!(instance, %error, "{operation} failed");
            }
            Report::AddressesDiffer { sender } => {
                let instance = instance.spec.name();
                return warn!(
                    instance,
                    %sender,
                    "another router lists other addresses: if it is not yours, take another \
                     virtual_router_id; if it is, give both the same addresses"
                );
            }
            Report::Leftovers { removed, found } => return tell_leftovers(&removed, &found),
            Report::Refused { sender, refusal } => {
                let instance = instance.spec.name();
                let sender = sender.map_or_else(|| "unknown".to_owned(), |it| it.to_string());
                return warn!(instance, sender, why = %refusal, "an advertisement is refused");
            }
            Report::Restored { address } => {
                let instance = instance.spec.name();
                return warn!(instance, %address, "somebody took an address away: it is put back");
            }
            Report::TrackedInterface { tracker, is_up } => {
                return instance.see_interface(tracker, is_up);
            }
            Report::Event(Event::SwitchoverFailed) => {
                warn!(instance = instance.spec.name(), "nobody took the addresses over");
                return self.claim_again();
            }
            Report::Event(Event::FaultsChanged { causes }) => {
                let faults = Faults::of(driver, id);
                let faults = faults.unwrap_or(Faults { causes, trackers: Vec::new() });
                return instance.hear_faults(&faults);
            }
            Report::Event(event) => instance.hear(event, seen.map(|(role, _)| role), is_deleted),
            other => return info!(instance = instance.spec.name(), "{other:?}"),
        };
        let Some(happening) = happening.filter(|_| !instance.is_replaced) else { return };
        let (name, priority) = (instance.spec.name(), instance.priority);
        let notice = Notice { subject: Subject::Instance, name, happening, priority };
        instance.teller.tell(notice, instance.spec.notify(), notifier);
        self.tell_groups();
    }

    /// Tells what an instance is, under the name that it has now.
    pub(super) fn introduce(&mut self, name: &str) {
        let Self { driver, instances, notifier, .. } = self;
        let Some(instance) = instances.get_mut(name) else { return };
        let router = driver.router(instance.id);
        let priority = router.map_or(0, |router| router.priority().get());
        let (subject, happening) = (Subject::Instance, Happening::Became(driver.role(instance.id)));
        let notice = Notice { subject, name, happening, priority };
        instance.teller.tell(notice, instance.spec.notify(), notifier);
    }

    /// Groups that are something else now, or are new and something already.
    pub(super) fn tell_groups(&mut self) {
        let roles: Vec<_> = self.groups.iter().map(|group| self.role_of(group)).collect();
        for (group, role) in self.groups.iter_mut().zip(roles) {
            let happening = match role {
                Role::Initialize if self.is_stopping => Happening::Stopped,
                // A member that has only just come has not begun.
                Role::Initialize => continue,
                _ => Happening::Became(role),
            };
            if std::mem::replace(&mut group.role, role) == role {
                continue;
            }
            let name = group.config.name.as_str();
            info!(group = name, to = happening.word(), "transition");
            let notice = Notice { subject: Subject::Group, name, happening, priority: 0 };
            group.teller.tell(notice, &group.config.notify, &mut self.notifier);
        }
    }

    fn forget(&mut self, id: RouterId) {
        if let Err(error) = self.driver.network_mut().close(id) {
            warn!(%error, "something is left on this host");
        }
        if let Some(at) = self.leaving.iter().position(|one| one.id == id) {
            let gone = self.leaving.swap_remove(at);
            info!(instance = gone.spec.name(), "removed");
            tokio::spawn(gone.teller.finish());
        }
    }
}
