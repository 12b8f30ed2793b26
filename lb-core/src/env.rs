//! The one door through which time and chance come in.

use std::time::Instant;

use rand::Rng;

/// Where `service::Balance` reads the clock and rolls its dice: the only impurity of this crate, and
/// an argument.
///
/// ```
/// use std::{cell::RefCell, rc::Rc, time::{Duration, Instant}};
/// use lb_core::{Env, rand::{Rng, SeedableRng, rngs::StdRng}};
///
/// /// Time stands still and chance repeats itself: for tests.
/// #[derive(Clone)]
/// struct Frozen(Instant, Rc<RefCell<StdRng>>);
///
/// impl Env for Frozen {
///     fn now(&self) -> Instant {
///         self.0
///     }
///     fn with_rng<T>(&self, f: impl FnOnce(&mut dyn Rng) -> T) -> T {
///         f(&mut *self.1.borrow_mut())
///     }
/// }
/// # let _ = Frozen(Instant::now(), Rc::new(RefCell::new(StdRng::seed_from_u64(1))));
/// ```
pub trait Env: Clone {
    /// The time.
    fn now(&self) -> Instant;

    /// Lends a generator for one draw.
    fn with_rng<T>(&self, f: impl FnOnce(&mut dyn Rng) -> T) -> T;
}

/// The clock of the system, and a small generator per thread, seeded by the system.
#[cfg(feature = "system")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnv;

#[cfg(feature = "system")]
impl Env for SystemEnv {
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn now(&self) -> Instant {
        Instant::now()
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
