//! The machines that turn results into verdicts, on a clock that the tests turn.

#[path = "../thorough/mod.rs"]
mod thorough;
#[path = "../world/mod.rs"]
mod world;

mod a_check_never_overlaps_itself;
mod a_hundred_thousand_checks_are_no_burden;
mod a_reload_costs_what_it_changes;
mod a_script_plays_through_the_real_machines;
mod an_agent_of_no_help_keeps_nobody_waiting;
mod faults_of_this_host_take_nothing_down;
mod impossible_specs_are_refused;
mod one_check_speaks_for_many;
mod outliers_are_ejected_and_come_back;
mod reload_and_maintenance_keep_the_verdict;
mod reports_make_one_weight;
mod rise_and_fall_follow_the_table;
mod some_reports_pass_only_while_up;
mod the_last_results_are_remembered;
mod the_period_does_not_drift;
mod traffic_and_checks_that_disagree_do_not_flap;
mod traffic_failures_count_as_one_each;
mod who_fails_fast_is_ejected;
