//! Many virtual routers in one process.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use crate::ALONE;
use crate::daemon::run_ours;
use crate::lab::{Host, Lab, MS, is_possible};
use crate::probe::{Advert, Sniffer};

/// This many instances with an address each, 250 on each interface.
fn configuration(count: usize, priority: u8, interval: Duration) -> String {
    let mut text = String::new();
    for number in 0..count {
        let (interface, vrid) = (number / 250, number % 250 + 1);
        write!(
            text,
            "[[vrrp_instance]]\nname = \"v{number}\"\ninterface = \"eth{interface}\"\n\
             virtual_router_id = {vrid}\npriority = {priority}\nadvert_interval = \"{}ms\"\n\
             addresses = [\"10.{}.{vrid}.200/32\"]\n\
             garp = {{ repeat = 1, delay = \"0s\", refresh = \"0s\" }}\n",
            interval.as_millis(),
            100 + interface
        )
        .unwrap();
    }
    text
}

/// The adverts of each router, in order.
fn by_router(said: &[Advert]) -> HashMap<(u8, u8), Vec<Advert>> {
    let mut routers = HashMap::<_, Vec<_>>::new();
    for advert in said {
        routers.entry((advert.link, advert.vrid)).or_default().push(*advert);
    }
    routers
}

fn gaps(routers: &HashMap<(u8, u8), Vec<Advert>>) -> Vec<Duration> {
    let pairs = routers.values().flat_map(|adverts| adverts.windows(2));
    pairs.map(|pair| pair[1].at - pair[0].at).collect()
}

#[test]
#[ignore = "needs root"]
fn a_reload_of_many_is_no_flap() {
    const COUNT: usize = 250;
    if !is_possible() {
        return;
    }
    let _alone = ALONE.write().unwrap_or_else(PoisonError::into_inner);
    // Where figures are wanted, the bar; else somebody else is busy, and the build is slow.
    let (interval, limit) = match std::env::var_os("WIRE_RUNS") {
        Some(_) => (100 * MS, 150 * MS),
        // What a backup waits for, at least.
        None => (200 * MS, 600 * MS),
    };
    let lab = Lab::new();
    let daemon = run_ours(&lab, Host::A, &configuration(COUNT, 200, interval));
    let sniffer = Sniffer::start(&lab.space(Host::B));
    let start = Instant::now();
    let all_speak = || by_router(&sniffer.said(Host::A, start)).len() == COUNT;
    lab.until(Duration::from_secs(20), "all are masters", all_speak);
    thread::sleep(1500 * MS);

    // Whoever had the machine meanwhile has it no more at the third time.
    let is_unnoticed = [190, 180, 170].into_iter().any(|priority| {
        let reload = Instant::now();
        daemon.reload_text(&configuration(COUNT, priority, interval));
        thread::sleep(2000 * MS);
        let said = sniffer.said(Host::A, reload);
        let routers = by_router(&said);
        assert_eq!(routers.len(), COUNT);
        assert!(said.iter().all(|advert| advert.priority > 0), "a reload released");
        let changed =
            |adverts: &&Vec<Advert>| adverts.last().is_some_and(|last| last.priority == priority);
        assert_eq!(routers.values().filter(changed).count(), COUNT);
        let longest = gaps(&routers).into_iter().max().unwrap();
        eprintln!("{COUNT} instances reloaded: the longest gap is {longest:.1?}");
        longest <= limit
    });
    assert!(is_unnoticed);
}

/// `WIRE_RUNS` makes it measure for longer; `--release` makes the figures worth something.
#[test]
#[ignore = "needs root"]
fn a_thousand_advertise_in_time() {
    const COUNT: usize = 1000;
    if !is_possible() {
        return;
    }
    let _alone = ALONE.write().unwrap_or_else(PoisonError::into_inner);
    let seconds = if std::env::var_os("WIRE_RUNS").is_some() { 10 } else { 3 };
    let lab = Lab::new();
    lab.add_cables(COUNT.div_ceil(250) - 1);
    let daemon = run_ours(&lab, Host::A, &configuration(COUNT, 200, 100 * MS));
    let sniffer = Sniffer::start(&lab.space(Host::B));
    let start = Instant::now();
    let all_speak = || by_router(&sniffer.said(Host::A, start)).len() == COUNT;
    lab.until(Duration::from_secs(30), "all are masters", all_speak);
    thread::sleep(Duration::from_secs(seconds)); // for all to be announced
    // However late some are: none is left out, and no backup would take over. If somebody else has the
    // machine, it is tried again.
    let is_in_time = (0..3).any(|_| {
        let (start, cpu) = (Instant::now(), daemon.cpu());
        thread::sleep(Duration::from_secs(seconds));
        let spent = daemon.cpu() - cpu;
        let said = sniffer.said(Host::A, start);
        assert!(said.iter().all(|advert| advert.priority == 200), "somebody gave up");
        let routers = by_router(&said);
        let gaps = gaps(&routers);
        let in_time = gaps.iter().filter(|gap| gap.abs_diff(100 * MS) <= 5 * MS).count();
        let share = 100.0 * in_time as f64 / gaps.len() as f64;
        let longest = *gaps.iter().max().unwrap();
        eprintln!(
            "{COUNT} instances: {} adverts in {seconds} s, {share:.2} % of the gaps within 5 ms, \
             longest {longest:.1?}; {:.1} % of a core",
            said.len(),
            spent.as_secs_f64() * 100.0 / seconds as f64,
        );
        let expected = COUNT * 10 * usize::try_from(seconds).unwrap();
        let is_complete = said.len().abs_diff(expected) <= expected / 20;
        routers.len() == COUNT && is_complete && longest < 350 * MS
    });
    assert!(is_in_time);
    let resident = daemon.resident() as f64 / 1e6;
    eprintln!("{COUNT} instances: {resident:.1} MB");
    assert!(resident < 60.0, "{resident}");
}
