//! `first`: nobody gets a flow while one before it in the list may have it.

use crate::support;

use lb_core::backend::BackendId;
use lb_core::{Algorithm, Flow};
use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};
use support::{Zeros, index, pool};

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_before_the_chosen_one_may(weights in vec(0..3_u16, 0..9), tried in vec(0..9_u32, 0..4)) {
        let pool = pool(Algorithm::First, &weights);
        let refused: Vec<_> = tried.iter().copied().map(BackendId::new).collect();
        let may = |place: &usize| weights[*place] > 0 && !tried.contains(&(*place as u32));
        let chosen = index(&pool, &Flow::new(0).retried(&refused), &mut Zeros);
        prop_assert_eq!(chosen, (0..weights.len()).find(may));
    }
}

#[test]
fn who_comes_back_is_first_again() {
    let before = pool(Algorithm::First, &[1, 1, 1]);
    assert_eq!(support::letters(&before, 3, &mut Zeros), "AAA");
    let drained = support::rebuilt(&**before.scheduler(), &[0, 1, 1]);
    assert_eq!(support::letters(&drained, 3, &mut Zeros), "BBB");
    let back = support::rebuilt(&**drained.scheduler(), &[1, 1, 1]);
    assert_eq!(support::letters(&back, 3, &mut Zeros), "AAA");
}
