//! A connection that requests go over, one after the other.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::HttpVersion;
use super::broken::Broken;
use super::mover::Mover;
use super::observed::{End, Observed, Progress};
#[cfg(feature = "tls")]
use crate::checkers::Tls;
use crate::checkers::connection::attempt::Attempt;
use crate::checkers::connection::stream::Stream;
use crate::checkers::tcp::{First, Tcp};
use crate::trace::{Certificate, Phase};
use crate::{CheckError, Target};

/// The longest header of an answer, in bytes. keepalived stops at 4 KiB, which real servers pass.
pub(super) const HEADER_LIMIT: usize = 64 * 1024;
/// The most bytes before the header of an answer is complete: interim answers (RFC 9110, 15.2) and
/// HTTP/2's control frames have no end else. hyper skips the former in a loop.
const PREFACE_LIMIT: usize = 4 * HEADER_LIMIT;

/// How a session is come to.
#[derive(Clone, Debug)]
pub(in crate::checkers) struct Route {
    pub(in crate::checkers) connector: Tcp,
    #[cfg(feature = "tls")]
    pub(in crate::checkers) tls: Option<Tls>,
    pub(in crate::checkers) version: HttpVersion,
}

impl Route {
    /// In clear, from whatever address the system chooses.
    pub(in crate::checkers) const fn new(version: HttpVersion) -> Self {
        Self {
            connector: Tcp::new(),
            #[cfg(feature = "tls")]
            tls: None,
            version,
        }
    }

    /// What requests over it are called.
    pub(in crate::checkers) fn scheme(&self) -> Scheme {
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            return Scheme::HTTPS;
        }
        Scheme::HTTP
    }

    /// Connects, and makes a TLS session if that is asked for; `site` is the name to ask for if
    /// TLS has none of its own.
    pub(in crate::checkers) async fn open(
        &self,
        attempt: &mut Attempt,
        target: Target,
        site: Option<&str>,
    ) -> Result<Session, CheckError> {
        let stream = self.connector.connect(attempt, target.address, First::We).await?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            // What is no name cannot be asked for: the address is, as without a site.
            let named = site.filter(|_| tls.takes_site());
            let named = named.and_then(|site| tls.clone().with_name(site).ok());
            let tls = named.as_ref().unwrap_or(tls);
            let stream = tls.handshake(attempt, stream, target).await?;
            let agreed = stream.get_ref().1.alpn_protocol();
            if self.version == HttpVersion::Http2 && agreed != Some(HttpVersion::H2) {
                return Err(CheckError::rejected("the server does not agree on h2 (ALPN)"));
            }
            let certificate = attempt.trace.evidence().certificate.clone();
            let end = if tls.verifies() { End::Announced } else { End::Any };
            let observed = Observed::new(Stream::Tls(Box::new(stream)), end);
            return Session::new(attempt, observed, self.version, certificate).await;
        }
        let _ = site;
        let observed = Observed::new(Stream::Plain(stream), End::Any);
        Session::new(attempt, observed, self.version, None).await
    }
}

impl Route {
    /// Sends a request over `former` if that still lives, else over a new connection, and waits for
    /// the header of the answer.
    pub(in crate::checkers) async fn request(
        &self,
        attempt: &mut Attempt,
        target: Target,
        site: Option<&str>,
        former: Option<Session>,
        request: impl Fn() -> Result<Request<Full<Bytes>>, CheckError>,
    ) -> Result<(Session, Response<Body>), CheckError> {
        if let Some(mut session) = former {
            match session.request(attempt, request()?).await {
                // Servers close what they find idle, which may cross with a request.
                Err(Unanswered { was_dead: true, .. }) => {}
                Err(Unanswered { error, .. }) => return Err(error),
                Ok(answer) => return Ok((session, answer)),
            }
        }
        let mut session = self.open(attempt, target, site).await?;
        let answer = session.request(attempt, request()?).await;
        answer.map(|answer| (session, answer)).map_err(|unanswered| unanswered.error)
    }
}

/// A connection that requests can be sent over.
#[derive(Debug)]
pub(in crate::checkers) struct Session {
    sender: Sender,
    mover: Mover,
    progress: Arc<Progress>,
    /// What the server presented when the session was made.
    certificate: Option<Certificate>,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(h2::client::SendRequest<Bytes>),
}

/// The body of an answer, on its way.
#[derive(Debug)]
pub(in crate::checkers) enum Body {
    Http1(Incoming),
    Http2(h2::RecvStream),
}

/// Why a request was not answered.
#[derive(Debug)]
struct Unanswered {
    error: CheckError,
    /// Whether the connection ended before it brought anything in answer.
    was_dead: bool,
}

impl Session {
    async fn new(
        attempt: &mut Attempt,
        (stream, progress): (Observed, Arc<Progress>),
        version: HttpVersion,
        certificate: Option<Certificate>,
    ) -> Result<Self, CheckError> {
        let (sender, mover) = if version == HttpVersion::Http2 {
            let mut builder = h2::client::Builder::new();
            builder.enable_push(false).max_header_list_size(HEADER_LIMIT as u32);
            let greeting = async {
                let greeted = builder.handshake(stream).await;
                greeted.map_err(|error| Broken::Http2(error).in_head(0))
            };
            let (sender, connection) = attempt.step(Phase::Write, greeting).await?;
            (Sender::Http2(sender), Mover::new(connection))
        } else {
            let mut builder = http1::Builder::new();
            // Names have no case, but keepalived, curl and browsers write them so, and not every server of
            // somebody's own knows.
            builder.max_buf_size(HEADER_LIMIT).title_case_headers(true);
            let greeted = builder.handshake(TokioIo::new(stream)).await;
            let (sender, connection) = greeted.map_err(|error| Broken::Http1(error).in_head(0))?;
            (Sender::Http1(sender), Mover::new(connection))
        };
        Ok(Self { sender, mover, progress, certificate })
    }

    /// What the server presented when the session was made.
    pub(in crate::checkers) const fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// Sends a request, and waits for the header of the answer.
    async fn request(
        &mut self,
        attempt: &mut Attempt,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Body>, Unanswered> {
        let Self { sender, mover, progress, .. } = self;
        let (read, flushed) = (progress.read(), progress.flushed());
        progress.limit(Some(PREFACE_LIMIT));
        let mut sending = pin!(sender.send(request));
        let writing = poll_fn(|context| match mover.poll_beside(sending.as_mut(), context) {
            Poll::Ready(answer) => Poll::Ready(Ok::<_, CheckError>(Some(answer))),
            Poll::Pending if progress.flushed() > flushed => Poll::Ready(Ok(None)),
            Poll::Pending => Poll::Pending,
        });
        let early = attempt.step(Phase::Write, writing).await;
        let answer = match early {
            Ok(None) => {
                let waiting = poll_fn(|context| {
                    mover.poll_beside(sending.as_mut(), context).map(Ok::<_, CheckError>)
                });
                attempt.step(Phase::Response, waiting).await.map(Some)
            }
            answer => answer,
        };
        progress.limit(None);
        match answer {
            Ok(Some(Ok(answer))) => Ok(answer),
            Ok(Some(Err(_))) if progress.read() - read > PREFACE_LIMIT => {
                let error = CheckError::HeaderTooLarge { limit: HEADER_LIMIT };
                Err(Unanswered { error, was_dead: false })
            }
            Ok(Some(Err(broken))) => {
                let received = progress.read() - read;
                // Before the request was out, nothing that came can be the answer to it.
                let was_dead =
                    received == 0 || progress.flushed() == flushed || broken.is_refused();
                Err(Unanswered { error: broken.in_head(received), was_dead })
            }
            Ok(None) => Err(Unanswered { error: CheckError::Closed, was_dead: true }),
            Err(error) => Err(Unanswered { error, was_dead: false }),
        }
    }

    /// Reads a body, piece by piece, to its end or until `take` breaks; answers what may follow it.
    pub(in crate::checkers) async fn read(
        &mut self,
        attempt: &mut Attempt,
        body: &mut Body,
        mut take: impl FnMut(&Bytes) -> Result<ControlFlow<()>, CheckError>,
    ) -> Result<Option<HeaderMap>, CheckError> {
        let mut reading = pin!(body.read(&mut take));
        let moved = poll_fn(|context| self.mover.poll_beside(reading.as_mut(), context));
        attempt.step(Phase::Body, moved).await
    }

    /// Takes the piece of a body that is there already, if one is.
    pub(in crate::checkers) async fn glance(
        &mut self,
        body: &mut Body,
        mut take: impl FnMut(&Bytes) -> Result<ControlFlow<()>, CheckError>,
    ) {
        let mut reading = pin!(body.read(&mut take));
        poll_fn(|context| {
            let _ = self.mover.poll_beside(reading.as_mut(), context);
            Poll::Ready(())
        })
        .await;
    }

    /// Whether another request can go over this connection, now that a body was read to its end.
    pub(in crate::checkers) async fn is_reusable(&mut self) -> bool {
        let Self { sender, mover, .. } = self;
        match sender {
            Sender::Http1(sender) => {
                if !sender.is_ready() {
                    poll_fn(|context| {
                        mover.poll(context);
                        Poll::Ready(())
                    })
                    .await;
                }
                sender.is_ready()
            }
            Sender::Http2(_) => true,
        }
    }
}

impl Sender {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Body>, Broken> {
        match self {
            Self::Http1(sender) => {
                let answer = sender.send_request(request).await.map_err(Broken::Http1)?;
                Ok(answer.map(Body::Http1))
            }
            Self::Http2(sender) => {
                // One request at a time: its stream is free as soon as the settings are known.
                let mut sender = sender.clone().ready().await.map_err(Broken::Http2)?;
                let (head, body) = request.into_parts();
                let body = body.collect().await.map_err(|never| match never {})?.to_bytes();
                let request = Request::from_parts(head, ());
                let sent = sender.send_request(request, body.is_empty());
                let (answer, mut sending) = sent.map_err(Broken::Http2)?;
                if !body.is_empty() {
                    sending.send_data(body, true).map_err(Broken::Http2)?;
                }
                Ok(answer.await.map_err(Broken::Http2)?.map(Body::Http2))
            }
        }
    }
}

impl Body {
    async fn read(
        &mut self,
        take: &mut impl FnMut(&Bytes) -> Result<ControlFlow<()>, CheckError>,
    ) -> Result<Option<HeaderMap>, CheckError> {
        let mut received = 0;
        match self {
            Self::Http1(body) => {
                while let Some(frame) = body.frame().await {
                    let frame = frame.map_err(|error| Broken::Http1(error).in_body(received))?;
                    if let Ok(piece) = frame.into_data() {
                        received += piece.len();
                        if take(&piece)?.is_break() {
                            return Ok(None);
                        }
                    }
                }
                Ok(None)
            }
            Self::Http2(body) => {
                while let Some(piece) = body.data().await {
                    let piece = piece.map_err(|error| Broken::Http2(error).in_body(received))?;
                    received += piece.len();
                    // It fails only for what was released already.
                    let _ = body.flow_control().release_capacity(piece.len());
                    if take(&piece)?.is_break() {
                        return Ok(None);
                    }
                }
                let trailers = body.trailers().await;
                trailers.map_err(|error| Broken::Http2(error).in_body(received))
            }
        }
    }
}
