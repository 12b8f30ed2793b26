//! Checks as a front end reads them: what all have in common, and each kind with its own keys.

use std::net::IpAddr;
use std::time::Duration;

use super::{Field, List};
use crate::config::model::check::{HttpVersion, Initial, Record, Role};
use crate::config::model::{Account, Address};
use crate::config::source::Spanned;

#[derive(Debug, Default)]
pub(in crate::config) struct Check {
    /// `None` if the type has been reported as a mistake: then nobody knows the other keys.
    pub(in crate::config) kind: Option<Kind>,
    pub(in crate::config) port: Field<i64>,
    pub(in crate::config) address: Field<Address>,
    pub(in crate::config) source: Field<IpAddr>,
    pub(in crate::config) source_port: Field<i64>,
    pub(in crate::config) interface: Field<String>,
    pub(in crate::config) mark: Field<i64>,
    pub(in crate::config) interval: Field<Duration>,
    pub(in crate::config) timeout: Field<Duration>,
    pub(in crate::config) rise: Field<i64>,
    pub(in crate::config) fall: Field<i64>,
    pub(in crate::config) fast_interval: Field<Duration>,
    pub(in crate::config) down_interval: Field<Duration>,
    pub(in crate::config) warmup: Field<Duration>,
    pub(in crate::config) jitter: Field<i64>,
    pub(in crate::config) initial: Field<Initial>,
    pub(in crate::config) first_decisive: Field<bool>,
    pub(in crate::config) local_limit: Field<i64>,
}

/// The kinds of check by name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::config) enum CheckType {
    Agent,
    Dns,
    File,
    Grpc,
    Http,
    Https,
    Ldap,
    Mysql,
    Ping,
    Postgres,
    Redis,
    Script,
    Smtp,
    #[default]
    Tcp,
    Tls,
    Udp,
    Worker,
}

/// A kind of check with its own keys.
#[derive(Debug)]
pub(in crate::config) enum Kind {
    Agent(Agent),
    Dns(Dns),
    File(File),
    Grpc(Grpc),
    Http(Box<Http>),
    Ldap(Ldap),
    Mysql(Database),
    Ping(Ping),
    Postgres(Database),
    Redis(Redis),
    Script(Script),
    Smtp(Smtp),
    Tcp(Tcp),
    Tls(Tls),
    Udp(Udp),
    Worker(Worker),
}

/// A range of status codes of which nothing is known yet.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Status {
    pub(in crate::config) first: i64,
    pub(in crate::config) last: i64,
}

/// The headers of a request, each name with its value.
#[derive(Clone, Debug)]
pub(in crate::config) struct Headers(pub(in crate::config) Vec<(Spanned<String>, Spanned<String>)>);

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Tcp {
    pub(in crate::config) steps: Field<List<Step>>,
    pub(in crate::config) tls: Field<bool>,
    pub(in crate::config) options: Tls,
}

/// One step: exactly one of these, but for `not`.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Step {
    pub(in crate::config) send: Field<String>,
    pub(in crate::config) send_hex: Field<String>,
    pub(in crate::config) expect: Field<String>,
    pub(in crate::config) expect_hex: Field<String>,
    pub(in crate::config) expect_regex: Field<String>,
    /// May come with any of the three before.
    pub(in crate::config) not: Field<bool>,
}

/// What every kind that may speak TLS has.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Tls {
    pub(in crate::config) sni: Field<String>,
    pub(in crate::config) verify: Field<bool>,
    pub(in crate::config) ca: Field<String>,
    pub(in crate::config) certificate: Field<String>,
    pub(in crate::config) key: Field<String>,
    /// Whether it is of a syntax in which nothing else can be said.
    pub(in crate::config) is_foreign: bool,
}

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Http {
    /// There for `https`, and only there.
    pub(in crate::config) tls: Option<Tls>,
    pub(in crate::config) urls: Field<List<Page>>,
    /// The only page, or what holds for each of `urls` that says nothing else.
    pub(in crate::config) page: Page,
    pub(in crate::config) method: Field<String>,
    pub(in crate::config) host: Field<String>,
    pub(in crate::config) headers: Field<Headers>,
    pub(in crate::config) request_body: Field<String>,
    pub(in crate::config) version: Field<HttpVersion>,
    pub(in crate::config) keep_alive: Field<bool>,
}

/// A page, or what holds for all of them.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Page {
    pub(in crate::config) path: Field<String>,
    pub(in crate::config) status: Field<List<Status>>,
    pub(in crate::config) drain_status: Field<List<Status>>,
    pub(in crate::config) md5: Field<String>,
    pub(in crate::config) sha256: Field<String>,
    pub(in crate::config) body: Field<String>,
    pub(in crate::config) body_regex: Field<String>,
    pub(in crate::config) body_not: Field<bool>,
    pub(in crate::config) expect_headers: Field<List<HeaderRule>>,
    pub(in crate::config) body_limit: Field<i64>,
}

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct HeaderRule {
    pub(in crate::config) name: Field<String>,
    pub(in crate::config) value: Field<String>,
    pub(in crate::config) regex: Field<String>,
    pub(in crate::config) not: Field<bool>,
}

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Smtp {
    pub(in crate::config) helo: Field<String>,
    pub(in crate::config) starttls: Field<bool>,
    pub(in crate::config) tls: Field<bool>,
    pub(in crate::config) options: Tls,
}

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Dns {
    pub(in crate::config) name: Field<String>,
    pub(in crate::config) record: Field<Record>,
    pub(in crate::config) answer: Field<List<String>>,
    pub(in crate::config) require_answer: Field<bool>,
}

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Udp {
    pub(in crate::config) send: Field<String>,
    pub(in crate::config) send_hex: Field<String>,
    pub(in crate::config) expect: Field<String>,
    pub(in crate::config) expect_hex: Field<String>,
    pub(in crate::config) require_reply: Field<bool>,
    pub(in crate::config) min_reply: Field<i64>,
    pub(in crate::config) max_reply: Field<i64>,
}

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Ping {
    pub(in crate::config) size: Field<i64>,
}

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Login {
    pub(in crate::config) user: Field<String>,
    pub(in crate::config) password: Field<String>,
    pub(in crate::config) password_file: Field<String>,
}

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Database {
    pub(in crate::config) login: Login,
    pub(in crate::config) database: Field<String>,
    pub(in crate::config) query: Field<String>,
    pub(in crate::config) writable: Field<bool>,
    pub(in crate::config) tls: Field<bool>,
    pub(in crate::config) options: Tls,
}

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Redis {
    pub(in crate::config) login: Login,
    pub(in crate::config) role: Field<Role>,
    pub(in crate::config) tls: Field<bool>,
    pub(in crate::config) options: Tls,
}

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Ldap {
    pub(in crate::config) bind_dn: Field<String>,
    pub(in crate::config) password: Field<String>,
    pub(in crate::config) password_file: Field<String>,
    pub(in crate::config) base: Field<String>,
    pub(in crate::config) filter: Field<String>,
    pub(in crate::config) tls: Field<bool>,
    pub(in crate::config) options: Tls,
}

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Grpc {
    pub(in crate::config) service: Field<String>,
    pub(in crate::config) host: Field<String>,
    pub(in crate::config) keep_alive: Field<bool>,
    pub(in crate::config) tls: Field<bool>,
    pub(in crate::config) options: Tls,
}

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Script {
    pub(in crate::config) command: Field<List<String>>,
    pub(in crate::config) user: Field<Account>,
    pub(in crate::config) dynamic_weight: Field<bool>,
}

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Worker {
    pub(in crate::config) command: Field<List<String>>,
    pub(in crate::config) user: Field<Account>,
}

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Agent {
    pub(in crate::config) send: Field<String>,
    pub(in crate::config) tls: Field<bool>,
    pub(in crate::config) options: Tls,
}

#[derive(Clone, Debug, Default)]
pub(in crate::config) struct File {
    pub(in crate::config) path: Field<String>,
    pub(in crate::config) weight: Field<i64>,
    pub(in crate::config) reverse: Field<bool>,
}
