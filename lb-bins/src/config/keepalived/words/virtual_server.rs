//! The words of virtual servers.

use super::{KERNEL, MAIL, SNMP, Words, block, checkers, once, same, unused, unused_block};

const FALLBACK: &str = "a client of a server that is gone always goes to another";
const INHIBIT: &str = "connections to it go on in any case";

pub(super) const VIRTUAL_SERVER: Words = &[
    once("alpha"),
    once("connect_timeout"),
    once("delay_before_retry"),
    once("delay_loop"),
    once("flag-1"),
    once("flag-2"),
    once("flag-3"),
    unused("ha_suspend", "servers are checked whether the address is here or not"),
    unused("hashed", KERNEL),
    once("hysteresis"),
    once("inhibit_on_failure"),
    unused("ip_family", "it is for firewall marks"),
    same("lb_algo", "lvs_sched"),
    same("lb_kind", "lvs_method"),
    once("lvs_method"),
    once("lvs_sched"),
    unused("mh-fallback", FALLBACK),
    once("mh-port"),
    once("omega"),
    unused("ops", "it is for UDP"),
    unused("persistence_engine", "clients are known by their address alone"),
    once("persistence_granularity"),
    once("persistence_timeout"),
    once("protocol"),
    once("quorum"),
    once("quorum_down"),
    once("quorum_up"),
    block("real_server", REAL_SERVER),
    once("retry"),
    unused("sh-fallback", FALLBACK),
    once("sh-port"),
    unused("smtp_alert", MAIL),
    unused("snmp_name", SNMP),
    once("sorry_server"),
    unused("sorry_server_inhibit", INHIBIT),
    unused("sorry_server_lvs_method", "clients are connected to the sorry server as to any other"),
    once("virtualhost"),
    once("warmup"),
    once("weight"),
];

const REAL_SERVER: Words = &[
    once("alpha"),
    once("connect_timeout"),
    once("delay_before_retry"),
    once("delay_loop"),
    once("inhibit_on_failure"),
    once("lthreshold"),
    once("lvs_method"),
    once("notify_down"),
    once("notify_up"),
    once("retry"),
    unused("smtp_alert", MAIL),
    unused("snmp_name", SNMP),
    once("uthreshold"),
    once("virtualhost"),
    once("warmup"),
    once("weight"),
    unused_block(
        "BFD_CHECK",
        checkers::BFD_CHECK,
        "BFD is not spoken: the server is checked without it",
    ),
    block("DNS_CHECK", checkers::DNS_CHECK),
    block("FILE_CHECK", checkers::FILE_CHECK),
    block("HTTP_GET", checkers::HTTP_GET),
    block("MISC_CHECK", checkers::MISC_CHECK),
    block("PING_CHECK", checkers::PING_CHECK),
    block("SMTP_CHECK", checkers::SMTP_CHECK),
    block("SSL_GET", checkers::SSL_GET),
    block("TCP_CHECK", checkers::TCP_CHECK),
    block("UDP_CHECK", checkers::UDP_CHECK),
];

/// For `SSL_GET`.
pub(super) const SSL: Words = &[
    unused("ca", "keepalived looks at no certificate, and so do imported checks"),
    once("certificate"),
    once("key"),
    unused("password", "the key must not be encrypted"),
];
