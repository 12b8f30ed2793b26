//! What decides as one: a router alone, or a group of them.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::RouterId;
use super::member::Member;
use super::voice::Said;
use crate::carp::CarpHost;
use crate::router::{Action, NotMaster, Role, VirtualRouter};
use crate::sync_group::{GroupError, SyncGroup};
use crate::tracking::{FaultCause, Signal, TrackerId};

/// Who decides, and whom for.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) machine: Machine,
    pub(super) members: Vec<Member>,
    /// When it is due, as the driver knows it.
    pub(super) deadline: Option<Instant>,
}

impl Unit {
    pub(super) const fn new(machine: Machine, members: Vec<Member>) -> Self {
        Self { machine, members, deadline: None }
    }

    pub(super) fn ids(&self) -> Vec<RouterId> {
        self.members.iter().map(|member| member.id).collect()
    }

    /// When any of it is due.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let members = self.members.iter().filter_map(|member| member.next_deadline(now));
        members.chain(self.machine.next_deadline()).min()
    }
}

/// A router alone, a group, or a host that speaks CARP.
#[derive(Debug)]
pub(super) enum Machine {
    Alone(Box<VirtualRouter>),
    Carp(Box<CarpHost>),
    Group(SyncGroup),
}

/// What happened to one router or host, whichever it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    AddressFound(IpAddr),
    AddressLost(IpAddr),
    Fault(FaultCause, bool),
    Source(Option<IpAddr>),
    Tracked(TrackerId, Signal),
}

impl Machine {
    pub(super) fn happen(&mut self, now: Instant, place: usize, happening: Happening) {
        let Self::Carp(host) = self else {
            self.change(now, place, |router| match happening {
                Happening::AddressFound(address) => router.handle_address_found(address),
                Happening::AddressLost(address) => router.handle_address_lost(now, address),
                Happening::Fault(cause, present) => router.handle_fault(now, cause, present),
                Happening::Source(source) => router.handle_source(now, source),
                Happening::Tracked(id, signal) => router.handle_tracking(now, id, signal),
            });
            return;
        };
        match happening {
            Happening::AddressFound(address) => host.handle_address_found(address),
            Happening::AddressLost(address) => host.handle_address_lost(now, address),
            Happening::Fault(cause, present) => host.handle_fault(now, cause, present),
            Happening::Source(source) => host.handle_source(now, source),
            Happening::Tracked(id, signal) => host.handle_tracking(now, id, signal),
        }
    }

    pub(super) fn role(&self, place: usize) -> Role {
        match self {
            Self::Carp(host) => host.role(),
            _ => self.routers().get(place).map_or(Role::Initialize, |router| router.state().role()),
        }
    }

    pub(super) fn is_releasing(&self, place: usize) -> bool {
        match self {
            Self::Carp(host) => host.is_releasing(),
            _ => self.routers().get(place).is_some_and(VirtualRouter::is_releasing),
        }
    }

    pub(super) fn holds_addresses(&self, place: usize) -> bool {
        match self {
            Self::Carp(host) => host.holds_addresses(),
            _ => self.routers().get(place).is_some_and(VirtualRouter::holds_addresses),
        }
    }

    /// How far from all others on the link its announcements are.
    pub(super) fn spacing(&self, place: usize) -> Duration {
        let announcements = match self {
            Self::Carp(host) => Some(host.config().announcements),
            _ => self.routers().get(place).map(|router| router.config().announcements),
        };
        announcements.unwrap_or_default().spacing
    }

    /// Whether it takes no part, not yet or no more.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Carp(host) => host.role() == Role::Initialize,
            _ => self.routers().iter().all(|router| router.state().role() == Role::Initialize),
        }
    }

    pub(super) fn startup(&mut self, now: Instant) {
        match self {
            Self::Alone(router) => router.startup(now),
            Self::Carp(host) => host.startup(now),
            Self::Group(group) => group.startup(now),
        }
    }

    pub(super) fn shutdown(&mut self, now: Instant) {
        match self {
            Self::Alone(router) => router.shutdown(now),
            Self::Carp(host) => host.shutdown(now),
            Self::Group(group) => group.shutdown(now),
        }
    }

    pub(super) fn switchover(&mut self, now: Instant) -> Result<(), NotMaster> {
        match self {
            Self::Alone(router) => router.switchover(now),
            Self::Carp(host) => host.switchover(now),
            Self::Group(group) => group.switchover(now),
        }
    }

    pub(super) fn preempt_again(&mut self) {
        match self {
            Self::Alone(router) => router.preempt_again(),
            Self::Carp(host) => host.preempt_again(),
            Self::Group(group) => group.preempt_again(),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Alone(router) => router.handle_timeout(now),
            Self::Carp(host) => host.handle_timeout(now),
            Self::Group(group) => group.handle_timeout(now),
        }
    }

    /// One input for one of them, which is not a whole group's to hear.
    pub(super) fn change<T>(
        &mut self,
        now: Instant,
        place: usize,
        input: impl FnOnce(&mut VirtualRouter) -> T,
    ) -> Option<T> {
        match self {
            Self::Alone(router) => Some(input(router)),
            Self::Carp(_) => None,
            Self::Group(group) => group.change_member(now, place, input),
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::Alone(router) => router.next_deadline(),
            Self::Carp(host) => host.next_deadline(),
            Self::Group(group) => group.next_deadline(),
        }
    }

    /// What is to be done next, and by whom.
    pub(super) fn poll_action(&mut self) -> Option<(usize, Action<Said>)> {
        match self {
            Self::Alone(router) => router.poll_action().map(|action| (0, action.map(Said::Vrrp))),
            Self::Carp(host) => host.poll_action().map(|action| (0, action.map(Said::Carp))),
            Self::Group(group) => {
                group.poll_action().map(|(place, action)| (place, action.map(Said::Vrrp)))
            }
        }
    }

    pub(super) fn routers(&self) -> &[VirtualRouter] {
        match self {
            Self::Alone(router) => std::slice::from_ref(router),
            Self::Carp(_) => &[],
            Self::Group(group) => group.members(),
        }
    }

    /// Each for itself again.
    pub(super) fn dissolve(self, now: Instant) -> Vec<VirtualRouter> {
        match self {
            Self::Alone(router) => vec![*router],
            Self::Carp(_) => Vec::new(),
            Self::Group(group) => group.dissolve(now),
        }
    }

    pub(super) fn group(routers: Vec<VirtualRouter>) -> Result<Self, GroupError> {
        SyncGroup::new(routers).map(Self::Group)
    }
}
