//! Checkers for common protocols, one feature each.
//!
//! | feature | checker | passes when | keepalived's name |
//! |---|---|---|---|
//! | `tcp` | [`Tcp`] | a connection can be made | `TCP_CHECK` |
//! | `tls` | [`Handshake`] | a TLS session can be made, and the certificate is in order | |
//! | `http` | [`Http`] | pages come with the expected status, headers and body | `HTTP_GET` |
//! | `http`, `tls` | [`Http`] | the same over TLS, and the certificate is in order | `SSL_GET` |
//! | `mysql` | [`Mysql`] | the server lets a user in, answers, and can be written to | |
//! | `postgres` | [`Postgres`] | the server lets a user in, answers, and can be written to | |
//! | `redis` | [`Redis`] | the server answers, in the right role | |
//! | `send-expect` | [`SendExpect`] | the server says what it should, step by step | |
//! | `smtp` | [`Smtp`] | a mail server greets and says hello, in clear or secured | `SMTP_CHECK` |
//! | `script` | [`Script`] | the program exits with 0, or a weight | `MISC_CHECK` |
//!
//! All keep one deadline over the whole run, and leave nothing behind when they are dropped.

#[cfg(feature = "tcp")]
mod attempt;
#[cfg(feature = "tcp")]
#[allow(dead_code, reason = "each checker uses its own part")]
mod conversation;
#[cfg(feature = "send-expect")]
mod expect;
#[cfg(feature = "tls")]
mod handshake;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "http")]
mod pattern;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "script")]
mod process;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "script")]
mod script;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis"))]
mod secret;
#[cfg(feature = "send-expect")]
mod send_expect;
#[cfg(feature = "smtp")]
mod smtp;
#[cfg(feature = "tcp")]
mod stream;
#[cfg(feature = "tcp")]
mod tcp;
#[cfg(feature = "tls")]
mod tls;
#[cfg(any(
    feature = "mysql",
    feature = "postgres",
    feature = "redis",
    feature = "send-expect",
    feature = "smtp"
))]
#[allow(dead_code, reason = "each checker uses its own part")]
mod transport;

#[cfg(feature = "send-expect")]
pub use expect::{Expect, ExpectError};
#[cfg(feature = "tls")]
pub use handshake::Handshake;
#[cfg(feature = "http")]
pub use http::{Http, HttpError, HttpVersion, Page};
#[cfg(feature = "mysql")]
pub use mysql::Mysql;
#[cfg(feature = "http")]
pub use pattern::{Pattern, PatternError};
#[cfg(feature = "postgres")]
pub use postgres::Postgres;
#[cfg(feature = "redis")]
pub use redis::{Redis, RedisRole};
#[cfg(feature = "script")]
pub use script::{Script, ScriptSlots};
#[cfg(feature = "send-expect")]
pub use send_expect::SendExpect;
#[cfg(feature = "smtp")]
pub use smtp::{Smtp, SmtpNameError};
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
