//! A web server that can be killed and brought back to life.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use http::Response;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// One of the demo's backends.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) name: char,
    pub(super) address: SocketAddr,
    server: Option<JoinHandle<()>>,
}

impl Backend {
    /// A living backend on a port that the system chooses.
    pub(super) async fn start(name: char) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = Some(tokio::spawn(serve(name, listener)));
        Ok(Self { name, address, server })
    }

    pub(super) const fn is_alive(&self) -> bool {
        self.server.is_some()
    }

    /// Like a crash: the port is closed, and connections break off.
    pub(super) fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }

    /// Listens on the same port again.
    pub(super) async fn revive(&mut self) -> io::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        self.server = Some(tokio::spawn(serve(self.name, listener)));
        Ok(())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn serve(name: char, listener: TcpListener) {
    // Dropped, and with it every connection, when this task is aborted.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let hello = service_fn(move |_| async move {
            let body = format!("hello from backend {name}\n");
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body))))
        });
        connections.spawn(async move {
            // A visitor that breaks off is no news.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), hello).await;
        });
    }
}
