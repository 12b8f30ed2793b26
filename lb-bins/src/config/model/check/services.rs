//! Checks that speak the protocol of a service.

use std::fmt;
use std::path::PathBuf;

use super::Tls;

/// Logs in to a database, and may ask it something.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Database {
    /// Who logs in; for MySQL by default nobody: only the greeting of the server is looked at. All
    /// that follows needs a user.
    pub user: Option<String>,
    /// The password; default: none.
    pub password: Option<Secret>,
    /// The database; default: that of the user.
    pub database: Option<String>,
    /// A statement that must succeed; default: none.
    pub query: Option<String>,
    /// Whether the server must take changes: no replica in recovery, not read-only; default: no.
    pub writable: bool,
    /// How TLS is spoken; default: not at all.
    pub tls: Option<Tls>,
}

/// Sends a `PING`, after logging in if it has a password.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Redis {
    /// Who logs in, which takes a password; default: the default user.
    pub user: Option<String>,
    /// The password; default: none.
    pub password: Option<Secret>,
    /// What the server must be; default: anything.
    pub role: Option<Role>,
    /// How TLS is spoken; default: not at all.
    pub tls: Option<Tls>,
}

/// The part of a Redis server in a replication.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// Takes changes.
    Master,
    /// Follows a master.
    Replica,
}

/// Binds to a directory, and searches in it if it has a base.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Ldap {
    /// Who binds, which takes a password; default: nobody, that is, anonymously.
    pub bind_dn: Option<String>,
    /// The password; default: none.
    pub password: Option<Secret>,
    /// The entry that is searched for: it must be there; default: no search.
    pub base: Option<String>,
    /// The attribute that the entry must have, as `(attribute=*)`; default: `(objectClass=*)`.
    pub filter: String,
    /// How TLS is spoken from the beginning; default: not at all.
    pub tls: Option<Tls>,
}

/// Asks a service by the standard health protocol: `SERVING` passes.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Grpc {
    /// The service; default: empty, the server as a whole.
    pub service: String,
    /// The name of the server, as in a URL; default: its address.
    pub host: Option<String>,
    /// Whether the next run uses the connection again; default: no.
    pub keep_alive: bool,
    /// How TLS is spoken; default: not at all.
    pub tls: Option<Tls>,
}

/// A password, or where it is.
#[derive(Clone, Eq, Hash, PartialEq)]
pub enum Secret {
    /// In this file, an absolute path; read when a check begins to run. A line end is no part.
    File(PathBuf),
    /// This.
    Text(String),
}

/// Passwords are for no log.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(_) => f.write_str("Text(…)"),
        }
    }
}
