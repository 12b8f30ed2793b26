//! `rr`: every window of n picks visits n backends, whatever happened before and whoever refuses.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::collections::HashSet;
use std::sync::Arc;

use lb_core::{Algorithm, Backend, Flow, Pool, Weight};
use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;
use support::{Zeros, alphabet, index, tally};

fn picks(pool: &Pool<()>, count: usize) -> Vec<&str> {
    (0..count).map(|_| pool.pick(&Flow::new(0), &mut Zeros).unwrap().name()).collect()
}

fn without(pool: &Pool<()>, gone: usize) -> Pool<()> {
    let all = pool.backends().iter().zip(pool.members());
    let all = all.map(|(backend, member)| (Arc::clone(backend), member.weight)).enumerate();
    let rest = all.filter(|&(place, _)| place != gone).map(|(_, member)| member);
    Pool::new(rest.collect::<Vec<(Arc<Backend<()>>, Weight)>>(), &**pool.scheduler())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_window_is_a_permutation(weights in proptest::collection::vec(0..5_u16, 1..9), phase: u64) {
        let pool = Pool::new(alphabet(&weights), &*Algorithm::Rr.scheduler_at(phase));
        let usable = weights.iter().filter(|&&weight| weight > 0).count();
        if usable > 0 {
            for window in picks(&pool, 4 * usable).windows(usable) {
                prop_assert_eq!(window.iter().collect::<HashSet<_>>().len(), usable);
            }
        }
    }

    #[test]
    fn after_a_removal_nobody_waits_longer(count in 2..9_usize, before in 0..30_usize, gone: Index) {
        let pool = support::pool(Algorithm::Rr, &vec![1; count]);
        let past = picks(&pool, before);
        let gone = gone.index(count);
        let rest = without(&pool, gone);
        let future = picks(&rest, count - 1);
        prop_assert_eq!(future.iter().collect::<HashSet<_>>().len(), count - 1);
        // The rotation goes on where it was: who comes next is who would have come next.
        let mut upcoming = ('A'..).take(count).cycle().skip(past.len()).map(String::from);
        let gone = pool.backends()[gone].name();
        prop_assert_eq!(Some(future[0].to_owned()), upcoming.find(|name| name != gone));
    }

    #[test]
    fn who_comes_back_waits_for_its_turn(count in 2..9_usize, before in 0..30_usize, added in 1..4_usize) {
        let pool = support::pool(Algorithm::Rr, &vec![1; count]);
        picks(&pool, before);
        let more = support::rebuilt(&**pool.scheduler(), &vec![1; count + added]);
        let window = picks(&more, count + added);
        prop_assert_eq!(window.iter().collect::<HashSet<_>>().len(), count + added);
        let next = ('A'..).nth(before % count).map(String::from);
        prop_assert_eq!(Some(window[0].to_owned()), next);
    }

    /// Otherwise the one after a dead backend gets double work.
    #[test]
    fn who_refuses_leaves_its_share_to_all(count in 3..9_usize, refuser: Index) {
        let pool = support::pool(Algorithm::Rr, &vec![1; count]);
        let refuser = refuser.index(count);
        let tried = [pool.members()[refuser].id];
        let mut served = vec![0; count];
        for _ in 0..count * (count - 1) {
            let mut chosen = index(&pool, &Flow::new(0), &mut Zeros).unwrap();
            if chosen == refuser {
                chosen = index(&pool, &Flow::new(0).retried(&tried), &mut Zeros).unwrap();
            }
            served[chosen] += 1;
        }
        served.remove(refuser);
        let (least, most) = (served.iter().min().unwrap(), served.iter().max().unwrap());
        prop_assert!(most - least <= 1, "{served:?}");
    }

    #[test]
    fn churn_does_not_starve_anyone(count in 3..7_usize, flapping: Index) {
        // One backend goes and comes at every pick; the others take their turns all the same.
        let flapping = flapping.index(count);
        let mut served = vec![0; count];
        let mut pool = support::pool(Algorithm::Rr, &vec![1; count]);
        for round in 0..4 * count {
            let mut weights = vec![1; count];
            weights[flapping] = u16::from(round % 2 == 0);
            pool = support::rebuilt(&**pool.scheduler(), &weights);
            served[index(&pool, &Flow::new(0), &mut Zeros).unwrap()] += 1;
        }
        served.remove(flapping);
        prop_assert!(served.iter().all(|&count| count >= 2), "{served:?}");
    }
}

#[test]
fn weights_change_nothing() {
    let pool = support::pool(Algorithm::Rr, &[9, 1, 0, 65_535]);
    assert_eq!(tally(&pool, 0..30, &mut Zeros), [10, 10, 0, 10]);
}
