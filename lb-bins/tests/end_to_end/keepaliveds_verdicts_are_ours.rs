//! Whoever comes from keepalived finds the same servers up: the real one and tcp-lb read one file, and come to
//! one verdict on each server, or to another for a reason that is written here and in KEEPALIVED.md.

mod daemons;
pub(crate) mod servers;
mod space;

use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use self::daemons::{Daemon, Said, Who, trio};
use self::servers::*;
use self::space::Space;
use crate::harness::*;

/// What becomes of a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Up,
    Down,
    /// Up, with another weight than is configured.
    Weighs(u64),
    /// Now this and then that, which nothing here should be.
    Wavering,
}

use Verdict::{Down, Up, Wavering, Weighs};

impl Said {
    /// `None` as long as nothing was said. Where something `is_changed` the last word holds; elsewhere there is
    /// one word.
    fn verdict(&self, is_changed: bool) -> Option<Verdict> {
        match (self.down, self.up) {
            _ if is_changed => Some(if self.last_up { Up } else { Down }),
            (true, true) => Some(Wavering),
            (true, false) => Some(Down),
            (false, true) => Some(Up),
            (false, false) => None,
        }
    }
}

/// What each server weighs by itself.
const WEIGHT: u64 = 10;

/// A server, how it is checked, and what is to come of it.
struct Case {
    name: String,
    server: SocketAddr,
    check: String,
    theirs: Verdict,
    ours: Verdict,
}

impl Case {
    /// Whether what it is about changes once the daemons run.
    fn is_changed(&self) -> bool {
        self.check.starts_with("FILE_CHECK")
    }
}

#[derive(Default)]
struct Cases {
    all: Vec<Case>,
    /// What is in the file beside virtual servers.
    around: String,
    /// What is written to which file, once the daemons run.
    changes: Vec<(&'static str, i32)>,
    /// They run as long as this lives.
    servers: Vec<Backend>,
    holes: Vec<BlackHole>,
}

impl Cases {
    /// Both come to this verdict on a server.
    fn agree(&mut self, name: &str, server: impl Server, check: &str, verdict: Verdict) {
        self.differ(name, server, check, verdict, verdict);
    }

    /// They come to different verdicts: theirs, and ours, which is the better one.
    fn differ(
        &mut self,
        name: &str,
        server: impl Server,
        check: &str,
        theirs: Verdict,
        ours: Verdict,
    ) {
        let is_kind = |word: &&str| word.contains('_') && word.to_uppercase() == **word;
        let kind = check.split_whitespace().find(is_kind).unwrap_or_default();
        let (name, check) = (format!("{kind}: {name}"), check.to_owned());
        let server = server.kept(self);
        self.all.push(Case { name, server, check, theirs, ours });
    }

    /// Both come to this verdict on one page.
    fn page(&mut self, name: &str, server: Backend, url: &str, verdict: Verdict) {
        self.agree(name, server, &http("", url), verdict);
    }

    /// A server that there is nothing of but its address.
    fn nobody(&self) -> SocketAddr {
        ([127, 0, 0, 3], 1 + self.all.len() as u16).into()
    }
}

/// What has an address.
trait Server {
    /// The address, which has its server as long as the cases live.
    fn kept(self, cases: &mut Cases) -> SocketAddr;
}

impl Server for Backend {
    fn kept(self, cases: &mut Cases) -> SocketAddr {
        let address = self.address();
        cases.servers.push(self);
        address
    }
}

impl Server for BlackHole {
    fn kept(self, cases: &mut Cases) -> SocketAddr {
        let address = self.address();
        cases.holes.push(self);
        address
    }
}

impl Server for SocketAddr {
    fn kept(self, _: &mut Cases) -> SocketAddr {
        self
    }
}

/// A check of one page.
fn http(options: &str, url: &str) -> String {
    format!("HTTP_GET {{\n{options}\nurl {{\npath /\n{url}\n}}\n}}")
}

/// A check of several.
fn pages(options: &str, paths: &[&str]) -> String {
    let urls: String = paths.iter().map(|path| format!("url {{\npath {path}\n}}\n")).collect();
    format!("HTTP_GET {{\n{options}\n{urls}}}")
}

/// What is no answer in time.
const NEVER: Duration = Duration::from_secs(600);

fn of_connections(cases: &mut Cases) {
    let mut dead = Backend::silent();
    dead.kill();
    cases.agree("somebody", Backend::silent(), "TCP_CHECK {\n}", Up);
    cases.agree("nobody", dead, "TCP_CHECK {\n}", Down);
    cases.agree("no way there", SocketAddr::from(([192, 0, 2, 1], 80)), "TCP_CHECK {\n}", Down);
    cases.agree("silence", BlackHole::new(), "TCP_CHECK {\nconnect_timeout 1\n}", Down);
    let elsewhere = Backend::silent().kept(cases);
    let port = format!("connect_port {}", elsewhere.port());
    let here = SocketAddr::from(([127, 0, 0, 1], 9));
    cases.agree("another port", here, &format!("TCP_CHECK {{\n{port}\n}}"), Up);
    let address = format!("TCP_CHECK {{\nconnect_ip 127.0.0.1\n{port}\n}}");
    cases.agree("another address", SocketAddr::from(([192, 0, 2, 3], 9)), &address, Up);
}

fn of_pages(cases: &mut Cases) {
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

fn of_bodies(cases: &mut Cases) {
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
fn of_pages_that_differ(cases: &mut Cases) {
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
    cases.differ("a line's end", well, &http("", "regex \"^alive$\""), Down, Up);
}

fn of_tls(cases: &mut Cases) {
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

fn of_mail(cases: &mut Cases) {
    const CHECK: &str = "SMTP_CHECK {\nhelo_name lb.example.org\n}";
    const HELLO: (&str, &str) = ("EHLO lb.example.org\r\n", "250-mail\r\n250 HELP\r\n");
    const OLD: (&str, &str) = ("HELO lb.example.org\r\n", "250 mail\r\n");
    const BYE: (&str, &str) = ("QUIT", "221 bye\r\n");
    const GREETING: &str = "220 mail ESMTP\r\n";
    cases.agree("mail", talking(GREETING, &[HELLO, OLD, BYE]), CHECK, Up);
    cases.agree("full", talking("421 full\r\n", &[HELLO, OLD, BYE]), CHECK, Down);
    cases.agree("closed", talking("554 no\r\n", &[HELLO, OLD, BYE]), CHECK, Down);
    cases.agree("nothing", talking("", &[]), "SMTP_CHECK {\nconnect_timeout 1\n}", Down);
    const REFUSAL: [(&str, &str); 2] = [("HELO", "550 who?\r\n"), ("EHLO", "550 who?\r\n")];
    cases.agree("an unwelcome name", talking(GREETING, &REFUSAL), CHECK, Down);
    cases.agree(
        "an old server",
        talking(GREETING, &[OLD, BYE, ("EHLO", "500 what?\r\n")]),
        CHECK,
        Up,
    );
    cases.agree("a very old server", talking(GREETING, &[OLD, BYE]), CHECK, Up);
    // A host is a server of its own; the real one is checked beside it if there are words of it.
    for (own, [real, host], verdict) in [
        ("", [false, true], Up),
        ("", [true, false], Down),
        ("connect_timeout 20", [false, true], Down),
        ("connect_timeout 20", [true, false], Down),
        ("connect_timeout 20", [true, true], Up),
    ] {
        let greeting = |well| if well { GREETING } else { "554 no\r\n" };
        let port = talking(greeting(host), &[OLD, BYE]).kept(cases).port();
        let host =
            format!("host {{\nconnect_ip 127.0.0.1\nconnect_port {port}\nconnect_timeout 20\n}}");
        let check = CHECK.replacen('\n', &format!("\n{own}\n{host}\n"), 1);
        let name = format!("{real} and a host, {own:?}");
        cases.agree(&name, talking(greeting(real), &[OLD, BYE]), &check, verdict);
    }
    // It takes a second line for the answer to what it says then.
    let talkative = talking("220-mail\r\n220 and more\r\n", &[HELLO, OLD, BYE]);
    cases.differ("two lines", talkative, CHECK, Down, Up);
    // It wants an answer to its last word.
    cases.differ("no word of goodbye", talking(GREETING, &[HELLO, OLD]), CHECK, Down, Up);
}

fn of_names(cases: &mut Cases) {
    let check = |words: &str| format!("DNS_CHECK {{\nname www.example.org\ntype A\n{words}\n}}");
    cases.agree("no record", names(0x8180), &check(""), Up);
    cases.agree("no such name", names(0x8183), &check(""), Down);
    cases.agree("a failure", names(0x8182), &check(""), Down);
    cases.agree("a question back", names(0x0100), &check("connect_timeout 1"), Down);
    cases.agree("silence", datagrams(|_| None), &check("connect_timeout 1"), Down);
    cases.agree("nobody", cases.nobody(), &check(""), Down);
    cases.agree("the root", names(0x8180), "DNS_CHECK {\n}", Up);
    let no = |query: &[u8]| [&[!query[0], query[1], 0x81, 0x80][..], &query[4..]].concat();
    let yes = |query: &[u8]| [&query[..2], &[0x81, 0x80][..], &query[4..]].concat();
    let late = datagrams(move |query| vec![no(query), yes(query)]);
    cases.agree("an answer to somebody else first", late, &check(""), Up);
    let elsewhere = datagrams(move |query| Some(no(query)));
    cases.agree("an answer to somebody else", elsewhere, &check("connect_timeout 1"), Down);
    let asked = move |query: &[u8], change: fn(&mut u8)| {
        let mut answer = yes(query);
        answer[12..].iter_mut().for_each(change);
        Some(answer)
    };
    let loud = datagrams(move |query| asked(query, u8::make_ascii_uppercase));
    cases.agree("the name in capitals", loud, &check(""), Up);
    // It looks at no question that is answered.
    let other = datagrams(move |query| asked(query, |byte| *byte ^= u8::from(*byte == b'w')));
    let hurried = check("connect_timeout 1");
    cases.differ("an answer to something else", other, &hurried, Up, Down);
    // It takes half an answer for one.
    cases.differ("too long an answer", names(0x8380), &check(""), Up, Down);
}

fn of_datagrams(cases: &mut Cases) {
    let check = |words: &str| format!("UDP_CHECK {{\n{words}\n}}");
    let says = |answer: &[u8]| {
        let answer = answer.to_vec();
        datagrams(move |_| Some(answer.clone()))
    };
    let patient = check("connect_timeout 1");
    cases.agree("silence", datagrams(|_| None), &patient, Up);
    cases.agree("nobody", cases.nobody(), &check(""), Down);
    cases.agree("any word", says(b"pong"), &patient, Up);
    cases.agree("many words", says(&[b'x'; 300]), &patient, Up);
    let echo = |payload: &'static [u8]| {
        datagrams(move |heard| (heard == payload).then(|| b"yes".to_vec()))
    };
    let pays = check("payload 70 696e67\nrequire_reply 796573");
    cases.agree("a payload", echo(b"ping"), &pays, Up);
    let unheard = check("payload 70\nrequire_reply\nconnect_timeout 1");
    cases.agree("another payload", echo(b"ping"), &unheard, Down);
    let awake = datagrams(|heard| (!heard.is_empty()).then(|| b"yes".to_vec()));
    cases.agree("who wants to hear something", awake, &check("require_reply"), Up);
    let hurried = check("require_reply\nconnect_timeout 1");
    cases.agree("silence where a word is required", datagrams(|_| None), &hurried, Down);
    let required = check("require_reply");
    cases.agree("a word that is required", says(b"pong"), &required, Up);
    cases.agree("many words that are required", says(&[b'x'; 300]), &required, Up);
    let certain = check("require_reply 01x2");
    cases.agree("a certain word", says(b"\x01\xf2pong"), &certain, Up);
    cases.agree("another word", says(b"\x01\xf3pong"), &certain, Down);
    let long = [&b"\x01\x02"[..], &[b'x'; 300]].concat();
    cases.agree("a certain word and too many", says(&long), &certain, Down);
    let least = check("require_reply 01x2\nmin_reply_length 6");
    cases.agree("enough words", says(b"\x01\xf2pong"), &least, Up);
    cases.agree("too few words", says(b"\x01\xf2pon"), &least, Down);
    // It holds against the pattern what there is: of nothing, nothing.
    cases.differ("half a word", says(b"\x01"), &certain, Up, Down);
    cases.differ("no word", says(b""), &certain, Up, Down);
    // It looks at lengths where there is a pattern, and at no other place, whatever its manual says.
    let short = check("require_reply\nmin_reply_length 6");
    cases.differ("too few words of any kind", says(b"pong"), &short, Up, Down);
}

fn of_programs(cases: &mut Cases, folder: &Folder) {
    let check = |script: &str, words: &str| {
        let script = folder.script(&format!("script-{}", script.replace(' ', "-")), script);
        format!("MISC_CHECK {{\nmisc_path {}\nmisc_timeout 20\n{words}\n}}", script.display())
    };
    for (code, verdict) in [(0, Up), (1, Down), (2, Down), (255, Down)] {
        let check = check(&format!("exit {code}"), "");
        cases.agree(&format!("exit {code}"), cases.nobody(), &check, verdict);
    }
    for (code, verdict) in
        [(0, Up), (1, Down), (2, Weighs(0)), (3, Weighs(1)), (9, Weighs(7)), (255, Weighs(253))]
    {
        let check = check(&format!("exit {code}"), "misc_dynamic");
        cases.agree(&format!("exit {code} as a weight"), cases.nobody(), &check, verdict);
    }
    let exits = folder.script("exits", "exit \"$1\"");
    for (arguments, verdict) in [("0 1", Up), ("1 0", Down)] {
        let path = format!("\"{} {arguments}\"", exits.display());
        let check = format!("MISC_CHECK {{\nmisc_path {path}\nmisc_timeout 20\n}}");
        cases.agree(&format!("arguments {arguments}"), cases.nobody(), &check, verdict);
    }
    cases.agree("killed", cases.nobody(), &check("kill -9 $$", ""), Down);
    let endless = check("exec sleep 600", "").replace("misc_timeout 20", "misc_timeout 1");
    cases.agree("endless", cases.nobody(), &endless, Down);
}

/// keepalived tells of what a file changes, not of what it is at the start, which it takes the wrong way round
/// for `weight 0 reverse` (`set_track_file_checkers_down`): of that it tells nothing.
fn of_files(cases: &mut Cases, folder: &Folder) {
    for (name, weight, [first, then], verdict) in [
        ("none", "0", [1, 0], Up),
        ("some", "0", [0, 1], Down),
        ("less", "0", [0, -1], Down),
        ("heavier", "2", [0, 3], Weighs(WEIGHT + 6)),
        ("lighter", "1", [0, -3], Weighs(WEIGHT - 3)),
        ("reversed", "1 reverse", [0, 3], Weighs(WEIGHT - 3)),
        ("nothing", "1", [0, -30], Weighs(0)),
        ("out", "1", [0, i32::MIN], Down),
    ] {
        let path = folder.write(name, &format!("{first}\n"));
        let words = format!("file {}\nweight {weight}", path.display());
        writeln!(cases.around, "track_file {name} {{\n{words}\n}}").unwrap();
        let check = format!("FILE_CHECK {{\ntrack_file {name}\n}}");
        cases.agree(&format!("{then} times {weight}"), cases.nobody(), &check, verdict);
        cases.changes.push((name, then));
    }
}

fn of_hosts(cases: &mut Cases) {
    cases.agree("a host", cases.nobody(), "PING_CHECK {\n}", Up);
    let nowhere = SocketAddr::from(([192, 0, 2, 2], 80));
    cases.agree("no way there", nowhere, "PING_CHECK {\n}", Down);
}

/// One virtual server of which servers are up until a check fails, and one of which they are down until one
/// passes: whatever becomes of a server is a change of one of them, and is told.
fn configuration(cases: &Cases, folder: &Folder, [up, down]: [SocketAddr; 2]) -> String {
    let mut text = "global_defs {\nscript_user root\n".to_owned();
    for who in [Who::Theirs, Who::Ours].map(Who::name) {
        writeln!(text, "@{who} notify_fifo {}", folder.file(who).display()).unwrap();
    }
    text += "}\n";
    text += &cases.around;
    for (server, alpha) in [(up, ""), (down, "alpha")] {
        let (ip, port) = (server.ip(), server.port());
        write!(
            text,
            "virtual_server {ip} {port} {{\nprotocol TCP\nlvs_sched rr\nlvs_method NAT\n{alpha}\n\
             delay_loop 1\nwarmup 0\nconnect_timeout 20\n"
        )
        .unwrap();
        for Case { server, check, .. } in &cases.all {
            let (ip, port) = (server.ip(), server.port());
            writeln!(text, "real_server {ip} {port} {{\nweight {WEIGHT}\n{check}\n}}").unwrap();
        }
        text += "}\n";
    }
    text
}

/// The verdicts, in the order of the cases, as soon as there are all of them; as far as there are any when
/// patience is over.
fn verdicts(
    cases: &Cases,
    daemon: &mut Daemon,
    up_at_first: SocketAddr,
    weights: impl Fn(&Daemon) -> HashMap<String, u64>,
) -> Vec<Option<Verdict>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        daemon.assert_runs();
        let (said, weights) = (daemon.said(up_at_first), weights(daemon));
        let verdict = |case: &Case| {
            let server = trio(case.server);
            let weight = weights.get(&server).copied().unwrap_or(WEIGHT);
            match said.get(&server) {
                _ if weight != WEIGHT => Some(Weighs(weight)),
                // One that is expected may be still to come.
                _ if matches!(case.ours, Weighs(_)) => None,
                said => said?.verdict(case.is_changed()),
            }
        };
        let all: Vec<_> = cases.all.iter().map(verdict).collect();
        let is_settled = |(case, verdict): (&Case, &Option<Verdict>)| match case.is_changed() {
            // What it was before is a verdict as well.
            true => *verdict == Some(case.ours),
            false => verdict.is_some(),
        };
        if cases.all.iter().zip(&all).all(is_settled) || Instant::now() > deadline {
            return all;
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// The weights that keepalived has changed, as its log tells: `Changing weight from 10 to 7 for active service
/// SERVER of VS …`.
fn weights_in(log: &[String]) -> HashMap<String, u64> {
    let mut weights = HashMap::new();
    for line in log {
        let words: Vec<_> = line.split(' ').collect();
        let Some(at) = words.windows(2).position(|pair| pair == ["Changing", "weight"]) else {
            continue;
        };
        if let ["from", _, "to", weight, "for", _, "service", server, ..] = words[at + 2..] {
            weights.insert(server.to_owned(), weight.parse().unwrap());
        }
    }
    weights
}

/// The weights that our servers have, unless they are down.
fn weights_at(admin: SocketAddr) -> HashMap<String, u64> {
    let Ok(answer) = get(admin, "/status") else { return HashMap::new() };
    let status: Value = serde_json::from_str(&answer.body).unwrap();
    let servers = status["virtual_servers"].as_array().unwrap().iter();
    let backends = servers.flat_map(|server| server["backends"].as_array().unwrap());
    let weight = |backend: &Value| {
        let address = backend["address"].as_str().unwrap().parse().unwrap();
        (trio(address), backend["weight"].as_u64().unwrap())
    };
    backends
        .filter(|backend| backend["state"] == "up" || backend["state"] == "drain")
        .map(weight)
        .collect()
}

/// Whether there is all that this takes. With `LB_SKIP_NOTHING` in the environment there has to be.
fn is_possible() -> bool {
    ["keepalived", "cc", "ip"].iter().all(|program| {
        let is_there = Command::new(program).arg("--help").output().is_ok();
        let may_skip = std::env::var_os("LB_SKIP_NOTHING").is_none();
        assert!(is_there || may_skip, "there is no {program}");
        if !is_there {
            eprintln!("skipped: there is no {program}");
        }
        is_there
    })
}

#[test]
#[ignore = "needs keepalived, a C compiler, and root for a network namespace"]
fn one_file_and_one_verdict_on_each_server() {
    if is_possible() {
        Space::new().inside(compare);
    }
}

fn compare() {
    let folder = Folder::new();
    let mut cases = Cases::default();
    of_connections(&mut cases);
    of_pages(&mut cases);
    of_bodies(&mut cases);
    of_pages_that_differ(&mut cases);
    of_tls(&mut cases);
    of_mail(&mut cases);
    of_names(&mut cases);
    of_datagrams(&mut cases);
    of_programs(&mut cases, &folder);
    of_files(&mut cases, &folder);
    of_hosts(&mut cases);

    let [up, down, admin] = [Port::free(), Port::free(), Port::free()];
    let [up, down, admin] = [up.address(), down.address(), admin.address()];
    folder.write("keepalived.conf", &configuration(&cases, &folder, [up, down]));
    let mut theirs = Daemon::start(Who::Theirs, &folder, admin);
    let mut ours = Daemon::start(Who::Ours, &folder, admin);
    theirs.until_logged("Startup complete");
    until("we serve", || get(admin, "/healthz").is_ok());
    for (file, number) in &cases.changes {
        folder.write(file, &format!("{number}\n"));
    }
    let found_by_them = verdicts(&cases, &mut theirs, up, |daemon| weights_in(&daemon.log()));
    let found_by_us = verdicts(&cases, &mut ours, up, |_| weights_at(admin));

    let mut wrong = String::new();
    for ((case, theirs_is), ours_is) in cases.all.iter().zip(found_by_them).zip(found_by_us) {
        let wanted = (case.theirs, case.ours);
        if (theirs_is, ours_is) != (Some(case.theirs), Some(case.ours)) {
            writeln!(wrong, "{}: {theirs_is:?} and {ours_is:?}, not {wanted:?}", case.name)
                .unwrap();
            for line in theirs.log_of(case.server).chain(ours.log_of(case.server)) {
                writeln!(wrong, "    {line}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "keepalived and we find:\n{wrong}");
}
