//! Prints a configuration as TOML with every default spelled out. Reading it gives it back.

mod addresses;
mod announcement;
mod check;
mod claim;
mod vrrp;

use std::fmt;
use std::num::NonZeroU32;
use std::path::Path;

use self::check::{print_checks, print_tables};
use crate::config::defaults;
use crate::config::duration::format as duration;
use crate::config::model::check::{Check, SmtpSecurity};
use crate::config::model::{
    Account, Backend, Command, Config, Login, Mail, Passive, Persistence, Queue, Quorum,
    VirtualServer, hashes_the_source,
};
use crate::config::words::Word;

/// The effective configuration as TOML. What is off is a comment.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { admin, admin_allow_remote, user, script_user, script_security, .. } = self;
        let Self { notify_fifo, smtp, resolvers, max_checks, max_scripts, virtual_servers, .. } =
            self;
        optional(f, "admin", admin.as_ref().map(|door| text(&door.to_string())))?;
        writeln!(f, "admin_allow_remote = {admin_allow_remote}")?;
        optional(f, "user", user.as_ref().map(account))?;
        optional(f, "script_user", script_user.as_ref().map(account))?;
        writeln!(f, "script_security = {script_security}")?;
        optional(f, "notify_fifo", notify_fifo.as_deref().map(path))?;
        optional(f, "notify_fifo_script", self.notify_fifo_script.as_ref().map(command))?;
        // Without commands nothing takes any time.
        if self.hooks().next().is_some() || self.notify_timeout != Some(defaults::NOTIFY_TIMEOUT) {
            let limit = self.notify_timeout.unwrap_or_default();
            writeln!(f, "notify_timeout = {}", text(&duration(limit)))?;
        }
        optional(f, "smtp", smtp.as_ref().map(mail))?;
        // Without names there is nothing to ask for.
        if self.has_names() || !resolvers.is_empty() {
            let servers = || array(resolvers.iter().map(ToString::to_string));
            optional(f, "resolvers", (!resolvers.is_empty()).then(servers))?;
        }
        if max_checks.is_some() || self.checks().next().is_some() {
            optional(f, "max_checks", max_checks.map(|count| count.to_string()))?;
        }
        // As with the names.
        if max_scripts.is_some() || self.has_scripts() {
            optional(f, "max_scripts", max_scripts.map(|count| count.to_string()))?;
        }
        virtual_servers.iter().try_for_each(|server| virtual_server(f, server))?;
        addresses::statics(f, self)?;
        vrrp::virtual_routers(f, self)
    }
}

fn virtual_server(f: &mut fmt::Formatter<'_>, server: &VirtualServer) -> fmt::Result {
    let VirtualServer {
        name,
        listen,
        forwarding,
        scheduler,
        hash_key,
        hash_granularity,
        hash_seed,
        bounded,
        zone,
        spill_below,
        panic_below,
        slow_start,
        queue,
        quorum,
        sorry_server,
        sorry_checks,
        sorry_mode,
        persistence,
        draining_clients,
        on_quorum_up,
        on_quorum_down,
        down_when_stopped,
        passive,
        connect_timeout,
        drain_timeout,
        retries,
        backends,
    } = server;
    writeln!(f, "\n[[virtual_server]]")?;
    writeln!(f, "name = {}", text(name))?;
    writeln!(f, "listen = {}", text(&listen.to_string()))?;
    writeln!(f, "forwarding = {}", text(forwarding.word()))?;
    writeln!(f, "scheduler = {}", text(scheduler.name()))?;
    // As with the sorry mode below.
    if hashes_the_source(*scheduler) || *hash_key != defaults::HASH_KEY {
        writeln!(f, "hash_key = {}", text(hash_key.word()))?;
    }
    optional(f, "hash_granularity", hash_granularity.map(|bits| bits.to_string()))?;
    optional(f, "hash_seed", hash_seed.as_deref().map(text))?;
    optional(f, "bounded", bounded.map(Factor).map(|factor| factor.to_string()))?;
    optional(f, "zone", zone.as_deref().map(text))?;
    writeln!(f, "spill_below = {spill_below}")?;
    writeln!(f, "panic_below = {panic_below}")?;
    optional(f, "slow_start", slow_start.map(|time| text(&duration(time))))?;
    optional(f, "queue", queue.map(inline_queue))?;
    print_quorum(f, *quorum)?;
    optional(f, "sorry_server", sorry_server.as_ref().map(|address| text(&address.to_string())))?;
    // Without a sorry server it has no effect, and a key for it is warned of; but it is not lost.
    if sorry_server.is_some() || *sorry_mode != defaults::SORRY_MODE {
        writeln!(f, "sorry_mode = {}", text(sorry_mode.word()))?;
    }
    optional(f, "persistence", persistence.map(inline_persistence))?;
    writeln!(f, "draining_clients = {}", text(draining_clients.word()))?;
    optional(f, "on_quorum_up", on_quorum_up.as_ref().map(command))?;
    optional(f, "on_quorum_down", on_quorum_down.as_ref().map(command))?;
    writeln!(f, "down_when_stopped = {down_when_stopped}")?;
    optional(f, "passive", passive.map(inline_passive))?;
    writeln!(f, "connect_timeout = {}", text(&duration(*connect_timeout)))?;
    writeln!(f, "drain_timeout = {}", text(&duration(*drain_timeout)))?;
    writeln!(f, "retries = {retries}")?;

    // Most often all backends are checked alike: said once, as a person would.
    let shared = shared_checks(backends);
    if let Some(shared) = shared {
        print_checks(f, "virtual_server", shared)?;
    }
    print_tables(f, "virtual_server.sorry_check", sorry_checks)?;
    for one in backends {
        backend(f, one, shared.is_some())?;
    }
    Ok(())
}

fn backend(f: &mut fmt::Formatter<'_>, backend: &Backend, shares_checks: bool) -> fmt::Result {
    let Backend {
        address,
        weight,
        priority,
        zone,
        max_connections,
        u_threshold,
        l_threshold,
        on_failure,
        on_up,
        on_down,
        checks,
    } = backend;
    writeln!(f, "\n[[virtual_server.backend]]")?;
    writeln!(f, "address = {}", text(&address.to_string()))?;
    writeln!(f, "weight = {weight}")?;
    writeln!(f, "priority = {priority}")?;
    optional(f, "zone", zone.as_deref().map(text))?;
    let limit = |limit: &Option<NonZeroU32>| limit.map(|limit| limit.to_string());
    optional(f, "max_connections", limit(max_connections))?;
    optional(f, "u_threshold", limit(u_threshold))?;
    optional(f, "l_threshold", limit(l_threshold))?;
    writeln!(f, "on_failure = {}", text(on_failure.word()))?;
    optional(f, "on_up", on_up.as_ref().map(command))?;
    optional(f, "on_down", on_down.as_ref().map(command))?;
    if shares_checks { Ok(()) } else { print_checks(f, "virtual_server.backend", checks) }
}

/// Hundredths as a number with two decimals.
pub(in crate::config) struct Factor<T>(pub(in crate::config) T);

impl<T: Copy + Into<i64>> fmt::Display for Factor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths: i64 = self.0.into();
        let sign = if hundredths < 0 { "-" } else { "" };
        let size = hundredths.unsigned_abs();
        write!(f, "{sign}{}.{:02}", size / 100, size % 100)
    }
}

fn print_quorum(f: &mut fmt::Formatter<'_>, quorum: Quorum) -> fmt::Result {
    match quorum {
        Quorum::Weight { quorum, hysteresis } => {
            writeln!(f, "quorum = {quorum}")?;
            writeln!(f, "hysteresis = {hysteresis}")
        }
        Quorum::Thresholds { up_at, down_at } => {
            writeln!(f, "quorum = {{ up_at = {up_at}, down_at = {down_at} }}")
        }
        Quorum::Shares { up_at, down_at } => {
            writeln!(f, "quorum = {{ up_at = \"{up_at}%\", down_at = \"{down_at}%\" }}")
        }
    }
}

fn inline_queue(Queue { length, timeout }: Queue) -> String {
    format!("{{ length = {length}, timeout = {} }}", text(&duration(timeout)))
}

fn inline_persistence(persistence: Persistence) -> String {
    let Persistence { timeout, while_open, granularity, capacity, min_age, when_full, when_down } =
        persistence;
    let [timeout, min_age] = [timeout, min_age].map(|time| text(&duration(time)));
    format!(
        "{{ timeout = {timeout}, while_open = {while_open}, granularity = {granularity}, \
         capacity = {capacity}, min_age = {min_age}, when_full = {}, when_down = {} }}",
        text(when_full.word()),
        text(when_down.word())
    )
}

fn inline_passive(passive: Passive) -> String {
    let Passive { consecutive, failure_percent, minimum, interval, eject, longest, .. } = passive;
    let Passive { max_ejected, deviations, back_on_check, .. } = passive;
    let deviations = Factor(deviations);
    let [interval, eject, longest] = [interval, eject, longest].map(|time| text(&duration(time)));
    format!(
        "{{ consecutive = {consecutive}, failure_percent = {failure_percent}, \
         minimum = {minimum}, interval = {interval}, eject = {eject}, longest = {longest}, \
         max_ejected = {max_ejected}, deviations = {deviations}, back_on_check = {back_on_check} }}"
    )
}

fn mail(Mail { server, from, to, helo, security, login }: &Mail) -> String {
    let mut keys = vec![
        ("server", Some(text(&server.to_string()))),
        ("from", Some(text(from))),
        ("to", Some(array(to.iter()))),
        ("helo", helo.as_deref().map(text)),
    ];
    if let Some(security) = security {
        let key = match security {
            SmtpSecurity::Implicit(_) => "tls",
            SmtpSecurity::Starttls(_) => "starttls",
        };
        keys.push((key, Some(true.to_string())));
        keys.extend(check::tls_keys(security.tls()));
    }
    if let Some(Login { user, password_file }) = login {
        keys.push(("user", Some(text(user))));
        keys.push(("password_file", Some(path(password_file))));
    }
    table(&keys)
}

/// The checks that every backend has.
fn shared_checks(backends: &[Backend]) -> Option<&[Check]> {
    let (first, others) = backends.split_first()?;
    let alike = others.iter().all(|backend| backend.checks == first.checks);
    alike.then_some(first.checks.as_slice())
}

fn command(Command { program, arguments, user: _ }: &Command) -> String {
    array(std::iter::once(program).chain(arguments))
}

/// The pairs that have a value, as an inline table.
fn table(pairs: &[(&str, Option<String>)]) -> String {
    let given =
        pairs.iter().filter_map(|(key, value)| Some(format!("{key} = {}", value.as_ref()?)));
    format!("{{ {} }}", given.collect::<Vec<_>>().join(", "))
}

/// A key with its value, or a comment that says there is none.
fn optional(f: &mut fmt::Formatter<'_>, key: &str, value: Option<String>) -> fmt::Result {
    match value {
        Some(value) => writeln!(f, "{key} = {value}"),
        None => writeln!(f, "# {key} is not set"),
    }
}

fn array(elements: impl Iterator<Item = impl AsRef<str>>) -> String {
    let elements: Vec<String> = elements.map(|element| text(element.as_ref())).collect();
    format!("[{}]", elements.join(", "))
}

fn account(account: &Account) -> String {
    text(&account.to_string())
}

/// A path; those that were read are UTF-8.
fn path(path: &Path) -> String {
    text(&path.to_string_lossy())
}

/// A basic string: on one line, whatever is in it.
fn text(value: &str) -> String {
    let mut quoted = String::from("\"");
    for character in value.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            _ if character.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(character)));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}
