//! The part of a protocol library that moves the bytes, polled beside what waits for them.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What moves the bytes of a connection. It is no task of its own, so that nothing outlives a run
/// that is dropped, and a connection that is kept for the next run costs nothing until then.
pub(super) struct Mover(Option<Pin<Box<dyn Moving>>>);

/// A future, whatever it answers. An `async` block around it would keep its kilobytes twice.
trait Moving: Send {
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()>;
}

impl<F: Future + Send> Moving for F {
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Future::poll(self, context).map(drop)
    }
}

impl Mover {
    /// Moves the bytes until `connection` ends; who waits for them is told the reason by the
    /// library.
    pub(super) fn new<T>(connection: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(Box::pin(connection)))
    }

    /// Polls `waiting` while bytes are moved.
    pub(super) fn poll_beside<W: Future>(
        &mut self,
        mut waiting: Pin<&mut W>,
        context: &mut Context<'_>,
    ) -> Poll<W::Output> {
        if let Poll::Ready(output) = waiting.as_mut().poll(context) {
            return Poll::Ready(output);
        }
        self.poll(context);
        // What was just moved may be what is waited for: asking at once saves a turn of the
        // scheduler.
        waiting.poll(context)
    }

    /// Moves what can be moved now.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        let ended = self.0.as_mut().is_some_and(|moving| moving.as_mut().poll(context).is_ready());
        if ended {
            self.0 = None;
        }
    }
}

impl fmt::Debug for Mover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mover").field(&self.0.is_some()).finish()
    }
}
