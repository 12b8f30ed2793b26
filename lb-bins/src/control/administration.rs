//! The admin address or socket: where it is, and whoever answers there.

use std::pin::Pin;

use tokio::task::AbortHandle;

use super::request::Handle;
use crate::admin::{DoorError, Listener, SocketFile};
use crate::config::Door;
use crate::process::Unhurried;

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
        wanted.filter(|_| self.door() != wanted).map(Opened::at).transpose()
    }

    /// Moves to what was [opened](Self::open), or away if nothing is wanted any more.
    pub(crate) fn move_to<H: Clone>(
        &mut self,
        wanted: Option<&Door>,
        opened: Option<Opened>,
        serve: Serve<H>,
        control: &H,
    ) {
        if opened.is_none() && wanted.is_some() {
            return;
        }
        let answered = opened.map(|Opened { door, listener, file }| {
            let server = tokio::spawn(serve(listener, control.clone())).abort_handle();
            Answered { door, server, _file: file }
        });
        drop(std::mem::replace(&mut self.0, answered).map(Unhurried::new));
    }

    /// Where that is.
    pub(crate) fn door(&self) -> Option<&Door> {
        self.0.as_ref().map(|answered| &answered.door)
    }
}

impl Opened {
    /// Opens it: waits for the file system that a socket is on, which may hang.
    ///
    /// # Errors
    /// [`DoorError`], if somebody else listens there.
    pub(crate) fn at(door: &Door) -> Result<Self, DoorError> {
        let (listener, file) = Listener::open(door)?;
        Ok(Self { door: door.clone(), listener, file })
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.server.abort();
    }
}
