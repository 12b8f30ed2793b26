//! Passes when pages come as they are expected.

mod body;
mod broken;
mod kept;
mod mover;
mod observed;
mod page;
mod session;

use std::sync::Arc;

use http::Version;

use self::body::Judge;
pub(super) use self::kept::Kept;
pub use self::page::Page;
pub(super) use self::session::{Route, Session};
#[cfg(feature = "tls")]
use super::Tls;
use super::connection::attempt::Attempt;
use super::service::checker;
use super::{Origin, Tcp};
use crate::digest::Digest;
use crate::status_ranges::StatusRanges;
use crate::trace::Excerpt;
use crate::{CheckError, Failure, Report, Target};

/// Passes when every [`Page`] that is asked for comes, whole, as it is expected.
///
/// Pages are asked for in order, all of them in each run and under one deadline; the first that is
/// not as expected ends the run. What keepalived's `HTTP_GET` does otherwise: there, one page is
/// asked for in each interval; only the end of the connection ends an answer; and every read
/// starts the timeout anew.
///
/// ```
/// use lb_health::checkers::Http;
///
/// let checker = Http::new("/health")?
///     .with_host("www.example.org")?
///     .with_statuses("200-299,301".parse()?)
///     .keeping_alive();
/// assert!(Http::new("health").is_err()); // a path begins with a slash
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Over TLS the certificate is verified, and is part of the evidence, passed or not:
///
/// ```no_run
/// # #[cfg(feature = "tls")] {
/// use std::time::{Duration, SystemTime};
/// use lb_health::{Target, checkers::{Http, HttpVersion, Tls}};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let checker = Http::new("/health")?
///     .with_host("www.example.org")?
///     .with_tls(Tls::new()?)
///     .with_version(HttpVersion::Http2);
/// let report = checker.oneshot(Target::new("192.0.2.1:443".parse()?, Duration::from_secs(1))).await?;
/// let certificate = report.trace.evidence().certificate.as_ref().ok_or("nothing was presented")?;
/// println!("{} days left", certificate.days_left(SystemTime::now()));
/// # Ok(())
/// # }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Http {
    pages: Arc<[Page]>,
    route: Route,
    /// `None`: every run has a connection of its own.
    kept: Option<Arc<Kept>>,
}

impl Http {
    /// A checker that asks for `path`, as [`Page::new`] has it.
    ///
    /// # Errors
    /// See [`Page::new`].
    pub fn new(path: &str) -> Result<Self, HttpError> {
        Ok(Self::asking([Page::new(path)?]))
    }

    /// A checker that asks for these pages. With none, it passes when the server can be reached.
    pub fn asking(pages: impl IntoIterator<Item = Page>) -> Self {
        let route = Route::new(HttpVersion::Http11);
        Self { pages: pages.into_iter().collect(), route, kept: None }
    }

    /// [`Page::with_host`] for every page.
    ///
    /// # Errors
    /// If it is no host, with or without a port.
    pub fn with_host(self, host: &str) -> Result<Self, HttpError> {
        self.changing(|page| page.with_host(host))
    }

    /// [`Page::with_statuses`] for every page.
    #[must_use]
    pub fn with_statuses(mut self, statuses: StatusRanges) -> Self {
        let pages = self.pages.iter().cloned();
        self.pages = pages.map(|page| page.with_statuses(statuses.clone())).collect();
        self
    }

    /// [`Page::with_digest`] for every page.
    #[must_use]
    pub fn with_digest(mut self, digest: Digest) -> Self {
        self.pages = self.pages.iter().map(|page| page.clone().with_digest(digest)).collect();
        self
    }

    /// [`Page::with_body_limit`] for every page.
    #[must_use]
    pub fn with_body_limit(mut self, limit: usize) -> Self {
        self.pages = self.pages.iter().map(|page| page.clone().with_body_limit(limit)).collect();
        self
    }

    /// The version to speak. Default: 1.1.
    #[must_use]
    pub fn with_version(self, version: HttpVersion) -> Self {
        self.rerouted(|route| route.version = version)
    }

    /// Speaks over TLS. The name that it asks for and verifies is that of `tls`, else the host of
    /// the first page that has one, else the target's address.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        self.rerouted(|route| route.tls = Some(tls))
    }

    /// Where to connect from; an address of this host may stand for an [`Origin`].
    #[must_use]
    pub fn with_origin(self, origin: impl Into<Origin>) -> Self {
        self.rerouted(|route| route.connector = Tcp::new().with_origin(origin))
    }

    /// Keeps the connection for the next run against the same target, with all clones of this
    /// checker.
    ///
    /// This costs a fraction of a connection for each run, but finds out less: a server that takes
    /// no new connections passes. Default: each run has a connection of its own. A kept connection
    /// that turns out to be dead is replaced, and that is no failure. Whatever its method, a
    /// request may so be sent twice (RFC 9110, 9.2.2); checks repeat themselves anyway.
    #[must_use]
    pub fn keeping_alive(self) -> Self {
        Self { kept: Some(Arc::default()), ..self }
    }

    /// Connections of before are of no use to a checker that makes others.
    fn rerouted(mut self, change: impl FnOnce(&mut Route)) -> Self {
        change(&mut self.route);
        #[cfg(feature = "tls")]
        if let Some(tls) = self.route.tls.take() {
            self.route.tls = Some(tls.offering(self.route.version.protocol().as_slice()));
        }
        self.kept = self.kept.map(|_| Arc::default());
        self
    }

    fn changing(
        mut self,
        change: impl FnMut(Page) -> Result<Page, HttpError>,
    ) -> Result<Self, HttpError> {
        self.pages = self.pages.iter().cloned().map(change).collect::<Result<_, _>>()?;
        Ok(self)
    }

    async fn run(self, target: Target) -> Result<Report, Failure> {
        let mut attempt = Attempt::begin(target);
        let result = self.ask_all(&mut attempt, target).await;
        attempt.finish(result)
    }

    async fn ask_all(&self, attempt: &mut Attempt, target: Target) -> Result<(), CheckError> {
        let mut session = self.kept.as_ref().and_then(|kept| kept.take(target.address));
        if self.pages.is_empty() && session.is_none() {
            session = Some(self.route.open(attempt, target, self.site()).await?);
        }
        for (index, page) in self.pages.iter().enumerate() {
            let keep = self.kept.is_some() || index + 1 < self.pages.len();
            session = self.ask(attempt, target, session, page, keep).await?;
        }
        if let (Some(kept), Some(session)) = (&self.kept, session) {
            kept.put(target.address, session);
        }
        Ok(())
    }

    /// Asks for one page, over `former` if that still lives; answers the connection if it can be
    /// used again.
    async fn ask(
        &self,
        attempt: &mut Attempt,
        target: Target,
        former: Option<Session>,
        page: &Page,
        keep: bool,
    ) -> Result<Option<Session>, CheckError> {
        if self.pages.len() > 1 {
            attempt.trace.evidence_mut().asked = Excerpt::new(page.path().as_bytes());
        }
        let version = self.route.version;
        let request = || page.request(target, version.into(), self.route.scheme(), keep);
        let asking = self.route.request(attempt, target, self.site(), former, request);
        let (mut session, answer) = asking.await?;

        let (head, mut body) = answer.into_parts();
        let mut judge = Judge::new(page);
        let drains = page.drains(head.status.as_u16());
        let mut result = page.judge(&head);
        match &result {
            Ok(()) if !drains => {
                let reading = session.read(attempt, &mut body, |piece| judge.take(piece));
                result = reading.await.map(drop);
            }
            // Such a page says why: it is evidence, though it will not change the verdict.
            _ => session.glance(&mut body, |piece| judge.take(piece)).await,
        }
        let evidence = attempt.trace.evidence_mut();
        evidence.status = Some(head.status.as_u16());
        evidence.received = Excerpt::new(judge.beginning());
        if evidence.certificate.is_none() {
            evidence.certificate = session.certificate().cloned();
        }
        if drains {
            attempt.drains = true;
            if let Err(error) = result {
                attempt.unless_up.get_or_insert_with(|| Arc::new(error));
            }
            return Ok(None);
        }
        result?;
        let (is_whole, beginning) = (judge.is_whole(), judge.beginning().to_vec());
        if let Err(error) = judge.verdict() {
            if matches!(error, CheckError::Body { .. }) {
                attempt.trace.evidence_mut().received = Excerpt::exactly(&beginning);
            }
            return Err(error);
        }
        Ok(if keep && is_whole && session.is_reusable().await { Some(session) } else { None })
    }

    fn site(&self) -> Option<&str> {
        self.pages.iter().find_map(Page::site)
    }
}

checker!(Http);

/// The versions of HTTP that can be spoken.
///
/// ```
/// use lb_health::checkers::{Http, HttpVersion};
///
/// // In clear, HTTP/2 is spoken by prior knowledge; over TLS, ALPN must agree on it.
/// let checker = Http::new("/health")?.with_version(HttpVersion::Http2);
/// # Ok::<(), lb_health::checkers::HttpError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum HttpVersion {
    /// HTTP/1.0 (RFC 1945).
    Http10,
    /// HTTP/1.1 (RFC 9112).
    #[default]
    Http11,
    /// HTTP/2 (RFC 9113).
    Http2,
}

impl HttpVersion {
    /// What HTTP/2 is called in ALPN (RFC 9113, 3.1).
    #[cfg(feature = "tls")]
    pub(super) const H2: &'static [u8] = b"h2";

    /// What it is called in ALPN. 1.0 is older than that: servers that know `http/1.1` alone end a handshake
    /// that offers nothing but `http/1.0` (RFC 7301, 3.2), but not one that offers nothing.
    #[cfg(feature = "tls")]
    pub(super) const fn protocol(self) -> Option<&'static [u8]> {
        match self {
            Self::Http10 => None,
            Self::Http11 => Some(b"http/1.1"),
            Self::Http2 => Some(Self::H2),
        }
    }
}

impl From<HttpVersion> for Version {
    fn from(version: HttpVersion) -> Self {
        match version {
            HttpVersion::Http10 => Self::HTTP_10,
            HttpVersion::Http11 => Self::HTTP_11,
            HttpVersion::Http2 => Self::HTTP_2,
        }
    }
}

/// A request cannot be made like this.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// Not a header, or one that is not for the user to set.
    #[error("{name:?} with {value:?} cannot be sent as a header")]
    Header {
        /// The name that was given.
        name: String,
        /// The value that was given.
        value: String,
    },
    /// Not a host.
    #[error("{host:?} cannot be sent as a host")]
    Host {
        /// What was given.
        host: String,
    },
    /// Not a method.
    #[error("{method:?} is not a method that asks for a page")]
    Method {
        /// What was given.
        method: String,
    },
    /// Not a path.
    #[error("{path:?} is not a path with a leading slash")]
    Path {
        /// What was given.
        path: String,
    },
}
