//! What virtual routers depend on.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;

use super::addresses::Row;
use super::notify::account_of;
use super::values::{Values, given, list};
use crate::config::draft::vrrp::{Track, VrrpScript, VrrpTrackFile, VrrpTrackProcess};
use crate::config::draft::{Field, List};
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::model::{ParameterMatch, ScriptInitial};
use crate::config::nearest::nearest;
use crate::config::source::Spanned;

/// The largest `rise`, `fall` or `quorum` that can be meant.
const MOST: i64 = 65_535;

/// The largest weight: more than there are priorities.
const MOST_WEIGHT: i64 = 254;

/// What is said of the weights of things where they are described: it holds wherever they are tracked
/// without a weight.
#[derive(Default)]
pub(super) struct Described<'s> {
    /// Those whose weight is turned round.
    reversed: HashSet<&'s str>,
    /// Those that have one that is not 0, as they are named here.
    weighted: HashSet<String>,
    /// All of them.
    names: HashSet<&'s str>,
}

/// The name of a block, which must have one. keepalived takes any word.
pub(super) fn name(statement: &Statement, values: &mut Values<'_>) -> Field<String> {
    let field = values.text(Some(statement));
    if let Field::Given(Spanned { value, span }) = &field {
        let name = mended(value);
        if name != *value {
            values.warning(*span, Problem::NameMended { text: value.clone(), name });
        }
    }
    field.map(|name| mended(&name))
}

/// A name of characters that names have here.
pub(super) fn mended(name: &str) -> String {
    let is_known = |one: char| one.is_ascii_alphanumeric() || "._:[]-".contains(one);
    name.chars().map(|one| if is_known(one) { one } else { '_' }).collect()
}

impl<'s> Described<'s> {
    /// Whether it is said of something that is tracked that it has a weight.
    pub(super) fn has_weight(&self, track: &Track) -> bool {
        let described = track.name.given().is_some_and(|it| self.weighted.contains(&it.value));
        track.weight.given().map_or(described, |weight| weight.value != 0)
    }

    /// `weight NUMBER [reverse]` of what is described by `statement`.
    fn weight(&mut self, statement: &'s Statement, values: &mut Values<'_>) -> Field<i64> {
        let Some(weight) = statement.last("weight") else { return Field::Absent };
        let Some((first, rest)) = weight.arguments.split_first() else {
            let word = weight.keyword.name;
            values.error(weight.span, Problem::WithoutValue { word });
            return Field::Refused;
        };
        let reversed = rest.first().is_some_and(|word| word.text == "reverse");
        values.nothing_more("weight", rest.get(usize::from(reversed)));
        let weight = values.weight(first, MOST_WEIGHT);
        if let Some(name) = statement.arguments.first() {
            if reversed {
                self.reversed.insert(&name.text);
            }
            if weight.or(0) != 0 {
                self.weighted.insert(mended(&name.text));
            }
        }
        weight
    }

    fn describe(&mut self, statement: &'s Statement) {
        self.names.extend(statement.arguments.first().map(|name| name.text.as_str()));
    }

    pub(super) fn script(
        &mut self,
        statement: &'s Statement,
        values: &mut Values<'_>,
    ) -> VrrpScript {
        self.describe(statement);
        let (command, behind_it) = values.command_of(statement.last("script"));
        let user = match account_of(statement.last("user"), values) {
            Field::Absent => behind_it,
            user => user,
        };
        VrrpScript {
            name: name(statement, values),
            command,
            user,
            interval: values.timer(statement.last("interval")),
            timeout: values.timer(statement.last("timeout")),
            rise: values.number(statement.last("rise"), 1..=MOST),
            fall: values.number(statement.last("fall"), 1..=MOST),
            weight: self.weight(statement, values),
            initial: match statement.last("init_fail") {
                Some(word) => given(ScriptInitial::Down, word.span),
                None => Field::Absent,
            },
        }
    }

    pub(super) fn file(
        &mut self,
        statement: &'s Statement,
        values: &mut Values<'_>,
    ) -> VrrpTrackFile {
        self.describe(statement);
        VrrpTrackFile {
            name: name(statement, values),
            file: values.text(statement.last("file")),
            weight: self.weight(statement, values),
        }
    }

    pub(super) fn process(
        &mut self,
        statement: &'s Statement,
        values: &mut Values<'_>,
    ) -> VrrpTrackProcess {
        self.describe(statement);
        let (process, parameters) = match statement.last("process") {
            None => (Field::Absent, Field::Absent),
            Some(process) => {
                let words = process.escaped_arguments();
                let parameters = parameters(statement, words.get(1..).unwrap_or_default(), process);
                match words.first() {
                    None => (values.text(Some(process)), Field::Absent),
                    Some(program) => (given(program.text.clone(), program.span), parameters),
                }
            }
        };
        let parameter_match = match statement.last("param_match") {
            None => Field::Absent,
            Some(statement) => {
                const MATCHES: &[(&str, ParameterMatch)] =
                    &[("initial", ParameterMatch::Initial), ("partial", ParameterMatch::Partial)];
                let word = values.argument(statement);
                let chosen = word.and_then(|word| {
                    Some(given(values.choice("param_match", word, MATCHES)?, word.span))
                });
                chosen.unwrap_or(Field::Refused)
            }
        };
        let quorum_max = values.number(statement.last("quorum_max"), 0..=MOST);
        // None at all may run, and none need to.
        let quorum = match values.number(statement.last("quorum"), 1..=MOST) {
            Field::Absent if quorum_max.given().is_some_and(|most| most.value == 0) => {
                given(0, statement.span)
            }
            quorum => quorum,
        };
        let weight = match self.weight(statement, values) {
            Field::Absent => given(1, statement.span),
            weight => weight,
        };
        VrrpTrackProcess {
            name: name(statement, values),
            process,
            parameters,
            parameter_match,
            quorum,
            quorum_max,
            delay: values.timer_or_zero(statement.last("delay")),
            up_delay: values.timer_or_zero(statement.last("fork_delay")),
            down_delay: values.timer_or_zero(statement.last("terminate_delay")),
            weight,
        }
    }

    /// The lines of every block `word`: `NAME [weight NUMBER [reverse|noreverse]]`.
    pub(super) fn tracks(
        &self,
        statement: &Statement,
        word: &str,
        values: &mut Values<'_>,
    ) -> Vec<Spanned<Track>> {
        let mut tracks = Vec::new();
        for block in statement.each(word) {
            for words in block.rows() {
                tracks.extend(self.track(Row::new(block, words), values));
            }
        }
        each_once(tracks, |track| Some(track.name.given()?.value.clone()), values)
    }

    fn track(&self, mut row: Row<'_>, values: &mut Values<'_>) -> Option<Spanned<Track>> {
        let first = row.next()?;
        let is_interface = row.key == "track_interface";
        if !is_interface && !self.names.contains(first.text.as_str()) {
            let (key, name) = (row.key, first.text.clone());
            let mut known: Vec<&str> = self.names.iter().copied().collect();
            known.sort_unstable();
            let nearest = nearest(&name, &known).map(str::to_owned);
            values.warning(first.span, Problem::NotDescribed { key, name, nearest });
            return None;
        }
        let name = if is_interface { first.text.clone() } else { mended(&first.text) };
        let mut track = Track { name: given(name, first.span), ..Track::default() };
        if self.reversed.contains(first.text.as_str()) {
            track.reverse = given(true, first.span);
        }
        while let Some(option) = row.next() {
            match option.text.as_str() {
                "weight" => {
                    track.weight = match row.value(option, values) {
                        Some(word) => values.weight(word, MOST_WEIGHT),
                        None => Field::Refused,
                    };
                    track.reverse = Field::Absent;
                }
                "reverse" => track.reverse = given(true, option.span),
                "noreverse" | "no_reverse" => track.reverse = given(false, option.span),
                _ => {
                    row.unknown(option, values);
                }
            }
        }
        Some(Spanned { value: track, span: first.span })
    }
}

/// What must be behind the program: what is behind it here, or with `param_match` and nothing behind it,
/// nothing. `full_command` alone asks for the program as it was started, without anything behind it.
fn parameters(statement: &Statement, words: &[Word], process: &Statement) -> Field<List<String>> {
    let asks = ["full_command", "param_match"].iter().any(|word| statement.last(word).is_some());
    if words.is_empty() && !asks {
        return Field::Absent;
    }
    let words = words.iter();
    let words = words.map(|word| Spanned { value: word.text.clone(), span: word.span });
    list(words.collect(), process.span)
}

/// The first of those that are listed twice. keepalived leaves out the others as well.
pub(super) fn each_once<T, K: Display + Eq + Hash>(
    elements: Vec<Spanned<T>>,
    key: impl Fn(&T) -> Option<K>,
    values: &mut Values<'_>,
) -> Vec<Spanned<T>> {
    let mut seen = HashSet::new();
    let mut is_first = |element: &Spanned<T>| {
        let Some(key) = key(&element.value) else { return true };
        let text = key.to_string();
        let is_first = seen.insert(key);
        if !is_first {
            values.warning(element.span, Problem::Twice { text });
        }
        is_first
    };
    elements.into_iter().filter(|element| is_first(element)).collect()
}

/// A list, if there is something in it.
pub(super) fn if_any<T>(elements: Vec<Spanned<T>>) -> Field<List<T>> {
    match elements.first().map(|first| first.span) {
        Some(span) => list(elements, span),
        None => Field::Absent,
    }
}

/// What is read from each line of each block `word`.
pub(super) fn rows<T>(
    statement: &Statement,
    word: &str,
    read: impl Fn(Row<'_>, &mut Values<'_>) -> Option<T>,
    values: &mut Values<'_>,
) -> Vec<Spanned<T>> {
    let mut found = Vec::new();
    for block in statement.each(word) {
        for words in block.rows() {
            let span = words.first().map_or(block.span, |first| first.span);
            let value = read(Row::new(block, words), values);
            found.extend(value.map(|value| Spanned { value, span }));
        }
    }
    found
}
