//! Routers that move together: an address inside and one outside belong on the same host.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;

use crate::config::Config;
use crate::router::{Action, Discard, NotMaster, Role, State, VirtualRouter};
use crate::tracking::{FaultCause, Signal, TrackerId};
use crate::wire::Advertisement;

/// Why routers cannot be a group.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// CARP has no groups here.
    #[error("member {member} speaks CARP, which has no groups")]
    Carp {
        /// Its place.
        member: usize,
    },
    /// A group of nobody.
    #[error("a group has at least one member")]
    Empty,
    /// Nobody can move with two.
    #[error("member {member} is a member already")]
    Shared {
        /// Its place.
        member: usize,
    },
    /// A weight would move one member and not the others; a fault moves them all.
    #[error("member {member} tracks something with a weight")]
    Weighted {
        /// Its place.
        member: usize,
    },
}

/// Several [`VirtualRouter`]s that are master together or not at all.
///
/// - They become master once every one of them has heard nobody better for its time.
/// - If one is outranked, the others give up, saying so: whoever outranked one takes them all.
/// - If one is at fault, all are.
/// - If one hears a lower master, all announce their addresses.
///
/// It is driven by the same verbs as its members, which are named by their place, with the same
/// [contract](VirtualRouter#driving-it). What its members track may be vital but not weigh.
///
/// ```
/// use std::time::Instant;
/// use lb_vrrp::{Config, FaultCause, Role, SyncGroup, VirtualRouter};
///
/// let member = |host: &str| host.parse().map(|host| VirtualRouter::new(Config::new(host)));
/// let mut group = SyncGroup::new(vec![member("10.0.0.1")?, member("192.0.2.1")?])?;
/// let now = Instant::now();
/// group.startup(now);
/// group.handle_fault(now, 0, FaultCause::Interface, true);
/// assert!(group.members().iter().all(|member| member.state().role() == Role::Fault));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SyncGroup {
    members: Vec<VirtualRouter>,
    actions: VecDeque<(usize, Action)>,
}

impl SyncGroup {
    /// A group of these routers. Those that were started already are taken as they are, and follow
    /// each other from the first input on.
    ///
    /// # Errors
    /// [`GroupError`].
    pub fn new(mut members: Vec<VirtualRouter>) -> Result<Self, GroupError> {
        if members.is_empty() {
            return Err(GroupError::Empty);
        }
        for (member, router) in members.iter_mut().enumerate() {
            Self::check(member, router.config())?;
            router.couple();
        }
        Ok(Self { members, actions: VecDeque::new() })
    }

    /// [`VirtualRouter::startup`] of all.
    pub fn startup(&mut self, now: Instant) {
        self.change(now, |members| members.iter_mut().for_each(|member| member.startup(now)));
    }

    /// [`VirtualRouter::shutdown`] of all.
    pub fn shutdown(&mut self, now: Instant) {
        self.change(now, |members| members.iter_mut().for_each(|member| member.shutdown(now)));
    }

    /// [`VirtualRouter::switchover`] of all.
    ///
    /// # Errors
    /// [`NotMaster`] unless all of them are master.
    pub fn switchover(&mut self, now: Instant) -> Result<(), NotMaster> {
        let other = self.members.iter().find(|m| !matches!(m.state(), State::Master(_)));
        if let Some(other) = other {
            return Err(NotMaster { role: other.state().role() });
        }
        self.change(now, |members| members.iter_mut().try_for_each(|m| m.switchover(now)))
    }

    /// [`VirtualRouter::preempt_again`] of all.
    pub fn preempt_again(&mut self) {
        self.members.iter_mut().for_each(VirtualRouter::preempt_again);
    }

    /// [`VirtualRouter::handle_packet`] of one.
    ///
    /// # Errors
    /// [`Discard`]; [`Discard::NotRunning`] if there is no such member.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        member: usize,
        source: IpAddr,
        advertisement: &Advertisement<'_>,
    ) -> Result<(), Discard> {
        let reaction =
            |members: &[VirtualRouter]| members.get(member).and_then(VirtualRouter::last_reaction);
        let before = reaction(&self.members);
        self.change(now, |members| {
            let router = members.get_mut(member).ok_or(Discard::NotRunning)?;
            router.handle_packet(now, source, advertisement)?;
            if reaction(members).is_some_and(|after| Some(after) != before) {
                let others = members.iter_mut().enumerate().filter(|(place, _)| *place != member);
                others.for_each(|(_, other)| other.react_with_group(now));
            }
            Ok(())
        })
    }

    /// [`VirtualRouter::handle_tracking`] of one.
    pub fn handle_tracking(&mut self, now: Instant, member: usize, id: TrackerId, signal: Signal) {
        self.change_one(now, member, |router| router.handle_tracking(now, id, signal));
    }

    /// [`VirtualRouter::handle_fault`] of one. The group's own [`FaultCause::Group`] is ignored.
    pub fn handle_fault(&mut self, now: Instant, member: usize, cause: FaultCause, present: bool) {
        if cause != FaultCause::Group {
            self.change_one(now, member, |router| router.handle_fault(now, cause, present));
        }
    }

    /// [`VirtualRouter::handle_source`] of one.
    pub fn handle_source(&mut self, now: Instant, member: usize, source: Option<IpAddr>) {
        self.change_one(now, member, |router| router.handle_source(now, source));
    }

    /// [`VirtualRouter::handle_address_lost`] of one.
    pub fn handle_address_lost(&mut self, now: Instant, member: usize, address: IpAddr) {
        self.change_one(now, member, |router| router.handle_address_lost(now, address));
    }

    /// [`VirtualRouter::handle_address_found`] of one.
    pub fn handle_address_found(&mut self, now: Instant, member: usize, address: IpAddr) {
        self.change_one(now, member, |router| router.handle_address_found(address));
    }

    /// [`VirtualRouter::handle_timeout`] of all. Read every member's socket first.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.change(now, |members| members.iter_mut().for_each(|m| m.handle_timeout(now)));
    }

    /// [`VirtualRouter::reconfigure`] of one. Without such a member nothing happens.
    ///
    /// # Errors
    /// [`GroupError::Weighted`]; then nothing has changed.
    pub fn reconfigure(
        &mut self,
        now: Instant,
        member: usize,
        config: Config,
    ) -> Result<(), GroupError> {
        Self::check(member, &config)?;
        self.change_one(now, member, |router| router.reconfigure(now, config));
        Ok(())
    }

    /// Whether a member may become this.
    pub(crate) fn check(member: usize, config: &Config) -> Result<(), GroupError> {
        if !config.trackers.are_vital() {
            return Err(GroupError::Weighted { member });
        }
        Ok(())
    }

    /// Each for itself again, in its state. The group's own fault is gone.
    pub fn dissolve(self, now: Instant) -> Vec<VirtualRouter> {
        let mut members = self.members;
        for member in &mut members {
            member.uncouple(now);
        }
        members
    }

    /// The earliest deadline of any.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.members.iter().filter_map(VirtualRouter::next_deadline).min()
    }

    /// What to do next, and for which member. Drain it after every input.
    pub fn poll_action(&mut self) -> Option<(usize, Action)> {
        self.actions.pop_front()
    }

    /// The members, in their places.
    pub fn members(&self) -> &[VirtualRouter] {
        &self.members
    }

    /// One input for one of them, whatever it is; `None` if there is no such member.
    #[cfg(feature = "driver")]
    pub(crate) fn change_member<T>(
        &mut self,
        now: Instant,
        member: usize,
        input: impl FnOnce(&mut VirtualRouter) -> T,
    ) -> Option<T> {
        self.change(now, |members| members.get_mut(member).map(input))
    }

    fn change_one(&mut self, now: Instant, member: usize, input: impl FnOnce(&mut VirtualRouter)) {
        self.change(now, |members| members.get_mut(member).map(input));
    }

    /// One input, then whatever it means for the others.
    fn change<T>(&mut self, now: Instant, input: impl FnOnce(&mut [VirtualRouter]) -> T) -> T {
        let answer = input(&mut self.members);
        self.share_faults(now);
        self.follow(now);
        self.agree(now);
        for (place, member) in self.members.iter_mut().enumerate() {
            let actions = std::iter::from_fn(|| member.poll_action());
            self.actions.extend(actions.map(|action| (place, action)));
        }
        answer
    }

    fn share_faults(&mut self, now: Instant) {
        let faulty: Vec<_> = self.members.iter().map(VirtualRouter::is_faulty_itself).collect();
        let count = faulty.iter().filter(|&&faulty| faulty).count();
        for (member, faulty) in self.members.iter_mut().zip(faulty) {
            let others = count - usize::from(faulty);
            member.handle_fault(now, FaultCause::Group, others > 0);
        }
    }

    /// One is not master, so none is. Who is releasing still is, until it is over.
    fn follow(&mut self, now: Instant) {
        if self.members.iter().any(|member| member.state().role() != Role::Master) {
            self.members.iter_mut().for_each(|member| member.demote(now));
        }
    }

    /// All want to be master, so all are.
    fn agree(&mut self, now: Instant) {
        if self.members.iter().all(VirtualRouter::wants_mastery) {
            self.members.iter_mut().for_each(|member| member.promote(now));
        }
    }
}
