//! How backends are examined: what all checks have in common, and which kinds there are.

mod http;
mod network;
mod pattern;
mod reports;
mod services;

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::Path;
use std::time::Duration;

pub use self::http::{BodyRule, HeaderRule, Headers, Http, HttpVersion, Page, StatusRange, Text};
pub use self::network::{
    Dns, Identity, Ping, Record, Smtp, SmtpSecurity, Step, Tcp, Tls, Udp, Words,
};
pub use self::pattern::{Nibbles, Pattern, PatternError};
pub use self::reports::{Agent, File, Script, Worker};
pub use self::services::{Database, Grpc, Ldap, Redis, Role, Secret};
pub use lb_health::digest::Digest;

use super::{Address, Command};

/// How a backend is examined, and what it takes to change the verdict.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Check {
    /// What is done.
    pub kind: CheckKind,
    /// The port to check; default: that of the backend. Not together with `address`.
    pub port: Option<u16>,
    /// What is checked instead of the backend, as keepalived's `connect_ip`; default: the backend.
    pub address: Option<Address>,
    /// The address to connect from, as keepalived's `bindto`; default: as the system chooses.
    pub source: Option<IpAddr>,
    /// The port to connect from, as keepalived's `bind_port`; default: as the system chooses.
    pub source_port: Option<NonZeroU16>,
    /// The interface to connect through, whatever the routes say; default: as the system chooses.
    pub interface: Option<String>,
    /// The mark of its packets, by which rules of routing may know them, as keepalived's `fwmark`;
    /// default: none.
    pub mark: Option<NonZeroU32>,
    /// From the start of one run to the start of the next; above zero, default: 2 s.
    pub interval: Duration,
    /// How long a whole run may take; above zero, default: 1 s.
    pub timeout: Duration,
    /// How many runs in a row must pass to come up; at least 1, default: 2, and 1 of an agent.
    pub rise: u32,
    /// How many runs in a row must fail to go down; at least 1, default: 3, and 1 of an agent.
    pub fall: u32,
    /// The interval while a change of the verdict has begun; above zero, default: the smaller of
    /// `interval` and 500 ms.
    pub fast_interval: Duration,
    /// The interval while down; above zero, default: `interval`.
    pub down_interval: Duration,
    /// The first run is within this time, zero for at once; default: the more checks there are,
    /// the longer, up to a second.
    pub warmup: Option<Duration>,
    /// By how much intervals vary at random, in percent: at most 50, default: 10.
    pub jitter: u8,
    /// What holds before the first verdict; default: down.
    pub initial: Initial,
    /// Whether the very first run decides alone; default: yes.
    pub first_decisive: bool,
    /// After so many runs in a row that this host could not carry out, each further one counts as a
    /// failure; default: never, nothing is believed to have changed.
    pub local_limit: Option<NonZeroU32>,
}

impl Check {
    /// What is checked for a backend.
    pub fn target(&self, backend: &Address) -> Address {
        let own = || backend.with_port(self.port.unwrap_or(backend.port()));
        self.address.clone().unwrap_or_else(own)
    }

    /// The program that it runs, if it runs one.
    pub const fn command(&self) -> Option<&Command> {
        match &self.kind {
            CheckKind::Script(script) => Some(&script.command),
            CheckKind::Worker(worker) => Some(&worker.command),
            _ => None,
        }
    }

    /// The files that are read when it is made, each with the key that names it.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let password = self.kind.password().and_then(|secret| match secret {
            Secret::File(path) => Some(("password_file", &**path)),
            Secret::Text(_) => None,
        });
        password.into_iter().chain(self.kind.tls().into_iter().flat_map(Tls::files))
    }

    pub(in crate::config) const fn command_mut(&mut self) -> Option<&mut Command> {
        match &mut self.kind {
            CheckKind::Script(script) => Some(&mut script.command),
            CheckKind::Worker(worker) => Some(&mut worker.command),
            _ => None,
        }
    }
}

/// What a check does.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CheckKind {
    /// Asks a program on the backend how it is doing.
    Agent(Agent),
    /// Asks a name server.
    Dns(Dns),
    /// Reads a number from a file.
    File(File),
    /// Asks a gRPC service by the standard health protocol.
    Grpc(Grpc),
    /// Asks for pages; with TLS it is called `https`.
    Http(Box<Http>),
    /// Binds to a directory, and searches in it.
    Ldap(Ldap),
    /// Logs in to MySQL or MariaDB.
    Mysql(Database),
    /// Sends an echo request.
    Ping(Ping),
    /// Logs in to PostgreSQL.
    Postgres(Database),
    /// Sends a `PING`.
    Redis(Redis),
    /// Runs a program: exit code 0 passes.
    Script(Script),
    /// Greets a mail server.
    Smtp(Smtp),
    /// Opens a connection, and may talk over it.
    Tcp(Tcp),
    /// Shakes hands.
    Tls(Tls),
    /// Sends a datagram.
    Udp(Udp),
    /// Asks a program of our own that goes on running.
    Worker(Worker),
}

impl CheckKind {
    /// How it is written as `type`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Agent(_) => "agent",
            Self::Dns(_) => "dns",
            Self::File(_) => "file",
            Self::Grpc(_) => "grpc",
            Self::Http(http) if http.tls.is_some() => "https",
            Self::Http(_) => "http",
            Self::Ldap(_) => "ldap",
            Self::Mysql(_) => "mysql",
            Self::Ping(_) => "ping",
            Self::Postgres(_) => "postgres",
            Self::Redis(_) => "redis",
            Self::Script(_) => "script",
            Self::Smtp(_) => "smtp",
            Self::Tcp(_) => "tcp",
            Self::Tls(_) => "tls",
            Self::Udp(_) => "udp",
            Self::Worker(_) => "worker",
        }
    }

    const fn password(&self) -> Option<&Secret> {
        match self {
            Self::Ldap(ldap) => ldap.password.as_ref(),
            Self::Mysql(database) | Self::Postgres(database) => database.password.as_ref(),
            Self::Redis(redis) => redis.password.as_ref(),
            _ => None,
        }
    }

    fn tls(&self) -> Option<&Tls> {
        match self {
            Self::Agent(agent) => agent.tls.as_ref(),
            Self::Grpc(grpc) => grpc.tls.as_ref(),
            Self::Http(http) => http.tls.as_ref(),
            Self::Ldap(ldap) => ldap.tls.as_ref(),
            Self::Mysql(database) | Self::Postgres(database) => database.tls.as_ref(),
            Self::Redis(redis) => redis.tls.as_ref(),
            Self::Smtp(smtp) => smtp.security.as_ref().map(SmtpSecurity::tls),
            Self::Tcp(tcp) => tcp.tls.as_ref(),
            Self::Tls(tls) => Some(tls),
            Self::Dns(_)
            | Self::File(_)
            | Self::Ping(_)
            | Self::Script(_)
            | Self::Udp(_)
            | Self::Worker(_) => None,
        }
    }

    /// Whether what it reports depends on the configured weight.
    pub const fn changes_weight(&self) -> bool {
        match self {
            Self::File(file) => file.weight != 0,
            _ => false,
        }
    }

    /// Whether a check of this kind may give the backend another weight than the configured one.
    pub fn reports_weight(&self) -> bool {
        match self {
            Self::Agent(_) | Self::Worker(_) => true,
            Self::File(file) => file.weight != 0,
            Self::Script(script) => script.dynamic_weight,
            _ => false,
        }
    }

    /// Whether it asks what clients find out as well: whether the server can be spoken to. What a program
    /// beside it says, or a number in a file, is about something else.
    pub const fn is_about_connections(&self) -> bool {
        !matches!(self, Self::Agent(_) | Self::File(_) | Self::Script(_) | Self::Worker(_))
    }

    /// Whether a check of this kind may hold the backend to other limits than the configured ones.
    pub const fn reports_limit(&self) -> bool {
        matches!(self, Self::Agent(_))
    }
}

/// What a backend counts as before its first verdict.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Initial {
    /// It receives no flow until its checks have passed.
    #[default]
    Down,
    /// It receives flows at once.
    Up,
}
