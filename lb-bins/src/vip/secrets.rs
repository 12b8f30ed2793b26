//! Keys in files: read aside, since a file system may hang, and put into the configuration, so that an
//! instance is another one when what is in its file is.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use tokio::time::timeout;

use super::error::StartError;
use super::plan::PlanError;
use crate::config::check::Nibbles;
use crate::config::{Authentication, Config, KeySecret, VrrpInstance};
use crate::process::aside;

/// No key is longer than 64 octets, in whatever way it is written; the wrong file may be.
const LARGEST: u64 = 4096;
/// How long a file may take to be read.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is in the files that a configuration names.
#[derive(Debug, Default)]
pub(super) struct Secrets(HashMap<PathBuf, KeySecret>);

impl Secrets {
    /// Reads each of them once, on threads of their own.
    ///
    /// # Errors
    /// [`StartError::Instance`]: one that cannot be read, is no regular file, or takes too long.
    pub(super) async fn of(config: &Config) -> Result<Self, StartError> {
        let mut secrets = HashMap::new();
        for instance in &config.vrrp_instances {
            for path in files(instance) {
                if !secrets.contains_key(path) {
                    let read = read_aside(path.to_owned(), PATIENCE, read).await;
                    let read = read.map_err(|source| StartError::Instance {
                        instance: instance.name.clone(),
                        source: PlanError::Secret { path: path.to_owned(), source },
                    });
                    secrets.insert(path.to_owned(), KeySecret::Octets(read?));
                }
            }
        }
        Ok(Self(secrets))
    }

    /// Puts them where they were only named.
    pub(super) fn put_into(&self, config: &mut Config) {
        for instance in &mut config.vrrp_instances {
            let Authentication::Hmac { keys, .. } = &mut instance.authentication else { continue };
            for key in keys {
                if let KeySecret::File(path) = &key.secret
                    && let Some(secret) = self.0.get(path)
                {
                    key.secret = secret.clone();
                }
            }
        }
    }
}

fn files(instance: &VrrpInstance) -> impl Iterator<Item = &Path> {
    let keys = match &instance.authentication {
        Authentication::Hmac { keys, .. } => &keys[..],
        _ => &[],
    };
    keys.iter().filter_map(|key| match &key.secret {
        KeySecret::File(path) => Some(path.as_path()),
        _ => None,
    })
}

/// Waits no longer than is bearable; the thread may wait for longer.
async fn read_aside(
    path: PathBuf,
    patience: Duration,
    read: impl FnOnce(&Path) -> io::Result<Vec<u8>> + Send + 'static,
) -> io::Result<Vec<u8>> {
    let done = timeout(patience, aside(move || read(&path))).await;
    done.unwrap_or_else(|_| Ok(Err(io::ErrorKind::TimedOut.into())))?
}

/// The key in a file: without its line end, and if it begins with `hex:`, by its digits.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let wrong = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(nonblocking).open(path)?;
    // A pipe may never have a word in it, and a device never end.
    if !file.metadata()?.is_file() {
        return Err(wrong("it is no regular file"));
    }
    let mut written = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut written)?;
    if written.len() as u64 > LARGEST {
        return Err(wrong("it is too large for a key"));
    }
    let written = written.strip_suffix(b"\n").unwrap_or(&written);
    let Some(digits) = written.strip_prefix(b"hex:") else { return Ok(written.to_vec()) };
    let digits = std::str::from_utf8(digits).ok();
    let octets = digits.and_then(Nibbles::from_digits).and_then(Nibbles::into_bytes);
    octets.ok_or_else(|| wrong("no hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    fn config(path: &Path) -> Config {
        let text = format!(
            "[[vrrp_instance]]\nname = \"web\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
             addresses = [\"192.0.2.200\"]\n\
             authentication = {{ type = \"hmac\", keys = [{{ id = 1, secret_file = {path:?} }}] }}\n"
        );
        Config::parse("vip.toml", &text).unwrap()
    }

    fn file(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("vip-key-{name}-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    #[tokio::test]
    async fn an_instance_is_another_one_when_its_file_is() {
        let path = file("changes");
        let mut seen = Vec::new();
        for written in ["one", "one\n", "hex:6f6e65\n", "two"] {
            fs::write(&path, written).unwrap();
            let mut config = config(&path);
            Secrets::of(&config).await.unwrap().put_into(&mut config);
            seen.push(config.vrrp_instances.remove(0));
        }
        fs::remove_file(&path).unwrap();
        assert!(seen[0] == seen[1] && seen[1] == seen[2], "however it is written");
        assert_ne!(seen[2], seen[3]);
        assert!(!format!("{seen:?}").contains("111, 110, 101"), "keys are not for logs");
    }

    #[tokio::test]
    async fn what_never_ends_or_begins_is_refused() {
        let pipe = file("pipe");
        mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        let large = file("large");
        fs::write(&large, [b'a'; 4097]).unwrap();
        for path in [&pipe, &large, &"/dev/zero".into(), &"/nowhere".into()] {
            let error = Secrets::of(&config(path)).await.unwrap_err().to_string();
            assert!(error.starts_with(&format!("instance `web`: {}: ", path.display())), "{error}");
        }
        fs::remove_file(&pipe).unwrap();
        fs::remove_file(&large).unwrap();
    }

    #[tokio::test]
    async fn a_file_system_that_hangs_is_not_waited_for() {
        let hang = |_: &Path| loop {
            thread::park();
        };
        let patience = Duration::from_millis(50);
        let error = read_aside("/mnt/key".into(), patience, hang).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
