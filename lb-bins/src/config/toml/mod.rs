//! The TOML front end: which keys there are in which table.

mod addresses;
mod announcement;
mod check;
mod claim;
mod reader;
mod values;
mod vrrp;

use ::toml::de::{DeTable, DeValue};

use self::reader::{Entry, Read, Table};
use super::draft::check::Tls;
use super::draft::{Backend, Draft, Mail, Passive, Persistence, Queue, Quorum, VirtualServer};
use super::mistakes::Mistakes;
use super::problem::Problem;
use super::source::Span;

/// Reads a whole file.
///
/// `None` if it is not TOML. All places where it is not are reported then, and nothing else: what
/// follows from text that was misread would only mislead.
pub(super) fn read(text: &str, mistakes: &mut Mistakes) -> Option<Draft> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            // The parser names every kind of value by one of its spellings, or nothing at all.
            let message = error
                .message()
                .trim_end_matches(", expected nothing")
                .trim_end_matches(", expected literal string");
            let problem = Problem::Syntax { message: message.to_owned() };
            mistakes.error(error.span().map(Span::from), problem);
        }
        return None;
    }
    let mut table = Table::root(root.get_ref(), mistakes);
    let draft = Draft {
        admin: table.take("admin", r#"admin = "127.0.0.1:9900""#),
        admin_allow_remote: table.take("admin_allow_remote", "admin_allow_remote = false"),
        user: table.take("user", r#"user = "lb""#),
        script_user: table.take("script_user", r#"script_user = "nobody:nogroup""#),
        script_security: table.take("script_security", "script_security = true"),
        notify_fifo: table.take("notify_fifo", r#"notify_fifo = "/run/lb.fifo""#),
        notify_fifo_script: table
            .take("notify_fifo_script", r#"notify_fifo_script = ["/usr/local/bin/listen"]"#),
        notify_timeout: table.take("notify_timeout", r#"notify_timeout = "60s""#),
        smtp: table.take("smtp", r#"smtp = { server = "127.0.0.1:25", from = "lb@example.org", to = ["ops@example.org"] }"#),
        resolvers: table.take("resolvers", r#"resolvers = ["192.0.2.53:53"]"#),
        max_checks: table.take("max_checks", "max_checks = 1000"),
        max_scripts: table.take("max_scripts", "max_scripts = 8"),
        virtual_servers: table.take("virtual_server", "[[virtual_server]]"),
        vrrp_instances: table.take("vrrp_instance", "[[vrrp_instance]]"),
        carp_instances: table.take("carp_instance", "[[carp_instance]]"),
        vrrp_sync_groups: table.take("vrrp_sync_group", "[[vrrp_sync_group]]"),
        vrrp_scripts: table.take("vrrp_script", "[[vrrp_script]]"),
        vrrp_checks: table.take("vrrp_check", "[[vrrp_check]]"),
        vrrp_track_files: table.take("vrrp_track_file", "[[vrrp_track_file]]"),
        vrrp_track_processes: table.take("vrrp_track_process", "[[vrrp_track_process]]"),
        static_addresses: table.take("static_address", "[[static_address]]"),
        static_routes: table.take("static_route", "[[static_route]]"),
        static_rules: table.take("static_rule", "[[static_rule]]"),
        bgp_announcements: table.take("bgp_announcement", "[[bgp_announcement]]"),
    };
    table.finish();
    Some(draft)
}

impl Read for VirtualServer {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let server = Self {
            name: table.take("name", r#"name = "web""#),
            listen: table.take("listen", r#"listen = "127.0.0.1:8000""#),
            forwarding: table.take("forwarding", r#"forwarding = "proxy""#),
            scheduler: table.take("scheduler", r#"scheduler = "wlc""#),
            hash_key: table.take("hash_key", r#"hash_key = "source-port""#),
            hash_granularity: table.take("hash_granularity", "hash_granularity = 24"),
            hash_seed: table.take("hash_seed", r#"hash_seed = "7f3a…""#),
            bounded: table.take("bounded", "bounded = 1.25"),
            zone: table.take("zone", r#"zone = "a""#),
            spill_below: table.take("spill_below", "spill_below = 70"),
            panic_below: table.take("panic_below", "panic_below = 50"),
            slow_start: table.take("slow_start", r#"slow_start = "30s""#),
            queue: table.take("queue", r#"queue = { length = 100, timeout = "5s" }"#),
            quorum: table.take("quorum", "quorum = 2"),
            hysteresis: table.take("hysteresis", "hysteresis = 1"),
            sorry_server: table.take("sorry_server", r#"sorry_server = "127.0.0.1:9009""#),
            sorry_mode: table.take("sorry_mode", r#"sorry_mode = "quorum""#),
            sorry_checks: table.take("sorry_check", "[virtual_server.sorry_check]"),
            persistence: table.take("persistence", r#"persistence = { timeout = "6m" }"#),
            draining_clients: table.take("draining_clients", r#"draining_clients = "move""#),
            on_quorum_up: table.take("on_quorum_up", r#"on_quorum_up = ["/usr/bin/notify", "up"]"#),
            on_quorum_down: table
                .take("on_quorum_down", r#"on_quorum_down = ["/usr/bin/notify", "down"]"#),
            down_when_stopped: table.take("down_when_stopped", "down_when_stopped = true"),
            on_failure: table.take("on_failure", r#"on_failure = "weight-0""#),
            on_up: table.take("on_up", r#"on_up = ["/usr/bin/notify", "up"]"#),
            on_down: table.take("on_down", r#"on_down = ["/usr/bin/notify", "down"]"#),
            passive: table.take("passive", "passive = { consecutive = 5 }"),
            connect_timeout: table.take("connect_timeout", r#"connect_timeout = "5s""#),
            drain_timeout: table.take("drain_timeout", r#"drain_timeout = "30s""#),
            retries: table.take("retries", "retries = 3"),
            checks: table.take("check", "[virtual_server.check]"),
            backends: table.take("backend", "[[virtual_server.backend]]"),
        };
        table.finish();
        Some(server)
    }
}

/// `2`, or `{ up_at = 2, down_at = 1 }`.
impl Read for Quorum {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        match entry.value {
            DeValue::Integer(_) => entry.read(mistakes).map(Self::Weight),
            DeValue::Table(_) => {
                let mut table = Table::open(entry, mistakes)?;
                let quorum = Self::Thresholds {
                    up_at: table.take("up_at", "up_at = 2"),
                    down_at: table.take("down_at", "down_at = 1"),
                };
                table.finish();
                Some(quorum)
            }
            _ => {
                let sample = match entry.value {
                    DeValue::String(text) if text.ends_with('%') => {
                        r#"quorum = { up_at = "60%", down_at = "60%" }"#
                    }
                    _ => entry.sample,
                };
                let entry = Entry { sample, ..entry };
                entry.wrong_type("an integer or { up_at = …, down_at = … }", mistakes)
            }
        }
    }
}

impl Read for Queue {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let queue = Self {
            length: table.take("length", "length = 100"),
            timeout: table.take("timeout", r#"timeout = "5s""#),
        };
        table.finish();
        Some(queue)
    }
}

impl Read for Passive {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let passive = Self {
            consecutive: table.take("consecutive", "consecutive = 5"),
            failure_percent: table.take("failure_percent", "failure_percent = 85"),
            minimum: table.take("minimum", "minimum = 50"),
            interval: table.take("interval", r#"interval = "10s""#),
            eject: table.take("eject", r#"eject = "30s""#),
            longest: table.take("longest", r#"longest = "300s""#),
            max_ejected: table.take("max_ejected", "max_ejected = 10"),
            deviations: table.take("deviations", "deviations = 1.9"),
            back_on_check: table.take("back_on_check", "back_on_check = true"),
        };
        table.finish();
        Some(passive)
    }
}

impl Read for Mail {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let mail = Self {
            server: table.take("server", r#"server = "127.0.0.1:25""#),
            from: table.take("from", r#"from = "lb@example.org""#),
            to: table.take("to", r#"to = ["ops@example.org"]"#),
            helo: table.take("helo", r#"helo = "lb.example.org""#),
            starttls: table.take("starttls", "starttls = true"),
            tls: table.take("tls", "tls = true"),
            options: Tls::take(&mut table),
            user: table.take("user", r#"user = "lb@example.org""#),
            password_file: table.take("password_file", r#"password_file = "/etc/lb/password""#),
        };
        table.finish();
        Some(mail)
    }
}

impl Read for Persistence {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let persistence = Self {
            timeout: table.take("timeout", r#"timeout = "6m""#),
            while_open: table.take("while_open", "while_open = true"),
            granularity: table.take("granularity", "granularity = 32"),
            capacity: table.take("capacity", "capacity = 65536"),
            min_age: table.take("min_age", r#"min_age = "10s""#),
            when_full: table.take("when_full", r#"when_full = "wait""#),
            when_down: table.take("when_down", r#"when_down = "refuse""#),
        };
        table.finish();
        Some(persistence)
    }
}

impl Read for Backend {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let backend = Self {
            address: table.take("address", r#"address = "127.0.0.1:9001""#),
            weight: table.take("weight", "weight = 1"),
            priority: table.take("priority", "priority = 1"),
            zone: table.take("zone", r#"zone = "a""#),
            max_connections: table.take("max_connections", "max_connections = 500"),
            u_threshold: table.take("u_threshold", "u_threshold = 500"),
            l_threshold: table.take("l_threshold", "l_threshold = 400"),
            on_failure: table.take("on_failure", r#"on_failure = "weight-0""#),
            on_up: table.take("on_up", r#"on_up = ["/usr/bin/notify", "up"]"#),
            on_down: table.take("on_down", r#"on_down = ["/usr/bin/notify", "down"]"#),
            checks: table.take("check", "[virtual_server.backend.check]"),
        };
        table.finish();
        Some(backend)
    }
}
