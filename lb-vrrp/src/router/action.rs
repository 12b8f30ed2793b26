//! What a router asks for, and what it tells; a CARP host does so in the same words.

use std::fmt;
use std::net::IpAddr;

use crate::router::Role;
use crate::tracking::FaultCauses;
use crate::values::Priority;

/// What the owner of a [`VirtualRouter`](crate::VirtualRouter), or of a
/// [`CarpHost`](crate::carp::CarpHost), is to do, in this order. They differ in what is advertised: a
/// priority, or a whole [`CarpAdvertisement`](crate::wire::CarpAdvertisement).
///
/// None can fail as far as the router is concerned: an address that cannot be added is a
/// [fault](crate::VirtualRouter::handle_fault), an advertisement that cannot be sent is as good as
/// lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Action<A = Priority> {
    /// Add every virtual address. Alternates with [`Self::RemoveAddresses`].
    AddAddresses,
    /// Send one advertisement that says this, to every peer.
    Advertise(A),
    /// Tell the link where the addresses are: for each, this many gratuitous ARPs or unsolicited
    /// neighbour advertisements.
    Announce {
        /// How many, for each address.
        times: u8,
    },
    /// Tell whoever watches.
    Notify(Event),
    /// Remove this one address, which the kernel has and this router does not hold.
    RemoveAddress(IpAddr),
    /// Remove every virtual address.
    RemoveAddresses,
    /// Add this one address again, which somebody took away.
    RestoreAddress(IpAddr),
}

impl<A> Action<A> {
    /// The same where something else is advertised.
    #[cfg(feature = "driver")]
    pub(crate) fn map<B>(self, say: impl FnOnce(A) -> B) -> Action<B> {
        match self {
            Self::AddAddresses => Action::AddAddresses,
            Self::Advertise(said) => Action::Advertise(say(said)),
            Self::Announce { times } => Action::Announce { times },
            Self::Notify(event) => Action::Notify(event),
            Self::RemoveAddress(address) => Action::RemoveAddress(address),
            Self::RemoveAddresses => Action::RemoveAddresses,
            Self::RestoreAddress(address) => Action::RestoreAddress(address),
        }
    }
}

/// What is worth telling. Nothing of it has to be acted on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The causes of fault changed.
    FaultsChanged {
        /// What is left of them.
        causes: FaultCauses,
    },
    /// A master of lower priority was heard by a master: clients, or a cloud, may have believed it
    /// (keepalived's `notify_master_rx_lower_pri`).
    LowerMaster {
        /// Who.
        source: IpAddr,
        /// With which priority.
        priority: Priority,
    },
    /// Two routers are configured as the owner of the addresses.
    OwnerConflict {
        /// The other one.
        source: IpAddr,
        /// Whether it is we who give way.
        yielded: bool,
    },
    /// The effective priority changed.
    PriorityChanged {
        /// What it was.
        from: Priority,
        /// What it is.
        to: Priority,
    },
    /// Nobody took over, so that this router is master again.
    SwitchoverFailed,
    /// Another role.
    Transition {
        /// What it was.
        from: Role,
        /// What it is.
        to: Role,
        /// Why.
        because: Because,
    },
}

/// Why a router changed its role.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Because {
    /// It is fit again.
    FaultCleared,
    /// It is not fit any more.
    Fault,
    /// Its group moved.
    Group,
    /// Nobody better was heard for the master-down interval; by CARP, nor anybody who is good enough.
    MasterDown,
    /// The other owner of the addresses.
    OwnerConflict {
        /// Who.
        source: IpAddr,
    },
    /// By CARP: somebody fitter was heard, or somebody who advertises more often.
    Outpaced {
        /// Who.
        source: IpAddr,
    },
    /// It was asleep for so long that another one took over, and it does not preempt.
    Overslept {
        /// Who took over.
        source: IpAddr,
    },
    /// Somebody better was heard.
    Outranked {
        /// Who.
        source: IpAddr,
        /// With which priority.
        priority: Priority,
    },
    /// It was shut down.
    Shutdown,
    /// It was started.
    Startup,
    /// An administrator moved the addresses.
    Switchover,
}

/// Its name, and whoever gave cause to it in words.
impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnerConflict { source } => write!(f, "{source} owns the addresses as well"),
            Self::Outpaced { source } => write!(f, "outpaced by {source}"),
            Self::Overslept { source } => write!(f, "overslept while {source} took over"),
            Self::Outranked { source, priority } => {
                write!(f, "outranked by {source} (priority {})", priority.get())
            }
            named => fmt::Debug::fmt(named, f),
        }
    }
}

/// Why an advertisement changed nothing. Every one of them is normal at times.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Discard {
    /// The router is at fault.
    #[error("at fault")]
    Fault,
    /// A backup that preempts hears a master of lower priority: it waits for its own time.
    #[error("the sender has a lower priority than this router")]
    LowerPriority,
    /// The router was not started, or has ended.
    #[error("not running")]
    NotRunning,
    /// It comes from our own address: a loop, or a clone of this host.
    #[error("sent from our own address")]
    OwnSource,
    /// The startup delay runs.
    #[error("the startup delay is not over")]
    StartupDelay,
    /// Nothing was seen yet of something vital.
    #[error("something that the router depends on was not seen yet")]
    Undecided,
}

impl Discard {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fault => "fault",
            Self::LowerPriority => "lower_priority",
            Self::NotRunning => "not_running",
            Self::OwnSource => "own_source",
            Self::StartupDelay => "startup_delay",
            Self::Undecided => "undecided",
        }
    }
}

/// Only a master can give its addresses to somebody else.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("this router is not master but {}", role.name())]
pub struct NotMaster {
    /// What it is.
    pub role: Role,
}
