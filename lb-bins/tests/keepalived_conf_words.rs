//! Every word of keepalived's manual page for virtual servers, real servers and checkers: it means
//! something here, or a warning names it. Nothing is passed over in silence.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use lb_bins::config::Config;

/// What becomes of a word.
enum Becomes {
    /// The configuration has this line, which it does not have without the word.
    Imported(&'static str),
    /// A warning says that it has no effect.
    Named,
}
use Becomes::{Imported, Named};

/// A block, the lines that are written into it, and what becomes of the last one's word.
type Case = (&'static str, &'static str, Becomes);

const VIRTUAL_SERVER: &[Case] = &[
    ("virtual_server", "lvs_sched rr", Imported("scheduler = \"rr\"")),
    ("virtual_server", "lb_algo twos", Imported("scheduler = \"p2c\"")),
    ("virtual_server", "lvs_sched sh\nflag-2", Imported("hash_key = \"source-port\"")),
    ("virtual_server", "flag-1", Named),
    ("virtual_server", "flag-3", Named),
    ("virtual_server", "lvs_sched sh\nsh-port", Imported("hash_key = \"source-port\"")),
    ("virtual_server", "lvs_sched mh\nmh-port", Imported("hash_key = \"source-port\"")),
    ("virtual_server", "lvs_sched sh\nsh-fallback", Named),
    ("virtual_server", "lvs_sched mh\nmh-fallback", Named),
    ("virtual_server", "ops", Named),
    ("virtual_server", "hashed", Named),
    ("virtual_server", "lvs_method DR", Imported("forwarding = \"dr\"")),
    ("virtual_server", "lb_kind TUN", Imported("forwarding = \"tun\"")),
    ("virtual_server", "persistence_engine sip", Named),
    ("virtual_server", "persistence_timeout 70", Imported("timeout = \"1m10s\"")),
    ("virtual_server", "persistence_granularity 255.255.255.0", Imported("granularity = 24")),
    ("virtual_server", "ha_suspend", Named),
    ("virtual_server", "smtp_alert", Named),
    ("virtual_server", "virtualhost www.example.org", Imported("host = \"www.example.org\"")),
    ("virtual_server", "snmp_name web", Named),
    ("virtual_server", "alpha", Imported("initial = \"down\"")),
    ("virtual_server", "omega", Imported("down_when_stopped = true")),
    ("virtual_server", "weight 10\nquorum 2", Imported("quorum = 2")),
    ("virtual_server", "weight 10\nquorum 2\nhysteresis 1", Imported("hysteresis = 1")),
    (
        "virtual_server",
        "quorum_up \"/bin/true up\"",
        Imported("on_quorum_up = [\"/bin/true\", \"up\"]"),
    ),
    ("virtual_server", "quorum_down /bin/false", Imported("on_quorum_down = [\"/bin/false\"]")),
    ("virtual_server", "ip_family inet", Named),
    ("virtual_server", "sorry_server 192.0.2.9 81", Imported("sorry_server = \"192.0.2.9:81\"")),
    ("virtual_server", "sorry_server 192.0.2.9 81\nsorry_server_inhibit", Named),
    ("virtual_server", "sorry_server 192.0.2.9 81\nsorry_server_lvs_method NAT", Named),
    ("virtual_server", "connect_timeout 7", Imported("timeout = \"7s\"")),
    ("virtual_server", "retry 4", Imported("fall = 5")),
    ("virtual_server", "delay_before_retry 9", Imported("fast_interval = \"9s\"")),
    ("virtual_server", "warmup 11", Imported("warmup = \"11s\"")),
    ("virtual_server", "delay_loop 13", Imported("interval = \"13s\"")),
    ("virtual_server", "inhibit_on_failure", Imported("on_failure = \"weight-0\"")),
    ("virtual_server", "weight 7", Imported("weight = 7")),
];

const REAL_SERVER: &[Case] = &[
    ("real_server", "weight 5", Imported("weight = 5")),
    ("real_server", "lvs_method DR", Named),
    ("real_server", "notify_up \"/bin/true up\"", Imported("on_up = [\"/bin/true\", \"up\"]")),
    ("real_server", "notify_down /bin/false", Imported("on_down = [\"/bin/false\"]")),
    ("real_server", "uthreshold 100", Imported("u_threshold = 100")),
    ("real_server", "uthreshold 100\nlthreshold 50", Imported("l_threshold = 50")),
    ("real_server", "lthreshold 50", Named),
    ("real_server", "smtp_alert", Named),
    ("real_server", "virtualhost www.example.org", Imported("host = \"www.example.org\"")),
    ("real_server", "snmp_name first", Named),
    ("real_server", "alpha", Imported("initial = \"down\"")),
    ("real_server", "connect_timeout 7", Imported("timeout = \"7s\"")),
    ("real_server", "retry 4", Imported("fall = 5")),
    ("real_server", "delay_before_retry 9", Imported("fast_interval = \"9s\"")),
    ("real_server", "warmup 11", Imported("warmup = \"11s\"")),
    ("real_server", "delay_loop 13", Imported("interval = \"13s\"")),
    ("real_server", "inhibit_on_failure", Imported("on_failure = \"weight-0\"")),
    ("real_server", "BFD_CHECK {\nname peer\n}", Named),
];

/// What every checker has that opens a connection.
const CONNECTION: &[(&str, Becomes)] = &[
    ("connect_ip 192.0.2.77", Imported("address = \"192.0.2.77:")),
    ("connect_port 8080", Imported("port = 8080")),
    ("bindto 192.0.2.78", Imported("source = \"192.0.2.78\"")),
    ("bind_if eth9", Imported("interface = \"eth9\"")),
    ("bind_port 999", Imported("source_port = 999")),
    ("fwmark 3", Imported("mark = 3")),
    ("connect_timeout 7", Imported("timeout = \"7s\"")),
];

/// What every checker has but two.
const EACH: &[(&str, Becomes)] = &[
    ("alpha", Imported("initial = \"down\"")),
    ("retry 0", Imported("fall = 1")),
    ("delay_before_retry 9", Imported("fast_interval = \"9s\"")),
    ("warmup 11", Imported("warmup = \"11s\"")),
    ("delay_loop 13", Imported("interval = \"13s\"")),
    ("log_all_failures", Named),
];

const CHECKERS: &[Case] = &[
    ("HTTP_GET", "http_protocol 1.0", Imported("version = \"1.0\"")),
    ("HTTP_GET", "http_protocol 1.0C", Imported("version = \"1.0\"")),
    ("HTTP_GET", "http_protocol 1.0c", Imported("version = \"1.0\"")),
    ("HTTP_GET", "fast_recovery", Named),
    ("HTTP_GET", "nb_get_retry 6", Imported("fall = 7")),
    ("HTTP_GET", "virtualhost www.example.org", Imported("host = \"www.example.org\"")),
    ("HTTP_GET", "enable_sni", Named),
    ("HTTP_GET", "url {\npath /more\n}", Imported("path = \"/more\"")),
    ("SSL_GET", "http_protocol 1.0", Imported("version = \"1.0\"")),
    ("SSL_GET", "fast_recovery", Named),
    ("SSL_GET", "virtualhost www.example.org", Imported("host = \"www.example.org\"")),
    ("SSL_GET", "virtualhost www.example.org\nenable_sni", Imported("sni = \"www.example.org\"")),
    ("SSL_GET", "sni_name www.example.org", Imported("sni = \"www.example.org\"")),
    ("SSL_GET", "tls_compliant", Named),
    (
        "url",
        "digest 9b3a0c85a887a256d6939da88aabd8cd",
        Imported("md5 = \"9b3a0c85a887a256d6939da88aabd8cd\""),
    ),
    ("url", "status_code 200-299 404", Imported("status = [\"200-299\", \"404\"]")),
    ("url", "virtualhost www.example.org", Imported("host = \"www.example.org\"")),
    ("url", "regex alive", Imported("body_regex = \"alive\"")),
    ("url", "regex alive\nregex_no_match", Imported("body_not = true")),
    ("url", "regex alive\nregex_options caseless", Imported("body_regex = \"(?i)alive\"")),
    ("url", "regex alive\nregex_stack 1 2", Named),
    ("url", "regex alive\nregex_min_offset 5", Named),
    ("url", "regex alive\nregex_max_offset 5", Named),
    ("url", "tls_compliant", Named),
    ("SMTP_CHECK", "helo_name lb.example.org", Imported("helo = \"lb.example.org\"")),
    ("SMTP_CHECK", "host {\nconnect_port 26\n}", Imported("port = 26")),
    ("DNS_CHECK", "type MX", Imported("record = \"MX\"")),
    ("DNS_CHECK", "name example.org", Imported("name = \"example.org\"")),
    ("MISC_CHECK", "misc_path \"/bin/true more\"", Imported("command = [\"/bin/true\", \"more\"]")),
    ("MISC_CHECK", "misc_timeout 17", Imported("timeout = \"17s\"")),
    ("MISC_CHECK", "misc_dynamic", Imported("dynamic_weight = true")),
    ("MISC_CHECK", "user nobody", Imported("user = \"nobody\"")),
    ("MISC_CHECK", "misc_path /bin/false nobody daemon", Imported("user = \"nobody:daemon\"")),
    ("UDP_CHECK", "payload Ab1", Imported("send_hex = \"ab01\"")),
    ("UDP_CHECK", "require_reply", Imported("require_reply = true")),
    ("UDP_CHECK", "require_reply a1x2", Imported("expect_hex = \"a1x2\"")),
    ("UDP_CHECK", "require_reply a1x2", Imported("max_reply = 255")),
    ("UDP_CHECK", "min_reply_length 5", Imported("min_reply = 5")),
    ("UDP_CHECK", "max_reply_length 500", Imported("max_reply = 500")),
    ("FILE_CHECK", "track_file other", Imported("path = \"/run/other\"")),
    ("FILE_CHECK", "dynamic", Named),
    ("FILE_CHECK", "weight 5", Imported("weight = 5\nreverse = false")),
    ("FILE_CHECK", "weight 5 reverse", Imported("reverse = true")),
    ("SSL", "password secret", Named),
    ("SSL", "ca /etc/ca.pem", Named),
    ("SSL", "certificate /etc/c.pem\nkey /etc/k.pem", Imported("certificate = \"/etc/c.pem\"")),
];

/// What a checker cannot do without.
fn needed(checker: &str) -> &'static str {
    match checker {
        "HTTP_GET" | "SSL_GET" => "url {\npath /\n@URL@\n}\n",
        "MISC_CHECK" => "misc_path /bin/true\n",
        "FILE_CHECK" => "track_file load\n",
        _ => "",
    }
}

/// A virtual server with two servers, of which the first has `checker`; the lines are in `block`.
fn text(block: &str, lines: &str) -> String {
    let checker = match block {
        "virtual_server" | "real_server" | "url" => "HTTP_GET",
        "SSL" => "SSL_GET",
        checker => checker,
    };
    let inner = |of: &str| if block == of { lines } else { "" };
    let own = if block == checker { lines } else { "" };
    let needed = needed(checker).replace("@URL@", inner("url"));
    format!(
        "track_file load {{\nfile /run/load\n}}\ntrack_file other {{\nfile /run/other\n}}\n\
         SSL {{\n{ssl}\n}}\n\
         virtual_server 192.0.2.1 80 {{\nprotocol TCP\n{server}\n\
         real_server 192.0.2.2 80 {{\n{real}\n{checker} {{\n{needed}{own}\n}}\n}}\n\
         real_server 192.0.2.3 80 {{\n}}\n}}\n",
        ssl = inner("SSL"),
        server = inner("virtual_server"),
        real = inner("real_server"),
    )
}

fn read(text: &str) -> Config {
    Config::parse_keepalived("keepalived.conf", text, "main")
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn judge(block: &str, lines: &str, becomes: &Becomes) -> Result<(), String> {
    // A block has several lines, and is the last word.
    let last = if lines.ends_with('}') { lines } else { lines.lines().last().unwrap() };
    let word = last.split_whitespace().next().unwrap();
    // What has no effect has none beside what it is for; what has one may need that.
    let before = match becomes {
        Imported(_) => "",
        Named => lines.strip_suffix(last).unwrap(),
    };
    let (without, with) = (read(&text(block, before)), read(&text(block, lines)));
    let named = format!("`{word}` has no effect");
    let is_named = with.warnings.iter().any(|warning| warning.to_string().contains(&named));
    let (printed, before) = (with.to_string(), without.to_string());
    match becomes {
        Imported(line) if is_named => {
            Err(format!("{block}: {word} is said to do nothing, not {line}"))
        }
        Imported(line) if !printed.contains(line) => {
            Err(format!("{block}: {word} does not make {line}:\n{printed}"))
        }
        Imported(line) if before.contains(line) => Err(format!("{block}: {line} is there anyway")),
        Imported(_) => Ok(()),
        Named if !is_named => Err(format!("{block}: nothing is said of {word}")),
        Named if printed != before => Err(format!("{block}: {word} does something")),
        Named => Ok(()),
    }
}

#[test]
fn no_word_is_passed_over_in_silence() {
    let mut wrong = Vec::new();
    for (block, lines, becomes) in [VIRTUAL_SERVER, REAL_SERVER, CHECKERS].into_iter().flatten() {
        wrong.extend(judge(block, lines, becomes).err());
    }
    for checker in ["HTTP_GET", "SSL_GET", "TCP_CHECK", "SMTP_CHECK", "DNS_CHECK", "UDP_CHECK"] {
        for (lines, becomes) in CONNECTION.iter().chain(EACH) {
            wrong.extend(judge(checker, lines, becomes).err());
        }
    }
    // A ping has no port.
    let ping = CONNECTION.iter().filter(|(line, _)| !line.starts_with("connect_port"));
    for (lines, becomes) in ping.chain(EACH) {
        let becomes = if lines.starts_with("bind_port") { &Named } else { becomes };
        wrong.extend(judge("PING_CHECK", lines, becomes).err());
    }
    // A script runs as often as it says already.
    for (lines, becomes) in EACH.iter().filter(|(line, _)| *line != "retry 0") {
        wrong.extend(judge("MISC_CHECK", lines, becomes).err());
    }
    wrong.extend(judge("MISC_CHECK", "retry 2", &Imported("fall = 3")).err());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
