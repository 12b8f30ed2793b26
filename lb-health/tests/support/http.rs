//! Servers of HTTP that do as they are told, well or badly.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::accepting_at;

/// A server that reads one HTTP/1 request and then does as it is told.
pub(crate) async fn server<F, R>(behave: F) -> SocketAddr
where
    F: Fn(TcpStream, String) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    server_at(Ipv4Addr::LOCALHOST, behave).await
}

pub(crate) async fn server_at<F, R>(ip: Ipv4Addr, behave: F) -> SocketAddr
where
    F: Fn(TcpStream, String) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    accepting_at(ip, move |mut stream| {
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
    let length = request.lines().find_map(|line| line.strip_prefix("Content-Length: "));
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
