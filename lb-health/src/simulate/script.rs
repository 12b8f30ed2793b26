//! What is to happen in a simulation.

use std::num::ParseIntError;
use std::str::FromStr;
use std::time::Duration;

/// What a backend does from some time on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Conduct {
    /// It answers checks after a millisecond.
    Answers,
    /// It refuses for so long, then answers for as long, and so on.
    Flaps(Duration),
    /// It is silent: checks time out.
    Hangs,
    /// It refuses.
    Refuses,
}

/// From `at` on, the backend of this name does that.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Incident {
    /// The time since the beginning.
    pub at: Duration,
    /// The name that the backend is configured under.
    pub backend: String,
    /// What it does.
    pub conduct: Conduct,
}

/// A line that is none of: `TIME BACKEND dies`, `TIME BACKEND hangs`, `TIME BACKEND recovers`,
/// `TIME BACKEND flaps PERIOD`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseIncidentError {
    /// A word is missing, or one is too much.
    #[error("expected `TIME BACKEND dies`, `hangs`, `recovers` or `flaps PERIOD`")]
    Form,
    /// Not a time.
    #[error("`{word}` is no time: a whole number and `ms`, `s` or `m`")]
    Time {
        /// What stands there.
        word: String,
        /// Why its number cannot be read, if that is it.
        source: Option<ParseIntError>,
    },
    /// Backends do not do that.
    #[error("a backend cannot `{word}`: it dies, hangs, recovers or flaps")]
    Conduct {
        /// What stands there.
        word: String,
    },
}

impl FromStr for Incident {
    type Err = ParseIncidentError;

    fn from_str(line: &str) -> Result<Self, ParseIncidentError> {
        let words: Vec<_> = line.split_whitespace().collect();
        let (&[at, backend, verb], rest) =
            words.split_first_chunk().ok_or(ParseIncidentError::Form)?;
        let conduct = match (verb, rest) {
            ("dies", []) => Conduct::Refuses,
            ("flaps", [period]) => Conduct::Flaps(time(period)?),
            ("hangs", []) => Conduct::Hangs,
            ("recovers", []) => Conduct::Answers,
            ("dies" | "flaps" | "hangs" | "recovers", _) => return Err(ParseIncidentError::Form),
            _ => return Err(ParseIncidentError::Conduct { word: verb.into() }),
        };
        Ok(Self { at: time(at)?, backend: backend.into(), conduct })
    }
}

fn time(word: &str) -> Result<Duration, ParseIncidentError> {
    let failed = |source| ParseIncidentError::Time { word: word.into(), source };
    let (number, millis) = [("ms", 1), ("s", 1_000), ("m", 60_000)]
        .iter()
        .find_map(|&(unit, millis)| Some((word.strip_suffix(unit)?, millis)))
        .ok_or_else(|| failed(None))?;
    let number: u32 = number.parse().map_err(|error| failed(Some(error)))?;
    Ok(Duration::from_millis(u64::from(number) * millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_who_does_what_when() {
        let incident = |at, conduct| Incident { at, backend: "web1".into(), conduct };
        let seconds = Duration::from_secs;
        for (line, expected) in [
            ("10s web1 dies", incident(seconds(10), Conduct::Refuses)),
            ("  500ms  web1 hangs ", incident(Duration::from_millis(500), Conduct::Hangs)),
            ("2m web1 recovers", incident(seconds(120), Conduct::Answers)),
            ("0s web1 flaps 3s", incident(Duration::ZERO, Conduct::Flaps(seconds(3)))),
        ] {
            assert_eq!(line.parse(), Ok(expected), "{line}");
        }
        let error = |line: &str| line.parse::<Incident>().unwrap_err().to_string();
        assert!(error("10s web1").starts_with("expected `TIME"));
        assert!(error("10s web1 flaps").starts_with("expected `TIME"));
        assert!(error("10s web1 dies now").starts_with("expected `TIME"));
        assert!(error("10s web1 sings").starts_with("a backend cannot `sings`"));
        assert!(error("10 web1 dies").starts_with("`10` is no time"));
        assert!(error("9999999999s web1 dies").starts_with("`9999999999s` is no time"));
    }
}
