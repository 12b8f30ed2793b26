//! Describes everything as it is now.

use std::time::Instant;

use super::Control;
use super::checks::Place;
use super::service::Service;
use crate::status::{BackendReport, QuorumStatus, Status, VirtualServerStatus};

impl Control {
    pub(super) fn status(&self, now: Instant) -> Status {
        let servers = self.services.iter().map(|service| self.describe(now, service));
        Status { virtual_servers: servers.collect() }
    }

    fn describe(&self, now: Instant, service: &Service) -> VirtualServerStatus {
        let (quorum, machine) = (service.machine.quorum(), &service.machine);
        let rule = quorum.rule();
        let backends = machine.backends().map(|status| {
            let (load, upstream) = (status.backend.load(), status.backend.endpoint());
            BackendReport {
                address: upstream.address(),
                state: status.state.name(),
                weight: status.weight.value(),
                active_connections: load.active(),
                connections_total: load.total(),
                bytes_in: upstream.traffic().received(),
                bytes_out: upstream.traffic().sent(),
                last_check: self
                    .checks
                    .last(now, Place { server: service.key, backend: status.id }),
            }
        });
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
            accepted_total: service.tally.accepted(),
            refused_total: service.tally.refused(),
            open_connections: service.tally.open(),
            persisted_clients: service.director.persisted(),
            accept_rests_total: service.listener.rests(),
            backends: backends.collect(),
        }
    }
}
