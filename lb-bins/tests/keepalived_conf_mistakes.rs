//! What is said about each of the bad files in `tests/keepalived/mistakes`, word for word.
//!
//! `REGENERATE=1 cargo test -p lb-bins --test keepalived_conf_mistakes` writes what is said now
//! beside the files; read the difference before committing it.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use lb_bins::config::{Config, ConfigFile, Daemon, Mistake, Severity};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keepalived/mistakes")
}

/// What a daemon would print for the file, which goes by its bare name.
fn said_about(path: &Path) -> String {
    let file = ConfigFile { config_id: Some("main".to_owned()), ..ConfigFile::new(path) };
    let said = match file.load() {
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
        .filter(|path| path.extension().is_some_and(|extension| extension == "conf"))
        .collect();
    files.sort();
    assert!(files.len() > 9, "only {} files found", files.len());

    let mut different = String::new();
    for file in files {
        let expected_file = file.with_extension("stderr");
        let said = said_about(&file);
        assert!(!said.is_empty(), "nothing is said about {}", file.display());
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
fn a_mistake_in_an_included_file_names_that_file() {
    let errors = Config::load(&folder().join("includes.conf")).unwrap_err();
    let in_file =
        |mistake: &&Mistake| Path::new(mistake.file()).file_name() == Some("typo.inc".as_ref());
    let found: Vec<_> = errors.mistakes().iter().filter(in_file).collect();
    assert!(found.iter().any(|mistake| mistake.position() == Some((2, 1))), "{errors}");
}

#[test]
fn keepaliveds_leniencies_are_warnings() {
    let config = Config::load(&folder().join("stray_brace.conf")).unwrap();
    assert_eq!(config.virtual_servers.len(), 1);
    assert_eq!(config.vrrp_instances.len(), 1);
    assert!(!config.warnings.is_empty());
}

/// tcp-lb has its part of the file alone, and says who does something with the rest; vip-keeper, like
/// keepalived, does something with all of it.
#[test]
fn a_balancer_names_who_keeps_the_addresses() {
    let path = folder().join("stray_brace.conf");
    let config = Config::load_for(Daemon::TcpLb, &path).unwrap();
    let last = config.warnings.last().unwrap();
    assert!(last.help().unwrap().contains("vip-keeper"), "{last}");
    let config = Config::load_for(Daemon::VipKeeper, &path).unwrap();
    assert_eq!((config.virtual_servers.len(), config.vrrp_instances.len()), (1, 1));
    assert!(!config.warnings.iter().any(|one| one.to_string().contains("tcp-lb")));
}

#[test]
fn too_many_unknown_words_are_not_all_shown() {
    let text = "nonsense\n".repeat(10_000);
    let errors = Config::parse_keepalived("keepalived.conf", &text, "main").unwrap_err();
    assert!(errors.mistakes().len() < 110, "{} mistakes", errors.mistakes().len());
}
