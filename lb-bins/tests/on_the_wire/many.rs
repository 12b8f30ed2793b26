//! Many virtual routers in one process.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::run_ours;
use crate::lab::{Host, Lab, MS, is_possible};
use crate::probe::{Advert, Sniffer};

/// This many instances with an address each, 250 on each interface.
fn configuration(count: usize, priority: u8) -> String {
    let mut text = String::new();
    for number in 0..count {
        let (interface, vrid) = (number / 250, number % 250 + 1);
        write!(
            text,
            "[[vrrp_instance]]\nname = \"v{number}\"\ninterface = \"eth{interface}\"\n\
             virtual_router_id = {vrid}\npriority = {priority}\nadvert_interval = \"100ms\"\n\
             addresses = [\"10.{}.{vrid}.200/32\"]\ngarp = {{ refresh = \"0s\" }}\n",
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
    let lab = Lab::new();
    let daemon = run_ours(&lab, Host::A, &configuration(COUNT, 200));
    let sniffer = Sniffer::start(&lab.space(Host::B));
    let start = Instant::now();
    let all_speak = || by_router(&sniffer.said(Host::A, start)).len() == COUNT;
    lab.until(Duration::from_secs(20), "all are masters", all_speak);
    thread::sleep(1500 * MS);

    let reload = Instant::now();
    daemon.reload_text(&configuration(COUNT, 190));
    thread::sleep(2000 * MS);
    let said = sniffer.said(Host::A, reload);
    let routers = by_router(&said);
    assert_eq!(routers.len(), COUNT);
    assert!(said.iter().all(|advert| advert.priority > 0), "a reload released");
    let changed = |adverts: &&Vec<Advert>| adverts.last().is_some_and(|last| last.priority == 190);
    assert_eq!(routers.values().filter(changed).count(), COUNT);
    let longest = gaps(&routers).into_iter().max().unwrap();
    eprintln!("{COUNT} instances reloaded: the longest gap is {longest:.1?}");
    // Somebody is master as long as three intervals do not go by in silence.
    assert!(longest < 300 * MS, "{longest:?}");
}

/// `WIRE_RUNS` makes it measure for ten seconds; `--release` makes that worth something.
#[test]
#[ignore = "needs root"]
fn a_thousand_advertise_in_time() {
    const COUNT: usize = 1000;
    if !is_possible() || std::env::var_os("WIRE_RUNS").is_none() {
        eprintln!("skipped: WIRE_RUNS is not set");
        return;
    }
    let lab = Lab::new();
    lab.add_cables(COUNT.div_ceil(250) - 1);
    let daemon = run_ours(&lab, Host::A, &configuration(COUNT, 200));
    thread::sleep(Duration::from_secs(12)); // beyond the second burst of announcements
    let sniffer = Sniffer::start(&lab.space(Host::B));
    let (start, cpu) = (Instant::now(), daemon.cpu());
    thread::sleep(Duration::from_secs(10));
    let spent = daemon.cpu() - cpu;
    let routers = by_router(&sniffer.said(Host::A, start));
    assert_eq!(routers.len(), COUNT);
    let gaps = gaps(&routers);
    let in_time = gaps.iter().filter(|gap| gap.abs_diff(100 * MS) <= 5 * MS).count();
    let share = 100.0 * in_time as f64 / gaps.len() as f64;
    let count = routers.values().map(Vec::len).sum::<usize>();
    eprintln!(
        "{COUNT} instances: {count} adverts in 10 s, {share:.2} % of the gaps within 5 ms, longest \
         {:.1?}; {:.1} MB; {:.1} % of a core",
        gaps.iter().max().unwrap(),
        daemon.resident() as f64 / 1e6,
        spent.as_secs_f64() * 10.0,
    );
}
