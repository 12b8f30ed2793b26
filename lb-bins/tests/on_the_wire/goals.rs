//! How much virtual routers bear: intervals of ten milliseconds, links that lose a third, hosts that
//! stand still for a while.

use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use crate::ALONE;
use crate::daemon::{Daemon, Kind};
use crate::lab::{Host, Lab, MS, has, is_possible, status};
use crate::many;
use crate::probe::{Advert, Sniffer, words_after};
use crate::still::{late_since, look_at_it};

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);
const VIP: &str = "10.99.0.200";

/// Two addresses, in keepalived's words.
fn file(priority: u8, interval: Duration, more: &str) -> String {
    format!(
        "global_defs {{\n vrrp_version 3\n}}\nvrrp_instance v {{\n interface eth0\n \
         virtual_router_id 51\n priority {priority}\n advert_int {}\n {more}\n \
         virtual_ipaddress {{\n {VIP}/24\n 10.99.0.201/24\n }}\n}}\n",
        interval.as_secs_f64()
    )
}

/// A of priority 200 and B of 100, of which A has the address.
struct Pair {
    lab: Lab,
    sniffer: Sniffer,
    a: Daemon,
    _b: Daemon,
}

impl Pair {
    fn start((a, b): (Kind, Kind), interval: Duration, more: &str) -> Self {
        let lab = Lab::new();
        let sniffer = Sniffer::start(&lab.space(Host::B));
        let a = Daemon::run(&lab, a, Host::A, &file(200, interval, more));
        lab.until(PATIENCE, "A is elected", || lab.holds(Host::A, VIP));
        let b = Daemon::run(&lab, b, Host::B, &file(100, interval, ""));
        // It is there when its process has taken the sockets; that is not seen from outside.
        thread::sleep(SECOND);
        Self { lab, sniffer, a, _b: b }
    }

    fn settles(&self, hosts: &[Host], saying: &str) {
        let holders = || {
            let holds = |host: &Host| self.lab.holds(*host, VIP);
            [Host::A, Host::B].into_iter().filter(holds).collect::<Vec<_>>()
        };
        self.lab.until(PATIENCE, saying, || holders() == hosts);
    }

    /// Whether B spoke as a master since then.
    fn is_taken_over(&self, since: Instant) -> bool {
        self.sniffer.said(Host::B, since).iter().any(|one| one.priority > 0)
    }
}

/// With `WIRE_RUNS`, for so many minutes.
#[test]
#[ignore = "needs root and keepalived"]
fn nobody_is_taken_for_dead_in_ten_milliseconds() {
    const INTERVAL: Duration = Duration::from_millis(10);
    // (256 - 100) 256ths, and three intervals.
    const DOWN: Duration = Duration::from_micros(36_093);
    const WINDOW: Duration = Duration::from_secs(3);
    if !is_possible() {
        return;
    }
    let _alone = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    look_at_it();
    let minutes = std::env::var("WIRE_RUNS").ok().and_then(|runs| runs.parse::<u32>().ok());
    let windows = minutes.map_or(10, |minutes| minutes * 20);
    let (ours, theirs) = (Kind::Migrated, Kind::Keepalived);
    let watched = |pair: (Kind, Kind)| {
        let pair_of = Pair::start(pair, INTERVAL, "");
        let (mut false_ones, mut excused) = (0, 0);
        for _ in 0..windows {
            let since = Instant::now();
            thread::sleep(WINDOW);
            let is_late = late_since(since) > INTERVAL;
            match (pair_of.is_taken_over(since), is_late) {
                (true, true) => excused += 1,
                (true, false) => false_ones += 1,
                (false, _) => {}
            }
            pair_of.settles(&[Host::A], "A is better");
        }
        let mut takeovers: Vec<_> = (0..5).map(|_| cut(&pair_of, DOWN)).collect();
        takeovers.sort();
        let (own, takeover) = takeovers[2];
        eprintln!(
            "{pair:?}, every 10 ms: {false_ones} false takeovers in {:?}, {excused} while the machine \
             stood still; a cut takes {takeover:.1?}",
            WINDOW * windows
        );
        (false_ones, own)
    };
    let (of_ours, of_theirs) = thread::scope(|scope| {
        let theirs = scope.spawn(|| watched((theirs, theirs)));
        (watched((ours, ours)), theirs.join().unwrap())
    });
    assert_eq!(of_ours.0, 0, "and keepalived beside it {}", of_theirs.0);
    assert!(of_ours.1 < DOWN + INTERVAL, "{:?}", of_ours.1);
}

/// How long it takes from the last that B heard to the first that it says, without what the machine was
/// late, and with it.
fn cut(pair: &Pair, down: Duration) -> (Duration, Duration) {
    let since = Instant::now();
    pair.lab.connect(Host::A, false);
    pair.settles(&[Host::A, Host::B], "B takes over");
    let late = late_since(since);
    let first = pair.sniffer.said(Host::B, since)[0].at;
    let heard = pair.sniffer.said(Host::A, since.checked_sub(SECOND).unwrap());
    let took = first - heard.iter().rfind(|one| one.at < first).unwrap().at;
    assert!(took + MS >= down, "B was early: {took:?}");
    pair.lab.connect(Host::A, true);
    pair.settles(&[Host::A], "B gives way");
    (took.saturating_sub(late), took)
}

/// A host that is moved elsewhere, or that is starved, wakes up with a queue of what the other one said.
#[test]
#[ignore = "needs root and keepalived"]
fn who_wakes_up_late_hears_first_what_it_has_missed() {
    const INTERVAL: Duration = Duration::from_millis(100);
    const DOWN: Duration = Duration::from_millis(361);
    if !is_possible() {
        return;
    }
    let _alone = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    look_at_it();
    let sleep = |kinds: (Kind, Kind), more: &str| {
        let pair = Pair::start(kinds, INTERVAL, more);
        // The announcements of its beginning are over.
        thread::sleep(5 * SECOND);
        let mac = pair.lab.mac(Host::A);
        let start = Instant::now();
        pair.a.freeze();
        thread::sleep(2 * DOWN);
        let since = Instant::now();
        pair.a.thaw();
        // Before the second announcement of whoever has just become master.
        thread::sleep(3 * SECOND);
        let late = late_since(start);
        let [a, b] = [Host::A, Host::B].map(|host| pair.sniffer.said(host, since));
        let announced = pair.sniffer.announced(&mac, since);
        eprintln!("{kinds:?} {more}: {announced} announcements after a pause");
        let before = pair.sniffer.said(Host::B, start);
        assert!(before[0].at < since + late, "B takes over while A sleeps");
        (pair, a, b, announced, late)
    };
    let peers = [Kind::Keepalived, Kind::Migrated];
    thread::scope(|scope| {
        scope.spawn(|| sleep((Kind::Keepalived, Kind::Keepalived), ""));
        for peer in peers {
            // Takes the addresses back, and says so in few words.
            scope.spawn(move || {
                let (pair, a, b, announced, late) = sleep((Kind::Migrated, peer), "");
                pair.settles(&[Host::A], "A is better");
                assert!((1..=20).contains(&announced), "{announced} announcements");
                assert!(words_after(&a, &b) <= 2, "{a:?} {b:?}");
                let both = both_speak(&a, &b);
                assert!(both < INTERVAL + late, "two masters for {both:?}");
            });
            // Leaves them to whoever took over.
            scope.spawn(move || {
                let (pair, a, b, announced, _) = sleep((Kind::Migrated, peer), "nopreempt");
                pair.settles(&[Host::B], "A does not preempt");
                assert!(a.len() <= 1, "A spoke as a master: {a:?}");
                assert!(a.iter().all(|one| one.priority < 100), "it is its last word: {a:?}");
                assert_eq!(announced, 0);
                assert!(b.iter().all(|one| one.priority > 0), "B gave way: {b:?}");
            });
        }
    });
}

/// For how long B went on as a master after A had spoken as one.
fn both_speak(a: &[Advert], b: &[Advert]) -> Duration {
    let Some(first) = a.first() else { return Duration::ZERO };
    let last = b.iter().rfind(|one| one.priority > 0);
    last.map_or(Duration::ZERO, |last| last.at.saturating_duration_since(first.at))
}

/// A backup takes three lost advertisements in a row for a dead master, as often as chance has it, and
/// no more often; and whoever is better has the addresses back with the first word that is heard.
#[test]
#[ignore = "needs root and nft"]
fn a_link_that_loses_a_third_costs_what_chance_says() {
    const COUNT: usize = 100;
    const LOSS: f64 = 0.3;
    const INTERVAL: Duration = Duration::from_millis(100);
    if !is_possible() || !has("nft", "--version") {
        return;
    }
    let _alone = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    look_at_it();
    let length = if std::env::var_os("WIRE_RUNS").is_some() { 60 * SECOND } else { 10 * SECOND };
    let lab = Lab::new();
    let text = |priority: u8| {
        "admin = \"127.0.0.1:9900\"\n".to_owned() + &many::configuration(COUNT, priority, INTERVAL)
    };
    let masters = |host: Host| count(&lab, host, |one| usize::from(one["state"] == "MASTER"));
    let _a = Daemon::run(&lab, Kind::Ours, Host::A, &text(200));
    lab.until(PATIENCE, "all are masters", || masters(Host::A) == COUNT);
    let _b = Daemon::run(&lab, Kind::Ours, Host::B, &text(100));
    lab.until(PATIENCE, "B is there", || count(&lab, Host::B, |_| 1) == COUNT);
    let flaps = || {
        count(&lab, Host::B, |one| {
            one["counters"]["became_master"].as_u64().unwrap_or_default() as usize
        })
    };
    thread::sleep(SECOND);
    assert_eq!(flaps(), 0, "nothing is lost");

    let switch = lab.switch();
    lab.run(&switch, "nft add table bridge loss");
    lab.run(&switch, "nft add chain bridge loss f { type filter hook forward priority 0; }");
    let start = Instant::now();
    lab.run(&switch, "nft add rule bridge loss f ip protocol 112 numgen random mod 10 < 3 drop");
    thread::sleep(length);
    lab.run(&switch, "nft delete table bridge loss");
    let (took, late) = (start.elapsed(), late_since(start));
    // One is the end of three that were lost after one that was not.
    let each = took.as_secs_f64() / INTERVAL.as_secs_f64();
    let expected = LOSS.powi(3) * (1.0 - LOSS) * each * COUNT as f64;
    let seen = flaps() as f64;
    eprintln!(
        "{COUNT} instances, {:.0} % lost: {seen} flaps in {took:.1?}, and chance has {expected:.0}; the \
         machine stood still for {late:.1?}",
        100.0 * LOSS
    );
    // Five standard deviations of what is Poisson's, nearly; and all of them for each time that the
    // machine stood still for longer than the fraction of an interval that is left.
    let most = 5.0 * expected.sqrt();
    let excused = COUNT as f64 * late.as_secs_f64() / (0.39 * INTERVAL.as_secs_f64());
    assert!(seen > expected - most && seen < expected + most + excused, "{seen} flaps");
    lab.until(PATIENCE, "A has all", || masters(Host::A) == COUNT && masters(Host::B) == 0);
    let before = flaps();
    thread::sleep(SECOND);
    assert_eq!(flaps(), before, "nothing is lost any more");
}

/// Sums up what the instances of a host have.
fn count(lab: &Lab, host: Host, of: impl Fn(&serde_json::Value) -> usize) -> usize {
    let status = status(&lab.space(host));
    status["vrrp_instances"].as_array().map_or(0, |all| all.iter().map(of).sum())
}
