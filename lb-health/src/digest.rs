//! Which body of an answer is the expected one.

use std::fmt;

/// The digest that tells the expected body from all others.
///
/// ```
/// use lb_health::digest::Digest;
///
/// let empty = Digest::md5("d41d8cd98f00b204e9800998ecf8427e")?;
/// assert_eq!(empty.to_string(), "md5 d41d8cd98f00b204e9800998ecf8427e");
/// assert_eq!(empty.digits(), "d41d8cd98f00b204e9800998ecf8427e");
/// let refused = Digest::sha256("e3b0c442").unwrap_err();
/// assert_eq!(refused.to_string(), "a digest of 64 hexadecimal digits is wanted, not \"e3b0c442\"");
/// # Ok::<(), lb_health::digest::ParseDigestError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Digest {
    /// As keepalived has it (RFC 1321). It tells one page from another, and is no defence against
    /// somebody who forges pages.
    Md5([u8; 16]),
    /// One that nobody forges (FIPS 180-4).
    Sha256([u8; 32]),
}

impl Digest {
    /// Reads an MD5 digest as `keepalived --genhash` prints it: 32 hexadecimal digits.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn md5(digits: &str) -> Result<Self, ParseDigestError> {
        bytes(digits).map(Self::Md5)
    }

    /// Reads a SHA-256 digest as `sha256sum` prints it: 64 hexadecimal digits.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn sha256(digits: &str) -> Result<Self, ParseDigestError> {
        bytes(digits).map(Self::Sha256)
    }

    /// The algorithm: `md5` or `sha256`.
    pub const fn algorithm(self) -> &'static str {
        match self {
            Self::Md5(_) => "md5",
            Self::Sha256(_) => "sha256",
        }
    }

    /// The hexadecimal digits, in lower case.
    pub fn digits(self) -> String {
        let bytes: &[u8] = match &self {
            Self::Md5(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        };
        hex(bytes)
    }
}

/// Bytes as hexadecimal digits, in lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm(), self.digits())
    }
}

/// A text is not a digest of the kind that is wanted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a digest of {digits} hexadecimal digits is wanted, not {text:?}")]
#[non_exhaustive]
pub struct ParseDigestError {
    /// The hexadecimal digits that it would have.
    pub digits: usize,
    /// What was given.
    pub text: String,
}

fn bytes<const LENGTH: usize>(text: &str) -> Result<[u8; LENGTH], ParseDigestError> {
    let refused = || ParseDigestError { digits: 2 * LENGTH, text: text.to_owned() };
    let mut values = text.chars().map(|digit| digit.to_digit(16).ok_or_else(refused));
    let mut next = || values.next().unwrap_or_else(|| Err(refused()));
    let mut bytes = [0; LENGTH];
    for byte in &mut bytes {
        *byte = (next()? << 4 | next()?) as u8;
    }
    match values.next() {
        None => Ok(bytes),
        Some(_) => Err(refused()),
    }
}
