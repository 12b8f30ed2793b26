//! `slow_start`.

use crate::harness::*;

/// A daemon with two backends, the second of which was dead and is back.
fn start(scheduler: &str, slow_start: &str) -> (Balancer, Port, [Backend; 2]) {
    let (web, mut two) = (Port::free(), [(); 2].map(|()| Backend::greeter()));
    let list = backends(two.iter().map(|backend| (backend, 1)));
    let scheduler = format!("scheduler = \"{scheduler}\"");
    let rest = [&*scheduler, slow_start, QUICK_CHECK, &list];
    let balancer = Balancer::start(&server("web", &web, &rest));
    balancer.until_all_up();
    for backend in &two {
        assert_eq!(percent(&balancer, backend), None, "nobody is new at a start");
    }
    let [_, back] = &mut two;
    back.kill();
    balancer.until_state("web", back, "down");
    back.revive();
    balancer.until_state("web", back, "up");
    (balancer, web, two)
}

/// How much of its weight a backend has, if not the whole.
fn percent(balancer: &Balancer, backend: &Backend) -> Option<u64> {
    balancer.backend("web", backend.address())["slow_start_percent"].as_u64()
}

/// How many of so many connections a backend gets.
fn share(web: &Port, count: u64, backend: &Backend) -> u64 {
    let before = backend.requests();
    for _ in 0..count {
        ask(web.address()).unwrap();
    }
    backend.requests() - before
}

#[test]
fn a_backend_that_comes_back_begins_with_a_sixteenth() {
    // The one goes by weights, the other by none.
    ["wrr", "rr"].into_iter().for_each(it_begins_with_a_sixteenth);
}

fn it_begins_with_a_sixteenth(scheduler: &str) {
    let (balancer, web, [a, b]) = start(scheduler, r#"slow_start = "24h""#);
    assert_eq!(percent(&balancer, &b), Some(6));
    assert_eq!(percent(&balancer, &a), None);
    // One of seventeen.
    let few = share(&web, 170, &b);
    assert!((8..=12).contains(&few), "{few}");
    balancer.until_logged(&[&b.name(), "starts slowly", "86400s"]);
    let metrics = get(balancer.admin(), "/metrics").unwrap().body;
    let labels = format!(r#"{{virtual_server="web",backend="{}"}}"#, b.name());
    assert!(metrics.contains(&format!("lb_backend_slow_start_percent{labels} 6\n")), "{metrics}");
    assert_eq!(balancer.backend("web", b.address())["weight"], 1);
}

#[test]
fn its_share_grows_until_it_is_whole() {
    let (balancer, web, [_a, b]) = start("wrr", r#"slow_start = "3s""#);
    loop {
        // However slow this machine is, the share is between those of the moments around it.
        let before = percent(&balancer, &b).unwrap_or(100);
        let served = share(&web, 64, &b);
        let after = percent(&balancer, &b).unwrap_or(100);
        let expected = |percent: u64| 64 * percent / (100 + percent);
        let range = expected(before).saturating_sub(6)..=expected(after) + 6;
        assert!(range.contains(&served), "{served} of 64 is not within {range:?}");
        if before == 100 {
            break;
        }
        // What is looked at is the whole way, not one moment of it.
        until("it has more", || percent(&balancer, &b).is_none_or(|now| now > before));
    }
    assert_eq!(share(&web, 64, &b), 32);
    balancer.until_logged(&[&b.name(), "has its whole share"]);
}

#[test]
fn whoever_is_let_in_again_or_added_starts_slowly_as_well() {
    let (web, three) = (Port::free(), [(); 3].map(|()| Backend::greeter()));
    let [a, b, c] = &three;
    let config = |list: &[&Backend]| {
        let list = backends(list.iter().map(|backend| (*backend, 1)));
        let slow_start = r#"slow_start = "24h""#;
        server("web", &web, &[r#"scheduler = "wrr""#, slow_start, QUICK_CHECK, &list])
    };
    let balancer = Balancer::start(&config(&[a, b]));
    balancer.until_all_up();
    balancer.order("web", b, "disable", "");
    balancer.order("web", b, "enable", "");
    balancer.until_state("web", b, "up");
    assert_eq!(percent(&balancer, b), Some(6));
    balancer.reload(&config(&[a, b, c]));
    balancer.until_state("web", c, "up");
    assert_eq!(percent(&balancer, c), Some(6));
    assert_eq!(percent(&balancer, a), None);
    balancer.until_logged(&[&b.name(), "starts slowly"]);
    balancer.until_logged(&[&c.name(), "starts slowly"]);
}
