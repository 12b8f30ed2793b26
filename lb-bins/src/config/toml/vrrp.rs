//! Virtual routers in TOML.

use ::toml::de::DeValue;

use super::reader::{Entry, Read, Table};
use crate::config::draft::Field;
use crate::config::draft::vrrp::{
    Authentication, CarpInstance, Deleted, Garp, HmacKey, Notify, Peer, Track, Tracks, VrrpCheck,
    VrrpInstance, VrrpScript, VrrpSyncGroup, VrrpTrackFile, VrrpTrackProcess,
};
use crate::config::mistakes::Mistakes;
use crate::config::source::Spanned;

impl Read for VrrpInstance {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let instance = Self {
            name: table.take("name", r#"name = "web""#),
            interface: table.take("interface", r#"interface = "eth0""#),
            virtual_router_id: table.take("virtual_router_id", "virtual_router_id = 51"),
            version: table.take("version", "version = 3"),
            state: table.take("state", r#"state = "backup""#),
            priority: table.take("priority", "priority = 100"),
            advert_interval: table.take("advert_interval", r#"advert_interval = "1s""#),
            down_timer_adverts: table.take("down_timer_adverts", "down_timer_adverts = 3"),
            preempt: table.take("preempt", "preempt = false"),
            preempt_delay: table.take("preempt_delay", r#"preempt_delay = "30s""#),
            accept: table.take("accept", "accept = true"),
            startup_delay: table.take("startup_delay", r#"startup_delay = "10s""#),
            delay_after_boot: table.take("delay_after_boot", r#"delay_after_boot = "30s""#),
            interface_down_delay: table
                .take("interface_down_delay", r#"interface_down_delay = "1s""#),
            interface_up_delay: table.take("interface_up_delay", r#"interface_up_delay = "1s""#),
            parting_advert: table.take("parting_advert", "parting_advert = true"),
            checksum: table.take("checksum", r#"checksum = "pseudo""#),
            multicast_source: table.take("multicast_source", r#"multicast_source = "10.0.0.11""#),
            multicast_group: table.take("multicast_group", r#"multicast_group = "224.0.0.18""#),
            unicast_source: table.take("unicast_source", r#"unicast_source = "10.0.0.11""#),
            unicast_peers: table.take("unicast_peers", r#"unicast_peers = ["10.0.0.12"]"#),
            check_unicast_source: table.take("check_unicast_source", "check_unicast_source = true"),
            authentication: table.take(
                "authentication",
                r#"authentication = { type = "pass", password = "secret" }"#,
            ),
            addresses: table.take("addresses", ADDRESSES),
            excluded_addresses: table
                .take("excluded_addresses", r#"excluded_addresses = ["10.0.1.200/24"]"#),
            routes: table.take("routes", r#"routes = [{ to = "default", via = "10.0.0.1" }]"#),
            rules: table.take("rules", r#"rules = [{ from = "10.0.0.200", table = 100 }]"#),
            use_vmac: table.take("use_vmac", "use_vmac = true"),
            vmac_interface: table.take("vmac_interface", r#"vmac_interface = "vrrp.51""#),
            vmac_xmit_base: table.take("vmac_xmit_base", "vmac_xmit_base = true"),
            garp: table.take("garp", r#"garp = { repeat = 5, delay = "5s" }"#),
            track_primary: table.take("track_primary", "track_primary = false"),
            track_interfaces: table.take("track_interfaces", r#"track_interfaces = ["eth1"]"#),
            tracks: tracks(&mut table),
            claim: table.take("claim", r#"claim = { command = ["/usr/local/bin/claim"] }"#),
            notify: notify(&mut table),
            notify_master_rx_lower_pri: table.take(
                "notify_master_rx_lower_pri",
                r#"notify_master_rx_lower_pri = ["/usr/bin/notify"]"#,
            ),
        };
        table.finish();
        Some(instance)
    }
}

const CHECK: &str = r#"check = { type = "mysql", writable = true }"#;
const ADDRESSES: &str = r#"addresses = ["10.0.0.200/24"]"#;

pub(super) fn tracks(table: &mut Table<'_, '_>) -> Tracks {
    Tracks {
        scripts: table.take("track_scripts", r#"track_scripts = ["check"]"#),
        // An announcement takes no other weight.
        files: table.take("track_files", r#"track_files = [{ name = "file", weight = 0 }]"#),
        processes: table.take("track_processes", r#"track_processes = ["proxy"]"#),
        checks: table.take("track_checks", r#"track_checks = ["primary"]"#),
        quorums: table.take("track_quorums", r#"track_quorums = ["web"]"#),
    }
}

fn notify(table: &mut Table<'_, '_>) -> Notify {
    Notify {
        any: table.take("notify", r#"notify = ["/usr/bin/notify"]"#),
        master: table.take("notify_master", r#"notify_master = ["/usr/bin/notify", "up"]"#),
        backup: table.take("notify_backup", r#"notify_backup = ["/usr/bin/notify", "down"]"#),
        fault: table.take("notify_fault", r#"notify_fault = ["/usr/bin/notify", "fault"]"#),
        stop: table.take("notify_stop", r#"notify_stop = ["/usr/bin/notify", "stop"]"#),
        deleted: table.take("notify_deleted", r#"notify_deleted = ["/usr/bin/notify", "gone"]"#),
        priority_changes: table.take("notify_priority_changes", "notify_priority_changes = true"),
        smtp_alert: table.take("smtp_alert", "smtp_alert = true"),
        smtp_alert_faults: table.take("smtp_alert_faults", "smtp_alert_faults = false"),
        user: table.take("notify_user", r#"notify_user = "nobody""#),
    }
}

/// `true`, or a command.
impl Read for Deleted {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        match entry.value {
            DeValue::Boolean(is_told) => Some(Self { is_told: *is_told, ..Self::default() }),
            DeValue::Array(_) => Some(Self { is_told: true, command: alone(entry, mistakes)? }),
            _ => entry.wrong_type("true or an array of strings", mistakes),
        }
    }
}

/// `"10.0.0.12"`, or a table.
impl Read for Peer {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        if let DeValue::String(_) = entry.value {
            return Some(Self { address: alone(entry, mistakes)?, ..Self::default() });
        }
        let mut table = Table::open(entry, mistakes)?;
        let peer = Self {
            address: table.take("address", r#"address = "10.0.0.12""#),
            min_ttl: table.take("min_ttl", "min_ttl = 255"),
            max_ttl: table.take("max_ttl", "max_ttl = 255"),
        };
        table.finish();
        Some(peer)
    }
}

/// `"eth1"`, or a table.
impl Read for Track {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        if let DeValue::String(_) = entry.value {
            return Some(Self { name: alone(entry, mistakes)?, ..Self::default() });
        }
        let mut table = Table::open(entry, mistakes)?;
        let track = Self {
            name: table.take("name", r#"name = "eth1""#),
            weight: table.take("weight", "weight = -20"),
            reverse: table.take("reverse", "reverse = true"),
        };
        table.finish();
        Some(track)
    }
}

/// The one field that a string stands for.
pub(super) fn alone<T: Read>(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Field<T>> {
    let value = entry.read(mistakes)?;
    Some(Field::Given(Spanned { value, span: entry.span }))
}

impl Read for Authentication {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let authentication = Self {
            kind: table.take("type", r#"type = "pass""#),
            password: table.take("password", r#"password = "secret""#),
            keys: table.take("keys", r#"keys = [{ id = 1, secret = "…" }]"#),
            mode: table.take("mode", r#"mode = "enforce""#),
            window: table.take("window", r#"window = "5s""#),
            monotonic: table.take("monotonic", "monotonic = true"),
        };
        table.finish();
        Some(authentication)
    }
}

impl Read for HmacKey {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let key = Self {
            id: table.take("id", "id = 1"),
            secret: table.take("secret", r#"secret = "32 to 64 characters""#),
            secret_file: table.take("secret_file", r#"secret_file = "/etc/vip-keeper/key""#),
            secret_hex: table.take("secret_hex", r#"secret_hex = "64 to 128 digits""#),
        };
        table.finish();
        Some(key)
    }
}

impl Read for Garp {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let garp = Self {
            repeat: table.take("repeat", "repeat = 5"),
            delay: table.take("delay", r#"delay = "5s""#),
            lower_prio_repeat: table.take("lower_prio_repeat", "lower_prio_repeat = 2"),
            refresh: table.take("refresh", r#"refresh = "1s""#),
            interval: table.take("interval", r#"interval = "10ms""#),
        };
        table.finish();
        Some(garp)
    }
}

impl Read for CarpInstance {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let instance = Self {
            name: table.take("name", r#"name = "web""#),
            interface: table.take("interface", r#"interface = "eth0""#),
            vhid: table.take("vhid", "vhid = 51"),
            advbase: table.take("advbase", "advbase = 1"),
            advskew: table.take("advskew", "advskew = 100"),
            dead_ratio: table.take("dead_ratio", "dead_ratio = 3"),
            preempt: table.take("preempt", "preempt = true"),
            passphrase: table.take("passphrase", r#"passphrase = "secret""#),
            source: table.take("source", r#"source = "10.0.0.11""#),
            addresses: table.take("addresses", ADDRESSES),
            use_vmac: table.take("use_vmac", "use_vmac = true"),
            vmac_interface: table.take("vmac_interface", r#"vmac_interface = "carp.51""#),
            garp: table.take("garp", r#"garp = { repeat = 5, delay = "5s" }"#),
            track_interfaces: table.take("track_interfaces", r#"track_interfaces = ["eth1"]"#),
            tracks: tracks(&mut table),
            notify: notify(&mut table),
        };
        table.finish();
        Some(instance)
    }
}

impl Read for VrrpSyncGroup {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let group = Self {
            name: table.take("name", r#"name = "both""#),
            members: table.take("members", r#"members = ["inside", "outside"]"#),
            notify: notify(&mut table),
        };
        table.finish();
        Some(group)
    }
}

impl Read for VrrpScript {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let script = Self {
            name: table.take("name", r#"name = "check""#),
            command: table.take("command", r#"command = ["/usr/local/bin/check"]"#),
            interval: table.take("interval", r#"interval = "1s""#),
            timeout: table.take("timeout", r#"timeout = "1s""#),
            rise: table.take("rise", "rise = 1"),
            fall: table.take("fall", "fall = 1"),
            weight: table.take("weight", "weight = -20"),
            initial: table.take("initial", r#"initial = "unknown""#),
            user: table.take("user", r#"user = "nobody""#),
        };
        table.finish();
        Some(script)
    }
}

impl Read for VrrpCheck {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let check = Self {
            name: table.take("name", r#"name = "primary""#),
            target: table.take("target", r#"target = "127.0.0.1:3306""#),
            checks: table.take("check", CHECK),
            weight: table.take("weight", "weight = -20"),
        };
        table.finish();
        Some(check)
    }
}

impl Read for VrrpTrackFile {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let file = Self {
            name: table.take("name", r#"name = "file""#),
            file: table.take("file", r#"file = "/run/priority""#),
            weight: table.take("weight", "weight = 1"),
        };
        table.finish();
        Some(file)
    }
}

impl Read for VrrpTrackProcess {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let process = Self {
            name: table.take("name", r#"name = "proxy""#),
            process: table.take("process", r#"process = "haproxy""#),
            parameters: table.take("parameters", r#"parameters = ["-f", "/etc/haproxy.cfg"]"#),
            parameter_match: table.take("parameter_match", r#"parameter_match = "partial""#),
            quorum: table.take("quorum", "quorum = 1"),
            quorum_max: table.take("quorum_max", "quorum_max = 1"),
            delay: table.take("delay", r#"delay = "1s""#),
            up_delay: table.take("up_delay", r#"up_delay = "1s""#),
            down_delay: table.take("down_delay", r#"down_delay = "1s""#),
            weight: table.take("weight", "weight = -20"),
        };
        table.finish();
        Some(process)
    }
}
