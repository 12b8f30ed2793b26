//! Addresses that come and go with a virtual router, and the lines that they are on.

use std::slice;

use lb_vrrp::linux::Scope;

use super::values::{Values, given};
use crate::config::draft::Field;
use crate::config::draft::vrrp::{Network, VirtualAddress};
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::source::Spanned;

/// Options that are known but have no effect, and how many words follow each.
pub(super) type Unused = &'static [(&'static str, usize)];

const ADDRESS_OPTIONS: Unused = &[
    ("-nodad", 0),
    ("autojoin", 0),
    ("brd", 1),
    ("broadcast", 1),
    ("home", 0),
    ("mngtmpaddr", 0),
    ("no_track", 0),
    ("noprefixroute", 0),
    ("peer", 1),
    ("track_group", 1),
    ("use_vmac", 0),
];

/// The words of a line, one after the other.
pub(super) struct Row<'w> {
    /// The block that it is in.
    pub(super) key: &'static str,
    words: slice::Iter<'w, Word>,
}

impl<'w> Row<'w> {
    pub(super) fn new(block: &Statement, words: &'w [Word]) -> Self {
        Self { key: block.keyword.name, words: words.iter() }
    }

    pub(super) fn next(&mut self) -> Option<&'w Word> {
        self.words.next()
    }

    /// The next word, if it is this one.
    pub(super) fn next_is(&mut self, text: &str) -> bool {
        let is_it = self.words.as_slice().first().is_some_and(|word| word.text == text);
        if is_it {
            self.words.next();
        }
        is_it
    }

    /// What follows `option`.
    pub(super) fn value(&mut self, option: &Word, values: &mut Values<'_>) -> Option<&'w Word> {
        let value = self.words.next();
        if value.is_none() {
            let problem = Problem::OptionWithoutValue { option: option.text.clone() };
            values.error(option.span, problem);
        }
        value
    }

    pub(super) fn text(&mut self, option: &Word, values: &mut Values<'_>) -> Field<String> {
        match self.value(option, values) {
            Some(word) => given(word.text.clone(), word.span),
            None => Field::Refused,
        }
    }

    pub(super) fn number(&mut self, option: &Word, values: &mut Values<'_>) -> Field<i64> {
        match self.value(option, values) {
            Some(word) => values.number_of(self.key, word, 0..=i64::from(u32::MAX)),
            None => Field::Refused,
        }
    }

    /// An option that is not imported: known to be without effect, or not known at all.
    pub(super) fn other(&mut self, option: &Word, unused: Unused, values: &mut Values<'_>) {
        let (block, text) = (self.key, option.text.clone());
        match unused.iter().find(|(name, _)| *name == text) {
            Some(&(_, words)) => {
                self.next_is("lock");
                self.words.by_ref().take(words).for_each(drop);
                values.warning(option.span, Problem::UnusedOption { block, option: text });
            }
            None => self.unknown(option, values),
        }
    }

    /// Reports an option that keepalived does not know either.
    pub(super) fn unknown(&self, option: &Word, values: &mut Values<'_>) {
        let (block, option_text) = (self.key, option.text.clone());
        let problem = Problem::UnknownOption { block, option: option_text };
        values.error(option.span, problem);
    }
}

/// `ADDRESS[/LENGTH] [dev INTERFACE] [label LABEL] [scope SCOPE] …`
pub(super) fn address(mut row: Row<'_>, values: &mut Values<'_>) -> Option<VirtualAddress> {
    let first = row.next()?;
    let mut address =
        VirtualAddress { address: network(row.key, first, values), ..VirtualAddress::default() };
    while let Some(option) = row.next() {
        match option.text.as_str() {
            "dev" => address.dev = row.text(option, values),
            "label" => address.label = row.text(option, values),
            "scope" => address.scope = scope(&mut row, option, values),
            "preferred_lft" => {
                let is_v6 = address.address.given().is_some_and(|it| it.value.address.is_ipv6());
                address.deprecated = deprecated(&mut row, option, is_v6, values);
            }
            _ => row.other(option, ADDRESS_OPTIONS, values),
        }
    }
    Some(address)
}

/// From the first moment on, or never: what begins some time later would stay so for good. keepalived says it
/// of IPv6 alone.
fn deprecated(
    row: &mut Row<'_>,
    option: &Word,
    is_v6: bool,
    values: &mut Values<'_>,
) -> Field<bool> {
    let Some(word) = row.value(option, values) else { return Field::Refused };
    let is_forever = word.text == "forever";
    let seconds = match is_forever {
        true => given(1, word.span),
        false => values.number_of(row.key, word, 0..=i64::from(u32::MAX)),
    };
    let Field::Given(Spanned { value: seconds, span }) = seconds else { return Field::Refused };
    if !is_v6 || (!is_forever && seconds > 0) {
        let option = format!("preferred_lft {}", word.text);
        values.warning(span, Problem::UnusedOption { block: row.key, option });
    }
    if is_v6 { given(seconds == 0, span) } else { Field::Absent }
}

pub(super) fn network(key: &'static str, word: &Word, values: &mut Values<'_>) -> Field<Network> {
    match Network::parse(&word.text) {
        Some(network) => given(network, word.span),
        None => {
            let text = word.text.clone();
            values.error(word.span, Problem::NotAnAddress { word: key, text });
            Field::Refused
        }
    }
}

pub(super) fn scope(row: &mut Row<'_>, option: &Word, values: &mut Values<'_>) -> Field<Scope> {
    let Some(word) = row.value(option, values) else { return Field::Refused };
    match word.text.as_str() {
        "global" | "0" => given(Scope::Global, word.span),
        "link" | "253" => given(Scope::Link, word.span),
        "host" | "254" => given(Scope::Host, word.span),
        _ => {
            let option = format!("scope {}", word.text);
            values.warning(word.span, Problem::UnusedOption { block: row.key, option });
            Field::Absent
        }
    }
}
