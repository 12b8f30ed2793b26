//! Where a server is.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::zone::socket_address;

/// Where a server is: an address, or a name that stands for one, and a port.
///
/// Two are the same if they are written alike; names are in small letters, as the case of none matters
/// (RFC 4343).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Address {
    /// A name, which is resolved again and again.
    Named {
        /// The name.
        host: Arc<str>,
        /// The port.
        port: u16,
    },
    /// An address.
    Numeric(SocketAddr),
}

impl Address {
    /// The port.
    pub const fn port(&self) -> u16 {
        match self {
            Self::Named { port, .. } => *port,
            Self::Numeric(address) => address.port(),
        }
    }

    /// The same host at another port.
    #[must_use]
    pub fn with_port(&self, port: u16) -> Self {
        match self {
            Self::Named { host, .. } => Self::Named { host: Arc::clone(host), port },
            Self::Numeric(address) => {
                let mut address = *address;
                address.set_port(port);
                Self::Numeric(address)
            }
        }
    }

    /// The address, unless a name has to be resolved first.
    pub const fn numeric(&self) -> Option<SocketAddr> {
        match self {
            Self::Named { .. } => None,
            Self::Numeric(address) => Some(*address),
        }
    }

    /// The name, if it is one.
    pub const fn host(&self) -> Option<&Arc<str>> {
        match self {
            Self::Named { host, .. } => Some(host),
            Self::Numeric(_) => None,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Numeric(address)
    }
}

/// What is neither an address nor a name, with a port behind it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither an address nor a name, with a port")]
pub struct ParseAddressError;

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        if let Some(address) = socket_address(text) {
            return Ok(Self::Numeric(address));
        }
        let (host, port) = text.rsplit_once(':').ok_or(ParseAddressError)?;
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits).ok_or(ParseAddressError)?;
        if !is_host_name(host) {
            return Err(ParseAddressError);
        }
        Ok(Self::Named { host: host.to_ascii_lowercase().into(), port })
    }
}

/// Whether a text can be the name of a host: RFC 1123, 2.1, and underscores, which some have. What ends in
/// a number is a mistyped address.
pub(in crate::config) fn is_host_name(text: &str) -> bool {
    let labels = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = labels.rsplit('.').next().unwrap_or_default();
    labels.len() <= 253
        && labels.split('.').all(is_label)
        && !last.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<IpAddr>().is_err()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { host, port } => write!(f, "{host}:{port}"),
            Self::Numeric(address) => address.fmt(f),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_port_is_of_the_same_host() {
        for (text, other) in [("[fe80::1%7]:80", "[fe80::1%7]:81"), ("a.org:80", "a.org:81")] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.with_port(81).to_string(), other);
        }
    }

    #[test]
    fn names_are_told_from_mistyped_addresses() {
        for (text, shown) in [
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80"),
            ("DB.Example.org:3306", "db.example.org:3306"),
            ("db.example.org.:1", "db.example.org.:1"),
            ("localhost:80", "localhost:80"),
            ("my_host-1:80", "my_host-1:80"),
            ("1and1.de:80", "1and1.de:80"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
        for text in [
            "300.0.2.1:80",
            "192.0.2:80",
            "2001:db8::1:80",
            "db.example.org",
            ":80",
            "a..b:80",
            "-a:80",
            "a-:80",
            "a b:80",
            "a:",
            "a:+1",
            "a:65536",
            "a:x",
            "[a]:80",
            "",
            "ä.org:80",
        ] {
            assert_eq!(text.parse::<Address>(), Err(ParseAddressError), "{text}");
        }
        let long = format!("{}.org:80", "a".repeat(64));
        assert!(long.parse::<Address>().is_err());
    }
}
