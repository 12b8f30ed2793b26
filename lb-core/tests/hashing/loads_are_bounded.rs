//! Bounded loads: nobody above the bound, somebody always has room, and who is not full keeps its
//! keys.

use crate::support;

use std::collections::VecDeque;
use std::sync::Arc;

use lb_core::backend::BackendId;
use lb_core::hash::stable_hash;
use lb_core::scheduler::{Bounded, LoadFactor, Maglev, TooTight};
use lb_core::{Algorithm, Flow, Lease, laws};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::select;
use support::{Zeros, rebuilt};

const HASHING: [Algorithm; 4] =
    [Algorithm::Ring, Algorithm::Ketama, Algorithm::Rendezvous, Algorithm::Mh];

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_above_the_bound(
        algorithm in select(HASHING.to_vec()),
        percent in 101..300_u32,
        weights in vec(0..6_u16, 2..8),
        // Few keys are popular keys.
        keys in vec(0..3_u64, 1..300),
        longest in 1..200_usize,
        refuser in any::<Option<u32>>(),
    ) {
        let factor = LoadFactor::percent(percent).unwrap();
        let pool = rebuilt(&*algorithm.bounded(factor).unwrap(), &weights);
        let plain = rebuilt(&*algorithm.scheduler(), &weights);
        let tried: Vec<_> = refuser.map(|one| BackendId::new(one % weights.len() as u32)).into_iter().collect();
        let mut flows = VecDeque::new();
        for key in keys {
            let flow = Flow::new(stable_hash(&[key as u8])).retried(&tried);
            let choice = pool.pick(&flow, &mut Zeros).ok();
            let usable = || pool.members().iter().filter(|one| flow.may_use(one));
            prop_assert_eq!(choice.is_none(), usable().next().is_none());
            let Some(chosen) = choice else { break };
            let all: u64 = usable().map(|one| u64::from(one.load.active())).sum();
            let total: u64 = usable().map(|one| u64::from(one.weight)).sum();
            let bound = |index: usize| {
                let weight = u64::from(weights[index]);
                (((all + 1) * u64::from(percent)).div_ceil(100) * weight).div_ceil(total)
            };
            let index = chosen.id().number() as usize;
            prop_assert!(u64::from(chosen.load().active()) < bound(index));
            // Whom the key prefers is passed over only if it is full.
            let preferred = plain.pick(&flow, &mut Zeros).unwrap().id().number() as usize;
            if preferred != index {
                prop_assert!(u64::from(pool.members()[preferred].load.active()) >= bound(preferred));
            }
            flows.push_back(Lease::new(Arc::clone(chosen)));
            if flows.len() > longest {
                flows.pop_front();
            }
        }
    }
}

#[test]
fn they_obey_the_laws() {
    laws::check(&|| Algorithm::Rendezvous.bounded(LoadFactor::default()).unwrap());
    let small = Maglev::with_slots(509).unwrap();
    laws::check(&|| Arc::new(Bounded::new(small.clone(), LoadFactor::default())));
}

/// What one backend is too full for goes to all others.
#[test]
fn the_overflow_spreads() {
    for algorithm in HASHING {
        let pool = rebuilt(&*algorithm.bounded(LoadFactor::default()).unwrap(), &[1; 5]);
        let key = |number: u64| Flow::new(stable_hash(&number.to_be_bytes()));
        let full = Arc::clone(&pool.backends()[0]);
        let _flows: Vec<_> = (0..100).map(|_| Lease::new(Arc::clone(&full))).collect();
        let mut heirs = [0; 5];
        let plain = rebuilt(&*algorithm.scheduler(), &[1; 5]);
        let its = |number: &u64| plain.pick(&key(*number), &mut Zeros).unwrap().name() == "A";
        for number in (0..10_000).filter(its) {
            heirs[pool.pick(&key(number), &mut Zeros).unwrap().id().number() as usize] += 1;
        }
        let fair = heirs.iter().sum::<u32>() / 4;
        assert_eq!(heirs[0], 0);
        assert!(heirs[1..].iter().all(|&heir| heir < 2 * fair && heir > fair / 3), "{heirs:?}");
    }
}

#[test]
fn only_what_hashes_can_be_bounded() {
    for algorithm in Algorithm::ALL {
        let hashes =
            HASHING.contains(&algorithm) || [Algorithm::Sh, Algorithm::Dh].contains(&algorithm);
        assert_eq!(algorithm.bounded(LoadFactor::default()).is_some(), hashes, "{algorithm}");
    }
    assert_eq!(LoadFactor::percent(100), Err(TooTight { percent: 100 }));
    assert!(LoadFactor::percent(101).is_ok() && LoadFactor::percent(u32::MAX).is_ok());
}
