//! The configuration of the daemons: text in, a typed [`Config`] or every mistake out.
//!
//! ```text
//!  file ──▶ front end ──▶ draft ──▶ validate ──▶ Config ──▶ print
//!           (toml,        values    rules        typed,     the same as TOML,
//!           keepalived)   + places               complete   every default spelled out
//!              └───────────┴─ mistakes ─┴──▶ ConfigErrors
//! ```
//!
//! A front end knows how things are written, validation knows what is allowed: another syntax is
//! another front end, and obeys the same rules. Every default is in [`defaults`].
//!
//! A kind of check is one struct on each way station, in the module `check` of each: what it is
//! read as (`draft`), by which keys (`toml`), what it must be like (`validate`), what it is
//! ([`check`]) and how it is written (`print`). The room `checkers` makes a checker of it.
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
mod file;
mod interfaces;
mod keepalived;
mod mistakes;
mod model;
mod nearest;
mod print;
mod problem;
mod source;
mod surroundings;
mod toml;
mod validate;
mod words;

use std::path::Path;

pub use self::file::ConfigFile;
pub(crate) use self::interfaces::has_interface;
pub use self::mistakes::{ConfigErrors, Mistake, Severity};
pub use self::model::check::{Check, CheckKind};
pub use self::model::{
    Account, Address, Authentication, Backend, BgpAnnouncement, Call, CarpInstance, Claim, ClaimBy,
    Command, Config, Delays, Deleted, Door, Forwarding, HashKey, HmacKey, Holder, HttpClaim,
    KeySecret, Login, Mail, NotADoor, Notify, OnFailure, ParameterMatch, ParseAddressError,
    Passive, Persistence, Queue, Quorum, ScriptInitial, SorryMode, Speaker, Track, Tracks,
    VirtualServer, VrrpCheck, VrrpInstance, VrrpScript, VrrpSyncGroup, VrrpTrackFile,
    VrrpTrackProcess, check, is_keyed_by_destination,
};
pub use self::source::Source;
pub(crate) use self::source::read_bounded;

use self::interfaces::HasInterface;
use self::mistakes::{Mistakes, Syntax};

/// Who reads a configuration. One file may have something for each of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Daemon {
    /// It needs a virtual server.
    TcpLb,
    /// It needs a virtual router, and serves virtual servers as well.
    VipKeeper,
}

impl Config {
    /// Reads the file at `path`: TOML if that is how its name ends, keepalived.conf if not, in which
    /// lines that start with `@` are for the host by its name.
    ///
    /// # Errors
    ///
    /// Every mistake in the file, or why it cannot be read.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        ConfigFile::new(path).load()
    }

    /// The same for a daemon that has nothing to do unless the file says something to it.
    ///
    /// # Errors
    ///
    /// Every mistake in the file, or why it cannot be read, or that it has nothing for this daemon.
    pub fn load_for(daemon: Daemon, path: &Path) -> Result<Self, ConfigErrors> {
        ConfigFile::new(path).load_for(daemon)
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
        Self::from_toml_on(source, &|_| true)
    }

    /// The same on a host that has these interfaces.
    fn from_toml_on(
        source: &Source,
        has_interface: HasInterface<'_>,
    ) -> Result<Self, ConfigErrors> {
        let mut mistakes = Mistakes::default();
        let draft = toml::read(&source.text, &mut mistakes);
        Self::judge(draft, has_interface, mistakes, std::slice::from_ref(source))
    }

    /// Reads `text` as keepalived.conf, for the host that its lines with `@` know as `config_id`;
    /// messages call it `name`. It can include nothing.
    ///
    /// # Errors
    ///
    /// Every mistake in the text.
    pub fn parse_keepalived(name: &str, text: &str, config_id: &str) -> Result<Self, ConfigErrors> {
        let surroundings = keepalived::Surroundings {
            config_id,
            environment: &|_| None,
            has_interface: &|_| true,
            path: None,
            seed: 0,
        };
        Self::from_keepalived(Source::new(name, text), &surroundings)
    }

    fn from_keepalived(
        source: Source,
        surroundings: &keepalived::Surroundings<'_>,
    ) -> Result<Self, ConfigErrors> {
        let mut mistakes = Mistakes::of(Syntax::Keepalived);
        let mut sources = vec![source];
        let draft = keepalived::read(surroundings, &mut sources, &mut mistakes);
        Self::judge(Some(draft), surroundings.has_interface, mistakes, &sources)
    }

    fn judge(
        draft: Option<draft::Draft>,
        has_interface: HasInterface<'_>,
        mut mistakes: Mistakes,
        sources: &[Source],
    ) -> Result<Self, ConfigErrors> {
        let config = draft.map(|draft| {
            let config = validate::config(&draft, &mut mistakes);
            interfaces::judge(&draft, &config, has_interface, &mut mistakes);
            config
        });
        match config {
            Some(config) if !mistakes.has_errors() => {
                Ok(Self { warnings: mistakes.locate(sources), ..config })
            }
            _ => Err(mistakes.into_errors(sources)),
        }
    }
}
