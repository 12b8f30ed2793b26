//! Describes everything as it is now.

use std::num::NonZeroU32;
use std::time::Instant;

use lb_core::virtual_server::BackendState;

use super::Control;
use super::checks::Place;
use super::request::Refusal;
use super::service::Service;
use crate::config::Address;
use crate::status::{
    BackendReport, Explanation, QueueStatus, QuorumStatus, SorryReport, Status, VirtualServerStatus,
};
use crate::tcp::RefusalReason;

/// Of each check; more would be much to read where there are thousands.
const SHOWN_RUNS: usize = 5;

impl Control {
    pub(super) fn status(&self, now: Instant) -> Status {
        let servers = self.services.iter().map(|service| self.describe(now, service, SHOWN_RUNS));
        Status {
            virtual_servers: servers.collect(),
            checks: self.checks.totals(now),
            notify: self.notifier.status(),
        }
    }

    /// What is known of one backend.
    ///
    /// # Errors
    /// [`Refusal`], if there is none of that name and address.
    pub(super) fn explain(
        &self,
        now: Instant,
        virtual_server: &str,
        address: &Address,
    ) -> Result<Explanation, Refusal> {
        let service = self.named(virtual_server)?;
        let report = self.describe(now, service, usize::MAX);
        let mut backends = report.backends.into_iter();
        let backend = backends.find(|backend| backend.address == *address);
        let sorry_server = report.sorry_server.filter(|sorry| sorry.address == *address);
        let virtual_server_name = service.config.name.clone();
        match (backend, sorry_server) {
            (Some(backend), _) => Ok(Explanation::Backend {
                virtual_server: virtual_server_name,
                backend: Box::new(backend),
            }),
            (None, Some(sorry_server)) => {
                Ok(Explanation::SorryServer { virtual_server: virtual_server_name, sorry_server })
            }
            (None, None) => Err(Refusal::UnknownBackend {
                virtual_server: virtual_server.to_owned(),
                backend: address.clone(),
            }),
        }
    }

    fn describe(&self, now: Instant, service: &Service, runs: usize) -> VirtualServerStatus {
        let (quorum, machine) = (service.machine.quorum(), &service.machine);
        let rule = quorum.rule();
        let backends = machine.backends().map(|status| {
            let (load, upstream) = (status.backend.load(), status.backend.endpoint());
            let place = Place { server: service.key, backend: status.id };
            BackendReport {
                address: upstream.address().clone(),
                resolved: upstream.name().and_then(|_| upstream.current().ok()),
                state: status.state.name(),
                full: status.state == BackendState::Up && load.is_full(),
                weight: status.weight.value(),
                slow_start_percent: status.slow_start,
                priority: status.backend.priority(),
                zone: status.backend.zone().map(ToString::to_string),
                max_connections: load.limits().maximum().map(NonZeroU32::get),
                active_connections: load.active(),
                connections_total: load.total(),
                failures_total: load.failed(),
                bytes_in: upstream.traffic().received(),
                bytes_out: upstream.traffic().sent(),
                ejected_ms: service.ejector.as_ref().and_then(|ejector| {
                    let until = ejector.ejected_until(status.id)?;
                    Some(until.saturating_duration_since(now).as_millis() as u64)
                }),
                ejections_total: service
                    .ejector
                    .as_ref()
                    .map_or(0, |ejector| ejector.ejections(status.id)),
                state_ms: service
                    .decided(status.id)
                    .map(|(since, _)| now.saturating_duration_since(*since).as_millis() as u64),
                reason: service.decided(status.id).map(|(_, why)| why.clone()),
                last_check: self.checks.last(now, place),
                checks: self.checks.describe(now, place, runs),
            }
        });
        let refused =
            RefusalReason::ALL.map(|reason| (reason.name(), service.tally.refused(reason)));
        VirtualServerStatus {
            name: service.config.name.clone(),
            listen: service.listener.address(),
            scheduler: service.config.scheduler.name(),
            quorum: QuorumStatus {
                up: quorum.is_up(),
                live_weight: machine.strength().weight,
                required: if quorum.is_up() { rule.down_at() } else { rule.up_at() },
            },
            sorry: !machine.published().records_affinity(),
            sorry_server: machine.sorry().map(|sorry| {
                let place = Place { server: service.key, backend: sorry.id() };
                SorryReport {
                    address: sorry.endpoint().address().clone(),
                    down: machine.sorry_is_down(),
                    checks: self.checks.describe(now, place, runs),
                }
            }),
            panic: service.panics(),
            queue: service.config.queue.map(|queue| QueueStatus {
                length: service.director.queued(),
                limit: queue.length as usize,
            }),
            accepted_total: service.tally.accepted(),
            refused_total: refused.iter().map(|(_, count)| count).sum(),
            refused: refused.into(),
            abandoned_total: service.tally.abandoned(),
            open_connections: service.tally.open(),
            persisted_clients: service.director.persisted(),
            accept_rests_total: service.listener.rests(),
            backends: backends.collect(),
        }
    }
}
