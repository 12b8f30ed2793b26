//! Why a backend is in the state that it is in.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{BackendReport, CheckReport, PastRun};

/// Everything that is known of one backend. Shown to people, it is what speaks for its state.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The virtual server.
    pub virtual_server: String,
    /// The backend.
    pub backend: BackendReport,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BackendReport { address, state, weight, checks, .. } = &self.backend;
        writeln!(f, "{}: backend {address} is {state}, weight {weight}", self.virtual_server)?;
        writeln!(f, "{}", reason(&self.backend))?;
        match (self.backend.resolved, address.numeric()) {
            (Some(resolved), _) => writeln!(f, "Its name stands for {} now.", resolved.ip())?,
            (None, None) => writeln!(f, "Its name stands for nothing: nobody can be sent there.")?,
            (None, Some(_)) => {}
        }
        if let Some(ejected) = self.backend.ejected_ms {
            let (times, left) = (self.backend.ejections_total, Duration::from_millis(ejected));
            writeln!(f, "Ejected for {left:.1?} yet; {times} times so far.")?;
        }
        checks.iter().try_for_each(|check| explain(f, check))
    }
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
