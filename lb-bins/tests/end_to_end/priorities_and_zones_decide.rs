//! `priority`, `spill_below` and `zone`.

use crate::harness::*;

/// A daemon with backends of these further keys, all of which are up.
fn start<const N: usize>(keys: &str, backends: [&str; N]) -> (Balancer, Port, [Backend; N]) {
    let (web, all) = (Port::free(), backends.map(|_| Backend::greeter()));
    let list = backends_with(all.iter().zip(backends));
    let rest = [r#"scheduler = "rr""#, keys, QUICK_CHECK, &list];
    let balancer = Balancer::start(&server("web", &web, &rest));
    balancer.until_all_up();
    (balancer, web, all)
}

/// How many of so many connections each of these gets.
fn shares<const N: usize>(web: &Port, count: u64, backends: [&Backend; N]) -> [u64; N] {
    let before = backends.map(Backend::requests);
    for _ in 0..count {
        ask(web.address()).unwrap();
    }
    let mut after = backends.map(Backend::requests).into_iter().zip(before);
    let shares = [(); N].map(|()| after.next().map_or(0, |(after, before)| after - before));
    assert_eq!(shares.iter().sum::<u64>(), count);
    shares
}

#[test]
fn a_standby_serves_while_the_active_one_is_dead() {
    let three = ["weight = 1", "priority = 1", "priority = 2, weight = 9"];
    let (balancer, web, [mut active, mut standby, last]) = start("", three);
    assert_eq!(balancer.backend("web", last.address())["priority"], 2);
    assert_eq!(shares(&web, 20, [&active, &standby, &last]), [20, 0, 0]);

    active.kill();
    // The very next client does not notice: whoever refuses leaves it to the standby.
    assert_eq!(ask(web.address()).unwrap(), standby.name());
    balancer.until_state("web", &active, "down");
    assert_eq!(shares(&web, 20, [&active, &standby, &last]), [0, 20, 0]);

    standby.kill();
    balancer.until_state("web", &standby, "down");
    assert_eq!(shares(&web, 20, [&active, &standby, &last]), [0, 0, 20]);

    active.revive();
    balancer.until_state("web", &active, "up");
    assert_eq!(shares(&web, 20, [&active, &standby, &last]), [20, 0, 0]);
}

#[test]
fn a_standby_helps_while_the_active_ones_are_full() {
    let two = ["max_connections = 2", "priority = 1"];
    let (_balancer, web, [active, standby]) = start("", two);
    let mut visitors: Vec<_> = (0..5).map(|_| Visitor::enter(web.address())).collect();
    let homes: Vec<_> = visitors.iter_mut().map(|visitor| visitor.who().unwrap()).collect();
    let at = |backend: &Backend| homes.iter().filter(|home| **home == backend.name()).count();
    assert_eq!((at(&active), at(&standby)), (2, 3));
}

#[test]
fn standbys_help_as_soon_as_too_few_active_ones_live() {
    let three = ["weight = 1", "weight = 1", "priority = 1"];
    let (balancer, web, [mut dying, active, standby]) = start("spill_below = 100", three);
    assert_eq!(shares(&web, 20, [&dying, &active, &standby]), [10, 10, 0]);
    dying.kill();
    balancer.until_state("web", &dying, "down");
    // Half of the active ones are left: half of the clients go on. Eight standard deviations.
    let [_, stay, spill] = shares(&web, 400, [&dying, &active, &standby]);
    assert!(stay.abs_diff(200) <= 80, "{stay} and {spill}");
    dying.revive();
    balancer.until_state("web", &dying, "up");
    assert_eq!(shares(&web, 20, [&dying, &active, &standby]), [10, 10, 0]);
}

#[test]
fn clients_stay_in_the_zone_of_the_balancer() {
    let two = [r#"zone = "paris""#, r#"zone = "lyon""#];
    let (balancer, web, [mut near, far]) = start(r#"zone = "paris""#, two);
    assert_eq!(balancer.backend("web", near.address())["zone"], "paris");
    assert_eq!(shares(&web, 20, [&near, &far]), [20, 0]);
    near.kill();
    balancer.until_state("web", &near, "down");
    assert_eq!(shares(&web, 20, [&near, &far]), [0, 20]);
    near.revive();
    balancer.until_state("web", &near, "up");
    assert_eq!(shares(&web, 20, [&near, &far]), [20, 0]);
}

#[test]
fn what_a_zone_cannot_carry_goes_to_the_others() {
    let four = [r#"zone = "paris""#, r#"zone = "lyon", weight = 3"#];
    let (_balancer, web, [near, far]) = start(r#"zone = "paris""#, four);
    // Half of an even share of the weight is near: half of the clients stay.
    let [stay, _] = shares(&web, 400, [&near, &far]);
    assert!(stay.abs_diff(200) <= 80, "{stay}");
}

#[test]
fn zones_count_within_each_priority() {
    let four = [
        r#"zone = "lyon""#,
        r#"zone = "paris""#,
        r#"zone = "lyon", priority = 1"#,
        r#"zone = "paris", priority = 1"#,
    ];
    let (balancer, web, [far, mut near, far_standby, near_standby]) =
        start(r#"zone = "paris""#, four);
    let all =
        |far: &Backend, near: &Backend| shares(&web, 12, [far, near, &far_standby, &near_standby]);
    assert_eq!(all(&far, &near), [0, 12, 0, 0]);
    near.kill();
    balancer.until_state("web", &near, "down");
    assert_eq!(all(&far, &near), [12, 0, 0, 0], "first the priority, then the zone");
    let mut far = far;
    far.kill();
    balancer.until_state("web", &far, "down");
    assert_eq!(all(&far, &near), [0, 0, 0, 12]);
}

#[test]
fn a_reload_brings_priorities_and_zones_in_and_out() {
    let (web, two) = (Port::free(), [(); 2].map(|()| Backend::greeter()));
    let [a, b] = &two;
    let config = |zone: &str, keys: [&str; 2]| {
        let list = backends_with(two.iter().zip(keys));
        server("web", &web, &[r#"scheduler = "rr""#, zone, QUICK_CHECK, &list])
    };
    let balancer = Balancer::start(&config("", ["weight = 1", "weight = 1"]));
    balancer.until_all_up();
    let mut staying = Visitor::enter(web.address());
    let home = staying.who().unwrap();
    assert_eq!(shares(&web, 10, [a, b]), [5, 5]);
    balancer.reload(&config("", ["priority = 1", "priority = 0"]));
    assert_eq!(shares(&web, 10, [a, b]), [0, 10]);
    balancer.reload(&config("", ["priority = 0", "priority = 1"]));
    assert_eq!(shares(&web, 10, [a, b]), [10, 0]);
    balancer.reload(&config(r#"zone = "x""#, [r#"zone = "y""#, r#"zone = "x""#]));
    assert_eq!(shares(&web, 10, [a, b]), [0, 10]);
    balancer.reload(&config("", ["weight = 1", "weight = 1"]));
    assert_eq!(shares(&web, 10, [a, b]), [5, 5]);
    assert_eq!(staying.who().unwrap(), home);
}
