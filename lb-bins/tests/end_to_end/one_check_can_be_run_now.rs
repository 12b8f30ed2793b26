//! `--probe`, `--digest` and `--genhash`.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::*;
use crate::keepaliveds_verdicts_are_ours::servers::{Tls, demanding, secured};

fn page(status: &str, body: &str) -> Backend {
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
    Backend::http(move |head| match head.starts_with("GET /alive HTTP/1.") {
        true => answer.clone(),
        false => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
    })
}

/// What is printed, and the exit status.
fn said(output: Output) -> (i32, String) {
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

fn probe(words: &[&str]) -> (i32, String) {
    said(arguments(words))
}

#[test]
fn a_check_that_passes_shows_where_its_time_goes() {
    let up = Backend::greeter();
    let (code, text) = probe(&["--probe", "tcp", &up.name()]);
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with(&format!("tcp check of {}: passed after ", up.name())), "{text}");
    assert!(text.contains("\n  connect  "), "{text}");
}

#[test]
fn a_check_that_fails_says_why() {
    let mut sick = page("503 No", "overloaded");
    let (code, text) = probe(&["--probe", "http,path=/alive,status=200", &sick.name()]);
    assert_eq!(code, 1, "{text}");
    let first = text.lines().next().unwrap();
    assert!(first.starts_with(&format!("http check of {}: failed after ", sick.name())), "{text}");
    assert!(first.ends_with("status 503, not one of 200 [status]"), "{text}");
    assert!(text.contains("\n  status      503\n"), "{text}");
    // The table of a configuration will do as well.
    let table = r#"{ type = "http", path = "/alive", status = [503] }"#;
    assert_eq!(probe(&["--probe", table, &sick.name()]).0, 0);
    sick.kill();
    let (code, text) = probe(&["--probe", "tcp", &sick.name()]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("connection refused [refused]"), "{text}");
}

/// Whether it would pass depends on what is not known here.
#[test]
fn a_check_that_passes_only_while_up_says_so() {
    let leaving = page("404 Gone", "");
    for (words, passes_always) in [
        ("http,path=/alive,drain_status=404", false),
        ("http,path=/alive,drain_status=404,status=404", true),
    ] {
        let (code, text) = probe(&["--probe", words, &leaving.name()]);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("\n  weight      0\n"), "{text}");
        let says = text.contains("\n  passes      only a server that is up already\n");
        assert_eq!(says, !passes_always, "{text}");
    }
}

#[test]
fn a_server_that_has_a_name_is_asked_for_by_it() {
    let up = Backend::http(|head| {
        let head = head.to_lowercase();
        let status = if head.contains("\r\nhost: localhost:") { "200 OK" } else { "404 Where" };
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")
    });
    assert_eq!(probe(&["--probe", "http", &up.name()]).0, 1);
    let (code, text) = probe(&["--probe", "http", &format!("localhost:{}", up.address().port())]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn a_configured_backend_is_probed_by_all_of_its_checks() {
    let (folder, web) = (Folder::new(), Port::free());
    let (good, bare) = (page("200 OK", "fine"), Backend::greeter());
    let checks = r#"check = [{ type = "tcp" }, { type = "http", path = "/other" }]"#;
    let list = backends_with([(&good, checks), (&bare, "weight = 1")]);
    let path = folder.write("lb.toml", &server("web", &web, &[&list]));
    let config = path.to_str().unwrap();
    let (code, text) = probe(&["--config", config, "--probe", &good.name()]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains(&format!("web: tcp check of {}: passed", good.name())), "{text}");
    assert!(text.contains(&format!("web: http check of {}: failed", good.name())), "{text}");
    assert!(text.contains("status 404"), "{text}");

    let (code, text) = probe(&["--config", config, "--probe", &bare.name()]);
    assert!(code == 2 && text.contains("is not checked"), "{code} {text}");
    let (code, text) = probe(&["--config", config, "--probe", "127.0.0.1:1"]);
    assert!(code == 2 && text.contains(&bare.name()), "{code} {text}");
}

#[test]
fn what_cannot_be_run_is_said_and_ends_with_2() {
    for (words, why) in [
        (&["--probe", "htp", "127.0.0.1:80"][..], "did you mean \"http\"?"),
        (&["--probe", "http,pathe=/", "127.0.0.1:80"], "did you mean `path`?"),
        (&["--probe", "htp", "127.0.0.1:80"], "--probe: error: `type` is \"htp\""),
        (&["--probe", "tcp", "here"], "`here` is no address or name with a port: write here:80"),
        (&["--probe", "tcp", "::1"], "`::1` is no address or name with a port: write [::1]:80"),
        (&["--probe", "tcp", "127.0.0.1:x"], "with a port, such as 192.0.2.1:80"),
        (&["--probe", "127.0.0.1:80"], "--probe takes a check and an address"),
        (&["--probe", "script,command=/nonexistent", "127.0.0.1:80"], "could not be run here"),
        (&["--probe", "tcp", "127.0.0.1:80", "--digest"], "--digest is for checks of type http"),
        (&["--demo", "--probe", "tcp", "127.0.0.1:80"], "cannot be used with"),
        (&["--genhash", "-s", "127.0.0.1"], "--port"),
    ] {
        let (code, text) = probe(words);
        assert_eq!(code, 2, "{words:?} {text}");
        assert!(text.contains(why), "{words:?} {text}");
    }
}

/// Whether pings are allowed here or not.
#[test]
fn a_ping_needs_no_port() {
    for (target, shown) in
        [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("127.0.0.1:7", "127.0.0.1")]
    {
        let (_, text) = probe(&["--probe", "ping,timeout=5s", target]);
        assert!(text.starts_with(&format!("ping check of {shown}: ")), "{text}");
    }
}

#[test]
fn help_shows_how_to_probe() {
    let (code, text) = probe(&["--help"]);
    assert_eq!(code, 0);
    assert!(text.contains("tcp-lb --probe http,path=/alive,status=200 "), "{text}");
}

/// The MD5 digest of `hello`.
const HELLO: &str = "5d41402abc4b2a76b9719d911017c592";

#[test]
fn the_digest_of_a_page_is_printed() {
    let backend = page("200 OK", "hello");
    let (code, text) = probe(&["--digest", "--probe", "http,path=/alive", &backend.name()]);
    assert_eq!((code, text), (0, format!("MD5SUM = {HELLO}\n")));
    let check = format!("http,path=/alive,md5={HELLO}");
    assert_eq!(probe(&["--probe", &check, &backend.name()]).0, 0);
}

#[test]
fn genhash_tells_more_if_it_is_asked_to() {
    let backend = page("200 OK", "hello");
    let port = backend.address().port().to_string();
    let (code, text) = probe(&["--genhash", "-v", "-s", "127.0.0.1", "-p", &port, "-u", "/alive"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.starts_with("http check of 127.0.0.1:") && text.contains("passed after"),
        "{text}"
    );
    assert!(
        text.contains("\n  status      200\n") && text.ends_with(&format!("{HELLO}\n")),
        "{text}"
    );
}

#[test]
fn vip_keeper_runs_checks_as_well() {
    let (up, folder) = (Backend::greeter(), Folder::new());
    let run = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_vip-keeper")).args(arguments).output().unwrap();
        let text =
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    let (code, text) = run(&["--probe", "tcp", &up.name()]);
    assert_eq!((code, text.contains("tcp check of")), (Some(0), true), "{text}");
    let config = format!(
        "[[vrrp_check]]\nname = \"web\"\ntarget = \"{}\"\ncheck = {{ type = \"tcp\" }}\n\
         [[vrrp_instance]]\nname = \"v\"\ninterface = \"lo\"\nvirtual_router_id = 51\n\
         addresses = [\"192.0.2.200/32\"]\ntrack_checks = [\"web\"]\n",
        up.name()
    );
    let path = folder.write("vip.toml", &config);
    let (code, text) = run(&["--config", path.to_str().unwrap(), "--probe", &up.name()]);
    assert_eq!((code, text.contains("web: tcp check of")), (Some(0), true), "{text}");
    let (code, text) = run(&["--config", path.to_str().unwrap(), "--probe", "127.0.0.1:1"]);
    assert_eq!((code, text.contains("there are: ")), (Some(2), true), "{text}");
    assert_eq!(run(&[]).0, Some(2));
    assert!(run(&["--version"]).1.starts_with("vip-keeper "));
}

#[test]
fn genhash_is_understood() {
    let backend = page("500 No", "hello");
    let port = backend.address().port().to_string();
    let words = ["-s", "127.0.0.1", "-p", &port, "-u", "/alive"];
    let (code, text) = probe(&[&["--genhash"], &words[..]].concat());
    assert_eq!((code, text), (0, format!("{HELLO}\n")));
    let words = ["--server=127.0.0.1", "--port", &port, "--url", "/alive", "-P", "1.1"];
    let (code, text) = probe(&[&["--genhash"], &words[..]].concat());
    assert_eq!((code, text), (0, format!("{HELLO}\n")));
}

/// As its checks do: the page may be another one for others.
#[test]
fn genhash_asks_as_keepalived_does() {
    const NAME: &str = "www.example.org";
    let hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let genhash = |server: &Backend, more: &[&str]| {
        let port = server.address().port().to_string();
        let words = ["--genhash", "-s", "127.0.0.1", "-p", &port, "-u", "/"];
        probe(&[&words[..], more].concat())
    };
    let (code, text) = genhash(&demanding("\r\nUser-Agent: KeepAliveClient\r\n"), &["-v"]);
    assert!(code == 0 && text.contains("\n  status      200\n"), "{text}");
    for (name, more) in [(None, &["-S", "-V", NAME][..]), (Some(NAME), &["-S", "-I", "-V", NAME])] {
        let server = secured(Tls { protocols: &[], name, says_farewell: true }, hello);
        assert_eq!(genhash(&server, more), (0, format!("{HELLO}\n")), "{more:?}");
    }
}

/// Beside keepalived's own, against a real web server.
#[test]
#[ignore = "nginx and genhash must be installed"]
fn genhash_prints_what_keepalived_s_prints() {
    let theirs = Path::new("/usr/bin/genhash");
    if !Path::new("/usr/sbin/nginx").exists() || !theirs.exists() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "nginx or genhash is missing");
        return eprintln!("skipped: nginx or genhash is missing");
    }
    let nginx = crate::nginx_as_backend::Nginx::start();
    let port = nginx.port().address().port().to_string();
    for page in ["/alive", "/", "/another"] {
        for more in [&[][..], &["-V", "www.example.org"], &["-P", "1.1"]] {
            let words = [&["-s", "127.0.0.1", "-p", &port, "-u", page], more].concat();
            let (_, expected) = said(Command::new(theirs).args(&words).output().unwrap());
            let (code, text) = probe(&[&["--genhash"], &words[..]].concat());
            assert_eq!((code, text), (0, expected), "{words:?}");
        }
    }
}
