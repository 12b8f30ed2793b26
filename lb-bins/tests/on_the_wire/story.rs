//! What happens to a pair of hosts in the course of their lives, in one order for all.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Kind};
use crate::dialect::{Dialect, Wish};
use crate::lab::{Host, Lab, MS};
use crate::probe::{Probe, Sniffer, words_after};
use crate::still::late_since;

const BETTER: u8 = 200;
const LESSER: u8 = 100;

/// What was measured on the way.
pub(crate) struct Story {
    dialect: Dialect,
    pair: (Kind, Kind),
    measured: Vec<(&'static str, Duration)>,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (a, b) = self.pair;
        write!(f, "{:?}, {a:?} beside {b:?}:", self.dialect)?;
        self.measured.iter().try_for_each(|(what, took)| write!(f, " {what} {took:.0?},"))
    }
}

/// A pair of hosts, and whoever looks at them.
pub(crate) struct Stage {
    pub(crate) lab: Lab,
    pub(crate) dialect: Dialect,
    pub(crate) probe: Probe,
    /// At B, which hears A and itself.
    pub(crate) sniffer: Sniffer,
}

impl Stage {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let lab = Lab::new();
        let probe = Probe::start(&lab, dialect.address().parse().unwrap());
        let sniffer = Sniffer::start(&lab.space(Host::B));
        Self { lab, dialect, probe, sniffer }
    }

    pub(crate) fn start(&self, kind: Kind, host: Host) -> Daemon {
        let priority = if host == Host::A { BETTER } else { LESSER };
        Daemon::start(&self.lab, kind, self.dialect, &Wish::new(host, priority))
    }

    /// A daemon needs a while to begin, and a backup its time.
    pub(crate) fn patience(&self) -> Duration {
        self.dialect.master_down(LESSER) + 8000 * MS
    }

    /// Waits until the address is on these hosts and on no other.
    pub(crate) fn settles(&self, a: bool, b: bool, saying: &str) {
        let address = self.dialect.address();
        let there = || (self.lab.holds(Host::A, address), self.lab.holds(Host::B, address));
        self.lab.until(self.patience(), saying, || there() == (a, b));
    }

    /// Waits until the client is answered by this host.
    pub(crate) fn answers(&self, host: Host, saying: &str) {
        let number = Some(host.number());
        self.lab.until(self.patience() + 10_000 * MS, saying, || self.probe.last() == number);
    }

    pub(crate) fn intervals(&self, count: u32) {
        thread::sleep(self.dialect.interval() * count);
    }

    /// From the last that B heard of A to the first that B said itself.
    pub(crate) fn takeover(&self, since: Instant) -> Option<Duration> {
        let first = self.sniffer.said(Host::B, since).first()?.at;
        let long_ago = since.checked_sub(Duration::from_secs(60)).unwrap_or(since);
        let heard = self.sniffer.said(Host::A, long_ago);
        let last = heard.iter().rfind(|one| one.at < first)?.at;
        Some(first - last)
    }
}

/// Plays it, and says what was measured. Limits are such that what is broken does not keep to them; a
/// machine that was late itself is let off by as much.
pub(crate) fn play(dialect: Dialect, pair: (Kind, Kind)) -> Story {
    let stage = Stage::new(dialect);
    let mut story = Story { dialect, pair, measured: Vec::new() };
    let down = dialect.master_down(LESSER);

    // B is alone, and A is better.
    let b = stage.start(pair.1, Host::B);
    stage.settles(false, true, "B is elected, for nobody else is there");
    stage.answers(Host::B, "B answers");
    let since = Instant::now();
    let mut a = stage.start(pair.0, Host::A);
    stage.settles(true, false, "A preempts B");
    stage.answers(Host::A, "A answers");
    stage.intervals(1);
    story.measure("preemption", since, stage.probe.gap(since), Duration::MAX);
    stage.gives_way(since, pair.1);

    // Another priority is no reason to move, nor is nothing new.
    for priority in [BETTER, 190] {
        let since = Instant::now();
        a.reload(dialect, &Wish::new(Host::A, priority));
        let last = || stage.sniffer.said(Host::A, since).last().map(|one| one.priority);
        stage.lab.until(stage.patience(), "it is heard", || last() == Some(priority));
        stage.intervals(4);
        stage.stays_master(since);
        let limit = if pair.0.is_ours() { 300 * MS } else { Duration::MAX };
        story.measure("reload", since, stage.probe.gap(since), limit);
    }

    // The successor waits for its skew, and clients must not notice. It is quick enough to try it
    // more than once where that says more.
    let runs = if dialect.interval() < Duration::from_secs(1) { 3 } else { 1 };
    let mut gaps = Vec::new();
    for _ in 0..runs {
        let since = Instant::now();
        a.tell_to_stop();
        stage.settles(false, true, "B takes over from A, which stopped");
        a.wait();
        stage.answers(Host::B, "B answers after A stopped");
        stage.intervals(1);
        let gap = stage.probe.gap(since);
        gaps.push((gap.saturating_sub(late_since(since)), gap));
        let said = stage.sniffer.said(Host::A, since);
        assert!(said.iter().any(|one| one.priority == 0), "A did not say that it stops");
        a = stage.start(pair.0, Host::A);
        stage.settles(true, false, "A preempts B again");
        stage.answers(Host::A, "A answers again");
        stage.intervals(1);
    }
    gaps.sort();
    let (own, gap) = gaps[runs / 2];
    let limit = match pair.0.is_ours() {
        // What a host says from a virtual MAC address as it gives it up, of groups of IPv6, draws the
        // switch to it until the next advertisement.
        true if dialect == Dialect::VirtualMacV6 => dialect.interval() * 2,
        // Whatever the interval is: who does not make before it breaks needs a skew, 61 ms or 609 ms.
        true => 55 * MS,
        false => Duration::MAX,
    };
    assert!(own < limit, "a stop took {gap:?}, which is more than {limit:?}; {story}");
    story.measured.push(("stop", gap));

    // A is cut off without noticing.
    let since = Instant::now();
    stage.lab.connect(Host::A, false);
    stage.settles(true, true, "B takes over from A, which fell silent");
    stage.answers(Host::B, "B answers after A was cut off");
    story.measure("cut", since, stage.probe.gap(since), Duration::MAX);
    let takeover = stage.takeover(since).unwrap();
    // As far as the two clocks agree that this is measured with.
    assert!(takeover + MS >= down, "B was early: {takeover:?}, not {down:?}");
    let limit = if pair.1.is_ours() { down + 50 * MS } else { Duration::MAX };
    story.measure("takeover", since, takeover, limit);

    // The partition heals.
    stage.intervals(2);
    let since = Instant::now();
    stage.lab.connect(Host::A, true);
    stage.settles(true, false, "one of two masters gives way");
    stage.answers(Host::A, "A answers after the partition");
    stage.intervals(1);
    // With a loser that says a last word it is heard at once who won, and else with the next refresh.
    let limit = match pair.1.is_ours() {
        // For the same reason.
        true if dialect == Dialect::VirtualMacV6 => dialect.interval() * 2,
        true => 100 * MS,
        false => 1200 * MS,
    };
    story.measure("heal", since, stage.probe.gap(since), limit);
    stage.gives_way(since, pair.1);

    // A dies, and leaves the address behind.
    let since = Instant::now();
    a.kill();
    assert!(stage.lab.holds(Host::A, dialect.address()), "nobody took it away");
    stage.settles(true, true, "B takes over from A, which died");
    // Of two hosts with one MAC address the switch believes the one that spoke last. A answers what B
    // says of the address; where adverts come from it as well, B has the last word.
    if dialect != Dialect::VirtualMacBase {
        stage.answers(Host::B, "B answers after A died");
    }
    story.measure("kill", since, stage.probe.gap(since), 1000 * MS);
    a = stage.start(pair.0, Host::A);
    stage.intervals(1);
    stage.settles(true, false, "A comes back");
    stage.answers(Host::A, "A answers after it came back");
    stage.intervals(1);

    // One has another list of addresses: they are still one virtual router. For keepalived 2.2.7 they
    // are not, so that beside it both must change before B has waited long enough.
    let mut longer = Wish::new(Host::A, BETTER);
    longer.more_addresses.push(dialect.another_address().to_owned());
    for (wish, is_there) in [(longer, true), (Wish::new(Host::A, BETTER), false)] {
        let since = Instant::now();
        a.reload(dialect, &wish);
        if !pair.1.is_ours() {
            b.reload(dialect, &Wish { host: Host::B, priority: LESSER, ..wish });
        }
        stage.intervals(5);
        assert_eq!(stage.lab.holds(Host::A, dialect.another_address()), is_there);
        stage.stays_master(since);
        let limit = if pair.0.is_ours() { 300 * MS } else { Duration::MAX };
        story.measure("mismatch", since, stage.probe.gap(since), limit);
    }

    b.tell_to_stop();
    b.wait();
    stage.intervals(2);
    assert!(stage.lab.holds(Host::A, dialect.address()));
    a.tell_to_stop();
    a.wait();
    for address in [dialect.address(), dialect.another_address()] {
        for host in [Host::A, Host::B] {
            assert!(!stage.lab.holds(host, address), "{address} is left on {host:?}");
        }
    }
    story
}

impl Story {
    fn measure(&mut self, what: &'static str, since: Instant, took: Duration, limit: Duration) {
        let limit = limit.saturating_add(late_since(since));
        let story = format!("{self}");
        assert!(took < limit, "{what} took {took:?}, which is more than {limit:?}; {story}");
        self.measured.push((what, took));
    }
}

impl Stage {
    /// A gave nothing up, and B said nothing.
    fn stays_master(&self, since: Instant) {
        let said = self.sniffer.said(Host::A, since);
        assert!(said.iter().all(|one| one.priority > 0), "A released: {said:?}");
        let said = self.sniffer.said(Host::B, since);
        assert!(said.is_empty(), "two masters: {said:?}");
    }

    /// B heard A and was master no more; if it is ours, it said a last word. It may have been about
    /// to say another one.
    fn gives_way(&self, since: Instant, loser: Kind) {
        let [a, b] = [Host::A, Host::B].map(|host| self.sniffer.said(host, since));
        let words = words_after(&a, &b);
        let least = usize::from(loser.is_ours());
        assert!((least..=2).contains(&words), "B said {words} words after A: {a:?} {b:?}");
    }
}
