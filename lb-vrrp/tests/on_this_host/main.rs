//! A `LinuxNetwork` without a driver, in a network namespace of its own.
//!
//! Needs root and `ip`: `cargo test --features linux -- --ignored`. What is counted and limited here is
//! the whole process's, so that one test runs at a time.
#![cfg(all(feature = "linux", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]
#![allow(clippy::disallowed_methods, reason = "this is about a real kernel, in real time")]

mod long_advertisements_are_sent;
mod namespace;
mod one_speaks_for_a_router;
mod packets_stay_refused;
mod reloads_leave_nothing_open;
mod routes_outlive_their_interfaces;
mod routes_stand_beside_those_of_the_host;
mod rules_are_told_apart;
mod some_addresses_are_not_sent_from;
mod virtual_mac_addresses_stay;
mod what_does_not_move_is_inherited;
mod what_was_missed_is_seen_later;

use std::net::IpAddr;
use std::time::Duration;

use lb_vrrp::driver::{Input, Network, RouterId};
use lb_vrrp::linux::{LinuxNetwork, Settings};
use lb_vrrp::{AddressList, ChannelConfig, Vrid};

const MS: Duration = Duration::from_millis(1);

/// A channel of `10.99.0.200`, from `source`.
fn channel(source: impl Into<IpAddr>) -> ChannelConfig {
    let addresses = AddressList::new([[10, 99, 0, 200].into()]).unwrap();
    ChannelConfig::new(Vrid::new(51).unwrap(), source.into(), addresses).unwrap()
}

/// A network with one router on `eth0` of [`channel`], whose settings are `set` beside.
fn open(set: impl FnOnce(&mut Settings)) -> (LinuxNetwork, RouterId) {
    let mut network = LinuxNetwork::new().unwrap();
    let mut settings = Settings::new("eth0");
    set(&mut settings);
    let id = network.open(&channel([10, 99, 0, 1]), settings).unwrap();
    (network, id)
}

/// All that has happened, as text, and how often it could not be found out.
fn drain(network: &mut LinuxNetwork) -> (Vec<(RouterId, String)>, usize) {
    let (mut inputs, mut errors) = (Vec::new(), 0);
    loop {
        match network.next_input() {
            Ok(None) => return (inputs, errors),
            Ok(Some((_, Input::Datagram(_)))) => {}
            Ok(Some((id, input))) => inputs.push((id, format!("{input:?}"))),
            Err(_) => errors += 1,
        }
    }
}
