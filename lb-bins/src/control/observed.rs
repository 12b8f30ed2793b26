//! A balancer that somebody else in this process observes, who tells what it finds out.

use lb_core::quorum::Strength;

use super::{Bounds, Control};
use crate::notify::{Notifier, Observer, Shortfall};
use crate::tcp::Workers;

impl Control {
    /// A control without any virtual server, that tells its news and its quorums to an observer instead
    /// of by a pipe, mail and an admin address of its own, and runs so many checks at once. Must be called within
    /// a runtime.
    pub fn observed(workers: Workers, observer: Observer, bounds: Bounds) -> Self {
        let nothing = bounds.alone();
        let nowhere = |_, _| Box::pin(std::future::ready(())) as _;
        let control = Self::start(nothing, workers, nowhere);
        let mut control = control.unwrap_or_else(|_| unreachable!("nothing needs nothing"));
        control.notifier = Notifier::relaying(observer.clone());
        control.observer = Some(observer);
        control
    }

    /// Shows which virtual servers have their quorum, and what the others have.
    pub(super) fn show_quorums(&self) {
        let Some(Observer { quorums, .. }) = &self.observer else { return };
        quorums.send_if_modified(|known| {
            let mut has_changed = false;
            for service in &self.services {
                // Before the first verdicts nothing is known.
                if service.gate_opens().is_some() {
                    continue;
                }
                let shortfall = (!service.machine.quorum().is_up()).then(|| {
                    let Strength { alive, configured, .. } = service.machine.strength();
                    Shortfall { alive, configured }
                });
                match known.get_mut(&service.config.name) {
                    Some(known) => has_changed |= std::mem::replace(known, shortfall) != shortfall,
                    None => {
                        known.insert(service.config.name.clone(), shortfall);
                        has_changed = true;
                    }
                }
            }
            if known.len() > self.services.len() {
                let is_there = |name: &String| self.services.iter().any(|s| s.config.name == *name);
                known.retain(|name, _| is_there(name));
                has_changed = true;
            }
            has_changed
        });
    }
}
