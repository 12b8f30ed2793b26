//! [`EachService`]: backends that are services themselves.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower::BoxError;
use tower_service::Service;

use super::clock::{Alarm, Clock};
use super::{Dispatch, Undelivered, Unready};
use crate::backend::Lease;
use crate::env::Env;

/// The inner service for pools whose endpoints are services: waits until the assigned one is ready
/// and calls it. One that fails to become ready never saw the request, so that another is asked; and
/// so is one that takes [too long](Self::ready_within), if anything is said to be.
///
/// The flow counts as active until the response future is done; hold a lease of your own for
/// responses that stream on after that.
#[derive(Clone, Debug, Default)]
pub struct EachService {
    patience: Option<Patience>,
}

/// For how long anybody waits, and by which clock.
#[derive(Clone, Debug)]
struct Patience {
    time: Duration,
    clock: Clock,
}

impl EachService {
    /// The adapter, which waits for as long as it takes.
    pub const fn new() -> Self {
        Self { patience: None }
    }

    /// The same, where a service that is not ready after `time` has failed to become it: the request
    /// goes to another one, for as many [retries](super::Balance::retries) as there are, and the
    /// failure [counts](crate::backend::Outcome). Without it a request stays with a service that never
    /// becomes ready until its caller gives it up.
    ///
    /// Time and alarms are those of `env`. One that cannot wake anybody, such as
    /// [`SystemEnv`](crate::env::SystemEnv), notices only when the service has something to say. For a
    /// service that is ready at once nothing is allocated and no clock is read.
    ///
    /// ```
    /// # #[cfg(feature = "tokio")] {
    /// use std::{sync::Arc, time::Duration};
    /// use lb_core::env::TokioEnv;
    /// use lb_core::service::{Balance, EachService};
    /// # use lb_core::{Algorithm, Director, Pool};
    ///
    /// # type Upstream = tower::util::BoxCloneSyncService<String, String, tower::BoxError>;
    /// # let pool = Pool::<Upstream>::empty(&*Algorithm::Wlc.scheduler());
    /// # let director = Arc::new(Director::<(), _>::new(pool));
    /// let each = EachService::new().ready_within(Duration::from_millis(250), TokioEnv);
    /// let balance = Balance::with_env(director, |_: &String| (), TokioEnv, each);
    /// # let _ = balance; }
    /// ```
    #[must_use]
    pub fn ready_within<V>(self, time: Duration, env: V) -> Self
    where
        V: Env + Send + Sync + 'static,
        V::Sleep: Send + 'static,
    {
        Self { patience: Some(Patience { time, clock: Clock::of(env) }) }
    }
}

impl<S, Req> Service<Dispatch<S, Req>> for EachService
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = Undelivered<Req>;
    type Future = EachFuture<S, Req>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, Dispatch { lease, request }: Dispatch<S, Req>) -> Self::Future {
        let service = lease.endpoint().clone();
        let wait = self.patience.clone().map(|patience| Wait { patience, alarm: None });
        EachFuture { step: Step::Prepare { service, request: Some(request), wait }, lease }
    }
}

pin_project! {
    /// The future of [`EachService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct EachFuture<S, Req>
    where
        S: Service<Req>,
    {
        // Dropped in this order: the room is given to the next when the request is not there any
        // more.
        #[pin]
        step: Step<S, S::Future, Req>,
        lease: Lease<S>,
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<S, Fut, Req> {
        Prepare { service: S, request: Option<Req>, wait: Option<Wait> },
        Call { #[pin] response: Fut },
    }
}

/// Begun when the service is first found not to be ready.
struct Wait {
    patience: Patience,
    alarm: Option<Alarm>,
}

impl Wait {
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Unready> {
        let Patience { time, clock } = &self.patience;
        if self.alarm.is_none() {
            // Further away than the clock goes is for ever.
            self.alarm = clock.now().checked_add(*time).map(|end| clock.alarm(end));
        }
        ready!(self.alarm.as_mut().map_or(Poll::Pending, |alarm| alarm.poll(cx)));
        Poll::Ready(Unready { after: *time })
    }
}

impl<S, Req> Future for EachFuture<S, Req>
where
    S: Service<Req>,
    S::Error: Into<BoxError>,
{
    type Output = Result<S::Response, Undelivered<Req>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.step.as_mut().project() {
                StepProjection::Prepare { service, request, wait } => {
                    let readiness = match service.poll_ready(cx) {
                        Poll::Ready(readiness) => readiness.map_err(Into::into),
                        Poll::Pending => match wait {
                            Some(wait) => Err(ready!(wait.poll_end(cx)).into()),
                            None => return Poll::Pending,
                        },
                    };
                    let request = request.take().expect("a future is not polled after it is done");
                    if let Err(error) = readiness {
                        return Poll::Ready(Err(Undelivered::returned(request, error)));
                    }
                    let response = service.call(request);
                    this.step.set(Step::Call { response });
                }
                StepProjection::Call { response } => {
                    return response.poll(cx).map_err(Undelivered::consumed);
                }
            }
        }
    }
}
