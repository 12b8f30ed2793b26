//! `HTTP_GET` and `SSL_GET`.

use super::checker::Checker;
use super::values::{Values, given};
use crate::config::draft::check::{Headers, Http, Kind, Page, Status, Tls};
use crate::config::draft::{Field, List};
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::model::check::HttpVersion;
use crate::config::source::Spanned;

/// How keepalived calls itself. Servers may answer checks by it, or leave them out of their logs.
const AGENT: &str = "KeepAliveClient";
/// How much is read of a page of which something is expected: keepalived reads all of any page. Nothing is kept
/// of it, so that only what goes through the network is at stake.
const BODY_LIMIT: i64 = 64 << 20;

/// The checks of all pages: one for each, as each has a connection and `connect_timeout` for itself.
pub(super) fn http(checker: &Checker<'_>, values: &mut Values<'_>) -> Vec<Kind> {
    let version = version(checker.statement, values);
    let tls = (checker.statement.word() == "SSL_GET").then(|| tls(checker, values));
    let urls = checker.statement.each("url");
    let kinds: Vec<_> = urls
        .map(|url| {
            let host = url.last("virtualhost").or_else(|| checker.last("virtualhost"));
            Kind::Http(Box::new(Http {
                tls: tls.clone(),
                page: page(url, values),
                host: values.text(host),
                headers: headers(url),
                version: version.clone(),
                ..Http::default()
            }))
        })
        .collect();
    if kinds.is_empty() {
        let word = checker.statement.keyword.name;
        values.error(checker.statement.span, Problem::WithoutUrl { word });
    }
    kinds
}

fn headers(url: &Statement) -> Field<Headers> {
    let spanned = |text: &str| Spanned { value: text.to_owned(), span: url.span };
    given(Headers(vec![(spanned("User-Agent"), spanned(AGENT))]), url.span)
}

/// Unless it is said HTTP/1.1, which servers of today know best, and not keepalived's 1.0: the host
/// is named in any case, and the connection is closed.
fn version(statement: &Statement, values: &mut Values<'_>) -> Field<HttpVersion> {
    const VERSIONS: &[(&str, HttpVersion)] = &[
        ("1.0", HttpVersion::Http10),
        ("1.0C", HttpVersion::Http10),
        ("1.0c", HttpVersion::Http10),
        ("1.1", HttpVersion::Http11),
    ];
    let Some(protocol) = statement.last("http_protocol") else {
        return Field::Absent;
    };
    let word = values.argument(protocol);
    let chosen = word
        .and_then(|word| Some(given(values.choice("http_protocol", word, VERSIONS)?, word.span)));
    chosen.unwrap_or(Field::Refused)
}

/// keepalived looks at no certificate of a server, and asks for no name unless it is told to.
fn tls(checker: &Checker<'_>, values: &mut Values<'_>) -> Tls {
    let ssl = checker.elsewhere.ssl;
    let file =
        |word: &str, values: &mut Values<'_>| values.text(ssl.and_then(|ssl| ssl.last(word)));
    let asks = values.switch(checker.statement.last("enable_sni"));
    let sni = match (values.text(checker.statement.last("sni_name")), asks) {
        // That of the page.
        (Field::Absent, Field::Given(Spanned { value: true, .. })) => Field::Absent,
        (Field::Absent, _) => given(String::new(), checker.statement.span),
        (name, _) => name,
    };
    Tls {
        sni,
        verify: given(false, checker.statement.span),
        certificate: file("certificate", values),
        key: file("key", values),
        ca: Field::Absent,
        is_foreign: true,
    }
}

fn page(url: &Statement, values: &mut Values<'_>) -> Page {
    let body_not = match url.last("regex_no_match") {
        Some(statement) => given(true, statement.span),
        None => Field::Absent,
    };
    let expects = ["digest", "regex"].into_iter().find_map(|word| url.last(word));
    Page {
        path: path(url, values),
        status: status(url, values),
        md5: values.text(url.last("digest")),
        body_limit: expects.map_or(Field::Absent, |word| given(BODY_LIMIT, word.span)),
        body_regex: regex(url, values),
        body_not: if url.last("regex").is_some() { body_not } else { Field::Absent },
        ..Page::default()
    }
}

/// A path without a slash in front is none, as servers have it.
fn path(url: &Statement, values: &mut Values<'_>) -> Field<String> {
    if url.last("path").is_none() {
        values.error(url.span, Problem::WithoutPath);
        return Field::Refused;
    }
    values.text(url.last("path"))
}

/// Codes and ranges of codes, in as many words as there are.
fn status(url: &Statement, values: &mut Values<'_>) -> Field<List<Status>> {
    let Some(statement) = url.last("status_code") else { return Field::Absent };
    if statement.arguments.is_empty() {
        values.warning(statement.span, Problem::WithoutValue { word: "status_code" });
        return Field::Absent;
    }
    let mut complete = true;
    let mut elements = Vec::new();
    for word in &statement.arguments {
        let (first, last) = word.text.split_once('-').unwrap_or((&word.text, &word.text));
        let code = |text: &str| Word { text: text.to_owned(), span: word.span };
        let mut code = |text: &str| values.number_of("status_code", &code(text), 100..=599);
        match (code(first), code(last)) {
            (Field::Given(first), Field::Given(last)) => elements.push(Spanned {
                value: Status { first: first.value, last: last.value },
                span: word.span,
            }),
            _ => complete = false,
        }
    }
    given(List { elements, complete }, statement.arguments[0].span)
}

/// The expression with its options, as far as they can be said within it.
fn regex(url: &Statement, values: &mut Values<'_>) -> Field<String> {
    let Some(statement) = url.last("regex") else { return Field::Absent };
    let words = statement.escaped_arguments();
    let Some((word, rest)) = words.split_first() else {
        return values.text(Some(statement));
    };
    values.nothing_more("regex", rest.first());
    let (mut flags, mut ends_only) = (String::new(), false);
    for option in url.last("regex_options").map_or(&[][..], |options| &options.arguments) {
        match option.text.as_str() {
            "caseless" => flags.push('i'),
            "dotall" => flags.push('s'),
            "extended" => flags.push('x'),
            "multiline" => flags.push('m'),
            "ungreedy" => flags.push('U'),
            "dollar_endonly" => ends_only = true,
            "ucp" | "utf" => {}
            _ => {
                let problem =
                    Problem::UnusedOption { block: "regex_options", option: option.text.clone() };
                values.warning(option.span, problem);
            }
        }
    }
    let text = match ends_only || flags.contains('m') || is_of_many_lines(&word.text) {
        true => word.text.clone(),
        false => before_last_line_end(&word.text),
    };
    let flags = if flags.is_empty() { flags } else { format!("(?{flags})") };
    given(format!("{flags}{text}"), word.span)
}

/// Whether an expression says itself that it is about lines, whose ends `$` matches anyhow.
fn is_of_many_lines(expression: &str) -> bool {
    expression.split("(?").skip(1).any(|rest| {
        let flags: &str = rest.split([')', ':', '-']).next().unwrap_or_default();
        flags.chars().all(|flag| flag.is_ascii_alphabetic()) && flags.contains('m')
    })
}

/// The expression with each `$` that ends it, or one of its branches, as PCRE has it: it matches before a
/// last line end as well (pcrepattern(3), "Circumflex and dollar").
fn before_last_line_end(expression: &str) -> String {
    let (mut text, mut characters) =
        (String::with_capacity(expression.len() + 4), expression.chars().peekable());
    let mut in_class = false;
    while let Some(character) = characters.next() {
        match (character, in_class) {
            ('\\', _) => {
                text.push(character);
                text.extend(characters.next());
            }
            // The first of a class may be a bracket, which does not end it.
            ('[', false) => {
                text.push(character);
                text.extend(characters.next_if_eq(&'^'));
                text.extend(characters.next_if_eq(&']'));
                in_class = true;
            }
            (']', true) => {
                text.push(character);
                in_class = false;
            }
            ('$', false) if matches!(characters.peek(), None | Some(')' | '|')) => {
                text.push_str(r"\n?\z");
            }
            _ => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_may_be_before_a_last_line_end() {
        for (pcre, ours) in [
            ("OK$", r"OK\n?\z"),
            ("^(OK$|fine$)", r"^(OK\n?\z|fine\n?\z)"),
            (r"costs 5\$", r"costs 5\$"),
            (r"\\$", r"\\\n?\z"),
            ("[]$]$", r"[]$]\n?\z"),
            ("[^]$]", "[^]$]"),
            ("a$b", "a$b"),
            ("", ""),
        ] {
            assert_eq!(before_last_line_end(pcre), ours, "{pcre}");
        }
        for (expression, wanted) in
            [("(?m)a$", true), ("(?i-m:a$)", false), ("(?:m)$", false), ("m$", false)]
        {
            assert_eq!(is_of_many_lines(expression), wanted, "{expression}");
        }
    }
}
