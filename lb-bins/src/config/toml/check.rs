//! How checks are written in TOML: the type decides which other keys there are.

use ::toml::de::{DeTable, DeValue};

use super::reader::{Entry, Read, Table};
use crate::config::draft::check::{
    Agent, Check, CheckType, Database, Dns, File, Grpc, HeaderRule, Headers, Http, Kind, Ldap,
    Login, Page, Ping, Redis, Script, Smtp, Step, Tcp, Tls, Udp, Worker,
};
use crate::config::draft::{Checks, Field, List};
use crate::config::mistakes::Mistakes;
use crate::config::problem::Problem;
use crate::config::source::{Span, Spanned};
use crate::config::words::Word;

/// One table, an array of them, or `"none"`.
impl Read for Checks {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        match entry.value {
            DeValue::Array(_) => entry.read(mistakes).map(Self::Listed),
            DeValue::String(word) if word == "none" => Some(Self::Unchecked),
            DeValue::Table(_) => {
                let value = entry.read(mistakes)?;
                let elements = vec![Spanned { value, span: entry.span }];
                Some(Self::Listed(List { elements, complete: true }))
            }
            DeValue::String(word) => {
                let (word, known) = (word.to_string(), vec!["none"]);
                mistakes.error(entry.span, Problem::UnknownWord { key: entry.key, word, known });
                None
            }
            _ => entry.wrong_type("a table, an array of tables or \"none\"", mistakes),
        }
    }
}

impl Read for Check {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let kind: Field<CheckType> = table.take("type", r#"type = "tcp""#);
        let check = Self {
            port: table.take("port", "port = 8080"),
            address: table.take("address", r#"address = "192.0.2.1:80""#),
            source: table.take("source", r#"source = "192.0.2.9""#),
            source_port: table.take("source_port", "source_port = 4000"),
            interface: table.take("interface", r#"interface = "eth1""#),
            mark: table.take("mark", "mark = 7"),
            interval: table.take("interval", r#"interval = "2s""#),
            timeout: table.take("timeout", r#"timeout = "1s""#),
            rise: table.take("rise", "rise = 2"),
            fall: table.take("fall", "fall = 3"),
            fast_interval: table.take("fast_interval", r#"fast_interval = "500ms""#),
            down_interval: table.take("down_interval", r#"down_interval = "2s""#),
            warmup: table.take("warmup", r#"warmup = "1s""#),
            jitter: table.take("jitter", "jitter = 10"),
            initial: table.take("initial", r#"initial = "down""#),
            first_decisive: table.take("first_decisive", "first_decisive = false"),
            local_limit: table.take("local_limit", "local_limit = 10"),
            kind: None,
        };
        if kind.is_refused() {
            return Some(check);
        }
        let kind = kind.or(CheckType::default());
        let keys = Kind::take(kind, &mut table);
        table.finish_with(|key, known| match owners(key, kind) {
            owners if owners.is_empty() => Problem::UnknownKey { key: key.to_owned(), known },
            owners => Problem::OtherCheck { key: key.to_owned(), owners, kind: kind.word() },
        });
        Some(Self { kind: Some(keys), ..check })
    }
}

/// The kinds of check that have `key`, as far as `kind` may have been meant to be one of them.
fn owners(key: &str, kind: CheckType) -> Vec<&'static str> {
    let has = |kind: CheckType| {
        // Nothing is in it and nothing is said: only the names of the keys are of interest.
        let (nothing, mut unheard) = (DeTable::new(), Mistakes::default());
        let mut table = Table::root(&nothing, &mut unheard);
        Kind::take(kind, &mut table);
        table.knows(key)
    };
    match kind {
        CheckType::Http if has(CheckType::Https) => vec![CheckType::Https.word()],
        // It can do that as well, in steps.
        CheckType::Tcp if key.starts_with("send") || key.starts_with("expect") => Vec::new(),
        _ => {
            CheckType::WORDS.iter().filter(|&&(_, kind)| has(kind)).map(|&(word, _)| word).collect()
        }
    }
}

impl Kind {
    fn take(kind: CheckType, table: &mut Table<'_, '_>) -> Self {
        match kind {
            CheckType::Agent => Self::Agent(Agent::take(table)),
            CheckType::Dns => Self::Dns(Dns::take(table)),
            CheckType::File => Self::File(File::take(table)),
            CheckType::Grpc => Self::Grpc(Grpc::take(table)),
            CheckType::Http => Self::Http(Box::new(Http::take(table, None))),
            CheckType::Https => {
                let tls = Tls::take(table);
                Self::Http(Box::new(Http::take(table, Some(tls))))
            }
            CheckType::Ldap => Self::Ldap(Ldap::take(table)),
            CheckType::Mysql => Self::Mysql(Database::take(table)),
            CheckType::Ping => Self::Ping(Ping::take(table)),
            CheckType::Postgres => Self::Postgres(Database::take(table)),
            CheckType::Redis => Self::Redis(Redis::take(table)),
            CheckType::Script => Self::Script(Script::take(table)),
            CheckType::Smtp => Self::Smtp(Smtp::take(table)),
            CheckType::Tcp => Self::Tcp(Tcp::take(table)),
            CheckType::Tls => Self::Tls(Tls::take(table)),
            CheckType::Udp => Self::Udp(Udp::take(table)),
            CheckType::Worker => Self::Worker(Worker::take(table)),
        }
    }
}

impl Tls {
    pub(super) fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            sni: table.take("sni", r#"sni = "www.example.org""#),
            verify: table.take("verify", "verify = true"),
            ca: table.take("ca", r#"ca = "/etc/lb/ca.pem""#),
            certificate: table.take("certificate", r#"certificate = "/etc/lb/client.pem""#),
            key: table.take("key", r#"key = "/etc/lb/client.key""#),
            is_foreign: false,
        }
    }
}

impl Tcp {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            steps: table.take("steps", r#"steps = [{ send = "PING\r\n" }, { expect = "+PONG" }]"#),
            tls: table.take("tls", "tls = true"),
            options: Tls::take(table),
        }
    }
}

impl Udp {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            send: table.take("send", r#"send = "ping""#),
            send_hex: table.take("send_hex", r#"send_hex = "00ff""#),
            expect: table.take("expect", r#"expect = "pong""#),
            expect_hex: table.take("expect_hex", r#"expect_hex = "01x2""#),
            require_reply: table.take("require_reply", "require_reply = false"),
            min_reply: table.take("min_reply", "min_reply = 1"),
            max_reply: table.take("max_reply", "max_reply = 512"),
        }
    }
}

impl Dns {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            name: table.take("name", r#"name = "www.example.org""#),
            record: table.take("record", r#"record = "A""#),
            answer: table.take("answer", r#"answer = ["192.0.2.1"]"#),
            require_answer: table.take("require_answer", "require_answer = true"),
        }
    }
}

impl Smtp {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            helo: table.take("helo", r#"helo = "lb.example.org""#),
            starttls: table.take("starttls", "starttls = true"),
            tls: table.take("tls", "tls = true"),
            options: Tls::take(table),
        }
    }
}

impl Ping {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self { size: table.take("size", "size = 56") }
    }
}

impl Http {
    fn take(table: &mut Table<'_, '_>, tls: Option<Tls>) -> Self {
        Self {
            tls,
            page: Page::take(table),
            urls: table.take("urls", r#"urls = [{ path = "/alive" }, { path = "/ready" }]"#),
            method: table.take("method", r#"method = "HEAD""#),
            host: table.take("host", r#"host = "www.example.org""#),
            headers: table.take("headers", r#"headers = { Accept = "text/plain" }"#),
            request_body: table.take("request_body", r#"request_body = "ping""#),
            version: table.take("version", r#"version = "1.1""#),
            keep_alive: table.take("keep_alive", "keep_alive = true"),
        }
    }
}

impl Page {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            path: table.take("path", r#"path = "/alive""#),
            status: table.take("status", r#"status = ["200-299"]"#),
            drain_status: table.take("drain_status", "drain_status = [404]"),
            md5: table.take("md5", r#"md5 = "d41d8cd98f00b204e9800998ecf8427e""#),
            sha256: table.take(
                "sha256",
                r#"sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855""#,
            ),
            body: table.take("body", r#"body = "ready""#),
            body_regex: table.take("body_regex", r#"body_regex = "ready|busy""#),
            body_not: table.take("body_not", "body_not = true"),
            expect_headers: table.take(
                "expect_headers",
                r#"expect_headers = [{ name = "Server", value = "nginx" }]"#,
            ),
            body_limit: table.take("body_limit", "body_limit = 65536"),
        }
    }
}

impl Login {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            user: table.take("user", r#"user = "monitor""#),
            password: table.take("password", r#"password = "secret""#),
            password_file: table.take("password_file", r#"password_file = "/etc/lb/password""#),
        }
    }
}

impl Database {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            login: Login::take(table),
            database: table.take("database", r#"database = "shop""#),
            query: table.take("query", r#"query = "SELECT 1""#),
            writable: table.take("writable", "writable = true"),
            tls: table.take("tls", "tls = true"),
            options: Tls::take(table),
        }
    }
}

impl Redis {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            login: Login::take(table),
            role: table.take("role", r#"role = "master""#),
            tls: table.take("tls", "tls = true"),
            options: Tls::take(table),
        }
    }
}

impl Ldap {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            bind_dn: table.take("bind_dn", r#"bind_dn = "cn=monitor,dc=example,dc=org""#),
            password: table.take("password", r#"password = "secret""#),
            password_file: table.take("password_file", r#"password_file = "/etc/lb/password""#),
            base: table.take("base", r#"base = "dc=example,dc=org""#),
            filter: table.take("filter", r#"filter = "(objectClass=*)""#),
            tls: table.take("tls", "tls = true"),
            options: Tls::take(table),
        }
    }
}

impl Grpc {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            service: table.take("service", r#"service = "shop.Cart""#),
            host: table.take("host", r#"host = "www.example.org""#),
            keep_alive: table.take("keep_alive", "keep_alive = true"),
            tls: table.take("tls", "tls = true"),
            options: Tls::take(table),
        }
    }
}

impl Script {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            command: table.take("command", r#"command = ["/usr/local/bin/check", "argument"]"#),
            user: table.take("user", r#"user = "nobody""#),
            dynamic_weight: table.take("dynamic_weight", "dynamic_weight = true"),
        }
    }
}

impl Worker {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            command: table.take("command", r#"command = ["/usr/local/bin/check", "argument"]"#),
            user: table.take("user", r#"user = "nobody""#),
        }
    }
}

impl Agent {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            send: table.take("send", r#"send = "state""#),
            tls: table.take("tls", "tls = true"),
            options: Tls::take(table),
        }
    }
}

impl File {
    fn take(table: &mut Table<'_, '_>) -> Self {
        Self {
            path: table.take("path", r#"path = "/run/lb/weight""#),
            weight: table.take("weight", "weight = 1"),
            reverse: table.take("reverse", "reverse = true"),
        }
    }
}

impl Read for Step {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let step = Self {
            send: table.take("send", r#"send = "PING\r\n""#),
            send_hex: table.take("send_hex", r#"send_hex = "00ff""#),
            expect: table.take("expect", r#"expect = "+PONG""#),
            expect_hex: table.take("expect_hex", r#"expect_hex = "00ff""#),
            expect_regex: table.take("expect_regex", r#"expect_regex = "^220 ""#),
            not: table.take("not", "not = true"),
        };
        // Which of them an unknown key was meant to be, and so what the step is, nobody knows.
        let whole = table.knows_all();
        table.finish();
        whole.then_some(step)
    }
}

impl Read for Page {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let page = Self::take(&mut table);
        table.finish();
        Some(page)
    }
}

impl Read for HeaderRule {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let rule = Self {
            name: table.take("name", r#"name = "Server""#),
            value: table.take("value", r#"value = "nginx""#),
            regex: table.take("regex", r#"regex = "^nginx""#),
            not: table.take("not", "not = true"),
        };
        table.finish();
        Some(rule)
    }
}

/// A table whose keys are not known beforehand.
impl Read for Headers {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let DeValue::Table(headers) = entry.value else {
            return entry.wrong_type("a table", mistakes);
        };
        let read = headers.iter().filter_map(|(name, value)| {
            let span = Span::from(value.span());
            let text = Entry { value: value.get_ref(), span, ..entry }.read(mistakes)?;
            let name = Spanned { value: name.get_ref().to_string(), span: name.span().into() };
            Some((name, Spanned { value: text, span }))
        });
        Some(Self(read.collect()))
    }
}
