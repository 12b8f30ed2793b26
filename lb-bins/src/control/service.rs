//! One virtual server that runs: its machine, and what the machine's actions do.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use lb_core::backend::{BackendId, Limits};
use lb_core::virtual_server::{Action, BackendState, Event};
use lb_core::{Backend, Director, VirtualServer};
use tracing::{info, warn};

use super::passive::Ejector;
use crate::config::{self, Address};
use crate::notify::{Notifier, Scripts};
use crate::said::Said;
use crate::tcp::{Client, Endpoint, Gate, Listener, ServerKey, Tally};

/// Clients wait this long for the first verdicts; then they are served by what there is.
const LONGEST_GATE: Duration = Duration::from_secs(2);

/// So many changes of a backend's weight and limits are logged in a minute: an agent may say something else
/// each time that it is asked.
const MOST_CHANGES: u32 = 20;

/// One virtual server that runs.
pub(super) struct Service {
    pub(super) key: ServerKey,
    pub(super) config: config::VirtualServer,
    /// What is in the files that its checks need.
    pub(super) stamp: u64,
    pub(super) machine: VirtualServer<Endpoint>,
    pub(super) director: Arc<Director<Client, Endpoint>>,
    /// Those that were replaced, as long as somebody may wait in their queues.
    former_directors: Vec<Weak<Director<Client, Endpoint>>>,
    pub(super) tally: Arc<Tally>,
    pub(super) listener: Arc<Listener>,
    pub(super) scripts: Scripts,
    pub(super) gate: Arc<Gate>,
    /// When clients are let in even if some backend has no verdict yet.
    gate_opens: Option<Instant>,
    /// A loss of quorum, or a panic, while they wait.
    pub(super) untold: Vec<Event>,
    /// What led to the changes that are not settled yet.
    pub(super) reasons: HashMap<BackendId, String>,
    /// Changes of weight and limits that were logged.
    said: Said,
    /// Since when each backend is in its state, and what led to it.
    decided: HashMap<BackendId, (Instant, String)>,
    /// How many of them there may be before those that are gone are looked for.
    enough_decided: usize,
    pub(super) panics: bool,
    /// Those that start slowly, as far as it was told.
    slow: BTreeSet<BackendId>,
    /// There if backends are ejected for what clients see of them.
    pub(super) ejector: Option<Ejector>,
}

impl Service {
    /// A service whose clients wait for the first verdicts. Must be called within a runtime.
    pub(super) fn new(
        key: ServerKey,
        config: config::VirtualServer,
        machine: VirtualServer<Endpoint>,
        director: Arc<Director<Client, Endpoint>>,
        tally: Arc<Tally>,
        gate: Arc<Gate>,
        listener: Arc<Listener>,
    ) -> Self {
        Self {
            key,
            config,
            stamp: 0,
            machine,
            director,
            former_directors: Vec::new(),
            tally,
            listener,
            scripts: Scripts::start(),
            gate,
            gate_opens: Some(Instant::now() + LONGEST_GATE),
            untold: Vec::new(),
            reasons: HashMap::new(),
            said: Said::at_most(MOST_CHANGES),
            decided: HashMap::new(),
            enough_decided: 0,
            panics: false,
            slow: BTreeSet::new(),
            ejector: None,
        }
    }

    /// Assigns by another director from now on. Whoever waits keeps the place in the queue, which both
    /// share, and is assigned by this one.
    pub(super) fn assign_by(&mut self, director: Arc<Director<Client, Endpoint>>) {
        let former = std::mem::replace(&mut self.director, director);
        self.former_directors.push(Arc::downgrade(&former));
    }

    /// Sees to what depends on time alone.
    pub(super) fn tick(&mut self, now: Instant) {
        for (backend, lost) in self.said.expire(now) {
            self.tell_of_lost(&backend, lost);
        }
        self.director.expire(now);
        // Who waited before there was another director knows of new pools only by its own.
        self.former_directors.retain(|former| match former.upgrade() {
            Some(former) => {
                former.publish(Arc::clone(self.machine.published()));
                true
            }
            None => false,
        });
    }

    /// Whether the checks are not believed.
    pub(super) const fn panics(&self) -> bool {
        self.panics
    }

    /// Gets its connections from `listener` from now on.
    pub(super) fn move_to(&mut self, listener: Arc<Listener>) {
        self.listener = listener;
        if self.gate_opens.is_none() {
            self.listener.accept();
        }
    }

    /// The endpoints of the backends and of the sorry server, by address.
    pub(super) fn endpoints(&self) -> HashMap<Address, Endpoint> {
        let backends = self.machine.backends().map(|status| status.backend);
        let all = backends.chain(self.machine.sorry()).map(|backend| backend.endpoint());
        all.map(|endpoint| (endpoint.address().clone(), Arc::clone(endpoint))).collect()
    }

    /// The backends.
    pub(super) fn backends(&self) -> HashMap<BackendId, Arc<Backend<Endpoint>>> {
        self.machine.backends().map(|status| (status.id, Arc::clone(status.backend))).collect()
    }

    /// Who may be checked: the backends and the sorry server.
    pub(super) fn checked(&self) -> Vec<BackendId> {
        let backends = self.machine.backends().map(|status| status.id);
        backends.chain(self.machine.sorry().map(|sorry| sorry.id())).collect()
    }

    /// How somebody is called who is checked.
    pub(super) fn name_of(&self, backend: BackendId) -> &str {
        let sorry = self.machine.sorry().filter(|sorry| sorry.id() == backend);
        let backend = self.machine.backend(backend).map(|status| status.name);
        backend.or(sorry.map(|sorry| sorry.name())).unwrap_or_default()
    }

    /// The identities of the backends, by address.
    pub(super) fn identities(&self) -> HashMap<Address, BackendId> {
        let all = self.machine.backends();
        all.map(|status| (status.backend.endpoint().address().clone(), status.id)).collect()
    }

    /// The state and the effective weight of a backend.
    pub(super) fn state(&self, backend: BackendId) -> Option<(BackendState, u16)> {
        let status = self.machine.backend(backend)?;
        Some((status.state, status.weight.value()))
    }

    /// Since when a backend is in its state, and what led to it, if anything did.
    pub(super) fn decided(&self, backend: BackendId) -> Option<&(Instant, String)> {
        self.decided.get(&backend)
    }

    /// What a backend is held to.
    fn limits(&self, backend: BackendId) -> Option<Limits> {
        Some(self.machine.backend(backend)?.backend.load().limits())
    }

    /// Changes the machine, and logs what became of `backend` and why; of what may change with each
    /// check, not all. What follows from it is carried out by [`settle`](Self::settle).
    pub(super) fn change(
        &mut self,
        backend: BackendId,
        why: &str,
        change: impl FnOnce(&mut VirtualServer<Endpoint>),
    ) {
        self.apply(backend, why, true, change);
    }

    /// The same as an administrator has ordered it: all of it is logged.
    pub(super) fn order(
        &mut self,
        backend: BackendId,
        change: impl FnOnce(&mut VirtualServer<Endpoint>),
    ) {
        self.apply(backend, "the administrator says so", false, change);
    }

    fn apply(
        &mut self,
        backend: BackendId,
        why: &str,
        is_bounded: bool,
        change: impl FnOnce(&mut VirtualServer<Endpoint>),
    ) {
        let (before, old_limits) = (self.state(backend), self.limits(backend));
        let sorry_was_down = self.machine.sorry_is_down();
        change(&mut self.machine);
        if self.machine.sorry_is_down() != sorry_was_down {
            let (virtual_server, sorry_server) = (&*self.config.name, self.name_of(backend));
            match sorry_was_down {
                true => info!(virtual_server, sorry_server, "can take clients again: {why}"),
                false => warn!(virtual_server, sorry_server, "cannot take any clients: {why}"),
            }
        }
        let limits = self.limits(backend);
        let is_down = matches!(self.state(backend), Some((BackendState::Down, _)));
        if limits != old_limits && !is_down && (!is_bounded || self.is_logged(backend)) {
            let (virtual_server, name) = (&*self.config.name, self.name_of(backend));
            match limits.and_then(|limits| limits.maximum()) {
                Some(most) => {
                    info!(virtual_server, backend = name, "at most {most} connections: {why}");
                }
                None => info!(virtual_server, backend = name, "any number of connections: {why}"),
            }
        }
        self.reasons.insert(backend, why.to_owned());
        if let (Some((before, old_weight)), Some((after, weight))) = (before, self.state(backend)) {
            let is_weight = |state| matches!(state, BackendState::Up | BackendState::Drain);
            let is_by_weight = before == after || (is_weight(before) && is_weight(after));
            let is_news = before != after || old_weight != weight;
            let id = backend;
            if before != after {
                if self.decided.len() >= self.enough_decided {
                    let machine = &self.machine;
                    self.decided.retain(|known, _| machine.backend(*known).is_some());
                    self.enough_decided = 16.max(2 * self.decided.len());
                }
                self.decided.insert(id, (Instant::now(), why.to_owned()));
            }
            if !is_news || (is_bounded && is_by_weight && !self.is_logged(id)) {
                return;
            }
            let backend = self.machine.backend(id).map_or("", |status| status.name);
            let virtual_server = &*self.config.name;
            if before == after {
                info!(virtual_server, backend, "weight {old_weight} → {weight}: {why}");
            } else if matches!(after, BackendState::Down | BackendState::Ejected) {
                warn!(virtual_server, backend, "{before} → {after}: {why}");
            } else {
                info!(virtual_server, backend, weight, "{before} → {after}: {why}");
            }
        }
    }

    /// Whether one more change of the weight or the limits of `backend` is logged.
    fn is_logged(&mut self, backend: BackendId) -> bool {
        let name = self.name_of(backend).to_owned();
        let (is_logged, lost) = self.said.hear(&name, Instant::now());
        if lost > 0 {
            self.tell_of_lost(&name, lost);
        }
        is_logged
    }

    fn tell_of_lost(&self, backend: &str, lost: u64) {
        let virtual_server = &*self.config.name;
        info!(
            virtual_server,
            backend, lost, "its weight and limits change too often: changes are in no log"
        );
    }

    /// Carries out what the machine asks for, and lets clients in once it is known who lives.
    pub(super) fn settle(&mut self, notifier: &mut Notifier) {
        let mut published = false;
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Publish(pool) => {
                    let former = self.former_directors.iter().filter_map(Weak::upgrade);
                    former.for_each(|director| director.publish(Arc::clone(&pool)));
                    self.director.publish(pool);
                    published = true;
                }
                Action::Notify(event) => self.hear(event, notifier),
            }
        }
        self.reasons.clear();
        if published {
            self.tell_of_slow_starts();
        }
        let warm = |state| state != BackendState::Warming;
        if self.gate_opens.is_some() && self.machine.backends().all(|status| warm(status.state)) {
            self.open_gate(notifier);
        }
    }

    /// When clients are let in at the latest.
    pub(super) const fn gate_opens(&self) -> Option<Instant> {
        self.gate_opens
    }

    /// Lets clients wait for the first verdicts again.
    pub(super) fn close_gate(&mut self) {
        self.gate.close();
        self.gate_opens = Some(Instant::now() + LONGEST_GATE);
    }

    /// Lets clients in.
    pub(super) fn open_gate(&mut self, notifier: &mut Notifier) {
        self.gate_opens = None;
        for event in std::mem::take(&mut self.untold) {
            self.tell(&event, notifier);
        }
        self.gate.open();
        self.listener.accept();
        info!(virtual_server = self.config.name, listen = %self.listener.address(), "accepting");
    }

    /// Logs who begins to start slowly, and who is done with it.
    fn tell_of_slow_starts(&mut self) {
        let Some(time) = self.config.slow_start else {
            return self.slow.clear();
        };
        let virtual_server = &*self.config.name;
        for status in self.machine.backends() {
            let (backend, starts) = (status.name, status.slow_start.is_some());
            if starts && self.slow.insert(status.id) {
                info!(virtual_server, backend, "starts slowly: it has its whole share in {time:?}");
            } else if !starts && self.slow.remove(&status.id) && status.state == BackendState::Up {
                info!(virtual_server, backend, "has its whole share");
            }
        }
        self.slow.retain(|&backend| self.machine.backend(backend).is_some());
    }

    /// Resolves when the scripts that were asked for have ended.
    pub(super) async fn finish(self) {
        self.scripts.finish().await;
    }
}
