//! The admin address: status, metrics, and orders to backends, over HTTP.

mod check_metrics;
mod explain;
pub(crate) mod guard;
mod listener;
pub(crate) mod metrics;
mod orders;
mod server;

use std::fmt;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use serde::Serialize;

pub use self::listener::{DoorError, Listener};
pub(crate) use self::listener::{SocketFile, Via};
pub(crate) use self::server::{Answer, Answering, REQUEST_TIMEOUT, serve};
use crate::control::Handle;
use crate::process::aside;

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Answers for a balancer there until the task is aborted.
pub async fn run(listener: Listener, control: Handle) {
    serve(listener, control).await;
}

impl Answering for Handle {
    async fn answer(self, request: Request<Incoming>, via: Via) -> Answer {
        let request = match answer_about_backends(Some(&self), request, via).await {
            Ok(answer) => return answer,
            Err(request) => request,
        };
        let page = match Page::asked_for(&request, via) {
            Ok(page) => page,
            Err(answer) => return *answer,
        };
        let status = match page {
            Page::Index => return text(StatusCode::OK, include_str!("index.txt")),
            Page::Health if self.decides().await => return text(StatusCode::OK, "ok\n"),
            Page::Health => None,
            Page::Metrics | Page::Status => self.status().await,
        };
        page.show(status, metrics::encode).await
    }
}

/// Answers what is about the backends of a balancer, which may be there or not; gives back what is about
/// something else.
pub(crate) async fn answer_about_backends(
    control: Option<&Handle>,
    request: Request<Incoming>,
    via: Via,
) -> Result<Answer, Request<Incoming>> {
    let path = request.uri().path();
    if let Some(order) = path.strip_prefix("/virtual_servers/") {
        let order = order.to_owned();
        return Ok(match (request.method(), control) {
            (&Method::POST, Some(control)) => orders::post(&order, request, via, control).await,
            (&Method::POST, None) => no_virtual_server(),
            _ => method_not_allowed("POST"),
        });
    }
    let Some(backend) = path.strip_prefix("/explain/") else { return Err(request) };
    let admitted = Page::admit(&request, via).and_then(|()| Page::is_read(&request));
    Ok(match (admitted, control) {
        (Err(answer), _) => *answer,
        (Ok(()), Some(control)) => explain::get(backend, request.headers(), control).await,
        (Ok(()), None) => no_virtual_server(),
    })
}

fn no_virtual_server() -> Answer {
    text(StatusCode::NOT_FOUND, "there is no virtual server\n")
}

/// What can be looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Page {
    Health,
    Index,
    Metrics,
    Status,
}

impl Page {
    /// The page that a request is for, if it may see one.
    pub(crate) fn asked_for<B>(request: &Request<B>, via: Via) -> Result<Self, Box<Answer>> {
        Self::admit(request, via)?;
        let page = match request.uri().path() {
            "/" => Self::Index,
            "/healthz" => Self::Health,
            "/metrics" => Self::Metrics,
            "/status" => Self::Status,
            _ => return Err(text(StatusCode::NOT_FOUND, "GET / says what there is\n").into()),
        };
        Self::is_read(request).map(|()| page)
    }

    /// Whether a request may see anything.
    fn admit<B>(request: &Request<B>, via: Via) -> Result<(), Box<Answer>> {
        // From other hosts one may well be asked by a name.
        if let Via::Address(address) = via
            && address.ip().is_loopback()
            && let Err(suspicion) = guard::check_reader(request.uri(), request.headers())
        {
            return Err(text(StatusCode::FORBIDDEN, format!("{suspicion}\n")).into());
        }
        Ok(())
    }

    fn is_read<B>(request: &Request<B>) -> Result<(), Box<Answer>> {
        match request.method() {
            &Method::GET | &Method::HEAD => Ok(()),
            _ => Err(method_not_allowed("GET, HEAD").into()),
        }
    }

    /// A status, as this page has it.
    pub(crate) async fn show<S: Serialize + Send + 'static>(
        self,
        status: Option<S>,
        metrics: fn(&S) -> Result<String, fmt::Error>,
    ) -> Answer {
        let Some(status) = status else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
        };
        // With thousands of backends that takes a while, which checks need not wait for.
        let rendered = aside(move || match self {
            Self::Metrics => (metrics::CONTENT_TYPE, metrics(&status).ok()),
            _ => (JSON, serde_json::to_string(&status).ok().map(|json| json + "\n")),
        });
        match rendered.await {
            Ok((kind, Some(body))) => with_type(StatusCode::OK, kind, body),
            _ => text(StatusCode::INTERNAL_SERVER_ERROR, "it cannot be written down\n"),
        }
    }
}

pub(crate) fn method_not_allowed(allowed: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, format!("only {allowed} here\n"));
    answer.headers_mut().insert(ALLOW, http::HeaderValue::from_static(allowed));
    answer
}

pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
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
