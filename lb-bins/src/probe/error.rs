//! Why nothing was probed.

use std::net::IpAddr;
use std::{fmt, io};

use crate::checkers::CheckConfigError;
use crate::config::{Address, ConfigErrors};

/// Why nothing was probed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// What should be probed is no address.
    #[error("`{text}` is no address or name with a port{}", Help(text))]
    Address {
        /// What was given.
        text: String,
    },
    /// A check that cannot be built.
    #[error(transparent)]
    Check(#[from] CheckConfigError),
    /// With a configuration there is nothing to say but the address, without one there is.
    #[error("{0}")]
    Usage(&'static str),
    /// What is not in the configuration.
    #[error("there is no backend {address} in the configuration; there are: {known}")]
    UnknownBackend {
        /// What was asked for.
        address: Address,
        /// Those that there are.
        known: String,
    },
    /// A backend that nothing is to be known of.
    #[error("the backend {address} is not checked")]
    Unchecked {
        /// The backend.
        address: Address,
    },
    /// What is wrong with the words for a check.
    #[error("{}", Plainly(.0))]
    Words(#[from] ConfigErrors),
    /// There is no runtime to be had.
    #[error(transparent)]
    Runtime(#[from] io::Error),
    /// Only pages have one.
    #[error("--digest is for checks of type http and https")]
    NoPage,
}

/// What is missing, if it is the port.
struct Help<'a>(&'a str);

impl fmt::Display for Help<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        let host = text.trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(_)) => write!(f, ": write [{host}]:80"),
            Ok(IpAddr::V4(_)) => write!(f, ": write {host}:80"),
            Err(_) if !text.contains(':') => write!(f, ": write {text}:80"),
            Err(_) => f.write_str(", such as 192.0.2.1:80 or [2001:db8::1]:80"),
        }
    }
}

/// Without places: they would be in a text that nobody has written.
struct Plainly<'a>(&'a ConfigErrors);

impl fmt::Display for Plainly<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in self.0.mistakes() {
            writeln!(f, "--probe: {}: {}", mistake.severity(), mistake.message())?;
            if let Some(help) = mistake.help() {
                writeln!(f, "help: {help}")?;
            }
        }
        Ok(())
    }
}
