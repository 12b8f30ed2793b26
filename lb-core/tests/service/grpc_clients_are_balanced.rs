//! A balancer over channels is a channel to tonic: generated clients take it, and what becomes of a
//! failure is what tonic's users know.
#![cfg(all(feature = "service", feature = "system"))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::HttpBody;
use http::Request;
use http::uri::PathAndQuery;
use lb_core::service::{Balance, Discovery};
use lb_core::{Algorithm, Director, Pool};
use tokio::net::{TcpListener, TcpSocket};
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::ServiceExt;
use tower::discover::Change;

/// Messages without content.
#[derive(Clone, Default)]
struct Empty;

impl Codec for Empty {
    type Encode = ();
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Empty {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, (): (), _: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl Decoder for Empty {
    type Item = ();
    type Error = Status;

    fn decode(&mut self, _: &mut DecodeBuf<'_>) -> Result<Option<()>, Status> {
        Ok(Some(()))
    }
}

/// What generated clients ask of their transport, and what sharing them takes.
async fn call<T>(transport: &T) -> Result<(), Status>
where
    T: GrpcService<Body> + Clone + Send + Sync + 'static,
    T::ResponseBody: HttpBody + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<tower::BoxError> + Send,
    T::Future: Send,
{
    let mut client = Grpc::new(transport.clone());
    client.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let path = PathAndQuery::from_static("/demo.Greeter/Greet");
    client.unary(tonic::Request::new(()), path, Empty).await.map(tonic::Response::into_inner)
}

async fn director_over(addresses: &[SocketAddr]) -> Arc<Director<(), Channel>> {
    let director = Arc::new(Director::new(Pool::empty(&*Algorithm::Rr.scheduler_at(0))));
    let found = addresses.iter().map(|&address| {
        let channel = Endpoint::try_from(format!("http://{address}"))?.connect_lazy();
        Ok::<_, tonic::transport::Error>(Change::Insert(address, channel))
    });
    let found = futures::stream::iter(found.collect::<Vec<_>>());
    let mut discovery = Discovery::new(found, Arc::clone(&director));
    while discovery.next().await.transpose().unwrap().is_some() {}
    director
}

async fn greeter(calls: &Arc<AtomicUsize>) -> SocketAddr {
    let calls = Arc::clone(calls);
    let greet = move |request: Request<axum::body::Body>| {
        calls.fetch_add(1, Ordering::Relaxed);
        async {
            let greet = |_: tonic::Request<()>| async { Ok(tonic::Response::new(())) };
            let mut server = tonic::server::Grpc::new(Empty);
            server.unary(tower::service_fn(greet), request).await.map(axum::body::Body::new)
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, axum::Router::new().fallback(greet)).await });
    address
}

/// An address that refuses connections for as long as the socket is there.
fn nobody() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[tokio::test]
async fn calls_go_to_all_servers() {
    let calls = [Arc::default(), Arc::default(), Arc::default()];
    let mut addresses = Vec::new();
    for calls in &calls {
        addresses.push(greeter(calls).await);
    }
    let balance = Balance::over_services(director_over(&addresses).await, |_: &Request<Body>| ());
    for _ in 0..9 {
        call(&balance).await.unwrap();
    }
    assert_eq!(calls.map(|calls| calls.load(Ordering::Relaxed)), [3, 3, 3]);
}

/// A channel takes the call before it tries to connect, and so keeps it.
#[tokio::test]
async fn a_channel_that_cannot_connect_costs_the_call() {
    let calls = Arc::default();
    let (_closed, refuses) = nobody();
    let addresses = [refuses, greeter(&calls).await];
    let director = director_over(&addresses).await;
    let balance = Balance::over_services(Arc::clone(&director), |_: &Request<Body>| ());
    let outcomes = [call(&balance).await, call(&balance).await];
    let codes = outcomes.map(|outcome| outcome.map_err(|status| status.code()));
    assert!(codes.contains(&Err(Code::Unavailable)) && codes.contains(&Ok(())), "{codes:?}");
    assert!(director.pool().members().iter().all(|member| member.load.active() == 0));
}

#[tokio::test]
async fn nobody_to_call_is_unavailable_if_one_says_so() {
    let balance = Balance::over_services(director_over(&[]).await, |_: &Request<Body>| ());
    let status = call(&balance).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unknown, "no backend is configured"));
    let told = balance.map_err(|error| Status::unavailable(error.to_string()));
    assert_eq!(call(&told).await.unwrap_err().code(), Code::Unavailable);
}
