//! How single values are written in keepalived.conf.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::draft::vrrp::Network;
use crate::config::draft::{Field, List};
use crate::config::keepalived::lexer::{Word, escaped_words};
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::text::Text;
use crate::config::keepalived::tree::Statement;
use crate::config::mistakes::Mistakes;
use crate::config::model::Account;
use crate::config::source::{Span, Spanned};

/// A value that was written at `span`.
pub(super) const fn given<T>(value: T, span: Span) -> Field<T> {
    Field::Given(Spanned { value, span })
}

/// A list of which every element could be read.
pub(super) fn list<T>(elements: Vec<Spanned<T>>, span: Span) -> Field<List<T>> {
    given(List { elements, complete: true }, span)
}

/// A number of seconds as the time that it is.
pub(super) fn whole_seconds(field: Field<i64>) -> Field<Duration> {
    match field {
        Field::Given(Spanned { value, span }) => {
            given(Duration::from_secs(value.unsigned_abs()), span)
        }
        Field::Absent => Field::Absent,
        Field::Refused => Field::Refused,
    }
}

/// Reads the values of statements, and reports those that cannot be read.
pub(super) struct Values<'m> {
    pub(super) mistakes: &'m mut Mistakes,
    /// Whom scripts run as that name nobody.
    pub(super) script_user: Option<Account>,
}

impl Values<'_> {
    pub(super) fn error(&mut self, span: Span, problem: Problem) {
        self.mistakes.error(span, problem.into());
    }

    pub(super) fn warning(&mut self, span: Span, problem: Problem) {
        self.mistakes.warning(span, problem.into());
    }

    /// Says that `word` is known, but has no effect.
    pub(super) fn unused(&mut self, span: Span, word: &'static str, why: &'static str) {
        self.warning(span, Problem::Unused { word, why });
    }

    /// The first argument, which must be there, and be the only one.
    pub(super) fn argument<'s>(&mut self, statement: &'s Statement) -> Option<&'s Word> {
        let mut arguments = statement.arguments.iter();
        let first = arguments.next();
        if first.is_none() {
            let word = statement.keyword.name;
            self.error(statement.span, Problem::WithoutValue { word });
        }
        self.nothing_more(statement.keyword.name, arguments.next());
        first
    }

    /// Reports what follows when all has been said.
    pub(super) fn nothing_more(&mut self, word: &'static str, next: Option<&Word>) {
        if let Some(next) = next {
            self.warning(next.span, Problem::Excess { word, text: next.text.clone() });
        }
    }

    pub(super) fn text(&mut self, statement: Option<&Statement>) -> Field<String> {
        let Some(statement) = statement else { return Field::Absent };
        match self.argument(statement) {
            Some(word) => given(word.text.clone(), word.span),
            None => Field::Refused,
        }
    }

    /// A whole number within `range`.
    pub(super) fn number(
        &mut self,
        statement: Option<&Statement>,
        range: RangeInclusive<i64>,
    ) -> Field<i64> {
        let Some(statement) = statement else { return Field::Absent };
        match self.argument(statement) {
            Some(word) => self.number_of(statement.keyword.name, word, range),
            None => Field::Refused,
        }
    }

    pub(super) fn number_of(
        &mut self,
        key: &'static str,
        word: &Word,
        range: RangeInclusive<i64>,
    ) -> Field<i64> {
        let Ok(value) = word.text.trim().parse::<i64>() else {
            let text = word.text.clone();
            self.error(word.span, Problem::NotANumber { word: key, text });
            return Field::Refused;
        };
        if !range.contains(&value) {
            let (least, most) = range.into_inner();
            self.error(word.span, Problem::OutOfRange { word: key, value, least, most });
            return Field::Refused;
        }
        given(value, word.span)
    }

    /// A weight. One that is too large is left out, as in keepalived.
    pub(super) fn weight(&mut self, word: &Word, most: i64) -> Field<i64> {
        match word.text.trim().parse::<i64>() {
            Ok(value) if !(-most..=most).contains(&value) => {
                self.warning(word.span, Problem::WeightLeftOut { value, most });
                Field::Absent
            }
            _ => self.number_of("weight", word, -most..=most),
        }
    }

    /// Seconds, with decimals if need be, and above zero.
    pub(super) fn timer(&mut self, statement: Option<&Statement>) -> Field<Duration> {
        let field = self.timer_or_zero(statement);
        if let (Field::Given(Spanned { value: Duration::ZERO, span }), Some(statement)) =
            (&field, statement)
        {
            self.error(*span, Problem::ZeroTime { word: statement.keyword.name });
            return Field::Refused;
        }
        field
    }

    /// Seconds, with decimals if need be.
    pub(super) fn timer_or_zero(&mut self, statement: Option<&Statement>) -> Field<Duration> {
        let Some(statement) = statement else { return Field::Absent };
        let Some(word) = self.argument(statement) else { return Field::Refused };
        self.time(statement.keyword.name, word)
    }

    pub(super) fn time(&mut self, key: &'static str, word: &Word) -> Field<Duration> {
        match seconds(&word.text) {
            Some(value) => given(value, word.span),
            None => {
                let text = word.text.clone();
                self.error(word.span, Problem::NotATime { word: key, text });
                Field::Refused
            }
        }
    }

    /// A word that is a switch: alone it switches on.
    pub(super) fn switch(&mut self, statement: Option<&Statement>) -> Field<bool> {
        let Some(statement) = statement else { return Field::Absent };
        let Some(word) = statement.arguments.first() else { return given(true, statement.span) };
        self.nothing_more(statement.keyword.name, statement.arguments.get(1));
        match word.text.as_str() {
            "true" | "on" | "yes" => given(true, word.span),
            "false" | "off" | "no" => given(false, word.span),
            _ => {
                let (key, text) = (statement.keyword.name, word.text.clone());
                self.error(word.span, Problem::NotASwitch { word: key, text });
                Field::Refused
            }
        }
    }

    /// As [`choice`](Self::choice), but exactly, for what keepalived leaves out if it does not know it.
    pub(super) fn choice_if_known<T: Copy>(
        &mut self,
        key: &'static str,
        word: &Word,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let chosen = choices.iter().find(|(name, _)| *name == word.text);
        if chosen.is_none() {
            let known = choices.iter().map(|&(name, _)| name).collect();
            let problem = Problem::ChoiceLeftOut { word: key, text: word.text.clone(), known };
            self.warning(word.span, problem);
        }
        chosen.map(|&(_, value)| value)
    }

    /// A number that keepalived leaves out if it is 0.
    pub(super) fn number_unless_zero(
        &mut self,
        statement: Option<&Statement>,
        range: RangeInclusive<i64>,
    ) -> Field<i64> {
        match (self.number(statement, 0..=*range.end()), statement) {
            (Field::Given(Spanned { value: 0, span }), Some(statement)) => {
                self.warning(span, Problem::ZeroLeftOut { word: statement.keyword.name });
                Field::Absent
            }
            (field, _) => field,
        }
    }

    /// One of a few words, in any case.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        word: &Word,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let chosen = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(&word.text));
        if chosen.is_none() {
            let known = choices.iter().map(|&(name, _)| name).collect();
            let problem = Problem::NotAChoice { word: key, text: word.text.clone(), known };
            self.error(word.span, problem);
        }
        chosen.map(|&(_, value)| value)
    }

    pub(super) fn ip(&mut self, key: &'static str, word: &Word) -> Field<IpAddr> {
        match word.text.parse() {
            Ok(address) => given(address, word.span),
            Err(_) => {
                let text = word.text.clone();
                self.error(word.span, Problem::NotAnAddress { word: key, text });
                Field::Refused
            }
        }
    }

    /// An address of a host, which may have the length of a prefix behind it that means nothing
    /// (`inet_stosockaddr` of keepalived).
    pub(super) fn host(&mut self, key: &'static str, word: &Word) -> Field<IpAddr> {
        match Network::parse(&word.text) {
            Some(Network { address, length: Some(_) }) => {
                self.warning(word.span, Problem::PrefixOfHost { text: word.text.clone() });
                given(address, word.span)
            }
            _ => self.ip(key, word),
        }
    }

    /// The only argument as that.
    pub(super) fn host_of(&mut self, statement: Option<&Statement>) -> Field<IpAddr> {
        self.only(statement, Self::host)
    }

    /// The only argument as an address.
    pub(super) fn ip_of(&mut self, statement: Option<&Statement>) -> Field<IpAddr> {
        self.only(statement, Self::ip)
    }

    fn only<T>(
        &mut self,
        statement: Option<&Statement>,
        read: fn(&mut Self, &'static str, &Word) -> Field<T>,
    ) -> Field<T> {
        let Some(statement) = statement else { return Field::Absent };
        match self.argument(statement) {
            Some(word) => read(self, statement.keyword.name, word),
            None => Field::Refused,
        }
    }

    /// `ADDRESS [PORT]`, in which a port that is not there is 0.
    pub(super) fn socket(&mut self, statement: &Statement) -> Field<SocketAddr> {
        let word = statement.keyword.name;
        let Some((first, rest)) = statement.arguments.split_first() else {
            self.error(statement.span, Problem::WithoutValue { word });
            return Field::Refused;
        };
        self.nothing_more(word, rest.get(1));
        let port = rest.first().map(|port| self.number_of(word, port, 0..=65_535));
        let Field::Given(address) = self.ip(word, first) else { return Field::Refused };
        let port = match port {
            None => 0,
            Some(Field::Given(port)) => u16::try_from(port.value).unwrap_or_default(),
            Some(_) => return Field::Refused,
        };
        given(SocketAddr::new(address.value, port), first.span)
    }

    /// A script with its arguments. Whom it runs as cannot be said of this one.
    pub(super) fn command(&mut self, statement: Option<&Statement>) -> Field<List<String>> {
        let (command, account) = self.command_of(statement);
        let root = Account::parse("root");
        // Without a `script_user` it runs as the daemon, which is root where root can be named.
        if let Some(Spanned { value, span }) = account.given()
            && self.script_user.as_ref().or(root.as_ref()) != Some(value)
        {
            let script_user = self.script_user.as_ref().map(ToString::to_string);
            self.warning(*span, Problem::User { user: value.to_string(), script_user });
        }
        command
    }

    /// A script with its arguments, and perhaps the user that runs it.
    pub(super) fn command_of(
        &mut self,
        statement: Option<&Statement>,
    ) -> (Field<List<String>>, Field<Account>) {
        let Some(statement) = statement else { return (Field::Absent, Field::Absent) };
        let arguments = statement.escaped_arguments();
        let Some((script, user)) = arguments.split_first() else {
            let word = statement.keyword.name;
            self.error(statement.span, Problem::WithoutValue { word });
            return (Field::Refused, Field::Absent);
        };
        let account = super::notify::account(user, self);
        let script_words = command_words(script);
        if script_words.is_empty() {
            self.error(script.span, Problem::WithoutValue { word: statement.keyword.name });
            return (Field::Refused, account);
        }
        (list(script_words, script.span), account)
    }
}

/// The program and its arguments. keepalived looks for a program without a path where a shell
/// would, and so does `env`. `<FILE` alone is for the shell, as in keepalived: whether a file can be
/// opened, or a port where the shell knows `/dev/tcp`.
fn command_words(script: &Word) -> Vec<Spanned<String>> {
    let span = script.span;
    let said = |text: &str| Spanned { value: text.to_owned(), span };
    let is_file = |file: &str| {
        file.starts_with('/')
            && !file.contains(|one: char| one.is_whitespace() || ";&|<>$()`'\"\\".contains(one))
    };
    if script.text.strip_prefix('<').is_some_and(is_file) {
        return vec![said("/bin/sh"), said("-c"), said(&script.text)];
    }
    let words = escaped_words(&Text::line(&script.text, 0, 0, 0));
    let mut words: Vec<_> =
        words.into_iter().map(|word| Spanned { value: word.text, span }).collect();
    if words.first().is_some_and(|program| !program.value.starts_with('/')) {
        words.insert(0, said("/usr/bin/env"));
    }
    words
}

/// `3`, `2.5` or `.5`, to the millisecond: a part of one counts as a whole one.
fn seconds(text: &str) -> Option<Duration> {
    /// More would be no time but a mistyped number.
    const MOST_DIGITS: usize = 12;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_number = digits(whole) && digits(decimals) && whole.len() + decimals.len() > 0;
    if !is_number || whole.len() > MOST_DIGITS {
        return None;
    }
    let seconds: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let (thousandths, rest) = decimals.split_at(decimals.len().min(3));
    let millis: u64 = format!("{thousandths:0<3}").parse().ok()?;
    let more = rest.bytes().any(|digit| digit != b'0');
    Some(Duration::from_secs(seconds) + Duration::from_millis(millis + u64::from(more)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::seconds;

    #[test]
    fn times_are_seconds_with_decimals() {
        for (text, millis) in
            [("3", 3000), ("2.5", 2500), (".25", 250), ("1.", 1000), ("0.0001", 1), ("0", 0)]
        {
            assert_eq!(seconds(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", ".", "-1", "1e3", "1,5", "9999999999999"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
