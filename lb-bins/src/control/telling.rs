//! Tells what a virtual server's machine found: in the log, to scripts, and outside.

use std::net::SocketAddr;

use lb_core::backend::BackendId;
use lb_core::quorum::Strength;
use lb_core::virtual_server::{BackendState, Event};
use tracing::{info, warn};

use super::service::Service;
use crate::config::Command;
use crate::notify::{Gravity, Job, News, Notifier};

impl Service {
    /// What is so only until the first verdicts are in is not worth telling: clients wait for them
    /// as well.
    pub(super) fn hear(&mut self, event: Event, notifier: &mut Notifier) {
        match event {
            Event::PanicBegan { .. } => self.panics = true,
            Event::PanicEnded { .. } => self.panics = false,
            _ => {}
        }
        let undone = self.untold.iter().position(|untold| {
            matches!(
                (untold, &event),
                (Event::QuorumLost { .. }, Event::QuorumGained { .. })
                    | (Event::PanicBegan { .. }, Event::PanicEnded { .. })
            )
        });
        let may_pass = matches!(event, Event::QuorumLost { .. } | Event::PanicBegan { .. });
        if let Some(undone) = undone {
            self.untold.remove(undone);
        } else if may_pass && self.gate_opens().is_some() {
            self.untold.push(event);
        } else {
            self.tell(&event, notifier);
        }
    }

    pub(super) fn tell(&self, event: &Event, notifier: &mut Notifier) {
        match event {
            Event::BackendDown { backend, .. } => self.tell_of_backend(*backend, "down", notifier),
            Event::BackendUp { backend, .. } => self.tell_of_backend(*backend, "up", notifier),
            Event::PanicBegan { strength: Strength { alive, configured, .. } } => {
                let below = self.config.panic_below;
                let what = format!(
                    "panic: {alive} of {configured} backends live, fewer than {below} percent: \
                     checks are not believed"
                );
                warn!(virtual_server = self.config.name, "{what}");
                notifier.tell(self.news(None, ("panic", Gravity::Grave), &what, None));
            }
            Event::PanicEnded { strength: Strength { alive, configured, .. } } => {
                let what = format!("panic is over: {alive} of {configured} backends live");
                info!(virtual_server = self.config.name, "{what}");
                notifier.tell(self.news(None, ("panic", Gravity::Well), &what, None));
            }
            Event::QuorumGained { strength } => self.tell_of_quorum("up", strength, notifier),
            Event::QuorumLost { strength } => self.tell_of_quorum("down", strength, notifier),
            _ => {}
        }
    }

    /// The daemon stops: has scripts and the pipe take what is up for down, if that is wanted. It is no
    /// news for people.
    pub(super) fn take_leave(&self, notifier: &mut Notifier) {
        const WHY: &str = "the daemon stops";
        const ABOUT: (&str, Gravity) = ("the daemon", Gravity::Well);
        if !self.config.down_when_stopped {
            return;
        }
        let backends = self.machine.backends();
        let up = backends
            .filter(|status| matches!(status.state, BackendState::Up | BackendState::Drain));
        for status in up {
            let line = self.run_for_backend(status.id, "down", WHY.to_owned(), notifier);
            notifier.tell(News { mailed: false, ..self.news(line, ABOUT, WHY, None) });
        }
        if self.machine.quorum().is_up() {
            let line = self.run_for_quorum("down", &self.machine.strength(), notifier);
            notifier.tell(News { mailed: false, ..self.news(Some(line), ABOUT, WHY, None) });
        }
    }

    /// The log was told when there was a verdict.
    fn tell_of_backend(&self, id: BackendId, state: &'static str, notifier: &mut Notifier) {
        let Some(status) = self.machine.backend(id) else { return };
        let address = status.backend.endpoint().address();
        let why = self.reasons.get(&id).cloned();
        let line = self.run_for_backend(id, state, why.clone().unwrap_or_default(), notifier);
        let gravity = if state == "up" { Gravity::Well } else { Gravity::Impaired };
        let (about, what) = (address.to_string(), format!("backend {address} is {state}"));
        notifier.tell(self.news(line, (&about, gravity), &what, why));
    }

    /// Runs what is to be run for a backend; the line for the pipe.
    fn run_for_backend(
        &self,
        id: BackendId,
        state: &'static str,
        why: String,
        notifier: &Notifier,
    ) -> Option<String> {
        let status = self.machine.backend(id)?;
        let upstream = status.backend.endpoint();
        let address = upstream.address();
        let mut backends = self.config.backends.iter();
        let config = backends.find(|backend| backend.address == *address);
        let script = config.and_then(|config| match state {
            "up" => config.on_up.as_ref(),
            _ => config.on_down.as_ref(),
        });
        if let Some(command) = script {
            let about = [
                ("LB_BACKEND", address.to_string()),
                ("LB_STATE", state.to_owned()),
                ("LB_REASON", why),
            ];
            self.run(command, about, notifier);
        }
        // A pipe has keepalived's lines, which name no names.
        let backend = match upstream.current() {
            Ok(now) => trio(now),
            Err(_) => {
                format!("[{}]:tcp:{}", address.host().map_or("", |host| host), address.port())
            }
        };
        let server = trio(self.listener.address());
        Some(format!("RS {backend} {server} {}", state.to_uppercase()))
    }

    fn tell_of_quorum(&self, state: &'static str, strength: &Strength, notifier: &mut Notifier) {
        let virtual_server = &*self.config.name;
        let Strength { weight, alive, configured } = *strength;
        let what = match state {
            "up" => "quorum gained",
            _ => "quorum lost",
        };
        let what = format!("{what}: {alive} of {configured} backends live");
        match state {
            "up" => info!(virtual_server, weight, "{what}"),
            _ => warn!(virtual_server, weight, "{what}"),
        }
        let line = self.run_for_quorum(state, strength, notifier);
        let gravity = if state == "up" { Gravity::Well } else { Gravity::Grave };
        notifier.tell(self.news(Some(line), ("quorum", gravity), &what, None));
    }

    /// Runs what is to be run for the quorum; the line for the pipe.
    fn run_for_quorum(
        &self,
        state: &'static str,
        strength: &Strength,
        notifier: &Notifier,
    ) -> String {
        let script = match state {
            "up" => &self.config.on_quorum_up,
            _ => &self.config.on_quorum_down,
        };
        if let Some(command) = script {
            let rule = self.machine.quorum().rule();
            let about = [
                ("LB_QUORUM", state.to_owned()),
                ("LB_LIVE_WEIGHT", strength.weight.to_string()),
                ("LB_QUORUM_UP_AT", rule.up_at().to_string()),
                ("LB_QUORUM_DOWN_AT", rule.down_at().to_string()),
            ];
            self.run(command, about, notifier);
        }
        format!("VS {} {}", trio(self.listener.address()), state.to_uppercase())
    }

    /// News about a part of this virtual server.
    fn news(
        &self,
        line: Option<String>,
        (about, gravity): (&str, Gravity),
        what: &str,
        why: Option<String>,
    ) -> News {
        let [about, what] = [about, what].map(|text| format!("{}: {text}", self.config.name));
        News { line, about, gravity, what, why, mailed: true }
    }

    fn run<const N: usize>(
        &self,
        command: &Command,
        about: [(&'static str, String); N],
        notifier: &Notifier,
    ) {
        // Of a backend its address comes first, then what it is.
        let told = about.iter().take(2).map(|(_, value)| value.as_str());
        let told = told.collect::<Vec<_>>().join(" ");
        let server = [("LB_VIRTUAL_SERVER", self.config.name.clone())];
        let variables = server.into_iter().chain(about).collect();
        let whose = self.config.name.clone();
        let (command, limit) = (command.clone(), notifier.script_limit());
        self.scripts.run(Job { whose, told, command, variables, limit, held: None });
    }
}

/// An address as keepalived writes it (`inet_sockaddrtotrio`).
fn trio(address: SocketAddr) -> String {
    format!("[{}]:tcp:{}", address.ip(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_keepalived_s() {
        // The samples of keepalived.conf(5).
        let sample = |text: &str| trio(text.parse().unwrap());
        assert_eq!(sample("192.168.201.15:80"), "[192.168.201.15]:tcp:80");
        assert_eq!(sample("[2001:db8::1]:443"), "[2001:db8::1]:tcp:443");
    }
}
