//! A timer that is hardly late: tokio's count whole milliseconds, a tenth of the shortest interval.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;

use super::receiver::watched;

/// From one ring to the next, at least. A thousand routers have ten thousand deadlines in a second; to be
/// woken for each costs more than what is then said. Who is alone is never late for that, and nobody by
/// more than a twentieth of the shortest interval.
const APART: Duration = Duration::from_micros(500);

/// Rings once, at the time that was said last, or as soon after the last ring as it may.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: TimerFd,
    /// The same timer, as tokio has it.
    watched: AsyncFd<OwnedFd>,
    at: Option<Instant>,
    /// When it rang last.
    rung: Option<Instant>,
}

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        let watched = watched(timer.as_fd().try_clone_to_owned()?)?;
        Ok(Self { timer, watched, at: None, rung: None })
    }

    pub(super) fn set(&mut self, at: Instant) -> io::Result<()> {
        let at = moment(at, self.rung);
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
                    // There is nothing more to read until it rings again, which tokio is told of.
                    guard.clear_ready();
                    (self.at, self.rung) = (None, Some(now()));
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::EAGAIN) => guard.clear_ready(),
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

/// When it rings that is to ring `at` that time.
fn moment(at: Instant, rung: Option<Instant>) -> Instant {
    rung.map_or(at, |rung| at.max(rung + APART))
}

#[allow(clippy::disallowed_methods, reason = "the kernel is told how long it is until then")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_rang_a_moment_ago_is_late() {
        let at = now();
        let (later, long_ago) = (at + APART / 5, at.checked_sub(APART));
        assert_eq!(moment(at, None), at);
        assert_eq!(moment(at, long_ago), at);
        assert_eq!(moment(later, Some(at)), at + APART);
        assert_eq!(moment(at + APART * 2, Some(at)), at + APART * 2);
    }

    #[tokio::test]
    async fn it_rings_again_and_again() {
        let mut alarm = Alarm::new().unwrap();
        let begun = now();
        for turn in 1..=20 {
            alarm.set(now() + APART / 100).unwrap();
            std::future::poll_fn(|context| alarm.poll(context)).await.unwrap();
            assert!(now() - begun >= APART * (turn - 1), "{turn}");
        }
    }
}
