//! The gRPC checker against tonic, and against servers that misbehave.
#![cfg(feature = "grpc")]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Response};
use lb_health::checkers::{Grpc, ServingStatus};
use lb_health::trace::Phase;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic_health::ServingStatus as Said;

use self::support::http::answering;
use self::support::{TIMEOUT, accepting, cause, check};

/// A tonic server that knows of two services, one well.
async fn tonic_server(mut server: Server) -> SocketAddr {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("shop.v1.Orders", Said::Serving).await;
    reporter.set_service_status("shop.v1.Search", Said::NotServing).await;
    reporter.set_service_status("shop.v1.Mail", Said::Unknown).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = server.add_service(service);
    tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

#[tokio::test]
async fn only_serving_passes() {
    let address = tonic_server(Server::builder()).await;
    for (service, wanted, said) in [
        ("", "ok", "SERVING"),
        ("shop.v1.Orders", "ok", "SERVING"),
        ("shop.v1.Search", "grpc-not-serving", "NOT_SERVING"),
        ("shop.v1.Mail", "grpc-serving-unknown", "UNKNOWN"),
        ("shop.v1.Returns", "grpc-not-found", "NOT_FOUND"),
    ] {
        let checker = Grpc::new().with_service(service);
        for checker in [checker.clone(), checker.keeping_alive()] {
            let result = check(checker, address).await;
            let got = result.as_ref().map_or_else(lb_health::Failure::cause, |_| "ok");
            assert_eq!(got, wanted, "{service}");
            let trace = result.map_or_else(|failure| failure.trace, |report| report.trace);
            let received = &trace.evidence().received;
            assert!(received.as_str().contains(said), "{service}{received}");
        }
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let address = tonic_server(Server::builder()).await;
    let checker = Grpc::new().keeping_alive();
    for run in 0..5 {
        let report = check(checker.clone(), address).await.unwrap();
        assert_eq!(report.trace.spent(Phase::Connect).is_none(), run > 0);
    }
}

#[tokio::test]
async fn a_server_that_knows_no_health_is_told_so() {
    let router = Server::builder().add_routes(tonic::service::Routes::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
    let failure = check(Grpc::new(), address).await.unwrap_err();
    assert_eq!(
        (failure.cause(), failure.to_string()),
        ("grpc-unimplemented", "grpc-unimplemented: UNIMPLEMENTED".to_owned())
    );
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn over_tls_the_server_is_verified() {
    use lb_health::checkers::Tls;
    use tonic::transport::{Identity, ServerTlsConfig};

    use self::support::tls::Authority;

    let authority = Authority::new();
    let (certificate, key) = authority.vouch("orders.example.org", 2090).pem;
    let config = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
    let address = tonic_server(Server::builder().tls_config(config).unwrap()).await;
    let checker = Grpc::new().with_tls(Tls::trusting(authority.pem.as_bytes()).unwrap());
    let named = checker.clone().with_host("orders.example.org").unwrap();
    let report = check(named, address).await.unwrap();
    assert_eq!(report.trace.evidence().certificate.as_ref().unwrap().issuer, "CN=our authority");
    assert_eq!(cause(checker, address).await, "tls-name");
    let stranger = Authority::new();
    let stranger = Tls::trusting(stranger.pem.as_bytes()).unwrap();
    let untrusting = Grpc::new().with_tls(stranger.with_name("orders.example.org").unwrap());
    assert_eq!(cause(untrusting, address).await, "tls-untrusted");
    assert_eq!(cause(Grpc::new(), address).await, "protocol");
}

/// A server that answers every request over HTTP/2 with this.
async fn http2(head: Response<()>, body: Bytes, trailers: Option<HeaderMap>) -> SocketAddr {
    let (parts, ()) = head.into_parts();
    accepting(move |stream| {
        let (parts, body, trailers) = (parts.clone(), body.clone(), trailers.clone());
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut answer))) = connection.accept().await {
                let head = Response::from_parts(parts.clone(), ());
                let mut sending = answer.send_response(head, false).unwrap();
                sending.send_data(body.clone(), trailers.is_none()).unwrap();
                if let Some(trailers) = trailers.clone() {
                    sending.send_trailers(trailers).unwrap();
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn answers_that_are_none_have_causes_of_their_own() {
    let trailers = |code: &str, message: &str| {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", code.parse().unwrap());
        trailers.insert("grpc-message", message.parse().unwrap());
        Some(trailers)
    };
    let head = |status| Response::builder().status(status).body(()).unwrap();
    let serving = Bytes::from(ServingStatus::Serving.emit());
    for (status, body, trailers, wanted) in [
        (200, serving.clone(), trailers("0", ""), "ok"),
        (200, serving.clone(), None, "protocol"),
        (200, serving.clone(), trailers("nonsense", ""), "protocol"),
        (200, serving.clone(), trailers("17", ""), "protocol"),
        (200, serving.clone(), trailers("14", "no%20database"), "grpc-unavailable"),
        (200, Bytes::new(), trailers("0", ""), "protocol"),
        (200, Bytes::from_static(b"garbage"), trailers("0", ""), "protocol"),
        (200, Bytes::from(vec![0; 100_000]), trailers("0", ""), "body-too-large"),
        (503, serving.clone(), trailers("0", ""), "status"),
    ] {
        let address = http2(head(status), body, trailers.clone()).await;
        assert_eq!(cause(Grpc::new(), address).await, wanted, "{status} {trailers:?}");
    }
    let address = http2(head(200), serving, trailers("14", "no%20database")).await;
    let failure = check(Grpc::new(), address).await.unwrap_err();
    assert_eq!(failure.to_string(), "grpc-unavailable: UNAVAILABLE: \"no database\"");
}

#[tokio::test]
async fn servers_that_are_none_have_causes_of_their_own() {
    let page = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(cause(Grpc::new(), page).await, "protocol");
    let mute = accepting(|stream| async move {
        tokio::time::sleep(TIMEOUT * 60).await;
        drop(stream);
    });
    assert_eq!(cause(Grpc::new(), mute.await).await, "timeout-response");
    let closing = accepting(|stream| async move { drop(stream) });
    let got = cause(Grpc::new(), closing.await).await;
    assert!(["closed", "reset"].contains(&got), "{got}");
    let half = accepting(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        if let Some(Ok((_, mut answer))) = connection.accept().await {
            let mut sending = answer.send_response(Response::new(()), false).unwrap();
            sending.send_data(Bytes::from_static(&[0, 0]), false).unwrap();
            while let Some(Ok(_)) = connection.accept().await {}
        }
    });
    assert_eq!(cause(Grpc::new(), half.await).await, "timeout-body");
}
