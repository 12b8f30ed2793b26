//! How single values are written in TOML.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ::toml::de::DeValue;

use super::reader::{Entry, Read};
use crate::config::draft::check::Status;
use crate::config::draft::{Hundredths, Threshold};
use crate::config::duration;
use crate::config::mistakes::Mistakes;
use crate::config::model::{Account, Address, Door, is_host_name, socket_address};
use crate::config::problem::{AddressFault, Problem};
use crate::config::words::Word;

impl Read for bool {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        match entry.value {
            DeValue::Boolean(value) => Some(*value),
            _ => entry.wrong_type("true or false", mistakes),
        }
    }
}

impl Read for i64 {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let DeValue::Integer(integer) = entry.value else {
            return entry.wrong_type("an integer", mistakes);
        };
        let value = Self::from_str_radix(integer.as_str(), integer.radix()).ok();
        if value.is_none() {
            let problem = Problem::HugeInteger { key: entry.key, text: integer.to_string() };
            mistakes.error(entry.span, problem);
        }
        value
    }
}

impl Read for String {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        text(entry, mistakes).map(str::to_owned)
    }
}

/// The path of a socket, or an address.
impl Read for Door {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        match entry.value {
            DeValue::String(path) if path.starts_with('/') => Some(Self::Socket(path[..].into())),
            _ => SocketAddr::read(entry, mistakes).map(Self::Address),
        }
    }
}

impl Read for Account {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let text = text(entry, mistakes)?;
        let account = Self::parse(text);
        if account.is_none() {
            let problem = Problem::NotAnAccount { key: entry.key, text: text.to_owned() };
            mistakes.error(entry.span, problem);
        }
        account
    }
}

impl Read for SocketAddr {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let text = text(entry, mistakes)?;
        let address = socket_address(text);
        if address.is_none() {
            let fault = AddressFault::of(text, |host| host.parse::<IpAddr>().is_ok());
            let problem = Problem::NotAnAddress { key: entry.key, text: text.to_owned(), fault };
            mistakes.error(entry.span, problem);
        }
        address
    }
}

impl Read for Address {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let text = text(entry, mistakes)?;
        let address = text.parse().ok();
        if address.is_none() {
            let is_host = |host: &str| host.parse::<IpAddr>().is_ok() || is_host_name(host);
            let fault = AddressFault::of(text, is_host);
            let problem = Problem::NotAServer { key: entry.key, text: text.to_owned(), fault };
            mistakes.error(entry.span, problem);
        }
        address
    }
}

impl Read for IpAddr {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let text = text(entry, mistakes)?;
        let address = text.parse().ok();
        if address.is_none() {
            let problem = Problem::NotAHostAddress { key: entry.key, text: text.to_owned() };
            mistakes.error(entry.span, problem);
        }
        address
    }
}

impl Read for Duration {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let Entry { key, value, span, .. } = entry;
        if let DeValue::Integer(integer) = value {
            mistakes.error(span, Problem::BareDuration { key, number: integer.to_string() });
            return None;
        }
        let DeValue::String(text) = value else {
            return entry.wrong_type("a duration", mistakes);
        };
        duration::parse(text)
            .map_err(|reason| {
                let text = text.to_string();
                mistakes.error(span, Problem::NotADuration { key, text, reason });
            })
            .ok()
    }
}

/// `1.25`, `2.5` or `2`. Read from the digits: a binary fraction would not be what was written.
impl Read for Hundredths {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let text = match entry.value {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            _ => return entry.wrong_type("a number", mistakes),
        };
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let cents = match decimals.len() {
            0 => Some(0),
            1 => digits(decimals).map(|tenths| tenths * 10),
            2 => digits(decimals),
            _ => None,
        };
        let sign = if whole.starts_with('-') { -1 } else { 1 };
        let whole = digits(whole.trim_start_matches(['+', '-'])).filter(|_| !whole.is_empty());
        let hundredths = whole.zip(cents).and_then(|(whole, cents)| {
            Some(Self((whole.checked_mul(100)?.checked_add(cents)?) * sign))
        });
        if hundredths.is_none() {
            let problem = Problem::NotHundredths { key: entry.key, text: text.to_owned() };
            mistakes.error(entry.span, problem);
        }
        hundredths
    }
}

/// A number is weight, a string is a share.
impl Read for Threshold {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let DeValue::String(text) = entry.value else {
            return match entry.value {
                DeValue::Integer(_) => entry.read(mistakes).map(Self::Weight),
                _ => entry.wrong_type("an integer or a string such as \"60%\"", mistakes),
            };
        };
        let percent = text.strip_suffix('%').and_then(digits);
        if percent.is_none() {
            let problem = Problem::NotAShare { key: entry.key, text: text.to_string() };
            mistakes.error(entry.span, problem);
        }
        percent.map(Self::Percent)
    }
}

/// A code as a number or a string, or a range of codes as a string.
impl Read for Status {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        if let DeValue::Integer(_) = entry.value {
            return entry.read(mistakes).map(|code| Self { first: code, last: code });
        }
        let text = text(entry, mistakes)?;
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = digits(first).zip(digits(last)).map(|(first, last)| Self { first, last });
        if range.is_none() {
            mistakes.error(entry.span, Problem::NotAStatus { text: text.to_owned() });
        }
        range
    }
}

impl<T: Word> Read for T {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let word = text(entry, mistakes)?;
        let value = Self::from_word(word);
        if value.is_none() {
            let known = Self::WORDS.iter().map(|&(word, _)| word).collect();
            let problem = Problem::UnknownWord { key: entry.key, word: word.to_owned(), known };
            mistakes.error(entry.span, problem);
        }
        value
    }
}

fn text<'a>(entry: Entry<'a>, mistakes: &mut Mistakes) -> Option<&'a str> {
    match entry.value {
        DeValue::String(text) => Some(text),
        _ => entry.wrong_type("a string", mistakes),
    }
}

/// Digits alone: `parse` would take a sign, too.
fn digits(text: &str) -> Option<i64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}
