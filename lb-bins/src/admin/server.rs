//! The HTTP server of an admin address.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;
use tracing::{error, info};

use super::listener::{Kind, Listener, Via};

/// Whoever sends a request slower than this is not an administrator.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// More administrators at once wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 256;

pub(crate) type Answer = Response<Full<Bytes>>;

/// Whoever knows the answers.
pub(crate) trait Answering: Clone + Send + Sync + 'static {
    /// The answer to a request that came this way.
    fn answer(self, request: Request<Incoming>, via: Via) -> impl Future<Output = Answer> + Send;
}

/// Answers there until the task is aborted.
pub(crate) async fn serve(listener: Listener, answering: impl Answering) {
    match listener.0 {
        Kind::Address(address, socket) => match TcpListener::from_std(socket) {
            Ok(socket) => {
                info!("administration at http://{address}/status");
                accept_all(socket, Via::Address(address), answering).await;
            }
            Err(error) => error!(%address, %error, "no admin address"),
        },
        Kind::Socket(path, socket) => {
            let path = path.display();
            match UnixListener::from_std(socket) {
                Ok(socket) => {
                    info!("administration: curl --unix-socket {path} http://localhost/status");
                    accept_all(socket, Via::Socket, answering).await;
                }
                Err(error) => error!(%path, %error, "no admin socket"),
            }
        }
    }
}

/// Where connections come from.
trait Accept {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<TcpStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

async fn accept_all(listener: impl Accept + Sync, via: Via, answering: impl Answering) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= MOST_CONNECTIONS {
            connections.join_next().await;
        }
        while connections.try_join_next().is_some() {}
        let Ok(stream) = listener.accept().await else {
            // Out of descriptors, most likely: the data plane needs them more.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let answering = answering.clone();
        connections.spawn(async move {
            let answer = service_fn(|request| {
                let answering = answering.clone();
                async move { Ok::<_, Infallible>(answering.answer(request, via).await) }
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
