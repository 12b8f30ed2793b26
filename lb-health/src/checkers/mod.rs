//! Checkers for common protocols, one feature each.
//!
//! | feature | checker | passes when | keepalived's name |
//! |---|---|---|---|
//! | `tcp` | [`Tcp`] | a connection can be made | `TCP_CHECK` |
//! | `tls` | [`Handshake`] | a TLS session can be made, and the certificate is in order | |
//! | `dns` | [`Dns`] | a name server answers, as expected | `DNS_CHECK` |
//! | `grpc` | [`Grpc`] | a gRPC service says that it is serving | |
//! | `http` | [`Http`] | pages come with the expected status, headers and body | `HTTP_GET` |
//! | `http`, `tls` | [`Http`] | the same over TLS, and the certificate is in order | `SSL_GET` |
//! | `script` | [`Script`] | the program exits with 0, or a weight | `MISC_CHECK` |
//!
//! All keep one deadline over the whole run, and leave nothing behind when they are dropped.

#[cfg(feature = "tcp")]
mod attempt;
#[cfg(feature = "tcp")]
mod conversation;
#[cfg(feature = "dns")]
mod datagram;
#[cfg(feature = "dns")]
mod dns;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "tls")]
mod handshake;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod pattern;
#[cfg(feature = "script")]
mod process;
#[cfg(feature = "script")]
mod script;
#[cfg(feature = "tcp")]
mod stream;
#[cfg(feature = "tcp")]
mod tcp;
#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "dns")]
pub use dns::{Dns, DnsError, DnsReply};
#[cfg(feature = "grpc")]
pub use grpc::{Grpc, HealthFrameError, ServingStatus};
#[cfg(feature = "tls")]
pub use handshake::Handshake;
#[cfg(feature = "http")]
pub use http::{Http, HttpError, HttpVersion, Page};
#[cfg(feature = "http")]
pub use pattern::{Pattern, PatternError};
#[cfg(feature = "script")]
pub use script::{Script, ScriptSlots};
#[cfg(feature = "tcp")]
pub use tcp::Tcp;
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};

/// When a run that starts now and may take `timeout` must be over.
#[cfg(any(feature = "script", feature = "tcp"))]
#[expect(clippy::disallowed_methods, reason = "a checker is a driver of its own")]
fn deadline_after(timeout: std::time::Duration) -> tokio::time::Instant {
    let now = tokio::time::Instant::now();
    now.checked_add(timeout).unwrap_or(now + crate::CheckSpec::LONGEST)
}
