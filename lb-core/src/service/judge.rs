//! What an answer tells of the backend that gave it.

use crate::backend::Outcome;

/// Judges answers: tells schedulers which of them are [failures](Outcome) although they came.
///
/// Any function will do. Without one every answer is a success:
///
/// ```
/// # use std::sync::Arc;
/// # use lb_core::service::Balance;
/// # use lb_core::{Algorithm, Director, Pool};
/// use lb_core::backend::Outcome;
///
/// # let director = Arc::new(Director::<(), ()>::new(Pool::new([], &*Algorithm::Rr.scheduler())));
/// # type Response = u16;
/// # let client = tower::service_fn(|_: lb_core::service::Dispatch<(), ()>| async { Ok::<Response, lb_core::service::Undelivered<()>>(200) });
/// let balance = Balance::new(director, |_: &()| (), client).judging(|status: &u16| {
///     Some(if *status < 500 { Outcome::Success } else { Outcome::Failure })
/// });
/// # let _ = balance;
/// ```
pub trait Judge<Response> {
    /// What `response` tells of its backend: `None` if nothing can be told yet, because whoever
    /// holds the lease will [report](crate::Lease::report) it.
    fn judge(&self, response: &Response) -> Option<Outcome>;
}

/// Every answer is a success.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answered;

impl<Response> Judge<Response> for Answered {
    fn judge(&self, _: &Response) -> Option<Outcome> {
        Some(Outcome::Success)
    }
}

impl<Response, F: Fn(&Response) -> Option<Outcome>> Judge<Response> for F {
    fn judge(&self, response: &Response) -> Option<Outcome> {
        self(response)
    }
}
