//! Rules for claims of addresses.

use http::Uri;

use crate::config::defaults;
use crate::config::draft::Field;
use crate::config::draft::claim as draft;
use crate::config::mistakes::Mistakes;
use crate::config::model::{Call, Claim, ClaimBy, Holder, HttpClaim, PLACEHOLDERS};
use crate::config::problem::{Problem, VrrpProblem};
use crate::config::source::{Span, Spanned};
use crate::config::validate::check::{headers, method, status};
use crate::config::validate::values::{command, content, duration, file};

/// Of an instance that has addresses, or none.
pub(super) fn claim(
    field: &Field<draft::Claim>,
    has_addresses: bool,
    mistakes: &mut Mistakes,
) -> Option<Claim> {
    let Spanned { value: draft, span } = field.given()?;
    if draft.command.is_absent() && draft.http.is_absent() {
        let sample = r#"command = ["/usr/local/bin/claim"]"#;
        mistakes.error(*span, Problem::Missing { key: "command", sample });
    }
    if let (Some(http), Some(_)) = (draft.http.span(), draft.command.span()) {
        mistakes.error(http, Problem::Exclusive { key: "http", other: "command" });
    }
    let interval = duration("interval", &draft.interval, defaults::CLAIM_INTERVAL, mistakes);
    let timeout = duration("timeout", &draft.timeout, defaults::CLAIM_TIMEOUT, mistakes);
    let command = command("command", &draft.command, mistakes).map(ClaimBy::Command);
    let http = draft.http.given().map(|given| ClaimBy::Http(Box::new(http(given, mistakes))));
    let by = command.or(http)?;
    if let ClaimBy::Http(http) = &by
        && http.is_for_each_address()
        && !has_addresses
    {
        mistakes.error(*span, VrrpProblem::ClaimOfNothing.into());
    }
    Some(Claim { by, interval, timeout })
}

fn http(
    Spanned { value: draft, span }: &Spanned<draft::Http>,
    mistakes: &mut Mistakes,
) -> HttpClaim {
    if let Some(&Spanned { value: false, span }) = draft.verify.given() {
        mistakes.warning(span, Problem::Unverified { is_written: true });
    }
    for (_, value) in draft.headers.given().into_iter().flat_map(|given| &given.value.0) {
        placeholders("headers", value).for_each(|it| mistakes.warning(value.span, it));
    }
    HttpClaim {
        assign: call(&draft.assign, *span, mistakes),
        holder: draft.holder.given().map(|given| holder(given, mistakes)),
        release: draft.release.given().map(|given| call(&given.value, given.span, mistakes)),
        headers: headers(&draft.headers, mistakes),
        token_file: file("token_file", &draft.token_file, mistakes),
        ca: file("ca", &draft.ca, mistakes),
        verify: draft.verify.or(defaults::VERIFY),
    }
}

fn call(draft: &draft::Call, span: Span, mistakes: &mut Mistakes) -> Call {
    Call {
        method: method(&draft.method, defaults::CLAIM_METHOD, mistakes),
        url: url(&draft.url, span, mistakes),
        body: body(&draft.body, mistakes),
        status: status("status", &draft.status, mistakes)
            .unwrap_or_else(|| vec![defaults::HTTP_STATUS]),
    }
}

fn holder(
    Spanned { value: draft, span }: &Spanned<draft::Holder>,
    mistakes: &mut Mistakes,
) -> Holder {
    for (key, field, sample) in [
        ("pointer", &draft.pointer, r#"pointer = "/server/id""#),
        ("value", &draft.value, r#"value = "1""#),
    ] {
        if field.is_absent() {
            mistakes.error(*span, Problem::Missing { key, sample });
        }
    }
    if let Some(given) = draft.pointer.given()
        && !given.value.starts_with('/')
    {
        let text = given.value.clone();
        mistakes.error(given.span, VrrpProblem::NotAPointer { text }.into());
    }
    Holder {
        url: url(&draft.url, *span, mistakes),
        pointer: draft.pointer.given().map(|given| given.value.clone()).unwrap_or_default(),
        value: content("value", &draft.value, mistakes).unwrap_or_default(),
    }
}

/// Of whatever language, which may have braces of its own.
fn body(field: &Field<String>, mistakes: &mut Mistakes) -> Option<String> {
    if let Some(given) = field.given() {
        placeholders("body", given).for_each(|it| mistakes.warning(given.span, it));
    }
    content("body", field, mistakes)
}

/// What looks like a placeholder and is none: a word in braces.
fn placeholders(key: &'static str, text: &Spanned<String>) -> impl Iterator<Item = Problem> {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let ends = text.value.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let words = ends.map(|(word, _)| word).filter(move |word| is_word(word));
    let all = words.map(|word| format!("{{{word}}}"));
    let unknown = all.filter(|placeholder| !PLACEHOLDERS.contains(&placeholder.as_str()));
    unknown.map(move |placeholder| VrrpProblem::NotAPlaceholder { key, placeholder }.into())
}

/// With whatever stands for something in it.
fn url(field: &Field<String>, span: Span, mistakes: &mut Mistakes) -> String {
    let Some(given) = field.given() else {
        if field.is_absent() {
            let sample = r#"url = "https://api.example.org/{address}""#;
            mistakes.error(span, Problem::Missing { key: "url", sample });
        }
        return String::new();
    };
    // No URL has braces (RFC 3986, 2).
    placeholders("url", given).for_each(|it| mistakes.error(given.span, it));
    let filled = PLACEHOLDERS
        .iter()
        .fold(given.value.clone(), |text, placeholder| text.replace(placeholder, "1"));
    let is_good = filled.parse::<Uri>().is_ok_and(|uri| {
        let scheme = uri.scheme_str().is_some_and(|scheme| matches!(scheme, "http" | "https"));
        // A name and a password would be in logs; what is for APIs is in `token_file`.
        let authority = uri.authority().is_some_and(|it| !it.as_str().contains('@'));
        scheme && authority && uri.host().is_some_and(|host| !host.is_empty())
    });
    if !is_good {
        let text = given.value.clone();
        mistakes.error(given.span, VrrpProblem::NotAUrl { key: "url", text }.into());
    }
    given.value.clone()
}
