//! Claims of addresses that somebody else gives away, as a configuration has them.

use std::path::PathBuf;
use std::time::Duration;

use super::Command;
use super::check::{Headers, StatusRange};

/// What something is put in place of in URLs, headers and bodies of [`HttpClaim`]s.
pub(in crate::config) const PLACEHOLDERS: [&str; 3] = ["{address}", "{instance}", "{generation}"];

/// How addresses are claimed of somebody who gives them to whoever asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// How it is asked.
    pub by: ClaimBy,
    /// How often they are claimed again; above zero, default: 30 s.
    pub interval: Duration,
    /// How long a run, or one call, may take; above zero, default: 10 s.
    pub timeout: Duration,
}

impl Claim {
    /// What is run, if it is a command.
    pub const fn command(&self) -> Option<&Command> {
        match &self.by {
            ClaimBy::Command(command) => Some(command),
            ClaimBy::Http(_) => None,
        }
    }

    pub(super) const fn command_mut(&mut self) -> Option<&mut Command> {
        match &mut self.by {
            ClaimBy::Command(command) => Some(command),
            ClaimBy::Http(_) => None,
        }
    }
}

/// The ways to ask.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClaimBy {
    /// What is run: exit code 0 has claimed them. Run again, it must do no harm.
    Command(Command),
    /// Calls to an API.
    Http(Box<HttpClaim>),
}

/// Calls to an API. In URLs, headers and bodies `{address}`, `{instance}` and `{generation}` stand
/// for what they say; with `{address}` anywhere there is one call for each address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpClaim {
    /// What assigns an address to this host.
    pub assign: Call,
    /// What says who has it: then it is asked before it is assigned, and afterwards until it is so.
    /// Default: an answer with an expected status has assigned it.
    pub holder: Option<Holder>,
    /// What gives it back when this host is about to give it up; default: nothing.
    pub release: Option<Call>,
    /// Headers of every call.
    pub headers: Headers,
    /// A file with the token of `Authorization: Bearer …`, read before every call: an absolute path;
    /// default: no such header.
    pub token_file: Option<PathBuf>,
    /// A PEM file of the authorities that are believed: an absolute path; default: the system's.
    pub ca: Option<PathBuf>,
    /// Whether the certificate of the server is looked at; default: yes.
    pub verify: bool,
}

/// One call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    /// The method, in capitals; default: `POST`.
    pub method: String,
    /// With `http` or `https`; names are resolved by the system.
    pub url: String,
    /// Default: none.
    pub body: Option<String>,
    /// The codes that say that it was accepted: at least one range, default: 200 to 299.
    pub status: Vec<StatusRange>,
}

/// Where it is said who has an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holder {
    /// What is got.
    pub url: String,
    /// Where in the JSON of the answer the holder is (RFC 6901).
    pub pointer: String,
    /// What is there if it is this host; numbers as they are written.
    pub value: String,
}

impl HttpClaim {
    /// The calls that change something.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        [&self.assign].into_iter().chain(&self.release)
    }

    /// Whether there is one call for each address.
    pub fn is_for_each_address(&self) -> bool {
        const ADDRESS: &str = PLACEHOLDERS[0];
        let bodies = self.calls().filter_map(|call| call.body.as_ref());
        let urls = self.calls().map(|call| &call.url);
        let holder = self.holder.iter().map(|holder| &holder.url);
        let mut all = bodies.chain(urls).chain(holder).chain(self.headers.values());
        all.any(|text| text.contains(ADDRESS))
    }
}
