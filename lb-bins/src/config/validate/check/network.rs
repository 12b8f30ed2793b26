//! Rules for checks of connections, datagrams, names and mail.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::tls::{if_switched_on, smtp_security};
use crate::config::defaults;
use crate::config::draft::check::Step as DraftStep;
use crate::config::draft::{self, Field};
use crate::config::mistakes::Mistakes;
use crate::config::model::check::{Dns, Nibbles, Ping, Record, Smtp, Step, Tcp, Udp, Words};
use crate::config::problem::Problem;
use crate::config::source::{Span, Spanned};
use crate::config::validate::elements;
use crate::config::validate::values::{bytes, content, domain, integer, nibbles, pattern, word};

pub(super) fn tcp(draft: &draft::check::Tcp, span: Span, mistakes: &mut Mistakes) -> Tcp {
    if let Some(Spanned { value: steps, span }) = draft.steps.given()
        && steps.is_empty()
    {
        mistakes.error(*span, Problem::Empty { key: "steps" });
    }
    let steps = elements(&draft.steps).iter();
    Tcp {
        steps: steps.filter_map(|step| self::step(step, mistakes)).collect(),
        tls: if_switched_on(&draft.tls, "`tls = true`", &draft.options, span, mistakes),
    }
}

fn step(
    Spanned { value: draft, span }: &Spanned<DraftStep>,
    mistakes: &mut Mistakes,
) -> Option<Step> {
    let DraftStep { send, send_hex, expect, expect_hex, expect_regex, not } = draft;
    let keys = [send, send_hex, expect, expect_hex, expect_regex];
    if keys.iter().filter(|key| !matches!(key, Field::Absent)).count() != 1 {
        mistakes.error(*span, Problem::NotOneStep);
        return None;
    }
    let text =
        |key, field, mistakes: &mut Mistakes| content(key, field, mistakes).map(String::into_bytes);
    if let (Field::Absent, Field::Absent, Field::Absent, Some(not)) =
        (expect, expect_hex, expect_regex, not.given())
    {
        let needs = "an `expect`, `expect_hex` or `expect_regex`";
        mistakes.error(not.span, Problem::Without { key: "not", needs });
    }
    let sent = text("send", send, mistakes).or_else(|| bytes("send_hex", send_hex, mistakes));
    let heard =
        text("expect", expect, mistakes).or_else(|| bytes("expect_hex", expect_hex, mistakes));
    let matched = pattern("expect_regex", expect_regex, mistakes);
    let words = heard.map(Words::Are).or(matched.map(Words::Match));
    let waited_for =
        words.map(if not.or(defaults::STEP_NOT) { Step::Refuse } else { Step::Expect });
    sent.map(Step::Send).or(waited_for)
}

pub(super) fn udp(draft: &draft::check::Udp, mistakes: &mut Mistakes) -> Udp {
    let pairs = [
        ("send_hex", &draft.send_hex, "send", &draft.send),
        ("expect_hex", &draft.expect_hex, "expect", &draft.expect),
    ];
    for (key, field, other, other_field) in pairs {
        if let (Some(given), Some(_)) = (field.given(), other_field.given()) {
            mistakes.error(given.span, Problem::Exclusive { key, other });
        }
    }
    let sent = content("send", &draft.send, mistakes).map(String::into_bytes);
    let sent_hex = bytes("send_hex", &draft.send_hex, mistakes);
    let expected = content("expect", &draft.expect, mistakes).map(Nibbles::exactly);
    let expected_hex = nibbles("expect_hex", &draft.expect_hex, mistakes);
    let length = |key, field, default, mistakes: &mut Mistakes| {
        integer(key, field, 0..=LARGEST_DATAGRAM, default, mistakes)
    };
    let min_reply = length("min_reply", &draft.min_reply, defaults::MIN_REPLY, mistakes);
    let max_reply = length("max_reply", &draft.max_reply, defaults::MAX_REPLY, mistakes);
    if let Some(span) = draft.min_reply.span().or(draft.max_reply.span())
        && min_reply > max_reply
        && !draft.max_reply.is_refused()
    {
        let (least, most) = (min_reply.to_string(), max_reply.to_string());
        let (key, other) = ("min_reply", "max_reply");
        mistakes.error(span, Problem::LeastAboveMost { key, least, other, most });
    }
    Udp {
        send: sent.or(sent_hex).unwrap_or_default(),
        expect: expected.or(expected_hex),
        require_reply: draft.require_reply.or(defaults::REQUIRE_REPLY),
        min_reply,
        max_reply,
    }
}

/// What IPv4 can carry in one datagram besides its own header and one of 8 bytes.
const LARGEST_DATAGRAM: u16 = 65_507;

pub(super) fn ping(draft: &draft::check::Ping, mistakes: &mut Mistakes) -> Ping {
    let range = 0..=LARGEST_DATAGRAM;
    Ping { size: integer("size", &draft.size, range, defaults::PING_SIZE, mistakes) }
}

pub(super) fn dns(draft: &draft::check::Dns, mistakes: &mut Mistakes) -> Dns {
    let name = draft.name.given().map(|name| {
        domain("name", name, |character| character.is_ascii_graphic(), mistakes);
        name.value.clone()
    });
    let record = draft.record.or(defaults::DNS_RECORD);
    let answer = elements(&draft.answer).iter().map(|answer| {
        let text = &answer.value;
        let refused = match record {
            Record::A => text.parse::<Ipv4Addr>().is_err(),
            Record::Aaaa => text.parse::<Ipv6Addr>().is_err(),
            _ => false,
        };
        if refused && !draft.record.is_refused() {
            let version = if record == Record::A { 4 } else { 6 };
            let problem = Problem::NotAnAnswer { version, text: text.clone() };
            mistakes.error(answer.span, problem);
        } else if text.is_empty() {
            mistakes.error(answer.span, Problem::Empty { key: "answer" });
        }
        text.clone()
    });
    let answer = answer.collect();
    Dns {
        name: name.unwrap_or_else(|| defaults::DNS_NAME.to_owned()),
        record,
        answer,
        require_answer: draft.require_answer.or(defaults::REQUIRE_ANSWER),
    }
}

pub(super) fn smtp(draft: &draft::check::Smtp, span: Span, mistakes: &mut Mistakes) -> Smtp {
    let helo = word("helo", &draft.helo, mistakes);
    Smtp {
        helo: helo.unwrap_or_else(|| defaults::SMTP_HELO.to_owned()),
        security: smtp_security(
            [&draft.starttls, &draft.tls],
            &draft.options,
            None,
            span,
            mistakes,
        ),
    }
}
