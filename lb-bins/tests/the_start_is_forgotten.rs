//! What only a start needs is not kept in memory. This test is alone in its process: others would have
//! pages of their own read meanwhile.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;

use lb_bins::config::Config;
use lb_bins::memory::forget_the_start;

/// How much of the program's own file is in memory as it is there, in kB.
fn of_the_file() -> u64 {
    let program = fs::read_link("/proc/self/exe").unwrap();
    let (maps, mut is_it, mut total) = (fs::read_to_string("/proc/self/smaps").unwrap(), false, 0);
    for line in maps.lines() {
        if line.contains(" r-xp ") || line.contains(" r--p ") {
            is_it = line.ends_with(program.to_str().unwrap());
        } else if let Some(rest) = line.strip_prefix("Rss:")
            && std::mem::take(&mut is_it)
        {
            total += rest.trim_end_matches("kB").trim().parse::<u64>().unwrap();
        }
    }
    total
}

#[test]
fn what_was_read_once_is_let_go_of_and_comes_back() {
    let text = "[[vrrp_instance]]\nname = \"a\"\nvrid = 7\ninterface = \"eth0\"\naddresses = [\"10.0.0.9/24\"]\n";
    let first = format!("{:?}", Config::parse("a.toml", text));
    let before = of_the_file();
    forget_the_start().unwrap();
    let after = of_the_file();
    assert!(after < before, "{before} kB before, {after} kB after");
    assert_eq!(format!("{:?}", Config::parse("a.toml", text)), first);
    assert!(of_the_file() > after, "what is needed comes back");
}
