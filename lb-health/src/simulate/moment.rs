//! What a simulation tells.

use std::fmt;
use std::time::Duration;

use lb_core::health::Admin;
use lb_core::quorum::Strength;
use lb_core::virtual_server;

use super::{Conduct, Incident, Turn};

/// Something happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// The time since the beginning.
    pub at: Duration,
    /// What happens.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum What {
    /// Clients find a backend wanting, or it gets another chance.
    Ejection {
        /// The backend.
        backend: String,
        /// Whether it is out.
        out: bool,
    },
    /// What the script says.
    Incident(Incident),
    /// Checks of a backend cannot be run for some time, or can be again.
    Obstruction {
        /// The backend.
        backend: String,
        /// Whether they cannot.
        begins: bool,
    },
    /// New flows go to these backends from now on, in these shares.
    Pool(Vec<(String, u16)>),
    /// The virtual server has something to tell: quorum, panic.
    Server(virtual_server::Event),
    /// The checks have a new verdict on a backend.
    Verdict {
        /// The backend.
        backend: String,
        /// Whether it is up.
        up: bool,
        /// The [cause](crate::CheckError::cause) of the failure that decided, if one did.
        cause: Option<&'static str>,
        /// Whether clients met with it, and not a check.
        clients: bool,
    },
    /// The checks of a backend that is up report another weight, which makes it this one.
    Weight {
        /// The backend.
        backend: String,
        /// Its effective weight.
        weight: u16,
    },
}

impl fmt::Display for Moment {
    /// One line: `  12.250 s  web1 is down: refused`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3} s  {}", self.at.as_secs_f64(), self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ejection { backend, out: true } => {
                write!(f, "{backend} is ejected: clients fail there")
            }
            Self::Ejection { backend, out: false } => {
                write!(f, "{backend} is not ejected any more")
            }
            Self::Incident(Incident { backend, turn, .. }) => write!(f, "[{backend} {turn}]"),
            Self::Obstruction { backend, begins: true } => {
                write!(f, "{backend} cannot be checked, and stays as it is")
            }
            Self::Obstruction { backend, begins: false } => {
                write!(f, "{backend} can be checked again")
            }
            Self::Pool(pool) => {
                f.write_str("new flows go to")?;
                if pool.is_empty() {
                    f.write_str(" nobody")?;
                }
                pool.iter().try_for_each(|(name, weight)| write!(f, " {name}={weight}"))
            }
            Self::Server(event) => {
                use virtual_server::Event;
                let (what, lives) = match event {
                    Event::PanicBegan { strength } => ("panic began", strength),
                    Event::PanicEnded { strength } => ("panic ended", strength),
                    Event::QuorumGained { strength } => ("quorum gained", strength),
                    Event::QuorumLost { strength } => ("quorum lost", strength),
                    other => return write!(f, "{other:?}"),
                };
                let Strength { weight, alive, configured } = lives;
                write!(f, "{what}: {alive} of {configured} live, of weight {weight}")
            }
            Self::Verdict { backend, up: true, .. } => write!(f, "{backend} is up"),
            Self::Verdict { backend, cause: None, .. } => write!(f, "{backend} is down"),
            Self::Verdict { backend, cause: Some(cause), clients: false, .. } => {
                write!(f, "{backend} is down: {cause}")
            }
            Self::Verdict { backend, cause: Some(cause), clients: true, .. } => {
                write!(f, "{backend} is down, as clients find: {cause}")
            }
            Self::Weight { backend, weight } => write!(f, "{backend} weighs {weight}"),
        }
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin(Admin::Ready) => f.write_str("is enabled"),
            Self::Admin(Admin::Drain) => f.write_str("is drained"),
            Self::Admin(Admin::Drained) => f.write_str("has been drained for long enough"),
            Self::Admin(Admin::Maintenance) => f.write_str("is disabled"),
            Self::Admin(word) => write!(f, "{word:?}"),
            Self::Conduct(Conduct::Answers) => f.write_str("answers"),
            Self::Conduct(Conduct::Flaps(period)) => write!(f, "flaps every {period:?}"),
            Self::Conduct(Conduct::Hangs) => f.write_str("hangs"),
            Self::Conduct(Conduct::Obstructed) => f.write_str("cannot be reached from here"),
            Self::Conduct(Conduct::Refuses) => f.write_str("refuses"),
            Self::Conduct(Conduct::Reports(weight)) => write!(f, "reports weight {weight}"),
            Self::Conduct(Conduct::ReportsPercent(percent)) => write!(f, "reports {percent}%"),
            Self::TurnsAway(clients) => write!(f, "turns {clients} clients away"),
            Self::Weight(weight) => write!(f, "is given weight {weight}"),
        }
    }
}
