//! A stream that tells how far it got: the errors of protocol libraries do not.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::checkers::connection::stream::Stream;

/// How far a stream got. Read by the task that drives the stream, so that order is no question.
#[derive(Debug, Default)]
pub(super) struct Progress {
    read: AtomicUsize,
    flushed: AtomicUsize,
    unflushed: AtomicUsize,
    /// How much may come in before something else must.
    most: AtomicUsize,
}

impl Progress {
    /// The bytes that came in.
    pub(super) fn read(&self) -> usize {
        self.read.load(Ordering::Relaxed)
    }

    /// The bytes that went out.
    pub(super) fn flushed(&self) -> usize {
        self.flushed.load(Ordering::Relaxed)
    }

    /// Ends the stream after so many bytes more, or lets it go on as long as it may.
    pub(super) fn limit(&self, bytes: Option<usize>) {
        let most = bytes.map_or(usize::MAX, |bytes| self.read().saturating_add(bytes));
        self.most.store(most, Ordering::Relaxed);
    }

    fn is_used_up(&self) -> bool {
        self.read() > self.most.load(Ordering::Relaxed)
    }
}

/// A stream and its [`Progress`].
#[derive(Debug)]
pub(super) struct Observed {
    stream: Stream,
    progress: Arc<Progress>,
    end: End,
}

/// What the end of a connection is worth that TLS has not announced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(dead_code, reason = "only TLS announces")]
pub(super) enum End {
    /// Nothing: anybody on the way may have made it (RFC 8446, 6.1).
    Announced,
    /// An end. So might anybody have announced one where nobody proves who he is.
    Any,
}

impl Observed {
    pub(super) fn new(stream: Stream, end: End) -> (Self, Arc<Progress>) {
        let progress = Arc::new(Progress::default());
        progress.limit(None);
        (Self { stream, progress: Arc::clone(&progress), end }, progress)
    }
}

impl AsyncRead for Observed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.progress.is_used_up() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = buffer.filled().len();
        match ready!(Pin::new(&mut self.stream).poll_read(context, buffer)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && self.end == End::Any => {}
            read => read?,
        }
        let count = buffer.filled().len() - before;
        self.progress.read.fetch_add(count, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Observed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.progress.unflushed.fetch_add(count, Ordering::Relaxed);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        let flushed = self.progress.unflushed.swap(0, Ordering::Relaxed);
        self.progress.flushed.fetch_add(flushed, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    /// Does nothing: whoever says goodbye first holds the connection in `TIME_WAIT`. The stream is
    /// reset when it is dropped.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
