//! No input makes the reader panic, and every mistake can be shown.

use lb_bins::config::Config;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const SAMPLES: [&str; 2] =
    [include_str!("config/sample.toml"), include_str!("config/every_check.toml")];

/// Pieces that are likely to be misread somewhere.
const PIECES: &[&str] = &[
    "\"",
    "'",
    "\"\"\"",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "=",
    ".",
    ",",
    "#",
    "\n",
    "\r",
    "\r\n",
    "\t",
    "\u{feff}",
    "\u{1b}",
    "é",
    "0",
    "-1",
    "65536",
    "9223372036854775808",
    "0x",
    "1e9",
    "nan",
    "\"2s\"",
    "\"60%\"",
    "\"none\"",
    "[virtual_server]",
    "[[virtual_server]]\n",
    "check = ",
    "quorum = {}",
    "[[virtual_server.backend.check]]\n",
    "\\u0000",
    "true",
    "1979-05-27",
];

/// Reads and shows whatever comes of it.
fn read(text: &str) -> Result<(), TestCaseError> {
    match Config::parse("input.toml", text) {
        Ok(config) => {
            let printed = config.to_string();
            let read = Config::parse("printed.toml", &printed);
            prop_assert_eq!(read.as_ref(), Ok(&config), "{}", printed);
        }
        Err(errors) => {
            prop_assert!(!errors.mistakes().is_empty());
            for mistake in errors.mistakes() {
                let shown = mistake.to_string();
                prop_assert!(shown.starts_with("input.toml:"), "{}", shown);
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
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_text(text in any::<String>()) {
        read(&text)?;
    }

    #[test]
    fn random_pieces(pieces in vec(select(PIECES), 0..30)) {
        read(&pieces.concat())?;
    }

    /// A sample with parts of it replaced by something else, or by another part of it.
    #[test]
    fn mutated_sample(
        edits in vec((any::<Index>(), 0..40_usize, any::<Index>(), select(PIECES)), 1..6),
        own in any::<bool>(),
        sample in select(&SAMPLES[..]),
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

    /// One line of a sample removed or written twice: still TOML most of the time.
    #[test]
    fn sample_with_other_lines(
        removed in any::<Index>(),
        doubled in any::<Index>(),
        sample in select(&SAMPLES[..]),
    ) {
        let mut lines: Vec<&str> = sample.lines().collect();
        lines.remove(removed.index(lines.len()));
        lines.insert(doubled.index(lines.len()), lines[doubled.index(lines.len())]);
        read(&lines.join("\n"))?;
    }
}

#[test]
fn deep_nesting() {
    for (open, close) in [("[", "]"), ("{a=", "}"), ("[{a=", "}]")] {
        let text = format!("check = {}1{}", open.repeat(100_000), close.repeat(100_000));
        assert!(Config::parse("deep.toml", &text).is_err());
    }
}

/// Names of the file are among what is known, and shown as that.
#[test]
fn a_help_moves_no_cursor() {
    let text = "[[vrrp_instance]]\nname = \"a\"\ninterface = \"lo\"\nvirtual_router_id = 5\n\
                addresses = [\"192.0.2.1/32\"]\ntrack_files = [\"b\"]\n\
                [[vrrp_track_file]]\nname = \"\\u001b[31m\"\nfile = \"/run/c\"\n";
    let shown = Config::parse("input.toml", text).expect_err("there is no file `b`").to_string();
    assert!(shown.contains("[31m") && !shown.contains('\u{1b}'), "{shown:?}");
}
