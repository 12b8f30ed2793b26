//! One run of a checker, from the wait for its turn to its result.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::{Checker, Failure, Report, Target};

/// A checker, whatever its type.
pub(super) trait Start: Send + Sync {
    /// Begins a run; nothing happens before it is polled.
    fn start(&self, target: Target) -> Pin<Box<dyn Going>>;
}

/// A run that is going.
pub(super) trait Going: Send {
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Report, Failure>>;

    /// Whether the checker was ready and has been called. What it waits for before that is not the
    /// target's fault, and costs the run no time.
    fn is_called(&self) -> bool;
}

impl<C> Start for C
where
    C: Checker + Send + Sync + 'static,
    C::Future: Send + 'static,
{
    fn start(&self, target: Target) -> Pin<Box<dyn Going>> {
        Box::pin(Stage::Waiting { checker: self.clone(), target })
    }
}

pin_project! {
    #[project = StageOf]
    enum Stage<C, F> {
        Waiting { checker: C, target: Target },
        Called { #[pin] future: F },
    }
}

impl<C> Going for Stage<C, C::Future>
where
    C: Checker + Send,
    C::Future: Send,
{
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Report, Failure>> {
        loop {
            let future = match self.as_mut().project() {
                StageOf::Called { future } => return future.poll(context).map_err(Into::into),
                StageOf::Waiting { checker, target } => {
                    ready!(checker.poll_ready(context)).map_err(Into::into)?;
                    checker.call(*target)
                }
            };
            self.set(Self::Called { future });
        }
    }

    fn is_called(&self) -> bool {
        matches!(self, Self::Called { .. })
    }
}
