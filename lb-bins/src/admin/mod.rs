//! The admin address: status, metrics, and orders to backends, over HTTP.

mod guard;
mod metrics;
mod orders;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::control::Handle;
use crate::tcp::Bound;

/// Whoever sends a request slower than this is not an administrator.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// More administrators at once wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 256;

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Answers on these sockets until the task is aborted.
pub async fn run(bound: Bound, control: Handle) {
    let address = bound.address();
    info!("administration at http://{address}/status");
    for socket in bound.into_sockets() {
        match TcpListener::from_std(socket) {
            Ok(listener) => serve(&listener, address, &control).await,
            Err(error) => error!(%address, %error, "no admin address"),
        }
    }
}

async fn serve(listener: &TcpListener, address: SocketAddr, control: &Handle) {
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
        let control = control.clone();
        connections.spawn(async move {
            let answer = service_fn(|request| {
                let control = control.clone();
                async move { Ok::<_, Infallible>(answer(request, address, &control).await) }
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

type Answer = Response<Full<Bytes>>;

async fn answer(request: Request<Incoming>, address: SocketAddr, control: &Handle) -> Answer {
    let path = request.uri().path();
    if let Some(order) = path.strip_prefix("/virtual_servers/") {
        let order = order.to_owned();
        return match request.method() {
            &Method::POST => orders::post(&order, request, control).await,
            _ => method_not_allowed("POST"),
        };
    }
    // From other hosts one may well be asked by a name.
    if address.ip().is_loopback()
        && let Err(suspicion) = guard::check_name(request.uri(), request.headers())
    {
        return text(StatusCode::FORBIDDEN, format!("{suspicion}\n"));
    }
    let Some(page) = Page::at(path) else {
        return text(StatusCode::NOT_FOUND, "there are /status, /metrics and /healthz\n");
    };
    match request.method() {
        &Method::GET | &Method::HEAD => page.show(control).await,
        _ => method_not_allowed("GET, HEAD"),
    }
}

/// What can be looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Page {
    Health,
    Index,
    Metrics,
    Status,
}

impl Page {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/" => Self::Index,
            "/healthz" => Self::Health,
            "/metrics" => Self::Metrics,
            "/status" => Self::Status,
            _ => return None,
        })
    }

    async fn show(self, control: &Handle) -> Answer {
        let status = match self {
            Self::Index => return text(StatusCode::OK, include_str!("index.txt")),
            Self::Health if control.decides().await => return text(StatusCode::OK, "ok\n"),
            Self::Health => None,
            Self::Metrics | Self::Status => control.status().await,
        };
        let Some(status) = status else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
        };
        // With thousands of backends that takes a while, which checks need not wait for.
        let rendered = tokio::task::spawn_blocking(move || match self {
            Self::Metrics => (metrics::CONTENT_TYPE, metrics::encode(&status).ok()),
            _ => (JSON, serde_json::to_string(&status).ok().map(|json| json + "\n")),
        });
        match rendered.await {
            Ok((kind, Some(body))) => with_type(StatusCode::OK, kind, body),
            _ => text(StatusCode::INTERNAL_SERVER_ERROR, "it cannot be written down\n"),
        }
    }
}

fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, format!("only {allowed} here\n"));
    answer.headers_mut().insert(ALLOW, http::HeaderValue::from_static(allowed));
    answer
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    with_type(status, PLAIN, body)
}

fn with_type(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    answer
}
