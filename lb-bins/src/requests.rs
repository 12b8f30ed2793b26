//! Asking a task that owns what others want to know, or to change: each request has the way back for its
//! answer.

use std::fmt;

use tokio::sync::{mpsc, oneshot};

/// Requests that the task has not taken up yet; who has one more waits.
const WAITING: usize = 64;

/// Asks a task from anywhere. Cheap to clone.
pub(crate) struct Requests<R>(mpsc::Sender<R>);

/// The task has ended: nobody answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended;

impl<R> Requests<R> {
    /// A way to ask, and where the task finds what it is asked.
    pub(crate) fn new() -> (Self, mpsc::Receiver<R>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Waits until the task can take it up, and not for what it does then.
    ///
    /// # Errors
    /// [`Ended`].
    pub(crate) async fn send(&self, request: R) -> Result<(), Ended> {
        self.0.send(request).await.map_err(|_| Ended)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// [`Ended`], before or after it was asked.
    pub(crate) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> R,
    ) -> Result<T, Ended> {
        let (reply, answer) = oneshot::channel();
        self.send(request(reply)).await?;
        answer.await.map_err(|_| Ended)
    }
}

impl<R> Clone for Requests<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R> fmt::Debug for Requests<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Requests").field(&self.0.capacity()).finish()
    }
}
