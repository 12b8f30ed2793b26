//! The checkers against the servers that they are for, as Debian has them. Ignored, because these
//! must be installed. Each test starts its own, on a port and with data of its own.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

#[path = "../support/mod.rs"]
mod support;

mod harness;
#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(all(feature = "http", feature = "tls"))]
mod nginx;
#[cfg(all(feature = "send-expect", feature = "tls"))]
mod openssl;
#[cfg(all(feature = "smtp", feature = "tls"))]
mod postfix;
#[cfg(all(feature = "postgres", feature = "tls"))]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(all(feature = "ldap", feature = "tls"))]
mod slapd;
#[cfg(feature = "dns")]
mod unbound;
