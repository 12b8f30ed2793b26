//! What is in the files that checks need, and who runs their programs, so that a reload notices when it
//! has changed.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use super::files::read;
use crate::config::check::{Identity, Secret, SmtpSecurity, Tls};
use crate::config::{Account, Check, CheckKind, Config, VirtualServer};
use crate::privileges;

/// The contents of files, in short; each is read once. Two that are the same have the same stamp.
#[derive(Debug, Default)]
pub(crate) struct Stamps(HashMap<PathBuf, u64>);

impl Stamps {
    /// Of all files that checks of virtual servers need.
    pub(crate) fn of_all(config: &Config) -> Self {
        let mut stamps = Self::default();
        for server in &config.virtual_servers {
            stamps.of_server(server);
        }
        stamps
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
        let files = files(check).into_iter();
        let user = check.command().and_then(|command| command.user.as_ref()).map_or(0, of_account);
        files.fold(user, |all, file| all.rotate_left(5) ^ self.of_file(file))
    }

    fn of_file(&mut self, path: &Path) -> u64 {
        if let Some(&known) = self.0.get(path) {
            return known;
        }
        let mut hasher = DefaultHasher::new();
        // One that cannot be read is told when the check is built.
        read(path).unwrap_or_default().hash(&mut hasher);
        let stamp = hasher.finish();
        self.0.insert(path.to_owned(), stamp);
        stamp
    }
}

/// Who that is on this host.
fn of_account(account: &Account) -> u64 {
    let mut hasher = DefaultHasher::new();
    let known = privileges::Identity::of(account).ok();
    known.map(|known| (known.uid, known.gid)).hash(&mut hasher);
    hasher.finish()
}

/// The files that a check reads when it is built.
fn files(check: &Check) -> Vec<&Path> {
    let (tls, secret) = match &check.kind {
        CheckKind::Agent(agent) => (agent.tls.as_ref(), None),
        CheckKind::Grpc(grpc) => (grpc.tls.as_ref(), None),
        CheckKind::Http(http) => (http.tls.as_ref(), None),
        CheckKind::Ldap(ldap) => (ldap.tls.as_ref(), ldap.password.as_ref()),
        CheckKind::Mysql(database) | CheckKind::Postgres(database) => {
            (database.tls.as_ref(), database.password.as_ref())
        }
        CheckKind::Redis(redis) => (redis.tls.as_ref(), redis.password.as_ref()),
        CheckKind::Smtp(smtp) => (smtp.security.as_ref().map(SmtpSecurity::tls), None),
        CheckKind::Tcp(tcp) => (tcp.tls.as_ref(), None),
        CheckKind::Tls(tls) => (Some(tls), None),
        CheckKind::Dns(_)
        | CheckKind::File(_)
        | CheckKind::Ping(_)
        | CheckKind::Script(_)
        | CheckKind::Udp(_)
        | CheckKind::Worker(_) => (None, None),
    };
    let mut files = Vec::new();
    if let Some(Secret::File(path)) = secret {
        files.push(&**path);
    }
    files.extend(tls.into_iter().flat_map(files_of_tls));
    files
}

fn files_of_tls(Tls { ca, identity, .. }: &Tls) -> Vec<&Path> {
    let mut files: Vec<&Path> = ca.as_deref().into_iter().collect();
    if let Some(Identity { certificate, key }) = identity {
        files.extend([&**certificate, &**key]);
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_file_of_any_check_makes_another_stamp() {
        let path = std::env::temp_dir().join(format!("lb-stamp-{}", std::process::id()));
        let text = format!(
            "[[virtual_server]]\nlisten = \"127.0.0.1:80\"\nsorry_server = \"127.0.0.1:81\"\n\
             sorry_check = {{ type = \"redis\", password_file = {path:?} }}\n\
             backend = [{{ address = \"127.0.0.1:82\", check = {{ type = \"tcp\" }} }}]\n"
        );
        let config = Config::parse("lb.toml", &text).unwrap();
        let stamp = || Stamps::default().of_server(&config.virtual_servers[0]);
        std::fs::write(&path, "one").unwrap();
        let before = stamp();
        assert_eq!(stamp(), before);
        std::fs::write(&path, "two").unwrap();
        assert_ne!(stamp(), before);
        std::fs::remove_file(&path).unwrap();
    }
}
