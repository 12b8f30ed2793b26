//! A backend that passes its checks but fails its flows at once: schedulers give it no more than its
//! share, and then it is out.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::world;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lb_core::backend::{BackendId, Outcome};
use lb_core::virtual_server::{Action, BackendConfig, VirtualServerConfig};
use lb_core::{Algorithm, Director, Health, Lease, VirtualServer};
use lb_health::outliers::{Ejection, OutlierRules, Outliers};
use lb_health::{CheckError, CheckSpec, Report};
use world::{World, millis};

const BACKENDS: u32 = 10;
const FLOWS: u64 = 5_000;
const BROKEN: BackendId = BackendId::new(4);

struct Service {
    server: VirtualServer<()>,
    director: Director<u64, ()>,
    heard: usize,
}

impl Service {
    fn new(algorithm: Algorithm) -> Self {
        let backends = (0..BACKENDS).map(|number| BackendConfig::new(number.to_string(), ()));
        let config = VirtualServerConfig::of(backends);
        let server = VirtualServer::new(config, algorithm.scheduler()).unwrap();
        let director = Director::new(Arc::clone(server.published()));
        Self { server, director, heard: 0 }
    }

    /// Hears what the monitor has said since the last time.
    fn hear(&mut self, world: &World) {
        for verdict in &world.verdicts[self.heard..] {
            self.server.handle_health(world.now, verdict.backend, verdict.health);
        }
        self.heard = world.verdicts.len();
        self.publish();
    }

    fn publish(&mut self) {
        while let Some(action) = self.server.poll_action() {
            if let Action::Publish(pool) = action {
                self.director.publish(pool);
            }
        }
    }
}

/// They look at load, or at time.
const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::Lc, Algorithm::LeastTime, Algorithm::P2c, Algorithm::PeakEwma, Algorithm::Wlc];

#[test]
fn at_most_twice_its_share_and_then_none() {
    for algorithm in ALGORITHMS {
        let mut world = World::new(7);
        let mut service = Service::new(algorithm);
        for number in 0..BACKENDS {
            world.watch(number, CheckSpec::default());
        }
        // Its checks never see what is wrong.
        let checks_pass = |_, _| Some(Ok(Report::ALIVE));
        world.pass(Duration::from_secs(5), checks_pass);
        service.hear(&world);

        let mut open: VecDeque<Lease<()>> = VecDeque::new();
        let (mut to_broken, mut before_ejection, mut until_ejection) = (0, 0, 0);
        for flow in 0..FLOWS {
            world.pass(millis(4), checks_pass);
            service.hear(&world);
            let lease = service.director.assign(world.now, &flow, &[], &mut world.rng).unwrap();
            if lease.id() == BROKEN {
                to_broken += 1;
                lease.report(world.now, Outcome::Failure);
                drop(lease);
                world.monitor.handle_passive(world.now, BROKEN, Err(CheckError::Refused));
                world.drain();
                service.hear(&world);
            } else {
                open.push_back(lease);
            }
            // Everybody else takes 20 ms.
            if open.len() > 5 {
                let lease = open.pop_front().unwrap();
                lease.report(world.now, Outcome::Success);
                world.monitor.handle_passive(world.now, lease.id(), Ok(()));
                world.drain();
            }
            if service.director.pool().backend(BROKEN).is_some() && until_ejection == 0 {
                before_ejection = to_broken;
            } else if until_ejection == 0 {
                until_ejection = flow + 1;
            }
        }
        // A check that passes clears the doubt, so that it takes three failures between two checks;
        // until then the scheduler has kept it to its share.
        assert!(until_ejection > 0, "{algorithm}: it is never ejected");
        assert!(
            before_ejection * u64::from(BACKENDS) <= 2 * until_ejection,
            "{algorithm}: {before_ejection} of {until_ejection}"
        );
        assert!(to_broken * u64::from(BACKENDS) <= 2 * FLOWS, "{algorithm}: {to_broken}");
    }
}

#[test]
fn where_clients_decide_its_share_is_none_from_the_fifth_failure_on() {
    for algorithm in ALGORITHMS {
        let mut world = World::new(7);
        let mut service = Service::new(algorithm);
        let mut outliers = Outliers::new(OutlierRules::default());
        for backend in (0..BACKENDS).map(BackendId::new) {
            service.server.handle_health(world.now, backend, Health::UP);
            outliers.insert(world.now, backend);
        }
        service.publish();

        let mut open: VecDeque<Lease<()>> = VecDeque::new();
        let (mut to_broken, mut out_after) = (0, None);
        for flow in 1..=FLOWS {
            world.now += millis(4);
            let lease = service.director.assign(world.now, &flow, &[], &mut world.rng).unwrap();
            if lease.id() == BROKEN {
                to_broken += 1;
                world.now += millis(1);
                lease.report(world.now, Outcome::Failure);
                outliers.handle_outcome(world.now, BROKEN, Outcome::Failure);
            } else {
                open.push_back(lease);
            }
            // Everybody else takes 20 ms.
            if open.len() > 5 {
                let lease = open.pop_front().unwrap();
                lease.report(world.now, Outcome::Success);
                outliers.handle_outcome(world.now, lease.id(), Outcome::Success);
            }
            outliers.handle_timeout(world.now);
            while let Some(action) = outliers.poll_action() {
                // For longer than this goes on.
                let Ejection::Out { host, .. } = action else { panic!("{algorithm}: {action:?}") };
                assert_eq!(host, BROKEN, "{algorithm}");
                out_after = Some(flow);
                assert!(service.server.set_ejected(world.now, host, true));
                service.publish();
            }
        }
        let out_after = out_after.expect("it is ejected");
        assert_eq!(to_broken, 5, "{algorithm}: it is out, and still gets flows");
        assert!(to_broken * u64::from(BACKENDS) <= 2 * out_after, "{algorithm}: {out_after}");
        assert!(out_after < FLOWS / 2, "{algorithm}: {out_after}");
    }
}
