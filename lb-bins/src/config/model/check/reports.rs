//! Checks that pass on what another program has found out, weights included.

use std::path::PathBuf;

use super::Tls;
use crate::config::Command;

/// Runs a program: exit code 0 passes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Script {
    /// What is run.
    pub command: Command,
    /// Whether exit codes from 2 to 255 pass too and set the weight to the code less two, as
    /// keepalived's `misc_dynamic`; default: no.
    pub dynamic_weight: bool,
}

/// Asks a program that goes on running: for each check it is given a line and answers with one.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Worker {
    /// What is run, once.
    pub command: Command,
}

/// Connects, and reads a line as HAProxy's `agent-check`: `up`, `down`, `50%`, …
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Agent {
    /// What is sent first, as it is; default: nothing.
    pub send: Option<String>,
    /// How TLS is spoken; default: not at all.
    pub tls: Option<Tls>,
}

/// Reads a whole number from a file, as keepalived's `FILE_CHECK`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct File {
    /// An absolute path.
    pub path: PathBuf,
    /// What the number is multiplied with before it is added to the weight: from -65535 to 65535.
    /// With 0, the default, any number but 0 is a failure.
    pub weight: i32,
    /// Whether it is taken the other way round: subtracted, or only 0 a failure; default: no.
    pub reverse: bool,
}
