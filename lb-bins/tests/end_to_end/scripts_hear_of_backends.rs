//! `on_up` and `on_down`.

use rustix::process::Signal;

use crate::harness::*;

/// A script that notes what it is told, slowly on purpose: runs that overlapped would be in
/// disorder.
fn script(folder: &Folder) -> String {
    let path = folder.script(
        "notify",
        r#"folder=$(dirname "$0")
        sleep 0.1
        echo "$1 $LB_VIRTUAL_SERVER $LB_BACKEND $LB_STATE ($LB_REASON)" >> "$folder/events""#,
    );
    path.display().to_string()
}

#[test]
fn each_change_runs_the_script_of_the_backend_or_else_of_the_server() {
    let (web, hooks) = (Port::free(), Folder::new());
    let mut two = [(); 2].map(|()| Backend::greeter());
    let script = script(&hooks);
    let own = format!(r#"on_down = ["{script}", "own"]"#);
    let list = backends_with([(&two[0], own.as_str()), (&two[1], "weight = 1")]);
    let rest = [
        &format!(r#"on_up = ["{script}", "shared"]"#),
        &format!(r#"on_down = ["{script}", "shared"]"#),
        QUICK_CHECK,
        &list,
    ];
    let balancer = Balancer::start(&server("web", &web, &rest));
    balancer.until_all_up();
    until("both are told", || hooks.read("events").lines().count() == 2);
    let mut names = two.each_ref().map(Backend::name);
    let mut expected = names.clone().map(|name| format!("shared web {name} up (tcp check passed)"));
    expected.sort();
    let mut said: Vec<_> = hooks.read("events").lines().map(str::to_owned).collect();
    said.sort();
    assert_eq!(said, expected);

    for backend in &mut two {
        backend.kill();
        balancer.until_state("web", backend, "down");
        backend.revive();
        balancer.until_state("web", backend, "up");
    }
    until("all are told", || hooks.read("events").lines().count() == 6);
    let refused = "tcp check failed: connection refused";
    let down = |who: &str, name: &str| format!("{who} web {name} down ({refused})");
    let up = |name: &str| format!("shared web {name} up (tcp check passed)");
    let said: Vec<_> = hooks.read("events").lines().skip(2).map(str::to_owned).collect();
    let [first, second] = &mut names;
    assert_eq!(said, [down("own", first), up(first), down("shared", second), up(second)]);
}

#[test]
fn a_script_that_hangs_delays_no_check() {
    let (web, hooks) = (Port::free(), Folder::new());
    let mut only = Backend::greeter();
    let script = hooks.script("hang", r#"echo $$ > "$(dirname "$0")/process"; exec sleep 1000"#);
    let hang = format!(r#"on_up = ["{}"]"#, script.display());
    let list = backends([(&only, 1)]);
    let mut balancer = Balancer::start(&server("web", &web, &[&hang, QUICK_CHECK, &list]));
    for _ in 0..2 {
        balancer.until_state("web", &only, "up");
        assert_eq!(ask(web.address()).unwrap(), only.name());
        only.kill();
        balancer.until_state("web", &only, "down");
        only.revive();
    } // Asked twice, it ends at once, and takes the script along.
    balancer.signal(Signal::TERM);
    balancer.signal(Signal::TERM);
    assert!(balancer.ended().success());
    until("the script is gone", || !is_running(&hooks.read("process")));
}

fn is_running(process: &str) -> bool {
    std::path::Path::new("/proc").join(process.trim()).exists()
}

/// Whatever a script says, and however much: of a log of JSON, each line is an object.
#[test]
fn what_scripts_say_is_a_field_of_the_log() {
    let (folder, web, mut only) = (Folder::new(), Port::free(), Backend::greeter());
    // More than its pipe takes: when the script has ended, it was read.
    let flood =
        r#"i=0; while [ $i -lt 250 ]; do printf 'line %-1000d\n' $i >&2; i=$((i + 1)); done"#;
    let script = folder.script("hook", &format!(r#"echo 'it is "down"' >&2; {flood}"#));
    let hook = format!("on_down = [\"{}\", \"to\", \"whom\"]", script.display());
    let config = server("web", &web, &[QUICK_CHECK, &hook, &backends([(&only, 1)])]);
    let balancer = Balancer::start_and(&config, &["--log-format", "json"]);
    balancer.until_all_up();
    only.kill();
    balancer.until_logged(&[r#""stderr":"it is \"down\"""#, &script.display().to_string()]);
    balancer.until_logged(&[r#""lost":151"#, "says too much"]);
    // Of another run there is nothing more in this minute.
    only.revive();
    balancer.until_all_up();
    only.kill();
    until("it ran again", || balancer.lines_with("script ran").len() == 2);
    assert_eq!(balancer.lines_with(r#""arguments":"to whom""#).len(), 2);
    assert_eq!(balancer.lines_with(r#""stderr":"line "#).len(), 99);
    for line in balancer.log() {
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
    }
}
