//! The admin address: where it is, and whoever answers there.

use std::net::SocketAddr;
use std::pin::Pin;

use tokio::task::AbortHandle;

use super::command::Handle;
use crate::tcp::{BindError, Bound};

/// Answers on the admin address. Control does not know how: it is handed one of these.
pub type Serve<H = Handle> = fn(Bound, H) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// The admin address, as long as this lives.
#[derive(Debug, Default)]
pub(crate) struct Administration(Option<(SocketAddr, AbortHandle)>);

impl Administration {
    /// What has to be bound so that `wanted` is where it is; `None` if it is there already.
    ///
    /// # Errors
    /// [`BindError`], if somebody else listens there.
    pub(crate) fn bind(&self, wanted: Option<SocketAddr>) -> Result<Option<Bound>, BindError> {
        match wanted {
            Some(address) if self.address() != wanted => Bound::bind(address, 1, &[]).map(Some),
            _ => Ok(None),
        }
    }

    /// Moves to what was [bound](Self::bind), or away if nothing is wanted any more.
    pub(crate) fn move_to<H: Clone>(
        &mut self,
        wanted: Option<SocketAddr>,
        bound: Option<Bound>,
        serve: Serve<H>,
        control: &H,
    ) {
        if let Some(bound) = bound {
            let address = bound.address();
            let server = tokio::spawn(serve(bound, control.clone())).abort_handle();
            *self = Self(Some((address, server)));
        } else if wanted.is_none() {
            *self = Self(None);
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        self.0.as_ref().map(|(address, _)| *address)
    }
}

impl Drop for Administration {
    fn drop(&mut self) {
        if let Some((_, server)) = &self.0 {
            server.abort();
        }
    }
}
