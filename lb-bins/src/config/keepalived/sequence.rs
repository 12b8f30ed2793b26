//! `~SEQ(…)` and `~LST(…)`: the rest of a line, once for each of several values.

use super::text::Text;

/// What stands in front of such a line.
pub(super) struct Sequence {
    /// What gets another value each time.
    pub(super) variables: Vec<String>,
    values: Values,
}

enum Values {
    /// One variable that counts.
    Numbers { next: Option<i64>, last: i64, step: i64, hexadecimal: bool, written: Text },
    /// The values of all variables at a time.
    Listed(std::vec::IntoIter<Vec<Text>>),
}

/// Why it cannot be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(in crate::config) enum SequenceError {
    #[error("a value is missing for each of its variables")]
    MissingValue,
    #[error("there is no closing bracket")]
    Open,
    #[error("{0:?} is not a whole number")]
    NotANumber(String),
    #[error("{0:?} is not the name of a variable")]
    NotAVariable(String),
    #[error("it counts away from its end")]
    WrongWay,
}

/// Splits a line that starts with `~SEQ` or `~LST` behind the bracket; `None` if it does not.
pub(super) fn split(line: &Text) -> Option<Result<(Text, Text), SequenceError>> {
    let text = line.as_str();
    if !text.starts_with("~SEQ") && !text.starts_with("~LST") {
        return None;
    }
    let mut depth = 0_usize;
    for (index, character) in text.char_indices() {
        match character {
            '(' | '{' => depth += 1,
            ')' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if character == ')' && depth == 0 {
            return Some(Ok((line.slice(0..index + 1), line.rest(index + 1).trim())));
        }
    }
    Some(Err(SequenceError::Open))
}

/// Reads `~SEQ(var, [start, [step,]] end)` or `~LST(var, value, …)`, variables in it replaced.
pub(super) fn parse(head: &Text) -> Result<Sequence, SequenceError> {
    let text = head.as_str();
    let (name, hexadecimal) = match text.strip_prefix("~SEQx") {
        Some(_) => ("~SEQx", true),
        None => (&text[..4], false),
    };
    let after = head.rest(name.len()).trim();
    let inner = after.as_str().strip_prefix('(').and_then(|inner| inner.strip_suffix(')'));
    let Some(inner) = inner.map(|inner| after.slice(1..1 + inner.len())) else {
        return Err(SequenceError::Open);
    };
    let mut elements = elements(&inner).into_iter();
    let variables: Vec<String> = elements.next().map_or_else(Vec::new, |first| {
        group(&first).iter().map(|name| name.as_str().to_owned()).collect()
    });
    if let Some(wrong) = variables.iter().find(|name| !is_name(name)) {
        return Err(SequenceError::NotAVariable(wrong.clone()));
    }
    let values = if name == "~LST" {
        let listed: Vec<Vec<Text>> = elements.map(|element| group(&element)).collect();
        if listed.is_empty() || listed.iter().any(|values| values.len() != variables.len()) {
            return Err(SequenceError::MissingValue);
        }
        Values::Listed(listed.into_iter())
    } else {
        let numbers: Vec<i64> = elements.map(|text| number(&text)).collect::<Result<_, _>>()?;
        counting(&numbers, hexadecimal, head)?
    };
    Ok(Sequence { variables, values })
}

fn counting(numbers: &[i64], hexadecimal: bool, written: &Text) -> Result<Values, SequenceError> {
    let (start, step, last) = match *numbers {
        [last] if last < 0 => (-1, -1, last),
        [last] => (1, if last < 1 { -1 } else { 1 }, last),
        [start, last] => (start, if start <= last { 1 } else { -1 }, last),
        [start, step, last] => (start, step, last),
        _ => return Err(SequenceError::MissingValue),
    };
    if step == 0 || (start < last && step < 0) || (start > last && step > 0) {
        return Err(SequenceError::WrongWay);
    }
    if hexadecimal && let Some(negative) = [start, last].into_iter().find(|number| *number < 0) {
        return Err(SequenceError::NotANumber(negative.to_string()));
    }
    Ok(Values::Numbers { next: Some(start), last, step, hexadecimal, written: written.clone() })
}

impl Iterator for Sequence {
    type Item = Vec<Text>;

    fn next(&mut self) -> Option<Vec<Text>> {
        match &mut self.values {
            Values::Listed(listed) => listed.next(),
            Values::Numbers { next, last, step, hexadecimal, written } => {
                let number = (*next)?;
                let up = *step > 0;
                *next = number
                    .checked_add(*step)
                    .filter(|next| if up { *next <= *last } else { *next >= *last });
                let digits = if *hexadecimal { format!("{number:x}") } else { number.to_string() };
                Some(vec![Text::made(digits, written)])
            }
        }
    }
}

/// The parts between commas that are not in braces.
fn elements(text: &Text) -> Vec<Text> {
    let mut elements = Vec::new();
    let (mut start, mut depth) = (0, 0_usize);
    for (index, character) in text.as_str().char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                elements.push(text.slice(start..index).trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    elements.push(text.rest(start).trim());
    elements
}

/// `{a, b}`, or one alone.
fn group(text: &Text) -> Vec<Text> {
    match text.as_str().strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
        Some(inner) => elements(&text.slice(1..1 + inner.len())),
        None => vec![text.clone()],
    }
}

/// As `strtol` with any base reads it: `16`, `0x10` and `020` are the same.
fn number(text: &Text) -> Result<i64, SequenceError> {
    let written = text.as_str();
    let (negative, digits) = match written.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, written),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    let value = i64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with(['+', '-']));
    let value = value.ok_or_else(|| SequenceError::NotANumber(written.to_owned()))?;
    Ok(if negative { -value } else { value })
}

/// Letters, digits and `_`, no digit first.
pub(super) fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|other| other.is_ascii_alphanumeric() || other == '_')
}
