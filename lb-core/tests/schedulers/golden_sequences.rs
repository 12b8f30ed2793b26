//! Sequences known from the field: nginx's smooth round robin, and what IPVS' schedulers do with
//! flows that stay. Ties go to the first in the list, as in the kernel.

use crate::support;

use lb_core::Algorithm::{self, First, Fo, Nq, Ovf, Rr, Sed, Wlc, Wrr, WrrIpvs};
use support::{Zeros, letters, pool};

fn sequence(algorithm: Algorithm, weights: &[u16], count: usize) -> String {
    letters(&pool(algorithm, weights), count, &mut Zeros)
}

#[test]
fn wrr_is_the_smooth_one_of_nginx() {
    for (weights, period) in [
        (&[5, 1, 1][..], "AABACAA"),
        (&[4, 3, 2], "ABCABACBA"),
        (&[2, 2, 1], "ABCAB"),
        (&[3, 1], "AABA"),
        // What weights have in common does not show.
        (&[300, 100], "AABA"),
        (&[0, 3, 0, 1], "BBDB"),
    ] {
        assert_eq!(sequence(Wrr, weights, 3 * period.len()), period.repeat(3), "{weights:?}");
    }
}

#[test]
fn wrr_ipvs_is_the_one_of_the_kernel() {
    for (weights, period) in [
        (&[4, 3, 2][..], "AABABCABC"),
        (&[5, 1, 1], "AAAAABC"),
        (&[2, 2, 1], "ABABC"),
        (&[3, 1], "AAAB"),
        // What weights have in common does not show.
        (&[300, 100], "AAAB"),
        (&[0, 3, 0, 1], "BBBD"),
        (&[1, 2], "BAB"),
    ] {
        assert_eq!(sequence(WrrIpvs, weights, 3 * period.len()), period.repeat(3), "{weights:?}");
    }
}

#[test]
fn wlc_fills_by_flows_per_weight() {
    assert_eq!(sequence(Wlc, &[1, 2, 3], 9), "ABCCBCABC");
    assert_eq!(sequence(Wlc, &[10, 1, 1], 15), "ABCAAAAAAAAAABC");
}

#[test]
fn sed_leaves_the_light_ones_idle_at_first() {
    assert_eq!(sequence(Sed, &[10, 1, 1], 15), "AAAAAAAAAABCAAA");
    assert_eq!(sequence(Sed, &[1, 2, 3], 9), "CBCABCCBC");
}

#[test]
fn nq_leaves_nobody_idle() {
    assert_eq!(sequence(Nq, &[10, 1, 1], 15), "ABCAAAAAAAAAAAA");
    assert_eq!(sequence(Nq, &[1, 2, 3], 9), "ABCCBCCBC");
}

#[test]
fn lc_is_blind_to_weights() {
    assert_eq!(sequence(Algorithm::Lc, &[10, 1, 0, 1], 7), "ABDABDA");
}

#[test]
fn fo_sends_all_to_the_heaviest() {
    assert_eq!(sequence(Fo, &[1, 3, 3, 0], 5), "BBBBB");
    assert_eq!(sequence(Fo, &[1, 0, 0, 0], 5), "AAAAA");
}

#[test]
fn ovf_runs_over_after_one_more_than_the_weight() {
    assert_eq!(sequence(Ovf, &[3, 2, 1], 9), "AAAABBBCC");
    assert_eq!(sequence(Ovf, &[1, 3, 3, 0], 10), "BBBBCCCCAA");
}

#[test]
fn first_is_the_first_that_has_a_weight() {
    assert_eq!(sequence(First, &[0, 1, 9], 5), "BBBBB");
}

#[test]
fn rr_is_blind_to_weights() {
    assert_eq!(sequence(Rr, &[9, 1, 0, 5], 7), "ABDABDA");
}
