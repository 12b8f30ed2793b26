//! `notify_fifo`: keepalived's lines.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::harness::*;

fn keys(pipe: &Path) -> String {
    format!("notify_fifo = \"{}\"\n", pipe.display())
}

/// Everything that is said, from now on or since nobody read.
fn listen(pipe: &Path) -> Lines<BufReader<File>> {
    BufReader::new(File::open(pipe).unwrap()).lines()
}

fn next(lines: &mut Lines<BufReader<File>>) -> String {
    lines.next().unwrap().unwrap()
}

/// As keepalived writes it.
fn trio(port: impl ToString) -> String {
    let (ip, port) =
        port.to_string().rsplit_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    format!("[{ip}]:tcp:{port}")
}

#[test]
fn a_reader_hears_of_backends_and_quorum_in_order() {
    let (folder, web, mut only) = (Folder::new(), Port::free(), Backend::greeter());
    let pipe = folder.file("changes");
    let rest = [QUICK_CHECK, &backends([(&only, 1)])];
    let mut balancer = Balancer::start(&(keys(&pipe) + &server("web", &web, &rest)));
    let kind = fs::metadata(&pipe).unwrap();
    assert!(kind.file_type().is_fifo());
    assert_eq!(kind.permissions().mode() & 0o777, 0o600);

    let (rs, vs) = (trio(only.address()), trio(&web));
    let mut lines = listen(&pipe);
    let both = |lines: &mut _, state: &str| {
        assert_eq!(next(lines), format!("RS {rs} {vs} {state}"));
        assert_eq!(next(lines), format!("VS {vs} {state}"));
    };
    both(&mut lines, "UP");
    for _ in 0..2 {
        only.kill();
        both(&mut lines, "DOWN");
        only.revive();
        both(&mut lines, "UP");
    }
    // A reader that goes misses nothing if it comes back in time.
    drop(lines);
    only.kill();
    balancer.until_state("web", &only, "down");
    both(&mut listen(&pipe), "DOWN");

    balancer.signal(Signal::TERM);
    assert!(balancer.ended().success());
    assert!(!pipe.exists(), "we made it");
}

#[test]
fn a_pipe_without_a_reader_loses_lines_and_nothing_else() {
    let (folder, web, mut only) = (Folder::new(), Port::free(), Backend::greeter());
    let pipe = folder.file("changes");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // As if nobody had read for long: only the test's own end holds what is in it.
    let filled = File::options().read(true).write(true).open(&pipe).unwrap();
    rustix::io::ioctl_fionbio(&filled, true).unwrap();
    while rustix::io::write(&filled, &[b'x'; 4096]).is_ok() {}
    let rest = [QUICK_CHECK, &backends([(&only, 1)])];
    let mut balancer = Balancer::start(&(keys(&pipe) + &server("web", &web, &rest)));
    balancer.until_all_up();
    assert_eq!(ask(web.address()).unwrap(), only.name());
    only.kill();
    balancer.until_state("web", &only, "down");
    let fifo = || balancer.status()["notify"]["fifo"].clone();
    until("four lines are lost", || fifo()["lost_total"] == 4);
    assert_eq!(fifo()["lines_total"], 0);
    let metrics = get(balancer.admin(), "/metrics").unwrap().body;
    assert!(metrics.contains("lb_notify_fifo_lost_lines_total 4\n"), "{metrics}");
    assert_eq!(balancer.lines_with("lines are lost").len(), 1, "it is said once");

    let mut room = vec![0; 1 << 20];
    rustix::io::read(&filled, &mut room).unwrap();
    only.revive();
    balancer.until_state("web", &only, "up");
    balancer.until_logged(&["4 lines were lost"]);
    assert_eq!(fifo()["lines_total"], 2);

    balancer.signal(Signal::TERM);
    assert!(balancer.ended().success());
    assert!(pipe.exists(), "it was there before");
}

#[test]
fn a_reload_moves_to_another_pipe() {
    let (folder, web, mut only) = (Folder::new(), Port::free(), Backend::greeter());
    let [first, second, file] = ["first", "second", "file"].map(|name| folder.file(name));
    let rest = [QUICK_CHECK, &backends([(&only, 1)])];
    let rest = server("web", &web, &rest);
    let balancer = Balancer::start(&(keys(&first) + &rest));
    balancer.until_all_up();
    balancer.reload(&(keys(&second) + &rest));
    until("it is removed", || !first.exists());
    only.kill();
    balancer.until_state("web", &only, "down");
    assert!(next(&mut listen(&second)).ends_with("DOWN"));

    // Removed behind our back, and wanted again.
    fs::remove_file(&second).unwrap();
    balancer.reload(&(keys(&second) + &rest));
    assert!(second.exists());
    only.revive();
    balancer.until_state("web", &only, "up");
    assert!(next(&mut listen(&second)).ends_with("UP"));
    balancer.reload(&rest);
    until("it is removed", || !second.exists());
    fs::write(&file, "").unwrap();
    assert!(balancer.reload_in_vain(&(keys(&file) + &rest)).contains("is no named pipe"));
}

#[test]
fn what_is_no_pipe_is_refused_by_a_start_and_by_check() {
    let (folder, web, only) = (Folder::new(), Port::free(), Backend::greeter());
    let config = |path: &Path| keys(path) + &server("web", &web, &[&backends([(&only, 1)])]);
    let file = folder.write("file", "");
    let (code, said) = first_words(&config(&file));
    assert_eq!(code, Some(2));
    assert!(said.contains("is no named pipe"), "{said}");
    for (path, why) in [(file, "is no named pipe"), (folder.file("a/b"), "No such file")] {
        let path = folder.write("lb.toml", &config(&path));
        let output = arguments(&["--check", "--config", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{output:?}");
    }
}

/// As keepalived's `notify_fifo_script`.
#[test]
fn a_reader_is_started_and_started_again() {
    let (folder, web, mut only) = (Folder::new(), Port::free(), Backend::greeter());
    let pipe = folder.file("changes");
    let script = folder.script(
        "reader",
        r#"folder=$(dirname "$0")
        echo "$1" >> "$folder/started"
        while read -r line; do
            echo "$line" >> "$folder/read"
            [ -e "$folder/fail" ] && rm "$folder/fail" && exit 1
        done < "$2"
        echo "the end" >> "$folder/read""#,
    );
    let reader = format!("notify_fifo_script = [\"{}\", \"first\"]\n", script.display());
    let rest = [QUICK_CHECK, &backends([(&only, 1)])];
    let config = keys(&pipe) + &reader + &server("web", &web, &rest);
    let mut balancer = Balancer::start(&config);
    let vs = trio(&web);
    until("it reads", || folder.read("read").contains(&format!("VS {vs} UP")));
    folder.write("fail", "");
    only.kill();
    balancer.until_logged(&["the reader of the pipe has ended"]);
    until("it reads again", || folder.read("read").contains(&format!("VS {vs} DOWN")));
    assert_eq!(folder.read("started"), "first\nfirst\n");
    balancer.signal(Signal::TERM);
    assert!(balancer.ended().success());
    assert!(folder.read("read").ends_with("the end\n"), "{}", folder.read("read"));
}
