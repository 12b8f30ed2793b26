//! CARP: the other way to share an address, as OpenBSD, FreeBSD and ucarp do.
//!
//! It differs from VRRP in who wins (whoever advertises most often), in what is authenticated (that
//! the sender knows the passphrase, but not what it says of itself), and in that a backup goes by its
//! own interval. The machine is driven by the same verbs, under the same
//! [contract](crate::VirtualRouter#driving-it), and asks for the same [`Action`]s.
//!
//! **Replays are not noticed**, by nobody who speaks it: the counter of a host that reboots begins
//! anywhere.

mod channel;
mod config;
mod rank;
mod transition;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

pub use channel::CarpChannel;
pub use config::{CarpConfig, Demotion};

use crate::mastery::Mastery;
use crate::router::{Action, Because, Discard, Event, NotMaster, Releasing, Role};
use crate::timers::{Timer, TimerTable};
use crate::tracking::{FaultCause, FaultCauses, Fitness, Signal, TrackerId, Tracking};
use crate::wire::CarpAdvertisement;

/// Where a host is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Backup,
    Fault,
    Initialize,
    Master(Mastery),
    Releasing(Releasing),
    /// Nothing was seen yet of something vital.
    Undecided,
}

/// Decides when this host holds the addresses, by CARP.
///
/// ```text
///   Initialize ──▶ Backup ◀──▶ Master ──▶ Releasing ──▶ Initialize, or Backup after a switchover
///                      ▲         │                  └─▶ Master, if a switchover finds nobody
///                      └─ Fault ◀┘   (and Backup ──▶ Fault)
/// ```
///
/// A backup takes over at once from a master that gives up, that advertises so rarely that it would
/// be taken for dead, or that says it is less fit; if it [preempts](CarpConfig::preempt), also from
/// one that advertises less often than itself would. A host that knows nothing yet of something vital
/// ([`Signal::Unknown`]) waits in Initialize until it does. A master that stops says so, and goes on
/// answering for the addresses until its successor speaks.
///
/// ```
/// use std::time::{Duration, Instant};
/// use lb_vrrp::Role;
/// use lb_vrrp::carp::{CarpConfig, CarpHost};
///
/// let now = Instant::now();
/// let mut config = CarpConfig::new("10.99.0.11".parse()?);
/// config.period(1, 100)?;
/// let mut host = CarpHost::new(config);
/// host.startup(now);
///
/// // Three bases, and the skew: 3391 ms, as ucarp.
/// let deadline = host.next_deadline().ok_or("nothing to wait for")?;
/// assert_eq!(deadline, now + Duration::from_secs(3) + Duration::from_secs(100) / 256);
/// host.handle_timeout(deadline);
/// assert_eq!(host.role(), Role::Master);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CarpHost {
    config: CarpConfig,
    state: State,
    timers: TimerTable,
    /// What was said of it.
    demotion: u8,
    /// What it depends on, which demotes it as well.
    tracking: Tracking,
    faults: FaultCauses,
    /// An administrator moved the addresses away: no preemption until it is master again.
    stands_back: bool,
    counter: u64,
    last_heard: Option<Instant>,
    actions: VecDeque<Action<CarpAdvertisement>>,
}

impl CarpHost {
    /// One that has not been started.
    pub fn new(config: CarpConfig) -> Self {
        let tracking = Tracking::new(&config.trackers);
        let mut faults = FaultCauses::default();
        faults.set(FaultCause::Tracker, tracking.is_faulty());
        Self {
            counter: config.first_counter,
            tracking,
            config,
            state: State::Initialize,
            timers: TimerTable::default(),
            demotion: 0,
            faults,
            stands_back: false,
            last_heard: None,
            actions: VecDeque::new(),
        }
    }

    /// Begins to take part. Does nothing if it does already.
    pub fn startup(&mut self, now: Instant) {
        if self.state == State::Initialize {
            self.last_heard = None;
            self.begin(now, Because::Startup);
        }
    }

    /// Ends. A master says so, and goes on answering for its addresses until a successor is heard, or
    /// for a period and a tenth of a second. Called a second time, it does not wait.
    pub fn shutdown(&mut self, now: Instant) {
        match self.state {
            State::Master(_) => self.release(now, Releasing::ToInitialize),
            State::Releasing(Releasing::ToBackup) => {
                self.state = State::Releasing(Releasing::ToInitialize);
            }
            State::Backup | State::Fault | State::Releasing(_) | State::Undecided => {
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
            return Err(NotMaster { role: self.role() });
        }
        self.stands_back = true;
        self.release(now, Releasing::ToBackup);
        Ok(())
    }

    /// Undoes what [`Self::switchover`] did to preemption.
    pub const fn preempt_again(&mut self) {
        self.stands_back = false;
    }

    /// An advertisement of our virtual host was received and verified.
    ///
    /// # Errors
    /// Why it was discarded; then nothing has changed.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        source: IpAddr,
        said: &CarpAdvertisement,
    ) -> Result<(), Discard> {
        match self.state {
            State::Initialize => return Err(Discard::NotRunning),
            State::Fault => return Err(Discard::Fault),
            State::Undecided => return Err(Discard::Undecided),
            State::Backup | State::Master(_) | State::Releasing(_) => {}
        }
        if source == self.config.source {
            return Err(Discard::OwnSource);
        }
        self.last_heard = Some(now);
        match self.state {
            State::Backup if self.takes_over_from(said) => {
                self.become_master(now, Because::MasterDown);
            }
            State::Backup => self.timers.set(Timer::MasterDown, now + self.master_down()),
            State::Master(_) if self.is_outranked_by(source, said) => {
                // So that the winner announces.
                self.advertise();
                self.become_backup(now, Because::Outpaced { source });
            }
            State::Master(_) => self.answer(now),
            State::Releasing(to) if !said.gives_up() => self.hand_over(now, to),
            _ => {}
        }
        Ok(())
    }

    /// How unfit this host is now; 0 is fit.
    pub fn handle_demotion(&mut self, now: Instant, demotion: u8) {
        self.change_demotion(now, |host| host.demotion = demotion);
    }

    /// Something that is tracked was seen. Names that are not known are ignored.
    pub fn handle_tracking(&mut self, now: Instant, id: TrackerId, signal: Signal) {
        let mut is_known = false;
        self.change_demotion(now, |host| is_known = host.tracking.observe(id, signal));
        if is_known {
            self.judge(now);
        }
    }

    /// What is tracked changed: fitness follows.
    fn judge(&mut self, now: Instant) {
        self.handle_fault(now, FaultCause::Tracker, self.tracking.is_faulty());
        self.begin_if_fit(now);
    }

    fn change_demotion(&mut self, now: Instant, change: impl FnOnce(&mut Self)) {
        let (before, whole) = (self.demotion(), self.master_down());
        change(self);
        if self.demotion() != before {
            self.reconsider(now, whole);
        }
    }

    /// How unfit it is now.
    pub fn demotion(&self) -> u8 {
        self.demotion.saturating_add(self.tracking.demotion())
    }

    /// Takes another configuration without leaving its state: a master advertises at once, a backup's
    /// remaining time moves by as much as the whole did. Its counter goes on, and what is known of things
    /// that it still tracks stays known.
    pub fn reconfigure(&mut self, now: Instant, config: CarpConfig) {
        let whole = self.master_down();
        self.tracking.reconfigure(&config.trackers);
        let before = std::mem::replace(&mut self.config, config).announcements;
        self.reconsider(now, whole);
        if let State::Master(_) = self.state {
            self.timers.change_announcing(now, &before, &self.config.announcements);
        }
        self.react(now);
        self.judge(now);
    }

    /// It is another one now for others; `before` is the whole time that a backup waited.
    fn reconsider(&mut self, now: Instant, before: Duration) {
        let after = self.master_down();
        if let Some(deadline) = self.timers.get(Timer::MasterDown) {
            let moved = (deadline + after).checked_sub(before).map_or(now, |at| at.max(now));
            self.timers.set(Timer::MasterDown, moved);
        }
        if let State::Master(_) = self.state {
            // Who is better learns it at once.
            self.advertise();
            self.timers.set(Timer::Advertise, now + self.period());
        }
    }

    /// A cause of fault appeared or went away. [`FaultCause::Tracker`] is the host's own: what is said of
    /// it here holds until the next thing that is tracked.
    pub fn handle_fault(&mut self, now: Instant, cause: FaultCause, present: bool) {
        let Some(fitness) = self.faults.change(cause, present) else { return };
        self.notify(Event::FaultsChanged { causes: self.faults });
        match fitness {
            Fitness::Lost => self.fail(cause),
            Fitness::Regained => self.begin_if_fit(now),
            Fitness::Same => {}
        }
    }

    /// Why it is not fit.
    pub const fn faults(&self) -> FaultCauses {
        self.faults
    }

    /// What is behind [`FaultCause::Tracker`]. Linear in the number of trackers.
    pub fn trackers_at_fault(&self) -> impl Iterator<Item = TrackerId> {
        self.tracking.faulty()
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
            self.actions.push_back(Action::RestoreAddress(address));
            self.react(now);
        }
    }

    /// A virtual address is on this host, although it was not asked for. It stays if it is ours to
    /// hold, and goes if not.
    pub fn handle_address_found(&mut self, address: IpAddr) {
        if !self.holds_addresses() {
            self.actions.push_back(Action::RemoveAddress(address));
        }
    }

    /// Time has come: does all that is due. Read the socket first, as the contract says.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((timer, deadline)) = self.timers.pop_due(now) {
            let announcements = self.config.announcements;
            match timer {
                Timer::Advertise => {
                    if let State::Master(mastery) = &mut self.state {
                        mastery.begin_interval();
                    }
                    self.advertise();
                    self.timers.set_next(Timer::Advertise, now, deadline, self.period());
                }
                Timer::Announce => self.announce(announcements.first),
                Timer::MasterDown => self.become_master(now, Because::MasterDown),
                Timer::React => self.react(now),
                Timer::Refresh => {
                    self.announce(1);
                    self.timers.set_next(Timer::Refresh, now, deadline, announcements.refresh);
                }
                Timer::Release => self.release_is_over(now),
                // Of VRRP alone.
                Timer::OwnerConflict | Timer::PreemptDelay | Timer::Startup => {}
            }
        }
    }

    /// Whether the addresses are on this host, as far as its actions were done.
    pub const fn holds_addresses(&self) -> bool {
        matches!(self.state, State::Master(_) | State::Releasing(_))
    }

    /// What it is made of.
    pub const fn config(&self) -> &CarpConfig {
        &self.config
    }

    /// When [`Self::handle_timeout`] wants to be called; `None` while nothing is due ever.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// What to do next. Drain it after every input.
    pub fn poll_action(&mut self) -> Option<Action<CarpAdvertisement>> {
        self.actions.pop_front()
    }

    /// What it is. Who is releasing is master until it is over.
    pub const fn role(&self) -> Role {
        match self.state {
            State::Backup => Role::Backup,
            State::Fault => Role::Fault,
            State::Initialize | State::Undecided => Role::Initialize,
            State::Master(_) | State::Releasing(_) => Role::Master,
        }
    }

    /// Whether it gave up, and only answers for the addresses until the successor does.
    pub const fn is_releasing(&self) -> bool {
        matches!(self.state, State::Releasing(_))
    }

    /// When another host was last heard.
    pub const fn last_heard(&self) -> Option<Instant> {
        self.last_heard
    }

    /// Whether nobody else was ever heard since the start.
    pub fn is_lonely(&self) -> bool {
        !matches!(self.state, State::Initialize | State::Undecided) && self.last_heard.is_none()
    }
}
