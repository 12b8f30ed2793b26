//! Bytes both ways, with half-close, until both sides are done or one breaks.

use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, select};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::pipe::{Pipe, Spliced};
use super::upstream::Traffic;

/// One read's worth. Larger ones win little; every worker has one buffer of this size.
const CHUNK: usize = 64 * 1024;
/// After this many chunks in a row that filled the buffer it is a bulk transfer, worth a pipe.
const CHUNKS_BEFORE_SPLICING: u32 = 8;

thread_local! {
    /// Shared by all connections of a worker: what was read is written at once, and only what the
    /// other side does not take yet is kept, so that an idle connection has no buffer at all.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into());
}

/// No waiting for more small writes, and a probe now and then to find peers that vanished.
pub(super) fn prepare(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    // Neither is worth a connection.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// Makes the close that follows a reset, so that the other side learns that something broke.
pub(super) fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Copies both ways. Returns when both sides have sent their end.
///
/// # Errors
/// The first error of either side, also of one that has sent its end already: then neither side
/// can be told a clean end.
pub(super) async fn relay(
    client: &TcpStream,
    backend: &TcpStream,
    traffic: &Traffic,
) -> io::Result<()> {
    let up = pin!(pump(client, backend, &traffic.received));
    let down = pin!(pump(backend, client, &traffic.sent));
    let (ended, other) = match select(up, down).await {
        Either::Left((outcome, down)) => outcome.map(|()| (client, down.left_future()))?,
        Either::Right((outcome, up)) => outcome.map(|()| (backend, up.right_future()))?,
    };
    tokio::select! {
        biased;
        outcome = other => outcome,
        error = broken(ended) => Err(error),
    }
}

/// Resolves when the connection breaks. Nobody reads from a side that has sent its end, so that
/// without this it could vanish unnoticed, and the other one would wait for ever.
async fn broken(ended: &TcpStream) -> io::Error {
    let error = || ended.take_error()?.ok_or_else(|| io::ErrorKind::WouldBlock.into());
    ended.async_io(Interest::ERROR, error).await.unwrap_or_else(|error| error)
}

/// Copies one way, then passes the end on.
async fn pump(from: &TcpStream, to: &TcpStream, count: &AtomicU64) -> io::Result<()> {
    let mut full_chunks = 0;
    loop {
        from.readable().await?;
        let (read, rest) = match pass_on(from, to) {
            Ok(passed) => passed,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        if read == 0 {
            break;
        }
        count.fetch_add(read as u64, Ordering::Relaxed);
        write_all(to, &rest).await?;
        full_chunks = if read == CHUNK { full_chunks + 1 } else { 0 };
        if full_chunks == CHUNKS_BEFORE_SPLICING
            && let Ok(pipe) = Pipe::new()
        {
            if splice(from, to, &pipe, count).await? == Spliced::End {
                break;
            }
            full_chunks = 0;
        }
    }
    match SockRef::from(to).shutdown(Shutdown::Write) {
        // It has closed already: nothing is lost.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        closed => closed,
    }
}

/// One read and one write, without waiting: how much was read, and what of it was not written.
fn pass_on(from: &TcpStream, to: &TcpStream) -> io::Result<(usize, Vec<u8>)> {
    SCRATCH.with_borrow_mut(|scratch| {
        let read = from.try_read(scratch)?;
        let written = match to.try_write(&scratch[..read]) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        Ok((read, scratch[written..read].to_vec()))
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
    count: &AtomicU64,
) -> io::Result<Spliced> {
    let mut small_chunks = 0;
    loop {
        let mut held = from.async_io(Interest::READABLE, || pipe.fill(from)).await?;
        if held == 0 {
            return Ok(Spliced::End);
        }
        count.fetch_add(held as u64, Ordering::Relaxed);
        small_chunks = if held < CHUNK / 8 { small_chunks + 1 } else { 0 };
        while held > 0 {
            held -= to.async_io(Interest::WRITABLE, || pipe.drain(to, held)).await?;
        }
        if small_chunks == CHUNKS_BEFORE_SPLICING {
            return Ok(Spliced::Trickle);
        }
    }
}
