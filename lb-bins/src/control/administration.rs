//! The admin address or socket: where it is, and whoever answers there.

use std::pin::Pin;

use tokio::task::AbortHandle;

use super::request::Handle;
use crate::admin::{DoorError, Listener, SocketFile};
use crate::config::Door;

/// Answers on the admin address. Control does not know how: it is handed one of these.
pub type Serve<H = Handle> = fn(Listener, H) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// The admin address, as long as this lives.
#[derive(Debug, Default)]
pub(crate) struct Administration(Option<Answered>);

#[derive(Debug)]
struct Answered {
    door: Door,
    server: AbortHandle,
    _file: Option<SocketFile>,
}

/// A place where nobody answers yet.
#[derive(Debug)]
pub(crate) struct Opened {
    door: Door,
    listener: Listener,
    file: Option<SocketFile>,
}

impl Administration {
    /// What has to be opened so that `wanted` is where it is; `None` if it is there already.
    ///
    /// # Errors
    /// [`DoorError`], if somebody else listens there.
    pub(crate) fn open(&self, wanted: Option<&Door>) -> Result<Option<Opened>, DoorError> {
        let Some(door) = wanted.filter(|_| self.door() != wanted) else { return Ok(None) };
        let (listener, file) = Listener::open(door)?;
        Ok(Some(Opened { door: door.clone(), listener, file }))
    }

    /// Moves to what was [opened](Self::open), or away if nothing is wanted any more.
    pub(crate) fn move_to<H: Clone>(
        &mut self,
        wanted: Option<&Door>,
        opened: Option<Opened>,
        serve: Serve<H>,
        control: &H,
    ) {
        if let Some(Opened { door, listener, file }) = opened {
            let server = tokio::spawn(serve(listener, control.clone())).abort_handle();
            *self = Self(Some(Answered { door, server, _file: file }));
        } else if wanted.is_none() {
            *self = Self(None);
        }
    }

    fn door(&self) -> Option<&Door> {
        self.0.as_ref().map(|answered| &answered.door)
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.server.abort();
    }
}
