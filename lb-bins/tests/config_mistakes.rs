//! What is said about each of the bad files in `tests/config`, word for word.
//!
//! `REGENERATE=1 cargo test -p lb-bins --test config_mistakes` writes what is said now beside the
//! files; read the difference before committing it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use lb_bins::config::{Config, Mistake, Severity};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

/// What the daemon would print for the file, which goes by its bare name.
fn said_about(file: &Path) -> String {
    let said = match Config::load(file) {
        Ok(config) => config.warnings.iter().fold(String::new(), |mut said, warning| {
            assert_eq!(warning.severity(), Severity::Warning);
            let separator = if said.is_empty() { "" } else { "\n" };
            write!(said, "{separator}{warning}").unwrap();
            said
        }),
        Err(errors) => errors.to_string(),
    };
    said.replace(&format!("{}/", folder().display()), "")
}

#[test]
fn every_file_gets_the_expected_mistakes() {
    let regenerate = std::env::var_os("REGENERATE").is_some();
    let mut files: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() > 12, "only {} files found", files.len());

    let mut different = String::new();
    for file in files {
        let expected_file = file.with_extension("stderr");
        let said = said_about(&file);
        if regenerate {
            fs::write(&expected_file, &said).unwrap();
        }
        let expected = fs::read_to_string(&expected_file).unwrap_or_default();
        if said != expected {
            let name = expected_file.display();
            write!(different, "--- {name}\n{expected}\n+++ now\n{said}\n").unwrap();
        }
    }
    assert!(different.is_empty(), "{different}");
}

#[test]
fn each_first_line_leads_an_editor_to_the_place() {
    let errors = Config::load(&folder().join("wrong_types.toml")).unwrap_err();
    for mistake in errors.mistakes() {
        let (line, column) = mistake.position().unwrap();
        let start = format!("{}:{line}:{column}: error: {}", mistake.file(), mistake.message());
        assert_eq!(mistake.to_string().lines().next(), Some(start.as_str()));
        assert!(mistake.help().is_some());
    }
}

#[test]
fn mistakes_are_in_the_order_of_the_text() {
    for name in ["checks", "quorum", "ranges", "repeated", "wrong_types"] {
        let errors = Config::load(&folder().join(name).with_extension("toml")).unwrap_err();
        let positions: Vec<_> = errors.mistakes().iter().map(Mistake::position).collect();
        assert!(positions.is_sorted(), "{name}: {positions:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_one_mistake_without_a_place() {
    let errors = Config::load(Path::new("/nowhere/lb.toml")).unwrap_err();
    let [mistake] = errors.mistakes() else { panic!("{errors}") };
    assert_eq!(mistake.position(), None);
    assert!(errors.to_string().starts_with("/nowhere/lb.toml: error: cannot read the file: "));
}

#[test]
fn a_directory_is_no_file() {
    let errors = Config::load(&folder()).unwrap_err();
    assert!(errors.to_string().contains("cannot read the file"), "{errors}");
}

#[test]
fn a_huge_file_is_refused_without_reading_all_of_it() {
    let endless = Path::new("/dev/zero");
    if endless.exists() {
        let errors = Config::load(endless).unwrap_err();
        assert!(errors.to_string().contains("larger than 16 MiB"), "{errors}");
    }
}
