//! How a type becomes a checker.

/// Makes a checker of a type that is ready at any time and has an `async fn run(self, Target) ->
/// Result<Report, Failure>`, which is one whole run.
macro_rules! checker {
    ($checker:ident) => {
        impl tower_service::Service<$crate::Target> for $checker {
            type Response = $crate::Report;
            type Error = $crate::Failure;
            type Future = std::pin::Pin<
                Box<dyn Future<Output = Result<$crate::Report, $crate::Failure>> + Send>,
            >;

            fn poll_ready(
                &mut self,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Result<(), $crate::Failure>> {
                std::task::Poll::Ready(Ok(()))
            }

            fn call(&mut self, target: $crate::Target) -> Self::Future {
                Box::pin(self.clone().run(target))
            }
        }
    };
}

pub(super) use checker;
