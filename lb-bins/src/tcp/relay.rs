//! Bytes both ways, with half-close, until both sides are done or one breaks.

use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use futures::future::FusedFuture;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::consume_budget;
use tokio::time::timeout;

use super::pipe::{Pipe, Spliced};
use super::witness::Witness;

/// One read's worth. Larger ones win little; every worker has one buffer of this size.
const CHUNK: usize = 64 * 1024;
/// After this many chunks in a row that filled the buffer it is a bulk transfer, worth a pipe.
const CHUNKS_BEFORE_SPLICING: u32 = 8;

/// How long what a broken side said last may take to reach the other.
const LAST_WORDS: Duration = Duration::from_secs(2);

thread_local! {
    /// Shared by all connections of a worker: what was read is written at once, and only what the
    /// other side does not take yet is kept, so that an idle connection has no buffer at all.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into());
}

/// Makes the close that follows a reset, so that the other side learns that something broke.
pub(super) fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// One end of a connection that is carried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    Backend,
    Client,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) struct End {
    /// Who sent its end first, if anybody did.
    pub(super) first: Option<Side>,
    /// Who broke it off, and how; `None` if both sent their end.
    pub(super) broken: Option<(Side, io::Error)>,
}

/// Why a direction stopped before its end.
#[derive(Debug)]
enum Broken {
    /// Whoever sends has gone.
    Sender(io::Error),
    /// Whoever receives has gone. It may have said why before.
    Receiver(io::Error),
}

/// Copies both ways. Returns when both sides have sent their end, or at the first error of either
/// side, also of one that has sent its end already or is not read from because the other one is
/// slow: then neither side can be told a clean end. What a side sent before it broke is still
/// passed on, if the other one takes it soon.
pub(super) async fn relay(client: &TcpStream, backend: &TcpStream, witness: &Witness<'_>) -> End {
    use Side::{Backend, Client};

    let mut up = pin!(pump(client, backend, Client, witness).fuse());
    let mut down = pin!(pump(backend, client, Backend, witness).fuse());
    let mut first = None;
    while !(up.is_terminated() && down.is_terminated()) {
        let (broken, last_words) = tokio::select! {
            biased;
            ended = &mut up, if !up.is_terminated() => match ended.and_then(|()| end(backend)) {
                Ok(()) => {
                    first.get_or_insert(Client);
                    continue;
                }
                Err(Broken::Sender(error)) => return End { first, broken: Some((Client, error)) },
                Err(Broken::Receiver(error)) => ((Backend, error), down),
            },
            ended = &mut down, if !down.is_terminated() => match ended.and_then(|()| end(client)) {
                Ok(()) => {
                    first.get_or_insert(Backend);
                    continue;
                }
                Err(Broken::Sender(error)) => return End { first, broken: Some((Backend, error)) },
                Err(Broken::Receiver(error)) => ((Client, error), up),
            },
            error = broken(client) => ((Client, error), up),
            error = broken(backend) => ((Backend, error), down),
        };
        if !last_words.is_terminated()
            && let Ok(Ok(())) = timeout(LAST_WORDS, last_words).await
            && had_ended(&broken.1)
        {
            // However that ends, something broke.
            let _ = end(if broken.0 == Backend { client } else { backend });
        }
        return End { first, broken: Some(broken) };
    }
    End { first, broken: None }
}

/// Resolves when a connection breaks. Nobody reads from a side that has sent its end, or while the
/// other side is slow, so that without this it could vanish unnoticed.
pub(super) async fn broken(side: &TcpStream) -> io::Error {
    let error = || side.take_error()?.ok_or_else(|| io::ErrorKind::WouldBlock.into());
    side.async_io(Interest::ERROR, error).await.unwrap_or_else(|error| error)
}

/// Whether a side that broke had sent its end before. Its error is told once, and whoever reads after that
/// finds an end in any case, so that what broke off would look whole.
///
/// Linux says `EPIPE` of a reset that follows an end, and `ECONNRESET` of others (`tcp_reset`).
fn had_ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Tells a side that the other one has sent its end.
fn end(to: &TcpStream) -> Result<(), Broken> {
    match SockRef::from(to).shutdown(Shutdown::Write) {
        // It has closed already: nothing is lost.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        closed => closed.map_err(Broken::Receiver),
    }
}

/// Copies one way, until the end.
async fn pump(
    from: &TcpStream,
    to: &TcpStream,
    sender: Side,
    witness: &Witness<'_>,
) -> Result<(), Broken> {
    let mut full_chunks = 0;
    loop {
        from.readable().await.map_err(Broken::Sender)?;
        // A sender that is always ready would have its worker for itself otherwise.
        consume_budget().await;
        let Some((read, rest)) = pass_on(from, to)? else { continue };
        if read == 0 {
            break;
        }
        witness.count(sender, read);
        write_all(to, &rest).await.map_err(Broken::Receiver)?;
        full_chunks = if read == CHUNK { full_chunks + 1 } else { 0 };
        if full_chunks == CHUNKS_BEFORE_SPLICING
            && let Ok(pipe) = Pipe::new(CHUNK)
        {
            if splice(from, to, &pipe, |read| witness.count(sender, read)).await? == Spliced::End {
                break;
            }
            full_chunks = 0;
        }
    }
    Ok(())
}

/// One read and one write, without waiting: how much was read, and what of it was not written;
/// `None` if there was nothing to read yet.
fn pass_on(from: &TcpStream, to: &TcpStream) -> Result<Option<(usize, Vec<u8>)>, Broken> {
    SCRATCH.with_borrow_mut(|scratch| {
        let read = match from.try_read(scratch) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(Broken::Sender(error)),
        };
        let written = match to.try_write(&scratch[..read]) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(Broken::Receiver(error)),
        };
        Ok(Some((read, scratch[written..read].to_vec())))
    })
}

async fn write_all(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Moves bytes through a pipe inside the kernel, for as long as they come in bulk.
async fn splice(
    from: &TcpStream,
    to: &TcpStream,
    pipe: &Pipe,
    count: impl Fn(usize),
) -> Result<Spliced, Broken> {
    let mut small_chunks = 0;
    loop {
        let filled = from.async_io(Interest::READABLE, || pipe.fill(from)).await;
        let mut held = filled.map_err(Broken::Sender)?;
        if held == 0 {
            return Ok(Spliced::End);
        }
        count(held);
        small_chunks = if held < CHUNK / 8 { small_chunks + 1 } else { 0 };
        while held > 0 {
            let drained = to.async_io(Interest::WRITABLE, || pipe.drain(to, held)).await;
            held -= drained.map_err(Broken::Receiver)?;
        }
        consume_budget().await;
        if small_chunks == CHUNKS_BEFORE_SPLICING {
            return Ok(Spliced::Trickle);
        }
    }
}
