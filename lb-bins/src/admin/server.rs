//! The HTTP server of an admin address.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::tcp::Bound;

/// Whoever sends a request slower than this is not an administrator.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// More administrators at once wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 256;

pub(crate) type Answer = Response<Full<Bytes>>;

/// Whoever knows the answers.
pub(crate) trait Answering: Clone + Send + Sync + 'static {
    /// The answer to a request that came to this address.
    fn answer(
        self,
        request: Request<Incoming>,
        address: SocketAddr,
    ) -> impl Future<Output = Answer> + Send;
}

/// Answers on these sockets until the task is aborted.
pub(crate) async fn serve(bound: Bound, answering: impl Answering) {
    let address = bound.address();
    info!("administration at http://{address}/status");
    for socket in bound.into_sockets() {
        match TcpListener::from_std(socket) {
            Ok(listener) => accept(&listener, address, &answering).await,
            Err(error) => error!(%address, %error, "no admin address"),
        }
    }
}

async fn accept(listener: &TcpListener, address: SocketAddr, answering: &impl Answering) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= MOST_CONNECTIONS {
            connections.join_next().await;
        }
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: the data plane needs them more.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let answering = answering.clone();
        connections.spawn(async move {
            let answer = service_fn(|request| {
                let answering = answering.clone();
                async move { Ok::<_, Infallible>(answering.answer(request, address).await) }
            });
            // Whatever goes wrong here is the client's connection.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                // Whoever keeps a connection for later keeps others out.
                .keep_alive(false)
                .header_read_timeout(REQUEST_TIMEOUT)
                .max_buf_size(16 * 1024)
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}
