//! What is to happen in a simulation.

use std::str::FromStr;
use std::time::Duration;

use lb_core::Weight;
use lb_core::health::Admin;

use super::duration::{ParseDurationError, duration};
use crate::CheckSpec;

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
    /// Checks of it cannot be run here: this host has run out of something.
    Obstructed,
    /// It refuses.
    Refuses,
    /// It answers, and the first of its checks reports that weight.
    Reports(Weight),
    /// It answers, and the first of its checks asks for that share of its weight, in percent.
    ReportsPercent(u16),
}

/// What happens to a backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Turn {
    /// The administrator takes it out of service, drains it or puts it into service.
    Admin(Admin),
    /// It does that from now on.
    Conduct(Conduct),
    /// So many clients in a row cannot connect to it.
    TurnsAway(u32),
    /// The administrator gives it that weight.
    Weight(Weight),
}

/// At this time, that happens to the backend of this name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Incident {
    /// The time since the beginning.
    pub at: Duration,
    /// The name that the backend is configured under.
    pub backend: String,
    /// What happens.
    pub turn: Turn,
}

/// A line that does not say what happens when.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseIncidentError {
    /// A word is missing, or one is too much.
    #[error("expected `TIME BACKEND WHAT`, such as `{sample}`")]
    Form {
        /// How it is written.
        sample: &'static str,
    },
    /// Not a number within bounds.
    #[error("`{word}` is no {what}")]
    Number {
        /// What stands there.
        word: String,
        /// What should.
        what: &'static str,
    },
    /// Not a time.
    #[error("`{word}` is no time: {source}")]
    Time {
        /// What stands there.
        word: String,
        /// Why it is none.
        source: ParseDurationError,
    },
    /// That does not happen to backends.
    #[error("`{word}` is nothing that happens to a backend: {known}", known = Incident::KNOWN)]
    Turn {
        /// What stands there.
        word: String,
    },
}

impl Incident {
    /// What can happen, in the words of a script.
    pub const KNOWN: &str = "it dies, hangs, recovers, flaps PERIOD, reports WEIGHT or PERCENT%, is \
        obstructed, turns-away CLIENTS; it is told drain, disable, enable or weight WEIGHT";
}

/// The line of a script: `TIME BACKEND WHAT`. See [`Incident::KNOWN`].
impl FromStr for Incident {
    type Err = ParseIncidentError;

    fn from_str(line: &str) -> Result<Self, ParseIncidentError> {
        let words: Vec<_> = line.split_whitespace().collect();
        let form = |sample| ParseIncidentError::Form { sample };
        let (&[at, backend, verb], rest) =
            words.split_first_chunk().ok_or(form("10s 192.0.2.1:80 dies"))?;
        let conduct = |conduct| Ok(Turn::Conduct(conduct));
        let turn = match (verb, rest) {
            ("dies", []) => conduct(Conduct::Refuses),
            ("flaps", [period]) => conduct(Conduct::Flaps(time(period)?)),
            ("hangs", []) => conduct(Conduct::Hangs),
            ("obstructed", []) => conduct(Conduct::Obstructed),
            ("recovers", []) => conduct(Conduct::Answers),
            ("reports", [report]) => conduct(match report.strip_suffix('%') {
                Some(percent) => Conduct::ReportsPercent(number(percent, "share in percent")?),
                None => Conduct::Reports(weight(report)?),
            }),
            ("turns-away", [count]) => Ok(Turn::TurnsAway(number(count, "number of clients")?)),
            ("disable", []) => Ok(Turn::Admin(Admin::Maintenance)),
            ("drain", []) => Ok(Turn::Admin(Admin::Drain)),
            ("enable", []) => Ok(Turn::Admin(Admin::Ready)),
            ("weight", [word]) => Ok(Turn::Weight(weight(word)?)),
            ("flaps", _) => Err(form("10s 192.0.2.1:80 flaps 3s")),
            ("reports", _) => Err(form("10s 192.0.2.1:80 reports 50%")),
            ("turns-away", _) => Err(form("10s 192.0.2.1:80 turns-away 5")),
            ("weight", _) => Err(form("10s 192.0.2.1:80 weight 3")),
            (
                "dies" | "disable" | "drain" | "enable" | "hangs" | "obstructed" | "recovers",
                [..],
            ) => Err(form("10s 192.0.2.1:80 dies")),
            _ => Err(ParseIncidentError::Turn { word: verb.into() }),
        };
        Ok(Self { at: time(at)?, backend: backend.into(), turn: turn? })
    }
}

fn weight(word: &str) -> Result<Weight, ParseIncidentError> {
    number(word, "weight: a number from 0 to 65535").map(Weight::new)
}

fn number<T: FromStr>(word: &str, what: &'static str) -> Result<T, ParseIncidentError> {
    word.parse().map_err(|_| ParseIncidentError::Number { word: word.into(), what })
}

/// A time as scripts have it, a [`duration`]: at most a year, as all that checks have.
///
/// # Errors
/// [`ParseIncidentError::Time`], if it is none.
pub fn time(word: &str) -> Result<Duration, ParseIncidentError> {
    let within = |&time: &Duration| time <= CheckSpec::LONGEST;
    duration(word)
        .and_then(|time| Some(time).filter(within).ok_or(ParseDurationError::TooLong))
        .map_err(|source| ParseIncidentError::Time { word: word.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_happens_to_whom_and_when() {
        let incident = |at, turn| Incident { at, backend: "web1".into(), turn };
        let conduct = |at, conduct| incident(at, Turn::Conduct(conduct));
        let seconds = Duration::from_secs;
        for (line, expected) in [
            ("10s web1 dies", conduct(seconds(10), Conduct::Refuses)),
            ("  500ms  web1 hangs ", conduct(Duration::from_millis(500), Conduct::Hangs)),
            ("2m web1 recovers", conduct(seconds(120), Conduct::Answers)),
            ("0s web1 flaps 3s", conduct(Duration::ZERO, Conduct::Flaps(seconds(3)))),
            ("1s web1 obstructed", conduct(seconds(1), Conduct::Obstructed)),
            ("1s web1 reports 40", conduct(seconds(1), Conduct::Reports(Weight::new(40)))),
            ("1s web1 reports 150%", conduct(seconds(1), Conduct::ReportsPercent(150))),
            ("1s web1 turns-away 5", incident(seconds(1), Turn::TurnsAway(5))),
            ("1s web1 drain", incident(seconds(1), Turn::Admin(Admin::Drain))),
            ("1s web1 disable", incident(seconds(1), Turn::Admin(Admin::Maintenance))),
            ("1s web1 enable", incident(seconds(1), Turn::Admin(Admin::Ready))),
            ("1s web1 weight 0", incident(seconds(1), Turn::Weight(Weight::ZERO))),
        ] {
            assert_eq!(line.parse(), Ok(expected), "{line}");
        }
        let error = |line: &str| line.parse::<Incident>().unwrap_err().to_string();
        assert!(error("10s web1").starts_with("expected `TIME"));
        assert!(error("10s web1 flaps").ends_with("flaps 3s`"));
        assert!(error("10s web1 dies now").starts_with("expected `TIME"));
        assert!(error("10s web1 enable now").starts_with("expected `TIME"));
        assert!(error("10s web1 sings").starts_with("`sings` is nothing that happens"));
        assert!(error("10s web1 weight 65536").starts_with("`65536` is no weight"));
        assert!(error("10s web1 reports %").starts_with("`` is no share in percent"));
        assert!(error("10s web1 turns-away all").starts_with("`all` is no number of clients"));
        assert!(error("10 web1 dies").starts_with("`10` is no time"));
        assert!(error("9999999999s web1 dies").starts_with("`9999999999s` is no time"));
        assert_eq!(time("365d").unwrap(), CheckSpec::LONGEST);
        assert!(error("365d1ms web1 dies").ends_with("it is too long"));
    }
}
