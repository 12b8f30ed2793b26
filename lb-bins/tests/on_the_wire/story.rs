//! What happens to a pair of hosts in the course of their lives, in one order for all.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Kind};
use crate::dialect::{Dialect, Wish};
use crate::lab::{Host, Lab, MS};
use crate::probe::{Probe, Sniffer};

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

/// Plays it, and says what was measured.
pub(crate) fn play(dialect: Dialect, pair: (Kind, Kind)) -> Story {
    let stage = Stage::new(dialect);
    let mut measured = Vec::new();
    let down = dialect.master_down(LESSER);

    // B is alone, and A is better.
    let b = stage.start(pair.1, Host::B);
    stage.settles(false, true, "B is elected, for nobody else is there");
    stage.answers(Host::B, "B answers");
    let since = Instant::now();
    let mut a = stage.start(pair.0, Host::A);
    stage.settles(true, false, "A preempts B");
    stage.answers(Host::A, "A answers");
    measured.push(("preemption", stage.probe.gap(since)));

    // Another priority is no reason to move.
    stage.intervals(3);
    let since = Instant::now();
    a.reload(dialect, &Wish::new(Host::A, 190));
    stage.intervals(6);
    let said = stage.sniffer.said(Host::A, since);
    assert!(said.iter().all(|one| one.priority > 0), "a reload released: {said:?}");
    assert_eq!(said.last().map(|one| one.priority), Some(190), "the reload is not heard");
    assert!(stage.sniffer.said(Host::B, since).is_empty(), "B spoke during a reload");
    measured.push(("reload", stage.probe.gap(since)));

    let since = Instant::now();
    a.tell_to_stop();
    stage.settles(false, true, "B takes over from A, which stopped");
    a.wait();
    stage.answers(Host::B, "B answers after A stopped");
    stage.intervals(2);
    measured.push(("stop", stage.probe.gap(since)));
    let zeros = stage.sniffer.said(Host::A, since).iter().filter(|one| one.priority == 0).count();
    assert!(zeros > 0, "A did not say that it stops");

    a = stage.start(pair.0, Host::A);
    stage.settles(true, false, "A preempts B again");
    stage.answers(Host::A, "A answers again");

    // A is cut off without noticing.
    stage.intervals(3);
    let since = Instant::now();
    stage.lab.connect(Host::A, false);
    stage.settles(true, true, "B takes over from A, which fell silent");
    stage.answers(Host::B, "B answers after A was cut off");
    measured.push(("cut", stage.probe.gap(since)));
    let takeover = stage.takeover(since).unwrap();
    assert!(takeover + 5 * MS >= down, "B was early: {takeover:?}, not {down:?}");
    measured.push(("takeover", takeover));

    // The partition heals.
    stage.intervals(2);
    let since = Instant::now();
    stage.lab.connect(Host::A, true);
    stage.settles(true, false, "one of two masters gives way");
    stage.answers(Host::A, "A answers after the partition");
    measured.push(("heal", stage.probe.gap(since)));

    // A dies, and leaves the address behind.
    stage.intervals(3);
    let since = Instant::now();
    a.kill();
    assert!(stage.lab.holds(Host::A, dialect.address()), "nobody took it away");
    stage.settles(true, true, "B takes over from A, which died");
    stage.answers(Host::B, "B answers after A died");
    measured.push(("kill", stage.probe.gap(since)));
    a = stage.start(pair.0, Host::A);
    stage.intervals(1);
    stage.settles(true, false, "A comes back");
    stage.answers(Host::A, "A answers after it came back");

    // One has another list of addresses: they are still one virtual router.
    if pair.1 == Kind::Ours {
        stage.intervals(3);
        let mut wish = Wish::new(Host::A, BETTER);
        wish.more_addresses.push(dialect.another_address().to_owned());
        let since = Instant::now();
        a.reload(dialect, &wish);
        stage.intervals(8);
        assert!(
            stage.lab.holds(Host::A, dialect.another_address()),
            "the new address is not there"
        );
        let said = stage.sniffer.said(Host::B, since);
        assert!(said.is_empty(), "two masters with different lists: {said:?}");
        measured.push(("mismatch", stage.probe.gap(since)));
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
    Story { dialect, pair, measured }
}
