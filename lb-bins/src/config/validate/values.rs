//! Rules for single values.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::draft::{Field, List};
use crate::config::mistakes::Mistakes;
use crate::config::model::Command;
use crate::config::problem::Problem;
use crate::config::source::{Span, Spanned};

/// Longer durations are mistyped, and far from where adding them to a clock could overflow.
const LONGEST_DURATION: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// An integer within `range`.
pub(super) fn integer<T>(
    key: &'static str,
    field: &Field<i64>,
    range: RangeInclusive<T>,
    default: T,
    mistakes: &mut Mistakes,
) -> T
where
    T: Copy + Into<i64> + PartialOrd + TryFrom<i64>,
{
    let Some(&Spanned { value, span }) = field.given() else { return default };
    match T::try_from(value).ok().filter(|value| range.contains(value)) {
        Some(value) => value,
        None => {
            let (least, most) = ((*range.start()).into(), (*range.end()).into());
            mistakes.error(span, Problem::OutOfRange { key, value, least, most });
            default
        }
    }
}

/// A duration above zero.
pub(super) fn duration(
    key: &'static str,
    field: &Field<Duration>,
    default: Duration,
    mistakes: &mut Mistakes,
) -> Duration {
    if let Some(&Spanned { value: Duration::ZERO, span }) = field.given() {
        mistakes.error(span, Problem::ZeroDuration { key });
    }
    duration_or_zero(key, field, default, mistakes)
}

/// A duration that may be zero.
pub(super) fn duration_or_zero(
    key: &'static str,
    field: &Field<Duration>,
    default: Duration,
    mistakes: &mut Mistakes,
) -> Duration {
    let Some(&Spanned { value, span }) = field.given() else { return default };
    if value > LONGEST_DURATION {
        mistakes.error(span, Problem::LongDuration { key, value });
    }
    value
}

/// An address that has a port.
pub(super) fn port(key: &'static str, address: SocketAddr, span: Span, mistakes: &mut Mistakes) {
    if address.port() == 0 {
        mistakes.error(span, Problem::ZeroPort { key, address });
    }
}

/// An address that a virtual server that listens on `listen` can connect to.
pub(super) fn destination(
    key: &'static str,
    field: &Field<SocketAddr>,
    listen: SocketAddr,
    mistakes: &mut Mistakes,
) -> Option<SocketAddr> {
    let &Spanned { value: address, span } = field.given()?;
    port(key, address, span, mistakes);
    if address.ip().to_canonical().is_unspecified() {
        mistakes.error(span, Problem::Unspecified { key, address });
    } else if is_itself(address, listen) {
        mistakes.error(span, Problem::ForwardsToItself { key, address });
    }
    Some(address)
}

/// Whether connections to `address` come back to whoever listens on `listen`.
fn is_itself(address: SocketAddr, listen: SocketAddr) -> bool {
    let everywhere = listen.ip().is_unspecified() && address.ip().to_canonical().is_loopback();
    address.port() != 0
        && address.port() == listen.port()
        && (address.ip() == listen.ip() || everywhere)
}

/// A program with its arguments.
pub(super) fn command(
    key: &'static str,
    field: &Field<List<String>>,
    mistakes: &mut Mistakes,
) -> Option<Command> {
    let Spanned { value: words, span } = field.given()?;
    if words.is_empty() {
        mistakes.error(*span, Problem::Empty { key });
    }
    // Without all of its words it cannot even be told which of them is the program.
    let (program, arguments) = words.elements.split_first().filter(|_| words.complete)?;
    if !program.value.starts_with('/') {
        let program_name = program.value.clone();
        mistakes.error(program.span, Problem::RelativeProgram { key, program: program_name });
    }
    for word in &words.elements {
        // The system takes words that end where the first NUL is.
        characters(key, word, |character| character != '\0', mistakes);
    }
    Some(Command {
        program: program.value.clone(),
        arguments: arguments.iter().map(|argument| argument.value.clone()).collect(),
    })
}

/// Reports the first character that is not `allowed`.
pub(super) fn characters(
    key: &'static str,
    text: &Spanned<String>,
    allowed: impl Fn(char) -> bool,
    mistakes: &mut Mistakes,
) {
    if let Some(character) = text.value.chars().find(|&character| !allowed(character)) {
        mistakes.error(text.span, Problem::BadCharacter { key, character });
    }
}
