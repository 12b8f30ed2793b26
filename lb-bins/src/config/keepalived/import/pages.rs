//! `HTTP_GET` and `SSL_GET`.

use super::checker::Checker;
use super::tracking::if_any;
use super::values::{Values, given};
use crate::config::draft::check::{Http, Kind, Page, Status, Tls};
use crate::config::draft::{Field, List};
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::model::check::HttpVersion;
use crate::config::source::Spanned;

/// The checks of all pages: one for each host that they are of, as a check has one `Host` header and asks
/// for no page twice.
pub(super) fn http(checker: &Checker<'_>, values: &mut Values<'_>) -> Vec<Kind> {
    let mut by_host: Vec<(Option<String>, Http)> = Vec::new();
    let version = version(checker.statement, values);
    for url in checker.statement.each("url") {
        let host = values.text(url.last("virtualhost").or_else(|| checker.last("virtualhost")));
        let page = Spanned { value: page(url, values), span: url.span };
        let name = host.given().map(|host| host.value.clone());
        // Of one path there may be several expectations, as long as each has a check.
        let has_room = |http: &Http| !asks_for(http, &page.value.path);
        let known = by_host.iter().position(|(known, http)| *known == name && has_room(http));
        let index = known.unwrap_or_else(|| {
            let tls = (checker.statement.word() == "SSL_GET").then(|| tls(checker, values));
            let http = Http { tls, host, version: version.clone(), ..Http::default() };
            by_host.push((name, http));
            by_host.len() - 1
        });
        add(&mut by_host[index].1.urls, page);
    }
    if by_host.is_empty() {
        let word = checker.statement.keyword.name;
        values.error(checker.statement.span, Problem::WithoutUrl { word });
    }
    by_host.into_iter().map(|(_, http)| Kind::Http(Box::new(alone(http)))).collect()
}

/// Whether a page of this path is among those of a check.
fn asks_for(http: &Http, path: &Field<String>) -> bool {
    let path = path.given().map(|path| &path.value);
    let mut urls = http.urls.given().into_iter().flat_map(|list| &list.value.elements);
    path.is_some() && urls.any(|url| url.value.path.given().map(|path| &path.value) == path)
}

fn add(field: &mut Field<List<Page>>, page: Spanned<Page>) {
    match field {
        Field::Given(list) => list.value.elements.push(page),
        Field::Absent | Field::Refused => *field = if_any(vec![page]),
    }
}

/// A page that is the only one needs no list.
fn alone(mut http: Http) -> Http {
    if let Field::Given(list) = &mut http.urls
        && list.value.elements.len() == 1
        && let Some(only) = list.value.elements.pop()
    {
        http.page = only.value;
        http.urls = Field::Absent;
    }
    http
}

/// Unless it is said HTTP/1.1, which servers of today know best, and not keepalived's 1.0: the host
/// is named in any case, and the connection is closed.
fn version(statement: &Statement, values: &mut Values<'_>) -> Field<HttpVersion> {
    const VERSIONS: &[(&str, HttpVersion)] = &[
        ("1.0", HttpVersion::Http10),
        ("1.0C", HttpVersion::Http10),
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

/// keepalived looks at no certificate of a server.
fn tls(checker: &Checker<'_>, values: &mut Values<'_>) -> Tls {
    let ssl = checker.elsewhere.ssl;
    let file =
        |word: &str, values: &mut Values<'_>| values.text(ssl.and_then(|ssl| ssl.last(word)));
    Tls {
        sni: values.text(checker.statement.last("sni_name")),
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
    Page {
        path: path(url, values),
        status: status(url, values),
        md5: values.text(url.last("digest")),
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
