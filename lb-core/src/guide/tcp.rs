//! TCP connections: a proxy from a listener to the backend of each client.
//!
//! The inner service connects. A backend that refuses never saw the client, so the connection comes
//! back ([`Undelivered::returned`]) and goes to another one. The [lease] is held as long as the
//! connection lives, and dropped when it is over: least-connections schedulers count by it.
//!
//! ```
//! use std::{net::SocketAddr, sync::Arc};
//! use lb_core::{Director, service::{Balance, Dispatch, Undelivered}};
//! use tokio::{io::copy_bidirectional, net::{TcpListener, TcpStream}};
//! use tower::{BoxError, Service, service_fn};
//!
//! async fn proxy(listener: TcpListener, director: Arc<Director>) -> Result<(), BoxError> {
//!     let connect = service_fn(async |flow: Dispatch<SocketAddr, (TcpStream, SocketAddr)>| {
//!         match TcpStream::connect(flow.lease.endpoint()).await {
//!             Ok(backend) => Ok((flow.request.0, backend, flow.lease)),
//!             Err(error) => Err(Undelivered::returned(flow.request, error)),
//!         }
//!     });
//!     let balance = Balance::new(director, |(_, peer): &(_, SocketAddr)| peer.ip(), connect);
//!     loop {
//!         let connecting = balance.clone().call(listener.accept().await?);
//!         tokio::spawn(async move {
//!             let (mut client, mut backend, _lease) = connecting.await?;
//!             Ok::<_, BoxError>(copy_bidirectional(&mut client, &mut backend).await?)
//!         });
//!     }
//! }
//! # use lb_core::{Algorithm, Pool};
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! #
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! # // Nobody listens at the first backend; the second says back what it hears.
//! # let closed = tokio::net::TcpSocket::new_v4()?;
//! # closed.bind("127.0.0.1:0".parse()?)?;
//! # let echo = TcpListener::bind("127.0.0.1:0").await?;
//! # let backends = [closed.local_addr()?, echo.local_addr()?].map(|one| (one.to_string(), one));
//! # let director = Arc::new(Director::new(Pool::named(backends, &*Algorithm::Rr.scheduler())));
//! # tokio::spawn(async move {
//! #     let (mut stream, _) = echo.accept().await?;
//! #     let (mut reader, mut writer) = stream.split();
//! #     tokio::io::copy(&mut reader, &mut writer).await
//! # });
//! # let listener = TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # tokio::spawn(proxy(listener, Arc::clone(&director)));
//! # let mut client = TcpStream::connect(address).await?;
//! # client.write_all(b"hello").await?;
//! # let mut answer = [0; 5];
//! # client.read_exact(&mut answer).await?;
//! # let active = || [0, 1].map(|place| director.pool().members()[place].load.active());
//! # assert_eq!((&answer, active()), (b"hello", [0, 1]));
//! # client.shutdown().await?; // which is passed on, there and back
//! # assert_eq!(client.read(&mut answer).await?, 0);
//! # while active() != [0, 0] { tokio::task::yield_now().await; }
//! # Ok(()) }
//! ```
//!
//! Half of a connection that closes is passed on by `copy_bidirectional`, and either side may stay
//! silent for as long as it likes: put a timeout around what must not.
//!
//! Backends that are checked, drained or reconfigured come from a
//! [`VirtualServer`](crate::VirtualServer) that publishes to the same director, discovered ones
//! from a [`Discovery`](crate::service::Discovery).
//!
//! [lease]: crate::Lease
//! [`Undelivered::returned`]: crate::service::Undelivered::returned
