//! What a check says of how many flows a backend takes stands in place of what is configured, as long
//! as it says so: at once, beside a weight, over a reload, and with a new pool for those who wait.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::num::NonZeroU32;

use lb_core::backend::{BackendId, Limits};
use lb_core::health::{ReportedLimit, ReportedWeight};
use lb_core::virtual_server::{Action, BackendConfig, VirtualServerConfig};
use lb_core::{Algorithm, Health, VirtualServer, Weight};
use proptest::option;
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

fn at_most(flows: u32) -> Limits {
    Limits::NONE.at_most(NonZeroU32::new(flows).unwrap())
}

fn config(limits: Limits) -> VirtualServerConfig<&'static str> {
    VirtualServerConfig::of([BackendConfig::named("a").weighing(100).limited(limits)])
}

fn start(limits: Limits) -> (VirtualServer<&'static str>, BackendId) {
    let server = VirtualServer::new(config(limits), Algorithm::Rr.scheduler()).unwrap();
    let id = server.backends().next().unwrap().id;
    (server, id)
}

fn saying(flows: u32) -> Health {
    Health::Up { weight: ReportedWeight::NONE, limit: ReportedLimit::NONE.and(flows) }
}

fn limits(server: &VirtualServer<&str>, id: BackendId) -> Limits {
    server.backend(id).unwrap().backend.load().limits()
}

/// Whether a pool was published.
fn publishes(server: &mut VirtualServer<&'static str>) -> bool {
    let actions = std::iter::from_fn(|| server.poll_action());
    actions.filter(|action| matches!(action, Action::Publish(_))).count() > 0
}

#[test]
fn a_reported_limit_holds_until_it_is_reported_no_more() {
    let now = support::start();
    let (mut server, id) = start(at_most(10));
    server.handle_health(now, id, Health::UP);
    assert!(publishes(&mut server));
    for (health, expected) in [
        (saying(3), at_most(3)),
        (saying(30), at_most(30)),
        (saying(0), Limits::NONE),
        (Health::UP, at_most(10)),
        (saying(3), at_most(3)),
        // Nobody is to be there; who comes in a panic is no more than was planned for.
        (Health::Down, at_most(10)),
        (saying(3), at_most(3)),
    ] {
        server.handle_health(now, id, health);
        assert_eq!(limits(&server, id), expected, "{health:?}");
        assert!(publishes(&mut server), "who waits is not called: {health:?}");
        // The same again is no news.
        server.handle_health(now, id, health);
        assert!(!publishes(&mut server), "{health:?}");
    }
}

#[test]
fn thresholds_are_not_the_agents() {
    let four = NonZeroU32::new(4).unwrap();
    let configured = at_most(10).overloaded_at(four, None).unwrap();
    let (mut server, id) = start(configured);
    server.handle_health(support::start(), id, saying(3));
    assert_eq!(limits(&server, id), at_most(3).overloaded_at(four, None).unwrap());
}

#[test]
fn a_weight_and_a_limit_both_count() {
    let (mut server, id) = start(Limits::NONE);
    let health = Health::Up {
        weight: ReportedWeight::NONE.and_percent(50),
        limit: ReportedLimit::NONE.and(7),
    };
    server.handle_health(support::start(), id, health);
    assert_eq!(limits(&server, id), at_most(7));
    assert_eq!(server.backend(id).unwrap().weight, Weight::new(50));
}

#[test]
fn a_reload_lets_go_of_no_reported_limit() {
    let now = support::start();
    let (mut server, id) = start(at_most(10));
    server.handle_health(now, id, saying(3));
    server.reconfigure(now, config(at_most(20))).unwrap();
    assert_eq!(limits(&server, id), at_most(3));
    server.handle_health(now, id, Health::UP);
    assert_eq!(limits(&server, id), at_most(20));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The least of all counts, in whatever order; 0 is more than any other.
    #[test]
    fn of_several_the_least_counts(
        said in proptest::collection::vec(0..5_u32, 0..5),
        configured in option::of(1..5_u32),
    ) {
        let configured = configured.map_or(Limits::NONE, at_most);
        let reported = said.iter().fold(ReportedLimit::NONE, |all, &one| all.and(one));
        let least = said.iter().map(|&one| if one == 0 { u32::MAX } else { one }).min();
        let expected = match least {
            None => configured,
            Some(u32::MAX) => Limits::NONE,
            Some(least) => at_most(least),
        };
        prop_assert_eq!(reported.over(configured), expected);
    }
}
