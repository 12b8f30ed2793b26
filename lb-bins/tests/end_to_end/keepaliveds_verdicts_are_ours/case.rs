//! What is compared: a server, a check of it, and a verdict.

use std::net::SocketAddr;

use super::pages::http;
use crate::harness::*;

/// What becomes of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    Up,
    Down,
    /// Up, with another weight than is configured.
    Weighs(u64),
    /// Now this and then that, which nothing here should be.
    Wavering,
}

/// What each server weighs by itself.
pub(super) const WEIGHT: u64 = 10;

/// A server, how it is checked, and what is to come of it.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) server: SocketAddr,
    pub(super) check: String,
    pub(super) theirs: Verdict,
    pub(super) ours: Verdict,
}

impl Case {
    /// Whether what it is about changes once the daemons run.
    pub(super) fn is_changed(&self) -> bool {
        self.check.starts_with("FILE_CHECK")
    }
}

/// All of them, and what they need.
#[derive(Default)]
pub(super) struct Cases {
    pub(super) all: Vec<Case>,
    /// What is in the file beside virtual servers.
    pub(super) around: String,
    /// What is written to which file, once the daemons run.
    pub(super) changes: Vec<(&'static str, i32)>,
    /// They run as long as this lives.
    pub(super) servers: Vec<Backend>,
    pub(super) holes: Vec<BlackHole>,
}

impl Cases {
    /// Both come to this verdict on a server.
    pub(super) fn agree(&mut self, name: &str, server: impl Server, check: &str, verdict: Verdict) {
        self.differ(name, server, check, verdict, verdict);
    }

    /// They come to different verdicts: theirs, and ours, which is the better one.
    pub(super) fn differ(
        &mut self,
        name: &str,
        server: impl Server,
        check: &str,
        theirs: Verdict,
        ours: Verdict,
    ) {
        let is_kind = |word: &&str| word.contains('_') && word.to_uppercase() == **word;
        let kind = check.split_whitespace().find(is_kind).unwrap_or_default();
        let (name, check) = (format!("{kind}: {name}"), check.to_owned());
        let server = server.kept(self);
        self.all.push(Case { name, server, check, theirs, ours });
    }

    /// Both come to this verdict on one page.
    pub(super) fn page(&mut self, name: &str, server: Backend, url: &str, verdict: Verdict) {
        self.agree(name, server, &http("", url), verdict);
    }

    /// A server that there is nothing of but its address.
    pub(super) fn nobody(&self) -> SocketAddr {
        ([127, 0, 0, 3], 1 + self.all.len() as u16).into()
    }
}

/// What has an address.
pub(super) trait Server {
    /// The address, which has its server as long as the cases live.
    fn kept(self, cases: &mut Cases) -> SocketAddr;
}

impl Server for Backend {
    fn kept(self, cases: &mut Cases) -> SocketAddr {
        let address = self.address();
        cases.servers.push(self);
        address
    }
}

impl Server for BlackHole {
    fn kept(self, cases: &mut Cases) -> SocketAddr {
        let address = self.address();
        cases.holes.push(self);
        address
    }
}

impl Server for SocketAddr {
    fn kept(self, _: &mut Cases) -> SocketAddr {
        self
    }
}
