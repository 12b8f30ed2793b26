//! Servers that tell one client from another.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::harness::*;

/// A page with this in it.
pub(super) fn page(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

pub(super) fn status(line: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

/// Gives every request this answer, and hangs up.
pub(super) fn answering(answer: impl Into<Vec<u8>>) -> Backend {
    let answer = answer.into();
    asked(move |_| answer.clone())
}

/// Answers as the head of the request asks for it, and hangs up.
pub(super) fn asked(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Backend {
    let answer = Arc::new(answer);
    Backend::serving(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            let Some(head) = head(&mut stream).await else { return };
            let _ = stream.write_all(&answer(&head)).await;
        }
    })
}

/// A page for whoever says this, and none for anybody else.
pub(crate) fn demanding(words: &'static str) -> Backend {
    asked(move |head| if head.contains(words) { page("yes") } else { status("404 Not Found") })
}

/// A page for whoever comes from there, and none for anybody else.
pub(super) fn for_client(address: [u8; 4]) -> Backend {
    Backend::serving(move |mut stream| async move {
        let is_ours = stream.peer_addr().is_ok_and(|client| client.ip() == IpAddr::from(address));
        if head(&mut stream).await.is_some() {
            let said = if is_ours { page("yes") } else { status("403 Forbidden") };
            let _ = stream.write_all(&said).await;
        }
    })
}

/// Says this to whoever says something, and ends by a reset.
pub(super) fn resetting(answer: &'static str) -> Backend {
    Backend::serving(move |mut stream| async move {
        if head(&mut stream).await.is_some() {
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.set_zero_linger();
        }
    })
}

/// Does not hang up: that is up to the client.
pub(super) fn lasting(answer: impl Into<Vec<u8>>) -> Backend {
    let answer: Arc<[u8]> = answer.into().into();
    Backend::serving(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            while head(&mut stream).await.is_some() && stream.write_all(&answer).await.is_ok() {}
        }
    })
}

/// Answers after a while, in pieces with a while between them.
pub(super) fn slow(pause: Duration, pieces: &'static [&'static str]) -> Backend {
    Backend::serving(move |mut stream| async move {
        if head(&mut stream).await.is_none() {
            return;
        }
        for piece in pieces {
            tokio::time::sleep(pause).await;
            if stream.write_all(piece.as_bytes()).await.is_err() {
                return;
            }
        }
    })
}

/// Greets whoever comes, and answers lines by how they begin; hangs up if there is no answer.
pub(super) fn talking(
    greeting: &'static str,
    answers: &'static [(&'static str, &'static str)],
) -> Backend {
    Backend::serving(move |mut stream| async move {
        let _ = stream.write_all(greeting.as_bytes()).await;
        while let Some(line) = line(&mut stream).await {
            let answer = answers.iter().find(|(command, _)| line.starts_with(command));
            let Some((_, answer)) = answer else { return };
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
}

/// How a server speaks TLS.
#[derive(Clone, Copy)]
pub(crate) struct Tls {
    /// What it knows of HTTP (ALPN).
    pub(crate) protocols: &'static [&'static str],
    /// Gives no page to those who ask for another name, or for none.
    pub(crate) name: Option<&'static str>,
    /// Says when nothing more will come.
    pub(crate) says_farewell: bool,
}

/// Gives pages over TLS with a certificate that nobody has reason to trust.
pub(crate) fn secured(tls: Tls, answer: impl Into<Vec<u8>>) -> Backend {
    let made = rcgen::generate_simple_self_signed(["nobody.example".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = tls.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let (acceptor, answer) =
        (TlsAcceptor::from(Arc::new(config)), Arc::<[u8]>::from(answer.into()));
    Backend::serving(move |stream: TcpStream| {
        let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            if head(&mut stream).await.is_none() {
                return;
            }
            let named = stream.get_ref().1.server_name() == tls.name;
            let said = if named { answer.to_vec() } else { status("421 Misdirected") };
            let _ = stream.write_all(&said).await;
            let _ = stream.flush().await;
            if tls.says_farewell {
                let _ = stream.shutdown().await;
            }
        }
    })
}

/// Answers datagrams, each by none or several; until the end of the process.
pub(super) fn datagrams<A: IntoIterator<Item = Vec<u8>>>(
    answer: impl Fn(&[u8]) -> A + Send + 'static,
) -> SocketAddr {
    // Its number may be the same as that of some other server's port, but not of this address.
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut heard = [0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut heard) {
            for said in answer(&heard[..length]) {
                let _ = socket.send_to(&said, from);
            }
        }
    });
    address
}

/// A name server that answers with these flags and no record (RFC 1035, 4.1.1).
pub(super) fn names(flags: u16) -> SocketAddr {
    datagrams(move |query| {
        let mut answer = query.to_vec();
        answer.get_mut(2..4)?.copy_from_slice(&flags.to_be_bytes());
        Some(answer)
    })
}

async fn head(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<String> {
    until_end(stream, b"\r\n\r\n").await
}

async fn line(stream: &mut TcpStream) -> Option<String> {
    until_end(stream, b"\r\n").await
}

async fn until_end(stream: &mut (impl AsyncRead + Unpin), end: &[u8]) -> Option<String> {
    let mut heard = Vec::new();
    while !heard.ends_with(end) {
        heard.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&heard).into_owned())
}
