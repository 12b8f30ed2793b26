//! Which status codes of an answer pass.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

/// The status codes that pass: codes and ranges of codes within 100 to 599.
///
/// The default is 200 to 299, keepalived's (`check_http.c`).
///
/// ```
/// use lb_health::status_ranges::StatusRanges;
///
/// let ranges: StatusRanges = "200-204, 301".parse()?;
/// assert!(ranges.contains(204) && ranges.contains(301) && !ranges.contains(302));
/// assert_eq!(ranges.to_string(), "200-204,301");
/// assert!("204-200".parse::<StatusRanges>().is_err());
/// # Ok::<(), lb_health::status_ranges::ParseStatusError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct StatusRanges(Arc<[RangeInclusive<u16>]>);

impl StatusRanges {
    /// These ranges.
    ///
    /// # Errors
    ///
    /// If there is none, or one is empty or leaves 100 to 599.
    pub fn new(
        ranges: impl IntoIterator<Item = RangeInclusive<u16>>,
    ) -> Result<Self, ParseStatusError> {
        let ranges: Arc<[_]> = ranges.into_iter().collect();
        let refused = |range: &&RangeInclusive<u16>| {
            range.is_empty() || *range.start() < 100 || *range.end() > 599
        };
        match ranges.iter().find(refused) {
            Some(range) => Err(ParseStatusError::OutOfRange(range.clone())),
            None if ranges.is_empty() => Err(ParseStatusError::Empty),
            None => Ok(Self(ranges)),
        }
    }

    /// Whether `status` passes. O(ranges).
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl Default for StatusRanges {
    fn default() -> Self {
        Self(Arc::new([200..=299]))
    }
}

impl fmt::Display for StatusRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{}", range.start())?;
            if range.end() > range.start() {
                write!(f, "-{}", range.end())?;
            }
        }
        Ok(())
    }
}

impl FromStr for StatusRanges {
    type Err = ParseStatusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = |digits: &str| {
            let digits = digits.trim();
            digits.parse::<u16>().map_err(|_| ParseStatusError::NotACode(digits.into()))
        };
        let ranges = text.split(',').map(|part| match part.split_once('-') {
            Some((first, last)) => Ok(code(first)?..=code(last)?),
            None => code(part).map(|code| code..=code),
        });
        Self::new(ranges.collect::<Result<Vec<_>, _>>()?)
    }
}

/// A set of status codes was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseStatusError {
    /// No code is named, so nothing could pass.
    #[error("no status code is named")]
    Empty,
    /// A part is not a number.
    #[error("{0:?} is not a status code")]
    NotACode(String),
    /// A range is empty or leaves 100 to 599.
    #[error("{}-{} is not a range of status codes within 100-599", .0.start(), .0.end())]
    OutOfRange(RangeInclusive<u16>),
}
