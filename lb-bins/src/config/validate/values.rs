//! Rules for single values.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use lb_health::digest::{Digest, ParseDigestError};

use crate::config::draft::{Field, List};
use crate::config::mistakes::Mistakes;
use crate::config::model::check::{Nibbles, Pattern};
use crate::config::model::{Address, Command, is_on_every_link};
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
        mistakes.error(span, Problem::ZeroPort { key, address: address.into() });
    }
}

/// A server that a virtual server that listens on `listen` can connect to. What a name will stand for,
/// nobody knows.
pub(super) fn destination(
    key: &'static str,
    field: &Field<Address>,
    listen: SocketAddr,
    mistakes: &mut Mistakes,
) -> Option<Address> {
    let server = self::server(key, field, mistakes)?;
    if let Some(address) = server.numeric()
        && is_itself(address, listen)
    {
        let problem = Problem::ForwardsToItself { key, address };
        mistakes.error(field.span(), problem);
    }
    Some(server)
}

/// A server that can be connected to.
pub(super) fn server(
    key: &'static str,
    field: &Field<Address>,
    mistakes: &mut Mistakes,
) -> Option<Address> {
    let Spanned { value: server, span } = field.given()?;
    match server {
        Address::Numeric(address) => {
            reachable(key, Spanned { value: *address, span: *span }, mistakes);
        }
        Address::Named { port: 0, .. } => {
            mistakes.error(*span, Problem::ZeroPort { key, address: server.clone() });
        }
        Address::Named { .. } => {}
    }
    Some(server.clone())
}

/// An address that can be connected to.
pub(super) fn reachable(
    key: &'static str,
    Spanned { value: address, span }: Spanned<SocketAddr>,
    mistakes: &mut Mistakes,
) -> SocketAddr {
    port(key, address, span, mistakes);
    on_one_link(key, address, span, mistakes);
    if address.ip().to_canonical().is_unspecified() {
        mistakes.error(span, Problem::Unspecified { key, address });
    }
    address
}

/// An address that says which link it is on, if it takes that.
pub(super) fn on_one_link(
    key: &'static str,
    address: SocketAddr,
    span: Span,
    mistakes: &mut Mistakes,
) {
    if is_on_every_link(address) {
        mistakes.error(span, Problem::NoZone { key, address });
    }
}

/// Whether connections to `address` come back to whoever listens on `listen`.
fn is_itself(address: SocketAddr, listen: SocketAddr) -> bool {
    let everywhere = listen.ip().is_unspecified() && address.ip().to_canonical().is_loopback();
    address.port() != 0
        && !address.ip().to_canonical().is_unspecified()
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
        user: None,
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

/// The absolute path of a file.
pub(super) fn file(
    key: &'static str,
    field: &Field<String>,
    mistakes: &mut Mistakes,
) -> Option<PathBuf> {
    let path = field.given()?;
    if !path.value.starts_with('/') {
        let problem = Problem::RelativePath { key, path: path.value.clone() };
        mistakes.error(path.span, problem);
    }
    characters(key, path, |character| character != '\0', mistakes);
    Some(PathBuf::from(&path.value))
}

/// A text that is not empty.
pub(super) fn content(
    key: &'static str,
    field: &Field<String>,
    mistakes: &mut Mistakes,
) -> Option<String> {
    let Spanned { value: text, span } = field.given()?;
    if text.is_empty() {
        mistakes.error(*span, Problem::Empty { key });
    }
    Some(text.clone())
}

/// The same without NUL, which ends texts in many protocols.
pub(super) fn text(
    key: &'static str,
    field: &Field<String>,
    mistakes: &mut Mistakes,
) -> Option<String> {
    characters(key, field.given()?, |character| character != '\0', mistakes);
    content(key, field, mistakes)
}

/// The same of visible characters alone, so that it is one word of a line.
pub(super) fn word(
    key: &'static str,
    field: &Field<String>,
    mistakes: &mut Mistakes,
) -> Option<String> {
    characters(key, field.given()?, |character| character.is_ascii_graphic(), mistakes);
    content(key, field, mistakes)
}

/// A regular expression.
pub(super) fn pattern(
    key: &'static str,
    field: &Field<String>,
    mistakes: &mut Mistakes,
) -> Option<Pattern> {
    let Spanned { value: text, span } = field.given()?;
    let pattern = text.parse::<Pattern>();
    pattern
        .map_err(|error| {
            let (text, reason) = (text.clone(), error.reason);
            mistakes.error(*span, Problem::NotAPattern { key, text, reason });
        })
        .ok()
}

/// The digest that `digits` hexadecimal digits say.
pub(super) fn digest(
    key: &'static str,
    parse: fn(&str) -> Result<Digest, ParseDigestError>,
    field: &Field<String>,
    mistakes: &mut Mistakes,
) -> Option<Digest> {
    let Spanned { value: text, span } = field.given()?;
    let refused = |ParseDigestError { digits, text, .. }| {
        mistakes.error(*span, Problem::NotADigest { key, digits, text });
    };
    parse(text).map_err(refused).ok()
}

/// Bytes in hexadecimal digits, of which some may be open.
pub(super) fn nibbles(
    key: &'static str,
    field: &Field<String>,
    mistakes: &mut Mistakes,
) -> Option<Nibbles> {
    let Spanned { value: text, span } = field.given()?;
    let nibbles = Nibbles::from_digits(text).filter(|nibbles| !nibbles.bytes().is_empty());
    if nibbles.is_none() {
        mistakes.error(*span, Problem::NotHex { key, text: text.clone(), open: true });
    }
    nibbles
}

/// Bytes in hexadecimal digits.
pub(super) fn bytes(
    key: &'static str,
    field: &Field<String>,
    mistakes: &mut Mistakes,
) -> Option<Vec<u8>> {
    let Spanned { value: text, span } = field.given()?;
    let bytes = Nibbles::from_digits(text).and_then(Nibbles::into_bytes);
    let bytes = bytes.filter(|bytes| !bytes.is_empty());
    if bytes.is_none() {
        mistakes.error(*span, Problem::NotHex { key, text: text.clone(), open: false });
    }
    bytes
}

/// Reports a text that is not a domain name of `allowed` characters.
pub(super) fn domain(
    key: &'static str,
    name: &Spanned<String>,
    allowed: impl Fn(char) -> bool,
    mistakes: &mut Mistakes,
) {
    if !is_domain(&name.value) {
        mistakes.error(name.span, Problem::NotADomain { key, text: name.value.clone() });
    }
    characters(key, name, allowed, mistakes);
}

/// Whether a text has the lengths of a domain name: RFC 1035, 2.3.4.
pub(super) fn is_domain(name: &str) -> bool {
    let labels = name.strip_suffix('.').unwrap_or(name);
    name == "."
        || labels.len() <= 253 && labels.split('.').all(|label| (1..=63).contains(&label.len()))
}

/// Reports what is given though nothing is there that it needs.
pub(super) fn needs<T>(
    needed: &Field<T>,
    needs: &'static str,
    dependants: impl IntoIterator<Item = (&'static str, Option<Span>)>,
    mistakes: &mut Mistakes,
) {
    if !matches!(needed, Field::Absent) {
        return;
    }
    for (key, span) in dependants {
        if let Some(span) = span {
            mistakes.error(span, Problem::Without { key, needs });
        }
    }
}
