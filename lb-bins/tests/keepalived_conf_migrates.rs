//! keepalived.conf as people write it: it is read, and what `--check` prints of it means the same.
//!
//! Beside each file in `tests/keepalived/migrates` is what is printed and what is said of it.
//! `REGENERATE=1 cargo test -p lb-bins --test keepalived_conf_migrates` writes both anew; read the
//! difference before committing it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lb_bins::config::check::{CheckKind, Initial};
use lb_bins::config::{Config, ConfigFile, Forwarding, HashKey, OnFailure, Quorum};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keepalived/migrates")
}

fn load(name: &str) -> Config {
    let file =
        ConfigFile { config_id: Some("main".to_owned()), ..ConfigFile::new(folder().join(name)) };
    match file.load() {
        Ok(config) => config,
        Err(errors) => panic!("{errors}"),
    }
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .collect();
    files.sort();
    assert!(files.len() > 6, "only {} files found", files.len());
    files
}

#[test]
fn what_is_printed_means_the_same() {
    for file in files() {
        let config = load(file.file_name().unwrap().to_str().unwrap());
        let printed = config.to_string();
        let read = Config::parse("printed.toml", &printed);
        assert_eq!(read.as_ref(), Ok(&config), "{}\n{printed}", file.display());
    }
}

#[test]
fn every_file_prints_and_says_what_is_expected() {
    let regenerate = std::env::var_os("REGENERATE").is_some();
    let mut different = String::new();
    for file in files() {
        let config = load(file.file_name().unwrap().to_str().unwrap());
        let mut said = String::new();
        for warning in &config.warnings {
            let separator = if said.is_empty() { "" } else { "\n" };
            write!(said, "{separator}{warning}").unwrap();
        }
        let said = said.replace(&format!("{}/", folder().display()), "");
        for (extension, now) in [("toml", config.to_string()), ("stderr", said)] {
            let expected_file = file.with_extension(extension);
            if regenerate {
                fs::write(&expected_file, &now).unwrap();
            }
            let expected = fs::read_to_string(&expected_file).unwrap_or_default();
            if now != expected {
                let name = expected_file.display();
                write!(different, "--- {name}\n{expected}\n+++ now\n{now}\n").unwrap();
            }
        }
    }
    assert!(different.is_empty(), "{different}");
}

/// What `--check` prints is what `--check` prints of that, whichever daemon is asked.
#[test]
fn both_daemons_print_what_they_read_again() {
    let daemons = [env!("CARGO_BIN_EXE_tcp-lb"), env!("CARGO_BIN_EXE_vip-keeper")];
    let check = |daemon: &str, path: &Path| {
        let mut command = Command::new(daemon);
        let output =
            command.args(["--check", "-i", "main", "--config"]).arg(path).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    };
    let printed = std::env::temp_dir().join(format!("lb-printed-{}.toml", std::process::id()));
    // It names a certificate, which tcp-lb looks for.
    for file in files().into_iter().filter(|file| !file.ends_with("ssl_get_digests.conf")) {
        let mut read = 0;
        for daemon in daemons {
            // Who finds nothing to do says so, and prints nothing.
            let Some(first) = check(daemon, &file) else { continue };
            read += 1;
            fs::write(&printed, &first).unwrap();
            assert_eq!(check(daemon, &printed), Some(first), "{} by {daemon}", file.display());
        }
        assert!(read > 0, "{} is for nobody", file.display());
    }
    fs::remove_file(&printed).unwrap();
}

/// keepalived's defaults, and what a checker inherits from the servers around it.
#[test]
fn checkers_inherit_and_default_as_in_keepalived() {
    let config = load("dr_persistence.conf");
    let [ipv4, ipv6] = config.virtual_servers.as_slice() else { panic!("{config}") };
    let checks: Vec<_> =
        ipv4.backends.iter().chain(&ipv6.backends).map(|backend| &backend.checks[0]).collect();
    let [own, real, none] = checks.as_slice() else { panic!("{config}") };
    let seconds = |check: &lb_bins::config::Check| {
        (check.interval.as_secs_f64(), check.timeout.as_secs_f64(), check.fast_interval.as_secs())
    };
    assert_eq!(seconds(own), (10.0, 2.5, 1));
    assert_eq!(seconds(real), (5.0, 5.0, 1));
    assert_eq!(seconds(none), (60.0, 5.0, 1));
    assert_eq!([own.rise, real.rise, none.rise], [1; 3]);
    assert_eq!([own.fall, real.fall, none.fall], [4, 4, 1]);
    let warmup = [own.warmup, real.warmup, none.warmup];
    assert_eq!(warmup.map(Option::unwrap), [0, 0, 60].map(Duration::from_secs));
    assert_eq!([own.initial, none.initial], [Initial::Down, Initial::Up]);

    assert_eq!((ipv4.forwarding, ipv6.forwarding), (Forwarding::DirectRouting, Forwarding::Tunnel));
    assert_eq!(ipv6.hash_key, HashKey::SourcePort);
    let persistence = [ipv4.persistence.unwrap(), ipv6.persistence.unwrap()];
    assert_eq!(persistence.map(|one| one.granularity), [24, 128]);
    assert_eq!(persistence.map(|one| one.timeout.as_secs()), [600, 360]);
    assert_eq!(ipv4.backends[0].on_failure, OnFailure::WeightZero);
}

/// By a check of its own, which has all its time for itself.
#[test]
fn each_url_must_pass() {
    let config = load("lvs_nat.conf");
    let server = &config.virtual_servers[0];
    assert_eq!(server.quorum, Quorum::Weight { quorum: 4, hysteresis: 1 });
    let [alive, version] = server.backends[0].checks.as_slice() else { panic!("{config}") };
    for (check, path, has_digest) in [(alive, "/alive", false), (version, "/version", true)] {
        let CheckKind::Http(http) = &check.kind else { panic!("{config}") };
        let [page] = http.pages.as_slice() else { panic!("{config}") };
        assert_eq!((page.path.as_str(), page.digest.is_some()), (path, has_digest));
        let seconds = (check.timeout.as_secs(), check.fast_interval.as_secs());
        assert_eq!((check.fall, seconds), (3, (3, 2)));
    }
}

/// The checks of the only server, which has these checkers.
fn checks(checkers: &str) -> Vec<lb_bins::config::Check> {
    let text = format!(
        "virtual_server 192.0.2.1 25 {{\nprotocol TCP\nlvs_sched rr\nlvs_method NAT\n\
         real_server 192.0.2.2 25 {{\n{checkers}\n}}\n}}\n"
    );
    let config = Config::parse_keepalived("keepalived.conf", &text, "main").unwrap();
    config.virtual_servers[0].backends[0].checks.clone()
}

#[test]
fn hosts_of_a_mail_check_stand_for_the_server_unless_there_are_words_of_it() {
    let ports = |words: &str| {
        let checks = checks(&format!("SMTP_CHECK {{\n{words}\n}}"));
        checks.iter().map(|check| check.port).collect::<Vec<_>>()
    };
    let hosts = "host {\nconnect_port 26\n}\nhost {\nconnect_port 27\n}";
    assert_eq!(ports(""), [None]);
    assert_eq!(ports(hosts), [Some(26), Some(27)]);
    assert_eq!(ports(&format!("retry 2\n{hosts}")), [Some(26), Some(27)]);
    assert_eq!(ports(&format!("{hosts}\nconnect_timeout 3")), [None, Some(26), Some(27)]);
}

#[test]
fn datagrams_are_filled_and_not_measured_unless_it_is_said() {
    let udp = |words: &str| match &checks(&format!("UDP_CHECK {{\n{words}\n}}"))[0].kind {
        CheckKind::Udp(udp) => (udp.send.clone(), udp.max_reply),
        other => panic!("{other:?}"),
    };
    assert_eq!(udp(""), (b"keepalived check - keepalived ch".to_vec(), 65_507));
    assert_eq!(udp("payload 00\nrequire_reply"), (vec![0], 65_507));
    assert_eq!(udp("payload 00\nrequire_reply 01"), (vec![0], 255));
    assert_eq!(udp("payload 00\nmax_reply_length 9"), (vec![0], 9));
}

/// A group is one virtual server for each of its addresses.
#[test]
fn groups_variables_and_sequences_are_expanded() {
    let config = load("many_includes.conf");
    let listens: Vec<_> =
        config.virtual_servers.iter().map(|server| server.listen.to_string()).collect();
    assert_eq!(
        listens,
        [
            "192.0.2.71:25",
            "192.0.2.60:8080",
            "192.0.2.61:8080",
            "192.0.2.62:8080",
            "192.0.2.64:8080",
            "192.0.2.65:8080",
            "192.0.2.70:81",
            "192.0.2.70:82",
            "192.0.2.66:80"
        ]
    );
    let weights: Vec<_> =
        config.virtual_servers[1].backends.iter().map(|one| one.weight.value()).collect();
    assert_eq!(weights, [11, 13, 15]);
    assert_eq!(config.virtual_servers[1].backends[0].checks[0].interval.as_secs(), 5);
}

/// Lines with `@` are for one host.
#[test]
fn another_host_reads_other_lines() {
    let path = folder().join("many_includes.conf");
    let other = ConfigFile { config_id: Some("backup".to_owned()), ..ConfigFile::new(path) }
        .load()
        .unwrap();
    assert_eq!(other.virtual_servers[1].backends[0].checks[0].interval.as_secs(), 50);
}

#[test]
fn the_syntax_follows_the_name_of_the_file() {
    assert!(ConfigFile::new("/etc/keepalived/keepalived.conf").is_keepalived());
    assert!(ConfigFile::new("lb").is_keepalived());
    assert!(!ConfigFile::new("lb.toml").is_keepalived());
}

/// keepalived 2.2.7 says so of what an owner may track: that is how it was found out.
#[test]
fn a_master_without_a_priority_owns_the_addresses() {
    for (state, priority) in [("MASTER", 255), ("BACKUP", 100), ("MASTER\n priority 90", 90)] {
        let text = format!(
            "vrrp_instance A {{\n interface eth0\n virtual_router_id 1\n state {state}\n\
             virtual_ipaddress {{\n 192.0.2.1\n }}\n}}\n"
        );
        let config = Config::parse_keepalived("keepalived.conf", &text, "main").unwrap();
        assert_eq!(config.vrrp_instances[0].priority.get(), priority, "{state}");
    }
}
