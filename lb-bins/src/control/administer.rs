//! Carries out what an administrator says about a backend.

use std::sync::Arc;
use std::time::Instant;

use lb_core::health::Admin as Word;
use lb_core::virtual_server::BackendState;

use super::checks::Place;
use super::request::{Order, Refusal};
use super::{Control, Cut};
use crate::config::Address;

impl Control {
    pub(super) fn administer(
        &mut self,
        virtual_server: &str,
        address: Address,
        order: Order,
    ) -> Result<(), Refusal> {
        let key = self.named(virtual_server)?.key;
        let mut services = self.services.iter_mut();
        let Some(service) = services.find(|service| service.key == key) else {
            return Err(Refusal::Stopping);
        };
        let Some(&backend) = service.identities().get(&address) else {
            let virtual_server = virtual_server.to_owned();
            return Err(Refusal::UnknownBackend { virtual_server, backend: address });
        };
        let now = Instant::now();
        service.order(backend, |machine| {
            match order {
                Order::Disable => machine.set_admin(now, backend, Word::Maintenance),
                Order::Drain => machine.set_admin(now, backend, Word::Drain),
                Order::Enable => machine.set_admin(now, backend, Word::Ready),
                Order::Weight(weight) => machine.set_weight(now, backend, weight),
            };
        });
        // Before the answer: whoever gets it may rely on it.
        service.settle(&mut self.notifier);
        let place = Place { server: service.key, backend };
        if matches!(order, Order::Weight(_)) {
            return Ok(());
        }
        self.checks.pause(place, order == Order::Disable);
        self.cuts.retain(|cut| cut.place != place);
        if let (Order::Drain, Some((BackendState::Drain, _))) = (order, service.state(backend))
            && let Some(status) = service.machine.backend(backend)
        {
            let at = now + service.config.drain_timeout;
            self.cuts.push(Cut { at, place, backend: Arc::clone(status.backend) });
        }
        Ok(())
    }
}
