//! One instance, and one group, as the keeper knows them, and what an instance makes of its events.

use std::time::Instant;

use lb_vrrp::driver::RouterId;
use lb_vrrp::{Because, Event, FaultCauses, Role, TrackerId};
use tracing::{debug, info, warn};

use super::claim::Claim;
use super::faults::Faults;
use super::notices::{Happening, Teller};
use super::spec::Spec;
use super::watch::Thing;
use crate::config::VrrpSyncGroup;

/// One virtual router, or CARP host.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) id: RouterId,
    pub(super) spec: Spec,
    /// What it depends on, beside interfaces.
    pub(super) things: Vec<(Thing, TrackerId)>,
    interfaces: Vec<Interface>,
    /// Since when it is what it is.
    pub(super) since: Instant,
    /// What was told of it last: one that has ended has none. CARP has 0.
    pub(super) priority: u8,
    pub(super) teller: Teller,
    /// As long as it is master, if it has something to claim.
    pub(super) claim: Option<Claim>,
    /// Another one has its name, and nobody is told of this one any more.
    pub(super) is_replaced: bool,
    /// Why it is not fit, as it was logged last.
    told: FaultCauses,
}

/// An interface that one instance tracks.
#[derive(Debug)]
struct Interface {
    name: String,
    tracker: TrackerId,
    /// Unknown before it was looked at.
    is_up: Option<bool>,
}

impl Instance {
    /// One that has not begun.
    pub(super) fn new(id: RouterId, spec: Spec, teller: Teller) -> Self {
        Self {
            id,
            spec,
            things: Vec::new(),
            interfaces: Vec::new(),
            since: Instant::now(),
            priority: 0,
            teller,
            claim: None,
            is_replaced: false,
            told: FaultCauses::default(),
        }
    }

    /// How its router calls all that it depends on, interfaces included.
    pub(super) fn trackers(&self) -> impl Iterator<Item = TrackerId> {
        let interfaces = self.interfaces.iter().map(|one| one.tracker);
        self.things.iter().map(|(_, tracker)| *tracker).chain(interfaces)
    }

    /// How its router calls that, if it depends on it.
    pub(super) fn tracker_of(&self, thing: &Thing) -> Option<TrackerId> {
        self.things.iter().find(|(known, _)| known == thing).map(|(_, tracker)| *tracker)
    }

    /// The same of an interface.
    pub(super) fn tracker_of_interface(&self, name: &str) -> Option<TrackerId> {
        self.interfaces.iter().find(|one| one.name == name).map(|one| one.tracker)
    }

    /// What its router calls so: of which type it is, and its name.
    pub(super) fn tracked(&self, tracker: TrackerId) -> Option<(&'static str, &str)> {
        let thing = self.things.iter().find(|(_, known)| *known == tracker);
        let interface = || self.interfaces.iter().find(|one| one.tracker == tracker);
        match thing {
            Some((thing, _)) => Some(thing.words()),
            None => Some(("interface", &interface()?.name)),
        }
    }

    /// Logs why it is not fit, as far as that is news.
    pub(super) fn hear_faults(&mut self, faults: &Faults) {
        faults.tell(self, self.told);
        self.told = faults.causes;
    }

    /// From now on it tracks these interfaces; what is known of them stays.
    pub(super) fn track_interfaces(&mut self, tracked: &[(String, TrackerId)]) {
        let known = std::mem::take(&mut self.interfaces);
        let is_up = |name: &str| known.iter().find(|one| one.name == name)?.is_up;
        let interface = |(name, tracker): &(String, TrackerId)| Interface {
            name: name.clone(),
            tracker: *tracker,
            is_up: is_up(name),
        };
        self.interfaces = tracked.iter().map(interface).collect();
    }

    /// Logs what an interface is now, if that is news: that one is up is none at first.
    pub(super) fn see_interface(&mut self, tracker: TrackerId, is_up: bool) {
        let Self { spec, interfaces, .. } = self;
        let Some(seen) = interfaces.iter_mut().find(|one| one.tracker == tracker) else { return };
        let before = seen.is_up.replace(is_up).unwrap_or(true);
        let (instance, interface) = (spec.name(), &seen.name);
        match is_up {
            _ if is_up == before => {}
            true => info!(instance, interface, up = is_up, "tracked interface"),
            false => warn!(instance, interface, up = is_up, "tracked interface"),
        }
    }

    /// What is known of the interfaces that it tracks.
    pub(super) fn interfaces(&self) -> impl Iterator<Item = (&str, Option<bool>)> {
        self.interfaces.iter().map(|one| (one.name.as_str(), one.is_up))
    }

    /// Logs and does what follows for it from what its router says, which has this role by now, if it is
    /// there; and what is told of it, if anything is.
    pub(super) fn hear(
        &mut self,
        event: Event,
        role: Option<Role>,
        is_deleted: bool,
    ) -> Option<Happening> {
        let (instance, priority) = (self.spec.name(), self.priority);
        match event {
            Event::Transition { from, to, because } => {
                let (from, to_name) = (from.name(), to.name());
                info!(instance, from, to = to_name, %because, priority, "transition");
                self.since = Instant::now();
                self.claim = match to {
                    Role::Master => Claim::start(&self.spec),
                    _ => None,
                };
                return Some(match to {
                    Role::Initialize if because == Because::Shutdown => {
                        Happening::gone(is_deleted, self.spec.notify())
                    }
                    _ => Happening::Became(to),
                });
            }
            Event::LowerMaster { source, priority } => {
                let priority = priority.get();
                debug!(instance, %source, priority, "a lower master was heard");
                self.claim.iter().for_each(Claim::assert);
                return Some(Happening::HeardLower);
            }
            Event::PriorityChanged { from, to } => {
                let (from, to) = (from.get(), to.get());
                info!(instance, from, to, "another priority");
                return match role {
                    Some(Role::Master) => Some(Happening::PriorityOfMaster),
                    Some(Role::Backup) => Some(Happening::PriorityOfBackup),
                    _ => None,
                };
            }
            Event::OwnerConflict { source, yielded } => {
                warn!(instance, %source, yielded, "two owners of the addresses");
            }
            other => info!(instance, "{other:?}"),
        }
        None
    }
}

/// A sync group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) config: VrrpSyncGroup,
    /// What was told last.
    pub(super) role: Role,
    pub(super) teller: Teller,
}
