//! What is said of a configuration because of the host that it is used on.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;

use lb_bins::config::{Config, Daemon};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lb-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn load(&self, text: &str) -> String {
        let file = self.0.join("lb.toml");
        fs::write(&file, text).unwrap();
        match Config::load_for(Daemon::TcpLb, &file) {
            Ok(config) => config.warnings.iter().map(ToString::to_string).collect(),
            Err(errors) => errors.to_string(),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(program: &str) -> String {
    format!(
        "[[virtual_server]]\nlisten = \"127.0.0.1:80\"\non_up = [\"{program}\"]\n\
         backend = [{{ address = \"127.0.0.1:81\" }}]\n"
    )
}

#[test]
fn whom_scripts_run_as_is_there() {
    let folder = Folder::new("users");
    let said = folder.load(&format!("script_user = \"nobody-here\"\n{}", text("/bin/true")));
    assert!(said.contains("warning: there is no user `nobody-here` on this host"), "{said}");
    let said = folder.load(&format!("script_user = \"root:none\"\n{}", text("/bin/true")));
    assert!(said.contains("there is no group `none`"), "{said}");
    // Only root can become others.
    let users = "user = \"nobody\"\nscript_user = \"root\"\n";
    let said = folder.load(&format!("{users}{}", text("/bin/true")));
    assert!(said.contains("error: /bin/true should run as `root`"), "{said}");
    let said = folder.load(&format!("user = \"nobody\"\n{}", text("/bin/true")));
    assert_eq!(said, "");
}

/// As keepalived's `script_security`.
#[test]
#[ignore = "needs root"]
fn what_root_runs_nobody_else_can_change() {
    let folder = Folder::new("scripts");
    let program = folder.0.join("script");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    let text = text(program.to_str().unwrap());
    let set = |mode| fs::set_permissions(&program, Permissions::from_mode(mode)).unwrap();
    set(0o755);
    assert_eq!(folder.load(&text), "", "a sticky directory is no danger");
    let warning = format!("warning: root runs {0}, and others could change {0}", program.display());
    let complains = || folder.load(&text).contains(&warning);
    set(0o757);
    assert!(complains(), "{}", folder.load(&text));
    set(0o775);
    assert!(!complains(), "it is the group of root");
    chown(&program, None, Some(65534)).unwrap();
    assert!(complains());
    assert!(!folder.load(&format!("script_user = \"nobody\"\n{text}")).contains("root runs"));
    let refused = folder.load(&format!("script_security = true\n{text}"));
    assert!(refused.contains("error: root runs"), "{refused}");
    set(0o755);
    assert!(!complains());
    chown(&program, Some(65534), None).unwrap();
    assert!(complains());
    chown(&program, Some(0), None).unwrap();
    chown(&folder.0, Some(65534), None).unwrap();
    let said = folder.load(&text);
    assert!(said.contains(&format!("others could change {}\n", folder.0.display())), "{said}");
}
