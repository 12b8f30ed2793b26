//! Targets to check, in a process of their own.

use std::collections::VecDeque;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::{io, thread};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What the targets speak.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Accepts, and says nothing.
    Tcp,
    /// Answers every request of HTTP/1.1 with two bytes.
    Http,
    /// Makes a TLS session and waits for its end.
    Tls,
}

const PROCESS: &str = "HEALTH_BENCH_TARGETS";
const LISTENERS: usize = 2;
/// The connections that a TCP target holds at once.
const HELD: usize = 4000;

/// A process with two listeners at every address of 127.0.0.0/8: each address is a target.
pub(crate) struct Targets {
    ports: [u16; LISTENERS],
    orders: ChildStdin,
    process: Child,
}

impl Targets {
    pub(crate) fn start(kind: Kind) -> Self {
        let name = match kind {
            Kind::Tcp => "tcp",
            Kind::Http => "http",
            Kind::Tls => "tls",
        };
        let mut process = Command::new(env::current_exe().expect("this program"))
            .env(PROCESS, name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process of targets");
        let told = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut ports = told.lines().map(|line| line.ok()?.parse().ok());
        let ports = [(); LISTENERS].map(|()| ports.next().flatten().expect("a port"));
        Self { ports, orders: process.stdin.take().expect("a pipe"), process }
    }

    /// Target `number`; even ones are at the first listener.
    pub(crate) fn address(&self, number: u32) -> SocketAddr {
        let ip = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + number);
        (ip, self.port(number)).into()
    }

    pub(crate) fn port(&self, number: u32) -> u16 {
        self.ports[number as usize % LISTENERS]
    }

    /// The odd targets refuse from now on.
    pub(crate) fn kill_half(&mut self) {
        self.orders.write_all(b"x").expect("targets");
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// To be called first in `main`: serves targets, if this process is there for that.
pub(crate) fn serve() {
    let Ok(kind) = env::var(PROCESS) else { return };
    let bind = || TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a listener");
    let listeners = [(); LISTENERS].map(|()| bind());
    for listener in &listeners {
        println!("{}", listener.local_addr().expect("an address").port());
        // The queue is full within a moment if this thread is not scheduled.
        rustix::net::listen(listener, 4096).expect("a longer queue");
    }
    let [first, second] = listeners.map(Arc::new);
    for listener in [&first, &second] {
        let (listener, kind) = (Arc::clone(listener), kind.clone());
        thread::spawn(move || match &*kind {
            "tcp" => accept(&listener),
            kind => super::runtime().block_on(converse(&listener, kind)),
        });
    }
    let mut order = [0];
    while io::Read::read_exact(&mut io::stdin(), &mut order).is_ok() {
        rustix::net::shutdown(&*second, rustix::net::Shutdown::Both).expect("a listener");
    }
    std::process::exit(0);
}

/// Who hangs up first would be left with the connection; the checks are to have hung up by then.
fn accept(listener: &TcpListener) {
    let mut held = VecDeque::with_capacity(HELD);
    while let Ok((stream, _)) = listener.accept() {
        if held.len() == HELD {
            held.pop_front();
        }
        held.push_back(stream);
    }
}

async fn converse(listener: &TcpListener, kind: &str) {
    listener.set_nonblocking(true).expect("a listener");
    let listener = listener.try_clone().and_then(tokio::net::TcpListener::from_std);
    let (listener, acceptor) = (listener.expect("a listener"), (kind == "tls").then(acceptor));
    while let Ok((stream, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            match acceptor {
                None => answer(stream).await,
                Some(acceptor) => answer(acceptor.accept(stream).await?).await,
            }
        });
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let mut request = [0; 4096];
    let mut length = 0;
    loop {
        match stream.read(&mut request[length..]).await? {
            0 => return Ok(()),
            more => length += more,
        }
        if request[..length].ends_with(b"\r\n\r\n") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await?;
            length = 0;
        }
    }
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key"));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.expect("PEM")], key.expect("PEM"));
    TlsAcceptor::from(Arc::new(config.expect("a key pair")))
}
