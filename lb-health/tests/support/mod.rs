//! What tests of checkers have in common: servers that behave well or badly, and how a run is made.
#![allow(dead_code, reason = "each test uses its own part")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

pub(crate) mod http;
pub(crate) mod port;
pub(crate) mod talk;
pub(crate) mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use lb_health::trace::Phase;
use lb_health::{CheckError, Checker, Failure, Report, Target};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

/// What a run may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);
/// What nothing takes, however busy the machine is.
const FOR_EVER: Duration = Duration::from_secs(60);

/// A server that does this with every connection.
pub(crate) async fn accepting<F, R>(behave: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    accepting_at(Ipv4Addr::LOCALHOST, behave).await
}

/// The same, at this address.
pub(crate) async fn accepting_at<F, R>(ip: Ipv4Addr, behave: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(behave(stream));
        }
    });
    address
}

/// One run. There is one deadline over all of it: what drips without end would else go on without
/// end, and what drips for a time would pass.
pub(crate) async fn check<C: Checker>(checker: C, address: SocketAddr) -> Result<Report, Failure> {
    let run = checker.oneshot(Target::new(address, TIMEOUT));
    let result = tokio::time::timeout(FOR_EVER, run).await.expect("a run has an end");
    let result = result.map_err(Into::into);
    if let Err(Failure { error: CheckError::Timeout { .. }, trace, .. }) = &result {
        let spent: Duration = Phase::TIMED.iter().filter_map(|phase| trace.spent(*phase)).sum();
        // The first phase begins a moment after the run does.
        assert!(spent > TIMEOUT / 2, "given up after {spent:?}");
    }
    result
}

/// One run's cause of failure, or "ok".
pub(crate) async fn cause<C: Checker>(checker: C, address: SocketAddr) -> &'static str {
    check(checker, address).await.map_or_else(|failure| failure.cause(), |_| "ok")
}

/// Waits until it holds that `what`, however long that takes on a busy machine.
#[expect(clippy::disallowed_methods, reason = "what is waited for happens in real time")]
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !holds() {
        assert!(begin.elapsed() < FOR_EVER, "in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
