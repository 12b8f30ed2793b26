//! HTTP requests that stay where a cookie says: a service with sessions, behind balancers that share
//! nothing but a key.
//!
//! The inner service is handed the request together with its backend, and so can tell the client
//! where it belongs from now on. `forward` asks the backend of the lease, as in [`http`].
//!
//! ```
//! # use axum::{ServiceExt, body::Body, http::{Response, StatusCode}};
//! # use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! # use lb_core::service::BalanceError;
//! # use lb_core::{Director, Lease};
//! # use tower::BoxError;
//! # async fn forward(lease: &Lease<SocketAddr>, mut request: Request) -> Result<Response<Body>, Undelivered<Request>> {
//! #     let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
//! #     *request.uri_mut() = format!("http://{}/", lease.endpoint()).parse().map_err(Undelivered::consumed)?;
//! #     Ok(client.request(request).await.map_err(Undelivered::consumed)?.map(Body::new))
//! # }
//! use std::{net::SocketAddr, time::SystemTime};
//! use axum::{extract::Request, http::header::{COOKIE, SET_COOKIE}};
//! use lb_core::{cookie::{CookieSigner, StickyCookie}, flow::Sticky, service::{Balance, Dispatch, Undelivered}};
//!
//! fn cookie(signer: &CookieSigner, request: &Request) -> Option<StickyCookie> {
//!     let cookies = request.headers().get(COOKIE)?.to_str().ok()?;
//!     let text = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("lb="))?;
//!     signer.verify(SystemTime::now(), text).ok()
//! }
//! # async fn serve(listener: TcpListener, director: Arc<Director<Sticky<()>>>, signer: CookieSigner) -> Result<(), BoxError> {
//! let reader = signer.clone();
//! let home = move |request: &Request| Sticky::new((), cookie(&reader, request).map(|one| one.place()));
//! let inner = tower::service_fn(move |Dispatch { lease, request }: Dispatch<SocketAddr, Request>| {
//!     let text = signer.refresh(SystemTime::now(), cookie(&signer, &request).as_ref(), &lease);
//!     let set = text.map(|text| format!("lb={text}; Path=/; HttpOnly; Secure; SameSite=Lax"));
//!     async move {
//!         let mut response = forward(&lease, request).await?;
//!         response.headers_mut().extend(set.and_then(|set| Some((SET_COOKIE, set.parse().ok()?))));
//!         Ok::<_, Undelivered<Request>>(response)
//!     }
//! });
//! let balance = Balance::new(director, home, inner);
//! # let answer = |error: BalanceError| async move { (StatusCode::BAD_GATEWAY, error.to_string()) };
//! # Ok(axum::serve(listener, balance.handle_error(answer).into_make_service()).await?)
//! # }
//! # use std::{sync::Arc, time::Duration};
//! # use axum::{Router, http::header};
//! # use lb_core::backend::BackendId;
//! # use lb_core::{Algorithm, Backend, Pool, Weight};
//! # use tokio::net::TcpListener;
//! #
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! # let mut upstreams = Vec::new();
//! # for name in ["a", "b", "c"] {
//! #     let listener = TcpListener::bind("127.0.0.1:0").await?;
//! #     upstreams.push(listener.local_addr()?);
//! #     tokio::spawn(async move { axum::serve(listener, Router::new().fallback(name)).await });
//! # }
//! # let signer = CookieSigner::new("www", &[7; 32])?.max_idle(Duration::from_secs(1_800));
//! # // Two balancers, which know the backends by other identities and in another order.
//! # let mut balancers = Vec::new();
//! # for first in [0, 100] {
//! #     let listener = TcpListener::bind("127.0.0.1:0").await?;
//! #     balancers.push(listener.local_addr()?);
//! #     let backends = upstreams.iter().zip(first..).map(|(&address, id)| {
//! #         (Arc::new(Backend::new(BackendId::new(id), address.to_string(), address)), Weight::ONE)
//! #     });
//! #     let director = Arc::new(Director::new(Pool::new(backends, &*Algorithm::Rr.scheduler_at(0))));
//! #     tokio::spawn(serve(listener, director, signer.clone()));
//! #     upstreams.reverse();
//! # }
//! # let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
//! # let ask = async |balancer: SocketAddr, cookie: Option<&str>| {
//! #     let mut request = Request::get(format!("http://{balancer}/"));
//! #     if let Some(cookie) = cookie { request = request.header(header::COOKIE, cookie); }
//! #     let response: Response<_> = client.request(request.body(Body::empty())?).await?;
//! #     let set = response.headers().get(header::SET_COOKIE).map(|set| set.to_str().map(str::to_owned));
//! #     let body = axum::body::to_bytes(Body::new(response.into_body()), 100).await?;
//! #     Ok::<_, BoxError>((body, set.transpose()?.unwrap_or_default()))
//! # };
//! # for name in ["a", "b", "c"] {
//! #     let (first, set) = ask(balancers[0], None).await?;
//! #     assert_eq!(first, name);
//! #     let cookie = set.split(';').next().unwrap_or_default();
//! #     for balancer in [balancers[1], balancers[0], balancers[1]] {
//! #         assert_eq!(ask(balancer, Some(cookie)).await?.0, name);
//! #     }
//! # }
//! # Ok(()) }
//! ```
//!
//! - **The same rules** hold as for clients that a director remembers: see the table of
//!   [`Director`]. A bearer whose backend is full is served elsewhere and keeps its cookie; one whose
//!   backend is down, removed, drained for long enough or refuses the connection is moved, and gets
//!   another one.
//! - **A new client** is scheduled by the rest of the key: give [`Sticky`] an address where `()` is,
//!   for schedulers that hash, or for a table of those who take no cookies.
//! - **To ask another backend** when one cannot be connected to, open the connection in the inner
//!   service and [return](crate::service::Undelivered::returned) the request when that fails: the
//!   lease of the next one says whether the client has moved.
//!
//! [`Director`]: crate::Director
//! [`http`]: super::http
//! [`Sticky`]: crate::flow::Sticky
