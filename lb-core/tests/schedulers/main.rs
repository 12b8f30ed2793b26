//! Every scheduler chooses as its name promises.

#[path = "../support/mod.rs"]
mod support;

mod draws_follow_the_weights;
mod every_scheduler_obeys_the_laws;
mod failing_fast_attracts_nobody;
mod first_is_the_first_that_may;
mod fleets_do_not_flock;
mod golden_sequences;
mod groups_split_as_they_say;
mod least_load_is_minimal;
mod least_time_is_weighed;
mod ovf_fills_up_and_runs_over;
mod p2c_draws_by_weight;
mod round_robin_is_a_permutation;
mod subsets_are_even_and_stay;
mod ties_follow_weight;
mod weighted_shares_are_exact;
mod wrr_ipvs_is_the_kernels;
