//! [`Clock`]: an [`Env`] of whatever kind, for those who wait.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::env::Env;

/// The time and the alarms of an [`Env`].
///
/// Of which kind is no part of the type: whoever holds it need not be of another type for everybody's
/// `Env`, and who waits can afford the allocation.
#[derive(Clone)]
pub(super) struct Clock(Arc<dyn Wakes>);

trait Wakes: Send + Sync {
    fn now(&self) -> Instant;
    fn sleep_until(&self, at: Instant) -> Sleep;
}

type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<V> Wakes for V
where
    V: Env + Send + Sync,
    V::Sleep: Send + 'static,
{
    fn now(&self) -> Instant {
        Env::now(self)
    }

    fn sleep_until(&self, at: Instant) -> Sleep {
        Box::pin(Env::sleep_until(self, at))
    }
}

impl Clock {
    pub(super) fn of<V>(env: V) -> Self
    where
        V: Env + Send + Sync + 'static,
        V::Sleep: Send + 'static,
    {
        Self(Arc::new(env))
    }

    pub(super) fn now(&self) -> Instant {
        self.0.now()
    }

    pub(super) fn alarm(&self, at: Instant) -> Alarm {
        Alarm { at, sleep: self.0.sleep_until(at) }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

/// Resolves when its time has come; not to be polled after that.
pub(super) struct Alarm {
    at: Instant,
    sleep: Sleep,
}

impl Alarm {
    /// When that is.
    pub(super) const fn at(&self) -> Instant {
        self.at
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }
}
