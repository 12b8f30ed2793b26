//! Patterns that answers are held against.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use regex::bytes::{Regex, RegexBuilder};

/// A regular expression over bytes, of limited size.
///
/// Two patterns are equal if they are written alike.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// The most bytes that a pattern may take once compiled: a mistyped repetition must not eat the
    /// memory.
    pub const LARGEST: usize = 1 << 20;

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// What finds it.
    pub const fn regex(&self) -> &Regex {
        &self.0
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let regex = RegexBuilder::new(text).size_limit(Self::LARGEST).build();
        regex.map(Self).map_err(|error| PatternError {
            reason: match error {
                regex::Error::CompiledTooBig(_) => "it takes too much memory".to_owned(),
                // The last line says what is wrong, those before show where.
                error => {
                    let text = error.to_string();
                    let last = text.lines().last().unwrap_or_default();
                    last.trim_start_matches("error: ").to_owned()
                }
            },
        })
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.as_str()).finish()
    }
}

/// A text is not a pattern.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a regular expression: {reason}")]
pub struct PatternError {
    /// What is wrong with it.
    pub(in crate::config) reason: String,
}

/// Bytes of which halves may be open, as keepalived's hexadecimal patterns: `f0x1`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Nibbles {
    bytes: Vec<u8>,
    mask: Vec<u8>,
}

impl Nibbles {
    /// Exactly these bytes.
    pub fn exactly(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self { mask: vec![0xff; bytes.len()], bytes }
    }

    /// The bytes; what is open is 0.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As long as the bytes: 1 where a bit counts.
    pub fn mask(&self) -> &[u8] {
        &self.mask
    }

    /// The bytes, unless some are open.
    pub(crate) fn into_bytes(self) -> Option<Vec<u8>> {
        self.mask.iter().all(|&mask| mask == 0xff).then_some(self.bytes)
    }

    /// Whether `reply` begins with these.
    pub fn begins(&self, reply: &[u8]) -> bool {
        let own = self.bytes.iter().zip(&self.mask);
        reply.len() >= self.bytes.len()
            && own.zip(reply).all(|((byte, mask), reply)| byte ^ (reply & mask) == 0)
    }

    /// The pattern that is written as these digits, two for a byte, `x` for any.
    pub fn from_digits(text: &str) -> Option<Self> {
        let nibble = |digit: u8| match digit {
            b'x' | b'X' => Some((0, 0)),
            digit => char::from(digit).to_digit(16).map(|value| (value as u8, 0xf)),
        };
        let pairs = text.as_bytes().chunks(2).map(|pair| {
            let &[high, low] = pair else { return None };
            let ((high, high_mask), (low, low_mask)) = (nibble(high)?, nibble(low)?);
            Some((high << 4 | low, high_mask << 4 | low_mask))
        });
        let (bytes, mask) = pairs.collect::<Option<Vec<_>>>()?.into_iter().unzip();
        Some(Self { bytes, mask })
    }
}

/// The digits.
impl fmt::Display for Nibbles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut nibble = |value: u8, mask: u8| match mask {
            0 => f.write_str("x"),
            _ => write!(f, "{value:x}"),
        };
        for (byte, mask) in self.bytes.iter().zip(&self.mask) {
            nibble(byte >> 4, mask >> 4)?;
            nibble(byte & 0xf, mask & 0xf)?;
        }
        Ok(())
    }
}
