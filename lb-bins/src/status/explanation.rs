//! Why a backend is in the state that it is in.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{BackendReport, CheckReport, PastRun, SorryReport};

/// Everything that is known of one server. Shown to people, it is what speaks for its state.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Explanation {
    /// Of a backend.
    Backend {
        /// The virtual server.
        virtual_server: String,
        /// The backend.
        backend: Box<BackendReport>,
    },
    /// Of a sorry server.
    SorryServer {
        /// The virtual server.
        virtual_server: String,
        /// Its sorry server.
        sorry_server: SorryReport,
    },
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend { virtual_server, backend } => of_backend(f, virtual_server, backend),
            Self::SorryServer { virtual_server, sorry_server } => {
                let SorryReport { address, down, checks } = sorry_server;
                let (state, why) = match (down, checks.is_empty()) {
                    (true, _) => ("down", "A check of it fails: it takes no clients."),
                    (false, true) => ("up", "It is not checked."),
                    (false, false) => ("up", "No check of it fails."),
                };
                writeln!(f, "{virtual_server}: sorry server {address} is {state}\n{why}")?;
                checks.iter().try_for_each(|check| explain(f, check))
            }
        }
    }
}

fn of_backend(
    f: &mut fmt::Formatter<'_>,
    virtual_server: &str,
    backend: &BackendReport,
) -> fmt::Result {
    let BackendReport { address, state, weight, checks, .. } = backend;
    writeln!(f, "{virtual_server}: backend {address} is {state}, weight {weight}")?;
    writeln!(f, "{}", reason(backend))?;
    if let (Some(since), Some(reason)) = (backend.state_ms, &backend.reason) {
        writeln!(f, "So for {:.1?}: {reason}", Duration::from_millis(since))?;
    }
    match (backend.resolved, address.numeric()) {
        (Some(resolved), _) => writeln!(f, "Its name stands for {} now.", resolved.ip())?,
        (None, None) => writeln!(f, "Its name stands for nothing: nobody can be sent there.")?,
        (None, Some(_)) => {}
    }
    if let Some(ejected) = backend.ejected_ms {
        let (times, left) = (backend.ejections_total, Duration::from_millis(ejected));
        writeln!(f, "Ejected for {left:.1?} yet; {times} times so far.")?;
    }
    checks.iter().try_for_each(|check| explain(f, check))
}

/// The state in a sentence.
fn reason(backend: &BackendReport) -> &'static str {
    match backend.state {
        "maintenance" => "The administrator has disabled it: nobody is sent there.",
        "drain" => "Its weight is 0, or the administrator has drained it: no new clients.",
        "warming" => "Its checks have not decided yet.",
        "down" => "A check of it fails, or clients cannot connect to it.",
        "ejected" => "Clients fail there: it is out for a time.",
        _ if backend.full => "It has as many connections as it may have.",
        _ if backend.checks.is_empty() => "It is not checked.",
        _ => "All of its checks pass.",
    }
}

fn explain(f: &mut fmt::Formatter<'_>, check: &CheckReport) -> fmt::Result {
    let CheckReport { kind, target, state, passes, rise, failures, fall, runs, .. } = check;
    write!(f, "\n{kind} check of {target}: {state}")?;
    match (passes, failures) {
        (0, 0) => writeln!(f)?,
        (passes, 0) => writeln!(f, ", but passed {passes} of {rise} times in a row")?,
        (_, failures) => writeln!(f, ", but failed {failures} of {fall} times in a row")?,
    }
    if check.local_errors > 0 {
        let errors = check.local_errors;
        writeln!(f, "It could not be run here {errors} times in a row, which says nothing of it.")?;
    }
    if let Some(held) = check.held_ms {
        let held = Duration::from_millis(held);
        writeln!(f, "Clients failed again: runs that pass do not count for {held:.1?} yet.")?;
    }
    if runs.is_empty() {
        writeln!(f, "  no run has ended yet")?;
    }
    for PastRun { age_ms, repeated, run } in runs {
        let ago = Duration::from_millis(*age_ms);
        write!(f, "{ago:.1?} ago: ")?;
        if *repeated > 1 {
            write!(f, "{repeated} times, the last one ")?;
        }
        write!(f, "{run}")?;
    }
    Ok(())
}
