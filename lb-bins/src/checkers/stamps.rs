//! What is in the files that checks need, and who runs their programs, so that a reload notices when it
//! has changed.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use super::CheckConfigError;
use super::files::bytes_in;
use crate::config::{Account, Check, Config, VirtualServer};
use crate::privileges::{AccountError, Identity as User};

/// What is in files, each of which is read once: whoever builds checks after somebody else has waited for
/// the file system builds them of just what is stamped. Two that are the same have the same stamp.
/// So are users looked up, whose service may be as far away.
#[derive(Default)]
pub(crate) struct Files {
    contents: HashMap<PathBuf, Content>,
    users: HashMap<Account, Result<User, AccountError>>,
}

struct Content {
    bytes: Result<Vec<u8>, io::Error>,
    stamp: u64,
}

impl Files {
    /// Of all files that checks of virtual servers need.
    pub(crate) fn of_all(config: &Config) -> Self {
        let mut files = Self::default();
        for server in &config.virtual_servers {
            files.of_server(server);
        }
        files
    }

    /// Of every file that the checks of this virtual server need; 0 if they need none.
    pub(crate) fn of_server(&mut self, server: &VirtualServer) -> u64 {
        self.of_each(server.checks())
    }

    /// Of every file that these checks need; 0 if they need none.
    pub(crate) fn of_each<'a>(&mut self, checks: impl IntoIterator<Item = &'a Check>) -> u64 {
        checks.into_iter().fold(0, |all, check| all.rotate_left(5) ^ self.of(check))
    }

    /// Of every file that this check needs, and of whom it runs a program as; 0 if it needs nothing.
    pub(crate) fn of(&mut self, check: &Check) -> u64 {
        let files = check.files();
        let user = check.command().and_then(|command| command.user.as_ref());
        let user = user.map_or(0, |account| {
            let mut hasher = DefaultHasher::new();
            self.user(account).ok().map(|user| (user.uid, user.gid)).hash(&mut hasher);
            hasher.finish()
        });
        files.fold(user, |all, (_, file)| all.rotate_left(5) ^ self.of_file(file))
    }

    /// What is in a file.
    ///
    /// # Errors
    /// [`CheckConfigError::Unreadable`].
    pub(super) fn read(&mut self, path: &Path) -> Result<&[u8], CheckConfigError> {
        match &self.content(path).bytes {
            Ok(bytes) => Ok(bytes),
            Err(error) => {
                let source = match error.raw_os_error() {
                    Some(number) => io::Error::from_raw_os_error(number),
                    None => io::Error::new(error.kind(), error.to_string()),
                };
                Err(CheckConfigError::Unreadable { path: path.to_owned(), source })
            }
        }
    }

    /// Who that is on this host.
    ///
    /// # Errors
    /// [`AccountError`].
    pub(super) fn user(&mut self, account: &Account) -> Result<User, AccountError> {
        let known = self.users.get(account).cloned();
        known.unwrap_or_else(|| {
            let user = User::of(account);
            self.users.insert(account.clone(), user.clone());
            user
        })
    }

    fn of_file(&mut self, path: &Path) -> u64 {
        self.content(path).stamp
    }

    fn content(&mut self, path: &Path) -> &Content {
        self.contents.entry(path.to_owned()).or_insert_with(|| {
            let bytes = bytes_in(path);
            let mut hasher = DefaultHasher::new();
            // One that cannot be read is told when the check is built.
            bytes.as_deref().unwrap_or_default().hash(&mut hasher);
            Content { bytes, stamp: hasher.finish() }
        })
    }
}

/// For no log: there are passwords and keys in them.
impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.contents.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use lb_core::Weight;

    use super::*;
    use crate::checkers::{Shared, checker};

    #[test]
    fn what_is_in_a_file_of_any_check_makes_another_stamp() {
        let path = std::env::temp_dir().join(format!("lb-stamp-{}", std::process::id()));
        let text = format!(
            "[[virtual_server]]\nlisten = \"127.0.0.1:80\"\nsorry_server = \"127.0.0.1:81\"\n\
             sorry_check = {{ type = \"redis\", password_file = {path:?} }}\n\
             backend = [{{ address = \"127.0.0.1:82\", check = {{ type = \"tcp\" }} }}]\n"
        );
        let config = Config::parse("lb.toml", &text).unwrap();
        let stamp = || Files::default().of_server(&config.virtual_servers[0]);
        std::fs::write(&path, "one").unwrap();
        let before = stamp();
        assert_eq!(stamp(), before);
        std::fs::write(&path, "two").unwrap();
        assert_ne!(stamp(), before);
        std::fs::remove_file(&path).unwrap();
    }

    /// Whoever has looked may give what was there to somebody who must not wait for a file system.
    #[test]
    fn each_file_is_read_once() {
        let path = std::env::temp_dir().join(format!("lb-once-{}", std::process::id()));
        let text = format!(
            "[[virtual_server]]\nlisten = \"127.0.0.1:80\"\n\
             check = {{ type = \"redis\", password_file = {path:?} }}\n\
             backend = [{{ address = \"127.0.0.1:82\" }}]\n"
        );
        let config = Config::parse("lb.toml", &text).unwrap();
        std::fs::write(&path, "one").unwrap();
        let mut files = Files::of_all(&config);
        std::fs::remove_file(&path).unwrap();
        let check = &config.virtual_servers[0].backends[0].checks[0];
        let target = "192.0.2.1:80".parse().unwrap();
        let build =
            |files: &mut Files| checker(check, &target, Weight::ONE, &Shared::default(), files);
        assert!(build(&mut files).is_ok());
        assert_eq!(files.read(&path).unwrap(), b"one");
        assert!(matches!(build(&mut Files::default()), Err(CheckConfigError::Unreadable { .. })));
    }
}
