//! HTTP requests: an axum `Router` in front of upstreams, one tower service for each.
//!
//! What the router has no route for is forwarded. Each upstream has a timeout of its own; what they
//! share is the client with its connections.
//!
//! ```
//! use std::{net::SocketAddr, sync::Arc, time::Duration};
//! use axum::{Router, ServiceExt, body::Body, extract::Request, http::StatusCode};
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use lb_core::{Algorithm, Director, Pool, service::{Balance, BalanceError}};
//! use tower::{BoxError, ServiceBuilder};
//!
//! fn app(upstreams: [SocketAddr; 3]) -> Router {
//!     let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
//!     let services = upstreams.map(|address| {
//!         let forward = move |mut request: Request| {
//!             let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
//!             *request.uri_mut() = format!("http://{address}{path}").parse()?;
//!             Ok::<_, BoxError>(request)
//!         };
//!         let layers = ServiceBuilder::new().timeout(Duration::from_secs(5)).filter(forward);
//!         (address.to_string(), layers.service(client.clone()))
//!     });
//!     let director = Director::new(Pool::named(services, &*Algorithm::Rr.scheduler()));
//!     let balance = Balance::over_services(Arc::new(director), |_: &Request| ());
//!     Router::new().fallback_service(balance.handle_error(async |_: BalanceError| StatusCode::BAD_GATEWAY))
//! }
//! # use axum::routing::get;
//! # use tokio::net::TcpListener;
//! #
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! # let mut upstreams = Vec::new();
//! # for name in ["a", "b", "c"] {
//! #     let listener = TcpListener::bind("127.0.0.1:0").await?;
//! #     upstreams.push(listener.local_addr()?);
//! #     let answer = move |request: Request| async move { format!("{} from {name}", request.uri()) };
//! #     tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
//! # }
//! # let listener = TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # let app = app([upstreams[0], upstreams[1], upstreams[2]]).route("/alive", get("yes"));
//! # tokio::spawn(async move { axum::serve(listener, app).await });
//! # let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
//! # let mut asked = std::collections::BTreeSet::new();
//! # for path in ["/?q=1", "/alive", "/2", "/3", "/4"] {
//! #     let response = client.get(format!("http://{address}{path}").parse()?).await?;
//! #     let body = axum::body::to_bytes(Body::new(response.into_body()), 100).await?;
//! #     let body = std::str::from_utf8(&body)?;
//! #     let name = body.strip_prefix(path).and_then(|rest| rest.strip_prefix(" from "));
//! #     assert!(if path == "/alive" { body == "yes" } else { name.is_some() }, "{body}");
//! #     asked.extend(name.map(str::to_owned));
//! # }
//! # assert_eq!(asked.len(), 3); // one after the other, whoever is first
//! # Ok(()) }
//! ```
//!
//! - **To keep clients where they are**, make the key theirs: the address from axum's `ConnectInfo`,
//!   a header; and give the director a hashing scheduler or
//!   [persistence](crate::Director::with_persistence). Or give them a signed [cookie].
//! - **A request that was given to a client is gone**, even if it could not connect. To have another
//!   backend asked then, use one inner service that opens the connection first and
//!   [returns](crate::service::Undelivered::returned) the request when it cannot, as [`tcp`] does,
//!   or tower's `retry` above `Balance`, for requests that can be cloned.
//! - **An answer that is an error** of the upstream's own is an answer, and so a success, unless
//!   [`Balance::judging`](crate::service::Balance::judging) says otherwise: schedulers have to know.
//! - **A body that streams on** after the response began is not counted as a flow; an inner service
//!   can keep the lease in the body.
//! - **Headers are forwarded as they are.** Hop-by-hop ones, `X-Forwarded-For` and `Host` are yours.
//!
//! [`tcp`]: super::tcp
#![cfg_attr(feature = "cookie", doc = "[cookie]: super::sticky")]
#![cfg_attr(not(feature = "cookie"), doc = "[cookie]: crate#features")]
