//! A kernel pipe as a stopover between two sockets: `splice(2)`.

use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
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
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Unprivileged users have a limit over all their pipes; the standard size works as well.
        let _ = fcntl_setpipe_size(&writer, CAPACITY);
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
