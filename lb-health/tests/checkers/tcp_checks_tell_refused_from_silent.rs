//! The TCP checker on loopback.
#![cfg(feature = "tcp")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use lb_health::checkers::{SendExpect, Tcp};
use lb_health::{CheckError, Target};
use tokio::net::TcpListener;
use tower::ServiceExt;

fn target(address: SocketAddr) -> Target {
    Target::new(address, Duration::from_millis(800))
}

#[tokio::test]
async fn a_listener_passes() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        // A host without IPv6 has nothing to show here.
        let Ok(listener) = TcpListener::bind(address).await else { continue };
        let address = listener.local_addr().unwrap();
        assert_eq!(Tcp::new().oneshot(target(address)).await.unwrap().weight, None);
    }
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Tcp::new().oneshot(target(address)).await.unwrap_err();
    assert_eq!(error.cause(), "refused");
    assert!(!error.is_local());
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_full_queue_is_a_timeout_of_the_connect() {
    // The kernel drops what does not fit into the queue of a listener that accepts nothing.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        let connect = tokio::net::TcpStream::connect(address);
        held.push(tokio::time::timeout(Duration::from_millis(50), connect).await);
    }
    let error = Tcp::new().oneshot(target(address)).await.unwrap_err();
    assert_eq!(error.cause(), "timeout-connect");
}

#[tokio::test]
async fn a_source_that_is_not_ours_is_a_local_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let checker = Tcp::new().with_origin("192.0.2.1".parse::<IpAddr>().unwrap());
    let error = checker.oneshot(target(address)).await.unwrap_err();
    assert!(error.is_local() && matches!(error.error, CheckError::Local { .. }), "{error}");

    let source = "127.0.0.2".parse::<IpAddr>().unwrap();
    if cfg!(target_os = "linux") {
        assert!(Tcp::new().with_origin(source).oneshot(target(address)).await.is_ok());
        let checker =
            SendExpect::new().with_connector(Tcp::new().with_origin(source)).with_send("hello");
        assert!(checker.oneshot(target(address)).await.is_ok());
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.ip().to_string(), "127.0.0.2");
    }
}

/// E18.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn no_server_is_woken_and_nothing_is_left_in_time_wait() {
    // Not where everybody on this host leaves something behind.
    const ELSEWHERE: [u8; 4] = [127, 83, 0, 2];
    let listener = std::net::TcpListener::bind(SocketAddr::from((ELSEWHERE, 0))).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..50 {
        Tcp::new().oneshot(target(address)).await.unwrap();
    }
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "nobody is woken");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let end = format!(" {:08X}:{:04X} ", u32::from_ne_bytes(ELSEWHERE), address.port());
    assert!(table.contains(&end), "the server still listens");
    let waiting = table.lines().filter(|line| line.contains(&end) && line.contains(" 06 "));
    assert_eq!(waiting.count(), 0);
}
