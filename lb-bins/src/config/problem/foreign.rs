//! What other balancers call it: the word for it here.

/// A word of another balancer, what is written here instead, and what else there is to say.
type Foreign = (&'static str, &'static str, &'static str);

/// Keys. What is written here begins with a key, which must be known where the mistake was made.
const KEYS: &[Foreign] = &[
    ("addr", "address", ""),
    ("alpha", "initial = \"down\"", ", the default"),
    ("backend", "virtual_server", ""),
    ("backup", "priority = 1", ""),
    ("balance", "scheduler", ""),
    ("bind", "listen", ""),
    ("bindto", "source", ""),
    ("connect_ip", "address", ""),
    ("connect_port", "port", ""),
    ("connect_timeout", "timeout", ", for the whole check"),
    ("delay_before_retry", "fast_interval", ""),
    ("delay_loop", "interval", ""),
    ("digest", "md5", ""),
    ("downinter", "down_interval", ""),
    ("enable_sni", "sni", ""),
    ("fail_timeout", "passive", ""),
    ("fastinter", "fast_interval", ""),
    ("frontend", "virtual_server", ""),
    ("helo_name", "helo", ""),
    ("inhibit_on_failure", "on_failure = \"weight-0\"", ""),
    ("inter", "interval", ""),
    ("lb_algo", "scheduler", ""),
    ("listen", "virtual_server", ""),
    ("lvs_sched", "scheduler", ""),
    ("lthreshold", "l_threshold", ""),
    ("max_conns", "max_connections", ""),
    ("max_fails", "fall", ""),
    ("maxconn", "max_connections", ""),
    ("misc_dynamic", "dynamic_weight", ""),
    ("misc_path", "command", ""),
    ("misc_timeout", "timeout", ""),
    ("notify_down", "on_down", ""),
    ("notify_up", "on_up", ""),
    ("outlier_detection", "passive", ""),
    ("payload", "send_hex", ""),
    ("persistence_granularity", "persistence = { granularity = … }", ""),
    ("persistence_timeout", "persistence = { timeout = … }", ""),
    ("quorum_down", "on_quorum_down", ""),
    ("quorum_up", "on_quorum_up", ""),
    ("real_server", "backend", ""),
    ("redispatch", "retries", ""),
    ("retry", "fall", ", which is one more"),
    ("server", "backend", ""),
    ("slowstart", "slow_start", ""),
    ("smtp_server", "smtp = { server = … }", ""),
    ("status_code", "status", ""),
    ("sticky", "persistence", ""),
    ("upstream", "virtual_server", ""),
    ("uri", "path", ""),
    ("url", "path", ""),
    ("uthreshold", "u_threshold", ""),
    ("virtualhost", "host", ""),
];

/// Words after keys.
const WORDS: &[Foreign] = &[
    ("DNS_CHECK", "dns", ""),
    ("FILE_CHECK", "file", ""),
    ("HTTP_GET", "http", ""),
    ("MISC_CHECK", "script", ""),
    ("PING_CHECK", "ping", ""),
    ("SMTP_CHECK", "smtp", ""),
    ("SSL_GET", "https", ""),
    ("TCP_CHECK", "tcp", ""),
    ("UDP_CHECK", "udp", ""),
    ("exec", "script", ""),
    ("icmp", "ping", ""),
    ("ip_hash", "sh", ""),
    ("least_conn", "lc", "; by weight, \"wlc\""),
    ("leastconn", "lc", "; by weight, \"wlc\""),
    ("maglev", "mh", ""),
    ("mariadb", "mysql", ""),
    ("pgsql", "postgres", ""),
    ("postgresql", "postgres", ""),
    ("round_robin", "rr", "; by weight, \"wrr\""),
    ("roundrobin", "rr", "; by weight, \"wrr\""),
    ("slave", "replica", ""),
    ("source", "sh", ""),
    ("ssl", "tls", ""),
    ("static-rr", "wrr", ""),
    ("twos", "p2c", ""),
];

/// The remedy for a word of another balancer that means one of the `known`, which are shown in
/// `quotes`.
pub(super) fn ours(word: &str, known: &[&str], quotes: &str) -> Option<String> {
    let table = if quotes == "`" { KEYS } else { WORDS };
    let is_known = |ours: &str| known.iter().any(|known| ours.split(' ').next() == Some(known));
    let mut meant = table.iter().filter(|&&(foreign, ours, _)| foreign == word && is_known(ours));
    meant.next().map(|(_, ours, note)| format!("here that is {quotes}{ours}{quotes}{note}"))
}
