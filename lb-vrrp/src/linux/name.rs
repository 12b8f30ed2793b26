//! Names that one process of a network namespace has, and that go with it however it ends: those of
//! abstract sockets (unix(7)).

use std::io;

use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{UnixCredentials, getsockopt};
use nix::unistd::geteuid;
use socket2::{Domain, SockAddr, Socket, Type};

/// As many as the kernel has room for (`net.core.somaxconn`): whoever asks who has a name leaves a trace.
const BACKLOG: i32 = 4096;

/// A name that this process has, until this is dropped.
#[derive(Debug)]
pub(super) struct Name {
    _socket: Socket,
}

impl Name {
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`] if somebody has it, or why there is no socket to be had.
    pub(super) fn take(name: &str) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.cloexec(), None)?;
        socket.bind(&address(name)?)?;
        socket.listen(BACKLOG)?;
        Ok(Self { _socket: socket })
    }

    /// Whether a process has it that may do what we do, and lives. Any user may take any name, which must
    /// keep nobody from starting; and a child that hangs before it runs its program has the sockets of its
    /// parent, which may be dead.
    pub(super) fn is_held(name: &str) -> bool {
        holder(name).is_ok_and(|holder| {
            let is_one_of_us = holder.uid() == 0 || holder.uid() == geteuid().as_raw();
            // One of another PID namespace has none here.
            let lives = holder.pid() == 0
                || std::path::Path::new(&format!("/proc/{}", holder.pid())).exists()
                || !std::path::Path::new("/proc/self").exists();
            is_one_of_us && lives
        })
    }
}

/// Whoever listened there.
fn holder(name: &str) -> io::Result<UnixCredentials> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.cloexec().nonblocking(), None)?;
    socket.connect(&address(name)?)?;
    Ok(getsockopt(&socket, PeerCredentials)?)
}

fn address(name: &str) -> io::Result<SockAddr> {
    SockAddr::unix(format!("\0{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alone_has_a_name_while_it_lives() {
        let name = format!("lb-vrrp test of a name {}", std::process::id());
        assert!(!Name::is_held(&name));
        let held = Name::take(&name).unwrap();
        assert!(Name::is_held(&name));
        assert_eq!(Name::take(&name).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(held);
        assert!(!Name::is_held(&name));
        assert!(Name::take(&name).is_ok());
    }
}
