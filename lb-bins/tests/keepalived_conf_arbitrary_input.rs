//! No text in keepalived's syntax makes the reader panic or run on, and what it accepts is printed
//! as TOML that means the same.

use std::time::{Duration, Instant};

use lb_bins::config::Config;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const SAMPLES: &[&str] = &[
    include_str!("keepalived/migrates/lvs_nat.conf"),
    include_str!("keepalived/migrates/dr_persistence.conf"),
    include_str!("keepalived/migrates/ssl_get_digests.conf"),
    include_str!("keepalived/migrates/every_checker.conf"),
    include_str!("keepalived/migrates/vrrp_pair.conf"),
    include_str!("keepalived/migrates/many_includes.conf"),
];

/// Pieces that are likely to be misread somewhere.
const PIECES: &[&str] = &[
    "\"",
    "'",
    "{",
    "}",
    " {\n",
    "}\n",
    "#",
    "!",
    "\\",
    "\\\n",
    "\n",
    "\r\n",
    "\t",
    "\u{feff}",
    "é",
    "$",
    "$A",
    "${A}",
    "$A=",
    "$A=$A x\n",
    "$A= \\\n",
    "@main ",
    "@^main ",
    "~SEQ(A, 1, 3) ",
    "~SEQx(A, -1) ",
    "~LST({A, B}, {1, 2}) ",
    "${_RANDOM 1 6}",
    "include ",
    "includea *.conf\n",
    "0",
    "-1",
    "65536",
    "99999999999999999999",
    "10.0.0.1-9",
    "10.0.0.0/8",
    "::",
    "2001:db8::1-ffff",
    "virtual_server 10.0.0.1 80 {\nprotocol TCP\n",
    "virtual_server group G {\nprotocol TCP\n",
    "virtual_server_group G {\n",
    "real_server 10.0.0.2 80 {\n",
    "HTTP_GET {\n",
    "url {\n",
    "weight ",
    "vrrp_instance A {\n",
    "virtual_ipaddress {\n",
    "track_script {\n",
    "regex (((\n",
];

/// Reads and shows whatever comes of it.
fn read(text: &str) -> Result<(), TestCaseError> {
    match Config::parse_keepalived("keepalived.conf", text, "main") {
        Ok(config) => {
            let printed = config.to_string();
            let read = Config::parse("printed.toml", &printed);
            prop_assert_eq!(read.as_ref(), Ok(&config), "{}", printed);
        }
        Err(errors) => {
            prop_assert!(!errors.mistakes().is_empty());
            for mistake in errors.mistakes() {
                let shown = mistake.to_string();
                prop_assert!(shown.starts_with("keepalived.conf:"), "{}", shown);
                let strange =
                    |character: char| character.is_control() && !"\n\t".contains(character);
                prop_assert!(!shown.contains(strange), "{:?}", shown);
                prop_assert!(shown.lines().count() <= 5, "{}", shown);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_text(text in any::<String>()) {
        read(&text)?;
    }

    #[test]
    fn random_pieces(pieces in vec(select(PIECES), 0..40)) {
        read(&pieces.concat())?;
    }

    /// A sample with parts of it replaced by something else, or by another part of it.
    #[test]
    fn mutated_sample(
        sample in select(SAMPLES),
        edits in vec((any::<Index>(), 0..40_usize, any::<Index>(), select(PIECES)), 1..6),
        own in any::<bool>(),
    ) {
        let mut text: Vec<char> = sample.chars().collect();
        for (place, length, from, piece) in edits {
            let start = place.index(text.len());
            let end = (start + length).min(text.len());
            let from = from.index(text.len());
            let replacement: Vec<char> = if own {
                text[from..(from + length).min(text.len())].to_vec()
            } else {
                piece.chars().collect()
            };
            text.splice(start..end, replacement);
            if text.is_empty() {
                break;
            }
        }
        read(&text.into_iter().collect::<String>())?;
    }

    /// One line of a sample removed, and another written twice.
    #[test]
    fn sample_with_other_lines(
        sample in select(SAMPLES),
        removed in any::<Index>(),
        doubled in any::<Index>(),
    ) {
        let mut lines: Vec<&str> = sample.lines().collect();
        lines.remove(removed.index(lines.len()));
        lines.insert(doubled.index(lines.len()), lines[doubled.index(lines.len())]);
        read(&lines.join("\n"))?;
    }
}

/// What would be endless is cut off, and said.
#[test]
fn bombs_are_defused() {
    let doubling: String =
        (1..60).map(|n| format!("$A{n}=${{A{m}}}${{A{m}}}\n", m = n - 1)).collect();
    let lines: String =
        (1..30).map(|n| format!("$L{n}= \\\n$L{m} \\\n$L{m}\n", m = n - 1)).collect();
    let group: String =
        (0..2000).map(|n| format!("10.{}.{}.1-250 80\n", n / 256, n % 256)).collect();
    let real_servers = "real_server 10.9.9.9 80 {\nTCP_CHECK {\n}\n}\n".repeat(5000);
    for bomb in [
        "~SEQ(N, 1, 9223372036854775807) x $N\n".to_owned(),
        "~SEQ(A, 1, 99999) ~SEQ(B, 1, 99999) ~SEQ(C, 1, 99999) x\n".to_owned(),
        "~SEQ(A, 1, 2) ".repeat(1000) + "x\n",
        format!("$A0=xxxxxxxxxxxxxxxx\n{doubling}x ${{A59}}\n"),
        format!("$L0=x\n{lines}$L29\n"),
        "$A=$A $A\nx $A\n".to_owned(),
        "$A=@main $A\n$A x\n".to_owned(),
        "{".repeat(200_000),
        "}".repeat(200_000),
        "x {\n".repeat(100_000),
        "virtual_server 10.0.0.1 80 {\nreal_server 10.0.0.2 80 {\n".repeat(50_000),
        format!(
            "virtual_server_group G {{\n{group}}}\nvirtual_server group G {{\nprotocol TCP\n{real_servers}}}\n"
        ),
        format!(
            "virtual_server_group G {{\n10.0.0.1-255 80\n}}\n{}",
            format!("virtual_server group G {{\nprotocol TCP\n{real_servers}}}\n").repeat(4)
        ),
        "include /etc/passwd\n".repeat(10_000),
        "a".repeat(1_000_000),
        format!("x {}\n", "\"".repeat(15_000)),
        format!("include {}\n", "{a,b}".repeat(100)),
    ] {
        let start = Instant::now();
        let outcome = Config::parse_keepalived("bomb.conf", &bomb, "main");
        assert!(outcome.is_err(), "{}", bomb.chars().take(60).collect::<String>());
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }
}
