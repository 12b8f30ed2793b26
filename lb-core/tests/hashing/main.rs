//! The same key goes to the same backend, and moves only if it must.

#[path = "../support/mod.rs"]
mod support;

mod hash_golden;
mod hash_moves_only_its_own;
mod ketama_is_nginxs;
mod loads_are_bounded;
mod locality_is_kept;
mod maglev_is_even;
mod reconfiguring_moves_only_its_own;
mod source_hash_moves_only_its_own;
