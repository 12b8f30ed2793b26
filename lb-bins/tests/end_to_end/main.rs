//! The daemon from the outside: real processes, real sockets, backends that die.
//!
//! Each test has a daemon, ports and a directory of its own, and all of them run side by side.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod harness;

mod a_bad_start_starts_nothing;
mod a_black_hole_attracts_nobody;
mod a_keepalived_conf_is_served;
mod a_log_that_fails_harms_nothing;
mod a_socket_answers_its_owner;
mod backends_fail;
mod backends_start_slowly;
mod changed_checks_decide_anew;
mod changes_come_by_mail;
mod changes_go_through_a_pipe;
mod checks_are_measured;
mod checks_decide;
mod checks_report_weights;
mod clients_alone_take_few_down;
mod clients_are_kept;
mod clients_that_fail_eject;
mod descriptors_run_out;
mod drained_clients_stay_or_move;
mod each_type_of_check_decides;
mod everything_is_shown;
mod failed_backends_may_keep_their_clients;
mod few_survivors_are_not_believed;
mod files_that_hang_hold_up_nobody;
mod hashing_keeps_to_its_key;
mod keepaliveds_verdicts_are_ours;
mod kept_connections_outlive_reloads;
mod ketama_agrees_with_nginx;
mod limits_hold;
mod links_have_addresses_of_their_own;
mod mariadb_pool_follows_its_primary;
mod names_stand_for_addresses;
mod nginx_as_backend;
mod one_check_can_be_run_now;
mod orders_change_backends;
mod persisted_clients_may_wait_or_be_refused;
mod priorities_and_zones_decide;
mod quorum_decides;
mod real_servers_are_judged;
mod reload_harms_nobody;
mod scripts_hear_of_backends;
mod shares_follow_the_scheduler;
mod shutdown_finishes_what_began;
mod sorry_servers_may_be_checked;
mod states_are_explained;
mod streams_are_exact;
mod the_demo_runs;
mod the_service_manager_is_told;
