//! Which checker does what is configured.

mod files;
mod http;

use std::io;
use std::path::PathBuf;

use lb_health::checkers::{
    Expect, ExpectError, Handshake, HttpError, Mysql, PatternError, Postgres, Redis, RedisRole,
    Script, ScriptSlots, SendExpect, Smtp, SmtpNameError, Tcp, TlsError,
};
use lb_health::{Failure, ParseStatusError, Report, SpecError, Target};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use self::files::{password, tls};
use crate::config::check::{self, CheckKind, Database, Role, Step};
use crate::config::{Check, Command};

/// A configured check that cannot be built: a file that it needs is not as it should be, or the
/// configuration's rules and the checkers' differ.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckConfigError {
    /// The request of an HTTP check.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// What no checker can do yet.
    #[error("{what} is not in this build")]
    NotBuilt {
        /// As it would be written.
        what: String,
    },
    /// What a body or a header is held against.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// What a server should say.
    #[error(transparent)]
    Expect(#[from] ExpectError),
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

/// The checker for `check`; scripts share `slots`. Reads the files that it needs.
///
/// # Errors
/// [`CheckConfigError`], if a file is not as it should be, or the checker refuses what the
/// configuration allowed.
pub(crate) fn checker(check: &Check, slots: &ScriptSlots) -> Result<AnyChecker, CheckConfigError> {
    let connector = check.source.map_or_else(Tcp::new, |source| Tcp::new().with_source(source));
    Ok(match &check.kind {
        CheckKind::Http(page) => AnyChecker::new(http::checker(page, check.source)?),
        CheckKind::Mysql(database) => AnyChecker::new(mysql(database)?.with_connector(connector)),
        CheckKind::Postgres(database) => {
            AnyChecker::new(postgres(database)?.with_connector(connector))
        }
        CheckKind::Redis(server) => AnyChecker::new(redis(server)?.with_connector(connector)),
        CheckKind::Script(script) => {
            let Command { program, arguments } = &script.command;
            let checker = Script::new(program, arguments, slots.clone());
            let checker = match script.dynamic_weight {
                true => checker.with_dynamic_weight(),
                false => checker,
            };
            AnyChecker::new(checker.map_err(Failure::from))
        }
        CheckKind::Smtp(check::Smtp { helo, starttls }) => {
            let checker = Smtp::new().with_name(helo)?.with_connector(connector);
            AnyChecker::new(match starttls {
                Some(options) => checker.with_starttls(tls(options)?),
                None => checker,
            })
        }
        CheckKind::Tcp(tcp) if *tcp == check::Tcp::default() => AnyChecker::new(connector),
        CheckKind::Tcp(talk) => AnyChecker::new(send_expect(talk)?.with_connector(connector)),
        CheckKind::Tls(options) => {
            AnyChecker::new(Handshake::new(tls(options)?).with_connector(connector))
        }
        kind => return Err(not_built(format!("type = \"{}\"", kind.name()))),
    })
}

fn not_built(what: impl Into<String>) -> CheckConfigError {
    CheckConfigError::NotBuilt { what: what.into() }
}

fn send_expect(talk: &check::Tcp) -> Result<SendExpect, CheckConfigError> {
    let mut checker = SendExpect::new();
    if let Some(options) = &talk.tls {
        checker = checker.with_tls(tls(options)?);
    }
    for step in &talk.steps {
        checker = match step {
            Step::Send(bytes) => checker.with_send(bytes),
            Step::Expect(bytes) => checker.with_expect(Expect::bytes(bytes)),
            Step::ExpectRegex(pattern) => checker.with_expect(Expect::regex(pattern.as_str())?),
        };
    }
    Ok(checker)
}

fn mysql(database: &Database) -> Result<Mysql, CheckConfigError> {
    let Database { user, password: secret, database, query, writable } = database;
    let mut checker = Mysql::new();
    if let Some(user) = user {
        checker = checker.with_user(user, &password(secret.as_ref())?.unwrap_or_default());
    }
    if let Some(database) = database {
        checker = checker.with_database(database);
    }
    if let Some(query) = query {
        checker = checker.with_query(query);
    }
    Ok(if *writable { checker.with_writable() } else { checker })
}

fn postgres(database: &Database) -> Result<Postgres, CheckConfigError> {
    let Database { user, password: secret, database, query, writable } = database;
    // Validation has refused a configuration without one.
    let mut checker = Postgres::new(user.as_deref().unwrap_or_default());
    if let Some(password) = password(secret.as_ref())? {
        checker = checker.with_password(&password);
    }
    if let Some(database) = database {
        checker = checker.with_database(database);
    }
    if let Some(query) = query {
        checker = checker.with_query(query);
    }
    Ok(if *writable { checker.with_writable() } else { checker })
}

fn redis(server: &check::Redis) -> Result<Redis, CheckConfigError> {
    let check::Redis { user, password: secret, role } = server;
    let checker = Redis::new();
    let checker = match (user, password(secret.as_ref())?) {
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
