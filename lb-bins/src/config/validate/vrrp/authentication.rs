//! Rules for authentication.

use lb_vrrp::{Freshness, Version};

use super::absolute;
use crate::config::defaults;
use crate::config::draft::Field;
use crate::config::draft::vrrp::{self as draft, AuthenticationType};
use crate::config::mistakes::Mistakes;
use crate::config::model::{Authentication, HmacKey, KeySecret};
use crate::config::problem::{Problem, VrrpProblem};
use crate::config::source::{Span, Spanned};
use crate::config::validate::values::{bytes, duration, integer};
use crate::config::validate::{elements, is_empty, report_repeated};
use crate::config::words::Word;

/// The password is as long in every version 2 packet.
const PASSWORD: usize = 8;

pub(super) fn authentication(
    field: &Field<draft::Authentication>,
    version: Version,
    mistakes: &mut Mistakes,
) -> Authentication {
    let Some(given) = field.given() else { return Authentication::None };
    let Spanned { value: draft, span } = given;
    let kind = draft.kind.or(AuthenticationType::default());
    if draft.kind.is_refused() {
        return Authentication::None;
    }
    report_other_keys(draft, kind, mistakes);
    if kind == AuthenticationType::Hmac {
        return hmac(given, mistakes);
    }
    if version != Version::V2 {
        let problem = VrrpProblem::AuthenticationForVersion { kind: kind.word() };
        mistakes.error(draft.kind.span().unwrap_or(*span), problem.into());
    }
    let password = match &draft.password {
        Field::Given(password) => {
            let length = password.value.len();
            if length == 0 {
                mistakes.error(password.span, Problem::Empty { key: "password" });
            } else if length > PASSWORD {
                mistakes.warning(password.span, VrrpProblem::LongPassword { length }.into());
            }
            password.value.clone()
        }
        Field::Absent => {
            let sample = r#"password = "secret""#;
            mistakes.error(*span, Problem::Missing { key: "password", sample });
            String::new()
        }
        Field::Refused => String::new(),
    };
    match kind {
        AuthenticationType::Ah => Authentication::Ah(password),
        _ => Authentication::Pass(password),
    }
}

fn report_other_keys(
    draft: &draft::Authentication,
    kind: AuthenticationType,
    mistakes: &mut Mistakes,
) {
    let is_hmac = kind == AuthenticationType::Hmac;
    for (key, span, belongs_to_hmac) in [
        ("password", draft.password.span(), false),
        ("keys", draft.keys.span(), true),
        ("mode", draft.mode.span(), true),
        ("window", draft.window.span(), true),
        ("monotonic", draft.monotonic.span(), true),
    ] {
        if let Some(span) = span.filter(|_| is_hmac != belongs_to_hmac) {
            let belongs_to = if belongs_to_hmac { "hmac" } else { "pass" };
            let kind = kind.word();
            mistakes.error(span, VrrpProblem::AuthenticationKey { key, belongs_to, kind }.into());
        }
    }
}

fn hmac(
    Spanned { value: draft, span }: &Spanned<draft::Authentication>,
    mistakes: &mut Mistakes,
) -> Authentication {
    if is_empty(&draft.keys) {
        let (what, key) = ("signatures", "keys");
        let sample = r#"keys = [{ id = 1, secret = "32 to 64 characters" }]"#;
        mistakes.error(*span, VrrpProblem::Nothing { what, key, sample }.into());
    }
    let drafts = elements(&draft.keys);
    let keys: Vec<_> = drafts.iter().map(|key| hmac_key(key, mistakes)).collect();
    let ids = drafts.iter().zip(&keys).filter_map(|(draft, key)| {
        draft.value.id.given().map(|id| Spanned { value: key.id, span: id.span })
    });
    report_repeated(ids, |id| VrrpProblem::KeyTwice { id }.into(), mistakes);
    let window =
        draft.window.given().map(|given| duration("window", &draft.window, given.value, mistakes));
    let freshness = if draft.monotonic.or(false) {
        if let Some(span) = draft.window.span() {
            let (key, with) = ("window", "monotonic");
            mistakes.warning(span, VrrpProblem::NoEffectWith { key, with }.into());
        }
        Some(Freshness::Monotonic)
    } else {
        window.map(Freshness::Window)
    };
    Authentication::Hmac { keys, mode: draft.mode.or(defaults::MIGRATION), freshness }
}

fn hmac_key(
    Spanned { value: draft, span }: &Spanned<draft::HmacKey>,
    mistakes: &mut Mistakes,
) -> HmacKey {
    if matches!(draft.id, Field::Absent) {
        mistakes.error(*span, Problem::Missing { key: "id", sample: "id = 1" });
    }
    let secret = secret(draft, *span, mistakes);
    HmacKey { id: integer("id", &draft.id, 1..=u8::MAX, 1, mistakes), secret }
}

/// One of the three that a secret can be said by.
fn secret(draft: &draft::HmacKey, span: Span, mistakes: &mut Mistakes) -> KeySecret {
    let draft::HmacKey { id: _, secret, secret_file, secret_hex } = draft;
    let written = [("secret", secret), ("secret_file", secret_file), ("secret_hex", secret_hex)];
    let mut given = written.iter().filter(|(_, field)| !field.is_absent());
    match given.next() {
        None => {
            let sample = r#"secret = "32 to 64 characters""#;
            mistakes.error(span, Problem::Missing { key: "secret", sample });
        }
        Some(&(other, _)) => {
            for (key, field) in given {
                if let Some(span) = field.span() {
                    mistakes.error(span, Problem::Exclusive { key, other });
                }
            }
        }
    }
    let octets = bytes("secret_hex", secret_hex, mistakes);
    let length = match (secret.given(), &octets) {
        (Some(secret), _) => Some((secret.value.len(), secret.span)),
        (None, Some(octets)) => secret_hex.span().map(|span| (octets.len(), span)),
        (None, None) => None,
    };
    if let Some((length, span)) = length.filter(|(length, _)| !(32..=64).contains(length)) {
        mistakes.error(span, VrrpProblem::SecretLength { length }.into());
    }
    if let Some(secret) = secret.given() {
        return KeySecret::Text(secret.value.clone());
    }
    if let Some(octets) = octets {
        return KeySecret::Octets(octets);
    }
    match absolute("secret_file", secret_file, mistakes) {
        Some(path) => KeySecret::File(path),
        None => KeySecret::Text(String::new()),
    }
}
