//! What can only be known on the host where a configuration is used: its users, and who may change what
//! root runs.

use std::collections::HashSet;
use std::env;
use std::fs::{File, Metadata, symlink_metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::mistakes::Mistakes;
use super::model::check::{Check, CheckKind};
use super::model::{Account, Authentication, ClaimBy, Command, Config, Door, KeySecret};
use super::problem::Problem;
use super::source::Source;
use crate::privileges::Identity;

/// Reports files, programs and users that are not there, an `admin` socket that cannot be, scripts that cannot
/// run as whom they should, and scripts that root runs though others could change them. What is wrong is where
/// it is first written in `source`.
pub(super) fn judge(config: &Config, source: &Source, mistakes: &mut Mistakes) {
    report_missing_files(config, source, mistakes);
    report_missing_programs(config, source, mistakes);
    report_door(config, source, mistakes);
    let own = match config.user.as_ref().map(Identity::of) {
        Some(Ok(identity)) => identity.uid,
        Some(Err(reason)) => {
            if let Some(account) = config.user.clone() {
                let place = source.find(&account.to_string());
                mistakes.warning(place, Problem::NoSuchUser { account, reason });
            }
            return;
        }
        None => geteuid().as_raw(),
    };
    let mut absent = HashSet::new();
    let mut seen = HashSet::new();
    for command in config.commands() {
        let uid = match command.user.as_ref().map(|account| (account, Identity::of(account))) {
            None => own,
            Some((_, Ok(identity))) if config.user.is_none() || identity.uid == own => identity.uid,
            Some((account, Ok(_))) => {
                report_other(command, account, config, source, mistakes);
                continue;
            }
            Some((account, Err(reason))) => {
                if absent.insert(account) {
                    let (place, account) = (source.find(&account.to_string()), account.clone());
                    mistakes.warning(place, Problem::NoSuchAccount { account, reason });
                }
                continue;
            }
        };
        if uid == 0
            && seen.insert(&command.program)
            && let Some(place) = changeable(Path::new(&command.program))
        {
            let written = source.find(&command.program);
            let problem = Problem::UnsafeScript { program: command.program.clone(), place };
            match config.script_security {
                true => mistakes.error(written, problem),
                false => mistakes.warning(written, problem),
            }
        }
    }
}

/// It may come later, and runs then.
fn report_missing_programs(config: &Config, source: &Source, mistakes: &mut Mistakes) {
    let mut seen = HashSet::new();
    for (program, reason) in config.commands().filter_map(not_runnable) {
        if seen.insert(program) {
            let (place, program) = (source.find(program), program.to_owned());
            mistakes.warning(place, Problem::NotRunnable { program, reason });
        }
    }
}

/// Leaves out what a keepalived.conf depends on and this host cannot run, as keepalived does
/// (`check_script_secure`): without it, instances and servers are as if nothing was tracked or checked by it. A reload looks again.
pub(super) fn leave_out_missing_scripts(
    config: &mut Config,
    source: &Source,
    mistakes: &mut Mistakes,
) {
    let mut left_out = |command: &Command, what: &'static str, name: &str| {
        let Some((program, reason)) = not_runnable(command) else { return false };
        let (place, name, program) = (source.find(program), name.to_owned(), program.to_owned());
        mistakes.warning(place, Problem::ScriptLeftOut { what, name, program, reason });
        true
    };
    let mut gone = HashSet::new();
    config.vrrp_scripts.retain(|script| {
        let is_gone = left_out(&script.command, "vrrp_script", &script.name);
        if is_gone {
            gone.insert(script.name.clone());
        }
        !is_gone
    });
    for instance in &mut config.vrrp_instances {
        instance.tracks.scripts.retain(|track| !gone.contains(&track.name));
    }
    let mut is_run = |check: &Check, server: &str| match &check.kind {
        CheckKind::Script(script) => !left_out(&script.command, "MISC_CHECK of", server),
        _ => true,
    };
    for server in &mut config.virtual_servers {
        for backend in &mut server.backends {
            backend.checks.retain(|check| is_run(check, &backend.address.to_string()));
        }
        server.sorry_checks.retain(|check| is_run(check, &server.name));
    }
}

/// The program that a command needs and cannot run, and why, as far as that can be seen from here.
fn not_runnable(command: &Command) -> Option<(&str, &'static str)> {
    let found_by_env = (command.program == "/usr/bin/env").then(|| command.arguments.first());
    let by_env =
        found_by_env.flatten().filter(|name| !name.starts_with('-') && !name.contains('='));
    let (program, reason) = match by_env {
        None => (&command.program, why_not(Path::new(&command.program))),
        Some(name) if name.contains('/') => (name, why_not(Path::new(name))),
        Some(name) => {
            // Where nothing is said, what `env` takes: `_CS_PATH`.
            let path = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
            let is_there =
                env::split_paths(&path).any(|folder| why_not(&folder.join(name)).is_none());
            (name, (!is_there).then_some("it is nowhere in PATH"))
        }
    };
    Some((program, reason?))
}

fn why_not(program: &Path) -> Option<&'static str> {
    match program.metadata() {
        Ok(found) if !found.is_file() => Some("it is no file"),
        Ok(found) if found.mode() & 0o111 == 0 => Some("nobody may execute it"),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Some("there is no such file")
        }
        // What cannot be looked at from here may be run by whom it is for.
        Ok(_) | Err(_) => None,
    }
}

/// They may come later, before they are needed.
fn report_missing_files(config: &Config, source: &Source, mistakes: &mut Mistakes) {
    let mut seen = HashSet::new();
    for (key, path) in files(config) {
        if seen.insert(path)
            && let Some(reason) = unreadable(path)
        {
            let (place, path) = (source.find(&path.to_string_lossy()), path.to_owned());
            mistakes.warning(place, Problem::UnreadableFile { key, path, reason });
        }
    }
}

/// All files that are read because a key names them.
fn files(config: &Config) -> impl Iterator<Item = (&'static str, &Path)> {
    let claims = config.vrrp_instances.iter().filter_map(|instance| instance.claim.as_ref());
    let calls = claims.filter_map(|claim| match &claim.by {
        ClaimBy::Http(http) => Some(http),
        ClaimBy::Command(_) => None,
    });
    let of_calls = calls.flat_map(|http| [("token_file", &http.token_file), ("ca", &http.ca)]);
    let of_calls = of_calls.filter_map(|(key, path)| Some((key, path.as_deref()?)));
    let keys = config.vrrp_instances.iter().flat_map(|instance| match &instance.authentication {
        Authentication::Hmac { keys, .. } => &keys[..],
        _ => &[],
    });
    let of_keys = keys.filter_map(|key| match &key.secret {
        KeySecret::File(path) => Some(("secret_file", path.as_path())),
        _ => None,
    });
    let login = config.smtp.as_ref().and_then(|mail| mail.login.as_ref());
    let of_mail = config.smtp.as_ref().and_then(|mail| mail.security.as_ref());
    let of_mail = of_mail.into_iter().flat_map(|security| security.tls().files());
    let of_mail = of_mail.chain(login.map(|login| ("password_file", &*login.password_file)));
    of_calls.chain(of_keys).chain(of_mail).chain(config.checks().flat_map(Check::files))
}

/// Why nobody can read that file, as far as it can be seen without waiting: nobody may ever write to a pipe.
fn unreadable(path: &Path) -> Option<String> {
    match path.metadata() {
        Ok(found) if found.is_dir() => Some("it is a directory".to_owned()),
        Ok(found) if !found.is_file() => None,
        _ => File::open(path).err().map(|error| error.to_string()),
    }
}

/// Its directory may be made by whoever starts the daemon.
fn report_door(config: &Config, source: &Source, mistakes: &mut Mistakes) {
    let Some(Door::Socket(path)) = &config.admin else { return };
    let is_folder = path.parent().is_some_and(Path::is_dir);
    let reason = match symlink_metadata(path) {
        Ok(there) if there.is_dir() => "it is a directory",
        Ok(there) if !there.file_type().is_socket() => "there is a file that is no socket",
        Err(_) if !is_folder => "its directory is not there",
        _ => return,
    };
    let place = source.find(&path.to_string_lossy());
    mistakes.warning(place, Problem::NoRoomForSocket { path: path.clone(), reason });
}

fn report_other(
    command: &Command,
    account: &Account,
    config: &Config,
    source: &Source,
    mistakes: &mut Mistakes,
) {
    let place = source.find(&command.program);
    if let Some(user) = config.user.clone() {
        let (program, account) = (command.program.clone(), account.clone());
        mistakes.error(place, Problem::ScriptOfOther { program, account, user });
    }
}

/// What others than root may change on the way to a program, or at its end: the rule of keepalived's
/// `check_security`. Directories where everybody may only remove what is theirs are safe on the way.
fn changeable(program: &Path) -> Option<PathBuf> {
    // What is not there does not run.
    let program = program.canonicalize().ok()?;
    let is_changeable = |place: &&Path| {
        let Ok(found) = place.metadata() else { return false };
        let is_sticky = found.is_dir() && found.mode() & 0o1000 != 0;
        found.uid() != 0 || (!is_sticky && is_writable(&found))
    };
    program.ancestors().find(is_changeable).map(Path::to_owned)
}

/// By others than root and its group.
fn is_writable(found: &Metadata) -> bool {
    found.mode() & 0o002 != 0 || (found.gid() != 0 && found.mode() & 0o020 != 0)
}
