//! Servers on loopback that do as they are told, well or badly.
#![allow(dead_code, reason = "each test uses its own part")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lb_health::{Checker, Failure, Report, Target};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(1);

/// A server that does this with every connection.
pub(crate) async fn accepting<F, R>(ip: [u8; 4], behave: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(SocketAddr::from((ip, 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(behave(stream));
        }
    });
    address
}

/// A server that reads one HTTP/1 request and then does as it is told.
pub(crate) async fn server<F, R>(behave: F) -> SocketAddr
where
    F: Fn(TcpStream, String) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    server_at([127, 0, 0, 1], behave).await
}

pub(crate) async fn server_at<F, R>(ip: [u8; 4], behave: F) -> SocketAddr
where
    F: Fn(TcpStream, String) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    accepting(ip, move |mut stream| {
        let behave = behave.clone();
        async move {
            let request = request(&mut stream).await.unwrap_or_default();
            behave(stream, request).await;
        }
    })
    .await
}

/// Reads one HTTP/1 request, its body included; `None` at the end of the stream.
pub(crate) async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.ok()?);
    }
    let mut request = String::from_utf8(request).unwrap();
    let length = request.lines().find_map(|line| line.strip_prefix("content-length: "));
    for _ in 0..length.map_or(0, |length| length.parse().unwrap()) {
        request.push(stream.read_u8().await.ok()?.into());
    }
    Some(request)
}

/// A server that sends `answer` and closes.
pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> SocketAddr {
    let answer = answer.into();
    server(move |mut stream, _| {
        let answer = answer.clone();
        async move {
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
            // Whoever resets first loses what is on the way.
            let _ = stream.read_u8().await;
        }
    })
    .await
}

/// A server that sends `answer` again and again.
pub(crate) async fn repeating(
    first: &'static [u8],
    then: &'static [u8],
    pause: Duration,
) -> SocketAddr {
    server(move |mut stream, _| async move {
        let _ = stream.write_all(first).await;
        while stream.write_all(then).await.is_ok() {
            tokio::time::sleep(pause).await;
        }
    })
    .await
}

/// A whole answer with this body.
pub(crate) fn page(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// One run, which must keep to its deadline.
#[expect(clippy::disallowed_methods, reason = "measures real sockets")]
pub(crate) async fn check<C>(checker: C, address: SocketAddr) -> Result<Report, Failure>
where
    C: Checker<Error = Failure>,
{
    let begin = Instant::now();
    let result = checker.oneshot(Target::new(address, TIMEOUT)).await;
    assert!(begin.elapsed() < TIMEOUT * 2, "one deadline over the whole run");
    result
}

/// One run's cause of failure, or "ok".
pub(crate) async fn cause<C>(checker: C, address: SocketAddr) -> &'static str
where
    C: Checker<Error = Failure>,
{
    check(checker, address).await.map_or_else(|failure| failure.cause(), |_| "ok")
}
