//! The configuration of the daemons: text in, a typed [`Config`] or every mistake out.
//!
//! ```text
//!  file ──▶ front end ──▶ draft ──▶ validate ──▶ Config ──▶ print
//!           (toml)        values    rules        typed,     the same as TOML,
//!                         + places               complete   every default spelled out
//!              └───────────┴─ mistakes ─┴──▶ ConfigErrors
//! ```
//!
//! A front end knows how things are written, validation knows what is allowed: another syntax is
//! another front end, and obeys the same rules. Every default is in [`defaults`].
//!
//! ```
//! use lb_bins::config::Config;
//!
//! let config = Config::parse(
//!     "lb.toml",
//!     r#"
//!     [[virtual_server]]
//!     listen = "127.0.0.1:8000"
//!     check = { type = "tcp" }
//!
//!     [[virtual_server.backend]]
//!     address = "127.0.0.1:9001"
//!     "#,
//! )?;
//! assert_eq!(config.virtual_servers[0].scheduler.name(), "wlc");
//! assert_eq!(config.virtual_servers[0].backends[0].checks.len(), 1);
//!
//! let errors = Config::parse("lb.toml", "admin = 9900").unwrap_err();
//! assert!(errors.to_string().starts_with("lb.toml:1:1: error: there is no virtual server"));
//! assert_eq!(errors.mistakes().len(), 2);
//! # Ok::<(), lb_bins::config::ConfigErrors>(())
//! ```

pub mod defaults;
mod draft;
mod duration;
mod mistakes;
mod model;
mod nearest;
mod print;
mod problem;
mod source;
mod toml;
mod validate;
mod words;

use std::path::Path;

pub use self::mistakes::{ConfigErrors, Mistake, Severity};
pub use self::model::{
    Authentication, Backend, CarpInstance, Check, CheckKind, Claim, Command, Config, HashKey,
    HmacKey, Initial, Md5, Notify, Persistence, Queue, Quorum, SorryMode, StatusRange, Track,
    VirtualServer, VrrpInstance, VrrpScript, VrrpSyncGroup, VrrpTrackFile, VrrpTrackProcess,
    is_keyed_by_destination,
};
pub use self::source::Source;

use self::mistakes::Mistakes;
use self::problem::Problem;

/// Who reads a configuration. One file may have something for each of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Daemon {
    /// It needs a virtual server.
    TcpLb,
    /// It needs a virtual router.
    VipKeeper,
}

impl Config {
    /// Reads the TOML file at `path`.
    ///
    /// # Errors
    ///
    /// Every mistake in the file, or why it cannot be read.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Self::from_toml(&Source::read(path)?)
    }

    /// The same for a daemon that has nothing to do unless the file says something to it.
    ///
    /// # Errors
    ///
    /// Every mistake in the file, or why it cannot be read, or that it has nothing for this daemon.
    pub fn load_for(daemon: Daemon, path: &Path) -> Result<Self, ConfigErrors> {
        let source = Source::read(path)?;
        let config = Self::from_toml(&source)?;
        let (count, daemon, what, block) = match daemon {
            Daemon::TcpLb => {
                (config.virtual_servers.len(), "tcp-lb", "virtual server", "virtual_server")
            }
            Daemon::VipKeeper => {
                let count = config.vrrp_instances.len() + config.carp_instances.len();
                (count, "vip-keeper", "VRRP instance", "vrrp_instance")
            }
        };
        if count == 0 {
            let mut mistakes = Mistakes::default();
            mistakes.error(None, Problem::NothingFor { daemon, what, block });
            return Err(mistakes.into_errors(&source));
        }
        Ok(config)
    }

    /// Reads `text` as TOML; messages call it `name`.
    ///
    /// # Errors
    ///
    /// Every mistake in the text.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigErrors> {
        Self::from_toml(&Source::new(name, text))
    }

    /// Reads a source as TOML.
    ///
    /// # Errors
    ///
    /// Every mistake in the source. If it is not TOML, only where it is not.
    pub fn from_toml(source: &Source) -> Result<Self, ConfigErrors> {
        let mut mistakes = Mistakes::default();
        let config = toml::read(&source.text, &mut mistakes)
            .map(|draft| validate::config(&draft, &mut mistakes));
        match config {
            Some(config) if !mistakes.has_errors() => {
                Ok(Self { warnings: mistakes.locate(source), ..config })
            }
            _ => Err(mistakes.into_errors(source)),
        }
    }
}
