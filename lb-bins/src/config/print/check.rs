//! Checks as TOML: each kind with its own keys.

use std::fmt::{Formatter, Result};

use super::{account, array, command, duration, optional, path, table, text};
use crate::config::Command;
use crate::config::defaults;
use crate::config::model::check::{
    BodyRule, Check, CheckKind, Database, Digest, Dns, HeaderRule, Headers, Http, Identity, Ldap,
    Nibbles, Page, Redis, Secret, SmtpSecurity, StatusRange, Step, Text, Tls, Udp, Words,
};
use crate::config::words::Word;

pub(super) fn print_checks(f: &mut Formatter<'_>, parent: &str, checks: &[Check]) -> Result {
    if checks.is_empty() {
        writeln!(f, "check = \"none\" # always up")?;
    }
    print_tables(f, &format!("{parent}.check"), checks)
}

/// Checks as tables of that name.
pub(super) fn print_tables(f: &mut Formatter<'_>, name: &str, checks: &[Check]) -> Result {
    for Check {
        kind,
        port,
        address,
        source,
        source_port,
        interface,
        mark,
        interval,
        timeout,
        rise,
        fall,
        fast_interval,
        down_interval,
        warmup,
        jitter,
        initial,
        first_decisive,
        local_limit,
    } in checks
    {
        writeln!(f, "\n[[{name}]]")?;
        writeln!(f, "type = {}", text(kind.name()))?;
        print_kind(f, kind)?;
        optional(f, "port", port.map(|port| port.to_string()))?;
        optional(f, "address", address.as_ref().map(|address| text(&address.to_string())))?;
        optional(f, "source", source.map(|source| text(&source.to_string())))?;
        optional(f, "source_port", source_port.map(|port| port.to_string()))?;
        optional(f, "interface", interface.as_deref().map(text))?;
        optional(f, "mark", mark.map(|mark| mark.to_string()))?;
        writeln!(f, "interval = {}", text(&duration(*interval)))?;
        writeln!(f, "timeout = {}", text(&duration(*timeout)))?;
        writeln!(f, "rise = {rise}")?;
        writeln!(f, "fall = {fall}")?;
        writeln!(f, "fast_interval = {}", text(&duration(*fast_interval)))?;
        writeln!(f, "down_interval = {}", text(&duration(*down_interval)))?;
        optional(f, "warmup", warmup.map(|warmup| text(&duration(warmup))))?;
        writeln!(f, "jitter = {jitter}")?;
        writeln!(f, "initial = {}", text(initial.word()))?;
        writeln!(f, "first_decisive = {first_decisive}")?;
        optional(f, "local_limit", local_limit.map(|limit| limit.to_string()))?;
    }
    Ok(())
}

fn print_kind(f: &mut Formatter<'_>, kind: &CheckKind) -> Result {
    match kind {
        CheckKind::Agent(agent) => {
            optional(f, "send", agent.send.as_deref().map(text))?;
            switched(f, "tls", agent.tls.as_ref())
        }
        CheckKind::Dns(Dns { name, record, answer, require_answer }) => {
            writeln!(f, "name = {}", text(name))?;
            writeln!(f, "record = {}", text(record.word()))?;
            writeln!(f, "answer = {}", array(answer.iter()))?;
            writeln!(f, "require_answer = {require_answer}")
        }
        CheckKind::File(file) => {
            writeln!(f, "path = {}", path(&file.path))?;
            writeln!(f, "weight = {}", file.weight)?;
            writeln!(f, "reverse = {}", file.reverse)
        }
        CheckKind::Grpc(grpc) => {
            writeln!(f, "service = {}", text(&grpc.service))?;
            optional(f, "host", grpc.host.as_deref().map(text))?;
            writeln!(f, "keep_alive = {}", grpc.keep_alive)?;
            switched(f, "tls", grpc.tls.as_ref())
        }
        CheckKind::Http(http) => print_http(f, http),
        CheckKind::Ldap(Ldap { bind_dn, password, base, filter, tls }) => {
            optional(f, "bind_dn", bind_dn.as_deref().map(text))?;
            secret(f, password.as_ref())?;
            optional(f, "base", base.as_deref().map(text))?;
            // Without a base there is nothing that it could be the filter of.
            if base.is_some() || filter != defaults::LDAP_FILTER {
                writeln!(f, "filter = {}", text(filter))?;
            }
            switched(f, "tls", tls.as_ref())
        }
        CheckKind::Mysql(database) | CheckKind::Postgres(database) => print_database(f, database),
        CheckKind::Ping(ping) => writeln!(f, "size = {}", ping.size),
        CheckKind::Redis(Redis { user, password, role, tls }) => {
            optional(f, "user", user.as_deref().map(text))?;
            secret(f, password.as_ref())?;
            optional(f, "role", role.map(|role| text(role.word())))?;
            switched(f, "tls", tls.as_ref())
        }
        CheckKind::Script(script) => {
            print_command(f, &script.command)?;
            writeln!(f, "dynamic_weight = {}", script.dynamic_weight)
        }
        CheckKind::Smtp(smtp) => {
            writeln!(f, "helo = {}", text(&smtp.helo))?;
            match &smtp.security {
                Some(SmtpSecurity::Implicit(tls)) => switched(f, "tls", Some(tls)),
                Some(SmtpSecurity::Starttls(tls)) => switched(f, "starttls", Some(tls)),
                None => switched(f, "starttls", None),
            }
        }
        CheckKind::Tcp(tcp) => {
            let steps: Vec<_> = tcp.steps.iter().map(step).collect();
            let steps = (!steps.is_empty()).then(|| format!("[{}]", steps.join(", ")));
            optional(f, "steps", steps)?;
            switched(f, "tls", tcp.tls.as_ref())
        }
        CheckKind::Tls(tls) => print_tls(f, tls),
        CheckKind::Udp(udp) => print_udp(f, udp),
        CheckKind::Worker(worker) => print_command(f, &worker.command),
    }
}

/// What is run, and as whom.
fn print_command(f: &mut Formatter<'_>, run: &Command) -> Result {
    writeln!(f, "command = {}", command(run))?;
    optional(f, "user", run.user.as_ref().map(account))
}

fn print_http(f: &mut Formatter<'_>, http: &Http) -> Result {
    let Http { tls, pages, method, host, headers, request_body, version, keep_alive } = http;
    match pages.as_slice() {
        [only] => print_page(f, only)?,
        several => {
            let pages: Vec<_> = several.iter().map(inline_page).collect();
            writeln!(f, "urls = [\n  {},\n]", pages.join(",\n  "))?;
        }
    }
    writeln!(f, "method = {}", text(method))?;
    optional(f, "host", host.as_deref().map(text))?;
    optional(f, "headers", (!headers.is_empty()).then(|| inline_headers(headers)))?;
    optional(f, "request_body", request_body.as_deref().map(text))?;
    writeln!(f, "version = {}", text(version.word()))?;
    writeln!(f, "keep_alive = {keep_alive}")?;
    tls.as_ref().map_or(Ok(()), |tls| print_tls(f, tls))
}

fn print_page(f: &mut Formatter<'_>, page: &Page) -> Result {
    for (key, value) in page_keys(page) {
        optional(f, key, value)?;
    }
    Ok(())
}

fn inline_page(page: &Page) -> String {
    table(&page_keys(page))
}

/// Every key of a page with its value, if it has one.
fn page_keys(page: &Page) -> Vec<(&'static str, Option<String>)> {
    let Page { path, status, drain_status, digest, body, expect_headers, body_limit } = page;
    let rules: Vec<_> = expect_headers.iter().map(inline_header_rule).collect();
    let mut keys = vec![
        ("path", Some(text(path))),
        ("status", Some(array(status.iter().map(StatusRange::to_string)))),
        (
            "drain_status",
            (!drain_status.is_empty())
                .then(|| array(drain_status.iter().map(StatusRange::to_string))),
        ),
        page_digest(*digest),
        ("expect_headers", (!rules.is_empty()).then(|| format!("[{}]", rules.join(", ")))),
        ("body_limit", Some(body_limit.to_string())),
    ];
    match body {
        Some(BodyRule { text: rule, absent }) => {
            keys.push(one_text(["body", "body_regex"], rule));
            keys.push(("body_not", Some(absent.to_string())));
        }
        None => keys.push(("body", None)),
    }
    keys
}

fn page_digest(digest: Option<Digest>) -> (&'static str, Option<String>) {
    match digest {
        Some(digest) => (digest.algorithm(), Some(text(&digest.digits()))),
        None => ("md5", None),
    }
}

fn inline_header_rule(HeaderRule { name, value, absent }: &HeaderRule) -> String {
    let (key, value) = one_text(["value", "regex"], value);
    let (name, value) = (text(name), value.unwrap_or_default());
    format!("{{ name = {name}, {key} = {value}, not = {absent} }}")
}

/// A text under the first key, or a pattern under the second.
fn one_text([is, matches]: [&'static str; 2], rule: &Text) -> (&'static str, Option<String>) {
    match rule {
        Text::Is(exactly) => (is, Some(text(exactly))),
        Text::Matches(pattern) => (matches, Some(text(pattern.as_str()))),
    }
}

pub(super) fn inline_headers(headers: &Headers) -> String {
    let headers: Vec<_> =
        headers.iter().map(|(name, value)| format!("{} = {}", text(name), text(value))).collect();
    format!("{{ {} }}", headers.join(", "))
}

/// Every key of TLS with its value, if it has one.
pub(super) fn tls_keys(
    Tls { sni, verify, ca, identity }: &Tls,
) -> [(&'static str, Option<String>); 5] {
    let (certificate, key) =
        identity.as_ref().map(|Identity { certificate, key }| (certificate, key)).unzip();
    [
        ("sni", sni.as_deref().map(text)),
        ("verify", Some(verify.to_string())),
        ("ca", ca.as_deref().map(path)),
        ("certificate", certificate.map(|file| path(file))),
        ("key", key.map(|file| path(file))),
    ]
}

/// TLS that has to be switched on by `key`.
fn switched(f: &mut Formatter<'_>, key: &str, tls: Option<&Tls>) -> Result {
    writeln!(f, "{key} = {}", tls.is_some())?;
    tls.map_or(Ok(()), |tls| print_tls(f, tls))
}

fn print_tls(f: &mut Formatter<'_>, tls: &Tls) -> Result {
    for (key, value) in tls_keys(tls) {
        optional(f, key, value)?;
    }
    Ok(())
}

fn print_database(f: &mut Formatter<'_>, database: &Database) -> Result {
    let Database { user, password, database, query, writable, tls } = database;
    optional(f, "user", user.as_deref().map(text))?;
    secret(f, password.as_ref())?;
    optional(f, "database", database.as_deref().map(text))?;
    optional(f, "query", query.as_deref().map(text))?;
    writeln!(f, "writable = {writable}")?;
    switched(f, "tls", tls.as_ref())
}

fn secret(f: &mut Formatter<'_>, secret: Option<&Secret>) -> Result {
    match secret {
        Some(Secret::Text(password)) => writeln!(f, "password = {}", text(password)),
        Some(Secret::File(file)) => writeln!(f, "password_file = {}", path(file)),
        None => optional(f, "password", None),
    }
}

fn print_udp(f: &mut Formatter<'_>, udp: &Udp) -> Result {
    let Udp { send, expect, require_reply, min_reply, max_reply } = udp;
    let (key, value) = bytes(["send", "send_hex"], send);
    optional(f, key, (!send.is_empty()).then_some(value))?;
    let expected = expect.as_ref().map(|nibbles| match nibbles.clone().into_bytes() {
        Some(exactly) => bytes(["expect", "expect_hex"], &exactly),
        None => ("expect_hex", text(&nibbles.to_string())),
    });
    let (key, value) = expected.unzip();
    optional(f, key.unwrap_or("expect"), value)?;
    writeln!(f, "require_reply = {require_reply}")?;
    writeln!(f, "min_reply = {min_reply}")?;
    writeln!(f, "max_reply = {max_reply}")
}

fn step(step: &Step) -> String {
    let (words, not) = match step {
        Step::Send(sent) => {
            let (key, value) = bytes(["send", "send_hex"], sent);
            return format!("{{ {key} = {value} }}");
        }
        Step::Expect(words) => (words, false),
        Step::Refuse(words) => (words, true),
    };
    let (key, value) = match words {
        Words::Are(heard) => bytes(["expect", "expect_hex"], heard),
        Words::Match(pattern) => ("expect_regex", text(pattern.as_str())),
    };
    format!("{{ {key} = {value}, not = {not} }}")
}

/// Bytes as text under the first key if they are some, else as digits under the second.
fn bytes([as_text, as_digits]: [&'static str; 2], bytes: &[u8]) -> (&'static str, String) {
    match str::from_utf8(bytes) {
        Ok(readable) => (as_text, text(readable)),
        Err(_) => (as_digits, text(&Nibbles::exactly(bytes).to_string())),
    }
}
