//! The words of checkers.

use super::{Words, block, once, same, unused};

const PORT: &str = "a ping has no port";
const SNI: &str = "there is no TLS to ask for a name in";

/// The blocks that are checkers.
pub(in super::super) const CHECKERS: &[&str] = &[
    "DNS_CHECK",
    "FILE_CHECK",
    "HTTP_GET",
    "MISC_CHECK",
    "PING_CHECK",
    "SMTP_CHECK",
    "SSL_GET",
    "TCP_CHECK",
    "UDP_CHECK",
];

pub(super) const BFD_CHECK: Words = &[once("alpha"), once("name")];

pub(super) const DNS_CHECK: Words = &[
    once("alpha"),
    once("bind_if"),
    once("bind_port"),
    once("bindto"),
    once("connect_ip"),
    once("connect_port"),
    once("connect_timeout"),
    once("delay_before_retry"),
    once("delay_loop"),
    once("fwmark"),
    unused("log_all_failures", "/status shows the last result of each check"),
    once("name"),
    once("retry"),
    once("type"),
    once("warmup"),
];

pub(super) const FILE_CHECK: Words = &[
    unused("dynamic", "the number in the file is always a weight, as in keepalived"),
    once("track_file"),
    once("weight"),
];

pub(super) const HTTP_GET: Words = &[
    once("alpha"),
    once("bind_if"),
    once("bind_port"),
    once("bindto"),
    once("connect_ip"),
    once("connect_port"),
    once("connect_timeout"),
    once("delay_before_retry"),
    once("delay_loop"),
    unused("enable_sni", SNI),
    unused("fast_recovery", "a server is up again when all pages are"),
    once("fwmark"),
    once("http_protocol"),
    unused("log_all_failures", "/status shows the last result of each check"),
    same("nb_get_retry", "retry"),
    once("retry"),
    once("sni_name"),
    unused("tls_compliant", "nobody proves who he is, so that TLS' last word would prove nothing"),
    block("url", URL),
    once("virtualhost"),
    once("warmup"),
];

pub(super) const MISC_CHECK: Words = &[
    once("alpha"),
    once("delay_before_retry"),
    once("delay_loop"),
    unused("log_all_failures", "/status shows the last result of each check"),
    once("misc_dynamic"),
    once("misc_path"),
    once("misc_timeout"),
    once("retry"),
    once("user"),
    once("warmup"),
];

pub(super) const PING_CHECK: Words = &[
    once("alpha"),
    once("bind_if"),
    unused("bind_port", PORT),
    once("bindto"),
    once("connect_ip"),
    once("connect_port"),
    once("connect_timeout"),
    once("delay_before_retry"),
    once("delay_loop"),
    once("fwmark"),
    unused("log_all_failures", "/status shows the last result of each check"),
    once("retry"),
    once("warmup"),
];

pub(super) const SMTP_CHECK: Words = &[
    once("alpha"),
    once("bind_if"),
    once("bind_port"),
    once("bindto"),
    once("connect_ip"),
    once("connect_port"),
    once("connect_timeout"),
    once("delay_before_retry"),
    once("delay_loop"),
    once("fwmark"),
    once("helo_name"),
    block("host", HOST),
    unused("log_all_failures", "/status shows the last result of each check"),
    once("retry"),
    once("warmup"),
];

pub(super) const SSL_GET: Words = &[
    once("alpha"),
    once("bind_if"),
    once("bind_port"),
    once("bindto"),
    once("connect_ip"),
    once("connect_port"),
    once("connect_timeout"),
    once("delay_before_retry"),
    once("delay_loop"),
    once("enable_sni"),
    unused("fast_recovery", "a server is up again when all pages are"),
    once("fwmark"),
    once("http_protocol"),
    unused("log_all_failures", "/status shows the last result of each check"),
    same("nb_get_retry", "retry"),
    once("retry"),
    once("sni_name"),
    unused("tls_compliant", "nobody proves who he is, so that TLS' last word would prove nothing"),
    block("url", URL),
    once("virtualhost"),
    once("warmup"),
];

pub(super) const TCP_CHECK: Words = &[
    once("alpha"),
    once("bind_if"),
    once("bind_port"),
    once("bindto"),
    once("connect_ip"),
    once("connect_port"),
    once("connect_timeout"),
    once("delay_before_retry"),
    once("delay_loop"),
    once("fwmark"),
    unused("log_all_failures", "/status shows the last result of each check"),
    once("retry"),
    once("warmup"),
];

pub(super) const UDP_CHECK: Words = &[
    once("alpha"),
    once("bind_if"),
    once("bind_port"),
    once("bindto"),
    once("connect_ip"),
    once("connect_port"),
    once("connect_timeout"),
    once("delay_before_retry"),
    once("delay_loop"),
    once("fwmark"),
    unused("log_all_failures", "/status shows the last result of each check"),
    once("max_reply_length"),
    once("min_reply_length"),
    once("payload"),
    once("require_reply"),
    once("retry"),
    once("warmup"),
];

const URL: Words = &[
    once("digest"),
    once("path"),
    once("regex"),
    unused("regex_max_offset", "all of the body is looked at"),
    unused("regex_min_offset", "all of the body is looked at"),
    once("regex_no_match"),
    once("regex_options"),
    unused("regex_stack", "expressions need none"),
    once("status_code"),
    unused("tls_compliant", "nobody proves who he is, so that TLS' last word would prove nothing"),
    once("virtualhost"),
];

const HOST: Words = &[
    once("alpha"),
    once("bind_if"),
    once("bind_port"),
    once("bindto"),
    once("connect_ip"),
    once("connect_port"),
    once("connect_timeout"),
    once("delay_before_retry"),
    once("delay_loop"),
    once("fwmark"),
    unused("log_all_failures", "/status shows the last result of each check"),
    once("retry"),
    once("warmup"),
];
