//! One call to an API over HTTP, with a connection of its own.

use std::io;
use std::time::{Duration, SystemTime};

use http::header::{HOST, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lb_health::checkers::Tls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// An answer that is longer is none to a question about an address.
const LONGEST_ANSWER: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum CallError {
    /// The name of the host stands for no address.
    #[error("cannot resolve {host}: {source}")]
    Resolve { host: String, source: io::Error },
    /// Nobody can be reached there.
    #[error("cannot connect to {host}: {source}")]
    Connect { host: String, source: io::Error },
    /// The server is not to be trusted, or does not speak TLS.
    #[error("no TLS with {host}: {source}")]
    Tls { host: String, source: io::Error },
    /// It does not speak HTTP, or hung up.
    #[error("no answer: {0}")]
    Http(#[from] hyper::Error),
    /// The answer is broken, or too long.
    #[error("the answer cannot be read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("no answer in {} ms", .0.as_millis())]
    Timeout(Duration),
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    /// For how long the server does not want to be asked again.
    pub(super) patience: Option<Duration>,
}

/// Asks, and waits for the whole answer no longer than `limit`.
///
/// # Errors
/// [`CallError`].
pub(super) async fn ask(
    request: Request<Full<Bytes>>,
    tls: Option<&Tls>,
    limit: Duration,
) -> Result<Answer, CallError> {
    let asked = timeout(limit, connect_and_ask(request, tls)).await;
    asked.unwrap_or(Err(CallError::Timeout(limit)))
}

async fn connect_and_ask(
    request: Request<Full<Bytes>>,
    tls: Option<&Tls>,
) -> Result<Answer, CallError> {
    let host = host(request.uri());
    let stream = connect(request.uri(), &host).await?;
    let Some(tls) = tls else { return ask_over(request, stream).await };
    let failed = |source| CallError::Tls { host: host.clone(), source };
    let named = tls.clone().with_name(&host);
    let named = named.map_err(|error| failed(io::Error::other(error)))?;
    ask_over(request, named.connect(stream).await.map_err(failed)?).await
}

/// Without the brackets of IPv6.
fn host(uri: &Uri) -> String {
    let host = uri.host().unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}

/// To the first of its addresses that can be reached, in the order that the system gives them.
async fn connect(uri: &Uri, host: &str) -> Result<TcpStream, CallError> {
    let port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(port);
    let resolved = lookup_host((host, port)).await;
    let addresses =
        resolved.map_err(|source| CallError::Resolve { host: host.to_owned(), source })?;
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(CallError::Connect { host: host.to_owned(), source: failed })
}

async fn ask_over(
    mut request: Request<Full<Bytes>>,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Answer, CallError> {
    let authority = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let host = HeaderValue::from_str(&authority.unwrap_or_default());
    request.headers_mut().insert(HOST, host.unwrap_or_else(|_| HeaderValue::from_static("")));
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().unwrap_or_else(|_| Uri::from_static("/"));

    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Both ends live in this future, so that nothing is left when nobody waits for it any more.
    let answering = async {
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(CallError::Body)?;
        let patience = retry_after(&head.headers, SystemTime::now());
        Ok(Answer { status: head.status, body: body.to_bytes(), patience })
    };
    let mut connection = std::pin::pin!(connection);
    let mut answering = std::pin::pin!(answering);
    tokio::select! {
        biased;
        answer = &mut answering => return answer,
        ended = &mut connection => ended?,
    }
    answering.await
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(value).ok()?.duration_since(now).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_retry_after_are_read() {
        let after = |value: &'static str| {
            let headers = [(RETRY_AFTER, HeaderValue::from_static(value))].into_iter().collect();
            retry_after(&headers, SystemTime::UNIX_EPOCH)
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        let date = after("Thu, 01 Jan 1970 00:01:00 GMT");
        assert_eq!(date, Some(Duration::from_secs(60)));
        assert_eq!(after("soon"), None);
        assert_eq!(after("-1"), None);
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }

    #[test]
    fn hosts_are_without_brackets() {
        let host = |uri: &str| host(&uri.parse().unwrap_or_default());
        assert_eq!(host("https://api.example.org:8443/v2"), "api.example.org");
        assert_eq!(host("http://[2001:db8::1]/"), "2001:db8::1");
    }
}
