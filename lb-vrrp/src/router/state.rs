//! The states of a router, each with what only it knows.

use std::net::IpAddr;
use std::time::Instant;

use crate::mastery::Mastery;
use crate::values::{Interval, Priority};

/// Where a router is; the diagram is at [`VirtualRouter`](crate::VirtualRouter).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// It listens, and waits for the master to fall silent.
    Backup(Backup),
    /// It is not fit to be a master, and ignores all adverts.
    Fault,
    /// It does not take part: not yet, or no more.
    Initialize,
    /// It holds the addresses and says so.
    Master(Master),
    /// It gave up, and still answers for the addresses until the successor does.
    Releasing(Releasing),
    /// Nothing was seen yet of something vital: it hears and says nothing.
    Undecided,
    /// Its startup delay runs: it hears and says nothing.
    Waiting,
}

/// What a backup knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Backup {
    /// `Master_Adver_Interval`: how often the master says that it advertises; in version 2 our own.
    pub interval: Interval,
    /// Whom it last accepted as a master, if anybody.
    pub master: Option<Heard>,
    pub(super) patience: Patience,
    /// The master is dead, but the group is not agreed yet.
    pub(super) wants_mastery: bool,
}

impl Backup {
    pub(super) const fn new(interval: Interval, master: Option<Heard>) -> Self {
        Self { interval, master, patience: Patience::Untouched, wants_mastery: false }
    }
}

/// Somebody who was heard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Heard {
    /// Who.
    pub source: IpAddr,
    /// With which priority.
    pub priority: Priority,
}

/// How far [`Preempt::After`](crate::Preempt::After) is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Patience {
    /// No lower master was heard.
    Untouched,
    /// One was, and has its time.
    Counting,
    /// Its time is over.
    Lost,
}

/// What a master knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Master {
    /// Since when.
    pub since: Instant,
    /// When it last advertised.
    pub(super) advertised: Instant,
    pub(super) mastery: Mastery,
    pub(super) conflict: Option<Conflict>,
}

/// Another owner is heard by an owner that is master.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Conflict {
    /// When it was last heard.
    pub(super) last: Instant,
    /// Who it is.
    pub(super) other: Heard,
    /// How often it advertises.
    pub(super) interval: Interval,
}

impl Master {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, advertised: now, mastery: Mastery::default(), conflict: None }
    }
}

/// What a router is going to be when somebody else is master.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Releasing {
    /// A backup that does not want the addresses back: a switchover.
    ToBackup,
    /// Nothing: it was shut down.
    ToInitialize,
}

/// The states as scripts and metrics know them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// Ready to take over.
    Backup,
    /// Not fit to.
    Fault,
    /// Not taking part.
    Initialize,
    /// Holding the addresses.
    Master,
}

impl Role {
    /// As keepalived's scripts are told it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Backup => "BACKUP",
            Self::Fault => "FAULT",
            Self::Initialize => "INIT",
            Self::Master => "MASTER",
        }
    }
}

impl State {
    /// Without the details. Who is releasing is master until it is over.
    pub const fn role(&self) -> Role {
        match self {
            Self::Backup(_) => Role::Backup,
            Self::Fault => Role::Fault,
            Self::Initialize | Self::Undecided | Self::Waiting => Role::Initialize,
            Self::Master(_) | Self::Releasing(_) => Role::Master,
        }
    }
}
