//! gRPC calls: a tonic client of servers that are discovered.
//!
//! To tonic, a [`Balance`] over channels is a channel: generated clients take it, here as
//! `GreeterClient::new(balance)`. (`Grpc`, which stands here in its place, is what they are made
//! of.) The changes are those that tonic's `balance_channel` takes; any stream of them is a
//! [`Discover`](tower::discover::Discover), with `.map(Ok::<_, Infallible>)` if it knows no errors.
//!
//! ```
//! # use http::Request;
//! # use tonic::Status;
//! # // What code that is generated from a .proto file brings along: here for empty messages.
//! # #[derive(Clone, Default)]
//! # struct Empty;
//! # impl tonic::codec::Codec for Empty {
//! #     type Encode = ();
//! #     type Decode = ();
//! #     type Encoder = Self;
//! #     type Decoder = Self;
//! #     fn encoder(&mut self) -> Self { Self }
//! #     fn decoder(&mut self) -> Self { Self }
//! # }
//! # impl tonic::codec::Encoder for Empty {
//! #     type Item = ();
//! #     type Error = Status;
//! #     fn encode(&mut self, (): (), _: &mut tonic::codec::EncodeBuf<'_>) -> Result<(), Status> { Ok(()) }
//! # }
//! # impl tonic::codec::Decoder for Empty {
//! #     type Item = ();
//! #     type Error = Status;
//! #     fn decode(&mut self, _: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<()>, Status> { Ok(Some(())) }
//! # }
//! #
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tower::BoxError> {
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # let greeter = |request: Request<axum::body::Body>| async move {
//! #     assert_eq!(request.uri().path(), "/demo.Greeter/Greet");
//! #     let greet = tower::service_fn(|_: tonic::Request<()>| async { Ok(tonic::Response::new(())) });
//! #     tonic::server::Grpc::new(Empty).unary(greet, request).await.map(axum::body::Body::new)
//! # };
//! # tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(greeter)).await });
//! use std::{convert::Infallible, net::SocketAddr, sync::Arc};
//! use lb_core::{Algorithm, Director, Pool, service::{Balance, Discovery}, virtual_server::BackendConfig};
//! use tonic::{body::Body, client::Grpc, transport::Endpoint};
//! use tower::discover::Change;
//!
//! // Whatever tells who is there; here one server, for good.
//! let there = Change::Insert(address, Endpoint::try_from(format!("http://{address}"))?);
//! let found = futures::stream::iter([Ok::<_, Infallible>(there)]);
//! let director = Arc::new(Director::new(Pool::empty(&*Algorithm::Wlc.scheduler())));
//! let config = |address: &SocketAddr, endpoint: Endpoint| {
//!     BackendConfig::new(address.to_string(), endpoint.connect_lazy()).initially_up()
//! };
//! let mut discovery = Discovery::configured_by(found, Arc::clone(&director), config);
//! println!("{:?}", discovery.next().await); // quorum gained: there is somebody
//! // From now on the director is kept to what is found.
//! tokio::spawn(async move { while discovery.next().await.is_some() {} });
//!
//! let mut client = Grpc::new(Balance::over_services(director, |_: &http::Request<Body>| ()));
//! client.ready().await?;
//! let path = http::uri::PathAndQuery::from_static("/demo.Greeter/Greet");
//! client.unary(tonic::Request::new(()), path, Empty).await?;
//! # Ok(()) }
//! ```
//!
//! - **Weights** are what `config` says of each: `.weighing(3)`. An `Insert` of a known address may
//!   bring another weight; calls that are under way are not disturbed.
//! - **A channel takes the call before it connects**, and so the call fails with the connection
//!   (`Unavailable`). Have the discovery remove such a server; or leave out `initially_up` and tell
//!   verdicts of your checks to [`Discovery::server_mut`], in a `select!` beside `next`.
//! - **Quorum, a sorry server, slow start** for servers that are found beside others:
//!   [`Discovery::with_config`].
//! - **When there is nobody**, calls fail at once, with the code `Unknown`, because tonic does not
//!   know our errors. `balance.map_err(|error| Status::unavailable(error.to_string()))` makes it
//!   `Unavailable`.
//! - **A stream of answers** counts as a flow until it begins.
//!
//! [`Balance`]: crate::service::Balance
//! [`Discovery::with_config`]: crate::service::Discovery::with_config
//! [`Discovery::server_mut`]: crate::service::Discovery::server_mut
