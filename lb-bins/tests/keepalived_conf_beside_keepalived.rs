//! What keepalived itself says of the same files: what it accepts is accepted, and where it has
//! something to say, so have we.
//!
//! Needs `keepalived`, which has a test of configurations, and for what is about interfaces a network
//! namespace of its own: `cargo test -- --ignored`, as root.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lb_bins::config::{Config, ConfigErrors, ConfigFile};

/// Where its exit status says nothing about the configuration, or ours is stricter on purpose.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("includes.conf", "keepalived includes files in themselves until it may open no more"),
    ("conditions.conf", "keepalived replaces variables by themselves without end"),
    ("values.conf", "keepalived 2.2.7 crashes on an HTTP_GET without a url"),
    ("unknown_words.conf", "the same"),
];

/// Of what migrates, that of which keepalived 2.2.7 has something to say.
const NOT_SILENT: [&str; 10] = [
    "interface_delays.conf",
    "mail_by_name.conf",
    "names.conf",
    "newer_words.conf",
    "statics.conf",
    "sync_group.conf",
    "tracked.conf",
    "virtual_macs.conf",
    "virtual_servers.conf",
    "vrrp_corners.conf",
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keepalived").join(name)
}

/// Whether there is a keepalived; says so if not. With `LB_SKIP_NOTHING` in the environment there has
/// to be one.
fn is_possible() -> bool {
    let found = Command::new("keepalived").arg("--version").stderr(Stdio::null()).status().is_ok();
    if !found {
        assert!(std::env::var_os("LB_SKIP_NOTHING").is_none(), "there is no keepalived");
        eprintln!("skipped: there is no keepalived");
    }
    found
}

/// Whether keepalived has nothing to say, and what it says.
fn keepalived(path: &Path) -> (bool, String) {
    judged(Command::new("keepalived").args(["-t", "-i", "main", "-f"]).arg(path), path)
}

/// The same on a host that has the interfaces `eth0` and `eth1`.
fn keepalived_with_interfaces(path: &Path) -> (bool, String) {
    const INTERFACES: &str = "ip link add eth0 type veth peer name eth1 && \
        ip address add 10.0.0.9/24 dev eth0 && ip link set eth0 up && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", INTERFACES, "sh", "keepalived", "-t", "-i", "main", "-f"]);
    judged(command.arg(path), path)
}

fn judged(command: &mut Command, path: &Path) -> (bool, String) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("keepalived does not end on {}", path.display());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn ours(path: &Path) -> Result<Config, ConfigErrors> {
    ConfigFile { config_id: Some("main".to_owned()), ..ConfigFile::new(path) }.load()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .collect();
    files.sort();
    files
}

/// What keepalived reads without a word.
fn silent_files() -> Vec<PathBuf> {
    let mut files = files(&folder("migrates"));
    files.retain(|path| !NOT_SILENT.iter().any(|name| path.ends_with(name)));
    files
}

#[test]
#[ignore = "needs keepalived, and root for a network namespace"]
fn what_keepalived_accepts_is_accepted() {
    if !is_possible() {
        return;
    }
    for path in silent_files() {
        let (accepted, said) = keepalived_with_interfaces(&path);
        assert!(accepted, "{}: {said}", path.display());
        if let Err(errors) = ours(&path) {
            panic!("{errors}");
        }
    }
}

#[test]
#[ignore = "needs keepalived"]
fn where_keepalived_complains_we_do() {
    if !is_possible() {
        return;
    }
    for path in files(&folder("mistakes")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if EXCEPTIONS.iter().any(|(exception, _)| *exception == name) {
            continue;
        }
        let (accepted, said) = keepalived(&path);
        let silent = match ours(&path) {
            Ok(config) => config.warnings.is_empty(),
            Err(_) => false,
        };
        assert!(accepted || !silent, "{}: {said}", path.display());
    }
}

/// What keepalived accepts of a sample that lacks a line, we accept, but for two things that never
/// work: a quorum out of reach, and half of a client's certificate.
#[test]
#[ignore = "needs keepalived, and root for a network namespace"]
fn a_sample_without_one_of_its_lines_is_judged_alike() {
    const STRICTER: [&str; 2] = ["can never be reached", "has no meaning without"];
    if !is_possible() {
        return;
    }
    let mut different = String::new();
    for file in silent_files() {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        // Beside the others, as it may include them.
        let path = file.with_extension(format!("without-{}", std::process::id()));
        for without in 0..lines.len() {
            let kept = lines.iter().enumerate().filter(|(index, _)| *index != without);
            let kept: Vec<&str> = kept.map(|(_, line)| *line).collect();
            fs::write(&path, kept.join("\n")).unwrap();
            let (accepted, _) = keepalived_with_interfaces(&path);
            if let (true, Err(errors)) = (accepted, ours(&path)) {
                let said = errors.to_string();
                if !STRICTER.iter().any(|reason| said.contains(reason)) {
                    different += &format!("without {:?}: {said}\n", lines[without]);
                }
            }
        }
        fs::remove_file(&path).unwrap();
    }
    assert!(different.is_empty(), "{different}");
}

/// Small texts, each about one thing: whether keepalived has nothing to say of it is whether we
/// accept it without a word of that thing.
#[test]
#[ignore = "needs keepalived"]
fn details_are_read_as_keepalived_reads_them() {
    if !is_possible() {
        return;
    }
    let server = |words: &str, real: &str| {
        format!(
            "virtual_server 192.0.2.1 80 {{\nprotocol TCP\nlvs_sched rr\nlvs_method NAT\n{words}\n\
             real_server 192.0.2.2 80 {{\n{real}\n}}\n}}\n"
        )
    };
    let texts = [
        // Text.
        ("a comment in the middle of a word", server("delay_loop 5#6", "TCP_CHECK {\n}")),
        ("braces on lines of their own", server("", "TCP_CHECK\n{\n}")),
        ("braces between words", server("", "TCP_CHECK{connect_timeout 2}")),
        ("quoted words", server("\"delay_loop\" \"5\"", "TCP_CHECK {\n}")),
        ("a stray brace", server("", "TCP_CHECK {\n}\n}\n}\n}\n{")),
        ("an unknown word", server("delay_lop 5", "TCP_CHECK {\n}")),
        ("a word of another block", server("uthreshold 5", "TCP_CHECK {\n}")),
        ("an unknown block", server("", "TCP_CHEK {\n}")),
        ("a missing brace", "virtual_server 192.0.2.1 80 {\n".to_owned()),
        ("an open quote", server("delay_loop \"5", "TCP_CHECK {\n}")),
        ("a continued line", server("delay_loop \\\n5", "TCP_CHECK {\n}")),
        ("a condition for us", server("@main delay_loop 5", "TCP_CHECK {\n}")),
        ("a condition for others", server("@other delay_lop 5", "TCP_CHECK {\n}")),
        ("a condition for all others", server("@^main delay_lop 5", "TCP_CHECK {\n}")),
        ("a variable", format!("$A=5\n{}", server("delay_loop $A", "TCP_CHECK {\n}"))),
        ("a variable in braces", format!("$A=5\n{}", server("delay_loop 1${A}", "TCP_CHECK {\n}"))),
        (
            "a variable within a word",
            format!("$A=5\n{}", server("delay_loop $A0", "TCP_CHECK {\n}")),
        ),
        (
            "a variable defined later",
            format!("$B=$A\n$A=5\n{}", server("delay_loop $B", "TCP_CHECK {\n}")),
        ),
        ("a sequence", "~SEQ(N, 2) virtual_server 192.0.2.${N} 80 { protocol TCP }\n".to_owned()),
        // Values.
        ("a fraction of a second", server("delay_loop 0.5", "TCP_CHECK {\n}")),
        ("no time at all", server("delay_loop 0", "TCP_CHECK {\n}")),
        ("no retry of a server", server("retry 0", "TCP_CHECK {\n}")),
        ("no retry of a checker", server("", "TCP_CHECK {\nretry 0\n}")),
        ("no warm-up", server("warmup 0", "TCP_CHECK {\n}")),
        ("a switch", server("", "alpha on\nTCP_CHECK {\n}")),
        ("not a switch", server("", "alpha perhaps\nTCP_CHECK {\n}")),
        ("persistence", server("persistence_timeout", "TCP_CHECK {\n}")),
        ("a netmask", server("persistence_granularity 255.255.255.0", "TCP_CHECK {\n}")),
        ("a quorum too high", server("quorum 3", "TCP_CHECK {\n}")),
        ("not a scheduler", server("lvs_sched fastest", "TCP_CHECK {\n}")),
        ("not a method", server("lvs_method ROUTE", "TCP_CHECK {\n}")),
        ("no port", server("", "TCP_CHECK {\nconnect_port 0\n}")),
        (
            "a decimal script timeout",
            server("", "MISC_CHECK {\nmisc_path /bin/true\nmisc_timeout 2.5\n}"),
        ),
        ("a status", server("", "HTTP_GET {\nurl {\npath /\nstatus_code 200-299 404\n}\n}")),
        ("not a status", server("", "HTTP_GET {\nurl {\npath /\nstatus_code 99\n}\n}")),
        ("not a record", server("", "DNS_CHECK {\ntype ANY\n}")),
    ];
    compare("details", texts, keepalived);
}

/// Whether keepalived has nothing to say of a text is whether we have not.
fn compare<const COUNT: usize>(
    name: &str,
    texts: [(&str, String); COUNT],
    keepalived: impl Fn(&Path) -> (bool, String),
) {
    let file = format!("lb-beside-keepalived-{name}-{}.conf", std::process::id());
    let path = std::env::temp_dir().join(file);
    let mut different = String::new();
    for (what, text) in texts {
        fs::write(&path, &text).unwrap();
        let (accepted, said) = keepalived(&path);
        let words = match ours(&path) {
            Ok(config) => config.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            Err(errors) => errors.mistakes().iter().map(ToString::to_string).collect(),
        };
        // That there is no kernel in between has nothing to do with any of this.
        let words: Vec<_> = words.into_iter().filter(|said| !said.contains("forwarded")).collect();
        if accepted != words.is_empty() {
            let verdict = if accepted { "accepts" } else { "complains" };
            different += &format!("{what}: keepalived {verdict}: {said}\n{}\n", words.join("\n"));
        }
    }
    fs::remove_file(&path).unwrap();
    assert!(different.is_empty(), "{different}");
}

#[test]
#[ignore = "needs keepalived, and root for a network namespace"]
fn virtual_routers_are_read_as_keepalived_reads_them() {
    if !is_possible() {
        return;
    }
    const ADDRESS: &str = "virtual_ipaddress {\n10.0.0.1\n}\n";
    let named = |name: &str, words: &str| {
        format!("vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id 1\n{words}\n}}\n")
    };
    let one = |words: &str| named("A", words);
    let with = |words: &str| named("A", &format!("{ADDRESS}{words}"));
    let two = |first: &str, second: &str| {
        let first = named("A", &format!("{first}\nvirtual_ipaddress {{\n10.0.0.1\n}}"));
        first + &named("B", &format!("{second}\nvirtual_ipaddress {{\n10.0.0.2\n}}"))
    };
    let peers = |peers: &str| format!("unicast_peer {{\n{peers}\n}}\n");
    let strict = |words: &str| format!("global_defs {{\nvrrp_strict\n}}\n{}", with(words));
    let texts = [
        ("one that is as it should be", with("")),
        // Addresses.
        ("no addresses", one("")),
        ("only addresses that are excluded", one("virtual_ipaddress_excluded {\n10.0.0.1\n}")),
        ("excluded ones of another family", with("virtual_ipaddress_excluded {\nfe80::1\n}")),
        ("both families", one("virtual_ipaddress {\n10.0.0.1\nfe80::1\n}")),
        ("both families, IPv6 first", one("virtual_ipaddress {\nfe80::1\n10.0.0.1\n}")),
        ("IPv6 in version 2", one("version 2\nvirtual_ipaddress {\nfe80::1\n}")),
        ("not an address", one("virtual_ipaddress {\n10.0.0.300\n}")),
        ("a prefix that is too long", one("virtual_ipaddress {\n10.0.0.1/33\n}")),
        ("a peer of another family", one(&(peers("fe80::1\n10.0.0.2") + ADDRESS))),
        (
            "a source of another family",
            one(&format!("unicast_src_ip fe80::1\n{}{ADDRESS}", peers("10.0.0.2"))),
        ),
        ("a list of peers without any", with(&peers(""))),
        (
            "peers without an interface",
            format!("vrrp_instance A {{\nvirtual_router_id 1\n{}{ADDRESS}}}\n", peers("10.0.0.2")),
        ),
        (
            "neither peers nor an interface",
            format!("vrrp_instance A {{\nvirtual_router_id 1\n{ADDRESS}}}\n"),
        ),
        ("a group that is none", with("mcast_dst_ip 10.0.0.7")),
        // Who is who.
        ("no identifier", format!("vrrp_instance A {{\ninterface eth0\n{ADDRESS}}}\n")),
        ("one identifier twice", two("", "")),
        (
            "one identifier in both families",
            with("") + &named("B", "virtual_ipaddress {\nfe80::2\n}"),
        ),
        ("one identifier in two groups", two("", "mcast_dst_ip 224.0.0.19")),
        ("one identifier with other peers", two(&peers("10.0.1.1"), &peers("10.0.1.2"))),
        (
            "one identifier with a peer of both",
            two(&peers("10.0.1.1"), &peers("10.0.1.2\n10.0.1.1")),
        ),
        ("one identifier with peers and without", two(&peers("10.0.1.1"), "")),
        ("one name twice", with("") + &with("")),
        // Values.
        ("half a second in version 2", with("advert_int 0.5")),
        ("half a second in version 3", with("version 3\nadvert_int 0.5")),
        ("half a hundredth of a second", with("version 3\nadvert_int 0.015")),
        ("longer than version 3 can say", with("version 3\nadvert_int 50")),
        ("longer than any version can say", with("advert_int 300")),
        ("no time at all", with("advert_int 0")),
        ("a priority that is too high", with("priority 300")),
        (
            "a password for version 3",
            with("version 3\nauthentication {\nauth_type PASS\nauth_pass secret\n}"),
        ),
        ("a long password", with("authentication {\nauth_type PASS\nauth_pass secretsecret\n}")),
        ("no password", with("authentication {\nauth_type PASS\n}")),
        (
            "a weight that is too large",
            format!(
                "vrrp_track_file f {{\nfile /tmp/x\nweight 1000\n}}\n{}",
                with("track_file {\nf\n}")
            ),
        ),
        (
            "a weight that is too large where it is tracked",
            format!(
                "vrrp_track_file f {{\nfile /tmp/x\n}}\n{}",
                with("track_file {\nf weight 1000\n}")
            ),
        ),
        ("a script that is not there", with("track_script {\nnothing\n}")),
        ("a name for a virtual MAC address", with("use_vmac vrrp.1")),
        // What is strict.
        ("strict mode", strict("version 3")),
        (
            "strict and authenticated",
            strict("authentication {\nauth_type PASS\nauth_pass secret\n}"),
        ),
        ("strict and slow", strict("version 3\npreempt_delay 5")),
        ("strict and with a last word", strict("version 3\nhigher_prio_send_advert")),
        ("strict, and a master without owning", strict("version 3\nstate MASTER\npriority 100")),
        ("strict, and a backup that owns", strict("version 3\npriority 255")),
        ("strict and accepting in version 2", strict("accept")),
        ("strict and accepting in version 3", strict("version 3\naccept")),
        // Groups.
        ("a group without a block", with("") + "vrrp_sync_group g {\n}\n"),
        ("a group of nobody", with("") + "vrrp_sync_group g {\ngroup {\n}\n}\n"),
        ("a group of strangers", with("") + "vrrp_sync_group g {\ngroup {\nA\nZ\n}\n}\n"),
    ];
    compare("routers", texts, keepalived_with_interfaces);
}
