//! `$NAME=…` and what becomes of `$NAME` and `${NAME}`.

use std::collections::HashMap;

use super::sequence::is_name;
use super::text::Text;

/// What variables stand for: one line, or several.
pub(super) struct Definitions<'a> {
    by_name: HashMap<String, Vec<Text>>,
    environment: &'a Environment<'a>,
    chance: SplitMix,
}

/// What a variable of the environment is, if it is set.
pub(super) type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// What became of a line with variables.
pub(super) enum Replaced {
    /// There was nothing to replace.
    Nothing,
    /// Another line, or several if its last word stood for several.
    Lines(Vec<Text>),
}

/// `$NAME=VALUE`, which has no space in front of the `=`.
pub(super) fn definition(line: &Text) -> Option<(String, Text)> {
    let (name, _) = line.as_str().strip_prefix('$')?.split_once('=')?;
    is_name(name).then(|| (name.to_owned(), line.rest(name.len() + 2).trim()))
}

/// A place where a variable may be meant.
struct Use {
    name: String,
    /// What is between the name and the closing brace: numbers, or a variable of the environment.
    parameters: Vec<String>,
    start: usize,
    end: usize,
}

impl<'a> Definitions<'a> {
    /// Those that are always there: of this host, and of the directory that is read.
    pub(super) fn new(config_id: &str, environment: &'a Environment<'a>, seed: u64) -> Self {
        let standard = [("_INSTANCE", config_id), ("_HASH", "#"), ("_BANG", "!")];
        let by_name = standard.map(|(name, value)| (name.to_owned(), vec![Text::nowhere(value)]));
        Self { by_name: by_name.into(), environment, chance: SplitMix(seed) }
    }

    /// What follows is the same each time.
    pub(super) const fn reseed(&mut self, seed: u64) {
        self.chance = SplitMix(seed);
    }

    /// Gives a variable a value, or another one.
    pub(super) fn set(&mut self, name: String, value: Vec<Text>) {
        self.by_name.insert(name, value);
    }

    /// Replaces every variable of `line` that is defined, those in what was put there not yet.
    pub(super) fn replace(&mut self, line: &Text) -> Replaced {
        let mut done = Text::default();
        let mut copied = 0;
        let mut search = 0;
        while let Some(found) = next_use(line.as_str(), search) {
            search = found.end;
            let value = self.value(&found);
            let Some((first, others)) = value.as_deref().and_then(<[Text]>::split_first) else {
                continue;
            };
            // Several lines have no room within one.
            if !others.is_empty() && found.end < line.len() {
                continue;
            }
            // What was put in front of them may be a sequence, which repeats all of them.
            if !others.is_empty() && copied > 0 {
                break;
            }
            done.push(&line.slice(copied..found.start));
            if first.is_nowhere() {
                let written = line.slice(found.start..found.end);
                done.push(&Text::made(first.as_str().to_owned(), &written));
            } else {
                done.push(first);
            }
            copied = found.end;
            if !others.is_empty() {
                return Replaced::Lines(std::iter::once(done).chain(others.to_vec()).collect());
            }
        }
        if copied == 0 {
            return Replaced::Nothing;
        }
        done.push(&line.rest(copied));
        Replaced::Lines(vec![done])
    }

    /// The variables that are written in `line`, begin before its octet `end`, and are not defined.
    pub(super) fn undefined(&self, line: &Text, end: usize) -> Vec<Text> {
        let mut undefined = Vec::new();
        let mut search = 0;
        let next = |search| next_use(line.as_str(), search).filter(|found| found.start < end);
        while let Some(found) = next(search) {
            search = found.end;
            let is_defined = match (found.name.as_str(), &found.parameters[..]) {
                ("_RANDOM", _) => true,
                ("_ENV", [name]) => (self.environment)(name).is_some(),
                _ => self.by_name.contains_key(&found.name),
            };
            if !is_defined {
                undefined.push(line.slice(found.start..found.end));
            }
        }
        undefined
    }

    fn value(&mut self, found: &Use) -> Option<Vec<Text>> {
        if found.name == "_ENV" {
            let [name] = &found.parameters[..] else { return None };
            return Some(vec![Text::nowhere((self.environment)(name)?)]);
        }
        if found.name == "_RANDOM" {
            let numbers: Vec<u64> =
                found.parameters.iter().map(|number| number.parse().ok()).collect::<Option<_>>()?;
            let (least, most) = match *numbers {
                [] => (0, 32_767),
                [least] => (least, 32_767),
                [least, most, ..] => (least, most),
            };
            let span = most.saturating_sub(least).saturating_add(1);
            let number = least.saturating_add(self.chance.next() % span);
            return Some(vec![Text::nowhere(number.to_string())]);
        }
        self.by_name.get(&found.name).filter(|_| found.parameters.is_empty()).cloned()
    }
}

/// The next `${NAME}`, or `$NAME` with something behind it that ends a name.
fn next_use(text: &str, from: usize) -> Option<Use> {
    let mut from = from;
    loop {
        let start = from + text.get(from..)?.find('$')?;
        from = start + 1;
        let after = &text[start + 1..];
        let braced = after.strip_prefix('{');
        let named = braced.unwrap_or(after);
        let length = named
            .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
            .unwrap_or(named.len());
        let (name, rest) = named.split_at(length);
        if !is_name(name) {
            continue;
        }
        let name = name.to_owned();
        if braced.is_none() {
            if rest.is_empty() || rest.starts_with([' ', '\t', ',', ')']) {
                let end = start + 1 + length;
                return Some(Use { name, parameters: Vec::new(), start, end });
            }
            continue;
        }
        let Some(close) = rest.find('}') else { continue };
        let parameters: Vec<_> = rest[..close].split_whitespace().map(str::to_owned).collect();
        let is_number = |text: &String| text.parse::<u64>().is_ok();
        if name == "_ENV" || parameters.iter().all(is_number) {
            let end = start + 2 + length + close + 1;
            return Some(Use { name, parameters, start, end });
        }
    }
}

/// Steele, Lea and Flood's generator: as random as a spread of timers has to be.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}
