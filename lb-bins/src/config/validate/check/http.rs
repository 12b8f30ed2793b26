//! Rules for checks that ask for pages.

use std::ops::RangeInclusive;

use http::uri::Authority;
use http::{HeaderName, HeaderValue};

use super::tls::tls;
use crate::config::defaults;
use crate::config::draft::check::{Headers as DraftHeaders, Status};
use crate::config::draft::{self, Field, List};
use crate::config::mistakes::Mistakes;
use crate::config::model::check::{
    BodyRule, Digest, HeaderRule, Headers, Http, Page, Pattern, StatusRange, Text,
};
use crate::config::problem::Problem;
use crate::config::source::{Span, Spanned};
use crate::config::validate::report_repeated;
use crate::config::validate::values::{characters, content, digest, integer, pattern, word};

pub(super) fn http(draft: &draft::check::Http, span: Span, mistakes: &mut Mistakes) -> Http {
    let host = host(&draft.host, mistakes);
    Http {
        tls: draft.tls.as_ref().map(|draft| tls(draft, host.as_deref(), span, mistakes)),
        pages: pages(draft, mistakes),
        method: method(&draft.method, defaults::HTTP_METHOD, mistakes),
        host,
        headers: headers(&draft.headers, mistakes),
        request_body: content("request_body", &draft.request_body, mistakes),
        version: draft.version.or(defaults::HTTP_VERSION),
        keep_alive: draft.keep_alive.or(defaults::KEEP_ALIVE),
    }
}

/// One page, or those of `urls`: what is said outside of them holds for each that says nothing
/// else.
fn pages(draft: &draft::check::Http, mistakes: &mut Mistakes) -> Vec<Page> {
    let common = page(&draft.page, &default_page(), mistakes);
    let Some(Spanned { value: urls, span }) = draft.urls.given() else { return vec![common] };
    if let Some(path) = draft.page.path.given() {
        mistakes.error(path.span, Problem::Exclusive { key: "path", other: "urls" });
    }
    if urls.is_empty() {
        mistakes.error(*span, Problem::Empty { key: "urls" });
    }
    report_repeated(
        urls.elements.iter().filter_map(|page| page.value.path.given().cloned()),
        |path| Problem::PathTwice { path },
        mistakes,
    );
    let page = |Spanned { value: draft, span }: &Spanned<draft::check::Page>| {
        if matches!(draft.path, Field::Absent) {
            let sample = r#"path = "/alive""#;
            mistakes.error(*span, Problem::Missing { key: "path", sample });
        }
        page(draft, &common, mistakes)
    };
    urls.elements.iter().map(page).collect()
}

fn default_page() -> Page {
    Page {
        path: defaults::HTTP_PATH.to_owned(),
        status: vec![defaults::HTTP_STATUS],
        drain_status: Vec::new(),
        digest: None,
        body: None,
        expect_headers: Vec::new(),
        body_limit: defaults::BODY_LIMIT,
    }
}

fn page(draft: &draft::check::Page, common: &Page, mistakes: &mut Mistakes) -> Page {
    let body_said = [draft.body.span(), draft.body_regex.span(), draft.body_not.span()];
    Page {
        path: path(&draft.path, mistakes).unwrap_or_else(|| common.path.clone()),
        status: status("status", &draft.status, mistakes).unwrap_or_else(|| common.status.clone()),
        drain_status: status("drain_status", &draft.drain_status, mistakes)
            .unwrap_or_else(|| common.drain_status.clone()),
        digest: page_digest(draft, mistakes).or(common.digest),
        body: match body_said {
            [None, None, None] => common.body.clone(),
            _ => body(draft, mistakes),
        },
        expect_headers: match &draft.expect_headers {
            Field::Absent => common.expect_headers.clone(),
            rules => header_rules(rules, mistakes),
        },
        body_limit: integer(
            "body_limit",
            &draft.body_limit,
            1..=MOST_BODY,
            common.body_limit,
            mistakes,
        ),
    }
}

/// A longer body is a mistyped number: nobody waits for it within a check.
const MOST_BODY: u32 = 1 << 30;

/// One digest tells a body from all others: a second one would say nothing more.
fn page_digest(draft: &draft::check::Page, mistakes: &mut Mistakes) -> Option<Digest> {
    if let (Some(_), Some(sha256)) = (draft.md5.given(), draft.sha256.given()) {
        mistakes.error(sha256.span, Problem::Exclusive { key: "sha256", other: "md5" });
    }
    let md5 = digest("md5", Digest::md5, &draft.md5, mistakes);
    let sha256 = digest("sha256", Digest::sha256, &draft.sha256, mistakes);
    md5.or(sha256)
}

fn path(field: &Field<String>, mistakes: &mut Mistakes) -> Option<String> {
    let path = field.given()?;
    if !path.value.starts_with('/') {
        let problem = Problem::PathWithoutSlash { path: path.value.clone() };
        mistakes.error(path.span, problem);
    }
    // Anything else would end the request line early, or has no one encoding.
    characters("path", path, |character| character.is_ascii_graphic(), mistakes);
    Some(path.value.clone())
}

pub(in crate::config::validate) fn status(
    key: &'static str,
    field: &Field<List<Status>>,
    mistakes: &mut Mistakes,
) -> Option<Vec<StatusRange>> {
    let Spanned { value: ranges, span } = field.given()?;
    if ranges.is_empty() {
        mistakes.error(*span, Problem::Empty { key });
    }
    Some(ranges.elements.iter().filter_map(|range| status_range(key, *range, mistakes)).collect())
}

fn status_range(
    key: &'static str,
    Spanned { value: Status { first, last }, span }: Spanned<Status>,
    mistakes: &mut Mistakes,
) -> Option<StatusRange> {
    const CODES: RangeInclusive<i64> = 100..=599;
    if let Some(value) = [first, last].into_iter().find(|code| !CODES.contains(code)) {
        let (least, most) = (*CODES.start(), *CODES.end());
        mistakes.error(span, Problem::OutOfRange { key, value, least, most });
        return None;
    }
    if first > last {
        mistakes.error(span, Problem::ReversedStatus { first, last });
    }
    Some(StatusRange { first: u16::try_from(first).ok()?, last: u16::try_from(last).ok()? })
}

fn body(draft: &draft::check::Page, mistakes: &mut Mistakes) -> Option<BodyRule> {
    if let (Some(_), Some(regex)) = (draft.body.given(), draft.body_regex.given()) {
        mistakes.error(regex.span, Problem::Exclusive { key: "body_regex", other: "body" });
    }
    if let (Field::Absent, Field::Absent, Some(not)) =
        (&draft.body, &draft.body_regex, draft.body_not.given())
    {
        let needs = "`body` or `body_regex`";
        mistakes.error(not.span, Problem::Without { key: "body_not", needs });
    }
    let text = content("body", &draft.body, mistakes).map(Text::Is);
    let pattern = pattern("body_regex", &draft.body_regex, mistakes).map(Text::Matches);
    Some(BodyRule { text: text.or(pattern)?, absent: draft.body_not.or(defaults::BODY_NOT) })
}

fn header_rules(
    field: &Field<List<draft::check::HeaderRule>>,
    mistakes: &mut Mistakes,
) -> Vec<HeaderRule> {
    let Some(rules) = field.given() else { return Vec::new() };
    let rule = |rule: &Spanned<draft::check::HeaderRule>| header_rule(rule, mistakes);
    rules.value.elements.iter().filter_map(rule).collect()
}

fn header_rule(
    Spanned { value: draft, span }: &Spanned<draft::check::HeaderRule>,
    mistakes: &mut Mistakes,
) -> Option<HeaderRule> {
    match &draft.name {
        Field::Given(name) => header_name(name, mistakes),
        Field::Absent => {
            let sample = r#"name = "Server""#;
            mistakes.error(*span, Problem::Missing { key: "name", sample });
        }
        Field::Refused => {}
    }
    match (&draft.value, &draft.regex) {
        (Field::Absent, Field::Absent) => {
            let sample = r#"value = "nginx""#;
            mistakes.error(*span, Problem::Missing { key: "value", sample });
        }
        (Field::Given(_), Field::Given(regex)) => {
            mistakes.error(regex.span, Problem::Exclusive { key: "regex", other: "value" });
        }
        _ => {}
    }
    let exact = draft.value.given().map(|value| {
        header_value("value", value, mistakes);
        Text::Is(value.value.clone())
    });
    let pattern: Option<Pattern> = pattern("regex", &draft.regex, mistakes);
    let value = exact.or(pattern.map(Text::Matches))?;
    let name = draft.name.given()?.value.clone();
    Some(HeaderRule { name, value, absent: draft.not.or(defaults::HEADER_NOT) })
}

pub(in crate::config::validate) fn method(
    field: &Field<String>,
    default: &str,
    mistakes: &mut Mistakes,
) -> String {
    let Some(method) = field.given() else { return default.to_owned() };
    if method.value.is_empty() {
        mistakes.error(method.span, Problem::Empty { key: "method" });
    }
    // Methods are told apart by case (RFC 9110, 9.1), and there is none in small letters.
    let allowed = |character: char| character.is_ascii_uppercase() || "-_".contains(character);
    characters("method", method, allowed, mistakes);
    method.value.clone()
}

pub(super) fn host(field: &Field<String>, mistakes: &mut Mistakes) -> Option<String> {
    let host = word("host", field, mistakes)?;
    let is_word = !host.is_empty() && host.chars().all(|character| character.is_ascii_graphic());
    if is_word && host.parse::<Authority>().is_err() {
        mistakes.error(field.span(), Problem::NotAHost { text: host.clone() });
    }
    Some(host)
}

pub(in crate::config::validate) fn headers(
    field: &Field<DraftHeaders>,
    mistakes: &mut Mistakes,
) -> Headers {
    /// What the checker writes itself, so that requests stay well-formed.
    const OWN: [&str; 4] = ["connection", "content-length", "host", "transfer-encoding"];
    let Some(headers) = field.given() else { return Headers::new() };
    for (name, value) in &headers.value.0 {
        header_name(name, mistakes);
        header_value("headers", value, mistakes);
        if OWN.iter().any(|own| name.value.eq_ignore_ascii_case(own)) {
            mistakes.error(name.span, Problem::OwnHeader { name: name.value.clone() });
        }
    }
    let headers = headers.value.0.iter();
    headers.map(|(name, value)| (name.value.clone(), value.value.clone())).collect()
}

fn header_name(name: &Spanned<String>, mistakes: &mut Mistakes) {
    if HeaderName::from_bytes(name.value.as_bytes()).is_err() {
        mistakes.error(name.span, Problem::BadHeaderName { name: name.value.clone() });
    }
}

fn header_value(key: &'static str, value: &Spanned<String>, mistakes: &mut Mistakes) {
    if HeaderValue::from_str(&value.value).is_err() {
        mistakes.error(value.span, Problem::BadHeaderValue { key, value: value.value.clone() });
    }
}
