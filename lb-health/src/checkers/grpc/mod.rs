//! Passes when a gRPC service says that it is serving.

mod frame;

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use http::uri::{Authority, Uri};
use http::{HeaderMap, HeaderValue, Method, Request, Version, header};
use http_body_util::Full;
use percent_encoding::percent_decode;

pub use self::frame::{HealthFrameError, ServingStatus};
use super::HttpError;
use super::HttpVersion;
#[cfg(feature = "tls")]
use super::Tls;
use super::connection::attempt::Attempt;
use super::http::{Kept, Route};
use super::service::checker;
use super::{Origin, Tcp};
use crate::status_ranges::StatusRanges;
use crate::trace::Excerpt;
use crate::{CheckError, Failure, Report, Target};

/// Passes when a gRPC server says by the [health checking protocol] that a service is `SERVING`.
///
/// Every other word, and every status code but `OK`, is a failure with a cause of its own:
/// `grpc-not-serving`, `grpc-unimplemented`, `grpc-unavailable`, …
///
/// ```
/// use lb_health::checkers::Grpc;
///
/// let server = Grpc::new();
/// let service = Grpc::new().with_service("shop.v1.Orders").with_host("orders.example.org")?;
/// # Ok::<(), lb_health::checkers::HttpError>(())
/// ```
///
/// [health checking protocol]: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
#[derive(Clone, Debug)]
pub struct Grpc {
    route: Route,
    host: Option<Authority>,
    /// The request, with its frame.
    request: Bytes,
    /// `None`: every run has a connection of its own.
    kept: Option<Arc<Kept>>,
}

impl Grpc {
    /// The most bytes of an answer: it holds one number.
    const LIMIT: usize = 4096;

    /// A checker that asks about the server as a whole.
    pub fn new() -> Self {
        let route = Route::new(HttpVersion::Http2);
        Self { route, host: None, request: frame::request("").into(), kept: None }
    }

    /// The service to ask about, with its package. Default: the server as a whole.
    #[must_use]
    pub fn with_service(self, service: &str) -> Self {
        Self { request: frame::request(service).into(), ..self }
    }

    /// The name of the site, as [`Page::with_host`](super::Page::with_host) has it.
    ///
    /// # Errors
    /// If it is no host, with or without a port.
    pub fn with_host(self, host: &str) -> Result<Self, HttpError> {
        let parsed = host.parse().map_err(|_| HttpError::Host { host: host.into() });
        Ok(Self { host: Some(parsed?), ..self })
    }

    /// Speaks over TLS. The name that it asks for and verifies is that of `tls`, else the host,
    /// else the target's address.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.route.tls = Some(tls.offering(&[HttpVersion::H2]));
        self.forgetting()
    }

    /// Where to connect from; an address of this host may stand for an [`Origin`].
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<Origin>) -> Self {
        self.route.connector = Tcp::new().with_origin(origin);
        self.forgetting()
    }

    /// Keeps the connection for the next run: see [`Http::keeping_alive`](super::Http::keeping_alive).
    #[must_use]
    pub fn keeping_alive(self) -> Self {
        Self { kept: Some(Arc::default()), ..self }
    }

    /// Connections of before are of no use to a checker that makes others.
    fn forgetting(mut self) -> Self {
        self.kept = self.kept.map(|_| Arc::default());
        self
    }

    async fn run(self, target: Target) -> Result<Report, Failure> {
        let mut attempt = Attempt::begin(target);
        let result = self.ask(&mut attempt, target).await;
        attempt.finish(result)
    }

    async fn ask(&self, attempt: &mut Attempt, target: Target) -> Result<(), CheckError> {
        let former = self.kept.as_ref().and_then(|kept| kept.take(target.address));
        let site = self.host.as_ref().map(|host| host.host().trim_matches(['[', ']']));
        let request = || self.request(target);
        let asking = self.route.request(attempt, target, site, former, request);
        let (mut session, answer) = asking.await?;

        let (head, mut body) = answer.into_parts();
        let evidence = attempt.trace.evidence_mut();
        evidence.status = Some(head.status.as_u16());
        if evidence.certificate.is_none() {
            evidence.certificate = session.certificate().cloned();
        }
        if head.status != http::StatusCode::OK {
            let wanted = StatusRanges::new([200..=200]).map_err(CheckError::protocol)?;
            return Err(CheckError::Status { got: head.status.as_u16(), wanted });
        }
        let mut frame = Vec::new();
        let reading = session.read(attempt, &mut body, |piece| {
            frame.extend_from_slice(piece);
            match frame.len() {
                ..=Self::LIMIT => Ok(ControlFlow::Continue(())),
                _ => Err(CheckError::BodyTooLarge { limit: Self::LIMIT }),
            }
        });
        let trailers = reading.await?;
        // An answer without a message has everything in its header.
        let trailers = trailers.as_ref().unwrap_or(&head.headers);
        let result = judge(trailers, &frame);
        let said = result.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        attempt.trace.evidence_mut().received = Excerpt::new(said.as_bytes());
        if let Some(kept) = &self.kept {
            kept.put(target.address, session);
        }
        match result? {
            ServingStatus::Serving => Ok(()),
            status => {
                let cause = match status {
                    ServingStatus::NotServing => "grpc-not-serving",
                    ServingStatus::ServiceUnknown => "grpc-service-unknown",
                    _ => "grpc-serving-unknown",
                };
                Err(CheckError::custom(cause, format!("the service is {status}")))
            }
        }
    }

    fn request(&self, target: Target) -> Result<Request<Full<Bytes>>, CheckError> {
        let authority = match &self.host {
            Some(authority) => authority.clone(),
            None => target.address.to_string().parse().map_err(CheckError::protocol)?,
        };
        let uri = Uri::builder().scheme(self.route.scheme()).authority(authority);
        let uri = uri.path_and_query("/grpc.health.v1.Health/Check").build();
        let mut request = Request::new(Full::new(self.request.clone()));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = uri.map_err(CheckError::protocol)?;
        request.headers_mut().extend([
            (header::CONTENT_TYPE, HeaderValue::from_static("application/grpc")),
            (header::TE, HeaderValue::from_static("trailers")),
            (header::USER_AGENT, HeaderValue::from_static("lb-health")),
        ]);
        Ok(request)
    }
}

impl Default for Grpc {
    fn default() -> Self {
        Self::new()
    }
}

checker!(Grpc);

/// What an answer means that ends with these trailers.
fn judge(trailers: &HeaderMap, frame: &[u8]) -> Result<ServingStatus, CheckError> {
    let Some(code) = trailers.get("grpc-status") else {
        return Err(CheckError::protocol("the answer has no grpc-status"));
    };
    if code == "0" {
        return ServingStatus::parse(frame).map_err(CheckError::protocol);
    }
    let message = trailers.get("grpc-message").map_or(&[][..], HeaderValue::as_bytes);
    let message = Excerpt::new(&percent_decode(message).collect::<Vec<_>>());
    let code = code.to_str().ok().and_then(|code| code.parse().ok());
    let known = code.and_then(|code: usize| CODES.get(code.checked_sub(1)?));
    let (cause, name) = known.ok_or_else(|| CheckError::protocol("grpc-status is no code"))?;
    Err(CheckError::custom(cause, format!("{name}{message}")))
}

/// The causes and names of the status codes from 1 on.
const CODES: [(&str, &str); 16] = [
    ("grpc-cancelled", "CANCELLED"),
    ("grpc-unknown", "UNKNOWN"),
    ("grpc-invalid-argument", "INVALID_ARGUMENT"),
    ("grpc-deadline-exceeded", "DEADLINE_EXCEEDED"),
    ("grpc-not-found", "NOT_FOUND"),
    ("grpc-already-exists", "ALREADY_EXISTS"),
    ("grpc-permission-denied", "PERMISSION_DENIED"),
    ("grpc-resource-exhausted", "RESOURCE_EXHAUSTED"),
    ("grpc-failed-precondition", "FAILED_PRECONDITION"),
    ("grpc-aborted", "ABORTED"),
    ("grpc-out-of-range", "OUT_OF_RANGE"),
    ("grpc-unimplemented", "UNIMPLEMENTED"),
    ("grpc-internal", "INTERNAL"),
    ("grpc-unavailable", "UNAVAILABLE"),
    ("grpc-data-loss", "DATA_LOSS"),
    ("grpc-unauthenticated", "UNAUTHENTICATED"),
];
