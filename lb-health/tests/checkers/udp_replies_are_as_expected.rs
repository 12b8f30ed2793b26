//! The UDP checker against servers that answer well, badly and not at all.
#![cfg(feature = "udp")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::net::{IpAddr, SocketAddr};

use lb_health::checkers::{Nibbles, Udp};
use tokio::net::UdpSocket;

use self::support::{cause, check};

/// A server that answers each datagram with what this makes of it, unless that is nothing.
async fn server(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            if let Some(reply) = answer(&buffer[..length]) {
                let _ = socket.send_to(&reply, from).await;
            }
        }
    });
    address
}

#[tokio::test]
async fn replies_are_held_against_the_pattern() {
    let address = server(|datagram| Some(datagram.to_vec())).await;
    let udp = || Udp::new().with_payload([0x80, 0x12, 0x34]);
    for (checker, wanted) in [
        (Udp::new(), "ok"),
        (udp(), "ok"),
        (udp().expecting("8012".parse().unwrap()), "ok"),
        (udp().expecting("xx1x34".parse().unwrap()), "ok"),
        (udp().expecting("8013".parse().unwrap()), "rejected"),
        (udp().expecting("80123456".parse().unwrap()), "rejected"),
        (udp().expecting(Nibbles::masked([0xff, 0x12], [0x80])), "ok"),
        (udp().expecting(Nibbles::masked([0x7f, 0x12], [0x80])), "rejected"),
        (udp().with_reply_length(3..=3), "ok"),
        (udp().with_reply_length(4..=9), "rejected"),
        (udp().with_reply_length(0..=2), "rejected"),
        (Udp::new().expecting("x0".parse().unwrap()), "rejected"),
        (Udp::new().with_payload([7; 9000]).with_reply_length(9000..=9000), "ok"),
    ] {
        assert_eq!(cause(checker.clone(), address).await, wanted, "{checker:?}");
    }
    let failure = check(Udp::new().with_payload("hello").expecting("00".parse().unwrap()), address);
    let failure = failure.await.unwrap_err();
    assert_eq!(failure.to_string(), "the reply does not begin with 00");
    assert_eq!(failure.trace.evidence().received.as_str(), "hello");
}

#[tokio::test]
async fn silence_is_a_failure_unless_it_is_tolerated() {
    let address = server(|_| None).await;
    assert_eq!(cause(Udp::new(), address).await, "timeout-response");
    assert_eq!(cause(Udp::new().tolerating_silence(), address).await, "ok");
}

#[tokio::test]
async fn an_icmp_error_is_a_refusal_at_once() {
    let address = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(cause(Udp::new(), address).await, "refused");
    assert_eq!(cause(Udp::new().tolerating_silence(), address).await, "refused");
}

#[tokio::test]
async fn what_is_amiss_here_is_no_failure_of_the_target() {
    let address = server(|_| None).await;
    let elsewhere = Udp::new().with_origin(IpAddr::from([192, 0, 2, 77]));
    assert!(check(elsewhere, address).await.unwrap_err().is_local());
    let too_long = Udp::new().with_payload(vec![0; Udp::LONGEST + 1]);
    assert!(check(too_long, address).await.unwrap_err().is_local());
}

#[test]
fn patterns_are_written_as_they_are_read() {
    for text in ["", "00", "x0", "0xabXf"] {
        let pattern: Nibbles = text.parse().unwrap();
        assert_eq!(pattern.to_string(), text.to_lowercase());
    }
    for text in ["0", "0g", "x", "0 0", "ü"] {
        assert!(text.parse::<Nibbles>().is_err(), "{text:?}");
    }
}
