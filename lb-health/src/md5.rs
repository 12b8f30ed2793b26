//! Which body of an answer is the expected one.

use std::fmt;
use std::str::FromStr;

/// An MD5 digest, as `keepalived --genhash` prints it: 32 hexadecimal digits.
///
/// It tells one page from another. It is no defence against somebody who forges pages.
///
/// ```
/// use lb_health::Md5;
///
/// let empty: Md5 = "d41d8cd98f00b204e9800998ecf8427e".parse()?;
/// assert_eq!(empty.to_string(), "d41d8cd98f00b204e9800998ecf8427e");
/// assert!("d41d8cd9".parse::<Md5>().is_err());
/// # Ok::<(), lb_health::ParseMd5Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Md5(pub [u8; 16]);

impl fmt::Display for Md5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Md5 {
    type Err = ParseMd5Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseMd5Error { text: text.into() };
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused());
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| refused())?;
        Ok(Self(number.to_be_bytes()))
    }
}

/// A text is not an MD5 digest.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an MD5 digest is 32 hexadecimal digits, not {text:?}")]
pub struct ParseMd5Error {
    text: String,
}
