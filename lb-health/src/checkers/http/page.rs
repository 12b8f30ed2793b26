//! What is asked for, and what is expected in answer.

use std::sync::Arc;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header};
use http_body_util::Full;

use super::HttpError;
use crate::checkers::Pattern;
use crate::digest::Digest;
use crate::status_ranges::StatusRanges;
use crate::{CheckError, Target};

/// One request, and what holds of a good answer to it: everything that is named, all at once.
///
/// ```
/// use lb_health::checkers::{Http, Page, Pattern};
/// use lb_health::digest::Digest;
///
/// let alive = "dc51b8c96c2d745df3bd5590d990230a482fd247123599548e0632fdbf97fc22";
/// let login = Page::new("/login")?
///     .with_method("POST")?
///     .with_header("content-type", "application/x-www-form-urlencoded")?
///     .with_body("user=probe")
///     .with_statuses("200,303".parse()?)
///     .expecting_header("server", Pattern::regex("^nginx")?)?
///     .refusing_body(Pattern::text("maintenance")?);
/// let health = Page::new("/health")?.with_digest(Digest::sha256(alive)?);
/// let checker = Http::asking([login, health]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Page {
    path: PathAndQuery,
    method: Method,
    host: Option<(Authority, HeaderValue)>,
    headers: HeaderMap,
    body: Bytes,
    pub(super) statuses: StatusRanges,
    drain_statuses: Option<StatusRanges>,
    expected_headers: Vec<(HeaderName, Rule)>,
    pub(super) expected_body: Vec<Rule>,
    pub(super) digest: Option<Digest>,
    pub(super) body_limit: usize,
}

/// What must be found, or must not.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) pattern: Pattern,
    pub(super) wanted: bool,
}

impl Page {
    /// How much of a body is read by default: 1 MiB.
    pub const BODY_LIMIT: usize = 1024 * 1024;

    /// The headers that the checker writes itself, so that requests stay well-formed.
    const OWN_HEADERS: [HeaderName; 7] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::EXPECT,
        header::HOST,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];

    /// A `GET` of `path`, query included, that passes with any status from 200 to 299.
    ///
    /// # Errors
    /// If it does not begin with a slash or holds what a path may not.
    pub fn new(path: &str) -> Result<Self, HttpError> {
        let refused = || HttpError::Path { path: path.into() };
        if !path.starts_with('/') {
            return Err(refused());
        }
        Ok(Self {
            path: path.parse().map_err(|_| refused())?,
            method: Method::GET,
            host: None,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            statuses: StatusRanges::default(),
            drain_statuses: None,
            expected_headers: Vec::new(),
            expected_body: Vec::new(),
            digest: None,
            body_limit: Self::BODY_LIMIT,
        })
    }

    /// Answers of such a status pass while the target is up, whatever else they say, and ask for no new
    /// clients ([`Advice::drains`](crate::advice::Advice::drains)): HAProxy's `disable-on-404`. A target that
    /// is not up is not brought up by them ([`Report::unless_up`](crate::Report::unless_up)), unless they are
    /// what is [expected](Self::with_statuses) otherwise. Default: none.
    #[must_use]
    pub fn with_drain_statuses(self, statuses: StatusRanges) -> Self {
        Self { drain_statuses: Some(statuses), ..self }
    }

    /// The method. Default: `GET`.
    ///
    /// # Errors
    /// If it holds what a method may not, or is `CONNECT`, which asks for no page.
    pub fn with_method(self, method: &str) -> Result<Self, HttpError> {
        let parsed = Method::from_bytes(method.as_bytes()).ok();
        let parsed = parsed.filter(|method| *method != Method::CONNECT);
        let method = parsed.ok_or_else(|| HttpError::Method { method: method.into() })?;
        Ok(Self { method, ..self })
    }

    /// The name of the site. Default: the target's address and port, as keepalived does.
    ///
    /// # Errors
    /// If it is no host, with or without a port.
    pub fn with_host(mut self, host: &str) -> Result<Self, HttpError> {
        let parsed = host.parse().ok().zip(HeaderValue::from_str(host).ok());
        self.host = Some(parsed.ok_or_else(|| HttpError::Host { host: host.into() })?);
        Ok(self)
    }

    /// Sends this header too. Default: `user-agent: lb-health` and `accept: */*`, unless they are
    /// given.
    ///
    /// # Errors
    /// If name or value hold what they may not, or the header is for the checker to write.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, HttpError> {
        let parsed = name.parse().ok().zip(HeaderValue::from_str(value).ok());
        let (name, value) = parsed
            .filter(|(name, _)| !Self::OWN_HEADERS.contains(name))
            .ok_or_else(|| HttpError::Header { name: name.into(), value: value.into() })?;
        self.headers.append(name, value);
        Ok(self)
    }

    /// Sends this body. Default: none.
    #[must_use]
    pub fn with_body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into().into(), ..self }
    }

    /// The statuses that pass. Default: 200 to 299.
    #[must_use]
    pub fn with_statuses(self, statuses: StatusRanges) -> Self {
        Self { statuses, ..self }
    }

    /// The answer must have this header, with a value in which the pattern is found.
    ///
    /// # Errors
    /// If that is no name of a header.
    pub fn expecting_header(self, name: &str, pattern: Pattern) -> Result<Self, HttpError> {
        self.with_header_rule(name, Rule { pattern, wanted: true })
    }

    /// No header of this name in the answer may have a value in which the pattern is found.
    ///
    /// # Errors
    /// If that is no name of a header.
    pub fn refusing_header(self, name: &str, pattern: Pattern) -> Result<Self, HttpError> {
        self.with_header_rule(name, Rule { pattern, wanted: false })
    }

    /// The pattern must be found in the body.
    #[must_use]
    pub fn expecting_body(mut self, pattern: Pattern) -> Self {
        self.expected_body.push(Rule { pattern, wanted: true });
        self
    }

    /// The pattern must not be found in the body.
    #[must_use]
    pub fn refusing_body(mut self, pattern: Pattern) -> Self {
        self.expected_body.push(Rule { pattern, wanted: false });
        self
    }

    /// The digest that the body must have. Default: any body passes.
    #[must_use]
    pub fn with_digest(self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self }
    }

    /// How much of a body is read, in bytes. Where something is expected of it, a longer one fails; where
    /// nothing is, it passes by its header, and the connection ends. Default: [`Self::BODY_LIMIT`].
    #[must_use]
    pub fn with_body_limit(self, body_limit: usize) -> Self {
        Self { body_limit, ..self }
    }

    /// What is asked for, query included.
    pub(super) fn path(&self) -> &str {
        self.path.as_str()
    }

    /// The name of the site without the port.
    pub(super) fn site(&self) -> Option<&str> {
        let (authority, _) = self.host.as_ref()?;
        Some(authority.host().trim_matches(['[', ']']))
    }

    /// The request, which is the last over its connection unless that is to be kept.
    pub(super) fn request(
        &self,
        target: Target,
        version: Version,
        scheme: Scheme,
        keep: bool,
    ) -> Result<Request<Full<Bytes>>, CheckError> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.version_mut() = version;
        let headers = request.headers_mut();
        headers.reserve(4 + self.headers.len());
        if version == Version::HTTP_2 {
            let authority = match &self.host {
                Some((authority, _)) => authority.clone(),
                None => target.address.to_string().parse().map_err(CheckError::protocol)?,
            };
            let uri = Uri::builder().scheme(scheme).authority(authority);
            let uri = uri.path_and_query(self.path.clone()).build();
            *request.uri_mut() = uri.map_err(CheckError::protocol)?;
        } else {
            *request.uri_mut() = self.path.clone().into();
            let host = match &self.host {
                Some((_, host)) => host.clone(),
                None => target.address.to_string().try_into().map_err(CheckError::protocol)?,
            };
            request.headers_mut().insert(header::HOST, host);
        }
        let headers = request.headers_mut();
        for (name, value) in [(header::USER_AGENT, "lb-health"), (header::ACCEPT, "*/*")] {
            if !self.headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        // Each version has one way to say what is not its habit (RFC 9112, 9.3); HTTP/2 has none.
        match version {
            Version::HTTP_10 if keep => Some("keep-alive"),
            Version::HTTP_11 if !keep => Some("close"),
            _ => None,
        }
        .map(|said| headers.insert(header::CONNECTION, HeaderValue::from_static(said)));
        Ok(request)
    }

    /// Whether the body decides.
    pub(super) fn expects_body(&self) -> bool {
        self.digest.is_some() || !self.expected_body.is_empty()
    }

    /// Whether an answer of this status asks for no new clients, whatever else it says.
    pub(super) fn drains(&self, status: u16) -> bool {
        self.drain_statuses.as_ref().is_some_and(|statuses| statuses.contains(status))
    }

    /// Holds the header of an answer against what is expected.
    pub(super) fn judge(&self, answer: &http::response::Parts) -> Result<(), CheckError> {
        let got = answer.status.as_u16();
        if !self.statuses.contains(got) {
            return Err(CheckError::Status { got, wanted: self.statuses.clone() });
        }
        for (name, Rule { pattern, wanted }) in &self.expected_headers {
            let values = answer.headers.get_all(name);
            if values.iter().any(|value| pattern.is_found_in(value)) != *wanted {
                let what: Arc<str> = if *wanted {
                    format!("has no {name} with {pattern}").into()
                } else {
                    format!("has a {name} with {pattern}").into()
                };
                return Err(CheckError::Header { what });
            }
        }
        Ok(())
    }

    fn with_header_rule(mut self, name: &str, rule: Rule) -> Result<Self, HttpError> {
        let parsed = name.parse();
        let refused = || HttpError::Header { name: name.into(), value: String::new() };
        self.expected_headers.push((parsed.map_err(|_| refused())?, rule));
        Ok(self)
    }
}
