//! Workers that are found again by what they run.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::supervisor::Program;
use super::{Inner, Worker};
use crate::checkers::process::Credentials;

/// Workers by their command: one process serves all checks that run the same, however many they are
/// and whenever they come. Clones are the same pool.
///
/// ```
/// use lb_health::checkers::Workers;
///
/// let workers = Workers::default(); // one for the whole process
/// let (one, other) = (workers.worker("/usr/lib/probe", ["-v"]), workers.worker("/usr/lib/probe", ["-v"]));
/// assert!(one.is_same(&other));
/// assert!(!one.is_same(&workers.worker("/usr/lib/probe", ["-q"])));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Workers(Arc<Mutex<HashMap<Program, Weak<Inner>>>>);

impl Workers {
    /// The worker that runs `program`: the same for as long as anybody has it.
    pub fn worker(
        &self,
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Worker {
        self.find(program, arguments, None)
    }

    /// The one that runs `program` as somebody else than this process is. What this process may not do
    /// is [`CheckError::Local`](crate::CheckError::Local), and no failure of a target.
    pub fn worker_as(
        &self,
        user: Credentials,
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Worker {
        self.find(program, arguments, Some(user))
    }

    fn find(
        &self,
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
        user: Option<Credentials>,
    ) -> Worker {
        let arguments = arguments.into_iter().map(Into::into).collect();
        let program = Program { path: program.into(), arguments, user };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inner) = known.get(&program).and_then(Weak::upgrade) {
            return Worker(inner);
        }
        known.retain(|_, worker| worker.strong_count() > 0);
        let worker = Worker::running(program.clone());
        known.insert(program, Arc::downgrade(&worker.0));
        worker
    }
}
