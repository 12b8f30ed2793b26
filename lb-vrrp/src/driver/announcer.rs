//! One budget for all that is announced, so that a thousand addresses are no storm.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::budget::{Budget, Spent};

/// How fast addresses are announced: a burst, and then one frame at a time.
///
/// How *often*, and when again, is [`Announcements`](crate::Announcements)' to say.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Pacing {
    /// How many frames go out at once. Default: 64; 0 counts as 1.
    pub burst: u16,
    /// After how long there may be one more. Default: 1 ms; zero for no limit.
    pub spacing: Duration,
}

impl Default for Pacing {
    fn default() -> Self {
        Self { burst: 64, spacing: Duration::from_millis(1) }
    }
}

impl Pacing {
    /// This many at once, and then one every `spacing`.
    pub const fn new(burst: u16, spacing: Duration) -> Self {
        Self { burst, spacing }
    }

    const fn budget(self) -> Budget {
        Budget::new(self.burst, self.spacing)
    }
}

/// From one announcement of an address to the next. The old master, which still has it for a moment,
/// answers a gratuitous ARP as any other request; if it has the same virtual MAC address, that tells
/// switches that it is still there. So the last word must not be said in that moment.
const APART: Duration = Duration::from_millis(2);

/// What is still to be announced, and when.
#[derive(Debug)]
pub(super) struct Announcer {
    budget: Budget,
    spent: Spent,
    /// In the order of the addresses.
    left: Vec<Left>,
    /// Where the round is: everybody has a turn before anybody has a second one.
    place: usize,
    /// When there is room for the next frame beside those of others on the link, once that was asked for.
    slot: Option<Instant>,
}

/// How often an address has still to be announced.
#[derive(Debug)]
struct Left {
    address: IpAddr,
    times: u8,
    /// Not before.
    at: Option<Instant>,
}

impl Left {
    fn is_due(&self, now: Instant) -> bool {
        self.times > 0 && self.at.is_none_or(|at| at <= now)
    }
}

impl Announcer {
    pub(super) fn new(pacing: Pacing) -> Self {
        let (budget, spent) = (pacing.budget(), Spent::default());
        Self { budget, spent, left: Vec::new(), place: 0, slot: None }
    }

    /// What is asked for twice is not done twice: the larger number counts.
    pub(super) fn ask(&mut self, address: IpAddr, times: u8) {
        match self.left.iter_mut().find(|known| known.address == address) {
            Some(known) => known.times = known.times.max(times),
            None => self.left.push(Left { address, times, at: None }),
        }
    }

    /// Somebody else has the addresses.
    pub(super) fn clear(&mut self) {
        self.left.clear();
        self.place = 0;
        self.slot = None;
    }

    /// This one is no longer here.
    pub(super) fn forget(&mut self, address: IpAddr) {
        self.left.retain(|known| known.address != address);
        self.place = 0;
    }

    /// When the next frame may go out; `None` if there is none.
    pub(super) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let waiting = self.left.iter().filter(|left| left.times > 0);
        let first = waiting.map(|left| left.at.unwrap_or(now)).min()?;
        Some(first.max(self.spent.earliest(self.budget, now)).max(self.slot.unwrap_or(first)))
    }

    /// The address to announce now, if any is due; `reserve` says when there is room for it on the
    /// link, and is asked once for each.
    pub(super) fn pop(
        &mut self,
        now: Instant,
        reserve: impl FnOnce() -> Instant,
    ) -> Option<IpAddr> {
        if self.spent.earliest(self.budget, now) > now {
            return None;
        }
        let count = self.left.len();
        let mut turns = (0..count).map(|turn| (self.place + turn) % count);
        let turn = turns.find(|&turn| self.left[turn].is_due(now))?;
        if *self.slot.get_or_insert_with(reserve) > now {
            return None;
        }
        self.slot = None;
        self.place = (turn + 1) % count;
        let Left { address, times, at } = &mut self.left[turn];
        *times -= 1;
        *at = Some(now + APART);
        self.spent.spend(self.budget, now);
        Some(*address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn address(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    /// With the link for itself.
    fn pop(announcer: &mut Announcer, now: Instant) -> Option<IpAddr> {
        announcer.pop(now, || now)
    }

    #[allow(clippy::disallowed_methods, reason = "any instant is the beginning")]
    fn beginning() -> Instant {
        Instant::now()
    }

    #[test]
    fn every_address_has_a_turn_before_any_has_a_second_one() {
        let mut announcer = Announcer::new(Pacing::default());
        announcer.ask(address(1), 2);
        announcer.ask(address(2), 1);
        announcer.ask(address(3), 2);
        let now = beginning();
        let said: Vec<_> = std::iter::from_fn(|| pop(&mut announcer, now)).collect();
        assert_eq!(said, [1, 2, 3].map(address));
        // Once more, but not in the same moment.
        assert_eq!(announcer.next_deadline(now), Some(now + APART));
        assert_eq!(pop(&mut announcer, now + APART / 2), None);
        let said: Vec<_> = std::iter::from_fn(|| pop(&mut announcer, now + APART)).collect();
        assert_eq!(said, [1, 3].map(address));
        assert_eq!(announcer.next_deadline(now + APART), None);
    }

    #[test]
    fn after_the_burst_there_is_one_a_spacing() {
        let mut announcer = Announcer::new(Pacing::new(3, 10 * MS));
        let now = beginning();
        (1..=5).for_each(|last| announcer.ask(address(last), 1));
        let burst = std::iter::from_fn(|| pop(&mut announcer, now)).count();
        assert_eq!(burst, 3);
        assert_eq!(announcer.next_deadline(now), Some(now + 10 * MS));
        assert_eq!(pop(&mut announcer, now + 9 * MS), None);
        assert_eq!(pop(&mut announcer, now + 10 * MS), Some(address(4)));
        assert_eq!(pop(&mut announcer, now + 10 * MS), None);
        // Who is late catches up, but has no more than was owed.
        assert_eq!(pop(&mut announcer, now + 60 * MS), Some(address(5)));
        assert_eq!(pop(&mut announcer, now + 60 * MS), None);
    }

    #[test]
    fn asking_again_is_no_second_burst() {
        let mut announcer = Announcer::new(Pacing::new(1, 10 * MS));
        let now = beginning();
        announcer.ask(address(1), 5);
        assert_eq!(pop(&mut announcer, now), Some(address(1)));
        announcer.ask(address(1), 2);
        announcer.ask(address(1), 5);
        let later = (1..100).filter(|&turn| pop(&mut announcer, now + turn * 10 * MS).is_some());
        assert_eq!(later.count(), 5);
        announcer.ask(address(1), 5);
        announcer.clear();
        assert_eq!(pop(&mut announcer, now + 10_000 * MS), None);
    }

    #[test]
    fn no_spacing_is_no_limit_and_no_burst_is_one() {
        let now = beginning();
        for (pacing, expected) in [
            (Pacing::new(1, Duration::ZERO), 255),
            (Pacing::new(0, 10 * MS), 1),
            (Pacing::new(3, Duration::MAX), 3),
        ] {
            let mut announcer = Announcer::new(pacing);
            (0..255).for_each(|last| announcer.ask(address(last), 1));
            assert_eq!(std::iter::from_fn(|| pop(&mut announcer, now)).count(), expected);
        }
    }

    #[test]
    fn what_has_no_room_on_the_link_waits_and_asks_once() {
        let (mut announcer, now) = (Announcer::new(Pacing::default()), beginning());
        announcer.ask(address(1), 2);
        assert_eq!(announcer.pop(now, || now + 50 * MS), None);
        assert_eq!(announcer.next_deadline(now), Some(now + 50 * MS));
        let never = || unreachable!("it has asked");
        assert_eq!(announcer.pop(now + 49 * MS, never), None);
        assert_eq!(announcer.pop(now + 50 * MS, never), Some(address(1)));
        // What is not due takes no room from others.
        assert_eq!(announcer.pop(now + 50 * MS, never), None);
        assert_eq!(pop(&mut announcer, now + 52 * MS), Some(address(1)));
        assert_eq!(announcer.next_deadline(now), None);
    }
}
