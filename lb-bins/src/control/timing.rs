//! What control does because time has passed, and how it ends.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::Control;
use super::checks::Place;
use super::service::Service;

/// How often expired clients are forgotten and, while stopping, open connections counted.
pub(super) const TICK: Duration = Duration::from_secs(1);
const STOPPING_TICK: Duration = Duration::from_millis(20);
/// How long the workers may take to reset the last connections.
const LAST_CUTS: Duration = Duration::from_millis(200);

impl Control {
    pub(super) fn next_deadline(&self) -> Instant {
        let gates = self.services.iter().filter_map(Service::gate_opens);
        let cuts = self.cuts.iter().map(|cut| cut.at);
        let machines = self.services.iter().filter_map(|service| service.machine.next_deadline());
        let ejections = self.services.iter().filter_map(Service::next_ejection);
        gates.chain(cuts).chain(machines).chain(ejections).fold(self.next_tick, Instant::min)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> ControlFlow<()> {
        for service in &mut self.services {
            if service.gate_opens().is_some_and(|gate| gate <= now) {
                service.open_gate(&mut self.notifier);
            }
            service.machine.handle_timeout(now);
            service.handle_ejections(now);
        }
        for cut in self.cuts.extract_if(.., |cut| cut.at <= now) {
            if cut.backend.load().active() > 0 {
                info!(backend = cut.backend.name(), "drain timeout: its connections are cut");
                cut.backend.endpoint().cut();
            }
            // Whoever belongs there does not come right back: the machine has the same time.
        }
        if now < self.next_tick {
            return ControlFlow::Continue(());
        }
        for service in &mut self.services {
            service.tick(now);
            let (checks, server) = (&self.checks, service.key);
            service.check_ejections(now, |backend, since| {
                checks.passed_since(Place { server, backend }, since)
            });
        }
        self.leaving.tick();
        self.removed.retain(|removed| now < removed.until && removed.tally.open() > 0);
        let Some(since) = self.stopping_since else {
            self.next_tick = now + TICK;
            return ControlFlow::Continue(());
        };
        self.next_tick = now + STOPPING_TICK;
        let over = |service: &Service| {
            now >= since + service.config.drain_timeout
                || (service.listener.is_closed() && service.tally.open() == 0)
        };
        if !self.removed.is_empty() || !self.services.iter().all(over) {
            return ControlFlow::Continue(());
        }
        match self.services.iter().map(|service| service.tally.open()).sum() {
            0 => info!("every connection has ended"),
            left => warn!("the drain timeout is over: {left} connections are cut"),
        }
        ControlFlow::Break(())
    }

    pub(super) fn stop(&mut self) {
        info!("stopping: no new connections");
        let now = Instant::now();
        self.stopping_since = Some(now);
        self.next_tick = now;
        for service in &self.services {
            service.listener.stop();
            service.take_leave(&mut self.notifier);
        }
    }

    /// Resets what is still open: closed by the end of the process, it would look complete.
    pub(super) async fn cut_the_rest(&mut self) {
        let endpoints = self.services.iter().flat_map(|service| service.endpoints().into_values());
        endpoints.for_each(|endpoint| endpoint.cut());
        let until = Instant::now() + LAST_CUTS;
        while Instant::now() < until && self.services.iter().any(|one| one.tally.open() > 0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
