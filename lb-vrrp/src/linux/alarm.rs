//! A timer that is not late: tokio's count whole milliseconds, a tenth of the shortest interval.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;

use super::receiver::watched;

/// Rings once, at the time that was said last.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: TimerFd,
    /// The same timer, as tokio has it.
    watched: AsyncFd<OwnedFd>,
    at: Option<Instant>,
}

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let watched = watched(timer.as_fd().try_clone_to_owned()?)?;
        Ok(Self { timer, watched, at: None })
    }

    pub(super) fn set(&mut self, at: Instant) -> io::Result<()> {
        if self.at == Some(at) {
            return Ok(());
        }
        // Nothing would be never.
        let delay = at.saturating_duration_since(now()).max(Duration::from_nanos(1));
        let once = Expiration::OneShot(TimeSpec::from_duration(delay));
        self.timer.set(once, TimerSetTimeFlags::empty())?;
        self.at = Some(at);
        Ok(())
    }

    /// Whether it has rung.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.watched.poll_read_ready(context))?;
            match self.timer.wait() {
                Ok(()) => {
                    self.at = None;
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::EAGAIN) => guard.clear_ready(),
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the kernel is told how long it is until then")]
pub(super) fn now() -> Instant {
    Instant::now()
}
