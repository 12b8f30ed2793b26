//! Mistakes on the command line, in the configuration, and in what it asks of the system.

use std::fs;

use crate::harness::*;

/// What is said about a configuration that is refused: exit code 2, and nothing that listens.
#[track_caller]
fn refused(config: &str, expected: &[&str]) {
    let (code, said) = first_words(config);
    assert_eq!(code, Some(2), "{said}");
    for expected in expected {
        assert!(said.contains(expected), "`{expected}` is missing in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn malformed_toml_is_refused_with_line_and_column() {
    refused("[[virtual_server]]\nlisten = = 3\n", &["lb.toml:2:10: error: "]);
    refused("", &["lb.toml:1:1: error: "]);
    refused("\u{0}", &["lb.toml:1:1: error: "]);
}

#[test]
fn mistakes_are_refused_with_line_and_column_all_at_once() {
    let (web, other) = (Port::free(), Port::free());
    let backend = "backend = [{ address = \"127.0.0.1:9\" }]";
    // The first line of a virtual server is empty; name and listen come before the rest.
    refused(&server("web", &web, &["retires = 3", backend]), &["lb.toml:5:1: error: ", "retires"]);
    refused(&server("web", &web, &["quorum = 2", backend]), &["lb.toml:5:10: error: ", "quorum"]);
    let twice = r#"backend = [{ address = "127.0.0.1:9" }, { address = "127.0.0.1:9" }]"#;
    refused(&server("web", &web, &[twice]), &["lb.toml:5:", "127.0.0.1:9"]);
    let again = server("web", &web, &[backend]) + &server("two", &web, &[backend]);
    refused(&again, &["lb.toml:9:10: error: ", &web.to_string()]);
    let many = server("web", &web, &["quorum = 2", "retires = 3", backend])
        + &server("web", &other, &["scheduler = \"best\"", backend]);
    refused(&many, &["lb.toml:5:", "lb.toml:6:", "lb.toml:10:", "lb.toml:12:"]);
}

#[test]
fn a_taken_port_is_refused_and_nothing_stays_behind() {
    let (free, taken, only) = (Port::free(), Port::free(), Backend::greeter());
    let _listener = taken.listen(1).unwrap();
    let list = backends([(&only, 1)]);
    let (good, bad) = (server("good", &free, &[&list]), server("bad", &taken, &[&list]));
    let hooks = Folder::new();
    let hook = hooks.script("hook", r#"touch "$(dirname "$0")/ran""#);
    let hook = format!("on_quorum_up = [\"{}\"]", hook.display());
    for config in [
        good.clone() + &bad,
        bad.clone() + &good,
        format!("admin = \"{taken}\"\n{}", server("good", &free, &[&hook, &list])),
    ] {
        let said = ["error: ", &taken.to_string(), "another program listens there already"];
        refused(&config, &said);
        assert!(connect(free.address()).is_err());
        assert_eq!(only.requests(), 0);
    }
    assert!(!hooks.file("ran").exists(), "the quorum hook has run");
}

#[test]
fn a_second_instance_is_not_let_in() {
    let (web, only) = (Port::free(), Backend::greeter());
    let config = server("web", &web, &[&backends([(&only, 1)])]);
    let balancer = Balancer::start(&config);
    refused(&config, &[&web.to_string(), "another program listens there already"]);
    let path = balancer.config_path();
    let output = arguments(&["--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(ask(web.address()).unwrap(), only.name());
}

#[test]
fn an_address_that_is_not_ours_is_refused() {
    // TEST-NET-1 of RFC 5737: nobody's.
    let config = r#"
        [[virtual_server]]
        listen = "192.0.2.1:8000"
        backend = [{ address = "127.0.0.1:9" }]
    "#;
    refused(config, &["192.0.2.1:8000", "this host does not have the address"]);
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    for more in [&[][..], &["--check"]] {
        let output = arguments(&[&["--config", "/nonexistent/lb.toml"], more].concat());
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("/nonexistent/lb.toml: error: cannot read the file"), "{said}");
    }
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused() {
    for wrong in [
        &[][..],
        &["--config"],
        &["--check"],
        &["--demo", "--config", "lb.toml"],
        &["--demo", "--check"],
        &["--demo-seconds", "3"],
        &["--config", "lb.toml", "--workers", "0"],
        &["--config", "lb.toml", "--log-format", "xml"],
        &["--confgi", "lb.toml"],
        &["lb.toml"],
    ] {
        let output = arguments(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("error: ") && said.contains("--help"), "{wrong:?}: {said}");
    }
    for right in ["--help", "--version"] {
        let output = arguments(&[right]);
        assert_eq!(output.status.code(), Some(0));
        assert!(right == "--help" || output.stdout.starts_with(b"tcp-lb "), "{output:?}");
    }
}

#[test]
fn check_prints_a_configuration_that_says_the_same() {
    let folder = Folder::new();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config/sample.toml");
    let print = |path: &str| {
        let output = arguments(&["--check", "--config", path]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let printed = print(sample);
    assert!(printed.contains("connect_timeout"), "{printed}");
    let copy = folder.write("copy.toml", &printed);
    assert_eq!(print(copy.to_str().unwrap()), printed);
}

#[test]
fn check_listens_nowhere_and_refuses_what_a_start_would_refuse() {
    let (folder, web) = (Folder::new(), Port::free());
    let _listener = web.listen(1).unwrap();
    let list = r#"backend = [{ address = "127.0.0.1:9" }]"#;
    let path = folder.write("good.toml", &server("web", &web, &[list]));
    // A running daemon has the port, of course.
    let output = arguments(&["--check", "--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");

    let path = folder.write("bad.toml", &server("web", &web, &["retires = 3", list]));
    let output = arguments(&["--config", path.to_str().unwrap(), "--check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(String::from_utf8(output.stderr).unwrap().contains(":5:1: error: "));
}

#[test]
fn a_file_that_a_check_needs_is_missed_before_anything_starts() {
    let (folder, web) = (Folder::new(), Port::free());
    let list = r#"backend = [{ address = "127.0.0.1:9" }]"#;
    let nowhere = folder.file("nowhere");
    let nowhere = nowhere.to_str().unwrap();
    let checks = [
        format!(r#"check = {{ type = "tls", sni = "a.example", ca = "{nowhere}" }}"#),
        format!(r#"check = {{ type = "mysql", user = "a", password_file = "{nowhere}" }}"#),
    ];
    for check in checks {
        let path = folder.write("lb.toml", &server("web", &web, &[&check, list]));
        for more in [&[][..], &["--check"]] {
            let output = arguments(&[&["--config", path.to_str().unwrap()], more].concat());
            assert_eq!(output.status.code(), Some(2), "{more:?}");
            assert!(output.stdout.is_empty());
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(said.contains(&format!("cannot read {nowhere}: ")), "{said}");
            assert!(said.contains("backend 127.0.0.1:9"), "{said}");
        }
    }
}

#[test]
fn warnings_are_said_and_stop_nothing() {
    let (web, only) = (Port::free(), Backend::greeter());
    // A sorry server that nothing ever calls for.
    let sorry = r#"sorry_server = "127.0.0.1:9""#;
    let balancer = Balancer::start(&server("web", &web, &[sorry, &backends([(&only, 1)])]));
    assert_eq!(ask(web.address()).unwrap(), only.name());
    balancer.until_logged(&["lb.toml:6:16: warning: "]);
}

#[test]
fn a_configuration_that_nobody_may_read_is_refused() {
    let folder = Folder::new();
    // A directory, since root may read everything else.
    fs::create_dir(folder.file("lb.toml")).unwrap();
    let path = folder.file("lb.toml");
    let output = arguments(&["--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("cannot read the file"));
}
