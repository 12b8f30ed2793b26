//! [`EachService`]: backends that are services themselves.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::BoxError;
use tower_service::Service;

use super::{Dispatch, Undelivered};
use crate::backend::Lease;

/// The inner service for pools whose endpoints are services: waits until the assigned one is ready
/// and calls it. One that fails to become ready never saw the request, so that another is asked.
///
/// The flow counts as active until the response future is done; hold a lease of your own for
/// responses that stream on after that.
#[derive(Clone, Copy, Debug, Default)]
pub struct EachService(());

impl EachService {
    /// The adapter. It has no state.
    pub const fn new() -> Self {
        Self(())
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
        EachFuture { step: Step::Prepare { service, request: Some(request) }, lease }
    }
}

pin_project! {
    /// The future of [`EachService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct EachFuture<S, Req>
    where
        S: Service<Req>,
    {
        // Dropped in this order: the place is given to the next when the request is not there any
        // more.
        #[pin]
        step: Step<S, S::Future, Req>,
        lease: Lease<S>,
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<S, Fut, Req> {
        Prepare { service: S, request: Option<Req> },
        Call { #[pin] response: Fut },
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
                StepProjection::Prepare { service, request } => {
                    let readiness = ready!(service.poll_ready(cx));
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
