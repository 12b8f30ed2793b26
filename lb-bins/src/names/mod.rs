//! Names of hosts, and the addresses that they stand for: resolved in time, again and again.
//!
//! A [`Name`] stands for one address at a time, and keeps it as long as it is among the answers: of
//! several, the lowest is taken, so that many balancers take the same. Answers are asked for anew when
//! their time to live is over, at least each minute and at most each second. What cannot be resolved keeps
//! the address that it had; without one, whatever needs it fails with the cause `dns`, and it is tried
//! again.

mod checker;
mod resolver;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use lb_health::CheckError;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use self::checker::{ByName, Whose};
use self::resolver::Resolver;
use crate::backoff::Backoff;
use crate::checkers::AnyChecker;
use crate::config::Address;

/// However short an answer lives, it is asked for no more often than that.
const SHORTEST: Duration = Duration::from_secs(1);
/// However long it lives, it is asked for anew by then.
const LONGEST: Duration = Duration::from_secs(60);
/// Changes that nobody has looked at yet.
const CHANGES: usize = 256;

/// A name, and what it stands for now.
#[derive(Debug)]
pub struct Name {
    host: Arc<str>,
    /// `None` until the first answer, or until it is known that there is none.
    state: watch::Sender<Option<State>>,
    task: OnceLock<AbortHandle>,
}

/// What is known of a name.
#[derive(Clone, Debug)]
struct State {
    address: Result<IpAddr, Arc<str>>,
}

/// A name stands for another address than before.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) host: Arc<str>,
}

/// All names that are in use.
pub(crate) struct Names {
    resolver: Arc<ArcSwap<Resolver>>,
    known: HashMap<Arc<str>, Weak<Name>>,
    tell: mpsc::Sender<Change>,
    changes: mpsc::Receiver<Change>,
}

impl Names {
    /// Resolves by these servers; by those of the system, if there are none.
    pub(crate) fn new(servers: &[SocketAddr]) -> Self {
        let (tell, changes) = mpsc::channel(CHANGES);
        let resolver = Arc::new(ArcSwap::from_pointee(Resolver::of(servers)));
        Self { resolver, known: HashMap::new(), tell, changes }
    }

    /// Resolves by these servers from now on. What the system says of names is read anew.
    pub(crate) fn resolve_by(&self, servers: &[SocketAddr]) {
        self.resolver.store(Arc::new(Resolver::of(servers)));
    }

    /// The name of this address, if it has one: the same one for whoever asks. Within a runtime, it is
    /// resolved from now on, for as long as somebody has it.
    pub(crate) fn of(&mut self, address: &Address) -> Option<Arc<Name>> {
        let host = address.host()?;
        if let Some(name) = self.known.get(host).and_then(Weak::upgrade) {
            return Some(name);
        }
        self.known.retain(|_, name| name.strong_count() > 0);
        let (state, task) = (watch::Sender::new(None), OnceLock::new());
        let name = Arc::new(Name { host: Arc::clone(host), state, task });
        self.known.insert(Arc::clone(host), Arc::downgrade(&name));
        if let Ok(runtime) = Handle::try_current() {
            let (resolver, tell) = (Arc::clone(&self.resolver), self.tell.clone());
            let task = runtime.spawn(follow(Arc::downgrade(&name), resolver, tell));
            name.task.get_or_init(|| task.abort_handle());
        }
        Some(name)
    }

    /// The checker of what is at this address; whatever its name stands for then, if it has one.
    pub(crate) fn checker(
        &mut self,
        address: &Address,
        whose: impl Into<Whose>,
        checker: AnyChecker,
    ) -> AnyChecker {
        match self.of(address) {
            Some(name) => AnyChecker::new(ByName::new(name, whose.into(), checker)),
            None => checker,
        }
    }

    /// The next change of any of them. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Change> {
        self.changes.recv().await
    }
}

/// What a driver is told of a target: of one that has a name, the port. The checker knows the rest.
pub(crate) fn nominal(target: &Address) -> SocketAddr {
    let nowhere = || SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), target.port());
    target.numeric().unwrap_or_else(nowhere)
}

impl Name {
    /// The address now.
    ///
    /// # Errors
    /// [`CheckError::Dns`], if there never was one.
    pub fn current(&self) -> Result<IpAddr, CheckError> {
        match &*self.state.borrow() {
            Some(State { address: Ok(address) }) => Ok(*address),
            Some(State { address: Err(error) }) => {
                Err(CheckError::dns(Arc::clone(&self.host), error.to_string()))
            }
            None => Err(CheckError::dns(Arc::clone(&self.host), "no answer yet")),
        }
    }

    /// The same as soon as there was an answer, or it is known that there is none.
    pub(crate) async fn answered(&self) -> Result<IpAddr, CheckError> {
        // It never ends while this is here.
        let _ = self.state.subscribe().wait_for(Option::is_some).await;
        self.current()
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// Resolves a name for as long as anybody has it.
async fn follow(name: Weak<Name>, resolver: Arc<ArcSwap<Resolver>>, tell: mpsc::Sender<Change>) {
    let mut backoff = Backoff::new(SHORTEST, LONGEST / 2);
    let mut is_missing = false;
    loop {
        let Some(host) = name.upgrade().map(|name| Arc::clone(&name.host)) else { return };
        let answers = resolver.load_full().lookup(&host).await;
        let Some(name) = name.upgrade() else { return };
        let wait = match answers {
            Ok((answers, expires)) => {
                backoff.reset();
                is_missing = false;
                if name.heed(&answers) {
                    let _ = tell.send(Change { host }).await;
                }
                expires.saturating_duration_since(Instant::now()).clamp(SHORTEST, LONGEST)
            }
            Err(error) => {
                name.miss(&error, !std::mem::replace(&mut is_missing, true));
                backoff.pause()
            }
        };
        drop(name);
        sleep(wait).await;
    }
}

impl Name {
    /// Takes an answer; whether it stands for another address now.
    fn heed(&self, answers: &[IpAddr]) -> bool {
        let before = self.state.borrow().as_ref().map(|state| state.address.clone());
        if let Some(Ok(address)) = &before
            && answers.contains(address)
        {
            return false;
        }
        let Some(&address) = answers.iter().min() else { return false };
        self.state.send_replace(Some(State { address: Ok(address) }));
        let host = &*self.host;
        match before {
            Some(Ok(former)) => info!(host, "stands for {address} now, no more for {former}"),
            _ => info!(host, "stands for {address}"),
        }
        // The first answer is no change: whoever waits for it has waited.
        before.is_some()
    }

    /// Takes that there is no answer; the first time, that is said. What it stood for it stands for.
    fn miss(&self, error: &Arc<str>, is_first: bool) {
        let known = match &*self.state.borrow() {
            Some(State { address: Ok(address) }) => Some(*address),
            _ => None,
        };
        if known.is_none() {
            let address = Err(Arc::clone(error));
            self.state.send_replace(Some(State { address }));
        }
        if is_first {
            let host = &*self.host;
            match known {
                Some(address) => warn!(host, "cannot be resolved: {error}; {address} is kept"),
                None => warn!(host, "cannot be resolved: {error}; it is tried again"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Name {
        Name { host: "a".into(), state: watch::Sender::new(None), task: OnceLock::new() }
    }

    fn addresses(list: &[&str]) -> Vec<IpAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_is_kept_while_it_is_among_the_answers() {
        let name = name();
        assert_eq!(name.current().unwrap_err().cause(), "dns");
        assert!(!name.heed(&addresses(&["192.0.2.9", "192.0.2.3"])), "the first is no change");
        let is = |address: &str| assert_eq!(name.current().unwrap().to_string(), address);
        is("192.0.2.3");
        assert!(!name.heed(&addresses(&["192.0.2.1", "192.0.2.3"])));
        is("192.0.2.3");
        assert!(name.heed(&addresses(&["192.0.2.8", "192.0.2.4"])));
        is("192.0.2.4");
        name.miss(&"gone".into(), true);
        is("192.0.2.4");
        assert!(!name.heed(&[]));
        is("192.0.2.4");
    }

    #[test]
    fn a_name_that_never_had_an_address_says_why() {
        let name = name();
        name.miss(&"no such name".into(), true);
        let error = name.current().unwrap_err();
        assert_eq!(error.to_string(), "cannot resolve a: no such name");
        assert!(name.heed(&addresses(&["192.0.2.1"])), "that was waited for");
        assert_eq!(name.current().unwrap().to_string(), "192.0.2.1");
    }
}
