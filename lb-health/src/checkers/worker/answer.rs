//! The lines that go to a worker and come from it.

use std::net::SocketAddr;
use std::time::Duration;

use lb_core::Weight;

/// A worker said something else than an answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("a line that does not begin with a tag: {0:?}")]
    Tag(String),
    #[error("the answer {0:?}, which is neither up nor down")]
    Word(String),
    #[error("the weight {0:?}")]
    Weight(String),
}

/// What a worker says of a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    Up(Option<Weight>),
    /// With the reason, if it gives one.
    Down(String),
}

/// The order to check a target.
pub(super) fn order(tag: u64, address: SocketAddr, timeout: Duration) -> String {
    format!("{tag} {} {} {}\n", address.ip(), address.port(), timeout.as_millis())
}

/// A line without its end: whom it answers, and what.
pub(super) fn parse(line: &[u8]) -> Result<(u64, Result<Answer, Malformed>), Malformed> {
    let line = String::from_utf8_lossy(line);
    let (tag, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let tag = tag.parse().map_err(|_| Malformed::Tag(tag.chars().take(40).collect()))?;
    let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let rest = rest.trim();
    let answer = match (word, rest) {
        ("up", "") => Ok(Answer::Up(None)),
        ("up", weight) => match weight.parse() {
            Ok(weight) => Ok(Answer::Up(Some(Weight::new(weight)))),
            Err(_) => Err(Malformed::Weight(weight.chars().take(40).collect())),
        },
        ("down", reason) => Ok(Answer::Down(reason.to_owned())),
        (other, _) => Err(Malformed::Word(other.chars().take(40).collect())),
    };
    Ok((tag, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_answers_are_lines() {
        let address = "[2001:db8::1]:80".parse().unwrap();
        assert_eq!(order(7, address, Duration::from_secs(1)), "7 2001:db8::1 80 1000\n");
        for (line, answer) in [
            ("7 up", Ok(Answer::Up(None))),
            ("7 up \r", Ok(Answer::Up(None))),
            ("7 up 40", Ok(Answer::Up(Some(Weight::new(40))))),
            ("7 down", Ok(Answer::Down(String::new()))),
            ("7 down no route", Ok(Answer::Down("no route".into()))),
            ("7", Err(Malformed::Word(String::new()))),
            ("7 maybe", Err(Malformed::Word("maybe".into()))),
            ("7 up heavy", Err(Malformed::Weight("heavy".into()))),
            ("7 up -1", Err(Malformed::Weight("-1".into()))),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok((7, answer)), "{line:?}");
        }
        for line in ["", "up", "-1 up", "Traceback (most recent call last):"] {
            assert!(matches!(parse(line.as_bytes()), Err(Malformed::Tag(_))), "{line:?}");
        }
    }
}
