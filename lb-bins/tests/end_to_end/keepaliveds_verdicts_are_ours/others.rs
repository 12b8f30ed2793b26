//! All checkers but those of pages.

use std::fmt::Write;
use std::net::SocketAddr;

use super::case::Verdict::{Down, Up, Weighs};
use super::case::{Cases, Server, WEIGHT};
use super::servers::*;
use crate::harness::*;

pub(super) fn of_connections(cases: &mut Cases) {
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

pub(super) fn of_mail(cases: &mut Cases) {
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

pub(super) fn of_names(cases: &mut Cases) {
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

pub(super) fn of_datagrams(cases: &mut Cases) {
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

pub(super) fn of_programs(cases: &mut Cases, folder: &Folder) {
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
pub(super) fn of_files(cases: &mut Cases, folder: &Folder) {
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

pub(super) fn of_hosts(cases: &mut Cases) {
    cases.agree("a host", cases.nobody(), "PING_CHECK {\n}", Up);
    let nowhere = SocketAddr::from(([192, 0, 2, 2], 80));
    cases.agree("no way there", nowhere, "PING_CHECK {\n}", Down);
}
