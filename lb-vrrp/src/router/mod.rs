//! The state machine of one virtual router (RFC 9568 6.4, RFC 3768 6.4).

mod action;
mod hear;
mod state;
mod transition;
mod wake;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;

pub use action::{Action, Because, Discard, Event, NotMaster};
pub use state::{Backup, Heard, Master, Releasing, Role, State};

use crate::config::{Config, Preempt};
use crate::timers::{Timer, TimerTable};
use crate::tracking::{FaultCause, FaultCauses, Fitness, Signal, TrackerId, Tracking};
use crate::values::{Interval, Priority};

/// Decides when this host holds the addresses.
///
/// ```text
///   Initialize ──▶ Waiting ──▶ Backup ◀──▶ Master ──▶ Releasing ──▶ Initialize or Backup
///              Undecided ──┘       ▲         │
///                                  └─ Fault ◀┘   (and Backup, Undecided ──▶ Fault)
/// ```
///
/// | in | on | it | and is |
/// |---|---|---|---|
/// | Initialize | startup | hears and says nothing while a startup delay runs | Waiting |
/// | Initialize, Waiting | the same without delay, or after it, and something vital is [unknown](Signal::Unknown) | hears and says nothing | Undecided |
/// | Initialize, Waiting, Undecided | startup without delay, or after it, and all that is vital was seen | waits for the master-down interval | Backup |
/// | | the same, as the owner of the addresses | advertises, adds, announces | Master |
/// | Backup | the master-down interval is over | advertises, adds, announces | Master |
/// | | a release | waits no longer than its skew | Backup |
/// | | its equal or better; or a lower one, if it does not preempt (yet) | takes over the interval, waits anew | Backup |
/// | | a lower one, if it preempts | discards it | Backup |
/// | Master | its interval is over | advertises | Master |
/// | | a release, or a lower one | advertises at once, announces | Master |
/// | | a better one, or its equal with a higher address | says a last word, removes | Backup |
/// | | shutdown, switchover | releases, and answers for the addresses as before | Releasing |
/// | Releasing | a successor, or its time is over | removes | Initialize, or Backup after a switchover |
/// | | the time of a switchover is over, and nobody came | advertises, announces | Master |
/// | any that takes part, Undecided | the first cause of fault | releases and removes, if it holds the addresses | Fault |
/// | Fault | the last cause is gone, and nothing vital is unknown | as at the startup, without delay | Backup or Master |
/// | any | shutdown, unless it is master | | Initialize |
///
/// # Driving it
///
/// As every machine here: feed one input, drain [`Self::poll_action`], sleep until
/// [`Self::next_deadline`]. One thing is added:
///
/// **The socket comes before the clock.** When the deadline has come, first hand over every datagram
/// that is already waiting, and only then call [`Self::handle_timeout`]. A host that overslept (it
/// was stopped, migrated, starved) would otherwise take a silence for real that never was, or speak
/// as a master when another one has taken over. Reading a socket that is empty costs next to nothing,
/// so do it always.
///
/// `now` is from a clock that never goes back; a host that sleeps may find it far ahead.
///
/// # What it promises
///
/// - [`Action::AddAddresses`] and [`Action::RemoveAddresses`] alternate, beginning with the former.
/// - After [`Self::handle_timeout`] the next deadline is later than `now`. However late it is called,
///   it asks for one advertisement, and the next is due in the phase of all before.
/// - A datagram that is refused or discarded moves no deadline.
/// - A release never waits: addresses are answered for until a successor is heard, and at most for
///   [`Config::release_limit`].
/// - However many lower masters it hears, it answers at most eight times and announces at most once
///   in an interval, and once more after it.
///
/// # Where it goes beyond the RFC
///
/// A master that stops says so first and goes on answering until the successor speaks; one that gives
/// way says a last word ([`Config::parting_advertisement`]), so that the winner knows that it must
/// announce. The owner of the addresses answers lower masters like any other master, where RFC 9568
/// 7.1 has it look away: for the same reason. A release makes a backup faster, never slower.
///
/// # Example
///
/// ```
/// use std::time::{Duration, Instant};
/// use lb_vrrp::{Action, Config, Priority, Role, VirtualRouter};
///
/// let now = Instant::now();
/// let mut router = VirtualRouter::new(Config::new("10.99.0.11".parse()?));
/// router.startup(now);
///
/// // Three intervals and the skew of priority 100, and nobody was heard.
/// let deadline = router.next_deadline().ok_or("nothing to wait for")?;
/// assert_eq!(deadline, now + Duration::from_secs(3) + Duration::from_secs(156) / 256);
/// router.handle_timeout(deadline);
/// assert_eq!(router.state().role(), Role::Master);
///
/// let mut actions = std::iter::from_fn(|| router.poll_action())
///     .filter(|action| !matches!(action, Action::Notify(_)));
/// assert_eq!(actions.next(), Some(Action::Advertise(Priority::DEFAULT)));
/// assert_eq!(actions.next(), Some(Action::AddAddresses));
/// assert_eq!(actions.next(), Some(Action::Announce { times: 5 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct VirtualRouter {
    config: Config,
    state: State,
    timers: TimerTable,
    tracking: Tracking,
    faults: FaultCauses,
    /// The effective one, unless it gave way to another owner.
    priority: Priority,
    /// Another owner was given way to: 254 instead of 255, until nobody else is there.
    gave_way: bool,
    /// An administrator moved the addresses away: no preemption until it is master again.
    stands_back: bool,
    /// Its members move together: it asks before it becomes master.
    coupled: bool,
    last_heard: Option<Instant>,
    actions: VecDeque<Action>,
}

impl VirtualRouter {
    /// One that has not been started.
    pub fn new(config: Config) -> Self {
        let tracking = Tracking::new(&config.trackers);
        let mut faults = FaultCauses::default();
        faults.set(FaultCause::Tracker, tracking.is_faulty());
        Self {
            priority: tracking.priority(config.priority),
            state: State::Initialize,
            timers: TimerTable::default(),
            tracking,
            faults,
            gave_way: false,
            stands_back: false,
            coupled: false,
            last_heard: None,
            actions: VecDeque::new(),
            config,
        }
    }

    /// Begins to take part. Does nothing unless it is in [`State::Initialize`].
    pub fn startup(&mut self, now: Instant) {
        if self.state != State::Initialize {
            return;
        }
        self.last_heard = None;
        if self.config.startup_delay.is_zero() {
            self.begin(now, Because::Startup);
        } else {
            self.state = State::Waiting;
            self.timers.set_in(Timer::Startup, now, self.config.startup_delay);
        }
    }

    /// Ends. A master first says that it gives up, and goes on answering for its addresses until a
    /// successor is heard or the [limit](Config::release_limit) is over; it has ended when
    /// [`Self::state`] is [`State::Initialize`]. Called a second time, it does not wait.
    pub fn shutdown(&mut self, now: Instant) {
        match self.state {
            State::Master(_) => self.release(now, Releasing::ToInitialize),
            State::Releasing(Releasing::ToBackup) => {
                self.state = State::Releasing(Releasing::ToInitialize);
            }
            State::Releasing(Releasing::ToInitialize) => self.end(Because::Shutdown),
            State::Backup(_) | State::Fault | State::Undecided | State::Waiting => {
                self.end(Because::Shutdown);
            }
            State::Initialize => {}
        }
    }

    /// Gives the addresses to whoever is next, and does not take them back from a living master
    /// until it was master again, or until [`Self::preempt_again`]. If nobody takes them in time it
    /// stays master, without a gap.
    ///
    /// # Errors
    /// [`NotMaster`].
    pub fn switchover(&mut self, now: Instant) -> Result<(), NotMaster> {
        if !matches!(self.state, State::Master(_)) {
            return Err(NotMaster { role: self.state.role() });
        }
        self.stands_back = true;
        self.release(now, Releasing::ToBackup);
        Ok(())
    }

    /// Undoes what [`Self::switchover`] did to preemption.
    pub const fn preempt_again(&mut self) {
        self.stands_back = false;
    }

    /// Something that is tracked was seen. Names that are not known are ignored.
    pub fn handle_tracking(&mut self, now: Instant, id: TrackerId, signal: Signal) {
        if self.tracking.observe(id, signal) {
            self.reconsider(now);
        }
    }

    /// A cause of fault appeared or went away. [`FaultCause::Tracker`] and [`FaultCause::Group`] are
    /// the router's own: what is said of them here holds until the next thing that is tracked.
    pub fn handle_fault(&mut self, now: Instant, cause: FaultCause, present: bool) {
        let Some(fitness) = self.faults.change(cause, present) else { return };
        self.notify(Event::FaultsChanged { causes: self.faults });
        match fitness {
            Fitness::Lost => self.fail(cause),
            Fitness::Regained => self.begin_if_fit(now),
            Fitness::Same => {}
        }
    }

    /// The host's primary address is another one. Without any it is at fault.
    pub fn handle_source(&mut self, now: Instant, source: Option<IpAddr>) {
        if let Some(source) = source {
            self.config.source = source;
        }
        self.handle_fault(now, FaultCause::NoSource, source.is_none());
    }

    /// Somebody else removed a virtual address. If it is ours to hold, it comes back at once.
    pub fn handle_address_lost(&mut self, now: Instant, address: IpAddr) {
        if self.holds_addresses() {
            self.push(Action::RestoreAddress(address));
            self.react(now);
        }
    }

    /// A virtual address is on this host, although this router did not ask for it: left by a crash,
    /// or added by somebody. It stays if it is ours to hold, and goes if not.
    pub fn handle_address_found(&mut self, address: IpAddr) {
        if !self.holds_addresses() {
            self.push(Action::RemoveAddress(address));
        }
    }

    /// Takes another configuration without leaving its state: a master advertises at once, a
    /// backup's remaining time moves by as much as the whole did. What is known of a thing that it still
    /// tracks, by its [`TrackerId`], is kept; another one is what its tracker says
    /// [initially](crate::Tracker::initially).
    pub fn reconfigure(&mut self, now: Instant, config: Config) {
        let whole = self.master_down();
        self.tracking.reconfigure(&config.trackers);
        let before = std::mem::replace(&mut self.config, config).announcements;
        self.gave_way &= self.config.priority == Priority::OWNER;
        self.move_master_down(now, whole);
        self.reconsider(now);
        if let State::Master(_) = self.state {
            self.timers.change_announcing(now, &before, &self.config.announcements);
            self.advertise(now);
            self.timers.set(Timer::Advertise, now + self.config.interval.as_duration());
            self.react(now);
        }
    }

    /// When [`Self::handle_timeout`] wants to be called; `None` while nothing is due ever.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// What to do next. Drain it after every input.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Where it is.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// What it is made of.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The effective priority: the configured one, moved by what is tracked; 254 for an owner that
    /// gave way to another one.
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// Why it is not fit.
    pub const fn faults(&self) -> FaultCauses {
        self.faults
    }

    /// What is behind [`FaultCause::Tracker`]. Linear in the number of trackers.
    pub fn trackers_at_fault(&self) -> impl Iterator<Item = TrackerId> {
        self.tracking.faulty()
    }

    /// Whether the addresses are on this host, as far as its actions were done.
    pub const fn holds_addresses(&self) -> bool {
        matches!(self.state, State::Master(_) | State::Releasing(_))
    }

    /// Whether it gave up, and only answers for the addresses until the successor does.
    pub const fn is_releasing(&self) -> bool {
        matches!(self.state, State::Releasing(_))
    }

    /// Whether nobody else was ever heard since the start. A master that starts alone is lonely until
    /// somebody challenges it, since backups are silent; one that is lonely although others run is
    /// cut off.
    pub fn is_lonely(&self) -> bool {
        let takes_part =
            !matches!(self.state, State::Initialize | State::Undecided | State::Waiting);
        takes_part && self.last_heard.is_none()
    }

    /// When another router was last heard.
    pub const fn last_heard(&self) -> Option<Instant> {
        self.last_heard
    }

    /// Whether a lower master may go on (`nopreempt`, or after a switchover).
    fn is_patient(&self) -> bool {
        self.stands_back || self.config.preempt == Preempt::Never
    }

    /// The interval that timers go by: the master's, as long as it is a backup of one.
    const fn master_interval(&self) -> Interval {
        match &self.state {
            State::Backup(backup) => backup.interval,
            _ => self.config.interval,
        }
    }

    fn master_down(&self) -> std::time::Duration {
        self.config.master_down(self.priority, self.master_interval())
    }

    fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    fn notify(&mut self, event: Event) {
        self.push(Action::Notify(event));
    }
}

/// What a [`SyncGroup`](crate::SyncGroup) does with its members.
impl VirtualRouter {
    pub(crate) const fn couple(&mut self) {
        self.coupled = true;
    }

    /// It is no member any more: what the group held back is its own to decide.
    pub(crate) fn uncouple(&mut self, now: Instant) {
        self.coupled = false;
        self.handle_fault(now, FaultCause::Group, false);
        if self.wants_mastery() {
            self.become_master(now, Because::MasterDown);
        }
    }

    /// Whether it is at fault for a reason of its own.
    pub(crate) fn is_faulty_itself(&self) -> bool {
        !self.faults.without(FaultCause::Group).is_empty()
    }

    /// When it last announced because of what it heard.
    pub(crate) fn last_reaction(&self) -> Option<Instant> {
        match &self.state {
            State::Master(master) => master.mastery.reacted(),
            _ => None,
        }
    }

    /// Another member heard a lower master: clients may have believed it of this one, too.
    pub(crate) fn react_with_group(&mut self, now: Instant) {
        self.react(now);
    }

    /// Whether it would be master, were it not for its group.
    pub(crate) const fn wants_mastery(&self) -> bool {
        matches!(&self.state, State::Backup(backup) if backup.wants_mastery)
    }

    /// The group is agreed.
    pub(crate) fn promote(&mut self, now: Instant) {
        if self.wants_mastery() {
            self.become_master(now, Because::MasterDown);
        }
    }

    /// Another member lost its mastery: this one gives it up, so that somebody takes both.
    pub(crate) fn demote(&mut self, now: Instant) {
        if let State::Master(_) = self.state {
            self.push(Action::Advertise(Priority::RELEASE));
            self.become_backup(now, self.config.interval, None, Because::Group);
        }
    }
}
