//! Whoever comes from keepalived finds the same servers up: the real one and tcp-lb read one file, and come to
//! one verdict on each server, or to another for a reason that is written here and in KEEPALIVED.md.

mod case;
mod daemons;
mod others;
mod pages;
pub(crate) mod servers;
mod space;

use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::Instant;

use serde_json::Value;

use self::case::Verdict::{Down, Up, Wavering, Weighs};
use self::case::{Case, Cases, Verdict, WEIGHT};
use self::daemons::{Daemon, Said, Who, trio};
use self::space::Space;
use crate::harness::*;

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
    others::of_connections(&mut cases);
    pages::of_pages(&mut cases);
    pages::of_bodies(&mut cases);
    pages::of_pages_that_differ(&mut cases);
    pages::of_tls(&mut cases);
    others::of_mail(&mut cases);
    others::of_names(&mut cases);
    others::of_datagrams(&mut cases);
    others::of_programs(&mut cases, &folder);
    others::of_files(&mut cases, &folder);
    others::of_hosts(&mut cases);

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
