//! What else counts: interfaces, scripts, processes, files, checks. Each moves the priority, or says
//! that this router is not fit to be a master.

use std::fmt;
use std::num::NonZeroI16;

use crate::values::Priority;

/// What a tracked thing does to its router.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// While it is down, the router is at fault (keepalived's weight 0). The default.
    #[default]
    Fault,
    /// It moves the priority: a positive weight is added while it is up, a negative one while it is
    /// down. A thing with a [value](Signal::Value) adds value times weight instead.
    Weight(NonZeroI16),
}

/// Something that a router depends on.
///
/// ```
/// use lb_vrrp::{Signal, Tracker};
///
/// let script = Tracker::weighing(-30); // 30 less while it fails
/// let link = Tracker::vital().initially(Signal::Down); // at fault until it is seen up
/// let slow = Tracker::vital().initially(Signal::Unknown); // takes no part before something is seen
/// let standby = Tracker::vital().reversed(); // at fault while it is up
/// # let _ = (script, link, slow, standby);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Tracker {
    effect: Effect,
    reverse: bool,
    initial: Signal,
}

impl Tracker {
    /// One without which the router is at fault.
    pub const fn vital() -> Self {
        Self { effect: Effect::Fault, reverse: false, initial: Signal::Up }
    }

    /// One that moves the priority by `weight`; 0 makes it [vital](Self::vital), as it does for
    /// keepalived.
    pub const fn weighing(weight: i16) -> Self {
        match NonZeroI16::new(weight) {
            Some(weight) => Self { effect: Effect::Weight(weight), ..Self::vital() },
            None => Self::vital(),
        }
    }

    /// The other way round, as keepalived has `reverse`: a vital one is a fault while it is up, and a
    /// weight is subtracted instead of added, when it would have been: 5 takes 5 away while it is up,
    /// -5 adds 5 while it is down.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { reverse: !self.reverse, ..self }
    }

    /// What it counts as before anything is known. Default: [`Signal::Up`].
    #[must_use]
    pub const fn initially(self, initial: Signal) -> Self {
        Self { initial, ..self }
    }

    /// What it does.
    pub const fn effect(&self) -> Effect {
        self.effect
    }
}

/// Names something that a router depends on: whoever makes a [`Config`](crate::Config) chooses it. Under the
/// same name the next configuration has the same thing, wherever in it that is, and what is known of it stays
/// known.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrackerId(u32);

impl TrackerId {
    /// Any number that no other thing has of the same router.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// That number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// What is known of a tracked thing.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Signal {
    /// It is not as it should be.
    Down,
    /// Nothing is known of it yet. One that weighs adds and takes nothing; without one that is vital a router
    /// does not begin to take part. Whoever takes part already goes on as if it were as it should be.
    Unknown,
    /// It is as it should be.
    #[default]
    Up,
    /// It has a number: a file's content, say. For a vital one, 0 is up and all else is down; for one
    /// that weighs, less than -253 in all is a fault.
    Value(i32),
}

/// A number that weighs less is a fault, as the manual page of keepalived 2.2.7 has it for
/// `track_file`.
const LEAST_WEIGHT: i64 = -253;

/// The trackers of a configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Trackers(Vec<(TrackerId, Tracker)>);

impl Trackers {
    /// One more, or another one for the same thing.
    pub(crate) fn set(&mut self, id: TrackerId, tracker: Tracker) {
        match self.0.iter_mut().find(|(known, _)| *known == id) {
            Some((_, known)) => *known = tracker,
            None => self.0.push((id, tracker)),
        }
    }

    #[cfg(feature = "driver")]
    pub(crate) fn contains(&self, id: TrackerId) -> bool {
        self.0.iter().any(|(known, _)| *known == id)
    }

    pub(crate) fn are_vital(&self) -> bool {
        self.0.iter().all(|(_, tracker)| tracker.effect == Effect::Fault)
    }
}

/// All that a router depends on, and what it comes to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracking(Vec<Tracked>);

/// One thing, and what is known of it.
#[derive(Clone, Copy, Debug)]
struct Tracked {
    id: TrackerId,
    tracker: Tracker,
    signal: Signal,
}

impl Tracking {
    pub(crate) fn new(trackers: &Trackers) -> Self {
        let trackers = trackers.0.iter();
        Self(
            trackers
                .map(|&(id, tracker)| Tracked { id, tracker, signal: tracker.initial })
                .collect(),
        )
    }

    /// Takes other trackers; what is known of a thing is kept, whatever it does now.
    pub(crate) fn reconfigure(&mut self, trackers: &Trackers) {
        let mut fresh = Self::new(trackers);
        for new in &mut fresh.0 {
            let old = self.0.iter().find(|old| old.id == new.id);
            if let Some(old) = old.filter(|old| old.signal != Signal::Unknown) {
                new.signal = old.signal;
            }
        }
        *self = fresh;
    }

    /// Whether there is such a tracker.
    pub(crate) fn observe(&mut self, id: TrackerId, signal: Signal) -> bool {
        let Some(known) = self.0.iter_mut().find(|known| known.id == id) else { return false };
        known.signal = signal;
        true
    }

    pub(crate) fn is_faulty(&self) -> bool {
        self.faulty().next().is_some()
    }

    /// What is a fault.
    pub(crate) fn faulty(&self) -> impl Iterator<Item = TrackerId> {
        let faulty = self.0.iter().filter(|Tracked { tracker, signal, .. }| {
            match (tracker.effect, signal) {
                (_, Signal::Unknown) => false,
                (Effect::Fault, _) => signal.is_up() == tracker.reverse,
                (Effect::Weight(_), Signal::Value(_)) => tracker.weight(*signal) < LEAST_WEIGHT,
                (Effect::Weight(_), _) => false,
            }
        });
        faulty.map(|one| one.id)
    }

    /// Whether something vital was never seen: nobody can say whether this router is fit.
    pub(crate) fn is_undecided(&self) -> bool {
        self.0
            .iter()
            .any(|one| (one.tracker.effect, one.signal) == (Effect::Fault, Signal::Unknown))
    }

    /// How far what is down demotes a CARP host. Numbers count as they do for priorities, and demote as
    /// far as they would lower one.
    pub(crate) fn demotion(&self) -> u8 {
        let each =
            self.0.iter().map(|Tracked { tracker, signal, .. }| match (tracker.effect, signal) {
                (Effect::Fault, _) | (_, Signal::Unknown) => 0,
                (Effect::Weight(_), Signal::Value(_)) => -tracker.weight(*signal).min(0),
                (Effect::Weight(weight), _) if signal.is_up() == tracker.reverse => {
                    i64::from(weight.get()).abs()
                }
                (Effect::Weight(_), _) => 0,
            });
        let sum = each.fold(0_i64, i64::saturating_add);
        u8::try_from(sum).unwrap_or(u8::MAX)
    }

    /// The effective priority: from 1 to 254, unless it is the owner's, which nothing moves.
    pub(crate) fn priority(&self, base: Priority) -> Priority {
        if base == Priority::OWNER {
            return base;
        }
        let weights = self.0.iter().map(|one| one.tracker.weight(one.signal));
        let sum = weights.fold(i64::from(base.get()), i64::saturating_add);
        let [least, most] = [Priority::LEAST, Priority::MOST].map(|bound| i64::from(bound.get()));
        Priority::new(sum.clamp(least, most) as u8)
    }
}

impl Tracker {
    fn weight(&self, signal: Signal) -> i64 {
        let Effect::Weight(weight) = self.effect else { return 0 };
        let weight = i64::from(weight.get());
        match signal {
            Signal::Value(value) if self.reverse => -weight * i64::from(value),
            Signal::Value(value) => weight * i64::from(value),
            Signal::Unknown => 0,
            Signal::Up | Signal::Down => {
                let counts = (weight > 0) == signal.is_up();
                let weight = if self.reverse { -weight } else { weight };
                if counts { weight } else { 0 }
            }
        }
    }
}

impl Signal {
    const fn is_up(self) -> bool {
        matches!(self, Self::Up | Self::Value(0))
    }
}

/// Why a router is not fit to be a master.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum FaultCause {
    /// Its addresses cannot be added to the host.
    Addresses,
    /// Somebody said so.
    Admin,
    /// Another member of its group is at fault.
    Group,
    /// Its interface is down, or gone.
    Interface,
    /// Its interface has no address to speak from.
    NoSource,
    /// A vital [`Tracker`] is down.
    Tracker,
}

impl FaultCause {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Addresses, Self::Admin, Self::Group, Self::Interface, Self::NoSource, Self::Tracker];

    /// Its name in a status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Addresses => "addresses",
            Self::Admin => "admin",
            Self::Group => "group",
            Self::Interface => "interface",
            Self::NoSource => "no-source",
            Self::Tracker => "tracker",
        }
    }

    /// Whether it can still be said on the link that the router gives up: without an address, from the
    /// one that it had.
    pub(crate) const fn leaves_a_voice(self) -> bool {
        !matches!(self, Self::Interface)
    }
}

/// Every cause at once: the router is fit when the last of them is gone.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct FaultCauses(u8);

impl FaultCauses {
    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `cause` is one of them.
    pub const fn contains(self, cause: FaultCause) -> bool {
        self.0 & 1 << cause as u8 != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = FaultCause> {
        FaultCause::ALL.into_iter().filter(move |&cause| self.contains(cause))
    }

    /// A cause appeared or went away; `None` if that is known.
    pub(crate) const fn change(&mut self, cause: FaultCause, present: bool) -> Option<Fitness> {
        if self.contains(cause) == present {
            return None;
        }
        let was_fit = self.is_empty();
        self.set(cause, present);
        Some(match (was_fit, self.is_empty()) {
            (true, false) => Fitness::Lost,
            (false, true) => Fitness::Regained,
            _ => Fitness::Same,
        })
    }

    pub(crate) const fn set(&mut self, cause: FaultCause, present: bool) {
        if present {
            self.0 |= 1 << cause as u8;
        } else {
            self.0 &= !(1 << cause as u8);
        }
    }

    pub(crate) const fn without(mut self, cause: FaultCause) -> Self {
        self.set(cause, false);
        self
    }
}

/// What another cause of fault comes to, or one less.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fitness {
    /// That was the first.
    Lost,
    /// That was the last.
    Regained,
    /// There are others.
    Same,
}

impl fmt::Debug for FaultCauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracking(tracked: &[(Tracker, Signal)]) -> Tracking {
        let numbered = (0..).map(TrackerId::new).zip(tracked);
        let numbered = numbered.map(|(id, &(tracker, signal))| Tracked { id, tracker, signal });
        Tracking(numbered.collect())
    }

    fn priority(base: u8, tracked: &[(Tracker, Signal)]) -> u8 {
        tracking(tracked).priority(Priority::new(base)).get()
    }

    #[test]
    fn weights_count_while_they_should() {
        assert_eq!(priority(100, &[(Tracker::weighing(20), Signal::Up)]), 120);
        assert_eq!(priority(100, &[(Tracker::weighing(20), Signal::Down)]), 100);
        assert_eq!(priority(100, &[(Tracker::weighing(-20), Signal::Up)]), 100);
        assert_eq!(priority(100, &[(Tracker::weighing(-20), Signal::Down)]), 80);
        assert_eq!(priority(100, &[(Tracker::weighing(-2), Signal::Value(7))]), 86);
        assert_eq!(priority(100, &[(Tracker::weighing(-2).reversed(), Signal::Value(7))]), 114);
    }

    /// keepalived 2.2.7 was seen on the wire to send these for `weight N reverse`.
    #[test]
    fn reversed_weights_are_subtracted_when_they_would_be_added() {
        for (weight, up, down) in [(5, 95, 100), (-5, 100, 105), (9, 91, 100), (-9, 100, 109)] {
            let tracker = Tracker::weighing(weight).reversed();
            assert_eq!(priority(100, &[(tracker, Signal::Up)]), up, "{weight}");
            assert_eq!(priority(100, &[(tracker, Signal::Down)]), down, "{weight}");
        }
        let standby = Tracker::vital().reversed();
        assert!(tracking(&[(standby, Signal::Up)]).is_faulty());
        assert!(!tracking(&[(standby, Signal::Down)]).is_faulty());
    }

    #[test]
    fn no_weight_reaches_the_owner_or_silence() {
        assert_eq!(priority(200, &[(Tracker::weighing(253), Signal::Up)]), 254);
        assert_eq!(priority(20, &[(Tracker::weighing(i16::MIN), Signal::Down)]), 1);
        assert_eq!(priority(20, &[(Tracker::weighing(i16::MIN), Signal::Value(i32::MAX))]), 1);
        assert_eq!(priority(255, &[(Tracker::weighing(-100), Signal::Down)]), 255);
    }

    #[test]
    fn a_number_may_be_a_fault() {
        let is_faulty = |weight, value| {
            tracking(&[(Tracker::weighing(weight), Signal::Value(value))]).is_faulty()
        };
        assert!(!is_faulty(1, -253) && is_faulty(1, -254));
        assert!(!is_faulty(-2, 126) && is_faulty(-2, 127));
        assert!(!is_faulty(254, 254));
    }

    #[test]
    fn what_is_down_demotes_by_its_weight() {
        let demotion = |tracked: &[(Tracker, Signal)]| tracking(tracked).demotion();
        assert_eq!(demotion(&[(Tracker::weighing(20), Signal::Up)]), 0);
        assert_eq!(demotion(&[(Tracker::weighing(20), Signal::Down)]), 20);
        assert_eq!(demotion(&[(Tracker::weighing(-20), Signal::Down)]), 20);
        assert_eq!(demotion(&[(Tracker::weighing(-20).reversed(), Signal::Up)]), 20);
        assert_eq!(demotion(&[(Tracker::weighing(-20).reversed(), Signal::Down)]), 0);
        assert_eq!(demotion(&[(Tracker::vital(), Signal::Down)]), 0, "a fault");
        assert_eq!(demotion(&[(Tracker::weighing(2), Signal::Value(-7))]), 14);
        assert_eq!(demotion(&[(Tracker::weighing(2), Signal::Value(7))]), 0);
        assert_eq!(demotion(&[(Tracker::weighing(200), Signal::Down); 2]), 255);
    }

    /// As by keepalived, before a script has ended for the first time.
    #[test]
    fn what_is_not_known_weighs_nothing_and_is_no_fault() {
        let trackers = [20, -20, 0].map(Tracker::weighing);
        for tracker in trackers.into_iter().chain(trackers.map(Tracker::reversed)) {
            let tracked = [(tracker, Signal::Unknown)];
            assert_eq!(priority(100, &tracked), 100, "{tracker:?}");
            let tracking = tracking(&tracked);
            assert_eq!((tracking.demotion(), tracking.is_faulty()), (0, false), "{tracker:?}");
            assert_eq!(tracking.is_undecided(), tracker.effect == Effect::Fault, "{tracker:?}");
        }
    }

    #[test]
    fn only_what_is_a_fault_is_named_as_one() {
        let faulty = tracking(&[
            (Tracker::vital(), Signal::Up),
            (Tracker::vital(), Signal::Down),
            (Tracker::weighing(-20), Signal::Down),
            (Tracker::vital().reversed(), Signal::Up),
            (Tracker::vital(), Signal::Unknown),
            (Tracker::weighing(1), Signal::Value(-254)),
        ]);
        assert_eq!(faulty.faulty().collect::<Vec<_>>(), [1, 3, 5].map(TrackerId::new));
    }

    #[test]
    fn causes_are_a_set() {
        let mut causes = FaultCauses::default();
        causes.set(FaultCause::Interface, true);
        causes.set(FaultCause::Interface, true);
        causes.set(FaultCause::Tracker, true);
        causes.set(FaultCause::Interface, false);
        assert_eq!(causes.iter().collect::<Vec<_>>(), [FaultCause::Tracker]);
        assert!(causes.without(FaultCause::Tracker).is_empty());
    }
}
