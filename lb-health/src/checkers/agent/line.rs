//! The line that an agent says (HAProxy's configuration manual, "agent-check").

use lb_core::Weight;
use lb_core::health::Admin;

/// This is not what agents say.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("an empty line")]
    Empty,
    #[error("a line longer than {} bytes", Line::LONGEST)]
    Long,
    #[error("{0:?} has no number that can be used, and nothing else is said")]
    Number(String),
    #[error("agents do not say {0:?}, and nothing else is said")]
    Word(String),
}

/// What an agent says. Of words that contradict each other the last counts; those that are not
/// understood count for nothing, as long as others are (HAProxy's `tcpcheck_agent_expect_reply`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Line {
    /// Whether it says up or down, if any.
    pub(super) up: Option<bool>,
    pub(super) admin: Option<Admin>,
    pub(super) max_connections: Option<u32>,
    pub(super) percent: Option<u16>,
    pub(super) weight: Option<Weight>,
    /// What it says for people to read.
    pub(super) text: String,
}

impl Line {
    /// More than any agent says.
    pub(super) const LONGEST: usize = 4096;

    /// The first line of `bytes`, once it is all there, and its length with its end.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        match bytes.iter().take(Self::LONGEST).position(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(end) => Self::parse_all(&bytes[..end]).map(|line| Some((line, end + 1))),
            None if bytes.len() < Self::LONGEST => Ok(None),
            None => Err(Malformed::Long),
        }
    }

    /// A line without its end.
    pub(super) fn parse_all(line: &[u8]) -> Result<Self, Malformed> {
        let line = String::from_utf8_lossy(line);
        let (words, text) = line.split_once('#').unwrap_or((&line, ""));
        let mut parsed = Self { text: text.trim().to_owned(), ..Self::default() };
        let words = words.split([' ', '\t', ',']).filter(|word| !word.is_empty());
        let (mut first, mut is_understood) = (None, false);
        for word in words {
            match parsed.take(&word.to_ascii_lowercase()) {
                Ok(()) => is_understood = true,
                Err(malformed) => first = first.or(Some(malformed)),
            }
        }
        if is_understood { Ok(parsed) } else { Err(first.unwrap_or(Malformed::Empty)) }
    }

    fn take(&mut self, word: &str) -> Result<(), Malformed> {
        match word {
            "up" => self.up = Some(true),
            "down" | "fail" | "stopped" => self.up = Some(false),
            "drain" => self.admin = Some(Admin::Drain),
            "maint" => self.admin = Some(Admin::Maintenance),
            "ready" => self.admin = Some(Admin::Ready),
            _ => return self.take_number(word),
        }
        Ok(())
    }

    fn take_number(&mut self, word: &str) -> Result<(), Malformed> {
        let wrong = |_| Malformed::Number(word.to_owned());
        let number = word.strip_prefix("weight:");
        if let Some(percent) = number.unwrap_or(word).strip_suffix('%') {
            (self.percent, self.weight) = (Some(percent.parse().map_err(wrong)?), None);
        } else if let Some(weight) = number {
            let weight = Weight::new(weight.parse().map_err(wrong)?);
            (self.percent, self.weight) = (None, Some(weight));
        } else if let Some(most) = word.strip_prefix("maxconn:") {
            self.max_connections = Some(most.parse().map_err(wrong)?);
        } else {
            return Err(Malformed::Word(word.to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Line, Malformed> {
        Line::parse_all(text.as_bytes())
    }

    #[test]
    fn the_words_of_the_manual_are_understood() {
        let none = Line::default();
        for (text, line) in [
            ("up", Line { up: Some(true), ..none.clone() }),
            ("Down", Line { up: Some(false), ..none.clone() }),
            ("fail #disk full", Line { up: Some(false), text: "disk full".into(), ..none.clone() }),
            ("stopped", Line { up: Some(false), ..none.clone() }),
            ("ready", Line { admin: Some(Admin::Ready), ..none.clone() }),
            ("DRAIN", Line { admin: Some(Admin::Drain), ..none.clone() }),
            ("maint", Line { admin: Some(Admin::Maintenance), ..none.clone() }),
            ("75%", Line { percent: Some(75), ..none.clone() }),
            ("weight:75%", Line { percent: Some(75), ..none.clone() }),
            ("weight:7", Line { weight: Some(Weight::new(7)), ..none.clone() }),
            ("maxconn:0", Line { max_connections: Some(0), ..none.clone() }),
            ("MaxConn:30", Line { max_connections: Some(30), ..none.clone() }),
            (
                " up,ready\t50% , maxconn:9 # a # b",
                Line {
                    up: Some(true),
                    admin: Some(Admin::Ready),
                    max_connections: Some(9),
                    percent: Some(50),
                    weight: None,
                    text: "a # b".into(),
                },
            ),
            ("up down", Line { up: Some(false), ..none.clone() }),
            ("50% weight:3", Line { weight: Some(Weight::new(3)), ..none }),
        ] {
            assert_eq!(parse(text), Ok(line), "{text}");
        }
    }

    #[test]
    fn words_that_are_not_understood_count_for_nothing_beside_others() {
        let none = Line::default();
        for (text, line) in [
            ("up yes", Line { up: Some(true), ..none.clone() }),
            ("100 weight:x down", Line { up: Some(false), ..none.clone() }),
            ("maxconn:9 maxconn:-1", Line { max_connections: Some(9), ..none.clone() }),
            ("50% 70000%", Line { percent: Some(50), ..none }),
        ] {
            assert_eq!(parse(text), Ok(line), "{text}");
        }
    }

    #[test]
    fn other_words_alone_are_refused() {
        for text in ["", "  ", "# only text", ","] {
            assert_eq!(parse(text), Err(Malformed::Empty), "{text:?}");
        }
        for text in ["yes", "up!", "100", "weight", "http/1.1 200"] {
            assert!(matches!(parse(text), Err(Malformed::Word(_))), "{text:?}");
        }
        for text in ["%", "-1%", "1e3%", "weight:", "weight:70000", "maxconn:x", "weight:1%%"] {
            assert!(matches!(parse(text), Err(Malformed::Number(_))), "{text:?}");
        }
    }

    #[test]
    fn a_line_is_read_once_it_is_all_there() {
        assert_eq!(Line::parse(b"75%"), Ok(None));
        let (line, used) = Line::parse(b"75%\r\nrest").unwrap().unwrap();
        assert_eq!((line.percent, used), (Some(75), 4));
        assert_eq!(Line::parse(&[b'1'; 4096]), Err(Malformed::Long));
    }
}
