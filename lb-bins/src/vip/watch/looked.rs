//! What a configuration needs of file systems, for a keeper that waits for none.

use std::collections::HashMap;
use std::path::PathBuf;
use std::{fs, io};

use lb_vrrp::Signal;

use super::Watched;
use super::check::{self, Checkers};
use crate::config::{Authentication, Config, Door, KeySecret};
use crate::control::Opened;
use crate::notify::Preparation;
use crate::process::{Unhurried, aside};
use crate::vip::error::StartError;

/// What is in the files of secrets, or why nobody knows.
pub(in crate::vip) type Secrets = HashMap<PathBuf, io::Result<Vec<u8>>>;

/// All that is needed, opened or read.
#[derive(Debug)]
pub(in crate::vip) struct Looked {
    /// By what changes are told.
    pub(in crate::vip) telling: Preparation,
    /// Where it is administered, unless it is there already.
    pub(in crate::vip) admin: Option<Unhurried<Opened>>,
    pub(in crate::vip) secrets: Secrets,
    pub(in crate::vip) checkers: Checkers,
    /// All that is described, and what it counts as until something was seen.
    pub(super) signals: Vec<(Watched, Signal)>,
}

impl Looked {
    /// Looks, on a thread of its own: there may be many files, or many processes, and the file system may
    /// hang. It is administered at that `door` now, if at all.
    ///
    /// # Errors
    /// A check, the pipe, the mail or the admin address that cannot be as configured; or there is no thread
    /// to be had.
    pub(in crate::vip) async fn at(
        config: &Config,
        door: Option<Door>,
    ) -> Result<Self, StartError> {
        let config = config.clone();
        let look = move || {
            let all: Vec<_> = Watched::all(&config).collect();
            let checks = all.iter().filter_map(|watched| match watched {
                Watched::Check(check) => Some(check),
                _ => None,
            });
            let checkers = check::checkers(checks, &config.resolvers)?;
            let signals = all.into_iter().map(|watched| {
                let initially = watched.initially();
                (watched, initially)
            });
            let signals = signals.collect();
            let admin = config.admin.as_ref().filter(|wanted| door.as_ref() != Some(*wanted));
            let admin = admin.map(Opened::at).transpose()?.map(Unhurried::new);
            let telling = Preparation::of(&config)?;
            Ok(Self { telling, admin, secrets: secrets(&config), checkers, signals })
        };
        aside(look).await.map_err(StartError::Threads)?
    }
}

/// Of all instances.
fn secrets(config: &Config) -> Secrets {
    let keys = config.vrrp_instances.iter().flat_map(|instance| match &instance.authentication {
        Authentication::Hmac { keys, .. } => &keys[..],
        _ => &[],
    });
    let paths = keys.filter_map(|key| match &key.secret {
        KeySecret::File(path) => Some(path),
        KeySecret::Octets(_) | KeySecret::Text(_) => None,
    });
    paths.map(|path| (path.clone(), fs::read(path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::{Notifier, NotifyError};

    /// The task that speaks VRRP must not wait for a file system.
    #[tokio::test]
    async fn mail_reads_its_files_when_they_are_looked_at_and_not_again() {
        let path = std::env::temp_dir().join(format!("vip-mail-{}", std::process::id()));
        let text = format!(
            "[smtp]\nserver = \"192.0.2.25:587\"\nfrom = \"vip@example.org\"\nto = [\"ops@example.org\"]\n\
             starttls = true\nverify = false\nuser = \"vip\"\npassword_file = {path:?}\n\
             [[vrrp_instance]]\nname = \"web\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
             addresses = [\"192.0.2.200\"]\n"
        );
        let config = Config::parse("vip.toml", &text).unwrap();
        assert!(matches!(
            Looked::at(&config, None).await,
            Err(StartError::Notify(NotifyError::Mail(_)))
        ));
        std::fs::write(&path, "secret").unwrap();
        let looked = Looked::at(&config, None).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut notifier = Notifier::default();
        notifier.take_over(&config, looked.telling);
        assert!(notifier.status().mail.is_some());
    }
}
