//! Packets that a master is not to take for its addresses (RFC 9568 6.1, `Accept_Mode`): dropped where
//! they come in, by rules in a table of our own, which `nft` replaces in one step. What is forwarded
//! does not come by there, and neighbours go on being found.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long `nft` may take. It is never needed again until something changes.
const LIMIT: Duration = Duration::from_millis(500);
/// With more behind it if there are two processes in a network namespace.
const TABLE: &str = "lb_vrrp";

/// An address, and the interfaces that it is one on if it is the link's alone.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Refused {
    pub(super) address: IpAddr,
    pub(super) interfaces: Vec<String>,
}

/// The table, and what is in it.
#[derive(Debug)]
pub(super) struct Firewall {
    table: String,
    refused: BTreeSet<Refused>,
}

impl Firewall {
    /// `is_alone` unless another process has a table here.
    pub(super) fn new(is_alone: bool) -> Self {
        let table = match is_alone {
            true => TABLE.to_owned(),
            false => format!("{TABLE}_{}", std::process::id()),
        };
        Self { table, refused: BTreeSet::new() }
    }

    /// Has exactly these refused. What fails is tried again when something else is to be.
    pub(super) fn refuse(&mut self, refused: BTreeSet<Refused>) -> io::Result<()> {
        if refused == self.refused {
            return Ok(());
        }
        let script = script(&self.table, &refused);
        run(&["-f", "-"], script)?;
        self.refused = refused;
        Ok(())
    }

    /// Removes every table that somebody left who is gone. Where there is no `nft`, nobody did.
    pub(super) fn sweep() -> io::Result<()> {
        let tables = match run(&["list", "tables", "inet"], String::new()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // Without the kernel's part there are none either.
            Err(_) => return Ok(()),
            Ok(tables) => tables,
        };
        let mut script = String::new();
        for line in tables.lines().filter(|line| line.contains(&format!(" {TABLE}"))) {
            let _ = writeln!(script, "delete {line}");
        }
        if script.is_empty() { Ok(()) } else { run(&["-f", "-"], script).map(|_| ()) }
    }
}

/// Adding it first makes deleting it no error. All in one file is done at once or not at all.
fn script(table: &str, refused: &BTreeSet<Refused>) -> String {
    let mut script = format!("table inet {table}\ndelete table inet {table}\n");
    if refused.is_empty() {
        return script;
    }
    let of = |is_wanted: &dyn Fn(&Refused) -> bool| {
        let wanted = refused.iter().filter(|one| is_wanted(one));
        wanted.map(|one| one.address.to_string()).collect::<Vec<_>>()
    };
    let v4 = of(&|one| one.address.is_ipv4());
    let v6 = of(&|one| one.address.is_ipv6() && one.interfaces.is_empty());
    let links = refused.iter().flat_map(|Refused { address, interfaces }| {
        interfaces.iter().map(move |name| format!("{name:?} . {address}"))
    });
    let links: Vec<_> = links.collect();
    let mut rules = String::new();
    let _ = writeln!(script, "table inet {table} {{");
    for (name, kind, match_, elements) in [
        ("v4", "ipv4_addr", "ip daddr", v4),
        ("v6", "ipv6_addr", "ip6 daddr", v6),
        ("links", "ifname . ipv6_addr", "iifname . ip6 daddr", links),
    ] {
        if !elements.is_empty() {
            let elements = elements.join(", ");
            let _ = writeln!(script, " set {name} {{ type {kind}; elements = {{ {elements} }}; }}");
            let _ = writeln!(rules, "  {match_} @{name} drop");
        }
    }
    let _ = write!(
        script,
        " chain input {{\n  type filter hook input priority filter; policy accept;\n  \
         icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept\n{rules} }}\n}}\n"
    );
    script
}

/// Runs `nft`, and says what it said. It may take its time, but not ours.
fn run(arguments: &'static [&'static str], input: String) -> io::Result<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(nft(arguments, &input)));
    receiver.recv_timeout(LIMIT).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn nft(arguments: &[&str], input: &str) -> io::Result<String> {
    let spawn = |program: &str| {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::piped()).spawn()
    };
    let mut child = spawn("nft").or_else(|_| spawn("/usr/sbin/nft")).map_err(|error| {
        io::Error::new(error.kind(), format!("cannot run nft (Debian: nftables): {error}"))
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().next().unwrap_or_default().to_owned();
    Err(io::Error::other(format!("nft: {first}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(address: &str, interfaces: &[&str]) -> Refused {
        let interfaces = interfaces.iter().map(|name| (*name).to_owned()).collect();
        Refused { address: address.parse().unwrap(), interfaces }
    }

    #[test]
    fn a_table_is_replaced_as_a_whole() {
        let all = BTreeSet::from([
            refused("10.0.0.1", &[]),
            refused("10.0.0.2", &[]),
            refused("fd00::1", &[]),
            refused("fe80::1", &["eth0", "vrrp6.51"]),
        ]);
        let expected = "table inet t\ndelete table inet t\ntable inet t {\n \
            set v4 { type ipv4_addr; elements = { 10.0.0.1, 10.0.0.2 }; }\n \
            set v6 { type ipv6_addr; elements = { fd00::1 }; }\n \
            set links { type ifname . ipv6_addr; elements = { \"eth0\" . fe80::1, \
            \"vrrp6.51\" . fe80::1 }; }\n \
            chain input {\n  type filter hook input priority filter; policy accept;\n  \
            icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept\n  \
            ip daddr @v4 drop\n  ip6 daddr @v6 drop\n  iifname . ip6 daddr @links drop\n }\n}\n";
        assert_eq!(script("t", &all), expected);
        assert_eq!(script("t", &BTreeSet::new()), "table inet t\ndelete table inet t\n");
    }
}
