//! Where a daemon can be asked: an address, or a socket in the file system.

use std::fs::{Metadata, Permissions, remove_file, set_permissions, symlink_metadata};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::Door;
use crate::privileges::hint;
use crate::tcp::{BindError, Bound};

/// Administrators that may wait at a socket; as many as the kernel usually lets.
const BACKLOG: i32 = 128;

/// Whom it is that asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Via {
    /// Anybody who reaches this address; a browser, even.
    Address(SocketAddr),
    /// Somebody who may write to the file.
    Socket,
}

/// A place that can be asked at, though nobody answers yet.
#[derive(Debug)]
pub struct Listener(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    Address(SocketAddr, TcpListener),
    Socket(PathBuf, UnixListener),
}

/// The file of a socket: it goes with this, unless another has taken its place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    made: (u64, u64),
}

/// Nobody can ask there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoorError {
    /// At an address.
    #[error("admin: {0}")]
    Address(#[from] BindError),
    /// There is a file that is no socket.
    #[error("admin: {} is there, but is no socket", path.display())]
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// At a socket.
    #[error("admin: cannot listen at {}: {source}{}", path.display(), hint(source))]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is another user's, and cannot be taken over.
    #[error(
        "admin: {} is another user's: nobody can tell whether a program listens there; if none does, \
         remove it",
        path.display()
    )]
    Foreign {
        /// Where.
        path: PathBuf,
    },
    /// Another program is there.
    #[error("admin: another program listens at {} already", path.display())]
    Taken {
        /// Where.
        path: PathBuf,
    },
}

impl Listener {
    /// Opens a place to ask at. The file of a socket is for its owner alone.
    ///
    /// # Errors
    /// [`DoorError`], if somebody else is there, or the system does not let us.
    pub(crate) fn open(door: &Door) -> Result<(Self, Option<SocketFile>), DoorError> {
        match door {
            Door::Address(address) => {
                let bound = Bound::bind(*address, 1, &[])?;
                let address = bound.address();
                let mut sockets = bound.into_sockets();
                let Some(socket) = sockets.pop() else {
                    let source = io::ErrorKind::AddrNotAvailable.into();
                    return Err(BindError { address, source }.into());
                };
                Ok((Self(Kind::Address(address, socket)), None))
            }
            Door::Socket(path) => {
                let failed = |source| DoorError::Socket { path: path.clone(), source };
                clear(path)?;
                let (listener, file) = listen(path).map_err(failed)?;
                Ok((Self(Kind::Socket(path.clone(), listener)), Some(file)))
            }
        }
    }
}

/// Makes room: a socket that nobody listens at was left over by a crash.
fn clear(path: &Path) -> Result<(), DoorError> {
    // If there is more to it than that nothing is there, the next step says so.
    let Ok(there) = symlink_metadata(path) else { return Ok(()) };
    let path = path.to_owned();
    if !there.file_type().is_socket() {
        return Err(DoorError::NotASocket { path });
    }
    match UnixStream::connect(&path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            remove_file(&path).map_err(|source| DoorError::Socket { path, source })
        }
        // Left over by a daemon that ran as somebody else: root has given up the right to look.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(DoorError::Foreign { path })
        }
        _ => Err(DoorError::Taken { path }),
    }
}

fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile { path: path.to_owned(), made: identity(&symlink_metadata(path)?) };
    // Before anybody can connect.
    set_permissions(path, Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    Ok((socket.into(), file))
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if symlink_metadata(&self.path).is_ok_and(|there| identity(&there) == self.made) {
            // Whoever became another user may not; the next start does it.
            let _ = remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_made_for_its_owner_and_removed_again() {
        let path = std::env::temp_dir().join(format!("lb-door-{}", std::process::id()));
        let door = Door::Socket(path.clone());
        let (first, file) = Listener::open(&door).unwrap();
        assert_eq!(symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(Listener::open(&door), Err(DoorError::Taken { .. })));
        // As a crash leaves it: the file is there, but nobody listens.
        drop(first);
        std::mem::forget(file);
        let (second, file) = Listener::open(&door).unwrap();
        // Another takes its place.
        let other = path.with_extension("other");
        let (_other, other_file) = Listener::open(&Door::Socket(other.clone())).unwrap();
        std::fs::rename(&other, &path).unwrap();
        drop((second, file));
        assert!(path.exists(), "it is not ours");
        drop(other_file);
        remove_file(&path).unwrap();
        drop(Listener::open(&door).unwrap());
        assert!(!path.exists());
        std::fs::write(&path, "").unwrap();
        assert!(matches!(Listener::open(&door), Err(DoorError::NotASocket { .. })));
        remove_file(&path).unwrap();
    }
}
