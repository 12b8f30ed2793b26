//! Interface, source port and mark of checks; and whose fault it is that there is no way.
#![cfg(all(
    target_os = "linux",
    feature = "dns",
    feature = "http",
    feature = "ping",
    feature = "send-expect",
    feature = "udp"
))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::net::SocketAddr;
use std::time::Duration;

use lb_health::checkers::{Dns, Http, Origin, Pattern, Ping, SendExpect, Tcp, Udp};
use lb_health::{Checker, Failure, Target};
use tokio::net::TcpListener;
use tower::ServiceExt;

async fn run<C: Checker>(checker: C, address: SocketAddr) -> Result<(), Failure> {
    let target = Target::new(address, Duration::from_millis(500));
    checker.oneshot(target).await.map(drop).map_err(Into::into)
}

/// How each of them fares that comes from there.
async fn all(origin: Origin, address: SocketAddr) -> Vec<Result<(), Failure>> {
    let tcp = Tcp::new().with_origin(origin.clone());
    vec![
        run(tcp.clone(), address).await,
        run(SendExpect::new().with_connector(tcp), address).await,
        run(Http::asking([]).with_origin(origin.clone()), address).await,
        run(Udp::new().with_origin(origin.clone()), address).await,
        run(Dns::default().with_origin(origin.clone()), address).await,
        run(Ping::new().with_origin(origin), address).await,
    ]
}

#[tokio::test]
async fn an_interface_that_is_not_there_is_our_own_fault() {
    let origin = Origin::new().with_interface("nosuch0");
    for result in all(origin, ([127, 0, 0, 1], 9).into()).await {
        let failure = result.unwrap_err();
        assert_eq!((failure.cause(), failure.is_local()), ("local", true), "{failure}");
    }
}

/// The loopback interface leads to no other network, which the system knows before it sends anything.
#[tokio::test]
async fn a_network_without_a_way_to_it_from_there_is_our_own_fault() {
    let origin = Origin::new().with_interface("lo");
    for result in all(origin, "[2001:db8::1]:9".parse().unwrap()).await {
        let failure = result.unwrap_err();
        let told = (failure.cause(), failure.is_local());
        assert_eq!(told, ("local", true), "{failure}");
    }
}

#[tokio::test]
async fn what_the_interface_leads_to_passes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let origin = Origin::new().with_interface("lo");
    let results = all(origin, address).await;
    for result in &results[..3] {
        assert!(result.is_ok(), "{result:?}");
    }
    // Nobody answers datagrams there.
    for result in &results[3..5] {
        assert_eq!(result.as_ref().unwrap_err().cause(), "refused");
    }
}

/// The port is taken by one check after the other, though they all end in a reset.
#[tokio::test]
async fn connections_come_from_the_port() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, port) = (listener.local_addr().unwrap(), free.local_addr().unwrap().port());
    drop(free);
    let connector = Tcp::new().with_origin(Origin::new().with_port(port));
    // A server is not woken by what says nothing.
    let checker = SendExpect::new().with_connector(connector).with_send("hello");
    for _ in 0..3 {
        let (accepted, result) = tokio::join!(listener.accept(), run(checker.clone(), address));
        result.unwrap();
        assert_eq!(accepted.unwrap().1.port(), port);
    }
}

/// One port is one connection to each target: who comes second, or finds somebody else there, cannot run,
/// which is no fault of the target.
#[tokio::test]
async fn a_port_that_is_taken_is_our_own_fault() {
    let [one, other] = [TcpListener::bind("127.0.0.1:0"), TcpListener::bind("127.0.0.1:0")];
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let tcp = Tcp::new().with_origin(Origin::new().with_port(port));
    // It waits for a word that does not come, and has the port until then.
    let patient = SendExpect::new().with_expect(Pattern::text("never").unwrap());
    let patient = run(patient.with_connector(tcp.clone()), one.local_addr().unwrap());
    let meanwhile = async {
        let held = one.accept().await.unwrap();
        let second = run(tcp.clone(), one.local_addr().unwrap()).await.unwrap_err();
        let elsewhere = run(tcp.clone(), other.local_addr().unwrap()).await;
        drop(held);
        (second, elsewhere)
    };
    let (_, (second, elsewhere)) = tokio::join!(patient, meanwhile);
    assert_eq!((second.cause(), second.is_local()), ("local", true), "{second}");
    assert!(elsewhere.is_ok(), "{elsewhere:?}");

    let stranger = TcpListener::bind(("0.0.0.0", port)).await.unwrap();
    let third = run(tcp, one.local_addr().unwrap()).await.unwrap_err();
    assert_eq!((third.cause(), third.is_local()), ("local", true), "{third}");
    drop(stranger);
}

/// Whoever may not set a mark is told so, and no target is blamed.
#[tokio::test]
async fn a_mark_is_set_or_our_own_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    match run(Tcp::new().with_origin(Origin::new().with_mark(7)), address).await {
        Ok(()) => {}
        Err(failure) => assert_eq!(failure.to_string(), "cannot mark a connection here"),
    }
}
