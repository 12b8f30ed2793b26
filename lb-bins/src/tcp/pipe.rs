//! A kernel pipe as a stopover between two sockets: `splice(2)`.

use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice,
};
use tokio::net::TcpStream;

/// How much a pipe is asked to hold; the kernel may allow less, `pipe(7)`.
const CAPACITY: usize = 256 * 1024;

/// Why splicing ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Spliced {
    /// The sender has sent its end.
    End,
    /// Bytes come in small pieces now, for which plain reads are cheaper.
    Trickle,
}

/// An empty pipe. It is empty again whenever what [`fill`](Self::fill) took is drained, so that a
/// full pipe never hides behind "the socket would block".
#[derive(Debug)]
pub(super) struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Pipe {
    /// A pipe that holds at least `least` bytes. Users without privileges have a limit over all
    /// their pipes, beyond which new ones hold next to nothing (`pipe(7)`).
    pub(super) fn new(least: usize) -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // If it does not grow, what it has may do.
        let _ = fcntl_setpipe_size(&writer, CAPACITY);
        if fcntl_getpipe_size(&writer)? < least {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        Ok(Self { reader, writer })
    }

    /// Takes what the socket has; 0 at its end.
    pub(super) fn fill(&self, socket: &TcpStream) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        Ok(splice(socket, None, &self.writer, None, CAPACITY, flags)?)
    }

    /// Gives the socket up to `length` bytes.
    pub(super) fn drain(&self, socket: &TcpStream, length: usize) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        Ok(splice(&self.reader, None, socket, None, length, flags)?)
    }
}
