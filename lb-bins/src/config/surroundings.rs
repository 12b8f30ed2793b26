//! What can only be known on the host where a configuration is used: its users, and who may change what
//! root runs.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::mistakes::Mistakes;
use super::model::{Account, ClaimBy, Command, Config};
use super::problem::Problem;
use crate::privileges::Identity;

/// Reports files of claims, programs and users that are not there, scripts that cannot run as whom they
/// should, and scripts that root runs though others could change them.
pub(super) fn judge(config: &Config, mistakes: &mut Mistakes) {
    report_missing_files(config, mistakes);
    report_missing_programs(config, mistakes);
    let own = match config.user.as_ref().map(Identity::of) {
        Some(Ok(identity)) => identity.uid,
        Some(Err(reason)) => {
            if let Some(account) = config.user.clone() {
                mistakes.warning(None, Problem::NoSuchUser { account, reason });
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
                report_other(command, account, config, mistakes);
                continue;
            }
            Some((account, Err(reason))) => {
                if absent.insert(account) {
                    let account = account.clone();
                    mistakes.warning(None, Problem::NoSuchAccount { account, reason });
                }
                continue;
            }
        };
        if uid == 0
            && seen.insert(&command.program)
            && let Some(place) = changeable(Path::new(&command.program))
        {
            let problem = Problem::UnsafeScript { program: command.program.clone(), place };
            match config.script_security {
                true => mistakes.error(None, problem),
                false => mistakes.warning(None, problem),
            }
        }
    }
}

/// As keepalived, that takes such a script out (`check_script_secure`). It may come later, and runs then.
fn report_missing_programs(config: &Config, mistakes: &mut Mistakes) {
    let mut seen = HashSet::new();
    let programs = config.commands().map(|command| &command.program);
    for program in programs.filter(|program| seen.insert(*program)) {
        let reason = match Path::new(program).metadata() {
            Ok(found) if !found.is_file() => "it is no file",
            Ok(found) if found.mode() & 0o111 == 0 => "nobody may execute it",
            Err(error) if error.kind() == ErrorKind::NotFound => "there is no such file",
            // What cannot be looked at from here may be run by whom it is for.
            Ok(_) | Err(_) => continue,
        };
        let program = program.clone();
        mistakes.warning(None, Problem::NotRunnable { program, reason });
    }
}

/// What is read for each call may come later.
fn report_missing_files(config: &Config, mistakes: &mut Mistakes) {
    let claims = config.vrrp_instances.iter().filter_map(|instance| instance.claim.as_ref());
    let calls = claims.filter_map(|claim| match &claim.by {
        ClaimBy::Http(http) => Some(http),
        ClaimBy::Command(_) => None,
    });
    let files = calls.flat_map(|http| [("token_file", &http.token_file), ("ca", &http.ca)]);
    for (key, path) in files.filter_map(|(key, path)| Some((key, path.as_ref()?))) {
        if let Err(error) = File::open(path) {
            let (path, reason) = (path.clone(), error.to_string());
            mistakes.warning(None, Problem::UnreadableFile { key, path, reason });
        }
    }
}

fn report_other(command: &Command, account: &Account, config: &Config, mistakes: &mut Mistakes) {
    if let Some(user) = config.user.clone() {
        let (program, account) = (command.program.clone(), account.clone());
        mistakes.error(None, Problem::ScriptOfOther { program, account, user });
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
