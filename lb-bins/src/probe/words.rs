//! A check in the words of a command line: `http,path=/alive,status=200`.

use std::net::{Ipv4Addr, SocketAddr};

use crate::config::{Address, Check, Config, ConfigErrors};

/// Keys whose values are lists: one element needs no brackets.
const LISTS: [&str; 4] = ["answer", "command", "drain_status", "status"];

/// Keys whose values are text, also if they look like a number, as `version=2` and `send_hex=00`.
const TEXTS: [&str; 18] = [
    "body",
    "body_regex",
    "database",
    "expect",
    "expect_hex",
    "helo",
    "host",
    "interface",
    "md5",
    "name",
    "password",
    "query",
    "request_body",
    "send",
    "send_hex",
    "sha256",
    "user",
    "version",
];

/// The checks that `words` describe: the type, then the keys of the configuration; or a whole table
/// or array of tables as it would be there.
///
/// # Errors
/// Every mistake, as in a configuration.
pub(super) fn checks(words: &str, target: &Address) -> Result<Vec<Check>, ConfigErrors> {
    // Nobody will listen there; but it is of the right family.
    let host = target.numeric().map_or(Ipv4Addr::UNSPECIFIED.into(), |address| address.ip());
    let listen = SocketAddr::new(host, if target.port() == 1 { 2 } else { 1 });
    let text = format!(
        "check = {}\nlisten = \"{listen}\"\nbackend = [{{ address = \"{target}\" }}]\n",
        table(words)
    );
    let config = Config::parse("--probe", &format!("[[virtual_server]]\n{text}"))?;
    let backends = config.virtual_servers.into_iter().flat_map(|server| server.backends);
    Ok(backends.flat_map(|backend| backend.checks).collect())
}

/// The words as TOML.
fn table(words: &str) -> String {
    if words.starts_with(['{', '[', '"']) {
        return words.to_owned();
    }
    let mut parts = split(words).into_iter();
    let kind = parts.next().unwrap_or_default();
    let mut table = format!("{{ type = {}", value(kind));
    for part in parts {
        let (key, given) = part.split_once('=').unwrap_or((part, "true"));
        let key = key.trim();
        let given = match given.trim() {
            text if TEXTS.contains(&key) && !text.starts_with(['"', '\'']) => format!("{text:?}"),
            given => value(given),
        };
        let bracketed = given.starts_with('[') || !LISTS.contains(&key);
        table +=
            &if bracketed { format!(", {key} = {given}") } else { format!(", {key} = [{given}]") };
    }
    table + " }"
}

/// What is TOML already stays; everything else is a string.
fn value(word: &str) -> String {
    let is_toml = word.starts_with(['"', '\'', '[', '{'])
        || matches!(word, "true" | "false")
        || word.parse::<i64>().is_ok();
    if is_toml { word.to_owned() } else { format!("{word:?}") }
}

/// At the commas that are not in quotes or brackets.
fn split(words: &str) -> Vec<&str> {
    let (mut depth, mut quote, mut parts, mut begin) = (0_i32, None, Vec::new(), 0);
    for (at, character) in words.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(&words[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&words[begin..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_tables() {
        for (words, expected) in [
            ("tcp", r#"{ type = "tcp" }"#),
            (
                "http,path=/alive,status=200",
                r#"{ type = "http", path = "/alive", status = [200] }"#,
            ),
            (
                "http, status=200-299, port=80",
                r#"{ type = "http", status = ["200-299"], port = 80 }"#,
            ),
            ("http,drain_status=404", r#"{ type = "http", drain_status = [404] }"#),
            (
                "http,version=2,request_body=true",
                r#"{ type = "http", version = "2", request_body = "true" }"#,
            ),
            ("udp,send_hex=00,send='1'", r#"{ type = "udp", send_hex = "00", send = '1' }"#),
            ("dns,answer=[\"a\", \"b\"]", r#"{ type = "dns", answer = ["a", "b"] }"#),
            (r#"tcp,host="a,b=c",tls"#, r#"{ type = "tcp", host = "a,b=c", tls = true }"#),
            ("script,command=/bin/up", r#"{ type = "script", command = ["/bin/up"] }"#),
            (r#"{ type = "tcp" }"#, r#"{ type = "tcp" }"#),
        ] {
            assert_eq!(table(words), expected);
        }
    }

    #[test]
    fn checks_are_judged_as_in_a_configuration() {
        for target in ["127.0.0.1:1", "127.0.0.1:80", "[::1]:80", "example.org:80"] {
            let target = target.parse().unwrap();
            let found = checks("http,path=/alive,timeout=3s", &target).unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].timeout.as_secs(), 3);
        }
        let target = "127.0.0.1:80".parse().unwrap();
        for (words, mistake) in [
            ("htp", "did you mean \"http\"?"),
            ("http,pathe=/", "did you mean `path`?"),
            ("http,path=alive", "path"),
            ("tcp,=,[", "--probe"),
            ("", "--probe"),
        ] {
            let mistakes = checks(words, &target).unwrap_err().to_string();
            assert!(mistakes.contains(mistake), "{mistakes}");
        }
    }
}
