//! The future of one balanced request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower::BoxError;
use tower_service::Service;

use super::admission::{Admission, Refusal, Waiting};
use super::{BalanceError, Dispatch, Judge, Undelivered};
use crate::backend::{BackendId, Reporter};
use crate::director::Director;
use crate::env::Env;
use crate::flow::ClientKey;

pin_project! {
    /// The future of [`Balance`](super::Balance).
    #[must_use = "futures do nothing unless polled"]
    pub struct BalanceFuture<S, K, V, E, J, Req>
    where
        S: Service<Dispatch<E, Req>>,
        V: Env,
    {
        director: Arc<Director<K, E>>,
        client: K,
        env: V,
        inner: S,
        judge: J,
        retries: usize,
        // Empty, and so without an allocation, unless a backend refuses.
        tried: Vec<BackendId>,
        current: Option<Reporter>,
        // Why the last of them refused.
        refusal: Option<BoxError>,
        waiting: Option<Waiting>,
        #[pin]
        step: Step<S::Future, V::Sleep, Req>,
    }
}

pin_project! {
    /// ```text
    /// Prepare ──▶ Call ──▶ done
    ///    ▲          │ the request came back
    ///    └──────────┘
    /// ```
    #[project = StepProjection]
    enum Step<Fut, W, Req> {
        Prepare { request: Option<Req>, #[pin] admission: Admission<W> },
        Call { #[pin] response: Fut },
    }
}

impl<S, K, V, E, J, Req> BalanceFuture<S, K, V, E, J, Req>
where
    S: Service<Dispatch<E, Req>>,
    V: Env,
{
    pub(super) const fn new(
        director: Arc<Director<K, E>>,
        client: K,
        env: V,
        inner: S,
        judge: J,
        retries: usize,
        request: Req,
    ) -> Self {
        Self {
            director,
            client,
            env,
            inner,
            judge,
            retries,
            tried: Vec::new(),
            current: None,
            refusal: None,
            waiting: None,
            step: Step::prepare(request),
        }
    }
}

impl<Fut, W, Req> Step<Fut, W, Req> {
    const fn prepare(request: Req) -> Self {
        Self::Prepare { request: Some(request), admission: Admission::new() }
    }
}

impl<S, K, V, E, J, Req> Future for BalanceFuture<S, K, V, E, J, Req>
where
    S: Service<Dispatch<E, Req>, Error = Undelivered<Req>>,
    K: ClientKey,
    V: Env,
    J: Judge<S::Response>,
{
    type Output = Result<S::Response, BalanceError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.step.as_mut().project() {
                StepProjection::Prepare { request, admission } => {
                    // First, so that nobody is chosen, and counted as busy, before the request
                    // can be sent.
                    if let Err(failed) = ready!(this.inner.poll_ready(cx)) {
                        return Poll::Ready(Err(BalanceError::NotReady(failed.error)));
                    }
                    let admitted = admission.poll(
                        cx,
                        this.director,
                        this.env,
                        this.client,
                        this.tried,
                        this.waiting,
                    );
                    let lease = match ready!(admitted) {
                        Ok(lease) => lease,
                        Err(refusal) => {
                            let last = this.refusal.take();
                            return Poll::Ready(Err(unserved(this.tried, last, refusal)));
                        }
                    };
                    *this.current = Some(lease.reporter());
                    let request = request.take().expect("a future is not polled after it is done");
                    let response = this.inner.call(Dispatch { lease, request });
                    this.step.set(Step::Call { response });
                }
                StepProjection::Call { response } => {
                    let answer = ready!(response.poll(cx));
                    let outcome = match &answer {
                        Ok(response) => this.judge.judge(response),
                        Err(undelivered) => undelivered.outcome,
                    };
                    let current = this.current.take();
                    if let (Some(reporter), Some(outcome)) = (&current, outcome) {
                        let find = |backend| {
                            Some(Arc::clone(this.director.pool().backend(backend)?.load()))
                        };
                        reporter.report(|| this.env.now(), outcome, find);
                    }
                    let Undelivered { request, error, .. } = match answer {
                        Ok(response) => return Poll::Ready(Ok(response)),
                        Err(undelivered) => undelivered,
                    };
                    let Some(request) = request else {
                        return Poll::Ready(Err(BalanceError::Backend(error)));
                    };
                    this.tried.extend(current.as_ref().map(Reporter::backend));
                    if this.tried.len() > *this.retries {
                        let attempts = this.tried.len();
                        return Poll::Ready(Err(BalanceError::Exhausted { attempts, last: error }));
                    }
                    *this.refusal = Some(error);
                    this.step.set(Step::prepare(request));
                }
            }
        }
    }
}

/// Nobody is left: after a refusal that is the thing to tell, else why there was nobody at all.
fn unserved(tried: &[BackendId], last: Option<BoxError>, refusal: Refusal) -> BalanceError {
    match (last, refusal) {
        (Some(last), _) => BalanceError::Exhausted { attempts: tried.len(), last },
        (None, Refusal::NoBackend(reason)) => BalanceError::NoBackend(reason),
        (None, Refusal::QueueFull { waiting }) => BalanceError::QueueFull { waiting },
        (None, Refusal::TimedOut { after }) => BalanceError::QueueTimeout { after },
    }
}
