//! `HTTP_GET` and `SSL_GET`.

use std::time::Duration;

use super::case::Cases;
use super::case::Verdict::{Down, Up};
use super::servers::*;

/// A check of one page.
pub(super) fn http(options: &str, url: &str) -> String {
    format!("HTTP_GET {{\n{options}\nurl {{\npath /\n{url}\n}}\n}}")
}

/// A check of several.
fn pages(options: &str, paths: &[&str]) -> String {
    let urls: String = paths.iter().map(|path| format!("url {{\npath {path}\n}}\n")).collect();
    format!("HTTP_GET {{\n{options}\n{urls}}}")
}

/// What is no answer in time.
const NEVER: Duration = Duration::from_secs(600);

pub(super) fn of_pages(cases: &mut Cases) {
    cases.page("a page", answering(page("alive")), "", Up);
    let endless = answering("HTTP/1.0 200 OK\r\n\r\nalive");
    cases.page("a page as long as the connection", endless, "", Up);
    cases.page("204", answering(status("204 No Content")), "", Up);
    let missing = || answering(status("404 Not Found"));
    cases.page("404", missing(), "", Down);
    cases.page("404 that is wanted", missing(), "status_code 404", Up);
    cases.page("302", answering(status("302 Found")), "", Down);
    cases.page("302 among others", answering(status("302 Found")), "status_code 200-299 302", Up);
    cases.page("500", answering(status("500 Oh")), "", Down);
    cases.page("nothing", answering(""), "", Down);
    cases.page("half a header", answering("HTTP/1.1 200 OK\r\nContent-Le"), "", Down);
    cases.page("something else", answering("220 mail.example.org\r\n\r\n"), "", Down);
    cases.agree("silence", slow(NEVER, &["late"]), &http("connect_timeout 1", ""), Down);
    const PIECES: &[&str] = &["HTTP/1.1 200 OK\r\n", "Content-Length: 4\r\n\r\n", "o", "ka", "y"];
    cases.page("slow, but in time", slow(Duration::from_millis(100), PIECES), "", Up);

    let agent = demanding("\r\nUser-Agent: KeepAliveClient\r\n");
    cases.page("keepalived's name", agent, "", Up);
    cases.page("host and port", demanding("\r\nHost: 127.0.0.1:"), "", Up);
    let site = || demanding("\r\nHost: www.example.org\r\n");
    cases.page("a site", site(), "virtualhost www.example.org", Up);
    cases.page("another site", site(), "virtualhost www.example.com", Down);
    cases.agree("a site of all", site(), &http("virtualhost www.example.org", ""), Up);
    let of_server = format!("virtualhost www.example.org\n{}", http("", ""));
    cases.agree("a site of the server", site(), &of_server, Up);
    cases.agree(
        "a client's address",
        for_client([127, 0, 0, 5]),
        &http("bindto 127.0.0.5", ""),
        Up,
    );
    cases.agree(
        "another's address",
        for_client([127, 0, 0, 5]),
        &http("bindto 127.0.0.6", ""),
        Down,
    );
    for (version, words, verdict) in [
        ("1.0", " HTTP/1.0\r\n", Up),
        ("1.0", "\r\nConnection: close\r\n", Down),
        ("1.1", " HTTP/1.1\r\n", Up),
        ("1.1", "\r\nConnection: close\r\n", Up),
    ] {
        let check = http(&format!("http_protocol {version}"), "");
        cases.agree(&format!("{version}: {words:?}"), demanding(words), &check, verdict);
    }

    let good_but_for_one = || {
        let is_bad = |head: &str| head.starts_with("GET /bad ");
        asked(move |head| if is_bad(head) { status("503 Bad") } else { page("good") })
    };
    cases.agree("good pages", good_but_for_one(), &pages("", &["/a", "/b", "/c?d=e"]), Up);
    cases.agree("a bad page", good_but_for_one(), &pages("", &["/a", "/bad", "/c"]), Down);
    let tired = slow(Duration::from_millis(3500), &["HTTP/1.1 200 OK\r\n\r\nalive"]);
    // Longer, together, than each may take.
    cases.agree("tired pages", tired, &pages("connect_timeout 6", &["/a", "/b"]), Up);
}

/// The MD5 digests of "alive", of nothing, and of what is in `large`.
const ALIVE: &str = "digest 7bd3d5f5b3cdb13aed632121206e729c";
const EMPTY: &str = "digest d41d8cd98f00b204e9800998ecf8427e";
const LARGE: &str = "digest 1a910cd9769e9a112e798595cbeb9446";

pub(super) fn of_bodies(cases: &mut Cases) {
    cases.page("a digest", answering(page("alive")), ALIVE, Up);
    cases.page("a digest in capitals", answering(page("alive")), &ALIVE.replace('a', "A"), Up);
    cases.page("the digest of a part", answering(page("alive\n")), ALIVE, Down);
    cases.page("the digest of nothing", answering(page("")), EMPTY, Up);
    cases.page("another digest", answering(page("alive")), EMPTY, Down);
    let well = || answering(page("I am alive and well"));
    cases.page("a part", well(), "regex alive", Up);
    cases.page("a part that is missing", well(), "regex dead", Down);
    cases.page("nothing of the kind", well(), "regex dead\nregex_no_match", Up);
    cases.page("something of the kind", well(), "regex alive\nregex_no_match", Down);
    cases.page("other letters", well(), "regex ALIVE", Down);
    cases.page("any letters", well(), "regex ALIVE\nregex_options caseless", Up);
    let lines = || answering(page("one\ntwo 22 three"));
    for (expression, options, verdict) in [
        ("two [0-9]+ three", "", Up),
        ("\"two \\\\d+ three\"", "", Up),
        ("\"two \\d+ three\"", "", Down),
        ("one.two", "", Down),
        ("one.two", "regex_options dotall", Up),
        ("^two", "", Down),
        ("^two", "regex_options multiline", Up),
        ("one$", "", Down),
        ("one$", "regex_options multiline", Up),
        ("\"on e\"", "", Down),
        ("\"on e\"", "regex_options extended", Up),
    ] {
        cases.page(expression, lines(), &format!("regex {expression}\n{options}"), verdict);
    }
    let both = format!("{ALIVE}\nregex dead");
    cases.page("a digest without a part", answering(page("alive")), &both, Down);

    // Of which keepalived looks at 4 KiB at a time.
    let large = || "0123456789abcdef".repeat(3 << 16);
    cases.page("3 MiB", answering(page(&large())), "", Up);
    cases.page("the digest of 3 MiB", answering(page(&large())), LARGE, Up);
    cases.page("another digest of 3 MiB", answering(page(&large())), EMPTY, Down);
    let told = answering(page(&(large() + " the end.")));
    cases.page("the end of 3 MiB", told, "regex \"the end\"", Up);
    cases.page("no end of 3 MiB", answering(page(&large())), "regex \"the end\"", Down);
    for before in [4030, 4050, 4070] {
        let body = "y".repeat(before) + "a needle that is long" + &"y".repeat(5000);
        let name = format!("a needle behind {before} straws");
        cases.page(&name, answering(page(&body)), "regex \"a ne+dle that is long\"", Up);
    }
}

/// Where keepalived looks at less, or at something else, than a client does.
pub(super) fn of_pages_that_differ(cases: &mut Cases) {
    // It reads until the server hangs up.
    let lasting = lasting(page("alive"));
    cases.differ("a page and no end", lasting, &http("connect_timeout 5", ""), Down, Up);
    // It waits as long for each piece.
    let dripping = slow(Duration::from_secs(1), &["HTTP/1.1 200 OK\r\n\r\n", "a", "l", "i", "ve"]);
    cases.differ("a page drop by drop", dripping, &http("connect_timeout 3", ""), Up, Down);
    // It takes the first header for the last.
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    cases.differ("an interim answer", answering(interim), &http("", ""), Down, Up);
    // It wants the end as well, though all has come.
    let reset = resetting("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalive");
    cases.differ("a reset behind a page", reset, &http("", ""), Down, Up);
    // It hashes the lengths of chunks, too.
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nalive\r\n0\r\n\r\n";
    let check = http("http_protocol 1.1", ALIVE);
    cases.differ("the digest of chunks", answering(chunked), &check, Down, Up);
    // It takes what came for all.
    let cut = answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nalive");
    cases.differ("half a page", cut, &http("", ""), Up, Down);
    // It has room for 4 KiB.
    let head = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\nalive", "x".repeat(5000));
    cases.differ("a long header", answering(head), &http("", ""), Down, Up);
    // It wants to see what others do without.
    for (name, head) in [
        ("a status without words", "HTTP/1.1 200\r\n\r\n"),
        ("lines without a return", "HTTP/1.1 200 OK\n\n"),
    ] {
        cases.differ(name, answering(head), &http("", ""), Down, Up);
    }
    // It takes a header that comes with the page for a part of it.
    let well = || answering(page("I am alive and well"));
    cases.differ("how a page begins", well(), &http("", "regex \"^I am\""), Down, Up);
    cases.differ("words of a header", well(), &http("", "regex Content-Length"), Up, Down);
    // It asks by HTTP/1.0.
    cases.differ("who knows 1.1 alone", demanding(" HTTP/1.1\r\n"), &http("", ""), Down, Up);
    // It takes what might go on for no match.
    let well = answering(page("alive"));
    cases.differ("a line's end", well, &http("", "regex alive$"), Down, Up);
}

pub(super) fn of_tls(cases: &mut Cases) {
    const PLAIN: Tls = Tls { protocols: &[], name: None, says_farewell: true };
    let check = |options: &str| http(options, "").replacen("HTTP_GET", "SSL_GET", 1);
    let alive = || page("alive");
    cases.agree("a page", secured(PLAIN, alive()), &check(""), Up);
    cases.agree("404", secured(PLAIN, status("404 Not Found")), &check(""), Down);
    let clear = talking("HTTP/1.1 400 Bad Request\r\n\r\n", &[]);
    cases.agree("in clear", clear, &check(""), Down);
    for protocols in [&["http/1.1"][..], &["h2", "http/1.1"]] {
        for version in ["1.0", "1.1"] {
            let server = secured(Tls { protocols, ..PLAIN }, alive());
            let check = check(&format!("http_protocol {version}"));
            cases.agree(&format!("{version} where {protocols:?} is known"), server, &check, Up);
        }
    }
    let named = Tls { name: Some("www.example.org"), ..PLAIN };
    let site = "virtualhost www.example.org";
    let asking = format!("{site}\nenable_sni");
    cases.agree("a name", secured(named, alive()), &check(&asking), Up);
    cases.agree("no name", secured(PLAIN, alive()), &check(site), Up);
    cases.agree("a name that nobody asks for", secured(named, alive()), &check(site), Down);
    cases.agree("no name where one is asked for", secured(PLAIN, alive()), &check(&asking), Down);
    let hasty = Tls { says_farewell: false, ..PLAIN };
    cases.agree("no farewell", secured(hasty, alive()), &check(""), Up);
    let open = "HTTP/1.0 200 OK\r\n\r\nalive";
    cases.agree("no length and no farewell", secured(hasty, open), &check(""), Up);
}
