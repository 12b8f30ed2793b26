//! The HTTP checker against servers that misbehave, each in its own way.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use lb_health::checkers::{Http, Page, Pattern};
use lb_health::digest::Digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use self::support::check;
use self::support::http::{answering, page, repeating, server, server_at};

async fn cause(address: SocketAddr) -> &'static str {
    support::cause(Http::new("/").unwrap(), address).await
}

#[tokio::test]
async fn complete_answers_pass_however_they_are_framed() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nas long as the connection",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n",
    ] {
        assert_eq!(cause(answering(answer).await).await, "ok", "{answer}");
    }
}

#[tokio::test]
async fn a_complete_answer_on_an_open_connection_passes() {
    let address = server(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    })
    .await;
    assert_eq!(cause(address).await, "ok");
}

#[tokio::test]
async fn the_request_is_what_was_asked_for() {
    let address = server(|mut stream, request| async move {
        let _ = stream.write_all(page(&request).as_bytes()).await;
    })
    .await;
    // The digest of the request comes back as the evidence of what was sent.
    let digest_of = |host: String| {
        use md5::Digest as _;
        let request = format!(
            "GET /a?b=c HTTP/1.1\r\nHost: {host}\r\nUser-Agent: lb-health\r\nAccept: */*\r\n\
             Connection: close\r\n\r\n"
        );
        Digest::Md5(md5::Md5::digest(request).into())
    };
    let checker = Http::new("/a?b=c").unwrap();
    let plain = checker.clone().with_digest(digest_of(address.to_string()));
    check(plain, address).await.unwrap();
    let named = checker.with_host("www.example.org").unwrap();
    check(named.with_digest(digest_of("www.example.org".into())), address).await.unwrap();
}

#[tokio::test]
async fn statuses_are_held_against_the_ranges() {
    let address = answering("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n").await;
    let error = check(Http::new("/").unwrap(), address).await.unwrap_err();
    assert_eq!(error.to_string(), "status 302, not one of 200-299");
    let lenient = Http::new("/").unwrap().with_statuses("200,300-399".parse().unwrap());
    assert!(check(lenient, address).await.is_ok());
}

#[tokio::test]
async fn a_digest_that_differs_is_told_with_both() {
    let address = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let right = Digest::md5("d41d8cd98f00b204e9800998ecf8427e").unwrap();
    assert!(check(Http::new("/").unwrap().with_digest(right), address).await.is_ok());
    let wrong = Digest::Md5([0; 16]);
    let error = check(Http::new("/").unwrap().with_digest(wrong), address).await.unwrap_err();
    assert_eq!(error.cause(), "digest");
    assert!(error.to_string().contains(&right.digits()), "{error}");
}

#[tokio::test]
async fn silence_is_a_timeout_of_the_response() {
    let address = server(|stream, _| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    })
    .await;
    assert_eq!(cause(address).await, "timeout-response");
}

#[tokio::test]
async fn closing_without_a_byte_is_its_own_cause() {
    assert_eq!(cause(answering("").await).await, "closed");
}

#[tokio::test]
async fn a_reset_is_its_own_cause() {
    let address = server(|stream, _| async move {
        stream.set_zero_linger().unwrap();
    })
    .await;
    assert_eq!(cause(address).await, "reset");
}

#[tokio::test]
async fn garbage_is_not_the_protocol() {
    for garbage in ["220 mail.example.org ESMTP\r\n", "SSH-2.0-x\r\n\r\n", "\0\u{1}\u{2}\r\n\r\n"] {
        assert_eq!(cause(answering(garbage).await).await, "protocol", "{garbage:?}");
    }
    assert_eq!(cause(answering("HTTP/1.1 200 OK\r\nContent-Le").await).await, "protocol");
}

#[tokio::test]
async fn a_dripping_header_does_not_outlast_the_deadline() {
    let address = repeating(b"HTTP/1.1 200 OK\r\nX: ", b"x", Duration::from_millis(10)).await;
    assert_eq!(cause(address).await, "timeout-response");
}

#[tokio::test]
async fn a_dripping_body_does_not_outlast_the_deadline() {
    let address = repeating(b"HTTP/1.1 200 OK\r\n\r\n", b"x", Duration::from_millis(10)).await;
    assert_eq!(cause(address).await, "timeout-body");
}

#[tokio::test]
async fn an_endless_header_is_cut() {
    static MUCH: [u8; 4096] = [b'x'; 4096];
    let address = repeating(b"HTTP/1.1 200 OK\r\nX: ", &MUCH, Duration::ZERO).await;
    assert_eq!(cause(address).await, "header-too-large");
}

/// hyper skips interim answers in a loop of its own, which no limit of a single header ends.
#[tokio::test]
async fn endless_interim_answers_are_cut() {
    let many = b"HTTP/1.1 100\r\n\r\n".repeat(4096).leak();
    let address = repeating(b"", many, Duration::ZERO).await;
    assert_eq!(cause(address).await, "header-too-large");
    let address = repeating(b"", b"HTTP/1.1 103\r\nLink: </a>\r\n\r\n", Duration::from_millis(10));
    assert_eq!(cause(address.await).await, "timeout-response");
}

/// Frames that are no answer may come without end as well.
#[tokio::test]
async fn endless_control_frames_are_cut() {
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0whatever";
    let address = support::accepting(|stream| async move {
        let (mut reader, mut writer) = stream.into_split();
        // Who never reads is not answered for long.
        tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
        let _ = writer.write_all(SETTINGS).await;
        let pings = PING.repeat(1000);
        while writer.write_all(&pings).await.is_ok() {}
    });
    let checker = Http::new("/").unwrap().with_version(lb_health::checkers::HttpVersion::Http2);
    assert_eq!(support::cause(checker, address.await).await, "header-too-large");
}

#[tokio::test]
async fn an_endless_body_is_cut() {
    static MUCH: [u8; 65536] = [b'x'; 65536];
    let address = repeating(b"HTTP/1.1 200 OK\r\n\r\n", &MUCH, Duration::ZERO).await;
    assert_eq!(support::cause(demanding("x", Page::BODY_LIMIT), address).await, "body-too-large");
    // Where nobody asks what it says, that it came is enough.
    assert_eq!(cause(address).await, "ok");
}

#[tokio::test]
async fn the_body_limit_is_exact() {
    let address = answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await;
    assert!(check(demanding("hell", 5), address).await.is_ok());
    let error = check(demanding("hell", 4), address).await.unwrap_err();
    assert_eq!(error.to_string(), "the body is longer than 4 bytes (`body_limit`)");
    // The digest of "hello".
    let digest = Digest::md5("5d41402abc4b2a76b9719d911017c592").unwrap();
    let hashing = |limit| Http::new("/").unwrap().with_digest(digest).with_body_limit(limit);
    assert!(check(hashing(5), address).await.is_ok());
    assert_eq!(support::cause(hashing(4), address).await, "body-too-large");
}

/// What is not read could only break the verdict that there is.
#[tokio::test]
async fn behind_the_limit_nothing_matters_where_nothing_is_expected() {
    for (answer, wanted) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal", "body-truncated"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf", "ok"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhal", "body-truncated"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\nhalf", "status"),
    ] {
        let limited = Http::new("/").unwrap().with_body_limit(3);
        assert_eq!(support::cause(limited, answering(answer).await).await, wanted, "{answer}");
    }
}

/// The body must have this, and is read so far.
fn demanding(text: &str, limit: usize) -> Http {
    let page = Page::new("/").unwrap().expecting_body(Pattern::text(text).unwrap());
    Http::asking([page.with_body_limit(limit)])
}

#[tokio::test]
async fn a_gigabyte_is_not_read() {
    static MUCH: [u8; 65536] = [b'x'; 65536];
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n";
    let address = repeating(head, &MUCH, Duration::ZERO).await;
    let failure = check(demanding("x", Page::BODY_LIMIT), address).await.unwrap_err();
    assert_eq!(failure.cause(), "body-too-large");
    assert_eq!(failure.trace.evidence().received.as_str(), "x".repeat(200));
    let report = check(Http::new("/").unwrap(), address).await.unwrap();
    assert_eq!(report.trace.evidence().received.as_str(), "x".repeat(200));
}

#[tokio::test]
async fn half_a_body_is_told_from_a_whole_one() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        assert_eq!(cause(answering(answer).await).await, "body-truncated", "{answer}");
    }
    let address = answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await;
    assert_eq!(cause(address).await, "protocol");
}

/// A length that is none, or two that differ, would let a proxy and us see two answers (RFC 9112, 6.3).
#[tokio::test]
async fn a_length_that_cannot_be_is_not_the_protocol() {
    for length in ["ten", "-1", "1, 2", "1\r\nContent-Length: 2", "99999999999999999999", "0x10"] {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nok");
        assert_eq!(cause(answering(answer).await).await, "protocol", "{length}");
    }
}

/// What is behind the announced length is no part of the body, nor of the next answer.
#[tokio::test]
async fn a_body_ends_where_its_length_says() {
    let address = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more").await;
    // The digest of "ok".
    let digest = Digest::md5("444bcb3a3fcf8389296c49467f27e1d6").unwrap();
    let checker = Http::new("/").unwrap().with_digest(digest);
    for checker in [checker.clone(), checker.keeping_alive()] {
        for _ in 0..3 {
            check(checker.clone(), address).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(cause(address).await, "refused");
}

/// E18: what the server does not close, the checker resets.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn nothing_is_left_in_time_wait() {
    // Not where everybody on this host leaves something behind.
    const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 83, 0, 1);
    let address = server_at(ELSEWHERE, |mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        let _ = stream.read_u8().await;
    })
    .await;
    for _ in 0..50 {
        assert_eq!(cause(address).await, "ok");
    }
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let end = format!(" {:08X}:{:04X} ", u32::from_ne_bytes(ELSEWHERE.octets()), address.port());
    assert!(table.contains(&end), "the server still listens");
    let waiting = table.lines().filter(|line| line.contains(&end) && line.contains(" 06 "));
    assert_eq!(waiting.count(), 0);
}

#[test]
fn impossible_requests_are_refused_at_once() {
    for path in ["", "health", "http://example.org/", "/a b", "/\r\nX: y"] {
        assert!(Http::new(path).is_err(), "{path:?}");
    }
    for host in ["", "a\r\nX: y"] {
        assert!(Http::new("/").unwrap().with_host(host).is_err(), "{host:?}");
    }
}
