//! The HTTP checker over TLS, against certificates and servers that are not in order.
#![cfg(all(feature = "http", feature = "tls"))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use lb_health::checkers::{Http, HttpVersion, Page, Pattern, Tls};
use lb_health::trace::{Evidence, Phase};
use tokio::io::AsyncWriteExt;

use self::support::http::{page, request};
use self::support::tls::{Authority, Presented, securing};
use self::support::{TIMEOUT, accepting, cause, check};

const SITE: &str = "www.example.org";

/// A server that answers whatever it is asked for over HTTP/1, and presents this.
async fn site(presented: Presented) -> SocketAddr {
    securing(presented, &[], |mut stream| async move {
        while let Some(request) = request(&mut stream).await {
            let name = stream.get_ref().1.server_name().map(ToOwned::to_owned);
            let said = page(&format!("{name:?} {request}"));
            if stream.write_all(said.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await
}

fn trusting(authority: &Authority) -> Http {
    let http = Http::new("/").unwrap().with_host(SITE).unwrap();
    http.with_tls(Tls::trusting(authority.pem.as_bytes()).unwrap())
}

#[expect(clippy::disallowed_methods, reason = "certificates are made for today")]
fn days_left(evidence: &Evidence) -> i64 {
    evidence.certificate.as_ref().unwrap().days_left(SystemTime::now())
}

#[tokio::test]
async fn a_certificate_in_order_passes_and_is_evidence() {
    let authority = Authority::new();
    let address = site(authority.vouch(SITE, 2090)).await;
    let report = check(trusting(&authority), address).await.unwrap();
    assert!(report.trace.spent(Phase::Tls).unwrap() > Duration::ZERO);
    let evidence = report.trace.evidence();
    let certificate = evidence.certificate.as_ref().unwrap();
    assert_eq!(
        (certificate.subject.as_str(), &*certificate.names),
        ("CN=www.example.org", &[SITE.to_owned()][..])
    );
    assert_eq!(certificate.issuer, "CN=our authority");
    assert!((10_000..40_000).contains(&days_left(evidence)));
}

#[tokio::test]
async fn certificates_out_of_order_fail_each_with_its_cause() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (presented, wanted) in [
        (authority.vouch(SITE, 2090), "ok"),
        (authority.vouch(SITE, 2005), "tls-expired"),
        (authority.vouch_from(2080, SITE, 2090), "tls-not-yet-valid"),
        (authority.vouch("www.example.com", 2090), "tls-name"),
        (other.vouch(SITE, 2090), "tls-untrusted"),
    ] {
        let address = site(presented).await;
        let result = check(trusting(&authority), address).await;
        let got = result.as_ref().map_or_else(lb_health::Failure::cause, |_| "ok");
        assert_eq!(got, wanted);
        let trace = result.map_or_else(|failure| failure.trace, |report| report.trace);
        assert!(trace.evidence().certificate.is_some(), "{wanted}: what was presented is evidence");
        assert_eq!(days_left(trace.evidence()) < 0, wanted == "tls-expired");

        let trusted = Http::new("/").unwrap().with_tls(Tls::unverified().unwrap());
        assert_eq!(cause(trusted, address).await, "ok", "unless verification is given up");
    }
}

#[tokio::test]
async fn why_a_certificate_is_not_trusted_is_told_in_words() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (presented, why) in [
        (
            Presented::by_itself(SITE),
            "nobody who is trusted has issued it, or the server leaves out what is in between",
        ),
        // It has the same name, as two that were made in the same way.
        (other.vouch(SITE, 2090), "its signature is not that of the authority that it names"),
        (authority.itself(), "it is an authority's (CA:TRUE) and so no server's"),
    ] {
        let failure = check(trusting(&authority), site(presented).await).await.unwrap_err();
        assert_eq!(failure.cause(), "tls-untrusted");
        assert_eq!(failure.to_string(), format!("the certificate is not trusted: {why}"));
    }
}

#[tokio::test]
async fn the_name_is_that_of_tls_else_the_host_else_the_address() {
    let authority = Authority::new();
    let said = |text: &str| Page::new("/").unwrap().expecting_body(Pattern::text(text).unwrap());
    let tls = || Tls::trusting(authority.pem.as_bytes()).unwrap();
    let hosted = |page: Page| Http::asking([page.with_host("www.example.org:8443").unwrap()]);

    let address = site(authority.vouch(SITE, 2090)).await;
    check(hosted(said("Some(\"www.example.org\")")).with_tls(tls()), address).await.unwrap();
    check(hosted(said("Host: www.example.org:8443")).with_tls(tls()), address).await.unwrap();
    let other = hosted(said("Some(\"a.example\")"));
    let other = other.with_tls(tls().with_name("a.example").unwrap());
    assert_eq!(cause(other.clone(), address).await, "tls-name");
    check(other, site(authority.vouch("a.example", 2090)).await).await.unwrap();

    let nameless = Http::asking([said("None ")]).with_tls(tls());
    assert_eq!(cause(nameless.clone(), address).await, "tls-name");
    check(nameless, site(authority.vouch("127.0.0.1", 2090)).await).await.unwrap();

    let silent = hosted(said("None ")).with_tls(tls().without_name());
    assert_eq!(cause(silent.clone(), address).await, "tls-name");
    check(silent, site(authority.vouch("127.0.0.1", 2090)).await).await.unwrap();
}

#[tokio::test]
async fn a_kept_session_needs_no_second_handshake_and_still_shows_the_certificate() {
    let authority = Authority::new();
    let address = site(authority.vouch(SITE, 2090)).await;
    let checker = trusting(&authority).keeping_alive();
    for run in 0..3 {
        let report = check(checker.clone(), address).await.unwrap();
        assert_eq!(report.trace.spent(Phase::Tls).is_none(), run > 0);
        assert!(days_left(report.trace.evidence()) > 0);
    }
}

#[tokio::test]
async fn http2_takes_an_agreement() {
    let authority = Authority::new();
    let checker = trusting(&authority).with_version(HttpVersion::Http2);
    let address = securing(authority.vouch(SITE, 2090), &[b"h2"], |stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut answer))) = connection.accept().await {
            assert_eq!(request.uri().to_string(), "https://www.example.org/");
            let mut sending = answer.send_response(http::Response::new(()), false).unwrap();
            sending.send_data(Bytes::from("alive"), true).unwrap();
        }
    });
    let address = address.await;
    check(checker.clone(), address).await.unwrap();
    let kept = checker.clone().keeping_alive();
    for _ in 0..3 {
        check(kept.clone(), address).await.unwrap();
    }
    assert_eq!(cause(trusting(&authority), address).await, "tls-handshake", "offers http/1.1 only");
    // A server that knows no ALPN says nothing about it.
    assert_eq!(cause(checker, site(authority.vouch(SITE, 2090)).await).await, "rejected");
}

#[tokio::test]
async fn an_end_without_farewell_after_a_whole_answer_passes() {
    let authority = Authority::new();
    let ending = |answer: &'static str| {
        securing(authority.vouch(SITE, 2090), &[], move |mut stream| async move {
            let _ = request(&mut stream).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.flush().await;
            // The TCP connection is ended, without a close_notify.
            let (mut plain, _session) = stream.into_inner();
            let _ = plain.shutdown().await;
            tokio::time::sleep(TIMEOUT).await;
        })
    };
    for (answer, wanted) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", "body-truncated"),
        // Nobody can tell whether this is all (RFC 9112, 9.8).
        ("HTTP/1.0 200 OK\r\n\r\nok", "body-truncated"),
        ("", "closed"),
    ] {
        assert_eq!(cause(trusting(&authority), ending(answer).await).await, wanted, "{answer:?}");
    }
    // Where anybody might have said farewell as well, its absence proves nothing; a length still does.
    let trustful = Http::new("/").unwrap().with_tls(Tls::unverified().unwrap());
    for (answer, wanted) in [
        ("HTTP/1.0 200 OK\r\n\r\nok", "ok"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", "body-truncated"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "body-truncated"),
        ("", "closed"),
    ] {
        assert_eq!(cause(trustful.clone(), ending(answer).await).await, wanted, "{answer:?}");
    }
}

/// Go's, Node's and rustls' servers end a handshake in which they know nothing of what is offered.
#[tokio::test]
async fn http_1_0_offers_nothing_that_a_server_might_not_know() {
    let authority = Authority::new();
    let address =
        securing(authority.vouch(SITE, 2090), &[b"h2", b"http/1.1"], |mut stream| async move {
            let agreed = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            let request = request(&mut stream).await.unwrap_or_default();
            let said = page(&format!("{agreed:?} {request}"));
            let _ = stream.write_all(said.as_bytes()).await;
        });
    let address = address.await;
    let asking = |text: &str| {
        let page = Page::new("/").unwrap().with_host(SITE).unwrap();
        let http = Http::asking([page.expecting_body(Pattern::text(text).unwrap())]);
        http.with_tls(Tls::trusting(authority.pem.as_bytes()).unwrap())
    };
    let old = asking("None GET / HTTP/1.0").with_version(HttpVersion::Http10);
    check(old, address).await.unwrap();
    check(asking("GET / HTTP/1.1"), address).await.unwrap();
}

#[tokio::test]
async fn servers_that_speak_no_tls_fail_in_that_phase() {
    let checker = trusting(&Authority::new());
    let mute = accepting(|stream| async move {
        tokio::time::sleep(TIMEOUT * 60).await;
        drop(stream);
    });
    assert_eq!(cause(checker.clone(), mute.await).await, "timeout-tls");
    let dripping = accepting(|mut stream| async move {
        // The beginning of a long handshake record.
        let _ = stream.write_all(&[22, 3, 3, 64, 0]).await;
        while stream.write_all(&[2]).await.is_ok() {
            tokio::time::sleep(TIMEOUT / 50).await;
        }
    });
    assert_eq!(cause(checker.clone(), dripping.await).await, "timeout-tls");
    let hanging_up = accepting(|mut stream| async move {
        let _ = stream.shutdown().await;
        tokio::time::sleep(TIMEOUT).await;
    });
    assert_eq!(cause(checker.clone(), hanging_up.await).await, "tls-handshake");
    // It waits for an empty line, and answers in clear.
    let clear = accepting(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        tokio::time::sleep(TIMEOUT).await;
    });
    assert_eq!(cause(checker, clear.await).await, "tls-handshake");
}
