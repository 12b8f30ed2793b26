//! Checkers for common protocols, one feature each.
//!
//! | feature | checker | passes when | keepalived's name |
//! |---|---|---|---|
//! | `tcp` | [`Tcp`] | a connection can be made | `TCP_CHECK` |
//! | `tls` | [`Handshake`] | a TLS session can be made, and the certificate is in order | |
//! | `dns` | [`Dns`] | a name server answers, as expected | `DNS_CHECK` |
//! | `file` | [`File`] | the number in a file is 0, or gives a weight | `FILE_CHECK` |
//! | `grpc` | [`Grpc`] | a gRPC service says that it is serving | |
//! | `http` | [`Http`] | pages come with the expected status, headers and body | `HTTP_GET` |
//! | `http`, `tls` | [`Http`] | the same over TLS, and the certificate is in order | `SSL_GET` |
//! | `agent` | [`Agent`] | an agent beside the backend does not say that it is down | |
//! | `ldap` | [`Ldap`] | the directory lets a user in, and has an entry | |
//! | `mysql` | [`Mysql`] | the server lets a user in, answers, and can be written to | |
//! | `ping` | [`Ping`] | an ICMP echo request is answered | `PING_CHECK` |
//! | `postgres` | [`Postgres`] | the server lets a user in, answers, and can be written to | |
//! | `redis` | [`Redis`] | the server answers, in the right role | |
//! | `send-expect` | [`SendExpect`] | the server says what it should, step by step | |
//! | `smtp` | [`Smtp`] | a mail server greets and says hello, in clear or secured | `SMTP_CHECK` |
//! | `script` | [`Script`] | the program exits with 0, or a weight | `MISC_CHECK` |
//! | `udp` | [`Udp`] | a datagram is answered as expected | `UDP_CHECK` |
//! | `worker` | [`Worker`] | a long-lived program says so | |
//!
//! All keep one deadline over the whole run, and leave nothing behind when they are dropped.

#[cfg(feature = "agent")]
mod agent;
#[cfg(any(feature = "file", feature = "ping", feature = "tcp", feature = "udp"))]
mod connection;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod database;
#[cfg(feature = "dns")]
mod dns;
#[cfg(feature = "file")]
mod file;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "tls")]
mod handshake;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "ldap")]
mod ldap;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(any(feature = "http", feature = "send-expect"))]
#[allow(dead_code, reason = "each checker uses its own part")]
mod pattern;
#[cfg(feature = "ping")]
mod ping;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "script", feature = "worker"))]
#[allow(dead_code, reason = "each checker uses its own part")]
mod process;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "script")]
mod script;
#[cfg(feature = "script")]
mod script_slots;
#[cfg(feature = "send-expect")]
mod send_expect;
#[cfg(any(
    feature = "file",
    feature = "ping",
    feature = "tcp",
    feature = "udp",
    feature = "worker"
))]
mod service;
#[cfg(feature = "smtp")]
mod smtp;
#[cfg(feature = "tcp")]
mod tcp;
#[cfg(feature = "udp")]
mod udp;
#[cfg(feature = "worker")]
mod worker;

#[cfg(feature = "agent")]
pub use agent::Agent;
#[cfg(any(feature = "ping", feature = "tcp", feature = "udp"))]
pub use connection::origin::Origin;
#[cfg(feature = "tls")]
pub use connection::tls::{Tls, TlsError};
#[cfg(feature = "dns")]
pub use dns::{Dns, DnsError, DnsReply};
#[cfg(feature = "file")]
pub use file::File;
#[cfg(all(feature = "file", target_os = "linux"))]
pub use file::{FileChanges, FileWatch};
#[cfg(feature = "grpc")]
pub use grpc::{Grpc, HealthFrameError, ServingStatus};
#[cfg(feature = "tls")]
pub use handshake::Handshake;
#[cfg(feature = "http")]
pub use http::{Http, HttpError, HttpVersion, Page};
#[cfg(feature = "ldap")]
pub use ldap::Ldap;
#[cfg(feature = "mysql")]
pub use mysql::Mysql;
#[cfg(any(feature = "http", feature = "send-expect"))]
pub use pattern::{Pattern, PatternError};
#[cfg(feature = "ping")]
pub use ping::{Echo, EchoError, EchoFamily, Ping};
#[cfg(feature = "postgres")]
pub use postgres::Postgres;
#[cfg(any(feature = "script", feature = "worker"))]
pub use process::Credentials;
#[cfg(feature = "redis")]
pub use redis::{Redis, RedisRole};
#[cfg(feature = "script")]
pub use script::Script;
#[cfg(feature = "script")]
pub use script_slots::ScriptSlots;
#[cfg(feature = "send-expect")]
pub use send_expect::SendExpect;
#[cfg(feature = "smtp")]
pub use smtp::{Smtp, SmtpNameError};
#[cfg(feature = "tcp")]
pub use tcp::Tcp;
#[cfg(feature = "udp")]
pub use udp::{Nibbles, ParseNibblesError, Udp};
#[cfg(feature = "worker")]
pub use worker::{Worker, Workers};

/// When a run that starts now and may take `timeout` must be over.
#[cfg(any(
    feature = "file",
    feature = "ping",
    feature = "script",
    feature = "tcp",
    feature = "udp",
    feature = "worker"
))]
#[expect(clippy::disallowed_methods, reason = "a checker is a driver of its own")]
fn deadline_after(timeout: std::time::Duration) -> tokio::time::Instant {
    let now = tokio::time::Instant::now();
    now.checked_add(timeout).unwrap_or(now + crate::CheckSpec::LONGEST)
}
