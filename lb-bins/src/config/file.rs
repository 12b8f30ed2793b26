//! A configuration file: which syntax it has, and what it does not say itself.

use std::net::SocketAddr;
use std::path::PathBuf;

use ::toml::Table;

use super::interfaces::{HasInterface, has_interface};
use super::keepalived::Surroundings;
use super::mistakes::{ConfigErrors, Mistakes, Syntax};
use super::problem::Problem;
use super::source::Source;
use super::{Config, Daemon, Door, surroundings};

/// A file to read a configuration from, now or again.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Where it is. What ends in `.toml` is TOML, anything else keepalived.conf.
    pub path: PathBuf,
    /// The name by which lines that start with `@` know this host; by default what stands before
    /// the first dot of its name.
    pub config_id: Option<String>,
    /// Where it is administered, whatever the file says.
    pub admin: Option<Door>,
}

impl ConfigFile {
    /// The file at `path`, for the host by its name.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), config_id: None, admin: None }
    }

    /// Whether it is in keepalived's syntax.
    pub fn is_keepalived(&self) -> bool {
        self.path.extension().is_none_or(|extension| extension != "toml")
    }

    fn syntax(&self) -> Syntax {
        if self.is_keepalived() { Syntax::Keepalived } else { Syntax::Toml }
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// Every mistake in the file and in those that it includes, or why it cannot be read.
    pub fn load(&self) -> Result<Config, ConfigErrors> {
        Ok(self.read(&|_| true)?.0)
    }

    /// Reads it for a host that has these interfaces; with its text.
    fn read(&self, has_interface: HasInterface<'_>) -> Result<(Config, Source), ConfigErrors> {
        let source = Source::read(&self.path)?;
        let loaded = match self.is_keepalived() {
            true => self.load_keepalived(source.clone(), has_interface),
            false => Config::from_toml_on(&source, has_interface),
        };
        // What follows from text that was misread would only mislead.
        match loaded {
            Ok(config) => Ok((config, source)),
            Err(errors) => Err(self.other_syntax(&source).unwrap_or(errors)),
        }
    }

    fn load_keepalived(
        &self,
        source: Source,
        has_interface: HasInterface<'_>,
    ) -> Result<Config, ConfigErrors> {
        let config_id = self.config_id.clone().unwrap_or_else(host_name);
        Config::from_keepalived(
            source,
            &Surroundings {
                config_id: &config_id,
                environment: &|name| std::env::var(name).ok(),
                has_interface,
                path: Some(&self.path),
                seed: rand::random(),
            },
        )
    }

    /// That it is plainly of the other syntax than its name says, if so.
    fn other_syntax(&self, source: &Source) -> Option<ConfigErrors> {
        let is_toml = source.text.parse::<Table>().map(|table| !table.is_empty());
        let (syntax, other) = match (is_toml, self.is_keepalived()) {
            (Ok(true), true) => ("TOML", "keepalived.conf"),
            (Err(_), false) if opens_blocks(&source.text) => ("keepalived.conf", "TOML"),
            _ => return None,
        };
        let mut mistakes = Mistakes::default();
        mistakes.error(None, Problem::OtherSyntax { syntax, other });
        Some(mistakes.into_errors(std::slice::from_ref(source)))
    }

    /// Reads it for a daemon that has nothing to do unless the file says something to it.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), or that it has nothing for this daemon, or that this host is not as it
    /// must be for it.
    pub fn load_for(&self, daemon: Daemon) -> Result<Config, ConfigErrors> {
        let (mut config, source) = match daemon {
            // It does nothing with them.
            Daemon::TcpLb => self.read(&|_| true)?,
            Daemon::VipKeeper => self.read(&has_interface)?,
        };
        let (ours, others) = match daemon {
            Daemon::TcpLb => (Part::servers(&config), Part::routers(&config)),
            Daemon::VipKeeper => (Part::routers(&config), Part::servers(&config)),
        };
        if self.admin.is_some() {
            config.admin.clone_from(&self.admin);
        }
        let mut mistakes = Mistakes::of(self.syntax());
        if let Some(Door::Address(address)) = config.admin {
            judge_admin(address, &config, !self.is_keepalived(), &mut mistakes);
        }
        let Part { count, daemon: name, what, block } = ours;
        if count == 0 {
            let other = (others.count > 0).then_some(others.daemon);
            mistakes.error(None, Problem::NothingFor { daemon: name, what, block, other });
            return Err(mistakes.into_errors(&[source]));
        }
        // vip-keeper serves both. Who writes TOML for two daemons knows it; keepalived was one.
        if daemon == Daemon::TcpLb && others.count > 0 && self.is_keepalived() {
            let Part { count, daemon: other, what, .. } = others;
            mistakes.warning(None, Problem::ForAnother { daemon: name, other, what, count });
        }
        if self.is_keepalived() {
            surroundings::leave_out_missing_scripts(&mut config, &source, &mut mistakes);
        }
        surroundings::judge(&config, &source, &mut mistakes);
        if mistakes.has_errors() {
            return Err(mistakes.into_errors(&[source]));
        }
        config.warnings.extend(mistakes.locate(&[source]));
        Ok(config)
    }
}

/// What a configuration has for one daemon.
struct Part {
    count: usize,
    daemon: &'static str,
    what: &'static str,
    block: &'static str,
}

impl Part {
    fn servers(config: &Config) -> Self {
        let count = config.virtual_servers.len();
        Self { count, daemon: "tcp-lb", what: "virtual server", block: "virtual_server" }
    }

    fn routers(config: &Config) -> Self {
        let instances = config.vrrp_instances.len() + config.carp_instances.len();
        let count = instances + config.bgp_announcements.len();
        Self { count, daemon: "vip-keeper", what: "VRRP instance", block: "vrrp_instance" }
    }
}

/// Whether a line opens a block, as no line of TOML can: `vrrp_instance web {`.
fn opens_blocks(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| {
        let first = line.chars().next();
        line.ends_with('{') && !line.contains('=') && first.is_some_and(char::is_alphabetic)
    })
}

/// What validation says of an address in a file, of one that is in none.
fn judge_admin(
    address: SocketAddr,
    config: &Config,
    can_be_allowed: bool,
    mistakes: &mut Mistakes,
) {
    if !address.ip().to_canonical().is_loopback() && !config.admin_allow_remote {
        mistakes.error(None, Problem::AdminIsRemote { address, can_be_allowed });
    }
    if config.virtual_servers.iter().any(|server| server.listen == address) {
        mistakes.error(None, Problem::AdminIsVirtualServer { address });
    }
}

/// What stands before the first dot of the name of this host.
fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}
