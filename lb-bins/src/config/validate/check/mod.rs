//! Rules for health checks: what all kinds have in common.

mod http;
mod network;
mod reports;
mod services;
mod tls;

pub(super) use self::http::{headers, method, status};
pub(super) use self::tls::{SMTP_SWITCH, smtp_security};

use std::num::{NonZeroU16, NonZeroU32};

use super::values::{characters, duration, duration_or_zero, integer, server};
use crate::config::defaults;
use crate::config::draft::check::Kind;
use crate::config::draft::{self, Checks, Field};
use crate::config::mistakes::Mistakes;
use crate::config::model::Address;
use crate::config::model::check::{Check, CheckKind, Tcp};
use crate::config::problem::Problem;
use crate::config::source::{Span, Spanned};

/// The checks that are given, which are for servers that all have names or not; none if there are none.
pub(super) fn checks(
    field: &Field<Checks>,
    are_named: bool,
    mistakes: &mut Mistakes,
) -> Vec<Check> {
    match field.given() {
        None | Some(Spanned { value: Checks::Unchecked, .. }) => Vec::new(),
        Some(Spanned { value: Checks::Listed(list), span }) => {
            if list.is_empty() {
                mistakes.error(*span, Problem::Empty { key: "check" });
            }
            let mut each = |draft: &Spanned<draft::check::Check>| {
                let before = mistakes.count();
                let check = check(&draft.value, draft.span, mistakes);
                // Who has a name is known by it.
                if check.address.as_ref().map_or(are_named, is_name) {
                    mistakes.take_back(before, &Problem::VerifiedByAddress);
                }
                check
            };
            list.elements.iter().map(&mut each).collect()
        }
    }
}

/// Whether a server has a name.
pub(super) const fn is_name(address: &Address) -> bool {
    address.host().is_some()
}

fn check(draft: &draft::check::Check, span: Span, mistakes: &mut Mistakes) -> Check {
    let interval = duration("interval", &draft.interval, defaults::INTERVAL, mistakes);
    let fast_default = interval.min(defaults::FAST_INTERVAL);
    let kind = draft.kind.as_ref().map(|kind| self::kind(kind, span, mistakes));
    if let Some(kind) = &kind {
        report_unused(draft, kind, mistakes);
        warn_of_port(draft, kind, mistakes);
        if matches!(kind, CheckKind::Agent(_)) && !has_port(draft) {
            mistakes.error(span, Problem::Missing { key: "port", sample: "port = 8080" });
        }
    }
    if let (Some(port), Some(_)) = (draft.port.given(), draft.address.given()) {
        mistakes.error(port.span, Problem::Exclusive { key: "port", other: "address" });
    }
    let (rise, fall) = match kind {
        Some(CheckKind::Agent(_)) => (defaults::AGENT_RUNS, defaults::AGENT_RUNS),
        _ => (defaults::RISE, defaults::FALL),
    };
    Check {
        kind: kind.unwrap_or_else(|| CheckKind::Tcp(Tcp::default())),
        port: draft.port.given().map(|_| integer("port", &draft.port, 1..=u16::MAX, 1, mistakes)),
        address: server("address", &draft.address, mistakes),
        source: draft.source.given().map(|source| source.value),
        source_port: draft.source_port.given().and_then(|_| {
            let range = 1..=u16::MAX;
            NonZeroU16::new(integer("source_port", &draft.source_port, range, 1, mistakes))
        }),
        interface: draft.interface.given().map(|interface| interface_name(interface, mistakes)),
        mark: draft
            .mark
            .given()
            .and_then(|_| NonZeroU32::new(integer("mark", &draft.mark, 1..=u32::MAX, 1, mistakes))),
        interval,
        timeout: duration("timeout", &draft.timeout, defaults::TIMEOUT, mistakes),
        rise: integer("rise", &draft.rise, 1..=MOST_RUNS, rise, mistakes),
        fall: integer("fall", &draft.fall, 1..=MOST_RUNS, fall, mistakes),
        fast_interval: duration("fast_interval", &draft.fast_interval, fast_default, mistakes),
        down_interval: duration("down_interval", &draft.down_interval, interval, mistakes),
        warmup: draft
            .warmup
            .given()
            .map(|given| duration_or_zero("warmup", &draft.warmup, given.value, mistakes)),
        jitter: integer("jitter", &draft.jitter, 0..=50, defaults::JITTER, mistakes),
        initial: draft.initial.or(defaults::INITIAL),
        first_decisive: draft.first_decisive.or(defaults::FIRST_DECISIVE),
        local_limit: draft.local_limit.given().and_then(|_| {
            let limit = integer("local_limit", &draft.local_limit, 1..=MOST_RUNS, 1, mistakes);
            NonZeroU32::new(limit)
        }),
    }
}

/// The largest `rise` and `fall`: more is a mistyped number.
const MOST_RUNS: u32 = 1_000_000;

fn kind(kind: &Kind, span: Span, mistakes: &mut Mistakes) -> CheckKind {
    match kind {
        Kind::Agent(draft) => CheckKind::Agent(reports::agent(draft, span, mistakes)),
        Kind::Dns(draft) => CheckKind::Dns(network::dns(draft, mistakes)),
        Kind::File(draft) => CheckKind::File(reports::file(draft, span, mistakes)),
        Kind::Grpc(draft) => CheckKind::Grpc(services::grpc(draft, span, mistakes)),
        Kind::Http(draft) => CheckKind::Http(Box::new(http::http(draft, span, mistakes))),
        Kind::Ldap(draft) => CheckKind::Ldap(services::ldap(draft, span, mistakes)),
        Kind::Mysql(draft) => CheckKind::Mysql(services::database(draft, span, mistakes)),
        Kind::Ping(draft) => CheckKind::Ping(network::ping(draft, mistakes)),
        Kind::Postgres(draft) => CheckKind::Postgres(services::postgres(draft, span, mistakes)),
        Kind::Redis(draft) => CheckKind::Redis(services::redis(draft, span, mistakes)),
        Kind::Script(draft) => CheckKind::Script(reports::script(draft, span, mistakes)),
        Kind::Smtp(draft) => CheckKind::Smtp(network::smtp(draft, span, mistakes)),
        Kind::Tcp(draft) => CheckKind::Tcp(network::tcp(draft, span, mistakes)),
        Kind::Tls(draft) => CheckKind::Tls(tls::tls(draft, None, span, mistakes)),
        Kind::Udp(draft) => CheckKind::Udp(network::udp(draft, mistakes)),
        Kind::Worker(draft) => CheckKind::Worker(reports::worker(draft, span, mistakes)),
    }
}

/// What Linux takes for the name of an interface: `dev_valid_name`.
fn interface_name(name: &Spanned<String>, mistakes: &mut Mistakes) -> String {
    let allowed = |character: char| character.is_ascii_graphic() && !"/:".contains(character);
    if name.value.is_empty() {
        mistakes.error(name.span, Problem::Empty { key: "interface" });
    } else if name.value.len() > 15 {
        let (key, text) = ("interface", name.value.clone());
        mistakes.error(name.span, Problem::LongInterface { key, text });
    }
    characters("interface", name, allowed, mistakes);
    name.value.clone()
}

/// Whether there is, or was meant to be, a port other than that of the traffic.
const fn has_port(draft: &draft::check::Check) -> bool {
    !matches!((&draft.port, &draft.address), (Field::Absent, Field::Absent))
}

/// Whether a check opens connections itself, so that it matters from where.
const fn connects(kind: &CheckKind) -> bool {
    !matches!(kind, CheckKind::File(_) | CheckKind::Script(_) | CheckKind::Worker(_))
}

/// Reports what all checks may have, but this kind has no use for.
fn report_unused(draft: &draft::check::Check, kind: &CheckKind, mistakes: &mut Mistakes) {
    let port = ("port", draft.port.span());
    let address = ("address", draft.address.span());
    let source = ("source", draft.source.span());
    let source_port = ("source_port", draft.source_port.span());
    let interface = ("interface", draft.interface.span());
    let mark = ("mark", draft.mark.span());
    let unused = match kind {
        CheckKind::File(_) => vec![port, address, source, source_port, interface, mark],
        CheckKind::Ping(_) => vec![port, source_port],
        kind if !connects(kind) => vec![source, source_port, interface, mark],
        _ => Vec::new(),
    };
    for (key, span) in unused {
        if let Some(span) = span {
            mistakes.error(span, Problem::NoUse { key, kind: kind.name() });
        }
    }
}

/// Warns of a port that is known for the other of `http` and `https`.
fn warn_of_port(draft: &draft::check::Check, kind: &CheckKind, mistakes: &mut Mistakes) {
    let port = draft.port.given().map(|port| (port.value, port.span));
    let address = draft.address.given();
    let address = address.map(|address| (i64::from(address.value.port()), address.span));
    for (port, span) in port.into_iter().chain(address) {
        if let Some(problem) = other_scheme(kind, port) {
            mistakes.warning(span, problem);
        }
    }
}

fn other_scheme(kind: &CheckKind, port: i64) -> Option<Problem> {
    let CheckKind::Http(http) = kind else { return None };
    match (http.tls.is_some(), port) {
        (false, 443) => Some(Problem::OtherScheme { kind: "http", port, meant: "https" }),
        (true, 80) => Some(Problem::OtherScheme { kind: "https", port, meant: "http" }),
        _ => None,
    }
}

/// Judges checks by the backend that they are for.
pub(super) fn suit(backend: &Spanned<Address>, checks: &[Check], mistakes: &mut Mistakes) {
    for Check { kind, port, address, source, .. } in checks {
        let target = address.as_ref().unwrap_or(&backend.value);
        if let Some(source) = *source
            && let Some(target) = target.numeric()
            && connects(kind)
            && source.is_ipv4() != target.is_ipv4()
        {
            mistakes
                .error(backend.span, Problem::OtherFamily { from: source, target: target.ip() });
        }
        if port.is_none()
            && address.is_none()
            && let Some(problem) = other_scheme(kind, target.port().into())
        {
            mistakes.warning(backend.span, problem);
        }
    }
}
