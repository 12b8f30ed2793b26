//! Which body of an answer is the expected one, by a digest that nobody forges.

use std::fmt;
use std::str::FromStr;

/// A SHA-256 digest, as `sha256sum` prints it: 64 hexadecimal digits.
///
/// ```
/// use lb_health::Sha256;
///
/// let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// let empty: Sha256 = text.parse()?;
/// assert_eq!(empty.to_string(), text);
/// assert!("e3b0c442".parse::<Sha256>().is_err());
/// # Ok::<(), lb_health::ParseSha256Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Sha256(pub [u8; 32]);

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Sha256 {
    type Err = ParseSha256Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseSha256Error { text: text.into() };
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused());
        }
        let mut digest = [0; 32];
        for (byte, digits) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = str::from_utf8(digits).map_err(|_| refused())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| refused())?;
        }
        Ok(Self(digest))
    }
}

/// A text is not a SHA-256 digest.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a SHA-256 digest is 64 hexadecimal digits, not {text:?}")]
pub struct ParseSha256Error {
    text: String,
}
