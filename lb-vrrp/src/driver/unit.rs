//! What decides as one: a router alone, or a group of them.

use std::time::Instant;

use super::RouterId;
use super::member::Member;
use crate::router::{Action, NotMaster, VirtualRouter};
use crate::sync_group::{GroupError, SyncGroup};

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

/// A router alone, or a group.
#[derive(Debug)]
pub(super) enum Machine {
    Alone(Box<VirtualRouter>),
    Group(SyncGroup),
}

impl Machine {
    pub(super) fn startup(&mut self, now: Instant) {
        match self {
            Self::Alone(router) => router.startup(now),
            Self::Group(group) => group.startup(now),
        }
    }

    pub(super) fn shutdown(&mut self, now: Instant) {
        match self {
            Self::Alone(router) => router.shutdown(now),
            Self::Group(group) => group.shutdown(now),
        }
    }

    pub(super) fn switchover(&mut self, now: Instant) -> Result<(), NotMaster> {
        match self {
            Self::Alone(router) => router.switchover(now),
            Self::Group(group) => group.switchover(now),
        }
    }

    pub(super) fn preempt_again(&mut self) {
        match self {
            Self::Alone(router) => router.preempt_again(),
            Self::Group(group) => group.preempt_again(),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Alone(router) => router.handle_timeout(now),
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
            Self::Group(group) => group.change_member(now, place, input),
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::Alone(router) => router.next_deadline(),
            Self::Group(group) => group.next_deadline(),
        }
    }

    pub(super) fn poll_action(&mut self) -> Option<(usize, Action)> {
        match self {
            Self::Alone(router) => router.poll_action().map(|action| (0, action)),
            Self::Group(group) => group.poll_action(),
        }
    }

    pub(super) fn routers(&self) -> &[VirtualRouter] {
        match self {
            Self::Alone(router) => std::slice::from_ref(router),
            Self::Group(group) => group.members(),
        }
    }

    /// Each for itself again.
    pub(super) fn dissolve(self, now: Instant) -> Vec<VirtualRouter> {
        match self {
            Self::Alone(router) => vec![*router],
            Self::Group(group) => group.dissolve(now),
        }
    }

    pub(super) fn group(routers: Vec<VirtualRouter>) -> Result<Self, GroupError> {
        SyncGroup::new(routers).map(Self::Group)
    }
}
