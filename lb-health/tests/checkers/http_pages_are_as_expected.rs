//! What the HTTP checker asks for, and what it holds the answer against.
#![cfg(feature = "http")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::net::SocketAddr;

use bytes::Bytes;
use lb_health::checkers::{Http, HttpVersion, Page, Pattern};
use lb_health::digest::Digest;
use lb_health::trace::Phase;
use tokio::io::AsyncWriteExt;

use self::support::http::{answering, page, request, server};
use self::support::{TIMEOUT, accepting, cause, check};

/// A server that answers each request on a connection with the request itself.
async fn echo() -> SocketAddr {
    accepting(|mut stream| async move {
        while let Some(request) = request(&mut stream).await {
            if stream.write_all(page(&request).as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await
}

async fn echoed(checker: Http) -> String {
    let report = check(checker, echo().await).await.unwrap();
    report.trace.evidence().received.to_string()
}

#[tokio::test]
async fn method_headers_and_body_are_sent_as_given() {
    let page = Page::new("/login?a=b").unwrap();
    let page =
        page.with_method("POST").unwrap().with_body("user=x").with_host("a.example").unwrap();
    let page =
        page.with_header("x-probe", "1").unwrap().with_header("Accept", "text/html").unwrap();
    let wanted = "POST /login?a=b HTTP/1.1\r\nHost: a.example\r\nUser-Agent: lb-health\r\n\
                  X-Probe: 1\r\nAccept: text/html\r\nConnection: close\r\nContent-Length: 6\r\n\r\nuser=x";
    let page = page.expecting_body(Pattern::exactly(wanted).unwrap());
    check(Http::asking([page]), echo().await).await.unwrap();
}

#[tokio::test]
async fn each_version_is_spoken_as_it_says() {
    let http = Http::new("/").unwrap();
    let sent = echoed(http.clone().with_version(HttpVersion::Http10)).await;
    assert!(sent.contains("GET / HTTP/1.0") && !sent.contains("Connection"), "{sent}");
    let sent = echoed(http.clone().with_version(HttpVersion::Http10).keeping_alive()).await;
    assert!(sent.contains("Connection: keep-alive"), "{sent}");
    let sent = echoed(http.clone().keeping_alive()).await;
    assert!(sent.contains("GET / HTTP/1.1") && !sent.contains("Connection"), "{sent}");
}

/// A server that answers every request over HTTP/2 with what it was asked.
async fn http2() -> SocketAddr {
    accepting(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut answer))) = connection.accept().await {
            let (head, mut body) = request.into_parts();
            tokio::spawn(async move {
                let mut received = Vec::new();
                while let Some(Ok(piece)) = body.data().await {
                    received.extend_from_slice(&piece);
                }
                let said = format!("{} {} {received:?}", head.method, head.uri);
                let mut sending = answer.send_response(http::Response::new(()), false).unwrap();
                sending.send_data(Bytes::from(said), true).unwrap();
            });
        }
    })
    .await
}

#[tokio::test]
async fn http2_is_spoken_by_prior_knowledge() {
    let page = |path| Page::new(path).unwrap().with_host("a.example").unwrap();
    let pages = [
        page("/1").expecting_body(Pattern::exactly("GET http://a.example/1 []").unwrap()),
        page("/2")
            .with_method("PUT")
            .unwrap()
            .with_body("ab")
            .expecting_body(Pattern::exactly("PUT http://a.example/2 [97, 98]").unwrap()),
    ];
    let checker = Http::asking(pages).with_version(HttpVersion::Http2);
    let address = http2().await;
    check(checker.clone(), address).await.unwrap();
    let checker = checker.keeping_alive();
    for _ in 0..3 {
        check(checker.clone(), address).await.unwrap();
    }
}

#[tokio::test]
async fn who_knows_no_http2_is_told_so() {
    let checker = Http::new("/").unwrap().with_version(HttpVersion::Http2);
    let old = accepting(|mut stream| async move {
        let _ = request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = request(&mut stream).await;
    });
    assert_eq!(cause(checker.clone(), old.await).await, "protocol");
    let deaf = accepting(|mut stream| async move {
        let _ = request(&mut stream).await;
    });
    assert_eq!(cause(checker.clone(), deaf.await).await, "closed");
    let mute = accepting(|stream| async move {
        tokio::time::sleep(TIMEOUT * 60).await;
        drop(stream);
    });
    assert_eq!(cause(checker, mute.await).await, "timeout-response");
}

#[tokio::test]
async fn headers_are_held_against_the_rules() {
    let address = answering(
        "HTTP/1.1 200 OK\r\nServer: nginx/1\r\nVia: a\r\nVia: b\r\nContent-Length: 0\r\n\r\n",
    );
    let address = address.await;
    let exactly = |text| Pattern::exactly(text).unwrap();
    let page = || Page::new("/").unwrap();
    for (page, wanted) in [
        (page().expecting_header("server", exactly("nginx/1")), "ok"),
        (page().expecting_header("Server", exactly("nginx")), "header"),
        (page().expecting_header("server", Pattern::regex("^nginx/[0-9]").unwrap()), "ok"),
        (page().expecting_header("via", exactly("b")), "ok"),
        (page().refusing_header("via", exactly("b")), "header"),
        (page().expecting_header("x-not-there", Pattern::text("").unwrap()), "header"),
        (page().refusing_header("x-not-there", Pattern::text("").unwrap()), "ok"),
    ] {
        let page = page.unwrap();
        assert_eq!(cause(Http::asking([page.clone()]), address).await, wanted, "{page:?}");
    }
}

#[tokio::test]
async fn bodies_are_searched_as_they_arrive() {
    // In pieces, so that what is looked for is never in one of them.
    let address = server(|mut stream, _| async move {
        stream.set_nodelay(true).unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n").await;
        for piece in ["we ", "are a", "li", "ve!\n"] {
            let _ = stream.write_all(piece.as_bytes()).await;
            tokio::time::sleep(TIMEOUT / 50).await;
        }
    })
    .await;
    let page = || Page::new("/").unwrap();
    let (text, regex) = (Pattern::text("alive").unwrap(), Pattern::regex("^we.*live!$").unwrap());
    for (page, wanted) in [
        (page().expecting_body(text.clone()), "ok"),
        (page().refusing_body(text.clone()), "body"),
        (page().expecting_body(Pattern::text("dead").unwrap()), "body"),
        (page().refusing_body(Pattern::text("dead").unwrap()), "ok"),
        (page().expecting_body(regex.clone()), "body"), // `$` is the end, not before the last `\n`
        (
            page().expecting_body(Pattern::regex("^we.*live!\n$").unwrap()).refusing_body(text),
            "body",
        ),
    ] {
        assert_eq!(cause(Http::asking([page.clone()]), address).await, wanted, "{page:?}");
    }
    // Which is seen in what is shown.
    let failure = check(Http::asking([page().expecting_body(regex)]), address).await.unwrap_err();
    assert_eq!(failure.trace.evidence().received.as_str(), "we are alive!\n");
}

#[tokio::test]
async fn digests_of_either_kind_tell_bodies_apart() {
    use sha2::Digest as _;
    let address = answering(page("alive")).await;
    let http = || Http::new("/").unwrap();
    let md5 = Digest::Md5(md5::Md5::digest("alive").into());
    let sha256 = Digest::Sha256(sha2::Sha256::digest("alive").into());
    assert_eq!(cause(http().with_digest(md5), address).await, "ok");
    assert_eq!(cause(http().with_digest(sha256), address).await, "ok");
    let failure = check(http().with_digest(Digest::Sha256([0; 32])), address).await.unwrap_err();
    assert_eq!(failure.cause(), "digest");
    assert!(failure.to_string().contains(&sha256.digits()), "{failure}");
}

#[tokio::test]
async fn all_pages_are_asked_for_in_order_until_one_fails() {
    let address = echo().await;
    let page = |path| {
        let sent = Pattern::regex(&format!("^GET {path} ")).unwrap();
        Page::new(path).unwrap().expecting_body(sent)
    };
    let checker = Http::asking([page("/1"), page("/2"), page("/3")]);
    let report = check(checker, address).await.unwrap();
    let last = report.trace.evidence().received.as_str();
    assert!(last.starts_with("GET /3 HTTP/1.1") && last.ends_with("Connection: close"), "{last}");
    let refusing = page("/2").with_statuses("404".parse().unwrap());
    let failure = check(Http::asking([page("/1"), refusing, page("/3")]), address).await;
    let failure = failure.unwrap_err();
    assert_eq!(failure.cause(), "status");
    assert_eq!(failure.trace.evidence().asked.as_str(), "/2");
    assert!(failure.trace.evidence().received.as_str().starts_with("GET /2 "), "not the third");
}

#[tokio::test]
async fn servers_that_answer_once_per_connection_show_all_pages() {
    let address = answering(page("alive")).await;
    let alive = Page::new("/").unwrap().expecting_body(Pattern::exactly("alive").unwrap());
    check(Http::asking([alive.clone(), alive.clone(), alive]), address).await.unwrap();
}

#[tokio::test]
async fn a_failure_shows_what_was_answered() {
    let sick = "HTTP/1.1 503 Sick\r\nContent-Length: 14\r\n\r\nno database\r\n\r\n";
    let failure = check(Http::new("/").unwrap(), answering(sick).await).await.unwrap_err();
    assert_eq!(failure.to_string(), "status 503, not one of 200-299");
    let evidence = failure.trace.evidence();
    assert_eq!((evidence.status, evidence.received.as_str()), (Some(503), "no database"));
}

#[tokio::test]
async fn time_is_accounted_by_phase() {
    let pause = TIMEOUT / 10;
    let address = server(move |mut stream, _| async move {
        tokio::time::sleep(pause).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no").await;
        tokio::time::sleep(pause * 2).await;
        let _ = stream.write_all(b"k").await;
    })
    .await;
    let report = check(Http::new("/").unwrap(), address).await.unwrap();
    let spent = |phase| report.trace.spent(phase);
    assert!(spent(Phase::Connect).unwrap() < pause && spent(Phase::Write).unwrap() < pause);
    assert!((pause..pause * 2).contains(&spent(Phase::Response).unwrap()));
    assert!(spent(Phase::Body).unwrap() >= pause * 2);
    assert_eq!(spent(Phase::Tls), None);
}

#[tokio::test]
async fn a_page_may_ask_for_no_new_clients() {
    let gone = answering("HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nleaving").await;
    let alive = answering(page("alive")).await;
    // All else that is expected holds for answers that pass by it.
    let expected = Pattern::exactly("alive").unwrap();
    let checker = |statuses: &str| {
        let page = Page::new("/").unwrap().expecting_body(expected.clone());
        Http::asking([page.with_drain_statuses(statuses.parse().unwrap())]).keeping_alive()
    };
    for _ in 0..2 {
        let report = check(checker("404"), gone).await.unwrap();
        assert!(report.advice.drains());
        // A server that is not up has failed by it.
        assert_eq!(report.unless_up.unwrap().to_string(), "status 404, not one of 200-299");
        let evidence = report.trace.evidence();
        assert_eq!((evidence.status, evidence.received.as_str()), (Some(404), "leaving"));
    }
    assert_eq!(cause(checker("503"), gone).await, "status");
    let report = check(checker("404"), alive).await.unwrap();
    assert!(!report.advice.drains() && report.unless_up.is_none());
    // Who is expected like that is well like that, whatever it was.
    let page = Page::new("/").unwrap().with_statuses("200,404".parse().unwrap());
    let page = page.with_drain_statuses("404".parse().unwrap());
    let report = check(Http::asking([page]), gone).await.unwrap();
    assert!(report.advice.drains() && report.unless_up.is_none());
    // One page that fails is one too many.
    let drains = Page::new("/").unwrap().with_drain_statuses("404".parse().unwrap());
    assert_eq!(cause(Http::asking([drains, Page::new("/").unwrap()]), gone).await, "status");
}

#[test]
fn impossible_pages_are_refused_at_once() {
    let page = || Page::new("/").unwrap();
    for method in ["", "GET /", "CONNECT"] {
        assert!(page().with_method(method).is_err(), "{method:?}");
    }
    for (name, value) in [
        ("", "x"),
        ("a b", "x"),
        ("x", "a\r\nb: c"),
        ("Host", "x"),
        ("content-length", "3"),
        ("Connection", "upgrade"),
    ] {
        assert!(page().with_header(name, value).is_err(), "{name:?}: {value:?}");
    }
    assert!(page().expecting_header("a b", Pattern::text("").unwrap()).is_err());
}
