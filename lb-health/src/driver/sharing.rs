//! Checks that speak for several backends, driven.

use std::hash::Hash;
use std::net::SocketAddr;

use super::{Driven, Driver, now, seed};
use crate::{CheckId, CheckSpec, Checker};

impl<K: Copy + Eq + Hash> Driver<K> {
    /// Lets `check` speak for `backend` as well: see [`Monitor::share`](crate::Monitor::share).
    pub fn share(&mut self, check: CheckId, backend: K) {
        self.monitor.share(now(), check, backend);
    }

    /// Lets `check` speak for `backend` no more: see [`Monitor::release`](crate::Monitor::release).
    pub fn release(&mut self, check: CheckId, backend: K) {
        if self.monitor.check(check).is_some() {
            self.monitor.release(check, backend);
            self.tidy(&[check]);
        }
    }

    /// Gives `backend` a changed check of its own: see [`Monitor::split`](crate::Monitor::split).
    pub fn split<C>(
        &mut self,
        check: CheckId,
        backend: K,
        address: SocketAddr,
        checker: C,
        spec: CheckSpec,
    ) -> CheckId
    where
        C: Checker + Send + Sync + 'static,
        C::Future: Send + 'static,
    {
        let mut seed = seed::seed(self.instance, address, &spec);
        let own = self.monitor.split(now(), check, backend, spec, &mut seed);
        self.drive(own, Driven::new(address, checker, None));
        self.tidy(&[check]);
        own
    }
}
