//! `wrr-ipvs` against the kernel's algorithm as its formula has it, through any chain of changes.

use crate::support;

use std::sync::Arc;

use lb_core::backend::BackendId;
use lb_core::{Algorithm, Backend, Flow, Pool, Scheduler, Weight};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, prop_assert, prop_assert_eq, proptest};
use proptest::sample::subsequence;
use support::{Zeros, index};

/// The list, and what the kernel keeps between picks.
#[derive(Default)]
struct Model {
    list: Vec<(u32, u64)>,
    /// Who was chosen last; `None` is the head of the list.
    last: Option<usize>,
    level: u64,
    greatest: u64,
    divisor: u64,
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Model {
    fn change(&mut self, list: &[(u32, u64)]) {
        if self.list == list {
            return;
        }
        self.list = list.to_vec();
        self.last = None;
        let weights = || list.iter().map(|&(_, weight)| weight);
        self.divisor = weights().fold(0, gcd).max(1);
        self.greatest = (weights().max().unwrap_or(0) + 1).saturating_sub(self.divisor);
        if self.level > self.greatest || self.level == 0 {
            self.level = self.greatest;
        } else if self.divisor > 1 {
            self.level = self.level / self.divisor * self.divisor + 1;
        }
    }

    fn pick(&mut self) -> Option<usize> {
        if self.greatest == 0 {
            return None;
        }
        loop {
            let next = self.last.map_or(0, |last| last + 1);
            let rest = self.list[next..].iter();
            if let Some(steps) = rest.clone().position(|&(_, weight)| weight >= self.level) {
                self.last = Some(next + steps);
                return self.last;
            }
            self.last = None;
            self.level = self.level.saturating_sub(self.divisor);
            if self.level == 0 {
                self.level = self.greatest;
            }
        }
    }
}

fn rebuilt(previous: &dyn Scheduler, list: &[(u32, u64)]) -> Pool<()> {
    let member = |&(id, weight): &(u32, u64)| {
        let backend = Backend::new(BackendId::new(id), format!("backend {id}"), ());
        (Arc::new(backend), Weight::new(weight as u16))
    };
    Pool::new(list.iter().map(member), previous)
}

type List = Vec<(u32, u64)>;

/// A list of some of eight backends in any order, with a divisor more often than not.
fn list() -> impl Strategy<Value = List> {
    let some = subsequence((0..8_u32).collect::<Vec<_>>(), 0..6).prop_shuffle();
    (some, vec(0..10_u64, 8), 1..5_u64).prop_map(|(some, weights, factor)| {
        some.into_iter().zip(weights).map(|(id, weight)| (id, weight * factor)).collect()
    })
}

/// Changes, each followed by picks; or everything published again as it was.
fn history() -> impl Strategy<Value = Vec<(Option<List>, usize)>> {
    vec((proptest::option::weighted(0.8, list()), 0..30_usize), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_pick_is_the_kernels(history in history()) {
        let (mut model, mut list) = (Model::default(), Vec::new());
        let mut scheduler = Algorithm::WrrIpvs.scheduler_at(0);
        for (change, picks) in history {
            list = change.unwrap_or(list);
            model.change(&list);
            let pool = rebuilt(&*scheduler, &list);
            for _ in 0..picks {
                prop_assert_eq!(index(&pool, &Flow::new(0), &mut Zeros), model.pick(), "{:?}", list);
            }
            scheduler = Arc::clone(pool.scheduler());
        }
    }

    /// Until somebody is given a turn; otherwise a fleet whose backends come up one by one would
    /// begin with the same backend everywhere.
    #[test]
    fn a_phase_waits_for_the_first_pick(lists in vec(list(), 1..4), phase in 1..100_usize) {
        let mut scheduler = Algorithm::WrrIpvs.scheduler_at(phase as u64);
        for list in &lists {
            scheduler = Arc::clone(rebuilt(&*scheduler, list).scheduler());
        }
        let list = lists.last().unwrap();
        let (pool, mut model) = (rebuilt(&*scheduler, list), Model::default());
        model.change(list);
        let later: Vec<_> = (0..phase + 20).map(|_| model.pick()).skip(phase).collect();
        let picks: Vec<_> = (0..20).map(|_| index(&pool, &Flow::new(0), &mut Zeros)).collect();
        prop_assert_eq!(picks, later);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// A period that long is scaled, and its levels with it.
    #[test]
    fn a_level_is_kept_in_proportion_where_periods_are_scaled(picks in 1..24_000_usize) {
        // So long nobody but the first is heavy enough.
        let alone = (65_535 - 30_011) * 65_536 / (65_535 + 30_011);
        let until_the_second = |pool: &Pool<()>| {
            (0..alone + 9).take_while(|_| index(pool, &Flow::new(0), &mut Zeros) == Some(0)).count()
        };
        let pool = rebuilt(&*Algorithm::WrrIpvs.scheduler_at(0), &[(0, 65_535), (1, 30_011)]);
        for _ in 0..picks {
            prop_assert_eq!(index(&pool, &Flow::new(0), &mut Zeros), Some(0));
        }
        let changed = rebuilt(&**pool.scheduler(), &[(0, 65_535), (1, 30_013)]);
        // The level of the last pick comes again.
        prop_assert!(until_the_second(&changed).abs_diff(alone - picks + 1) <= 2);
    }
}
