//! The future of one balanced request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::BoxError;
use tower_service::Service;

use super::{BalanceError, Dispatch, Undelivered};
use crate::backend::BackendId;
use crate::director::Director;
use crate::env::Env;
use crate::flow::ClientKey;
use crate::pool::NoBackend;

pin_project! {
    /// The future of [`Balance`](super::Balance).
    #[must_use = "futures do nothing unless polled"]
    pub struct BalanceFuture<S, K, V, E, Req>
    where
        S: Service<Dispatch<E, Req>>,
    {
        director: Arc<Director<K, E>>,
        client: K,
        env: V,
        inner: S,
        retries: usize,
        // Empty, and so without an allocation, unless a backend refuses.
        tried: Vec<BackendId>,
        current: Option<BackendId>,
        // Why the last of them refused.
        refusal: Option<BoxError>,
        #[pin]
        step: Step<S::Future, Req>,
    }
}

pin_project! {
    /// ```text
    /// Prepare ──▶ Call ──▶ done
    ///    ▲          │ the request came back
    ///    └──────────┘
    /// ```
    #[project = StepProjection]
    enum Step<Fut, Req> {
        Prepare { request: Option<Req> },
        Call { #[pin] response: Fut },
    }
}

impl<S, K, V, E, Req> BalanceFuture<S, K, V, E, Req>
where
    S: Service<Dispatch<E, Req>>,
{
    pub(super) const fn new(
        director: Arc<Director<K, E>>,
        client: K,
        env: V,
        inner: S,
        retries: usize,
        request: Req,
    ) -> Self {
        Self {
            director,
            client,
            env,
            inner,
            retries,
            tried: Vec::new(),
            current: None,
            refusal: None,
            step: Step::Prepare { request: Some(request) },
        }
    }
}

impl<S, K, V, E, Req> Future for BalanceFuture<S, K, V, E, Req>
where
    S: Service<Dispatch<E, Req>, Error = Undelivered<Req>>,
    K: ClientKey,
    V: Env,
{
    type Output = Result<S::Response, BalanceError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.step.as_mut().project() {
                StepProjection::Prepare { request } => {
                    // First, so that nobody is chosen, and counted as busy, before the request
                    // can be sent.
                    if let Err(failed) = ready!(this.inner.poll_ready(cx)) {
                        return Poll::Ready(Err(BalanceError::NotReady(failed.error)));
                    }
                    let assigned = this.env.with_rng(|rng| {
                        this.director.assign_at(|| this.env.now(), this.client, this.tried, rng)
                    });
                    let lease = match assigned {
                        Ok(lease) => lease,
                        Err(reason) => {
                            return Poll::Ready(Err(exhausted(
                                this.tried,
                                this.refusal.take(),
                                reason,
                            )));
                        }
                    };
                    *this.current = Some(lease.id());
                    let request = request.take().expect("a future is not polled after it is done");
                    let response = this.inner.call(Dispatch { lease, request });
                    this.step.set(Step::Call { response });
                }
                StepProjection::Call { response } => {
                    let Undelivered { request, error } = match ready!(response.poll(cx)) {
                        Ok(response) => return Poll::Ready(Ok(response)),
                        Err(undelivered) => undelivered,
                    };
                    let Some(request) = request else {
                        return Poll::Ready(Err(BalanceError::Backend(error)));
                    };
                    this.tried.extend(this.current.take());
                    if this.tried.len() > *this.retries {
                        let attempts = this.tried.len();
                        return Poll::Ready(Err(BalanceError::Exhausted { attempts, last: error }));
                    }
                    *this.refusal = Some(error);
                    this.step.set(Step::Prepare { request: Some(request) });
                }
            }
        }
    }
}

/// Nobody is left: after a refusal that is the thing to tell, else why there was nobody at all.
fn exhausted(tried: &[BackendId], last: Option<BoxError>, reason: NoBackend) -> BalanceError {
    match last {
        Some(last) => BalanceError::Exhausted { attempts: tried.len(), last },
        None => BalanceError::NoBackend(reason),
    }
}
