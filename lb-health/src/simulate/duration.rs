//! Durations as people write them: `500ms`, `2s`, `1m30s`.

use std::time::Duration;

/// The units, from the largest, with their length in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is not a duration.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseDurationError {
    /// Nothing is there.
    #[error("it is empty")]
    Empty,
    /// A unit, or something else, stands where a number should.
    #[error("there is no number before `{}`", .0.escape_debug())]
    NoNumber(String),
    /// `30`.
    #[error("{0} of what? the unit is missing")]
    NoUnit(String),
    /// `30s1m`, `1s1s`.
    #[error("`{0}` cannot follow a unit that is as small or smaller")]
    OutOfOrder(String),
    /// Longer than can be counted, or than makes sense.
    #[error("it is too long")]
    TooLong,
    /// `2 sec`.
    #[error("there is no unit `{}`", .0.escape_debug())]
    UnknownUnit(String),
}

/// Reads one or more whole numbers, each with its unit, from the largest unit to the smallest: d, h, m, s
/// and ms.
///
/// ```
/// use std::time::Duration;
/// use lb_health::simulate::duration;
///
/// assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
/// assert_eq!(duration("30").unwrap_err().to_string(), "30 of what? the unit is missing");
/// ```
///
/// # Errors
/// [`ParseDurationError`], if it is none, or has more milliseconds than 64 bits.
pub fn duration(text: &str) -> Result<Duration, ParseDurationError> {
    if text.is_empty() {
        return Err(ParseDurationError::Empty);
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
            return Err(ParseDurationError::NoNumber(unit.to_owned()));
        }
        if unit.is_empty() {
            return Err(ParseDurationError::NoUnit(number.to_owned()));
        }
        if !UNITS.iter().any(|(name, _)| *name == unit) {
            return Err(ParseDurationError::UnknownUnit(unit.to_owned()));
        }
        let Some((_, length)) = units.find(|(name, _)| *name == unit) else {
            return Err(ParseDurationError::OutOfOrder(unit.to_owned()));
        };
        milliseconds = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*length))
            .and_then(|part| milliseconds.checked_add(part))
            .ok_or(ParseDurationError::TooLong)?;
    }
    Ok(Duration::from_millis(milliseconds))
}

fn prefix(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|character| !belongs(character)).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1d2h3m4s5ms"), Ok(Duration::from_millis(93_784_005)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(duration(""), Err(ParseDurationError::Empty));
        assert_eq!(duration("s"), Err(ParseDurationError::NoNumber("s".into())));
        assert_eq!(duration("-2s"), Err(ParseDurationError::NoNumber("-".into())));
        assert_eq!(duration("2"), Err(ParseDurationError::NoUnit("2".into())));
        assert_eq!(duration("1m30"), Err(ParseDurationError::NoUnit("30".into())));
        assert_eq!(duration("1x"), Err(ParseDurationError::UnknownUnit("x".into())));
        assert_eq!(duration("2 s"), Err(ParseDurationError::UnknownUnit(" s".into())));
        assert_eq!(duration("1.5s"), Err(ParseDurationError::UnknownUnit(".".into())));
        assert_eq!(duration("1s1m"), Err(ParseDurationError::OutOfOrder("m".into())));
        assert_eq!(duration("1s1s"), Err(ParseDurationError::OutOfOrder("s".into())));
        assert_eq!(duration("99999999999999999999s"), Err(ParseDurationError::TooLong));
        assert_eq!(duration("9999999999999999999s"), Err(ParseDurationError::TooLong));
    }
}
