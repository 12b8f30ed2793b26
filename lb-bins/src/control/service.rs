//! One virtual server that runs: its machine, and what the machine's actions do.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_core::{Action, Backend, BackendId, BackendState, Director, Event, Strength, VirtualServer};
use tracing::{info, warn};

use super::checks::ServerKey;
use crate::config::{self, Command};
use crate::notify::{Job, Scripts};
use crate::tcp::{Endpoint, Gate, Listener, Tally};

/// Clients wait this long for the first verdicts; then they are served by what there is.
const LONGEST_GATE: Duration = Duration::from_secs(2);

/// One virtual server that runs.
pub(super) struct Service {
    pub(super) key: ServerKey,
    pub(super) config: config::VirtualServer,
    pub(super) machine: VirtualServer<Endpoint>,
    pub(super) director: Arc<Director<IpAddr, Endpoint>>,
    pub(super) tally: Arc<Tally>,
    pub(super) listener: Arc<Listener>,
    scripts: Scripts,
    pub(super) gate: Arc<Gate>,
    /// When clients are let in even if some backend has no verdict yet.
    gate_opens: Option<Instant>,
    /// A loss of quorum while they wait.
    untold: Option<Event>,
}

impl Service {
    /// A service whose clients wait for the first verdicts. Must be called within a runtime.
    pub(super) fn new(
        key: ServerKey,
        config: config::VirtualServer,
        machine: VirtualServer<Endpoint>,
        director: Arc<Director<IpAddr, Endpoint>>,
        tally: Arc<Tally>,
        gate: Arc<Gate>,
        listener: Arc<Listener>,
    ) -> Self {
        let (scripts, gate_opens) = (Scripts::start(), Some(Instant::now() + LONGEST_GATE));
        let untold = None;
        Self { key, config, machine, director, tally, listener, scripts, gate, gate_opens, untold }
    }

    /// Gets its connections from `listener` from now on.
    pub(super) fn move_to(&mut self, listener: Arc<Listener>) {
        self.listener = listener;
        if self.gate_opens.is_none() {
            self.listener.accept();
        }
    }

    /// The endpoints of the backends and of the sorry server, by address.
    pub(super) fn endpoints(&self) -> HashMap<SocketAddr, Endpoint> {
        let backends = self.machine.backends().map(|status| status.backend);
        let all = backends.chain(self.machine.sorry()).map(|backend| backend.endpoint());
        all.map(|endpoint| (endpoint.address(), Arc::clone(endpoint))).collect()
    }

    /// The backends.
    pub(super) fn backends(&self) -> HashMap<BackendId, Arc<Backend<Endpoint>>> {
        self.machine.backends().map(|status| (status.id, Arc::clone(status.backend))).collect()
    }

    /// The identities of the backends, by address.
    pub(super) fn identities(&self) -> HashMap<SocketAddr, BackendId> {
        let all = self.machine.backends();
        all.map(|status| (status.backend.endpoint().address(), status.id)).collect()
    }

    /// The state and the effective weight of a backend.
    pub(super) fn state(&self, backend: BackendId) -> Option<(BackendState, u16)> {
        let status = self.machine.backend(backend)?;
        Some((status.state, status.weight.value()))
    }

    /// Changes the machine, and logs what became of `backend` and why. What follows from it is
    /// carried out by [`settle`](Self::settle).
    pub(super) fn change(
        &mut self,
        backend: BackendId,
        why: &str,
        change: impl FnOnce(&mut VirtualServer<Endpoint>),
    ) {
        let before = self.state(backend);
        change(&mut self.machine);
        if let (Some((before, old_weight)), Some((after, weight))) = (before, self.state(backend)) {
            let backend = self.machine.backend(backend).map_or("", |status| status.name);
            let virtual_server = &*self.config.name;
            if before == after {
                if old_weight != weight {
                    info!(virtual_server, backend, "weight {old_weight} → {weight}: {why}");
                }
            } else if after == BackendState::Down {
                warn!(virtual_server, backend, "{before} → {after}: {why}");
            } else {
                info!(virtual_server, backend, weight, "{before} → {after}: {why}");
            }
        }
    }

    /// Carries out what the machine asks for, and lets clients in once it is known who lives.
    pub(super) fn settle(&mut self) {
        while let Some(action) = self.machine.poll_action() {
            match action {
                Action::Publish(pool) => self.director.publish(pool),
                Action::Notify(event) => self.hear(event),
            }
        }
        let warm = |state| state != BackendState::Warming;
        if self.gate_opens.is_some() && self.machine.backends().all(|status| warm(status.state)) {
            self.open_gate();
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
    pub(super) fn open_gate(&mut self) {
        self.gate_opens = None;
        if let Some(event) = self.untold.take() {
            self.tell(&event);
        }
        self.gate.open();
        self.listener.accept();
        info!(virtual_server = self.config.name, listen = %self.listener.address(), "accepting");
    }

    /// A quorum that is lost only until the first verdicts are in is not worth telling: clients
    /// wait for them as well.
    fn hear(&mut self, event: Event) {
        match event {
            Event::QuorumLost { .. } if self.gate_opens.is_some() => self.untold = Some(event),
            Event::QuorumGained { .. } if self.untold.take().is_some() => {}
            event => self.tell(&event),
        }
    }

    fn tell(&self, event: &Event) {
        let virtual_server = &*self.config.name;
        let (what, strength, script) = match event {
            Event::QuorumGained { strength } => ("up", strength, &self.config.on_quorum_up),
            Event::QuorumLost { strength } => ("down", strength, &self.config.on_quorum_down),
            // The verdict that made it was logged with its reason.
            _ => return,
        };
        let Strength { weight, alive, configured } = *strength;
        if what == "up" {
            info!(virtual_server, weight, "quorum gained: {alive} of {configured} backends live");
        } else {
            warn!(virtual_server, weight, "quorum lost: {alive} of {configured} backends live");
        }
        if let Some(command) = script {
            self.scripts.run(self.job(command, what, strength));
        }
    }

    fn job(&self, command: &Command, what: &'static str, strength: &Strength) -> Job {
        let rule = self.machine.quorum().rule();
        Job {
            command: command.clone(),
            variables: vec![
                ("LB_VIRTUAL_SERVER", self.config.name.clone()),
                ("LB_QUORUM", what.to_owned()),
                ("LB_LIVE_WEIGHT", strength.weight.to_string()),
                ("LB_QUORUM_UP_AT", rule.up_at().to_string()),
                ("LB_QUORUM_DOWN_AT", rule.down_at().to_string()),
            ],
        }
    }

    /// Resolves when the scripts that were asked for have ended.
    pub(super) async fn finish(self) {
        self.scripts.finish().await;
    }
}
