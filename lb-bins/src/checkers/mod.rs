//! Which checker does what is configured, and when: for backends, for what virtual routers depend on, and
//! from the command line.

mod files;
mod http;
mod named;
mod programs;
mod spec;
mod stamps;

use std::io;
use std::path::PathBuf;

use lb_core::Weight;
use lb_health::checkers::{
    Agent, Dns, DnsError, File, Grpc, Handshake, HttpError, Ldap, Mysql, Nibbles, Origin, Pattern,
    PatternError, Ping, Postgres, Redis, RedisRole, ScriptSlots, SendExpect, Smtp, SmtpNameError,
    Tcp, TlsError, Udp, Workers,
};
use lb_health::spec::SpecError;
use lb_health::status_ranges::ParseStatusError;
use lb_health::{Failure, Report, Target};
use tower::util::BoxCloneSyncService;

pub(crate) use self::files::{identity, password_in, read, tls_of};
use self::files::{password, tls};
pub(crate) use self::spec::spec;
pub(crate) use self::stamps::Files;
use crate::config::check::{self, CheckKind, Database, Role, SmtpSecurity, Step, Words};
use crate::config::{Address, Check};

/// A configured check that cannot be built: a file that it needs is not as it should be, or the
/// configuration's rules and the checkers' differ.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckConfigError {
    /// The request of an HTTP check.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The question of a DNS check.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// What a body, a header or what a server says is held against.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The name that mail servers are told.
    #[error(transparent)]
    SmtpName(#[from] SmtpNameError),
    /// Intervals, rise or fall.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The accepted status codes.
    #[error(transparent)]
    Status(#[from] ParseStatusError),
    /// What is said with TLS.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// What is in a file that TLS needs.
    #[error("{}: {source}", path.display())]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TlsError,
    },
    /// A file that the check needs.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A checker of any kind.
pub(crate) type AnyChecker = BoxCloneSyncService<Target, Report, Failure>;

/// What checks share that are built one by one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared {
    /// How many scripts run at once.
    pub(crate) slots: ScriptSlots,
    /// One process for all checks that are made by the same worker.
    pub(crate) workers: Workers,
}

/// The checker for `check` of what is at `target`, for a backend with this configured weight, out of what is
/// in `files`; those that were not read before are read now.
///
/// # Errors
/// [`CheckConfigError`], if a file is not as it should be, or the checker refuses what the
/// configuration allowed.
pub(crate) fn checker(
    check: &Check,
    target: &Address,
    weight: Weight,
    shared: &Shared,
    files: &mut Files,
) -> Result<AnyChecker, CheckConfigError> {
    let check = &*named::named(check, target);
    let origin = origin(check);
    let connector = Tcp::new().with_origin(origin.clone());
    Ok(match &check.kind {
        CheckKind::Http(page) => AnyChecker::new(http::checker(page, origin, files)?),
        CheckKind::Mysql(database) => {
            AnyChecker::new(mysql(database, files)?.with_connector(connector))
        }
        CheckKind::Postgres(database) => {
            AnyChecker::new(postgres(database, files)?.with_connector(connector))
        }
        CheckKind::Redis(server) => {
            AnyChecker::new(redis(server, files)?.with_connector(connector))
        }
        CheckKind::Script(script) => programs::script(script, shared, files),
        CheckKind::Smtp(check::Smtp { helo, security }) => {
            let checker = Smtp::new().with_name(helo)?.with_connector(connector);
            AnyChecker::new(match security {
                Some(SmtpSecurity::Implicit(options)) => checker.with_tls(tls(options, files)?),
                Some(SmtpSecurity::Starttls(options)) => {
                    checker.with_starttls(tls(options, files)?)
                }
                // With nothing to learn from extensions, what every server knows (RFC 5321, 4.1.1.1).
                None => checker.with_helo(),
            })
        }
        CheckKind::Tcp(tcp) if *tcp == check::Tcp::default() => AnyChecker::new(connector),
        CheckKind::Tcp(talk) => {
            AnyChecker::new(send_expect(talk, files)?.with_connector(connector))
        }
        CheckKind::Tls(options) => {
            AnyChecker::new(Handshake::new(tls(options, files)?).with_connector(connector))
        }
        CheckKind::Agent(agent) => {
            AnyChecker::new(self::agent(agent, files)?.with_connector(connector))
        }
        CheckKind::Dns(question) => AnyChecker::new(dns(question, origin)?),
        CheckKind::File(file) => {
            let checker = File::new(&file.path).with_weight(file.weight, weight);
            AnyChecker::new(if file.reverse { checker.reversed() } else { checker })
        }
        CheckKind::Grpc(service) => AnyChecker::new(grpc(service, origin, files)?),
        CheckKind::Ldap(directory) => {
            AnyChecker::new(ldap(directory, files)?.with_connector(connector))
        }
        CheckKind::Ping(ping) => {
            let checker = Ping::new().with_size(ping.size);
            AnyChecker::new(checker.with_origin(origin))
        }
        CheckKind::Udp(datagram) => AnyChecker::new(udp(datagram, origin)),
        CheckKind::Worker(worker) => programs::worker(worker, shared, files),
    })
}

/// Where a check comes from.
fn origin(check: &Check) -> Origin {
    let mut origin = Origin::new();
    if let Some(source) = check.source {
        origin = origin.with_address(source);
    }
    if let Some(port) = check.source_port {
        origin = origin.with_port(port.get());
    }
    if let Some(interface) = &check.interface {
        origin = origin.with_interface(interface);
    }
    match check.mark {
        Some(mark) => origin.with_mark(mark.get()),
        None => origin,
    }
}

fn agent(agent: &check::Agent, files: &mut Files) -> Result<Agent, CheckConfigError> {
    let mut checker = Agent::new();
    if let Some(text) = &agent.send {
        checker = checker.with_send(text);
    }
    Ok(match &agent.tls {
        Some(options) => checker.with_tls(tls(options, files)?),
        None => checker,
    })
}

fn dns(question: &check::Dns, origin: Origin) -> Result<Dns, CheckConfigError> {
    let mut checker = Dns::new(&question.name, question.record.name())?;
    for answer in &question.answer {
        checker = checker.expecting(answer)?;
    }
    if question.require_answer {
        checker = checker.requiring_answer();
    }
    Ok(checker.with_origin(origin))
}

fn grpc(
    service: &check::Grpc,
    origin: Origin,
    files: &mut Files,
) -> Result<Grpc, CheckConfigError> {
    let mut checker = Grpc::new().with_service(&service.service);
    if let Some(host) = &service.host {
        checker = checker.with_host(host)?;
    }
    if service.keep_alive {
        checker = checker.keeping_alive();
    }
    if let Some(options) = &service.tls {
        checker = checker.with_tls(tls(options, files)?);
    }
    Ok(checker.with_origin(origin))
}

fn ldap(directory: &check::Ldap, files: &mut Files) -> Result<Ldap, CheckConfigError> {
    let check::Ldap { bind_dn, password: secret, base, filter, tls: options } = directory;
    let mut checker = Ldap::new();
    if let Some(name) = bind_dn {
        checker = checker.with_user(name, &password(secret.as_ref(), files)?.unwrap_or_default());
    }
    if let Some(base) = base {
        // Validation has refused any other.
        let attribute = filter.trim_matches(['(', ')', '*', '=']);
        checker = checker.with_entry(base, attribute);
    }
    Ok(match options {
        Some(options) => checker.with_tls(tls(options, files)?),
        None => checker,
    })
}

fn udp(datagram: &check::Udp, origin: Origin) -> Udp {
    let check::Udp { send, expect, require_reply, min_reply, max_reply } = datagram;
    let length = usize::from(*min_reply)..=usize::from(*max_reply);
    let mut checker = Udp::new().with_payload(send).with_reply_length(length);
    if let Some(expect) = expect {
        checker = checker.expecting(Nibbles::masked(expect.bytes(), expect.mask()));
    }
    if !require_reply {
        checker = checker.tolerating_silence();
    }
    checker.with_origin(origin)
}

fn send_expect(talk: &check::Tcp, files: &mut Files) -> Result<SendExpect, CheckConfigError> {
    let mut checker = SendExpect::new();
    if let Some(options) = &talk.tls {
        checker = checker.with_tls(tls(options, files)?);
    }
    for step in &talk.steps {
        checker = match step {
            Step::Send(bytes) => checker.with_send(bytes),
            Step::Expect(words) => checker.with_expect(pattern(words)?),
            Step::Refuse(words) => checker.with_refusal(pattern(words)?),
        };
    }
    Ok(checker)
}

fn pattern(words: &Words) -> Result<Pattern, PatternError> {
    match words {
        Words::Are(bytes) => Pattern::text(bytes),
        Words::Match(pattern) => Pattern::regex(pattern.as_str()),
    }
}

fn mysql(database: &Database, files: &mut Files) -> Result<Mysql, CheckConfigError> {
    let Database { user, password: secret, database, query, writable, tls: options } = database;
    let mut checker = Mysql::new();
    if let Some(user) = user {
        checker = checker.with_user(user, &password(secret.as_ref(), files)?.unwrap_or_default());
    }
    if let Some(database) = database {
        checker = checker.with_database(database);
    }
    if let Some(query) = query {
        checker = checker.with_query(query);
    }
    if let Some(options) = options {
        checker = checker.with_tls(tls(options, files)?);
    }
    Ok(if *writable { checker.with_writable() } else { checker })
}

fn postgres(database: &Database, files: &mut Files) -> Result<Postgres, CheckConfigError> {
    let Database { user, password: secret, database, query, writable, tls: options } = database;
    // Validation has refused a configuration without one.
    let mut checker = Postgres::new(user.as_deref().unwrap_or_default());
    if let Some(password) = password(secret.as_ref(), files)? {
        checker = checker.with_password(&password);
    }
    if let Some(database) = database {
        checker = checker.with_database(database);
    }
    if let Some(query) = query {
        checker = checker.with_query(query);
    }
    if let Some(options) = options {
        checker = checker.with_tls(tls(options, files)?);
    }
    Ok(if *writable { checker.with_writable() } else { checker })
}

fn redis(server: &check::Redis, files: &mut Files) -> Result<Redis, CheckConfigError> {
    let check::Redis { user, password: secret, role, tls: options } = server;
    let checker = match options {
        Some(options) => Redis::new().with_tls(tls(options, files)?),
        None => Redis::new(),
    };
    let checker = match (user, password(secret.as_ref(), files)?) {
        (Some(user), Some(password)) => checker.with_user(user, &password),
        (None, Some(password)) => checker.with_password(&password),
        (_, None) => checker,
    };
    Ok(match role {
        Some(Role::Master) => checker.with_role(RedisRole::Master),
        Some(Role::Replica) => checker.with_role(RedisRole::Replica),
        None => checker,
    })
}
