//! `Balance` tells schedulers how flows fared: answers as the judge says, errors as failures unless
//! nobody is to blame, and nothing of a flow that was dropped.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use lb_core::backend::Outcome;
use lb_core::env::SystemEnv;
use lb_core::service::{Balance, Dispatch, Undelivered};
use lb_core::{Algorithm, Director};
use tower::{Service, service_fn};

type Answer = Result<u16, Undelivered<u16>>;

/// An inner service that does what the request says: a status, or how to fail.
async fn answer(Dispatch { request, .. }: Dispatch<(), u16>) -> Answer {
    match request {
        0 => Err(Undelivered::returned(request, "refused")),
        1 => Err(Undelivered::consumed("broken off")),
        2 => Err(Undelivered::consumed("no descriptor left").blameless()),
        3 => pending().await,
        status => Ok(status),
    }
}

fn judge(status: &u16) -> Option<Outcome> {
    match *status {
        100 => None,
        500.. => Some(Outcome::Failure),
        _ => Some(Outcome::Success),
    }
}

struct Stage {
    director: Arc<Director<(), ()>>,
}

impl Stage {
    fn new(algorithm: Algorithm) -> Self {
        Self { director: Arc::new(Director::new(support::pool(algorithm, &[1]))) }
    }

    fn ask(&self, request: u16) {
        let director = Arc::clone(&self.director);
        let balance = Balance::with_env(director, |_: &u16| (), SystemEnv, service_fn(answer));
        let _ = balance.judging(judge).retries(0).call(request).now_or_never();
    }

    /// How many failed, and how many of the last ones.
    fn failures(&self) -> (u64, bool) {
        let pool = self.director.pool();
        let load = pool.backends()[0].load();
        assert_eq!(load.active(), 0);
        (load.failed(), load.failing() > 0)
    }
}

#[test]
fn as_the_judge_says_and_errors_as_failures() {
    for algorithm in [Algorithm::Rr, Algorithm::LeastTime] {
        for (request, failed) in [(200, 0), (100, 0), (500, 1), (0, 1), (1, 1), (2, 0), (3, 0)] {
            let stage = Stage::new(algorithm);
            stage.ask(request);
            assert_eq!(stage.failures(), (failed, failed > 0), "{algorithm}: {request}");
        }
    }
}

#[test]
fn successes_make_up_for_failures() {
    let stage = Stage::new(Algorithm::Wlc);
    (0..50).for_each(|_| stage.ask(500));
    (0..100).for_each(|_| stage.ask(200));
    assert_eq!(stage.failures(), (50, false));
}

#[test]
fn the_time_is_taken_where_a_scheduler_looks_at_it() {
    let known = |algorithm| {
        let stage = Stage::new(algorithm);
        stage.ask(500);
        let pool = stage.director.pool();
        let load = pool.backends()[0].load();
        assert_eq!(load.mean_time(None), None, "a failure tells no time");
        stage.ask(200);
        load.mean_time(None)
    };
    assert_eq!(known(Algorithm::Wlc), None);
    assert!(known(Algorithm::LeastTime).unwrap() < Duration::from_secs(10));
    assert!(known(Algorithm::PeakEwma).is_some());
}
