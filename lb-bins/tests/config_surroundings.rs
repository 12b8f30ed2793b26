//! What is said of a configuration because of the host that it is used on.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;

use lb_bins::config::{ConfigFile, Daemon};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lb-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn load(&self, text: &str) -> String {
        self.load_as("lb.toml", Daemon::TcpLb, None, text)
    }

    fn load_as(&self, name: &str, daemon: Daemon, admin: Option<&str>, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        let admin = admin.map(|admin| admin.parse().unwrap());
        match (ConfigFile { admin, ..ConfigFile::new(path) }).load_for(daemon) {
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
    let said = folder.load(&format!("user = \"nobody-here\"\n{}", text("/bin/true")));
    assert!(said.contains("is to become `nobody-here`, does not start here"), "{said}");
    // Only root can become others.
    let users = "user = \"nobody\"\nscript_user = \"root\"\n";
    let said = folder.load(&format!("{users}{}", text("/bin/true")));
    assert!(said.contains("error: /bin/true should run as `root`"), "{said}");
    let said = folder.load(&format!("user = \"nobody\"\n{}", text("/bin/true")));
    assert_eq!(said, "");
}

#[test]
fn what_cannot_be_run_is_said() {
    let folder = Folder::new("programs");
    assert_eq!(folder.load(&text("/bin/true")), "");
    let said = folder.load(&text("/bin/none"));
    assert!(said.contains("warning: /bin/none cannot be run: there is no such file"), "{said}");
    assert!(said.contains("help: put it there"), "{said}");
    let said = folder.load(&text("/bin"));
    assert!(said.contains("/bin cannot be run: it is no file"), "{said}");
    let program = folder.0.join("script");
    let path = program.to_str().unwrap();
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o644)).unwrap();
    let twice = text(path).replace("on_up", &format!("on_down = [\"{path}\"]\non_up"));
    let said = folder.load(&twice);
    assert_eq!(said.matches("cannot be run: nobody may execute it").count(), 1, "{said}");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    assert!(!folder.load(&twice).contains("cannot be run"));
}

/// keepalived 2.2.7 was seen to take such scripts out, and to go on without them.
#[test]
fn scripts_of_keepalived_conf_that_cannot_run_are_left_out() {
    let folder = Folder::new("left-out");
    let (not_executable, missing) = (folder.0.join("not_executable"), folder.0.join("missing"));
    fs::write(&not_executable, "").unwrap();
    let scripts = [
        ("there", "true --with && nothing"),
        ("path", "nowhere-to-be-found -x"),
        ("words", "[[ 1 = 1 ]]"),
        ("shell", "</dev/tcp/127.0.0.1/80"),
        ("absolute", missing.to_str().unwrap()),
        ("mode", not_executable.to_str().unwrap()),
        ("directory", "/bin/"),
    ];
    let mut text = String::new();
    let mut tracks = String::new();
    for (name, script) in scripts {
        text.push_str(&format!("vrrp_script {name} {{\n script \"{script}\"\n}}\n"));
        tracks.push_str(&format!("  {name}\n"));
    }
    text.push_str(&format!(
        "vrrp_instance web {{\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {{\n  192.0.2.200/24\n }}\n\
         track_script {{\n{tracks} }}\n}}\n\
         virtual_server 192.0.2.200 80 {{\n protocol TCP\n real_server 192.0.2.1 80 {{\n  MISC_CHECK {{\n   \
         misc_path \"{0}\"\n  }}\n  MISC_CHECK {{\n   misc_path \"true\"\n  }}\n }}\n}}\n",
        missing.display()
    ));
    let path = folder.0.join("keepalived.conf");
    fs::write(&path, text).unwrap();
    let config = ConfigFile::new(&path).load_for(Daemon::VipKeeper).unwrap();
    let names: Vec<_> = config.vrrp_scripts.iter().map(|script| &*script.name).collect();
    assert_eq!(names, ["there", "shell"]);
    let tracks: Vec<_> =
        config.vrrp_instances[0].tracks.scripts.iter().map(|track| &*track.name).collect();
    assert_eq!(tracks, names);
    assert_eq!(config.virtual_servers[0].backends[0].checks.len(), 1);
    let said: String = config.warnings.iter().map(ToString::to_string).collect();
    for (what, program, reason) in [
        ("vrrp_script \"path\"", "nowhere-to-be-found", "it is nowhere in PATH"),
        ("vrrp_script \"words\"", "[[", "it is nowhere in PATH"),
        ("vrrp_script \"absolute\"", missing.to_str().unwrap(), "there is no such file"),
        ("vrrp_script \"mode\"", not_executable.to_str().unwrap(), "nobody may execute it"),
        ("vrrp_script \"directory\"", "/bin/", "it is no file"),
        ("MISC_CHECK of \"192.0.2.1:80\"", missing.to_str().unwrap(), "there is no such file"),
    ] {
        let warning = format!(
            "warning: the {what} is left out, as in keepalived: {program} cannot be run: {reason}"
        );
        assert!(said.contains(&warning), "{warning}\n{said}");
    }
    // TOML says what it means: there it counts as down until it is there.
    let toml = "[[vrrp_script]]\nname = \"path\"\ncommand = [\"/usr/bin/env\", \"nowhere-to-be-found\"]\n\
        [[vrrp_instance]]\nname = \"web\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
        addresses = [\"192.0.2.200/24\"]\ntrack_scripts = [\"path\"]\n";
    let said = folder.load_as("vip.toml", Daemon::VipKeeper, None, toml);
    assert!(said.contains("nowhere-to-be-found cannot be run: it is nowhere in PATH"), "{said}");
}

/// Once of each, where it is named first; what only comes later, or is another host's, is no mistake.
#[test]
fn interfaces_that_are_not_there_are_warned_of_with_their_place() {
    let folder = Folder::new("interfaces");
    let instance = |name: &str, vrid: u8, interface: &str, more: &str| {
        format!(
            "[[vrrp_instance]]\nname = \"{name}\"\ninterface = \"{interface}\"\n\
             virtual_router_id = {vrid}\naddresses = [\"192.0.2.{vrid}/24\"]\n{more}\n"
        )
    };
    let tracks = "track_interfaces = [\"lo\", \"no-such-one\", \"no-other\", \"macvip\"]";
    let text = instance("one", 1, "no-such-one", "")
        + &instance("two", 2, "no-such-one", tracks)
        + &instance("three", 3, "lo", "use_vmac = true\nvmac_interface = \"macvip\"");
    let said = folder.load_as("vip.toml", Daemon::VipKeeper, None, &text);
    let place = folder.0.join("vip.toml").display().to_string();
    for (at, key, name) in
        [("3:13", "interface", "no-such-one"), ("12:42", "track_interfaces", "no-other")]
    {
        let warning = format!(
            "{place}:{at}: warning: `{key}`: there is no interface \"{name}\" on this host\n"
        );
        assert!(said.contains(&warning), "{warning}\n{said}");
    }
    assert_eq!(said.matches("there is no interface").count(), 2, "{said}");
    assert!(said.contains("help: it counts as down until there is one"), "{said}");
    let conf = "vrrp_instance web {\n interface no-such-one\n virtual_router_id 51\n \
                virtual_ipaddress {\n  192.0.2.200/24\n }\n}\n\
                virtual_server 192.0.2.200 80 {\n protocol TCP\n real_server 192.0.2.1 80 {\n }\n}\n";
    let warning =
        "keepalived.conf:2:12: warning: `interface`: there is no interface \"no-such-one\"";
    let said = folder.load_as("keepalived.conf", Daemon::VipKeeper, None, conf);
    assert!(said.contains(warning), "{said}");
    let said = folder.load_as("keepalived.conf", Daemon::TcpLb, None, conf);
    assert!(!said.contains("no interface"), "it does nothing with them: {said}");
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

#[test]
fn the_name_of_a_file_says_its_syntax() {
    let folder = Folder::new("syntax");
    let toml = text("/bin/true");
    let keepalived = "virtual_server 127.0.0.1 80 {\n    protocol TCP\n    real_server 127.0.0.1 81 {\n    }\n}\n";
    let remedy = "help: a file is TOML if its name ends in .toml, and keepalived.conf if not";
    for (name, text, what) in [
        (
            "lb.conf",
            &*toml,
            "this is TOML, but the name of the file says that it is keepalived.conf",
        ),
        (
            "lb.toml",
            keepalived,
            "this is keepalived.conf, but the name of the file says that it is TOML",
        ),
    ] {
        let said = folder.load_as(name, Daemon::TcpLb, None, text);
        assert!(said.contains(what) && said.contains(remedy), "{said}");
        assert_eq!(said.matches("error:").count(), 1, "{said}");
    }
    // Either may be empty, or wrong in its own way.
    for (name, text) in
        [("lb.conf", "# nothing\n"), ("lb.toml", "listen = {\n"), ("lb.toml", "{\n")]
    {
        let said = folder.load_as(name, Daemon::TcpLb, None, text);
        assert!(said.contains("error:") && !said.contains("the name of the file"), "{said}");
    }
    assert!(!folder.load_as("lb.conf", Daemon::TcpLb, None, keepalived).contains("error:"));
}

#[test]
fn who_has_nothing_to_do_is_told_who_has() {
    let folder = Folder::new("nothing");
    let keeper = |text: &str| folder.load_as("lb.toml", Daemon::VipKeeper, None, text);
    let said = keeper(&text("/bin/true"));
    assert!(
        said.contains("there is no VRRP instance, without which vip-keeper has nothing"),
        "{said}"
    );
    assert!(
        said.contains("help: run tcp-lb, which has with this file, or add [[vrrp_instance]]"),
        "{said}"
    );
    let router = "[[vrrp_instance]]\nname = \"web\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
        addresses = [\"192.0.2.200/24\"]\n";
    let said = folder.load(router);
    assert!(said.contains("help: run vip-keeper, which has with this file"), "{said}");
}

#[test]
fn files_that_a_claim_reads_are_there() {
    let folder = Folder::new("token");
    let token = folder.0.join("token");
    let text = format!(
        "[[vrrp_instance]]\nname = \"web\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
         addresses = [\"192.0.2.200/24\"]\n[vrrp_instance.claim.http]\n\
         url = \"https://api.example.org/{{address}}\"\ntoken_file = {token:?}\n"
    );
    let keeper = || folder.load_as("lb.toml", Daemon::VipKeeper, None, &text);
    let said = keeper();
    assert!(
        said.contains(&format!("warning: `token_file` is {}, which cannot", token.display())),
        "{said}"
    );
    assert!(said.contains("help: make it, for the user of the daemon to read"), "{said}");
    fs::write(&token, "token").unwrap();
    assert_eq!(keeper(), "");
}

#[test]
fn an_admin_address_for_everybody_can_be_allowed_where_there_is_a_key_for_it() {
    let folder = Folder::new("admin");
    let keepalived = "virtual_server 127.0.0.1 80 {\n    protocol TCP\n    real_server 127.0.0.1 81 {\n    }\n}\n";
    let load =
        |name: &str, text: &str| folder.load_as(name, Daemon::TcpLb, Some("0.0.0.0:9900"), text);
    let said = load("lb.conf", keepalived);
    assert!(said.contains("a keepalived.conf cannot allow it"), "{said}");
    let said = load("lb.toml", &text("/bin/true"));
    assert!(said.contains("or set admin_allow_remote = true"), "{said}");
}

/// Where a script or a file is named, as of every other mistake.
#[test]
fn what_is_not_there_has_a_place() {
    let folder = Folder::new("places");
    let password = folder.0.join("password");
    let text = format!(
        "# on_up = [\"/bin/none\"]\n[[virtual_server]]\nlisten = \"127.0.0.1:80\"\n\
         on_up = [\"/bin/none\"]\non_down = [\"/bin/none2\"]\n\
         check = {{ type = \"redis\", password_file = {password:?} }}\n\
         backend = [{{ address = \"127.0.0.1:81\" }}]\n"
    );
    let said = folder.load(&text);
    assert!(said.contains("lb.toml:4:11: warning: /bin/none cannot be run"), "{said}");
    assert!(said.contains("    4 | on_up = [\"/bin/none\"]\n"), "{said}");
    assert!(said.contains("lb.toml:5:13: warning: /bin/none2 cannot be run"), "{said}");
    let warning = format!(
        "lb.toml:6:44: warning: `password_file` is {}, which cannot be read now: No such file",
        password.display()
    );
    assert!(said.contains(&warning), "{said}");
    fs::write(&password, "secret\n").unwrap();
    assert!(!folder.load(&text).contains("password_file"));
    fs::remove_file(&password).unwrap();
    fs::create_dir(&password).unwrap();
    assert!(folder.load(&text).contains("which cannot be read now: it is a directory"));
}

#[test]
fn files_of_keys_are_there() {
    let folder = Folder::new("keys");
    let key = folder.0.join("key");
    let text = format!(
        "[[vrrp_instance]]\nname = \"web\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
         addresses = [\"192.0.2.200/24\"]\n\
         authentication = {{ type = \"hmac\", keys = [{{ id = 1, secret_file = {key:?} }}] }}\n"
    );
    let keeper = || folder.load_as("vip.toml", Daemon::VipKeeper, None, &text);
    let said = keeper();
    assert!(said.contains("vip.toml:6:"), "{said}");
    assert!(
        said.contains(&format!("warning: `secret_file` is {}, which cannot", key.display())),
        "{said}"
    );
    fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
    assert_eq!(keeper(), "");
}

#[test]
fn a_socket_has_room_where_it_should_be() {
    let folder = Folder::new("door");
    let load = |path: PathBuf| {
        let admin = path.display().to_string();
        folder.load_as("lb.toml", Daemon::TcpLb, Some(&admin), &text("/bin/true"))
    };
    assert_eq!(load(folder.0.join("socket")), "");
    let said = load(folder.0.join("none/socket"));
    assert!(said.contains("where no socket can be: its directory is not there"), "{said}");
    let said = load(folder.0.clone());
    assert!(said.contains("where no socket can be: it is a directory"), "{said}");
    let said = load(folder.0.join("lb.toml"));
    assert!(said.contains("there is a file that is no socket"), "{said}");
    let path = folder.0.join("none/socket");
    let said = folder.load(&format!("admin = {path:?}\n{}", text("/bin/true")));
    assert!(said.contains("lb.toml:1:10: warning: `admin` is"), "{said}");
}
