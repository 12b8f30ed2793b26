//! Passes when a page comes with an accepted status.

use std::convert::Infallible;
use std::error::Error;
use std::future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use http::uri::PathAndQuery;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use md5::Digest as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use super::{Tcp, deadline_after};
use crate::{CheckError, Md5, Phase, Report, StatusRanges, Target};

/// The longest header of an answer, in bytes. keepalived stops at 4 KiB, which real servers pass.
const HEADER_LIMIT: usize = 64 * 1024;

/// Passes when a page comes, whole, with an accepted status and, if asked for, the right digest.
///
/// One `GET` over HTTP/1.1 on a connection of its own. What keepalived's `HTTP_GET` does otherwise:
/// framing is honoured (there, only the end of the connection ends an answer), and one deadline
/// holds over the whole run (there, every read starts it anew).
///
/// ```
/// use lb_health::checkers::Http;
///
/// let checker = Http::new("/health")?
///     .with_host("www.example.org")?
///     .with_statuses("200-299,301".parse()?)
///     .with_digest("d41d8cd98f00b204e9800998ecf8427e".parse()?);
/// assert!(Http::new("health").is_err()); // a path begins with a slash
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Http {
    connector: Tcp,
    path: PathAndQuery,
    host: Option<HeaderValue>,
    statuses: StatusRanges,
    digest: Option<Md5>,
    body_limit: usize,
}

impl Http {
    /// The longest body by default: 1 MiB.
    pub const BODY_LIMIT: usize = 1024 * 1024;

    /// A checker that asks for `path`, query included.
    ///
    /// # Errors
    ///
    /// If it does not begin with a slash or holds what a path may not.
    pub fn new(path: &str) -> Result<Self, HttpError> {
        let refused = || HttpError::Path { path: path.into() };
        if !path.starts_with('/') {
            return Err(refused());
        }
        Ok(Self {
            connector: Tcp::new(),
            path: path.parse().map_err(|_| refused())?,
            host: None,
            statuses: StatusRanges::default(),
            digest: None,
            body_limit: Self::BODY_LIMIT,
        })
    }

    /// The name of the site. Default: the target's address and port, as keepalived does.
    ///
    /// # Errors
    ///
    /// If it holds what a header may not.
    pub fn with_host(mut self, host: &str) -> Result<Self, HttpError> {
        let value = HeaderValue::from_str(host).ok().filter(|value| !value.is_empty());
        self.host = Some(value.ok_or_else(|| HttpError::Host { host: host.into() })?);
        Ok(self)
    }

    /// The statuses that pass. Default: 200 to 299.
    #[must_use]
    pub fn with_statuses(self, statuses: StatusRanges) -> Self {
        Self { statuses, ..self }
    }

    /// The digest that the body must have. Default: any body passes.
    #[must_use]
    pub fn with_digest(self, digest: Md5) -> Self {
        Self { digest: Some(digest), ..self }
    }

    /// The longest body that passes, in bytes. Default: [`Self::BODY_LIMIT`].
    #[must_use]
    pub fn with_body_limit(self, body_limit: usize) -> Self {
        Self { body_limit, ..self }
    }

    /// The address to connect from: see [`Tcp::with_source`].
    #[must_use]
    pub fn with_source(self, source: IpAddr) -> Self {
        Self { connector: self.connector.with_source(source), ..self }
    }

    async fn run(self, target: Target) -> Result<Report, CheckError> {
        let deadline = deadline_after(target.timeout);
        let stream = self.connector.connect(target.address, deadline).await?;
        let progress = Arc::new(Progress::default());
        let io = TokioIo::new(Observed { stream, progress: Arc::clone(&progress) });
        let (sender, connection) = Builder::new()
            .max_buf_size(HEADER_LIMIT)
            .handshake(io)
            .await
            .map_err(|error| head_error(error, &progress))?;
        let exchange = async {
            let body = self.request(sender, target, deadline, &progress).await?;
            self.read(body, deadline).await
        };
        // The connection is polled beside the exchange, not in a task of its own, so that nothing
        // outlives this future. What goes wrong in it, the exchange is told.
        let background = async {
            let _ = connection.await;
            future::pending::<Infallible>().await
        };
        tokio::select! {
            result = exchange => result,
            never = background => match never {},
        }
    }

    async fn request(
        &self,
        mut sender: SendRequest<Empty<Bytes>>,
        target: Target,
        deadline: Instant,
        progress: &Progress,
    ) -> Result<Incoming, CheckError> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.path.clone().into();
        let host = match &self.host {
            Some(host) => host.clone(),
            None => HeaderValue::try_from(target.address.to_string()).map_err(protocol)?,
        };
        request.headers_mut().extend([
            (header::HOST, host),
            (header::USER_AGENT, HeaderValue::from_static("lb-health")),
            (header::ACCEPT, HeaderValue::from_static("*/*")),
            (header::CONNECTION, HeaderValue::from_static("close")),
        ]);
        let response = match timeout_at(deadline, sender.send_request(request)).await {
            Ok(answer) => answer.map_err(|error| head_error(error, progress))?,
            Err(_) if progress.written.load(Ordering::Relaxed) == 0 => {
                return Err(CheckError::Timeout { phase: Phase::Write });
            }
            Err(_) => return Err(CheckError::Timeout { phase: Phase::Response }),
        };
        let got = response.status().as_u16();
        if !self.statuses.contains(got) {
            return Err(CheckError::Status { got, wanted: self.statuses.clone() });
        }
        Ok(response.into_body())
    }

    /// Reads the body to its end even if nobody asks for its digest: half a page is a failure.
    async fn read(&self, mut body: Incoming, deadline: Instant) -> Result<Report, CheckError> {
        let mut received = 0;
        let mut hasher = md5::Md5::new();
        loop {
            let data = match timeout_at(deadline, body.frame()).await {
                Ok(None) => break,
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                Ok(Some(Err(error))) => return Err(body_error(error, received)),
                Err(_) => return Err(CheckError::Timeout { phase: Phase::Body }),
            };
            received += data.len();
            if received > self.body_limit {
                return Err(CheckError::BodyTooLarge { limit: self.body_limit });
            }
            if self.digest.is_some() {
                hasher.update(&data);
            }
        }
        let got = Md5(hasher.finalize().into());
        match self.digest {
            Some(wanted) if wanted != got => Err(CheckError::Digest { got, wanted }),
            _ => Ok(Report::ALIVE),
        }
    }
}

impl Service<Target> for Http {
    type Response = Report;
    type Error = CheckError;
    type Future = Pin<Box<dyn Future<Output = Result<Report, CheckError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CheckError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Target) -> Self::Future {
        Box::pin(self.clone().run(target))
    }
}

/// A request cannot be made like this.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Not a host.
    #[error("{host:?} cannot be sent as a host")]
    Host {
        /// What was given.
        host: String,
    },
    /// Not a path.
    #[error("{path:?} is not a path with a leading slash")]
    Path {
        /// What was given.
        path: String,
    },
}

fn head_error(error: hyper::Error, progress: &Progress) -> CheckError {
    let read = progress.read.load(Ordering::Relaxed);
    match io_error(&error) {
        Some(broken) => CheckError::from_io(Phase::Response, broken),
        None if error.is_parse() && read >= HEADER_LIMIT => {
            CheckError::HeaderTooLarge { limit: HEADER_LIMIT }
        }
        None if read == 0 => CheckError::Closed,
        None => protocol(error),
    }
}

fn body_error(error: hyper::Error, received: usize) -> CheckError {
    match io_error(&error) {
        Some(broken) if broken.kind() == io::ErrorKind::UnexpectedEof => {
            CheckError::BodyTruncated { received }
        }
        Some(broken) if broken.raw_os_error().is_some() => CheckError::from_io(Phase::Body, broken),
        None if error.is_incomplete_message() => CheckError::BodyTruncated { received },
        // hyper words bad chunk framing as an I/O error of its own.
        _ => protocol(error),
    }
}

/// The I/O error that `error` comes from, if it does.
fn io_error(error: &hyper::Error) -> Option<io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(match io.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io.kind().into(),
            });
        }
        cause = error.source();
    }
    None
}

fn protocol(error: impl Error + Send + Sync + 'static) -> CheckError {
    CheckError::Protocol { source: Arc::new(error) }
}

/// How many bytes came in and went out: hyper's errors do not tell.
#[derive(Debug, Default)]
struct Progress {
    read: AtomicUsize,
    written: AtomicUsize,
}

struct Observed {
    stream: TcpStream,
    progress: Arc<Progress>,
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let count = buffer.filled().len() - before;
        self.progress.read.fetch_add(count, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Observed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.progress.written.fetch_add(count, Ordering::Relaxed);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Does nothing: whoever says goodbye first holds the connection in `TIME_WAIT`. The stream is
    /// reset when it is dropped.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
