//! The TOML front end: which keys there are in which table.

mod reader;
mod values;
mod vrrp;

use ::toml::de::{DeTable, DeValue};

use self::reader::{Entry, Read, Table};
use super::draft::{
    Backend, Check, Checks, Draft, List, Persistence, Queue, Quorum, VirtualServer,
};
use super::mistakes::Mistakes;
use super::problem::Problem;
use super::source::{Span, Spanned};

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
        notify_fifo: table.take("notify_fifo", r#"notify_fifo = "/run/vip-keeper.fifo""#),
        virtual_servers: table.take("virtual_server", "[[virtual_server]]"),
        vrrp_instances: table.take("vrrp_instance", "[[vrrp_instance]]"),
        carp_instances: table.take("carp_instance", "[[carp_instance]]"),
        vrrp_sync_groups: table.take("vrrp_sync_group", "[[vrrp_sync_group]]"),
        vrrp_scripts: table.take("vrrp_script", "[[vrrp_script]]"),
        vrrp_track_files: table.take("vrrp_track_file", "[[vrrp_track_file]]"),
        vrrp_track_processes: table.take("vrrp_track_process", "[[vrrp_track_process]]"),
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
            scheduler: table.take("scheduler", r#"scheduler = "wlc""#),
            hash_key: table.take("hash_key", r#"hash_key = "source-port""#),
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
            persistence: table.take("persistence", r#"persistence = { timeout = "6m" }"#),
            draining_clients: table.take("draining_clients", r#"draining_clients = "move""#),
            on_quorum_up: table.take("on_quorum_up", r#"on_quorum_up = ["/usr/bin/notify", "up"]"#),
            on_quorum_down: table
                .take("on_quorum_down", r#"on_quorum_down = ["/usr/bin/notify", "down"]"#),
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
            _ => entry.wrong_type("an integer or { up_at = …, down_at = … }", mistakes),
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

impl Read for Persistence {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let persistence = Self {
            timeout: table.take("timeout", r#"timeout = "6m""#),
            granularity: table.take("granularity", "granularity = 32"),
            capacity: table.take("capacity", "capacity = 65536"),
            min_age: table.take("min_age", r#"min_age = "10s""#),
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
            checks: table.take("check", "[virtual_server.backend.check]"),
        };
        table.finish();
        Some(backend)
    }
}

/// One table, an array of them, or `"none"`.
impl Read for Checks {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        match entry.value {
            DeValue::Array(_) => entry.read(mistakes).map(Self::Listed),
            DeValue::String(word) if word == "none" => Some(Self::Unchecked),
            DeValue::Table(_) => {
                let value = entry.read(mistakes)?;
                let elements = vec![Spanned { value, span: entry.span }];
                Some(Self::Listed(List { elements, complete: true }))
            }
            DeValue::String(word) => {
                let (word, known) = (word.to_string(), vec!["none"]);
                mistakes.error(entry.span, Problem::UnknownWord { key: entry.key, word, known });
                None
            }
            _ => entry.wrong_type("a table, an array of tables or \"none\"", mistakes),
        }
    }
}

impl Read for Check {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let check = Self {
            kind: table.take("type", r#"type = "tcp""#),
            port: table.take("port", "port = 8080"),
            interval: table.take("interval", r#"interval = "2s""#),
            timeout: table.take("timeout", r#"timeout = "1s""#),
            rise: table.take("rise", "rise = 2"),
            fall: table.take("fall", "fall = 3"),
            fast_interval: table.take("fast_interval", r#"fast_interval = "500ms""#),
            down_interval: table.take("down_interval", r#"down_interval = "2s""#),
            jitter: table.take("jitter", "jitter = 10"),
            initial: table.take("initial", r#"initial = "down""#),
            path: table.take("path", r#"path = "/alive""#),
            host: table.take("host", r#"host = "www.example.org""#),
            status: table.take("status", r#"status = ["200-299"]"#),
            md5: table.take("md5", r#"md5 = "d41d8cd98f00b204e9800998ecf8427e""#),
            command: table.take("command", r#"command = ["/usr/local/bin/check", "argument"]"#),
            dynamic_weight: table.take("dynamic_weight", "dynamic_weight = true"),
        };
        table.finish();
        Some(check)
    }
}
