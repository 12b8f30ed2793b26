//! Checks by programs of our own, and as whom those run.

use std::future::ready;
use std::io;
use std::sync::Arc;

use lb_health::checkers::{Credentials, Script};
use lb_health::{CheckError, Failure, Report, Target};
use tower::{ServiceExt, service_fn};

use super::{AnyChecker, Files, Shared};
use crate::config::{Account, Command, check};
use crate::privileges::{AccountError, Identity};

/// A program for each run.
pub(super) fn script(script: &check::Script, shared: &Shared, files: &mut Files) -> AnyChecker {
    let Command { program, arguments, user } = &script.command;
    let mut checker = Script::new(program, arguments, shared.slots.clone());
    if script.dynamic_weight {
        checker = checker.with_dynamic_weight();
    }
    match credentials(user.as_ref(), files) {
        Ok(None) => AnyChecker::new(checker.map_err(Failure::from)),
        Ok(Some(user)) => AnyChecker::new(checker.with_credentials(user).map_err(Failure::from)),
        Err(error) => nobody(error),
    }
}

/// A program that goes on running.
pub(super) fn worker(worker: &check::Worker, shared: &Shared, files: &mut Files) -> AnyChecker {
    let Command { program, arguments, user } = &worker.command;
    match credentials(user.as_ref(), files) {
        Ok(None) => AnyChecker::new(shared.workers.worker(program, arguments)),
        Ok(Some(user)) => AnyChecker::new(shared.workers.worker_as(user, program, arguments)),
        Err(error) => nobody(error),
    }
}

fn credentials(
    user: Option<&Account>,
    files: &mut Files,
) -> Result<Option<Credentials>, AccountError> {
    let identity = user.map(|account| files.user(account)).transpose()?;
    Ok(identity.map(|Identity { uid, gid, .. }| Credentials { uid, gid }))
}

/// What is to run as somebody who is not there does not run: as with other commands that is a warning
/// when the file is read, and says nothing of a target.
fn nobody(error: AccountError) -> AnyChecker {
    let source = Arc::new(io::Error::other(error));
    let error = CheckError::Local { operation: "find the user of the script", source };
    AnyChecker::new(service_fn(move |_: Target| {
        ready(Err::<Report, _>(Failure::from(error.clone())))
    }))
}
