//! `tcp-lb --simulate`: what would come of a script, and what is wrong with one.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulate").join(name)
}

fn simulate(config: &Path, script: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcp-lb"));
    command.arg("--config").arg(config).arg("--simulate").arg(script).args(more);
    command.output().unwrap()
}

fn story(config: &Path, script: &Path, more: &[&str]) -> String {
    let output = simulate(config, script, more);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A directory of this test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tcp-lb-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_documented_example_is_what_is_printed() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let (config, script) = (here("lb.toml"), here("trouble.txt"));
    let story = story(&config, &script, &[]);
    for part in [fs::read_to_string(&config).unwrap(), fs::read_to_string(&script).unwrap(), story]
    {
        assert!(readme.contains(&part), "README.md lacks:\n{part}");
    }
}

#[test]
fn the_seed_and_the_length_are_as_one_says() {
    let (config, script) = (here("lb.toml"), here("trouble.txt"));
    let first = story(&config, &script, &[]);
    assert_eq!(first, story(&config, &script, &["--seed", "1"]));
    assert_ne!(first, story(&config, &script, &["--seed", "2"]));
    let short = story(&config, &script, &["--for", "20s"]);
    assert!(first.starts_with(&short) && short.contains("quorum lost"), "{short}");
    assert!(!short.contains("recovers") && short.len() < first.len(), "{short}");
    assert!(story(&config, &script, &["--for", "10m"]).len() >= first.len());
    let output = simulate(&config, &script, &["--for", "soon"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn every_virtual_server_tells_its_part_and_a_reload_changes_them() {
    let folder = Folder::new("simulate-several");
    let server = |name: &str, port: u16, more: &str| {
        format!(
            "[[virtual_server]]\nname = \"{name}\"\nlisten = \"127.0.0.1:{port}\"\n{more}\n\
             check = {{ type = \"tcp\" }}\nbackend = [{{ address = \"127.0.0.1:9001\" }}, \
             {{ address = \"127.0.0.1:9002\" }}]\n"
        )
    };
    let passive = "passive = { consecutive = 3, eject = \"5s\" }";
    let both = [server("a", 8001, ""), server("b", 8002, passive)].concat();
    let config = folder.write("lb.toml", &both);
    folder.write("next.toml", &both.replace("127.0.0.1:9002", "127.0.0.1:9003"));
    let script = folder.write(
        "script",
        "5s b/127.0.0.1:9001 turns-away 3\n5s a/127.0.0.1:9002 disable\n20s reload next.toml\n\
         25s 127.0.0.1:9003 dies\n",
    );
    let story = story(&config, &script, &[]);
    let told = |text: &str| {
        story.lines().find(|line| line.ends_with(text)).unwrap_or_else(|| panic!("{text}: {story}"))
    };
    told("b: 127.0.0.1:9001 is ejected: clients fail there");
    told("10.000 s  b: 127.0.0.1:9001 is not ejected any more");
    told("a: new flows go to 127.0.0.1:9001=1");
    told("20.000 s  b: new flows go to 127.0.0.1:9001=1");
    told("a: 127.0.0.1:9003 is up");
    told("a: 127.0.0.1:9003 is down: refused");
    told("b: 127.0.0.1:9003 is down: refused");
    assert!(!story.contains("a: 127.0.0.1:9001 is ejected"), "{story}");
}

#[test]
fn draining_is_over_in_time_unless_it_is_called_off() {
    let folder = Folder::new("simulate-drain");
    let config = fs::read_to_string(here("lb.toml")).unwrap().replace("quorum = 3\n", "");
    let config = folder.write("lb.toml", &config);
    let script = folder.write(
        "script",
        "10s 127.0.0.1:9001 drain\n20s 127.0.0.1:9001 enable\n30s 127.0.0.1:9002 drain\n",
    );
    let story = story(&config, &script, &[]);
    let pools: Vec<_> = story.lines().filter(|line| line.contains("new flows go to")).collect();
    let last = "   60.000 s  new flows go to 127.0.0.1:9001=2 127.0.0.1:9003=1";
    assert_eq!(pools.last(), Some(&last), "{story}");
    assert_eq!(pools.iter().filter(|line| line.contains("9001=0")).count(), 1, "{story}");
}

/// What has no end is not read to its end.
#[test]
fn a_script_that_is_too_long_is_refused() {
    let output = simulate(&here("lb.toml"), Path::new("/dev/zero"), &[]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("cannot read /dev/zero: it is longer than 16 MiB"), "{told}");
}

#[test]
fn mistakes_are_told_with_line_and_remedy() {
    let folder = Folder::new("simulate-mistakes");
    let config = here("lb.toml");
    for (script, message) in [
        (
            "# nothing yet\n10s 127.0.0.1:9001 sings\n",
            "script:2: error: `sings` is nothing that happens to a backend: it dies",
        ),
        ("10 127.0.0.1:9001 dies\n", "help: write the time since the beginning first"),
        (
            "10s 127.0.0.1:9999 dies\n",
            "script:1: error: there is no backend `127.0.0.1:9999` then\n    1 | 10s 127.0.0.1:9999 \
             dies\nhelp: there are: 127.0.0.1:9001, 127.0.0.1:9002, 127.0.0.1:9003\n",
        ),
        (
            "10s mail/127.0.0.1:9001 dies\n",
            "there is no virtual server `mail` then\n    1 | 10s mail/127.0.0.1:9001 dies\nhelp: \
             there are: web\n",
        ),
        ("0s 127.0.0.1:9001 flaps 0s\n", "`0s` is no period"),
        // All of them at once.
        ("1s 127.0.0.1:1 dies\n2s 127.0.0.1:2 dies\n", "script:2: error: there is no backend"),
        ("1s\n2s a sings\n", "script:2: error: `sings` is nothing"),
        ("10s reload\n", "help: write for example: 30s reload next.toml"),
        ("# later\n10s reload nowhere.toml\n", "script:2: error: this reload cannot be played\n"),
        ("10s reload nowhere.toml\n", "nowhere.toml: error: cannot read the file"),
    ] {
        let script = folder.write("script", script);
        let output = simulate(&config, &script, &[]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(message), "{said}");
    }
    let output = simulate(&config, &folder.0.join("nowhere"), &[]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
