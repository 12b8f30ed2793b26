//! Durations as people write them: `"500ms"`, `"2s"`, `"1m30s"`.

use std::fmt::Write as _;
use std::time::Duration;

use thiserror::Error;

/// The units, from the largest, with their length in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is not a duration.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(super) enum DurationError {
    /// Nothing is there.
    #[error("it is empty")]
    Empty,
    /// A unit, or something else, stands where a number should.
    #[error("there is no number before `{}`", .0.escape_debug())]
    NoNumber(String),
    /// `"30"`.
    #[error("{0} of what? the unit is missing")]
    NoUnit(String),
    /// `"30s1m"`, `"1s1s"`.
    #[error("`{0}` cannot follow a unit that is as small or smaller")]
    OutOfOrder(String),
    /// More milliseconds than can be counted.
    #[error("it is too long")]
    TooLong,
    /// `"2 sec"`.
    #[error("there is no unit `{}`", .0.escape_debug())]
    UnknownUnit(String),
}

/// Reads one or more whole numbers, each with its unit, from the largest unit to the smallest.
pub(super) fn parse(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut milliseconds: u64 = 0;
    while !rest.is_empty() {
        let number = prefix(rest, |character| character.is_ascii_digit());
        let after = &rest[number.len()..];
        let unit = prefix(after, |character| !character.is_ascii_digit());
        rest = &after[unit.len()..];

        if number.is_empty() {
            return Err(DurationError::NoNumber(unit.to_owned()));
        }
        if unit.is_empty() {
            return Err(DurationError::NoUnit(number.to_owned()));
        }
        if !UNITS.iter().any(|(name, _)| *name == unit) {
            return Err(DurationError::UnknownUnit(unit.to_owned()));
        }
        let Some((_, length)) = units.find(|(name, _)| *name == unit) else {
            return Err(DurationError::OutOfOrder(unit.to_owned()));
        };
        milliseconds = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*length))
            .and_then(|part| milliseconds.checked_add(part))
            .ok_or(DurationError::TooLong)?;
    }
    Ok(Duration::from_millis(milliseconds))
}

/// The text that [`parse`] reads as `duration`, cut to whole milliseconds.
pub(super) fn format(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, length) in UNITS {
        let number = rest / u128::from(length);
        rest %= u128::from(length);
        if number > 0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{number}{name}");
        }
    }
    text
}

fn prefix(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|character| !belongs(character)).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{DurationError, format, parse};

    #[test]
    fn reads_every_unit() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("1d2h3m4s5ms"), Ok(Duration::from_millis(93_784_005)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(parse(""), Err(DurationError::Empty));
        assert_eq!(parse("s"), Err(DurationError::NoNumber("s".into())));
        assert_eq!(parse("-2s"), Err(DurationError::NoNumber("-".into())));
        assert_eq!(parse("2"), Err(DurationError::NoUnit("2".into())));
        assert_eq!(parse("1m30"), Err(DurationError::NoUnit("30".into())));
        assert_eq!(parse("2 s"), Err(DurationError::UnknownUnit(" s".into())));
        assert_eq!(parse("1.5s"), Err(DurationError::UnknownUnit(".".into())));
        assert_eq!(parse("1s1m"), Err(DurationError::OutOfOrder("m".into())));
        assert_eq!(parse("1s1s"), Err(DurationError::OutOfOrder("s".into())));
        assert_eq!(parse("99999999999999999999s"), Err(DurationError::TooLong));
        assert_eq!(parse("9999999999999999999s"), Err(DurationError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(milliseconds in any::<u64>()) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }
    }
}
