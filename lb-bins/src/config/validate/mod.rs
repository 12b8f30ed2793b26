//! Judges a draft, whichever front end it comes from, and makes the configuration of it.
//!
//! Every function here returns a value even when it reports a mistake, so that one mistake never
//! hides another. The values are used only if there was none.

mod backends;
mod balancing;
mod check;
mod notify;
mod passive;
mod persistence;
mod quorum;
mod values;
mod vrrp;

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;

use self::backends::{backends, total_weight};
use self::values::{command, destination, duration, integer, on_one_link, port};
use super::defaults;
use super::draft::{self, Draft, Field, List};
use super::mistakes::Mistakes;
use super::model::{Account, Address, Config, Door, VirtualServer};
use super::problem::Problem;
use super::source::{Span, Spanned};

/// `sun_path` has 108 octets, of which the last is 0.
const LONGEST_SOCKET: usize = 107;

/// The configuration that `draft` describes; of no use if `mistakes` has errors afterwards.
pub(super) fn config(draft: &Draft, mistakes: &mut Mistakes) -> Config {
    let servers = elements(&draft.virtual_servers);
    let has_instances = !is_empty(&draft.vrrp_instances)
        || !is_empty(&draft.carp_instances)
        || !is_empty(&draft.bgp_announcements);
    if is_empty(&draft.virtual_servers) && !has_instances {
        mistakes.error(Span::default(), Problem::NoVirtualServers);
    }
    let virtual_servers = servers.iter().map(|server| virtual_server(server, mistakes)).collect();

    report_repeated(
        servers.iter().filter_map(|server| server.value.listen.given().copied()),
        |listen| Problem::ListenTwice { listen },
        mistakes,
    );
    let mut stand_ins = HashSet::new();
    report_repeated(
        servers
            .iter()
            .filter_map(|server| Some((&server.value.name, name(&server.value)?)))
            // An address that two servers without a name listen on has been reported as that.
            .filter(|(given, name)| given.given().is_some() || stand_ins.insert(name.value.clone()))
            .map(|(_, name)| name),
        |name| Problem::NameTwice { name },
        mistakes,
    );
    admin(draft, servers, mistakes);
    let config = Config {
        admin: draft.admin.given().map(|admin| admin.value.clone()),
        admin_allow_remote: draft.admin_allow_remote.or(false),
        user: account(&draft.user),
        script_user: account(&draft.script_user),
        script_security: draft.script_security.or(false),
        notify_fifo: notify::fifo(draft, mistakes),
        notify_fifo_script: notify::fifo_script(draft, mistakes),
        notify_timeout: notify::timeout(draft, mistakes),
        smtp: notify::mail(draft, mistakes),
        resolvers: resolvers(draft, mistakes),
        max_checks: draft.max_checks.given().and_then(|_| {
            const MOST: u32 = 1_000_000;
            let count = integer("max_checks", &draft.max_checks, 1..=MOST, 1, mistakes);
            NonZeroU32::new(count)
        }),
        max_scripts: draft.max_scripts.given().and_then(|_| {
            const MOST: u32 = 10_000;
            let count = integer("max_scripts", &draft.max_scripts, 1..=MOST, 1, mistakes);
            NonZeroU32::new(count)
        }),
        virtual_servers,
        ..Config::default()
    };
    let mut config = vrrp::virtual_routers(draft, config, mistakes);
    vrrp::warn_of_unreachable(&config, servers, mistakes);
    if let Some(user) = config.script_user.clone() {
        config.run_as(&user);
    }
    config
}

fn account(field: &Field<Account>) -> Option<Account> {
    field.given().map(|account| account.value.clone())
}

fn resolvers(draft: &Draft, mistakes: &mut Mistakes) -> Vec<SocketAddr> {
    if let Some(Spanned { value: servers, span }) = draft.resolvers.given()
        && servers.is_empty()
    {
        mistakes.error(*span, Problem::Empty { key: "resolvers" });
    }
    let servers = elements(&draft.resolvers).iter();
    servers.map(|server| values::reachable("resolvers", *server, mistakes)).collect()
}

fn admin(draft: &Draft, servers: &[Spanned<draft::VirtualServer>], mistakes: &mut Mistakes) {
    let Some(&Spanned { value: ref door, span }) = draft.admin.given() else { return };
    let address = match door {
        Door::Address(address) => *address,
        Door::Socket(path) => return socket(path, span, mistakes),
    };
    port("admin", address, span, mistakes);
    let remote_allowed =
        draft.admin_allow_remote.is_refused() || draft.admin_allow_remote.or(false);
    if !address.ip().to_canonical().is_loopback() && !remote_allowed {
        let can_be_allowed = true;
        mistakes.error(span, Problem::AdminIsRemote { address, can_be_allowed });
    }
    let mut listens = servers.iter().filter_map(|server| server.value.listen.given());
    if listens.any(|listen| listen.value == address) {
        mistakes.error(span, Problem::AdminIsVirtualServer { address });
    }
}

/// The path of a socket, as `unix(7)` allows it.
fn socket(path: &Path, span: Span, mistakes: &mut Mistakes) {
    let length = path.as_os_str().len();
    if length > LONGEST_SOCKET {
        mistakes.error(span, Problem::LongSocket { length, most: LONGEST_SOCKET });
    }
    let path = Spanned { value: path.to_string_lossy().into_owned(), span };
    values::characters("admin", &path, |character| character != '\0', mistakes);
}

fn virtual_server(
    server: &Spanned<draft::VirtualServer>,
    mistakes: &mut Mistakes,
) -> VirtualServer {
    let Spanned { value: draft, span } = server;
    let listen = listen(draft, *span, mistakes);
    let name = name(draft).map_or_else(String::new, |name| {
        report_bad_name(&name, mistakes);
        name.value
    });
    let scheduler = balancing::scheduler(&draft.scheduler, mistakes);
    let sorry_server = destination("sorry_server", &draft.sorry_server, listen, mistakes);
    if let (Field::Absent, Some(mode)) = (&draft.sorry_server, draft.sorry_mode.given()) {
        mistakes.warning(mode.span, Problem::SorryModeWithoutServer);
    }

    if let (Field::Absent, Some(checks)) = (&draft.sorry_server, draft.sorry_checks.span()) {
        let (key, needs) = ("sorry_check", "`sorry_server`");
        mistakes.error(checks, Problem::Without { key, needs });
    }
    let is_named = |at: Option<&Spanned<Address>>| at.is_some_and(|at| check::is_name(&at.value));
    let sorry_checks =
        check::checks(&draft.sorry_checks, is_named(draft.sorry_server.given()), mistakes);
    if let Some(sorry) = draft.sorry_server.given() {
        check::suit(sorry, &sorry_checks, mistakes);
    }
    // Those that have checks of their own do not matter.
    let mut sharing =
        elements(&draft.backends).iter().filter(|one| one.value.checks.is_absent()).peekable();
    let are_named =
        sharing.peek().is_some() && sharing.all(|backend| is_named(backend.value.address.given()));
    let shared_checks = check::checks(&draft.checks, are_named, mistakes);
    let hooks = notify::hooks(&draft.on_failure, &draft.on_up, &draft.on_down, mistakes);
    let backends = backends(draft, *span, listen, &shared_checks, &hooks, mistakes);
    let checks_known = !draft.checks.is_refused()
        && elements(&draft.backends).iter().all(|backend| !backend.value.checks.is_refused());
    let unchecked = backends.iter().all(|backend| backend.checks.is_empty());
    if let Some(sorry) = draft.sorry_server.given()
        && checks_known
        && unchecked
    {
        mistakes.warning(sorry.span, Problem::SorryServerWithoutChecks);
    }
    if let (Some(sorry), Some(address)) = (draft.sorry_server.given(), &sorry_server)
        && backends.iter().any(|backend| backend.address == *address)
    {
        let address = address.clone();
        mistakes.warning(sorry.span, Problem::SorryServerIsBackend { address });
    }
    balancing::warn_of_no_effect(draft, scheduler, &backends, mistakes);
    let total = total_weight(draft, &backends);
    if total.is_some_and(|total| total.weight == 0) && !backends.is_empty() {
        mistakes.warning(*span, Problem::AllDrained);
    }

    VirtualServer {
        name,
        listen,
        forwarding: balancing::forwarding(&draft.forwarding, mistakes),
        scheduler: scheduler.unwrap_or(defaults::SCHEDULER),
        hash_key: balancing::hash_key(&draft.hash_key, scheduler, mistakes),
        hash_granularity: balancing::hash_granularity(
            &draft.hash_granularity,
            scheduler,
            listen,
            mistakes,
        ),
        hash_seed: balancing::hash_seed(&draft.hash_seed, scheduler, mistakes),
        bounded: balancing::bounded(&draft.bounded, scheduler, mistakes),
        zone: balancing::zone(&draft.zone, mistakes),
        spill_below: balancing::percent("spill_below", &draft.spill_below, mistakes),
        panic_below: balancing::percent("panic_below", &draft.panic_below, mistakes),
        slow_start: balancing::slow_start(&draft.slow_start, scheduler, mistakes),
        queue: balancing::queue(&draft.queue, mistakes),
        quorum: quorum::quorum(draft, total, mistakes),
        sorry_server,
        sorry_checks,
        sorry_mode: draft.sorry_mode.or(defaults::SORRY_MODE),
        persistence: draft
            .persistence
            .given()
            .map(|draft| persistence::persistence(&draft.value, listen, mistakes)),
        draining_clients: draft.draining_clients.or(defaults::DRAINING_CLIENTS),
        on_quorum_up: command("on_quorum_up", &draft.on_quorum_up, mistakes),
        on_quorum_down: command("on_quorum_down", &draft.on_quorum_down, mistakes),
        down_when_stopped: draft.down_when_stopped.or(defaults::DOWN_WHEN_STOPPED),
        passive: draft.passive.given().map(|draft| passive::passive(draft, mistakes)),
        connect_timeout: duration(
            "connect_timeout",
            &draft.connect_timeout,
            defaults::CONNECT_TIMEOUT,
            mistakes,
        ),
        drain_timeout: values::duration_or_zero(
            "drain_timeout",
            &draft.drain_timeout,
            defaults::DRAIN_TIMEOUT,
            mistakes,
        ),
        retries: integer("retries", &draft.retries, 0..=u8::MAX, defaults::RETRIES, mistakes),
        backends,
    }
}

/// The listen address; any address of the right family if there is none.
fn listen(draft: &draft::VirtualServer, span: Span, mistakes: &mut Mistakes) -> SocketAddr {
    match &draft.listen {
        Field::Given(listen) => {
            port("listen", listen.value, listen.span, mistakes);
            on_one_link("listen", listen.value, listen.span, mistakes);
            return listen.value;
        }
        Field::Absent => {
            let sample = r#"listen = "127.0.0.1:8000""#;
            mistakes.error(span, Problem::Missing { key: "listen", sample });
        }
        Field::Refused => {}
    }
    SocketAddr::from(([0, 0, 0, 0], 0))
}

/// The name, or the address that stands in for it.
fn name(draft: &draft::VirtualServer) -> Option<Spanned<String>> {
    match &draft.name {
        Field::Given(name) => Some(name.clone()),
        Field::Refused => None,
        Field::Absent => draft.listen.given().map(|listen| {
            // Without its zone: the number of an interface may be another one tomorrow.
            let address = SocketAddr::new(listen.value.ip(), listen.value.port());
            Spanned { value: address.to_string(), span: listen.span }
        }),
    }
}

fn report_bad_name(name: &Spanned<String>, mistakes: &mut Mistakes) {
    let allowed = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | ':' | '[' | ']' | '-')
    };
    if name.value.is_empty() {
        mistakes.error(name.span, Problem::Empty { key: "name" });
    } else if !name.value.chars().all(allowed) {
        mistakes.error(name.span, Problem::BadName { name: name.value.clone() });
    }
}

/// The elements of a list that may be missing.
pub(super) fn elements<T>(list: &Field<List<T>>) -> &[Spanned<T>] {
    list.given().map_or(&[], |list| &list.value.elements)
}

/// Whether a list is missing or has nothing in it, not even something that was refused.
fn is_empty<T>(list: &Field<List<T>>) -> bool {
    match list {
        Field::Absent => true,
        Field::Refused => false,
        Field::Given(list) => list.value.is_empty(),
    }
}

/// Reports each value that an earlier place has already.
fn report_repeated<T: Clone + Eq + Hash>(
    values: impl Iterator<Item = Spanned<T>>,
    problem: impl Fn(T) -> Problem,
    mistakes: &mut Mistakes,
) {
    let mut seen = HashMap::new();
    for Spanned { value, span } in values {
        match seen.get(&value) {
            Some(&first) => mistakes.repeated(span, first, problem(value)),
            None => {
                seen.insert(value, span);
            }
        }
    }
}
