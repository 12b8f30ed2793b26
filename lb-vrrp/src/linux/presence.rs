//! Who else in this network namespace does what we do: names that one process alone can have, and that
//! go with it however it ends (abstract sockets, unix(7)).

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::sync::{Arc, Weak};

use socket2::{Domain, SockAddr, Socket, Type};

use super::port::Port;

/// So many processes in one network namespace know of each other.
const MOST: usize = 16;

/// That this process is here.
#[derive(Debug)]
pub(super) struct Presence {
    _name: Option<Socket>,
    is_alone: bool,
}

impl Presence {
    /// Says that somebody is here who does `what`, and looks whether others have said so.
    pub(super) fn say(what: &str) -> Self {
        let name = |number: usize| format!("{what} {number}");
        let own = (0..MOST).find_map(|number| Some((number, take(&name(number)).ok()?)));
        // Of two that come at the same moment each has its name before it looks.
        let is_own = |number| own.as_ref().is_some_and(|(own, _)| *own == number);
        let mut others = (0..MOST).filter(|number| !is_own(*number));
        let is_alone = own.is_some() && !others.any(|number| is_taken(&name(number)));
        Self { _name: own.map(|(_, name)| name), is_alone }
    }

    /// Whether nobody else was there who does the same, so that all that is marked was left by the dead.
    pub(super) const fn is_alone(&self) -> bool {
        self.is_alone
    }
}

/// That this process speaks for a virtual router.
pub(super) type Claim = Arc<Socket>;

/// The virtual routers that this process speaks for: another one that does so as well would have their
/// addresses on the same host, and each take away what the other has put there.
#[derive(Debug, Default)]
pub(super) struct Claims(BTreeMap<String, Weak<Socket>>);

impl Claims {
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`] if another process speaks for it.
    pub(super) fn claim(&mut self, port: &Port) -> io::Result<Claim> {
        let name = name_of(port);
        if let Some(known) = self.0.get(&name).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let claim = take(&name).map(Arc::new).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => io::Error::new(
                error.kind(),
                "another process in this network namespace speaks for that virtual router already",
            ),
            _ => error,
        })?;
        self.0.retain(|_, claim| claim.strong_count() > 0);
        self.0.insert(name, Arc::downgrade(&claim));
        Ok(claim)
    }
}

/// What tells virtual routers of a host apart: those that have other peers are others all the same.
fn name_of(port: &Port) -> String {
    let (vrid, family) = (port.channel.vrid, port.family());
    // A name has room for 107 bytes, which a list of peers need not fit.
    let mut rest = DefaultHasher::new();
    format!("{} {family:?} {:?}", port.settings.interface, port.channel.reach).hash(&mut rest);
    format!("lb-vrrp {} {:x}", vrid.get(), rest.finish())
}

/// A name that nobody has.
fn take(name: &str) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::DGRAM.cloexec(), None)?;
    socket.bind(&SockAddr::unix(format!("\0{name}"))?)?;
    Ok(socket)
}

fn is_taken(name: &str) -> bool {
    let connect = || {
        let socket = Socket::new(Domain::UNIX, Type::DGRAM.cloexec(), None)?;
        socket.connect(&SockAddr::unix(format!("\0{name}"))?)
    };
    connect().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_later_is_not_alone_also_when_the_first_has_come_again() {
        let what = format!("lb-vrrp test {}", std::process::id());
        let first = Presence::say(&what);
        assert!(first.is_alone());
        let second = Presence::say(&what);
        assert!(!second.is_alone());
        drop(first);
        let again = Presence::say(&what);
        assert!(!again.is_alone(), "the second one lives");
        drop((second, again));
        assert!(Presence::say(&what).is_alone());
    }

    #[test]
    fn with_no_name_left_nobody_is_alone() {
        let what = format!("lb-vrrp test of many {}", std::process::id());
        let all: Vec<_> = (0..MOST).map(|_| Presence::say(&what)).collect();
        assert_eq!(all.iter().filter(|one| one.is_alone()).count(), 1);
        assert!(!Presence::say(&what).is_alone());
    }
}
