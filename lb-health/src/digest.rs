//! Which body of an answer is the expected one.

use std::fmt;

use crate::{Md5, Sha256};

/// The digest that tells the expected body from all others.
///
/// ```
/// use lb_health::{Digest, Md5};
///
/// let empty: Md5 = "d41d8cd98f00b204e9800998ecf8427e".parse()?;
/// assert_eq!(Digest::from(empty).to_string(), "md5 d41d8cd98f00b204e9800998ecf8427e");
/// # Ok::<(), lb_health::ParseMd5Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Digest {
    /// As keepalived has it.
    Md5(Md5),
    /// One that nobody forges.
    Sha256(Sha256),
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Md5(digest) => write!(f, "md5 {digest}"),
            Self::Sha256(digest) => write!(f, "sha256 {digest}"),
        }
    }
}

impl From<Md5> for Digest {
    fn from(digest: Md5) -> Self {
        Self::Md5(digest)
    }
}

impl From<Sha256> for Digest {
    fn from(digest: Sha256) -> Self {
        Self::Sha256(digest)
    }
}
