//! The tower edge: a [`Director`](crate::Director) as a service.

mod admission;
mod balance;
mod clock;
mod discover;
mod each;
mod error;
mod future;
mod judge;
mod layer;
#[cfg(all(test, lb_loom))]
mod model;

pub use balance::Balance;
pub use discover::{Discovery, DiscoveryError};
pub use each::{EachFuture, EachService};
pub use error::{BalanceError, Undelivered, Unready};
pub use future::BalanceFuture;
pub use judge::{Answered, Judge};
pub use layer::BalanceLayer;

use crate::backend::Lease;

/// A request on its way to the backend that was assigned to it.
///
/// Keep the lease for as long as the backend is busy with it (a connection until it is closed, a
/// response until its body ends), then drop it.
#[derive(Debug)]
pub struct Dispatch<E, Req> {
    /// The backend, counted as busy.
    pub lease: Lease<E>,
    /// The request.
    pub request: Req,
}

const DEFAULT_RETRIES: usize = 2;
