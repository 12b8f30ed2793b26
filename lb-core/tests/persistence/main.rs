//! Clients belong to a backend, by a table or by a cookie, for as long as was said.

#[path = "../support/mod.rs"]
mod support;

mod clients_with_open_flows_stay;
mod cookies_are_honoured_or_refused;
mod cookies_lead_home;
mod floods_push_nobody_out;
mod persisted_clients_stay_or_move;
mod persistence_merges;
mod persistence_model;
