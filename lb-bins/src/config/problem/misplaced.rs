//! Keys that are known, but not where they were found.
//!
//! In TOML a key belongs to the last header above it, so that one which is written below a
//! `[[virtual_server.backend]]` is a backend's, whatever was meant. And nginx and HAProxy have on each server
//! what is here said once for all of them.

/// Of the file.
const FILE: &[&str] = &[
    "admin",
    "admin_allow_remote",
    "max_checks",
    "max_scripts",
    "notify_fifo",
    "notify_fifo_script",
    "notify_timeout",
    "resolvers",
    "script_security",
    "script_user",
    "smtp",
];

/// Of a virtual server.
const VIRTUAL_SERVER: &[&str] = &[
    "backend",
    "bounded",
    "connect_timeout",
    "down_when_stopped",
    "drain_timeout",
    "draining_clients",
    "forwarding",
    "hash_granularity",
    "hash_key",
    "hash_seed",
    "hysteresis",
    "listen",
    "on_quorum_down",
    "on_quorum_up",
    "panic_below",
    "passive",
    "persistence",
    "queue",
    "quorum",
    "retries",
    "scheduler",
    "slow_start",
    "slowstart",
    "sorry_check",
    "sorry_mode",
    "sorry_server",
    "spill_below",
];

/// Where `key` belongs, if it is not one of those `known` where it was found.
pub(super) fn place(key: &str, known: &[&str]) -> Option<&'static str> {
    let is_below = |keys: &[&str]| keys.iter().any(|key| known.contains(key));
    // Told apart by a key that nothing else has: backends, their checks, virtual servers.
    if FILE.contains(&key) && is_below(&["u_threshold", "fast_interval", "scheduler"]) {
        return Some("that is said of all: write it at the top, before the first [[…]]");
    }
    if VIRTUAL_SERVER.contains(&key) && is_below(&["u_threshold", "fast_interval"]) {
        return Some(
            "that is said of the virtual server: write it below [[virtual_server]], before any \
             [virtual_server.…] or [[virtual_server.…]]",
        );
    }
    None
}
