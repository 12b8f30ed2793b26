//! [`Balance`]: assign, call, and ask another backend if the first never saw the request.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use super::future::BalanceFuture;
use super::{Answered, BalanceError, DEFAULT_RETRIES, Dispatch, Judge, Undelivered};
use crate::director::Director;
use crate::env::Env;
use crate::flow::ClientKey;

/// Sends each request to the backend that a [`Director`] assigns.
///
/// The choice is made in `call`, when the request is known, so that it can depend on the client.
/// `Balance` itself is always ready: limits, timeouts, load shedding and retry budgets are tower's
/// own layers around it. The inner service gets a [`Dispatch`]; while it gives requests back
/// undelivered ([`Undelivered::returned`]) and retries remain, another backend is assigned: that is
/// *redispatch*, and it is the same for a connection (the inner service connects) and for an HTTP
/// request (the inner service is a client).
///
/// If every backend is full and the director has a [queue](Director::with_queue), the flow waits in
/// it, for as long as the queue says and the [`Env`] can wake it: **`SystemEnv` cannot**, so that the
/// queue's timeout takes a `TokioEnv`, or tower's own timeout around this. The inner service is made
/// ready before: if it is limited itself, it is held while the flow waits.
///
/// How each flow fared is [reported](crate::backend::Outcome): an answer is a success unless a
/// [judge](Self::judging) says otherwise, an error a failure unless it is
/// [blameless](Undelivered::blameless).
///
/// Dropping the future at any point leaves the backends' counters exact, and tells nothing of them.
/// `Balance` is `Clone` if the inner service is, and `Send` and `Sync` if that and the endpoints are,
/// so that tasks share it without a `Buffer`.
///
/// ```
/// use std::{net::{IpAddr, SocketAddr}, sync::Arc};
/// use lb_core::service::{Balance, Dispatch, Undelivered};
/// use lb_core::{Algorithm, Director, Pool};
/// use tower::{Service, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let backends = ["10.0.0.1:80", "10.0.0.2:80"].map(|name| (name, name.parse().unwrap()));
/// let director = Arc::new(Director::new(Pool::named(backends, &*Algorithm::Rr.scheduler())));
///
/// // A connector that finds the first backend dead.
/// let connect = service_fn(|Dispatch { lease, request }: Dispatch<SocketAddr, IpAddr>| async move {
///     match lease.name() {
///         "10.0.0.1:80" => Err(Undelivered::returned(request, "connection refused")),
///         alive => Ok(format!("{request} is served by {alive}")),
///     }
/// });
/// let mut balance = Balance::new(director, |client: &IpAddr| *client, connect);
/// let client: IpAddr = "192.0.2.7".parse()?;
/// let answer = balance.ready().await?.call(client).await?;
/// assert_eq!(answer, "192.0.2.7 is served by 10.0.0.2:80");
/// # Ok(()) }
/// ```
pub struct Balance<S, K, F, V, E, J = Answered> {
    director: Arc<Director<K, E>>,
    key: F,
    env: V,
    inner: S,
    judge: J,
    retries: usize,
}

#[cfg(feature = "system")]
impl<S, K, F, E> Balance<S, K, F, crate::env::SystemEnv, E> {
    /// One inner service for all backends (a connector, a client), balanced by what `key` says of a
    /// request's client, with two retries.
    pub const fn new(director: Arc<Director<K, E>>, key: F, inner: S) -> Self {
        Self::with_env(director, key, crate::env::SystemEnv, inner)
    }
}

#[cfg(feature = "system")]
impl<K, F, E> Balance<super::EachService, K, F, crate::env::SystemEnv, E> {
    /// One service per backend: the endpoint of each is a service of its own.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use lb_core::service::Balance;
    /// use lb_core::{Algorithm, Director, Pool};
    /// use tower::{BoxError, Service, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let upstreams = ["a", "b", "c"].map(|name| {
    ///     let service = service_fn(move |path: &'static str| async move {
    ///         Ok::<_, BoxError>(format!("{path} from {name}"))
    ///     });
    ///     (name, service)
    /// });
    /// let scheduler = Algorithm::Rr.scheduler_at(0); // `scheduler()` begins anywhere
    /// let director = Arc::new(Director::new(Pool::named(upstreams, &*scheduler)));
    /// let mut balance = Balance::over_services(director, |_: &&str| ());
    /// assert_eq!(balance.ready().await?.call("/").await?, "/ from a");
    /// assert_eq!(balance.ready().await?.call("/").await?, "/ from b");
    /// # Ok(()) }
    /// ```
    pub const fn over_services(director: Arc<Director<K, E>>, key: F) -> Self {
        Self::new(director, key, super::EachService::new())
    }
}

impl<S, K, F, V: Env, E> Balance<S, K, F, V, E> {
    /// The same with another source of time and chance.
    pub const fn with_env(director: Arc<Director<K, E>>, key: F, env: V, inner: S) -> Self {
        Self { director, key, env, inner, judge: Answered, retries: DEFAULT_RETRIES }
    }
}

impl<S, K, F, V: Env, E, J> Balance<S, K, F, V, E, J> {
    /// The same, where `judge` says which answers are failures.
    pub fn judging<H>(self, judge: H) -> Balance<S, K, F, V, E, H> {
        let Self { director, key, env, inner, retries, .. } = self;
        Balance { director, key, env, inner, judge, retries }
    }

    /// How many more backends are asked when one never saw the request. Default 2.
    #[must_use]
    pub fn retries(self, retries: usize) -> Self {
        Self { retries, ..self }
    }

    /// The director that assigns.
    pub const fn director(&self) -> &Arc<Director<K, E>> {
        &self.director
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Clone, K, F: Clone, V: Env, E, J: Clone> Clone for Balance<S, K, F, V, E, J> {
    fn clone(&self) -> Self {
        Self {
            director: Arc::clone(&self.director),
            key: self.key.clone(),
            env: self.env.clone(),
            inner: self.inner.clone(),
            judge: self.judge.clone(),
            retries: self.retries,
        }
    }
}

impl<S, K, F, V, E, J, Req> Service<Req> for Balance<S, K, F, V, E, J>
where
    S: Service<Dispatch<E, Req>, Error = Undelivered<Req>> + Clone,
    K: ClientKey,
    F: Fn(&Req) -> K,
    V: Env,
    J: Judge<S::Response> + Clone,
{
    type Response = S::Response;
    type Error = BalanceError;
    type Future = BalanceFuture<S, K, V, E, J, Req>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        BalanceFuture::new(
            Arc::clone(&self.director),
            (self.key)(&request),
            self.env.clone(),
            self.inner.clone(),
            self.judge.clone(),
            self.retries,
            request,
        )
    }
}

impl<S, K, F, V, E, J> fmt::Debug for Balance<S, K, F, V, E, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Balance")
            .field("director", &self.director)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}
