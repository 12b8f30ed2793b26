//! The tower edge: a request finds its backend, waits, is sent again, and is counted.

#[path = "../support/mod.rs"]
mod support;

mod balance_composes_with_tower;
mod discovery_becomes_pools;
mod full_backends_make_a_queue;
mod grpc_clients_are_balanced;
mod layers_beneath_balance;
mod outcomes_are_reported;
mod redispatch;
mod who_is_not_ready_in_time_is_passed_over;
