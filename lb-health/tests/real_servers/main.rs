//! The checkers against the servers that they are for, as Debian has them. Ignored, because these
//! must be installed. Each test starts its own, on a port and with data of its own.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

mod harness;
#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(all(feature = "smtp", feature = "tls"))]
mod postfix;
#[cfg(all(feature = "postgres", feature = "tls"))]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(all(feature = "ldap", feature = "tls"))]
mod slapd;
