//! Layer 4: bytes from a client to a backend and back.
//!
//! ```text
//! Listener ─▶ accept (one loop per worker) ─▶ Balance { Director ─▶ Connector } ─▶ relay
//!  bound by       Route: what the listener        who, and on refusal      both ways, with
//!  control        leads to, replaced on reload    somebody else            half-close and reset
//! ```

mod accept;
mod client;
mod connect;
mod gate;
mod key;
mod listen;
mod pipe;
mod relay;
mod reporter;
mod route;
mod tally;
mod upstream;
mod witness;
mod workers;

pub use accept::Listener;
pub use client::{Client, Hashed, Recognition};
pub use gate::Gate;
pub use key::ServerKey;
pub use listen::{BindError, Bound};
pub use reporter::{Attempt, Observed};
pub use route::{Route, RouteSettings};
pub use tally::{RefusalReason, Tally};
pub use upstream::{Endpoint, Traffic, Upstream};
pub use workers::Workers;
