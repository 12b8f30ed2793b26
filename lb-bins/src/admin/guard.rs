//! Keeps web pages out: a browser on this host can reach the loopback address too.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Uri};

use super::Via;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Suspicion {
    /// A page of another site sent it (cross-site request forgery).
    #[error("requests from web pages (with an Origin header) may not give orders")]
    FromAPage,
    /// A name was made to point here (DNS rebinding): nobody administers by a foreign name.
    #[error("this host must be named by its address or as localhost")]
    ForeignName,
}

/// Whether a request may give orders. No page reaches a socket in the file system.
pub(crate) fn check(via: Via, uri: &Uri, headers: &HeaderMap) -> Result<(), Suspicion> {
    if via == Via::Socket {
        return Ok(());
    }
    if headers.contains_key(ORIGIN) {
        return Err(Suspicion::FromAPage);
    }
    check_name(uri, headers)
}

/// Whether a request may be told something. Browsers always say whom they ask; who does not, as monitors
/// that speak HTTP/1.0, comes from no page.
pub(crate) fn check_reader(uri: &Uri, headers: &HeaderMap) -> Result<(), Suspicion> {
    match (uri.authority(), headers.get(HOST)) {
        (None, None) => Ok(()),
        _ => check_name(uri, headers),
    }
}

/// Whether a request names this host as only somebody who means it does.
fn check_name(uri: &Uri, headers: &HeaderMap) -> Result<(), Suspicion> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = uri.authority().cloned().or_else(|| host?.parse().ok());
    let host = authority.as_ref().map_or("", |authority| authority.host());
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok() {
        Ok(())
    } else {
        Err(Suspicion::ForeignName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(headers: &[(http::HeaderName, &str)]) -> Result<(), Suspicion> {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let address = Via::Address(([127, 0, 0, 1], 9900).into());
        check(address, &Uri::from_static("/virtual_servers/x"), &headers)
    }

    #[test]
    fn only_plain_clients_that_name_this_host_give_orders() {
        for host in ["127.0.0.1:9900", "localhost:9900", "LOCALHOST", "[::1]:9900", "10.0.0.1"] {
            assert_eq!(from(&[(HOST, host)]), Ok(()), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example:80"] {
            assert_eq!(from(&[(HOST, host)]), Err(Suspicion::ForeignName), "{host}");
        }
        let page = [(HOST, "127.0.0.1"), (ORIGIN, "null")];
        assert_eq!(from(&page), Err(Suspicion::FromAPage));
    }

    #[test]
    fn who_names_nobody_is_told_but_not_obeyed() {
        let read = |uri, host: Option<&str>| {
            let host = host.map(|host| (HOST, host.parse().unwrap()));
            check_reader(&Uri::from_static(uri), &host.into_iter().collect())
        };
        assert_eq!(read("/healthz", None), Ok(()));
        assert_eq!(read("/healthz", Some("localhost")), Ok(()));
        let foreign = Err(Suspicion::ForeignName);
        assert_eq!(read("/healthz", Some("")), foreign);
        assert_eq!(read("/healthz", Some("evil.example")), foreign);
        assert_eq!(read("http://evil.example/healthz", None), foreign);
        assert_eq!(from(&[]), foreign);
    }
}
