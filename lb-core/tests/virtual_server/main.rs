//! Which backends are in the pool, and what becomes of a change.

#[path = "../support/mod.rs"]
mod support;

mod a_name_is_one_identity;
mod concurrent_publish;
mod ejected_backends_are_out_but_never_the_last;
mod inhibited_backends_keep_who_is_there;
mod limits_that_checks_report_hold;
mod panic_believes_nobody;
mod quorum_oracle;
mod reload_keeps_identity;
mod slow_start_is_bit_by_bit;
mod sorry_server;
