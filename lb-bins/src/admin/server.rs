//! The HTTP server of an admin address.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{error, info};

use super::listener::{Kind, Listener, Via};

/// Whoever sends a request slower than this is not an administrator.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// More administrators at once wait in the kernel's queue, if all of these have asked for something.
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

/// Somebody who is connected.
struct Guest {
    connection: AbortHandle,
    has_asked: Arc<AtomicBool>,
}

/// Whoever has asked for nothing yet gives way, those first that have had the most time for it: else some that
/// only connect would keep everybody out.
fn make_room(guests: &mut VecDeque<Guest>) {
    let idle = guests.iter().position(|guest| !guest.has_asked.load(Ordering::Relaxed));
    if let Some(guest) = idle.and_then(|at| guests.remove(at)) {
        guest.connection.abort();
    }
}

async fn accept_all(listener: impl Accept + Sync, via: Via, answering: impl Answering) {
    let (mut connections, mut guests) = (JoinSet::new(), VecDeque::new());
    loop {
        let Ok(stream) = listener.accept().await else {
            // Out of descriptors, most likely: the data plane needs them more.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        guests.retain(|guest: &Guest| !guest.connection.is_finished());
        while connections.len() >= MOST_CONNECTIONS {
            make_room(&mut guests);
            connections.join_next().await;
        }
        let answering = answering.clone();
        let has_asked = Arc::new(AtomicBool::new(false));
        let asks = Arc::clone(&has_asked);
        let connection = connections.spawn(async move {
            let answer = service_fn(|request| {
                asks.store(true, Ordering::Relaxed);
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
        guests.push_back(Guest { connection, has_asked });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    /// Answers nobody who asks for something slow.
    #[derive(Clone)]
    struct Fast;

    impl Answering for Fast {
        async fn answer(self, request: Request<Incoming>, _: Via) -> Answer {
            if request.uri().path() == "/slow" {
                std::future::pending::<()>().await;
            }
            Answer::default()
        }
    }

    #[tokio::test]
    async fn who_only_connects_keeps_nobody_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept_all(listener, Via::Address(address), Fast));
        let connect = async |path: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            if !path.is_empty() {
                let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
                stream.write_all(request.as_bytes()).await.unwrap();
            }
            stream
        };
        let mut slow = connect("/slow").await;
        let mut idle = Vec::new();
        for _ in 0..2 * MOST_CONNECTIONS {
            idle.push(connect("").await);
        }
        let mut buffer = [0; 12];
        let mut asks = connect("/").await;
        let answered = timeout(REQUEST_TIMEOUT / 5, asks.read_exact(&mut buffer)).await;
        assert!(answered.is_ok_and(|read| read.is_ok()), "it waits for those that say nothing");
        assert_eq!(&buffer, b"HTTP/1.1 200");
        let ended = timeout(Duration::from_millis(50), slow.read(&mut buffer)).await;
        assert!(ended.is_err(), "who has asked is still served");
    }
}
