//! Rules for health checks.

use super::values::{characters, command, duration, integer};
use crate::config::defaults;
use crate::config::draft::{self, CheckType, Checks, Field};
use crate::config::mistakes::Mistakes;
use crate::config::model::{Check, CheckKind, Command, Md5, StatusRange};
use crate::config::problem::Problem;
use crate::config::source::{Span, Spanned};
use crate::config::words::Word;

/// The checks that are given; none if there are none.
pub(super) fn checks(field: &Field<Checks>, mistakes: &mut Mistakes) -> Vec<Check> {
    match field.given() {
        None | Some(Spanned { value: Checks::Unchecked, .. }) => Vec::new(),
        Some(Spanned { value: Checks::Listed(list), span }) => {
            if list.is_empty() {
                mistakes.error(*span, Problem::Empty { key: "check" });
            }
            list.elements.iter().map(|draft| check(&draft.value, draft.span, mistakes)).collect()
        }
    }
}

fn check(draft: &draft::Check, span: Span, mistakes: &mut Mistakes) -> Check {
    let interval = duration("interval", &draft.interval, defaults::INTERVAL, mistakes);
    let fast_default = interval.min(defaults::FAST_INTERVAL);
    Check {
        kind: kind(draft, span, mistakes),
        port: draft.port.given().map(|_| integer("port", &draft.port, 1..=u16::MAX, 1, mistakes)),
        interval,
        timeout: duration("timeout", &draft.timeout, defaults::TIMEOUT, mistakes),
        rise: integer("rise", &draft.rise, 1..=MOST_RUNS, defaults::RISE, mistakes),
        fall: integer("fall", &draft.fall, 1..=MOST_RUNS, defaults::FALL, mistakes),
        fast_interval: duration("fast_interval", &draft.fast_interval, fast_default, mistakes),
        down_interval: duration("down_interval", &draft.down_interval, interval, mistakes),
        jitter: integer("jitter", &draft.jitter, 0..=50, defaults::JITTER, mistakes),
        initial: draft.initial.or(defaults::INITIAL),
    }
}

/// The largest `rise` and `fall`: more is a mistyped number.
const MOST_RUNS: u32 = 1_000_000;

fn kind(draft: &draft::Check, span: Span, mistakes: &mut Mistakes) -> CheckKind {
    let kind = draft.kind.or(CheckType::default());
    if !draft.kind.is_refused() {
        report_other_keys(draft, kind, mistakes);
    }
    // What belongs to another kind is judged all the same: it may be the type that is wrong.
    let http = CheckKind::Http {
        path: path(&draft.path, mistakes),
        host: host(&draft.host, mistakes),
        status: status(&draft.status, mistakes),
        md5: md5(&draft.md5, mistakes),
    };
    let command = command("command", &draft.command, mistakes);
    match kind {
        CheckType::Http => http,
        CheckType::Tcp => CheckKind::Tcp,
        CheckType::Script => {
            if matches!(draft.command, Field::Absent) {
                let sample = r#"command = ["/usr/local/bin/check", "argument"]"#;
                mistakes.error(span, Problem::Missing { key: "command", sample });
            }
            let nothing = Command { program: String::new(), arguments: Vec::new() };
            CheckKind::Script {
                command: command.unwrap_or(nothing),
                dynamic_weight: draft.dynamic_weight.or(defaults::DYNAMIC_WEIGHT),
            }
        }
    }
}

/// Reports keys that only another kind of check has.
fn report_other_keys(draft: &draft::Check, kind: CheckType, mistakes: &mut Mistakes) {
    let keys = [
        ("path", CheckType::Http, draft.path.span()),
        ("host", CheckType::Http, draft.host.span()),
        ("status", CheckType::Http, draft.status.span()),
        ("md5", CheckType::Http, draft.md5.span()),
        ("command", CheckType::Script, draft.command.span()),
        ("dynamic_weight", CheckType::Script, draft.dynamic_weight.span()),
    ];
    for (key, owner, span) in keys {
        if let Some(span) = span
            && owner != kind
        {
            let (belongs_to, kind) = (owner.word(), kind.word());
            mistakes.error(span, Problem::OtherCheck { key, belongs_to, kind });
        }
    }
}

fn path(field: &Field<String>, mistakes: &mut Mistakes) -> String {
    let Some(path) = field.given() else { return defaults::HTTP_PATH.to_owned() };
    if !path.value.starts_with('/') {
        let problem = Problem::PathWithoutSlash { path: path.value.clone() };
        mistakes.error(path.span, problem);
    }
    // Anything else would end the request line early, or has no one encoding.
    characters("path", path, |character| character.is_ascii_graphic(), mistakes);
    path.value.clone()
}

fn host(field: &Field<String>, mistakes: &mut Mistakes) -> Option<String> {
    let host = field.given()?;
    if host.value.is_empty() {
        mistakes.error(host.span, Problem::Empty { key: "host" });
    }
    characters("host", host, |character| character.is_ascii_graphic(), mistakes);
    Some(host.value.clone())
}

fn status(field: &Field<draft::List<draft::Status>>, mistakes: &mut Mistakes) -> Vec<StatusRange> {
    let Some(Spanned { value: ranges, span }) = field.given() else {
        return vec![defaults::HTTP_STATUS];
    };
    if ranges.is_empty() {
        mistakes.error(*span, Problem::Empty { key: "status" });
    }
    ranges.elements.iter().filter_map(|range| status_range(*range, mistakes)).collect()
}

fn status_range(
    Spanned { value: draft::Status { first, last }, span }: Spanned<draft::Status>,
    mistakes: &mut Mistakes,
) -> Option<StatusRange> {
    const CODES: std::ops::RangeInclusive<i64> = 100..=599;
    if let Some(value) = [first, last].into_iter().find(|code| !CODES.contains(code)) {
        let (key, least, most) = ("status", *CODES.start(), *CODES.end());
        mistakes.error(span, Problem::OutOfRange { key, value, least, most });
        return None;
    }
    if first > last {
        mistakes.error(span, Problem::ReversedStatus { first, last });
    }
    Some(StatusRange { first: u16::try_from(first).ok()?, last: u16::try_from(last).ok()? })
}

fn md5(field: &Field<String>, mistakes: &mut Mistakes) -> Option<Md5> {
    let Spanned { value: text, span } = field.given()?;
    let digest = text.parse().ok();
    if digest.is_none() {
        mistakes.error(*span, Problem::NotAnMd5 { text: text.clone() });
    }
    digest
}
