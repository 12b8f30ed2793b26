//! A configuration file: which syntax it has, and what it does not say itself.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::keepalived::Surroundings;
use super::mistakes::{ConfigErrors, Mistakes};
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

    /// Reads it.
    ///
    /// # Errors
    ///
    /// Every mistake in the file and in those that it includes, or why it cannot be read.
    pub fn load(&self) -> Result<Config, ConfigErrors> {
        let source = Source::read(&self.path)?;
        if !self.is_keepalived() {
            return Config::from_toml(&source);
        }
        let config_id = self.config_id.clone().unwrap_or_else(host_name);
        Config::from_keepalived(
            source,
            &Surroundings {
                config_id: &config_id,
                environment: &|name| std::env::var(name).ok(),
                path: Some(&self.path),
                seed: rand::random(),
            },
        )
    }

    /// Reads it for a daemon that has nothing to do unless the file says something to it.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), or that it has nothing for this daemon, or that this host is not as it
    /// must be for it.
    pub fn load_for(&self, daemon: Daemon) -> Result<Config, ConfigErrors> {
        let mut config = self.load()?;
        let servers = (config.virtual_servers.len(), "tcp-lb", "virtual server", "virtual_server");
        let routers = config.vrrp_instances.len() + config.carp_instances.len();
        let routers = routers + config.bgp_announcements.len();
        let routers = (routers, "vip-keeper", "VRRP instance", "vrrp_instance");
        let (ours, others) = match daemon {
            Daemon::TcpLb => (servers, Some(routers)),
            // It serves them as well.
            Daemon::VipKeeper => (routers, None),
        };
        if self.admin.is_some() {
            config.admin.clone_from(&self.admin);
        }
        let mut mistakes = Mistakes::default();
        if let Some(Door::Address(address)) = config.admin {
            judge_admin(address, &config, &mut mistakes);
        }
        let source = Source::new(self.path.display().to_string(), String::new());
        let (count, daemon, what, block) = ours;
        if count == 0 {
            mistakes.error(None, Problem::NothingFor { daemon, what, block });
            return Err(mistakes.into_errors(&[source]));
        }
        // Who writes TOML for two daemons knows it; keepalived was one.
        if let Some((count, other, what, _)) = others.filter(|(count, ..)| *count > 0)
            && self.is_keepalived()
        {
            mistakes.warning(None, Problem::ForAnother { daemon, other, what, count });
        }
        surroundings::judge(&config, &mut mistakes);
        if mistakes.has_errors() {
            return Err(mistakes.into_errors(&[source]));
        }
        config.warnings.extend(mistakes.locate(&[source]));
        Ok(config)
    }
}

/// What validation says of an address in a file, of one that is in none.
fn judge_admin(address: SocketAddr, config: &Config, mistakes: &mut Mistakes) {
    if !address.ip().to_canonical().is_loopback() && !config.admin_allow_remote {
        mistakes.error(None, Problem::AdminIsRemote { address });
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
