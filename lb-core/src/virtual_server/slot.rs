//! One configured backend: what was said about it, and what that comes to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::draining::Draining;
use super::slow_start::{STEPS, Service, SlowStart};
use super::{BackendConfig, BackendState, BackendStatus};
use crate::backend::{Backend, Limits};
use crate::health::{Admin, Health, ReportedLimit};
use crate::weight::Weight;

/// What everybody said about one backend.
pub(super) struct Slot<E> {
    pub(super) backend: Arc<Backend<E>>,
    configured: Weight,
    limits: Limits,
    /// The administrator's weight, in place of the configured one.
    pub(super) ordered: Option<Weight>,
    pub(super) admin: Admin,
    ejection: Ejection,
    initially_up: bool,
    inhibit_on_failure: bool,
    /// `None` until the first verdict.
    pub(super) health: Option<Health>,
    /// Whether it took new flows when that was last looked at.
    service: Service,
    draining: Draining,
}

/// What clients find of a backend.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Ejection {
    /// Nothing to complain of.
    #[default]
    None,
    /// It is wanting, which does not count: nobody else serves.
    Spared,
    /// It is wanting, and out.
    Out,
}

impl<E> Slot<E> {
    pub(super) fn new(backend: Backend<E>, config: &Terms, cold: bool) -> Self {
        Self {
            backend: Arc::new(config.applied_to(backend)),
            configured: config.weight,
            limits: config.limits,
            ordered: None,
            admin: Admin::Ready,
            ejection: Ejection::None,
            initially_up: config.initially_up,
            inhibit_on_failure: config.inhibit_on_failure,
            health: None,
            service: Service::Away { is_cold: cold },
            draining: Draining::No,
        }
    }

    pub(super) fn reconfigured(self, endpoint: E, terms: &Terms) -> Self {
        Self {
            backend: Arc::new(terms.applied_to(self.backend.with_endpoint(endpoint))),
            configured: terms.weight,
            limits: terms.limits,
            ordered: self.ordered.filter(|_| terms.weight == self.configured),
            initially_up: terms.initially_up,
            inhibit_on_failure: terms.inhibit_on_failure,
            // Whoever was up without being checked stays up until the first check has a verdict.
            health: self.health(),
            ..self
        }
    }

    /// Holds the backend to the limits that are configured, or to what its checks say in their place;
    /// answers whether that is news.
    pub(super) fn hold_to_limits(&self) -> bool {
        let reported = match self.health {
            Some(Health::Up { limit, .. }) => limit,
            _ => ReportedLimit::NONE,
        };
        let limits = reported.over(self.limits);
        let is_news = self.backend.load().limits() != limits;
        if is_news {
            self.backend.set_limits(limits);
        }
        is_news
    }

    /// Notes whether clients find it wanting. Until that is [heeded](Self::heed_ejection), it does not
    /// count more than before.
    pub(super) fn note_ejection(&mut self, wanting: bool) {
        self.ejection = match (wanting, self.ejection) {
            (false, _) => Ejection::None,
            (true, Ejection::None) => Ejection::Spared,
            (true, known) => known,
        };
    }

    /// Lets what clients find count if `others` serve whom they do not find wanting.
    pub(super) fn heed_ejection(&mut self, others: bool) {
        self.ejection = match (self.ejection, others) {
            (Ejection::None, _) => Ejection::None,
            (_, true) => Ejection::Out,
            (_, false) => Ejection::Spared,
        };
    }

    /// Whether clients find it wanting, be it out or not.
    pub(super) fn is_wanting(&self) -> bool {
        self.ejection != Ejection::None
    }

    fn is_out(&self) -> bool {
        self.ejection == Ejection::Out
    }

    /// Notes whether it takes new flows. If it comes to do so, and is cold, it does so `slowly`; in
    /// a panic it has all of its share at once, and keeps it when its checks pass again.
    pub(super) fn note_service(&mut self, slowly: Option<SlowStart>, panics: bool) {
        self.service = if self.is_serving() {
            self.service.serving(slowly)
        } else if panics && self.is_only_down() {
            Service::Serving { slow_start: None }
        } else {
            self.service.away(self.health.is_some())
        };
    }

    /// Whether it took new flows when that was last noted.
    pub(super) const fn has_served(&self) -> bool {
        matches!(self.service, Service::Serving { .. })
    }

    /// Lets a slow start that is under way last so long, or ends it.
    pub(super) fn last(&mut self, slow_start: Option<Duration>) {
        self.service = self.service.lasting(slow_start);
    }

    /// On its way to its whole share.
    pub(super) fn slow_start(&self, now: Instant) -> Option<&SlowStart> {
        self.service.slow_start().filter(|slow| slow.step(now) < STEPS)
    }

    /// The configured weight, or the administrator's in its place.
    pub(super) fn weight(&self) -> Weight {
        self.ordered.unwrap_or(self.configured)
    }

    /// The verdict, or what holds before there is one.
    pub(super) fn health(&self) -> Option<Health> {
        self.health.or(self.initially_up.then_some(Health::UP))
    }

    /// The weight to be published with: `None` keeps it out of the pool. Always computed anew from
    /// everything that was said.
    pub(super) fn live_weight(&self) -> Option<Weight> {
        self.weight_said().filter(|weight| !(self.draining.is_over() && weight.is_zero()))
    }

    /// The same however long it has drained.
    fn weight_said(&self) -> Option<Weight> {
        match (self.admin, self.health()?) {
            (Admin::Drained | Admin::Maintenance, _) => None,
            (_, Health::Down) => self.inhibit_on_failure.then_some(Weight::ZERO),
            (Admin::Drain, Health::Up { .. }) => Some(Weight::ZERO),
            (Admin::Ready, Health::Up { .. }) if self.is_out() => {
                self.inhibit_on_failure.then_some(Weight::ZERO)
            }
            (Admin::Ready, Health::Up { .. }) => self.reported_weight(),
        }
    }

    /// Whether its checks alone, or its clients, keep it from taking flows.
    pub(super) fn is_only_down(&self) -> bool {
        self.admin == Admin::Ready
            && !self.weight().is_zero()
            && (self.is_out() || self.health() == Some(Health::Down))
    }

    /// Whether it is to serve, and is not known to be able to.
    pub(super) fn is_missed(&self) -> bool {
        self.admin == Admin::Ready && !self.weight().is_zero() && (self.is_out() || !self.is_up())
    }

    /// Whether it would take new flows, whatever its clients find.
    pub(super) fn may_serve(&self) -> bool {
        self.admin == Admin::Ready && self.reported_weight().is_some_and(|weight| !weight.is_zero())
    }

    /// The weight that its checks and the administrator leave it, if they leave it up.
    fn reported_weight(&self) -> Option<Weight> {
        let Health::Up { weight, .. } = self.health()? else { return None };
        // No report brings back whom an administrator has drained by weight.
        let drained = self.ordered == Some(Weight::ZERO);
        Some(if drained { Weight::ZERO } else { weight.over(self.configured, self.weight()) })
    }

    /// Whether its checks pass.
    fn is_up(&self) -> bool {
        self.health().is_some_and(Health::is_up)
    }

    /// Whether it lives, but was drained to the end.
    pub(super) fn is_drained(&self) -> bool {
        (self.admin == Admin::Drained || self.draining.is_over()) && self.is_up()
    }

    /// Notes since when it drains, for whatever reason, and whether it has for as long as it may.
    /// One that is only inhibited, or ejected, does not: it is expected back.
    pub(super) fn note_draining(&mut self, now: Option<Instant>, lasts: Option<Duration>) {
        let drains = self.is_up() && !self.is_out() && self.weight_said() == Some(Weight::ZERO);
        self.draining = self.draining.noted(drains, now, lasts);
    }

    /// Until when its clients are kept, if it drains and that is to end.
    pub(super) fn draining_until(&self, lasts: Option<Duration>) -> Option<Instant> {
        self.draining.until(lasts)
    }

    /// Whether its checks have not said anything yet.
    pub(super) fn is_warming(&self) -> bool {
        self.admin == Admin::Ready && !self.weight().is_zero() && self.health().is_none()
    }

    /// Whether it takes new flows.
    pub(super) fn is_serving(&self) -> bool {
        self.live_weight().is_some_and(|weight| !weight.is_zero())
    }

    pub(super) fn status(
        &self,
        now: Option<Instant>,
        drain_timeout: Option<Duration>,
    ) -> BackendStatus<'_, E> {
        let state = match (self.admin, self.health()) {
            (Admin::Maintenance, _) => BackendState::Maintenance,
            (Admin::Drain | Admin::Drained, _) => BackendState::Drain,
            (Admin::Ready, None) => BackendState::Warming,
            (Admin::Ready, Some(Health::Down)) => BackendState::Down,
            (Admin::Ready, Some(Health::Up { .. })) if self.is_out() => BackendState::Ejected,
            (Admin::Ready, Some(Health::Up { .. })) => match self.weight_said() {
                Some(Weight::ZERO) => BackendState::Drain,
                _ => BackendState::Up,
            },
        };
        BackendStatus {
            id: self.backend.id(),
            name: self.backend.name(),
            backend: &self.backend,
            state,
            weight: self.live_weight().unwrap_or(Weight::ZERO),
            slow_start: now.and_then(|now| {
                let slow = self.slow_start(now)?;
                Some((u32::from(slow.step(now)) * 100 / u32::from(STEPS)) as u8)
            }),
            draining_until: self.draining_until(drain_timeout),
            admin: self.admin,
        }
    }
}

/// What a configuration says of a backend besides who it is.
pub(super) struct Terms {
    weight: Weight,
    limits: Limits,
    priority: u8,
    zone: Option<Arc<str>>,
    initially_up: bool,
    inhibit_on_failure: bool,
}

impl Terms {
    /// The name, the endpoint, and everything else.
    pub(super) fn split<E>(config: BackendConfig<E>) -> (Arc<str>, E, Self) {
        let BackendConfig {
            name,
            endpoint,
            weight,
            limits,
            priority,
            zone,
            initially_up,
            reports_weight: _,
            inhibit_on_failure,
        } = config;
        let terms = Self { weight, limits, priority, zone, initially_up, inhibit_on_failure };
        (name, endpoint, terms)
    }

    /// `backend` where these terms have it.
    pub(super) fn applied_to<E>(&self, backend: Backend<E>) -> Backend<E> {
        backend.at_priority(self.priority).in_zone(self.zone.clone())
    }
}
