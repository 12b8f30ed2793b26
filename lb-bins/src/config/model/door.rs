//! Where a daemon is administered.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// An address and port, or the absolute path of a socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Door {
    /// For whoever reaches the address.
    Address(SocketAddr),
    /// For whoever may write to the file: its owner alone.
    Socket(PathBuf),
}

/// Neither an address and port nor an absolute path.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither an address and port, such as 127.0.0.1:9900, nor the absolute path of a socket")]
pub struct NotADoor;

impl FromStr for Door {
    type Err = NotADoor;

    fn from_str(text: &str) -> Result<Self, NotADoor> {
        match text.starts_with('/') {
            true => Ok(Self::Socket(PathBuf::from(text))),
            false => text.parse().map(Self::Address).map_err(|_| NotADoor),
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}
