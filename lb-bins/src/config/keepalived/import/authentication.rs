//! How the routers of an instance know each other: `authentication` and `auth_hmac`.

use lb_vrrp::Migration;

use super::values::{Values, given, list};
use crate::config::draft::Field;
use crate::config::draft::vrrp::{Authentication, AuthenticationType, HmacKey};
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::source::{Span, Spanned};

/// Of both blocks only one can be there. `strict` has none but the signatures, which came later.
pub(super) fn authentication(
    instance: &Statement,
    version: &Field<i64>,
    strict: bool,
    values: &mut Values<'_>,
) -> Field<Authentication> {
    let password = instance.last("authentication");
    if let Some(block) = instance.last("auth_hmac") {
        if let Some(other) = password {
            values.error(other.span, Problem::TwoAuthentications);
        }
        return given(signatures(block, values), block.span);
    }
    let Some(block) = password else { return Field::Absent };
    if strict || version.or(2) == 3 {
        let problem = match strict {
            true => Problem::NotStrict { word: "authentication" },
            false => Problem::AuthenticationOfVersion3,
        };
        values.warning(block.span, problem);
        return Field::Absent;
    }
    const TYPES: &[(&str, AuthenticationType)] =
        &[("PASS", AuthenticationType::Pass), ("AH", AuthenticationType::Ah)];
    let Some(statement) = block.last("auth_type") else {
        values.warning(block.span, Problem::WithoutAuthenticationType);
        return Field::Absent;
    };
    let word = values.argument(statement);
    let kind = word.and_then(|word| {
        let kind = values.choice_if_known(statement.keyword.name, word, TYPES)?;
        Some(given(kind, word.span))
    });
    // Without a type keepalived has no authentication, and refuses who has.
    let Some(kind) = kind else { return Field::Absent };
    let password = values.text(block.last("auth_pass"));
    if matches!(password, Field::Absent) {
        values.warning(block.span, Problem::WithoutPassword);
        return Field::Absent;
    }
    given(Authentication { kind, password, ..Authentication::default() }, block.span)
}

fn choice<T: Copy>(
    statement: &Statement,
    choices: &[(&'static str, T)],
    values: &mut Values<'_>,
) -> Field<T> {
    let Some(word) = values.argument(statement) else { return Field::Refused };
    match values.choice(statement.keyword.name, word, choices) {
        Some(value) => given(value, word.span),
        None => Field::Refused,
    }
}

/// The key that signs is the first here.
fn signatures(block: &Statement, values: &mut Values<'_>) -> Authentication {
    const MODES: &[(&str, Migration)] = &[
        ("enforce", Migration::Enforce),
        ("permissive", Migration::Permissive),
        ("receive-only", Migration::ReceiveOnly),
    ];
    const TIMES: &[(&str, bool)] = &[("time", false), ("monotonic", true)];
    const LONGEST_WINDOW: i64 = 300;
    let mut keys: Vec<_> = block
        .each("key")
        .filter_map(|statement| {
            Some(Spanned { value: key(statement, values)?, span: statement.span })
        })
        .collect();
    match values.number(block.last("active_key"), 1..=255) {
        Field::Given(Spanned { value: id, span }) => {
            let is_it = |key: &Spanned<HmacKey>| key.value.id.or(0) == id;
            match keys.iter().position(is_it) {
                Some(at) => keys[..=at].rotate_right(1),
                None => values.error(span, Problem::NoKey { id }),
            }
        }
        Field::Absent if keys.len() > 1 => {
            let (word, option) = ("auth_hmac", "active_key");
            values.error(block.span, Problem::Needs { word, option });
        }
        Field::Absent | Field::Refused => {}
    }
    let kind = given(AuthenticationType::Hmac, block.span);
    let monotonic = match block.last("anti_replay") {
        Some(statement) => choice(statement, TIMES, values),
        None => Field::Absent,
    };
    let window = values.number(block.last("time_window"), 1..=LONGEST_WINDOW);
    let mode = match block.last("mode") {
        Some(statement) => choice(statement, MODES, values),
        None => Field::Absent,
    };
    Authentication {
        kind,
        keys: list(keys, block.span),
        mode,
        window: super::values::whole_seconds(window),
        monotonic,
        ..Authentication::default()
    }
}

/// `ID SECRET`: as it is, or `hex:DIGITS`, or `file:PATH`.
fn key(statement: &Statement, values: &mut Values<'_>) -> Option<HmacKey> {
    let [id, secret, rest @ ..] = &statement.arguments[..] else {
        values.error(statement.span, Problem::WithoutValue { word: "key" });
        return None;
    };
    values.nothing_more("key", rest.first());
    let mut key = HmacKey { id: values.number_of("key", id, 1..=255), ..HmacKey::default() };
    let Word { text, span } = secret;
    let rest = |start: usize| given(text[start..].to_owned(), behind(*span, start));
    if text.starts_with("hex:") {
        key.secret_hex = rest("hex:".len());
    } else if text.starts_with("file:") {
        key.secret_file = rest("file:".len());
    } else {
        key.secret = given(text.clone(), *span);
    }
    Some(key)
}

/// Where a text is without its first octets, unless quotes hide that.
fn behind(span: Span, start: usize) -> Span {
    Span { start: (span.start + start).min(span.end), ..span }
}
