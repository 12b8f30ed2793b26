//! Who fares worse than the others under real traffic.

mod rules;

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use lb_core::backend::Outcome;

pub use rules::{OutlierRules, can_spare};

use crate::splitmix::SplitMix64;

/// Ejects hosts that real traffic finds wanting, for a time, and never too many at once.
///
/// The rules and their numbers are those of Envoy's outlier detection. A host is ejected
///
/// - at once after so many [failures in a row](OutlierRules::consecutive_failures);
/// - at a sweep, if its rate of success lies too far
///   [below that of the others](OutlierRules::success_rate_factor), or its rate of failure is
///   [too high](OutlierRules::failure_percent) by itself.
///
/// It comes back by itself: after the [base time](OutlierRules::base_ejection), twice that the second
/// time, three times that the third, up to a [longest](OutlierRules::longest_ejection). Each sweep
/// that it gets through takes one back. An active check that passes brings it back
/// [at once](Self::handle_check_passed).
///
/// At most a [share](OutlierRules::most_ejected_percent) of all hosts is out at any time, but one may
/// always be, unless it is the only one: nothing is gained if nobody is left. (R3 to R5.)
///
/// A pure machine, driven as the [crate page](crate) says. A host is out only in the eyes of this
/// machine; what to do about it is its owner's affair.
///
/// ```
/// use std::time::{Duration, Instant};
/// use lb_core::backend::Outcome;
/// use lb_health::outliers::{Ejection, OutlierRules, Outliers};
///
/// let now = Instant::now();
/// let mut outliers = Outliers::new(OutlierRules::default());
/// ["a", "b", "c"].map(|host| outliers.insert(now, host));
/// for _ in 0..5 {
///     outliers.handle_outcome(now, "b", Outcome::Failure);
/// }
/// let until = now + Duration::from_secs(30);
/// assert_eq!(outliers.poll_action(), Some(Ejection::Out { host: "b", until }));
/// outliers.handle_timeout(until);
/// assert_eq!(outliers.poll_action(), Some(Ejection::Back { host: "b" }));
/// ```
#[derive(Debug)]
pub struct Outliers<K> {
    rules: OutlierRules,
    hosts: Vec<Host<K>>,
    places: HashMap<K, usize>,
    ejected: usize,
    next_sweep: Option<Instant>,
    events: VecDeque<Ejection<K>>,
    random: SplitMix64,
}

/// A host is out, or back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ejection<K> {
    /// It is to be used again.
    Back {
        /// The host.
        host: K,
    },
    /// It is not to be used for a time.
    Out {
        /// The host.
        host: K,
        /// When it comes back, if nothing else happens.
        until: Instant,
    },
}

#[derive(Debug)]
struct Host<K> {
    key: K,
    failures_in_a_row: u32,
    /// Since the last sweep.
    successes: u32,
    failures: u32,
    until: Option<Instant>,
    /// Ejections that are not forgotten yet.
    times: u32,
}

impl<K: Copy + Eq + Hash> Outliers<K> {
    /// A machine without hosts.
    pub fn new(rules: OutlierRules) -> Self {
        Self {
            rules,
            hosts: Vec::new(),
            places: HashMap::new(),
            ejected: 0,
            next_sweep: None,
            events: VecDeque::new(),
            random: SplitMix64::new(0),
        }
    }

    /// The chance by which ejections differ in [length](OutlierRules::ejection_jitter): to be another
    /// one for each director.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { random: SplitMix64::new(seed), ..self }
    }

    /// Adds a host that is not out, unless it is known.
    pub fn insert(&mut self, now: Instant, host: K) {
        let place = self.hosts.len();
        if *self.places.entry(host).or_insert(place) == place {
            self.hosts.push(Host {
                key: host,
                failures_in_a_row: 0,
                successes: 0,
                failures: 0,
                until: None,
                times: 0,
            });
            self.next_sweep.get_or_insert(now + self.rules.sweep);
        }
    }

    /// Forgets a host, with all that is held against it. Nothing is told of it any more.
    pub fn remove(&mut self, host: K) {
        let Some(place) = self.places.remove(&host) else { return };
        let gone = self.hosts.swap_remove(place);
        if let Some(moved) = self.hosts.get(place) {
            self.places.insert(moved.key, place);
        }
        self.ejected -= usize::from(gone.until.is_some());
        self.events.retain(|event| event.host() != host);
        if self.hosts.is_empty() {
            self.next_sweep = None;
        }
        // Fewer hosts bear fewer ejections: the last ones standing come back.
        while self.ejected > 0 && !self.bears(self.ejected) {
            let soonest = (0..self.hosts.len()).filter(|&at| self.hosts[at].until.is_some());
            let Some(at) = soonest.min_by_key(|&at| self.hosts[at].until) else { return };
            self.bring_back(at);
        }
    }

    /// Takes how a flow to `host` fared. What fails for a reason on this host is no outcome.
    pub fn handle_outcome(&mut self, now: Instant, host: K, outcome: Outcome) {
        let Some(&place) = self.places.get(&host) else { return };
        let host = &mut self.hosts[place];
        // Flows that began before say nothing new of who is out.
        if host.until.is_some() {
            return;
        }
        if outcome == Outcome::Success {
            host.successes = host.successes.saturating_add(1);
            host.failures_in_a_row = 0;
            return;
        }
        host.failures = host.failures.saturating_add(1);
        host.failures_in_a_row = host.failures_in_a_row.saturating_add(1);
        let limit = self.rules.consecutive_failures;
        if limit.is_some_and(|limit| host.failures_in_a_row >= limit.get()) {
            host.failures_in_a_row = 0;
            self.eject(now, place);
        }
    }

    /// Takes that so many flows to `host` went well, none of them the first after a failure: who counts
    /// them elsewhere need not tell of each.
    pub fn handle_successes(&mut self, host: K, flows: u32) {
        let Some(&place) = self.places.get(&host) else { return };
        let host = &mut self.hosts[place];
        if host.until.is_none() {
            host.successes = host.successes.saturating_add(flows);
        }
    }

    /// An active check of `host` has passed: if it is out, it comes back.
    pub fn handle_check_passed(&mut self, host: K) {
        if let Some(&place) = self.places.get(&host) {
            self.bring_back(place);
        }
    }

    /// Time has come: whoever was out for long enough comes back, and the rates are looked at.
    pub fn handle_timeout(&mut self, now: Instant) {
        for place in 0..self.hosts.len() {
            if self.hosts[place].until.is_some_and(|until| until <= now) {
                self.bring_back(place);
            }
        }
        if self.next_sweep.is_some_and(|at| at <= now) {
            self.next_sweep = Some(now + self.rules.sweep);
            self.sweep(now);
        }
    }

    /// When [`Self::handle_timeout`] is to be called. O(n).
    pub fn next_deadline(&self) -> Option<Instant> {
        let ends = self.hosts.iter().filter_map(|host| host.until);
        ends.chain(self.next_sweep).min()
    }

    /// The next thing to tell; to be called until `None` after each input.
    pub fn poll_action(&mut self) -> Option<Ejection<K>> {
        self.events.pop_front()
    }

    /// Until when `host` is out, if it is. O(1).
    pub fn ejected_until(&self, host: K) -> Option<Instant> {
        self.hosts[*self.places.get(&host)?].until
    }

    /// The hosts that are out.
    pub const fn ejected(&self) -> usize {
        self.ejected
    }

    /// Whether so many of the hosts that there are may be out at once.
    fn bears(&self, out: usize) -> bool {
        self.rules.bears(self.hosts.len(), out)
    }

    fn eject(&mut self, now: Instant, place: usize) {
        if !self.bears(self.ejected + 1) {
            return;
        }
        let OutlierRules { base_ejection, longest_ejection, ejection_jitter, .. } = self.rules;
        // At most a year, as all that a rule names.
        let jitter = Duration::from_nanos(self.random.below(ejection_jitter.as_nanos() as u64));
        let host = &mut self.hosts[place];
        host.times = host.times.saturating_add(1);
        let until = now + base_ejection.saturating_mul(host.times).min(longest_ejection) + jitter;
        host.until = Some(until);
        self.ejected += 1;
        self.events.push_back(Ejection::Out { host: host.key, until });
    }

    fn bring_back(&mut self, place: usize) {
        let host = &mut self.hosts[place];
        if host.until.take().is_some() {
            host.failures_in_a_row = 0;
            self.ejected -= 1;
            self.events.push_back(Ejection::Back { host: host.key });
        }
    }

    fn sweep(&mut self, now: Instant) {
        for host in self.hosts.iter_mut().filter(|host| host.until.is_none()) {
            host.times = host.times.saturating_sub(1);
        }
        let rates: Vec<Option<f64>> =
            self.hosts.iter().map(|host| self.rules.rate_of(host)).collect();
        let enough = rates.iter().flatten().count() >= self.rules.fewest_hosts;
        let bar = self.rules.lowest_success(rates.iter().flatten().copied()).filter(|_| enough);
        for (place, rate) in rates.into_iter().enumerate() {
            let Some(rate) = rate else { continue };
            let fails = (1.0 - rate) * 100.0;
            let too_often = self.rules.failure_percent.filter(|_| enough);
            if bar.is_some_and(|bar| rate < bar)
                || too_often.is_some_and(|most| fails >= f64::from(most))
            {
                self.eject(now, place);
            }
        }
        for host in &mut self.hosts {
            (host.successes, host.failures) = (0, 0);
        }
    }
}

impl<K: Copy> Ejection<K> {
    const fn host(&self) -> K {
        match self {
            Self::Back { host } | Self::Out { host, .. } => *host,
        }
    }
}

/// The longest time that any rule may name: with it no deadline can overflow.
const LONGEST: Duration = crate::CheckSpec::LONGEST;
