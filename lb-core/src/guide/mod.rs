//! How to put this crate into a program of yours: one chapter for each kind, every example compiled
//! and run. The servers that they talk to are in their source.
//!
//! | to balance | read |
//! |---|---|
//! | HTTP requests, in axum or hyper | [`http`] |
#![cfg_attr(
    feature = "cookie",
    doc = "| HTTP requests that stay where a cookie says | [`sticky`] |"
)]
//! | TCP connections, in a proxy of your own | [`tcp`] |
//! | gRPC calls or anything else whose servers are discovered, in a client | [`grpc`] |
//! | by a scheduler of your own | [`Scheduler`](crate::Scheduler) |
//! | without any async, or without tower | [the front page](crate) |
//!
//! # One service per backend, or one for all
//!
//! [`Balance`](crate::service::Balance) comes in two forms. *Over services*, each backend is a tower
//! service, with whatever layers it needs: a client that exists per upstream, such as a tonic
//! `Channel`. Or the backends are mere addresses and *one inner service* gets each request together
//! with its backend, as a [`Dispatch`](crate::service::Dispatch): a connector.
//!
//! | | over services | one inner service |
//! |---|---|---|
//! | asks another backend | when one fails to become ready, or is not [in time](crate::service::EachService::ready_within) | whenever the inner service gives the request back |
//! | a flow counts | until the response future is done | until the inner service drops the lease |
//!
//! # Where tower's layers go
//!
//! `Balance` is `Clone`, and `Send` and `Sync` if the backends are, so that no `Buffer` is needed:
//! what a backend is has to be `Sync` (`BoxCloneSyncService` and not `BoxCloneService`).
//!
//! | layer | above `Balance` | at each backend (over services) |
//! |---|---|---|
//! | concurrency limit | bounds all requests | further requests wait for this backend |
//! | load shed | refuses instead of waiting for layers beneath it | refuses for good: the request is not given to another backend |
//! | rate limit | bounds all requests; not `Clone` | needs a `Buffer`, being not `Clone` |
//! | retry | asks again, of another backend if the scheduler says so | asks the same backend again |
//! | timeout | ends the request wherever it is, waiting included | runs from the backend's becoming ready |
//!
//! Around *one inner service* fit those layers that leave its error alone, such as a concurrency
//! limit: what is known only as a `BoxError` cannot give the request back. A timeout for connecting
//! belongs into the connector.
//!
//! # What is left of back-pressure
//!
//! In tower, a service that is not ready holds up whoever asks: `tower::balance` waits until one of its
//! endpoints is ready before there is a request at all. `Balance` cannot: who is to have the request
//! depends on what is in it. So **a backend that is not ready does not hold up who calls `Balance`**; it
//! holds up the request that was assigned to it, inside the response future, which is one more flow at
//! that backend meanwhile (schedulers that look at load send the next ones elsewhere). What bounds it:
//!
//! - [`EachService::ready_within`](crate::service::EachService::ready_within): after that time the request
//!   goes to another backend. Without it, it stays for as long as its caller does;
//! - [limits](crate::backend::Limits) of the backends, with a [queue](crate::Director::with_queue) in front
//!   of all of them, bounded and with a timeout: whoever finds that full is told so at once;
//! - a concurrency limit above `Balance`, which holds up its callers as tower means it.
//!
//! `Balance` itself is always ready, and answers at once with
//! [`BalanceError::NoBackend`](crate::service::BalanceError::NoBackend) when there is nobody: a
//! retry with backoff above it waits for somebody to come.

pub mod grpc;
pub mod http;
#[cfg(feature = "cookie")]
pub mod sticky;
pub mod tcp;
