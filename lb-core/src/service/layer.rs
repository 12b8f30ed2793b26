//! The layer that puts [`Balance`] over a service.

use std::fmt;
use std::sync::Arc;

use tower::Layer;

use super::{Answered, Balance};
use crate::director::Director;
use crate::env::Env;

/// Balances the requests to an inner service; see [`Balance`].
pub struct BalanceLayer<K, F, V, E, J = Answered> {
    director: Arc<Director<K, E>>,
    key: F,
    env: V,
    judge: J,
    retries: usize,
}

#[cfg(feature = "system")]
impl<K, F, E> BalanceLayer<K, F, crate::env::SystemEnv, E> {
    /// Balances by what `key` says of a request's client, with two retries.
    pub const fn new(director: Arc<Director<K, E>>, key: F) -> Self {
        Self::with_env(director, key, crate::env::SystemEnv)
    }
}

impl<K, F, V: Env, E> BalanceLayer<K, F, V, E> {
    /// The same with another source of time and chance.
    pub const fn with_env(director: Arc<Director<K, E>>, key: F, env: V) -> Self {
        Self { director, key, env, judge: Answered, retries: super::DEFAULT_RETRIES }
    }
}

impl<K, F, V: Env, E, J> BalanceLayer<K, F, V, E, J> {
    /// The same, where `judge` says which answers are failures; see [`Judge`](super::Judge).
    pub fn judging<H>(self, judge: H) -> BalanceLayer<K, F, V, E, H> {
        let Self { director, key, env, retries, .. } = self;
        BalanceLayer { director, key, env, judge, retries }
    }

    /// How many more backends are asked when one never saw the request. Default 2.
    #[must_use]
    pub fn retries(self, retries: usize) -> Self {
        Self { retries, ..self }
    }
}

impl<K, F: Clone, V: Env, E, J: Clone> Clone for BalanceLayer<K, F, V, E, J> {
    fn clone(&self) -> Self {
        Self {
            director: Arc::clone(&self.director),
            key: self.key.clone(),
            env: self.env.clone(),
            judge: self.judge.clone(),
            retries: self.retries,
        }
    }
}

impl<S, K, F: Clone, V: Env, E, J: Clone> Layer<S> for BalanceLayer<K, F, V, E, J> {
    type Service = Balance<S, K, F, V, E, J>;

    fn layer(&self, inner: S) -> Self::Service {
        Balance::with_env(Arc::clone(&self.director), self.key.clone(), self.env.clone(), inner)
            .judging(self.judge.clone())
            .retries(self.retries)
    }
}

impl<K, F, V, E, J> fmt::Debug for BalanceLayer<K, F, V, E, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BalanceLayer")
            .field("director", &self.director)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}
