//! Connections that wait for the next run, and die waiting.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lb_health::checkers::Http;
use lb_health::trace::Phase;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use self::support::http::{page, request};
use self::support::{TIMEOUT, accepting, cause, check};

/// A server that counts its connections, and tells `behave` the number of the one it is given.
async fn counting<F, R>(behave: F) -> (SocketAddr, Arc<AtomicU32>)
where
    F: Fn(TcpStream, u32) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let count = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&count);
    let accept = move |stream| behave(stream, counter.fetch_add(1, Ordering::Relaxed) + 1);
    (accepting(accept).await, count)
}

/// Answers `requests` requests and closes.
async fn answer(mut stream: TcpStream, requests: usize) {
    for _ in 0..requests {
        if request(&mut stream).await.is_none() {
            return;
        }
        let _ = stream.write_all(page("alive").as_bytes()).await;
    }
}

fn keeping() -> Http {
    Http::new("/").unwrap().keeping_alive()
}

#[tokio::test]
async fn all_runs_use_one_connection() {
    let (address, count) = counting(|stream, _| answer(stream, usize::MAX)).await;
    let checker = keeping();
    for run in 0..10 {
        let report = check(checker.clone(), address).await.unwrap();
        assert_eq!(report.trace.spent(Phase::Connect).is_none(), run > 0);
        assert_eq!(report.trace.evidence().received.as_str(), "alive");
    }
    assert_eq!(count.load(Ordering::Relaxed), 1);
    check(Http::new("/").unwrap(), address).await.unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 2, "who does not keep makes another");
    let elsewhere = checker.with_origin(IpAddr::from([127, 0, 0, 1]));
    check(elsewhere, address).await.unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 3, "who connects otherwise makes another");
}

#[tokio::test]
async fn a_connection_with_more_to_come_is_not_kept() {
    for (limit, connections) in [(5, 1), (4, 3)] {
        let (address, count) = counting(|stream, _| answer(stream, usize::MAX)).await;
        let checker = keeping().with_body_limit(limit);
        for _ in 0..3 {
            check(checker.clone(), address).await.unwrap();
        }
        assert_eq!(count.load(Ordering::Relaxed), connections, "{limit}");
    }
}

#[tokio::test]
async fn a_connection_that_died_is_replaced_and_no_failure() {
    for requests in 1..4 {
        let (address, count) = counting(move |stream, _| answer(stream, requests)).await;
        let checker = keeping();
        for _ in 0..12 {
            check(checker.clone(), address).await.unwrap();
        }
        assert_eq!(count.load(Ordering::Relaxed) as usize, 12_usize.div_ceil(requests));
    }
}

#[tokio::test]
async fn a_connection_that_dies_of_the_request_is_replaced_once() {
    // Every second request of a connection is read and never answered; so is the first of the next.
    let (address, count) = counting(|mut stream, number| async move {
        if number == 1 {
            answer(stream, 1).await;
        } else {
            let _ = request(&mut stream).await;
        }
    })
    .await;
    let checker = keeping();
    check(checker.clone(), address).await.unwrap();
    assert_eq!(cause(checker, address).await, "closed");
    assert_eq!(count.load(Ordering::Relaxed), 2, "replaced, but not again");
}

#[tokio::test]
async fn a_connection_that_is_reset_is_replaced() {
    let (address, _) = counting(|mut stream, _| async move {
        let _ = request(&mut stream).await;
        let _ = stream.write_all(page("alive").as_bytes()).await;
        let _ = request(&mut stream).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let checker = keeping();
    for _ in 0..6 {
        check(checker.clone(), address).await.unwrap();
    }
}

#[tokio::test]
async fn words_before_the_end_are_not_taken_for_an_answer() {
    // As HAProxy and Apache say to who is idle too long.
    let (address, count) = counting(|mut stream, _| async move {
        let _ = request(&mut stream).await;
        let goodbye = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n";
        let _ = stream.write_all((page("alive") + goodbye).as_bytes()).await;
        let _ = request(&mut stream).await;
    })
    .await;
    let checker = keeping();
    for _ in 0..3 {
        check(checker.clone(), address).await.unwrap();
    }
    assert_eq!(count.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn half_an_answer_on_a_kept_connection_is_a_failure() {
    let (address, count) = counting(|mut stream, _| async move {
        let _ = request(&mut stream).await;
        let _ = stream.write_all(page("alive").as_bytes()).await;
        let _ = request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le").await;
    })
    .await;
    let checker = keeping();
    check(checker.clone(), address).await.unwrap();
    assert_eq!(cause(checker, address).await, "protocol");
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn silence_on_a_kept_connection_is_a_failure() {
    let (address, _) = counting(|mut stream, _| async move {
        let _ = request(&mut stream).await;
        let _ = stream.write_all(page("alive").as_bytes()).await;
        tokio::time::sleep(TIMEOUT * 60).await;
    })
    .await;
    let checker = keeping();
    check(checker.clone(), address).await.unwrap();
    assert_eq!(cause(checker.clone(), address).await, "timeout-response");
    assert_eq!(cause(checker, address).await, "ok", "the silent one is not kept");
}

#[test]
fn a_connection_of_a_runtime_that_is_gone_is_replaced() {
    let lasting = tokio::runtime::Runtime::new().unwrap();
    let (address, _) = lasting.block_on(counting(|stream, _| answer(stream, usize::MAX)));
    let checker = keeping();
    for _ in 0..2 {
        let passing = tokio::runtime::Runtime::new().unwrap();
        passing.block_on(check(checker.clone(), address)).unwrap();
    }
}
