//! The one door through which time and chance come in.

use std::future::Future;
use std::time::Instant;

use rand::Rng;

/// Where `service::Balance` reads the clock and rolls its dice: the only impurity of this crate, and
/// an argument.
///
/// ```
/// use std::{cell::RefCell, future::{Pending, pending}, rc::Rc, time::Instant};
/// use rand::{Rng, SeedableRng, rngs::StdRng};
/// use lb_core::env::Env;
///
/// /// Time stands still and chance repeats itself: for tests.
/// #[derive(Clone)]
/// struct Frozen(Instant, Rc<RefCell<StdRng>>);
///
/// impl Env for Frozen {
///     type Sleep = Pending<()>;
///
///     fn now(&self) -> Instant {
///         self.0
///     }
///     fn sleep_until(&self, _: Instant) -> Self::Sleep {
///         pending()
///     }
///     fn with_rng<T>(&self, f: impl FnOnce(&mut dyn Rng) -> T) -> T {
///         f(&mut *self.1.borrow_mut())
///     }
/// }
/// # let _ = Frozen(Instant::now(), Rc::new(RefCell::new(StdRng::seed_from_u64(1))));
/// ```
pub trait Env: Clone {
    /// Resolves when it is time.
    type Sleep: Future<Output = ()>;

    /// The time.
    fn now(&self) -> Instant;

    /// Wakes the caller at `deadline`: how flows that wait in a [queue](crate::director::QueueConfig) learn
    /// that they have waited long enough.
    fn sleep_until(&self, deadline: Instant) -> Self::Sleep;

    /// Lends a generator for one draw.
    fn with_rng<T>(&self, f: impl FnOnce(&mut dyn Rng) -> T) -> T;
}

/// The clock of the system, and a small generator per thread, seeded by the system.
///
/// **It cannot wake anybody**: that takes a runtime. Flows wait in a queue for as long as there is no
/// room, whatever its timeout; put tower's timeout around the balancer, or take
#[cfg_attr(feature = "tokio", doc = "[`TokioEnv`].")]
#[cfg_attr(not(feature = "tokio"), doc = "`TokioEnv`.")]
#[cfg(feature = "system")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnv;

#[cfg(feature = "system")]
impl Env for SystemEnv {
    type Sleep = std::future::Pending<()>;

    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, _: Instant) -> Self::Sleep {
        std::future::pending()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn with_rng<T>(&self, f: impl FnOnce(&mut dyn Rng) -> T) -> T {
        use std::cell::RefCell;

        use rand::rngs::SmallRng;

        thread_local! {
            static GENERATOR: RefCell<SmallRng> =
                RefCell::new(rand::make_rng());
        }
        GENERATOR.with(|generator| f(&mut *generator.borrow_mut()))
    }
}

/// As [`SystemEnv`], and wakes by tokio's timers: for use within a tokio runtime, and for nowhere
/// else, as tokio has it.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioEnv;

#[cfg(feature = "tokio")]
impl Env for TokioEnv {
    type Sleep = TokioSleep;

    /// tokio's clock, so that tests may pause it.
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn sleep_until(&self, deadline: Instant) -> Self::Sleep {
        TokioSleep { sleep: tokio::time::sleep_until(deadline.into()) }
    }

    fn with_rng<T>(&self, f: impl FnOnce(&mut dyn Rng) -> T) -> T {
        SystemEnv.with_rng(f)
    }
}

#[cfg(feature = "tokio")]
pin_project_lite::pin_project! {
    /// The future of [`TokioEnv`]'s [`sleep_until`](Env::sleep_until).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct TokioSleep {
        #[pin]
        sleep: tokio::time::Sleep,
    }
}

#[cfg(feature = "tokio")]
impl Future for TokioSleep {
    type Output = ();

    fn poll(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<()> {
        self.project().sleep.poll(cx)
    }
}
