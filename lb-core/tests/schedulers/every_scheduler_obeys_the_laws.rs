//! All schedulers under the property suite, those that rotate also from anywhere in their
//! rotation; and the suite itself under schedulers that break its laws.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lb_core::pool::Member;
use lb_core::scheduler::{LoadFactor, Priorities, Subset, Zones};
use lb_core::{Algorithm, Flow, Scheduler, laws};
use rand::Rng;

macro_rules! obey {
    ($($name:ident: $algorithm:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            let check = match Algorithm::$algorithm {
                // Every backend may have its weight in flows, and one more.
                Algorithm::Ovf => laws::check_refusing_when_busy,
                _ => laws::check,
            };
            check(&|| Algorithm::$algorithm.scheduler());
        })+

        #[test]
        fn none_is_left_out() {
            assert_eq!([$(Algorithm::$algorithm),+], Algorithm::ALL);
        }
    };
}

obey! {
    dh: Dh,
    first: First,
    fo: Fo,
    ketama: Ketama,
    lblc: Lblc,
    lblcr: Lblcr,
    lc: Lc,
    least_time: LeastTime,
    mh: Mh,
    nq: Nq,
    ovf: Ovf,
    p2c: P2c,
    peak_ewma: PeakEwma,
    random: Random,
    rendezvous: Rendezvous,
    ring: Ring,
    rr: Rr,
    sed: Sed,
    sh: Sh,
    wlc: Wlc,
    wrr: Wrr,
    wrr_ipvs: WrrIpvs,
}

#[test]
fn rotations_that_start_anywhere() {
    let mut rng = support::seeded(1);
    for phase in [u64::MAX, rng.next_u64()] {
        laws::check(&|| Algorithm::Rr.scheduler_at(phase));
        laws::check(&|| Algorithm::Wrr.scheduler_at(phase));
        laws::check(&|| Algorithm::WrrIpvs.scheduler_at(phase));
    }
}

/// One of each kind: a rotation, a table, counters, a draw, a hash, a memory, a bound, a refusal.
fn several(check: impl Fn(fn(&dyn Fn() -> Arc<dyn Scheduler>), &dyn Fn() -> Arc<dyn Scheduler>)) {
    use Algorithm::{First, LeastTime, P2c, Rendezvous, Rr, Wlc, Wrr};
    for algorithm in [First, LeastTime, P2c, Rendezvous, Rr, Wlc, Wrr] {
        check(laws::check, &|| algorithm.scheduler());
    }
    check(laws::check, &|| Algorithm::Rendezvous.bounded(LoadFactor::default()).unwrap());
    check(laws::check_refusing_when_busy, &|| Algorithm::Ovf.scheduler());
}

#[test]
fn priorities() {
    for percent in [0, 70] {
        several(|laws, make| {
            laws(&|| Arc::new(Priorities::around(make()).spilling_below(percent)));
        });
    }
}

#[test]
fn zones() {
    several(|laws, make| laws(&|| Arc::new(Zones::around("a", make()))));
}

#[test]
fn subsets() {
    for size in [1, 3] {
        several(|laws, make| {
            laws(&|| Arc::new(Subset::around(size.try_into().unwrap(), 7, make())));
        });
    }
}

#[test]
fn groups_in_groups() {
    let few = 2.try_into().unwrap();
    several(|laws, make| {
        laws(&|| {
            let zones = Zones::around("b", Arc::new(Subset::around(few, 1, make())));
            Arc::new(Priorities::around(Arc::new(zones)).spilling_below(60))
        });
    });
}

/// A scheduler out of one function of the members, the flow and how many picks came before.
#[derive(Debug)]
struct Rogue {
    pick: Judgement,
    picks: AtomicUsize,
}

type Judgement = fn(&[Member], &Flow<'_>, usize) -> Option<usize>;

impl Rogue {
    fn with(pick: Judgement) -> Arc<dyn Scheduler> {
        Arc::new(Self { pick, picks: AtomicUsize::new(0) })
    }
}

impl Scheduler for Rogue {
    fn rebuild(&self, _: &[Member]) -> Arc<dyn Scheduler> {
        Self::with(self.pick)
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, _: &mut dyn Rng) -> Option<usize> {
        (self.pick)(members, flow, self.picks.fetch_add(1, Ordering::Relaxed))
    }
}

fn complaint(make: &dyn Fn() -> Arc<dyn Scheduler>) -> String {
    complaint_of(laws::check, make)
}

fn complaint_of(
    check: fn(&dyn Fn() -> Arc<dyn Scheduler>),
    make: &dyn Fn() -> Arc<dyn Scheduler>,
) -> String {
    let verdict = catch_unwind(AssertUnwindSafe(|| check(make)));
    *verdict.expect_err("this one must not pass").downcast::<String>().unwrap()
}

fn honest(members: &[Member], flow: &Flow<'_>) -> Option<usize> {
    members.iter().position(|member| flow.may_use(member))
}

#[test]
fn an_honest_one_passes() {
    laws::check(&|| Rogue::with(|members, flow, _| honest(members, flow)));
}

#[test]
fn who_picks_drained_members_is_caught() {
    let drained: Judgement =
        |members, flow, _| members.iter().position(|member| !flow.has_tried(member.id));
    assert!(complaint(&|| Rogue::with(drained)).contains("whose weight is 0"));
}

#[test]
fn who_forgets_what_was_tried_is_caught() {
    let forgetful: Judgement = |members, flow, _| {
        // Minds one refusal, not several.
        let tried = flow.tried.get(..1).unwrap_or_default();
        honest(members, &Flow::new(0).retried(tried))
    };
    assert!(complaint(&|| Rogue::with(forgetful)).contains("refused the flow"));
}

#[test]
fn who_overloads_the_full_is_caught() {
    let careless: Judgement = |members, flow, _| {
        members.iter().position(|member| !member.weight.is_zero() && !flow.has_tried(member.id))
    };
    assert!(complaint(&|| Rogue::with(careless)).contains("which is full"));
    // Looks for room only where somebody refused the flow.
    let forgetful: Judgement = |members, flow, _| match flow.tried {
        [] => members.iter().position(|member| !member.weight.is_zero()),
        _ => honest(members, flow),
    };
    let complaint = complaint(&|| Rogue::with(forgetful));
    assert!(complaint.contains("`passes over those that are full`"), "{complaint}");
}

#[test]
fn who_gives_up_too_soon_is_caught() {
    let lazy: Judgement = |members, flow, _| honest(members, flow).filter(|&index| index < 2);
    assert!(complaint(&|| Rogue::with(lazy)).contains("would have been usable"));
}

fn is_idle(member: &Member) -> bool {
    member.load.active() == 0
}

#[test]
fn who_refuses_the_busy_passes_where_that_is_allowed() {
    let shy: Judgement = |members, flow, _| {
        members.iter().position(|member| flow.may_use(member) && is_idle(member))
    };
    laws::check_refusing_when_busy(&|| Rogue::with(shy));
    assert!(complaint(&|| Rogue::with(shy)).contains("would have been usable"));
}

#[test]
fn who_refuses_an_idle_one_is_caught_even_there() {
    // One that is busy is enough to scare it off.
    let shyer: Judgement =
        |members, flow, _| honest(members, flow).filter(|_| members.iter().all(is_idle));
    let complaint = complaint_of(laws::check_refusing_when_busy, &|| Rogue::with(shyer));
    assert!(complaint.contains("is usable and idle"), "{complaint}");
}

#[test]
fn who_overloads_the_drained_is_caught_even_there() {
    let drained: Judgement =
        |members, flow, _| members.iter().position(|member| !flow.has_tried(member.id));
    let complaint = complaint_of(laws::check_refusing_when_busy, &|| Rogue::with(drained));
    assert!(complaint.contains("whose weight is 0"), "{complaint}");
}

#[test]
fn who_divides_by_the_weight_is_caught() {
    let naive: Judgement = |members, flow, picks| {
        let total: u64 = members.iter().map(|member| u64::from(member.weight)).sum();
        let _turn = picks as u64 % total;
        honest(members, flow)
    };
    assert!(complaint(&|| Rogue::with(naive)).contains("divisor of zero"));
}

#[test]
fn who_overflows_is_caught() {
    let narrow: Judgement = |members, flow, _| {
        let _total: u16 = members.iter().map(|member| member.weight.value()).sum();
        honest(members, flow)
    };
    assert!(complaint(&|| Rogue::with(narrow)).contains("overflow"));
}

#[test]
fn who_remembers_a_shared_past_is_caught() {
    static PICKS: AtomicUsize = AtomicUsize::new(0);
    let shared: Judgement = |members, flow, _| {
        let usable = members.iter().filter(|member| flow.may_use(member)).count();
        let place = PICKS.fetch_add(1, Ordering::Relaxed).checked_rem(usable)?;
        let mut usable = (0..members.len()).filter(|&index| flow.may_use(&members[index]));
        usable.nth(place)
    };
    assert!(complaint(&|| Rogue::with(shared)).contains("`repeats itself`"));
}

/// Writes down in one place for all pools how many members the newest has.
#[derive(Debug, Default)]
struct Common(Arc<AtomicUsize>);

impl Scheduler for Common {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        self.0.store(members.len(), Ordering::Relaxed);
        Arc::new(Self(Arc::clone(&self.0)))
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, _: &mut dyn Rng) -> Option<usize> {
        (0..self.0.load(Ordering::Relaxed))
            .find(|&index| members.get(index).is_none_or(|member| flow.may_use(member)))
    }
}

#[test]
fn who_serves_the_newest_pool_only_is_caught() {
    assert!(complaint(&|| Arc::new(Common::default())).contains("`leaves the old pool serving`"));
}

/// Never looks at the members again after the first rebuild.
#[derive(Debug)]
struct Stale(Option<usize>);

impl Scheduler for Stale {
    fn rebuild(&self, members: &[Member]) -> Arc<dyn Scheduler> {
        Arc::new(Self(self.0.or(Some(members.len()))))
    }

    fn pick(&self, members: &[Member], flow: &Flow<'_>, _: &mut dyn Rng) -> Option<usize> {
        (0..self.0?).find(|&index| members.get(index).is_none_or(|member| flow.may_use(member)))
    }
}

#[test]
fn who_ignores_changes_is_caught() {
    // The extremes change the membership too, and come first.
    assert!(complaint(&|| Arc::new(Stale(None))).contains("breaks the law"));
}
