//! A printed configuration reads back as the configuration that was printed.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use lb_bins::config::check::{
    Agent, BodyRule, Database, Digest, Dns, File, Grpc, HeaderRule, Http, HttpVersion, Identity,
    Initial, Ldap, Nibbles, Page, Pattern, Ping, Record, Redis, Role, Script, Secret, Smtp,
    SmtpSecurity, StatusRange, Step, Tcp, Text, Tls, Udp, Words, Worker,
};
use lb_bins::config::{
    Address, Authentication, Backend, BgpAnnouncement, Call, CarpInstance, Check, CheckKind, Claim,
    ClaimBy, Command, Config, Delays, Deleted, Door, Forwarding, HashKey, HmacKey, Holder,
    HttpClaim, KeySecret, Login, Mail, Notify, OnFailure, Passive, Persistence, Queue, Quorum,
    SorryMode, Speaker, Track, Tracks, VirtualServer, VrrpCheck, VrrpInstance,
};
use lb_core::virtual_server::{DrainingClients, WhenDown, WhenFull};
use lb_core::{Algorithm, Weight};
use lb_vrrp::linux::{NextHop, Prefix, Route, RouteKind, Rule, RuleAction, Scope, VirtualAddress};
use lb_vrrp::{
    Announcements, ChecksumPolicy, Family, Freshness, Interval, Migration, Peer, Preempt, Priority,
    Reach, Start, Version, Vrid,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// From one millisecond to the longest that is allowed.
fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![1..10_000_u64, 1..=31 * 86_400_000_u64].prop_map(Duration::from_millis)
}

/// Addresses of one kind and port, which two calls with different ports never share.
fn address(port: u16) -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        Just(SocketAddr::from(([127, 0, 0, 1], port))),
        Just(SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], port))),
    ]
}

/// An address of that kind, or a name.
fn server(port: u16) -> impl Strategy<Value = Address> {
    let named = "[a-z][a-z0-9_]{0,9}(\\.[a-z]{1,9}){0,2}\\.?";
    let named = named.prop_map(move |host| Address::Named { host: host.into(), port });
    prop_oneof![address(port).prop_map(Address::from), named]
}

fn command() -> impl Strategy<Value = Command> {
    // Whatever characters there are, but for the one that ends a word.
    let word = any::<String>().prop_map(|word| word.replace('\0', "\n"));
    (word.clone(), vec(word, 0..3))
        .prop_map(|(program, arguments)| Command::new(format!("/{program}"), arguments))
}

/// Whatever characters there are, but for NUL.
fn text() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.replace('\0', "\n") + "a")
}

fn path() -> impl Strategy<Value = PathBuf> {
    text().prop_map(|text| PathBuf::from(format!("/{text}")))
}

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9_-]{1,20}(\\.[a-z][a-z0-9-]{0,20}){1,3}"
}

fn pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof!["[a-z ]{0,9}", Just(r"^220 .*\s\d+$".to_owned()), Just("(\"|\\\\)".to_owned())]
        .prop_map(|text| text.parse().unwrap())
}

/// Text half of the time.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![text().prop_map(String::into_bytes), vec(any::<u8>(), 1..20)]
}

fn tls() -> impl Strategy<Value = Tls> {
    let identity = (path(), path()).prop_map(|(certificate, key)| Identity { certificate, key });
    // Or none is asked for.
    let name = prop_oneof![9 => name(), 1 => Just(String::new())];
    (option::of(name), any::<bool>(), option::of(path()), option::of(identity))
        .prop_map(|(sni, verify, ca, identity)| Tls { sni, verify, ca, identity })
}

fn page() -> impl Strategy<Value = Page> {
    let status = (100..=599_u16, 100..=599_u16)
        .prop_map(|(a, b)| StatusRange { first: a.min(b), last: a.max(b) });
    let digest = prop_oneof![
        any::<[u8; 16]>().prop_map(Digest::Md5),
        any::<[u8; 32]>().prop_map(Digest::Sha256),
    ];
    let is_or_matches = |is: BoxedStrategy<String>| {
        prop_oneof![is.prop_map(Text::Is), pattern().prop_map(Text::Matches)]
    };
    let body = (is_or_matches(text().boxed()), any::<bool>())
        .prop_map(|(text, absent)| BodyRule { text, absent });
    let header = ("[A-Za-z-]{1,9}", is_or_matches("[ -~]{0,9}".boxed()), any::<bool>())
        .prop_map(|(name, value, absent)| HeaderRule { name, value, absent });
    let all = (
        "/[!-~]{0,20}",
        (vec(status.clone(), 1..4), vec(status, 0..2)),
        option::of(digest),
        option::of(body),
        vec(header, 0..3),
        1..=1_u32 << 30,
    );
    all.prop_map(|(path, (status, drain_status), digest, body, expect_headers, body_limit)| Page {
        path,
        status,
        drain_status,
        digest,
        body,
        expect_headers,
        body_limit,
    })
}

/// Whom a check says that it asks.
const HOST: &str = r"([A-Za-z0-9._~-]{1,20}|\[2001:db8::[0-9a-f]\])(:[1-9][0-9]{0,3})?";

fn http() -> impl Strategy<Value = CheckKind> {
    let version =
        prop_oneof![Just(HttpVersion::Http10), Just(HttpVersion::Http11), Just(HttpVersion::Http2)];
    let headers = btree_map("X-[A-Za-z]{1,9}", "[ -~]{0,9}", 0..3);
    let request = ("[A-Z]{1,9}", option::of(HOST), headers, option::of(text()));
    let connection = (option::of(tls()), version, any::<bool>());
    (vec(page().boxed(), 1..4), request, connection).prop_map(|(mut pages, request, connection)| {
        let (method, host, headers, request_body) = request;
        let (mut tls, version, keep_alive) = connection;
        for (index, page) in pages.iter_mut().enumerate() {
            page.path = format!("/{index}{}", page.path);
        }
        // Without a name of its own, TLS asks for that of the host, as far as it is one.
        if let (Some(Tls { sni: sni @ None, .. }), Some(_)) = (&mut tls, &host) {
            *sni = Some("www.example.org".into());
        }
        CheckKind::Http(Box::new(Http {
            tls,
            pages,
            method,
            host,
            headers,
            request_body,
            version,
            keep_alive,
        }))
    })
}

fn network() -> impl Strategy<Value = CheckKind> {
    let words = || prop_oneof![bytes().prop_map(Words::Are), pattern().prop_map(Words::Match)];
    let step = prop_oneof![
        bytes().prop_map(Step::Send),
        words().prop_map(Step::Expect),
        words().prop_map(Step::Refuse),
    ];
    let nibbles = prop_oneof![
        bytes().prop_map(Nibbles::exactly),
        "([0-9a-fx]{2}){1,9}".prop_map(|digits| Nibbles::from_digits(&digits).unwrap()),
    ];
    let sent = prop_oneof![Just(Vec::new()), bytes()];
    let udp = (sent, option::of(nibbles), any::<bool>(), 0..=65_507_u16, 0..=65_507_u16);
    let record = select(vec![Record::Aaaa, Record::Mx, Record::Soa, Record::Txt]);
    let dns =
        (prop_oneof![Just(".".to_owned()), name()], record, vec(any::<u8>(), 0..3), any::<bool>());
    let security = prop_oneof![
        tls().prop_map(SmtpSecurity::Implicit),
        tls().prop_map(SmtpSecurity::Starttls),
    ];
    prop_oneof![
        (vec(step, 0..4), option::of(tls()))
            .prop_map(|(steps, tls)| CheckKind::Tcp(Tcp { steps, tls })),
        udp.prop_map(|(send, expect, require_reply, a, b)| CheckKind::Udp(Udp {
            send,
            expect,
            require_reply,
            min_reply: a.min(b),
            max_reply: a.max(b),
        })),
        dns.prop_map(|(name, record, answer, require_answer)| CheckKind::Dns(Dns {
            name,
            record,
            answer: answer
                .into_iter()
                .map(|last| match record {
                    Record::Mx => format!("{last} mail.example.org"),
                    Record::Soa => format!("a.org b.org {last} 1 2 3 4"),
                    _ => format!("2001:db8::{last:x}"),
                })
                .collect(),
            require_answer,
        })),
        ("[!-~]{1,20}", option::of(security))
            .prop_map(|(helo, security)| CheckKind::Smtp(Smtp { helo, security })),
        (0..=65_507_u16).prop_map(|size| CheckKind::Ping(Ping { size })),
        tls().prop_map(CheckKind::Tls),
    ]
}

fn secret() -> impl Strategy<Value = Secret> {
    prop_oneof![text().prop_map(Secret::Text), path().prop_map(Secret::File)]
}

fn database() -> impl Strategy<Value = Database> {
    let rest = (option::of(secret()), option::of(text()), option::of(text()), any::<bool>());
    (option::of((text(), rest)), option::of(tls())).prop_map(|(all, tls)| match all {
        Some((user, (password, database, query, writable))) => {
            Database { user: Some(user), password, database, query, writable, tls }
        }
        None => Database { tls, ..Database::default() },
    })
}

fn services() -> impl Strategy<Value = CheckKind> {
    let role = prop_oneof![Just(Role::Master), Just(Role::Replica)];
    let redis = (option::of((secret(), option::of(text()))), option::of(role), option::of(tls()));
    let ldap = (
        option::of((text(), secret())),
        option::of((any::<String>(), "[a-zA-Z][a-zA-Z0-9-]{0,8}")),
        option::of(tls()),
    );
    prop_oneof![
        database().prop_map(CheckKind::Mysql),
        database()
            .prop_filter("PostgreSQL needs a user", |database| database.user.is_some())
            .prop_map(CheckKind::Postgres),
        redis.prop_map(|(login, role, tls)| {
            let (password, user) = login.unzip();
            CheckKind::Redis(Redis { user: user.flatten(), password, role, tls })
        }),
        ldap.prop_map(|(login, search, tls)| {
            let ((bind_dn, password), (base, filter)) = (login.unzip(), search.unzip());
            let filter = filter.map_or("(objectClass=*)".into(), |filter| format!("({filter}=*)"));
            CheckKind::Ldap(Ldap { bind_dn, password, base, filter, tls })
        }),
        (any::<String>(), option::of(HOST), any::<bool>(), option::of(tls())).prop_map(
            |(service, host, keep_alive, mut tls)| {
                // As with HTTP.
                if let (Some(Tls { sni: sni @ None, .. }), Some(_)) = (&mut tls, &host) {
                    *sni = Some("www.example.org".into());
                }
                CheckKind::Grpc(Grpc { service, host, keep_alive, tls })
            }
        ),
    ]
}

fn reports() -> impl Strategy<Value = CheckKind> {
    prop_oneof![
        (command(), any::<bool>()).prop_map(|(command, dynamic_weight)| CheckKind::Script(
            Script { command, dynamic_weight }
        )),
        command().prop_map(|command| CheckKind::Worker(Worker { command })),
        (option::of(text()), option::of(tls()))
            .prop_map(|(send, tls)| CheckKind::Agent(Agent { send, tls })),
        (path(), -65_535..=65_535_i32, any::<bool>())
            .prop_map(|(path, weight, reverse)| CheckKind::File(File { path, weight, reverse })),
    ]
}

/// What is checked, within what the kind has a use for.
fn aimed(kind: CheckKind) -> impl Strategy<Value = Aim> {
    let port = (1..=u16::MAX).prop_map(|port| (Some(port), None));
    let elsewhere = (1..=u16::MAX).prop_flat_map(server).prop_map(|at| (None, Some(at)));
    let nowhere = Just((None, None));
    match &kind {
        CheckKind::Agent(_) => prop_oneof![port, elsewhere].boxed(),
        CheckKind::File(_) => nowhere.boxed(),
        CheckKind::Ping(_) => prop_oneof![nowhere, elsewhere].boxed(),
        _ => prop_oneof![port, elsewhere, nowhere].boxed(),
    }
    .prop_map(move |(port, address)| Aim { kind: kind.clone(), port, address })
}

#[derive(Clone, Debug)]
struct Aim {
    kind: CheckKind,
    port: Option<u16>,
    address: Option<Address>,
}

fn check() -> impl Strategy<Value = Check> {
    // Boxed, as a strategy of this size would not fit the stack.
    let kind =
        prop_oneof![http().boxed(), network().boxed(), services().boxed(), reports().boxed()];
    let durations = [duration(), duration(), duration(), duration()];
    let warmup = option::of(prop_oneof![Just(Duration::ZERO), duration()]);
    let numbers = (1..=1000_u32, 1..=1000_u32, 0..=50_u8, any::<bool>(), any::<bool>(), number());
    let initial = prop_oneof![Just(Initial::Down), Just(Initial::Up)];
    (kind.prop_flat_map(aimed), durations, numbers, initial, warmup).prop_map(
        |(aim, [interval, timeout, fast_interval, down_interval], numbers, initial, warmup)| {
            let (rise, fall, jitter, bound, first_decisive, local_limit) = numbers;
            let Aim { kind, port, address } = aim;
            let used =
                !matches!(kind, CheckKind::File(_) | CheckKind::Script(_) | CheckKind::Worker(_));
            // Of the family of what is checked, which is known if it is not the backend.
            let source = address.as_ref().filter(|_| used && bound);
            let source = source.and_then(Address::numeric).map(|address| address.ip());
            Check {
                port,
                address,
                source,
                source_port: local_limit
                    .and_then(|number| NonZeroU16::try_from(number).ok())
                    .filter(|_| used && !matches!(kind, CheckKind::Ping(_))),
                interface: bound.then(|| "eth1".to_owned()).filter(|_| used),
                mark: local_limit.filter(|_| used),
                interval,
                timeout,
                rise,
                fall,
                fast_interval,
                down_interval,
                warmup,
                jitter,
                initial,
                first_decisive,
                local_limit,
                kind,
            }
        },
    )
}

fn number() -> impl Strategy<Value = Option<NonZeroU32>> {
    option::of((1..1_000_u32).prop_map(|number| NonZeroU32::new(number).unwrap()))
}

/// A maximum, and thresholds in their order.
fn limits() -> impl Strategy<Value = [Option<NonZeroU32>; 3]> {
    let limit = || 1..=1_000_000_000_u32;
    (option::of(limit()), option::of((limit(), option::of(limit())))).prop_map(
        |(max, thresholds)| {
            let (upper, lower) = thresholds.unzip();
            let lower = lower.flatten().zip(upper).map(|(lower, upper)| lower.min(upper));
            [max, upper, lower].map(|limit| limit.and_then(NonZeroU32::new))
        },
    )
}

/// Any name that is one.
fn zone() -> impl Strategy<Value = Option<String>> {
    option::of(any::<String>().prop_map(|name| name + "a"))
}

fn on_failure() -> impl Strategy<Value = OnFailure> {
    prop_oneof![Just(OnFailure::Remove), Just(OnFailure::WeightZero)]
}

fn passive() -> impl Strategy<Value = Passive> {
    let numbers = (0..=1_000_000_u32, 0..=100_u8, 1..=1_000_000_u32, 1..=100_u8, 0..=1000_u32);
    let numbers = (numbers, any::<bool>());
    (numbers, [duration(), duration(), duration()]).prop_map(|(numbers, [interval, a, b])| {
        let ((consecutive, failure_percent, minimum, max_ejected, deviations), back) = numbers;
        Passive {
            consecutive,
            failure_percent,
            minimum,
            interval,
            eject: a.min(b),
            longest: a.max(b),
            max_ejected,
            deviations,
            back_on_check: back,
        }
    })
}

fn mail() -> impl Strategy<Value = Mail> {
    let mailbox = || "[a-z+]{1,9}@[a-z.]{1,9}";
    let security = prop_oneof![
        tls().prop_map(SmtpSecurity::Implicit),
        tls().prop_map(SmtpSecurity::Starttls),
    ];
    let login =
        ("[a-z@ ]{1,9}", path()).prop_map(|(user, password_file)| Login { user, password_file });
    // Nobody logs in in clear.
    let secured = option::of((security, option::of(login)));
    (server(25), mailbox(), vec(mailbox(), 1..3), option::of("[!-~]{1,9}"), secured).prop_map(
        |(server, from, to, helo, secured)| {
            let (mut security, login) = secured.unzip();
            if let Some(SmtpSecurity::Implicit(tls) | SmtpSecurity::Starttls(tls)) = &mut security {
                tls.sni = tls.sni.take().filter(|name| !name.is_empty());
                // A name is asked for unless another is.
                if matches!(server, Address::Named { .. }) {
                    tls.sni.get_or_insert_with(|| "mail.example.org".to_owned());
                }
            }
            Mail { server, from, to, helo, security, login: login.flatten() }
        },
    )
}

fn backends() -> impl Strategy<Value = Vec<Backend>> {
    type Drawn = (u16, (Place, Hooks), Vec<Check>, bool);
    type Hooks = (OnFailure, Option<Command>, Option<Command>);
    type Place = (u8, Option<String>, [Option<NonZeroU32>; 3]);
    let place = (any::<u8>(), zone(), limits());
    let hooks = (on_failure(), option::of(command()), option::of(command()));
    let several =
        vec((any::<u16>(), (place, hooks), vec(check().boxed(), 0..3), any::<bool>()), 1..5);
    (several, vec(check().boxed(), 0..3), any::<bool>()).prop_map(|(several, shared, alike)| {
        let backend = |(index, (weight, (place, hooks), own, v6)): (usize, Drawn)| {
            let ((priority, zone, limits), (on_failure, on_up, on_down)) = (place, hooks);
            Backend {
                address: if index % 3 == 2 {
                    format!("b{index}.example.org:9")
                } else if v6 {
                    format!("[::1]:{}", 9000 + index)
                } else {
                    format!("10.0.0.{index}:9")
                }
                .parse()
                .unwrap(),
                weight: Weight::new(weight),
                priority,
                zone,
                max_connections: limits[0],
                u_threshold: limits[1],
                l_threshold: limits[2],
                on_failure,
                on_up,
                on_down,
                checks: own,
            }
        };
        let mut backends: Vec<_> = several.into_iter().enumerate().map(backend).collect();
        if alike {
            backends.iter_mut().for_each(|backend| backend.checks.clone_from(&shared));
        }
        backends
    })
}

/// A quorum that these backends can reach.
fn quorum(backends: &[Backend]) -> impl Strategy<Value = Quorum> + use<> {
    let total: u64 = backends.iter().map(|backend| u64::from(backend.weight)).sum();
    let serving = backends.iter().filter(|backend| !backend.weight.is_zero()).count();
    let most = total.max(1);
    let most_share =
        if total == 0 { 100 } else { u8::try_from(serving * 100 / backends.len()).unwrap() };
    let ordered = (1..=most, 1..=most).prop_map(|(a, b)| (a.max(b), a.min(b)));
    let shares = (1..=most_share, 1..=most_share).prop_map(|(a, b)| (a.max(b), a.min(b)));
    let by_weight = (1..=most).prop_flat_map(move |quorum| {
        let most_hysteresis = (quorum - 1).min(most - quorum);
        (Just(quorum), 0..=most_hysteresis)
    });
    prop_oneof![
        by_weight.prop_map(|(quorum, hysteresis)| Quorum::Weight { quorum, hysteresis }),
        ordered.prop_map(|(up_at, down_at)| Quorum::Thresholds { up_at, down_at }),
        shares.prop_map(|(up_at, down_at)| Quorum::Shares { up_at, down_at }),
    ]
}

/// What goes around a scheduler, and what before it.
#[derive(Clone, Debug)]
struct Around {
    forwarding: Forwarding,
    hash_key: HashKey,
    hash_granularity: Option<u8>,
    hash_seed: Option<String>,
    bounded: Option<u32>,
    zone: Option<String>,
    spill_below: u8,
    panic_below: u8,
    slow_start: Option<Duration>,
    queue: Option<Queue>,
    draining_clients: DrainingClients,
}

fn persistence() -> impl Strategy<Value = Persistence> {
    let numbers = (duration(), any::<bool>(), 1..=32_u8, 1..=1_u32 << 24, duration());
    let when_full = prop_oneof![Just(WhenFull::Move), Just(WhenFull::Wait)];
    let when_down = prop_oneof![Just(WhenDown::Move), Just(WhenDown::Refuse)];
    (numbers, when_full, when_down).prop_map(|(numbers, when_full, when_down)| {
        let (timeout, while_open, granularity, capacity, min_age) = numbers;
        Persistence { timeout, while_open, granularity, capacity, min_age, when_full, when_down }
    })
}

fn around() -> impl Strategy<Value = Around> {
    let words = (
        prop_oneof![Just(HashKey::Source), Just(HashKey::SourcePort)],
        prop_oneof![Just(DrainingClients::Keep), Just(DrainingClients::Move)],
        prop_oneof![
            Just(Forwarding::DirectRouting),
            Just(Forwarding::Nat),
            Just(Forwarding::Proxy),
            Just(Forwarding::Tunnel)
        ],
    );
    let hashing = (option::of(1..=32_u8), option::of(".{1,9}"));
    let numbers = (option::of(101..=10_000_u32), 0..=100_u8, 0..=100_u8, hashing);
    let queue =
        (1..=1_000_000_u32, duration()).prop_map(|(length, timeout)| Queue { length, timeout });
    (words, numbers, zone(), option::of(duration()), option::of(queue)).prop_map(
        |(words, numbers, zone, slow_start, queue)| {
            let (hash_key, draining_clients, forwarding) = words;
            let (bounded, spill_below, panic_below, (hash_granularity, hash_seed)) = numbers;
            Around {
                forwarding,
                hash_key,
                hash_granularity,
                hash_seed,
                bounded,
                zone,
                spill_below,
                panic_below,
                slow_start,
                queue,
                draining_clients,
            }
        },
    )
}

fn virtual_server(index: usize) -> impl Strategy<Value = VirtualServer> {
    let port = 8000 + u16::try_from(index).unwrap();
    let balancing = (
        "[A-Za-z0-9._:\\[\\]-]{0,9}",
        address(port),
        0..Algorithm::ALL.len(),
        option::of(server(9999)),
        prop_oneof![Just(SorryMode::Last), Just(SorryMode::Quorum)],
        option::of(persistence()),
    );
    let limits = (duration(), prop_oneof![Just(Duration::ZERO), duration()], any::<u8>());
    let sorry_checks = vec(check().boxed(), 0..2);
    let scripts = (option::of(command()), option::of(command()), any::<bool>());
    let hooks = (scripts, option::of(passive()), sorry_checks);
    let backends = backends().prop_flat_map(|backends| (quorum(&backends), Just(backends)));
    let all = (balancing.boxed(), around().boxed(), limits, hooks.boxed(), backends.boxed());
    all.prop_map(move |(balancing, around, limits, hooks, backends)| {
        let (name, listen, scheduler, sorry_server, sorry_mode, persistence) = balancing;
        let (connect_timeout, drain_timeout, retries) = limits;
        let (scripts, passive, sorry_checks) = hooks;
        let (on_quorum_up, on_quorum_down, down_when_stopped) = scripts;
        let (quorum, backends) = backends;
        let scheduler = Algorithm::ALL[scheduler];
        VirtualServer {
            // The number makes it unique.
            name: format!("{name}{index}"),
            listen,
            forwarding: around.forwarding,
            scheduler,
            hash_key: around.hash_key,
            hash_granularity: around.hash_granularity,
            hash_seed: around.hash_seed,
            bounded: around.bounded.filter(|_| scheduler.bounded(Default::default()).is_some()),
            zone: around.zone,
            spill_below: around.spill_below,
            panic_below: around.panic_below,
            slow_start: around.slow_start,
            queue: around.queue,
            quorum,
            sorry_checks: if sorry_server.is_some() { sorry_checks } else { Vec::new() },
            sorry_server,
            sorry_mode,
            persistence,
            draining_clients: around.draining_clients,
            on_quorum_up,
            on_quorum_down,
            down_when_stopped,
            passive,
            connect_timeout,
            drain_timeout,
            retries,
            backends,
        }
    })
}

/// An address of one family, which two calls with different numbers never share.
fn virtual_ip(v6: bool, number: u8) -> IpAddr {
    if v6 {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()).into()
    } else {
        [10, 0, 0, number].into()
    }
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::Global), Just(Scope::Link), Just(Scope::Host)]
}

fn virtual_addresses(v6: bool, first: u8) -> impl Strategy<Value = Vec<VirtualAddress>> {
    let one = (1..=32_u8, option::of("[a-z]{1,8}"), option::of(any::<bool>()), scope());
    vec(one, 1..4).prop_map(move |several| {
        let address = |(number, (prefix, dev, flag, scope)): (
            u8,
            (u8, Option<String>, Option<bool>, Scope),
        )| {
            let mut address =
                VirtualAddress::new(virtual_ip(v6, first + number)).prefix(prefix).scope(scope);
            if let Some(deprecated) = flag.filter(|_| v6) {
                address = address.deprecated(deprecated);
            }
            if flag.is_some() && !v6 {
                let dev = dev.as_deref().unwrap_or("eth0");
                address = address.label(format!("{dev}:{number}"));
            }
            if let Some(dev) = dev {
                address = address.dev(dev);
            }
            address
        };
        (0..).zip(several).map(address).collect()
    })
}

fn route(v6: bool) -> impl Strategy<Value = Route> {
    let ways = (option::of(Just(virtual_ip(v6, 250))), option::of("[a-z]{1,15}"));
    let numbers = (any::<u8>(), 0..=32_u8, 1..=u32::MAX, option::of(any::<u32>()));
    let kind = select(vec![
        RouteKind::Unicast,
        RouteKind::Blackhole,
        RouteKind::Unreachable,
        RouteKind::Prohibit,
        RouteKind::Throw,
    ]);
    let hop = (option::of(Just(virtual_ip(v6, 252))), "[a-z]{1,15}", 1..=u8::MAX)
        .prop_map(|(via, dev, weight)| NextHop::new(via, Some(dev)).weight(weight));
    let links = (any::<bool>(), option::of(any::<u32>()), any::<bool>(), option::of(any::<u32>()));
    let more = (kind, vec(hop, 0..3), links);
    (ways, numbers, any::<bool>(), option::of(scope()), more).prop_map(
        move |((via, dev), (to, length, table, metric), has_source, scope, more)| {
            let mut route = Route::new(Prefix::new(virtual_ip(v6, to), length).unwrap());
            (route.via, route.dev, route.table, route.metric) = (via, dev, table, metric);
            route.source = has_source.then(|| virtual_ip(v6, 251));
            route.scope = scope;
            let (kind, next_hops, links) = more;
            (route.onlink, route.mtu, route.mtu_lock, route.advmss) = links;
            // Where a route leads to is said in one way.
            match kind {
                RouteKind::Unicast if !next_hops.is_empty() => {
                    (route.via, route.dev, route.next_hops) = (None, None, next_hops);
                }
                RouteKind::Unicast => {}
                _ => (route.via, route.dev) = (None, None),
            }
            route.kind = kind;
            route
        },
    )
}

fn rule(v6: bool) -> impl Strategy<Value = Rule> {
    let prefix = move || {
        (any::<u8>(), 0..=32_u8)
            .prop_map(move |(last, length)| Prefix::new(virtual_ip(v6, last), length).unwrap())
    };
    let interface = || option::of("[a-z]{1,15}");
    let numbers = (option::of(any::<u32>()), 1..=u32::MAX, option::of(any::<u32>()));
    let octets = (option::of(any::<u8>()), option::of(any::<u8>()), any::<bool>());
    let range = || option::of((1..=u16::MAX, 1..=u16::MAX).prop_map(|(a, b)| a.min(b)..=a.max(b)));
    let users = option::of((any::<u32>(), any::<u32>()).prop_map(|(a, b)| a.min(b)..=a.max(b)));
    let suppressed = (option::of(any::<u32>()), option::of(any::<u32>()));
    let action = prop_oneof![
        Just(RuleAction::Table),
        any::<u32>().prop_map(RuleAction::Goto),
        Just(RuleAction::Nop),
        Just(RuleAction::Blackhole),
        Just(RuleAction::Unreachable),
        Just(RuleAction::Prohibit),
    ];
    let more = (octets, range(), range(), users, suppressed, action);
    let addresses = (option::of(prefix()), option::of(prefix()));
    (addresses, interface(), interface(), numbers, more).prop_map(
        move |((from, to), iif, oif, (fwmark, table, priority), more)| {
            let mut rule = Rule::new(if v6 { Family::V6 } else { Family::V4 });
            (rule.from, rule.to, rule.iif, rule.oif) = (from, to, iif, oif);
            (rule.fwmark, rule.table, rule.priority) = (fwmark, table, priority);
            let (octets, sport, dport, users, suppressed, action) = more;
            (rule.tos, rule.ip_protocol, rule.not) = octets;
            (rule.sport, rule.dport, rule.uid_range, rule.action) = (sport, dport, users, action);
            (rule.suppress_prefixlength, rule.suppress_ifgroup) = suppressed;
            rule.fwmask = fwmark.filter(|_| rule.not);
            rule
        },
    )
}

fn notify() -> impl Strategy<Value = Notify> {
    let one = || option::of(command().prop_map(Box::new));
    let flags = (any::<bool>(), any::<bool>());
    ((one(), one(), one()), (one(), one(), one()), flags).prop_map(
        |((any, master, backup), (fault, stop, deleted), flags)| Notify {
            any,
            master,
            backup,
            fault,
            stop,
            deleted: match deleted {
                None if flags.0 => Deleted::AsStop,
                command => Deleted::Told(command),
            },
            master_rx_lower_pri: None,
            priority_changes: flags.0,
            smtp_alert: flags.1,
            smtp_alert_faults: flags.0 == flags.1,
            user: None,
        },
    )
}

fn garp() -> impl Strategy<Value = Announcements> {
    let time = || prop_oneof![Just(Duration::ZERO), duration()];
    let refresh = duration().prop_map(|refresh| refresh.max(Duration::from_millis(100)));
    let refresh = prop_oneof![Just(Duration::ZERO), refresh];
    (any::<u8>(), time(), any::<u8>(), refresh, time()).prop_map(
        |(first, second_after, reaction, refresh, spacing)| {
            let mut garp = Announcements::default();
            (garp.first, garp.second_after, garp.reaction) = (first, second_after, reaction);
            (garp.refresh, garp.spacing) = (refresh, spacing);
            garp
        },
    )
}

fn authentication(v2: bool) -> impl Strategy<Value = Authentication> {
    let freshness = prop_oneof![
        Just(None),
        Just(Some(Freshness::Monotonic)),
        duration().prop_map(|window| Some(Freshness::Window(window))),
    ];
    let mode = prop_oneof![
        Just(Migration::Enforce),
        Just(Migration::Permissive),
        Just(Migration::ReceiveOnly)
    ];
    let secret = prop_oneof![
        "[!-~]{32,64}".prop_map(KeySecret::Text),
        vec(any::<u8>(), 32..=64).prop_map(KeySecret::Octets),
        path().prop_map(KeySecret::File),
    ];
    let secrets = vec(secret, 1..3);
    ("[!-~]{1,12}", secrets, mode, freshness, 0..4_u8).prop_map(
        move |(password, secrets, mode, freshness, kind)| match (kind, v2) {
            (0, true) => Authentication::Pass(password),
            (1, true) => Authentication::Ah(password),
            (2, _) => {
                let keys = (1..).zip(secrets).map(|(id, secret)| HmacKey { id, secret });
                Authentication::Hmac { keys: keys.collect(), mode, freshness }
            }
            _ => Authentication::None,
        },
    )
}

fn reach(v6: bool) -> impl Strategy<Value = Reach> {
    let peers = vec((any::<u8>(), any::<u8>()), 1..3);
    prop_oneof![
        Just(Reach::Multicast { group: (if v6 { Family::V6 } else { Family::V4 }).group() }),
        (peers, any::<bool>()).prop_map(move |(peers, check_source)| {
            let peer = |(number, (a, b)): (u8, (u8, u8))| {
                Peer::new(virtual_ip(v6, 240 + number)).hop_limits(a.min(b)..=a.max(b))
            };
            Reach::Unicast { peers: (0..).zip(peers).map(peer).collect(), check_source }
        }),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let url = select(vec!["https://api.example.org/{address}", "http://[2001:db8::1]:8080/?a=b"]);
    let status =
        vec((100..=599_u16).prop_map(|code| StatusRange { first: code, last: code }), 1..3);
    ("[A-Z]{1,9}", url, option::of(text()), status).prop_map(|(method, url, body, status)| Call {
        method,
        url: url.to_owned(),
        body,
        status,
    })
}

fn claim() -> impl Strategy<Value = Claim> {
    let headers = btree_map("X-[A-Za-z]{1,9}", "[ -~]{0,9}", 0..3);
    let holder = (call(), text()).prop_map(|(call, value)| Holder {
        url: call.url,
        pointer: format!("/{value}"),
        value,
    });
    let calls = (call(), option::of(holder), option::of(call()));
    let rest = (headers, option::of(path()), option::of(path()), any::<bool>());
    let http = (calls, rest).prop_map(|((assign, holder, release), rest)| {
        let (headers, token_file, ca, verify) = rest;
        let claim = HttpClaim { assign, holder, release, headers, token_file, ca, verify };
        ClaimBy::Http(Box::new(claim))
    });
    (prop_oneof![command().prop_map(ClaimBy::Command), http], duration(), duration())
        .prop_map(|(by, interval, timeout)| Claim { by, interval, timeout })
}

fn bgp_announcement() -> impl Strategy<Value = BgpAnnouncement> {
    let bird = (path(), "[a-zB-Z_][A-Za-z0-9_]{0,9}_");
    let bird = bird.prop_map(|(socket, protocol)| Speaker::Bird { socket, protocol });
    let community = (any::<u16>(), any::<u16>()).prop_map(|(high, low)| format!("{high}:{low}"));
    let attributes = (option::of(any::<u32>()), vec(community, 0..3));
    let to = (1..4_u8, any::<bool>(), option::of(any::<bool>()));
    let exabgp = (text(), to, attributes).prop_map(|(pipe, to, (med, communities))| {
        let (count, v6, next_hop) = to;
        let addresses = (0..count).map(|last| {
            let address = virtual_ip(v6, last);
            Prefix::new(address, if v6 { 128 } else { 32 }).unwrap()
        });
        Speaker::ExaBgp {
            pipe: format!("/{pipe}.in").into(),
            addresses: addresses.collect(),
            next_hop: next_hop.map(|v6| virtual_ip(v6, 1)),
            med,
            communities,
        }
    });
    let times = (duration(), duration());
    (prop_oneof![bird, exabgp], times).prop_map(|(speaker, (withdraw_delay, interval))| {
        BgpAnnouncement {
            name: "a".into(),
            speaker,
            instance: None,
            tracks: Tracks::default(),
            withdraw_delay,
            interval,
        }
    })
}

fn vrrp_instance(index: u8) -> impl Strategy<Value = VrrpInstance> {
    let kinds = (any::<bool>(), any::<bool>());
    kinds.prop_flat_map(move |(v6, v2)| {
        let v2 = v2 && !v6;
        let timers = (1..=255_u16, 1..=100_u8, duration(), any::<u8>());
        let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
        let preempt = prop_oneof![
            Just(Preempt::Immediately),
            Just(Preempt::Never),
            duration().prop_map(Preempt::After)
        ];
        let checksum = prop_oneof![
            Just(ChecksumPolicy::Auto),
            Just(ChecksumPolicy::Pseudo),
            Just(ChecksumPolicy::Rfc9568)
        ];
        let wire = (reach(v6), authentication(v2), checksum, any::<bool>());
        let own = prop_oneof![4 => virtual_addresses(v6, 10 * index), 1 => Just(vec![])];
        let held = (own, virtual_addresses(!v6, 100 + 10 * index));
        let ways = (vec(route(v6), 0..3), vec(rule(v6), 0..3));
        let tracks = vec((-254..=254_i16, any::<bool>()), 0..3);
        let told = (notify(), option::of(command()), garp(), option::of(claim().boxed()));
        (timers, flags, preempt, wire, held, ways, tracks, told).prop_map(
            move |(timers, flags, preempt, wire, held, ways, tracks, told)| {
                let (centis, down_timer_adverts, delay, priority) = timers;
                let (reach, authentication, checksum, has_source) = wire;
                let (mut notify, lower, garp, claim) = told;
                notify.master_rx_lower_pri = lower.map(Box::new);
                let track = |(number, (weight, reverse)): (usize, (i16, bool))| Track {
                    name: format!("eth{number}"),
                    weight,
                    reverse,
                };
                let by_name = |name: &str| Track {
                    name: name.to_owned(),
                    weight: i16::from(priority).min(254),
                    reverse: flags.3,
                };
                VrrpInstance {
                    name: format!("v{index}"),
                    interface: "eth0".into(),
                    virtual_router_id: Vrid::new(index).unwrap(),
                    version: if v2 { Version::V2 } else { Version::V3 },
                    state: if flags.0 { Start::Master } else { Start::Backup },
                    priority: Priority::new(priority.max(1)),
                    advert_interval: Interval::from_centis(centis * if v2 { 100 } else { 16 })
                        .unwrap(),
                    down_timer_adverts,
                    preempt,
                    accept: flags.1,
                    delays: Delays {
                        startup: delay,
                        after_boot: Duration::from_millis(1),
                        interface_down: Duration::from_millis(2),
                        interface_up: Duration::from_millis(3),
                    },
                    parting_advert: flags.2,
                    checksum,
                    source: has_source.then(|| virtual_ip(v6, 239)),
                    reach,
                    authentication,
                    addresses: held.0,
                    excluded_addresses: held.1,
                    routes: ways.0,
                    rules: ways.1,
                    virtual_mac: flags.3.then(|| format!("vrrp.{index}")),
                    vmac_xmit_base: flags.0,
                    garp,
                    track_primary: flags.2,
                    track_interfaces: tracks.into_iter().enumerate().map(track).collect(),
                    tracks: Tracks {
                        checks: flags.1.then(|| by_name("checked")).into_iter().collect(),
                        quorums: flags.2.then(|| by_name("")).into_iter().collect(),
                        ..Tracks::default()
                    },
                    claim: claim.map(Box::new),
                    notify,
                }
            },
        )
    })
}

fn vrrp_check() -> impl Strategy<Value = VrrpCheck> {
    (vec(check(), 1..3), address(9000), -254..=254_i16).prop_map(|(checks, target, weight)| {
        VrrpCheck { name: "checked".into(), target: Some(target), checks, weight }
    })
}

fn carp_instance() -> impl Strategy<Value = CarpInstance> {
    any::<bool>().prop_flat_map(|v6| {
        let period = (1..=254_u8, 0..=254_u8, 1..=100_u8);
        let told = (garp(), notify());
        (period, any::<bool>(), "[ -~]{1,30}", virtual_addresses(v6, 150), told).prop_map(
            move |((advbase, advskew, dead_ratio), flag, passphrase, addresses, (garp, notify))| {
                let track = |name: &str| Track {
                    name: name.into(),
                    weight: i16::from(advskew),
                    reverse: flag,
                };
                CarpInstance {
                    name: "carp".into(),
                    interface: "eth0".into(),
                    vhid: Vrid::new(255).unwrap(),
                    advbase,
                    advskew,
                    dead_ratio,
                    preempt: flag,
                    passphrase,
                    source: flag.then(|| virtual_ip(v6, 239)),
                    addresses,
                    virtual_mac: flag.then(|| "carp.255".into()),
                    garp,
                    track_interfaces: vec![track("eth1")],
                    tracks: Tracks {
                        checks: vec![track("checked")],
                        quorums: flag.then(|| track("")).into_iter().collect(),
                        ..Tracks::default()
                    },
                    notify,
                }
            },
        )
    })
}

fn config() -> impl Strategy<Value = Config> {
    let servers = (1..4_usize).prop_flat_map(|count| {
        (0..count).map(|index| virtual_server(index).boxed()).collect::<Vec<_>>()
    });
    let routers = (0..3_u8).prop_flat_map(|count| {
        (1..=count).map(|index| vrrp_instance(index).boxed()).collect::<Vec<_>>()
    });
    let hosts =
        (vec(carp_instance().boxed(), 0..2).boxed(), vec(bgp_announcement().boxed(), 0..2).boxed());
    let told = (option::of(path()), option::of(mail()), vec(address(53), 0..3), number());
    let fixed = "[a-z]{1,15}".prop_map(|dev| VirtualAddress::new(virtual_ip(true, 1)).dev(dev));
    // A route on the link says on which.
    let route = any::<bool>().prop_flat_map(route).prop_map(|mut route| {
        if route.kind == RouteKind::Unicast && route.next_hops.is_empty() && route.via.is_none() {
            route.dev = Some("eth9".into());
        }
        route
    });
    let rules = vec(any::<bool>().prop_flat_map(rule), 0..2);
    let statics = (vec(fixed, 0..2), vec(route, 0..2), rules);
    let hosts = (hosts, vrrp_check().prop_map(|check| vec![check]));
    let socket = text().prop_map(|name| Door::Socket(format!("/{name}").into()));
    let short = |door: &Door| door.to_string().len() <= 107;
    let socket = socket.prop_filter("length", short);
    let admin = prop_oneof![address(7000).prop_map(Door::Address), socket];
    let routers = (routers, hosts, statics);
    (option::of(admin), told, servers, routers).prop_map(
        |(admin, told, virtual_servers, routers)| {
            let (notify_fifo, smtp, resolvers, max_scripts) = told;
            let (mut vrrp_instances, hosts, statics) = routers;
            let (static_addresses, static_routes, static_rules) = statics;
            let ((mut carp_instances, bgp_announcements), vrrp_checks) = hosts;
            let tracks = vrrp_instances.iter_mut().map(|one| &mut one.tracks);
            let tracks = tracks.chain(carp_instances.iter_mut().map(|one| &mut one.tracks));
            let quorums = tracks.flat_map(|tracks| &mut tracks.quorums);
            quorums.for_each(|track| track.name.clone_from(&virtual_servers[0].name));
            Config {
                admin: admin.clone(),
                admin_allow_remote: matches!(&admin, Some(Door::Address(a)) if !a.ip().is_loopback()),
                notify_fifo_script: notify_fifo.as_ref().map(|path| {
                    Command::new(path.to_string_lossy().into_owned(), vec!["first".into()])
                }),
                notify_fifo,
                smtp,
                resolvers,
                max_checks: max_scripts.map(|count| count.saturating_add(7)),
                notify_timeout: max_scripts.map(|count| Duration::from_secs(count.get().into())),
                max_scripts,
                virtual_servers,
                vrrp_instances,
                carp_instances,
                vrrp_checks,
                static_addresses,
                static_routes,
                static_rules,
                bgp_announcements,
                ..Config::default()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_is_read_back(config in config()) {
        let printed = config.to_string();
        match Config::parse("printed.toml", &printed) {
            Ok(read) => prop_assert_eq!(read, config, "{}", printed),
            Err(errors) => prop_assert!(false, "{errors}\n{printed}"),
        }
    }
}

#[test]
fn the_samples_are_read_back_too() {
    for text in [include_str!("config/sample.toml"), include_str!("config/every_check.toml")] {
        let config = Config::parse("sample.toml", text).unwrap();
        let printed = config.to_string();
        let read = Config::parse("printed.toml", &printed).unwrap();
        assert_eq!(read, config, "{printed}");
        assert_eq!(read.to_string(), printed);
    }
}

/// Commands have the user of their block, or else the one that all have.
#[test]
fn users_are_read_back() {
    let text = r#"
        user = "lb:nogroup"
        script_user = "nobody"
        script_security = true
        [[vrrp_script]]
        name = "first"
        command = ["/first"]
        user = "0:0"
        [[vrrp_script]]
        name = "second"
        command = ["/second"]
        [[vrrp_instance]]
        name = "web"
        interface = "eth0"
        virtual_router_id = 51
        addresses = ["10.0.0.200"]
        track_scripts = ["first", "second"]
        claim = { command = ["/claim"] }
        notify_master = ["/master"]
        notify_deleted = ["/deleted"]
        notify_user = "games"
        [[vrrp_sync_group]]
        name = "all"
        members = ["web"]
        notify = ["/any"]
        [[virtual_server]]
        listen = "127.0.0.1:80"
        on_quorum_up = ["/up"]
        on_down = ["/down"]
        check = { type = "script", command = ["/check"] }
        sorry_server = "127.0.0.1:82"
        sorry_check = { type = "worker", command = ["/sorry"], user = "games" }
        backend = [{ address = "127.0.0.1:81" }]
    "#;
    let config = Config::parse("users.toml", text).unwrap();
    let users = config.commands().map(|one| (one.program.as_str(), one.user.as_ref()));
    let users: Vec<_> = users.map(|(name, user)| (name, user.map(ToString::to_string))).collect();
    let expected = [
        ("/check", Some("nobody")),
        ("/sorry", Some("games")),
        ("/up", Some("nobody")),
        ("/down", Some("nobody")),
        ("/first", Some("0:0")),
        ("/second", Some("nobody")),
        ("/claim", Some("nobody")),
        ("/master", Some("games")),
        ("/deleted", Some("games")),
        ("/any", Some("nobody")),
    ];
    assert_eq!(users, expected.map(|(name, user)| (name, user.map(str::to_owned))));
    let printed = config.to_string();
    assert_eq!(Config::parse("printed.toml", &printed).unwrap(), config, "{printed}");

    for (wrong, what) in [("user = \"\"", "user"), ("script_user = \"a:b:c\"", "script_user")] {
        let errors = Config::parse("users.toml", wrong).unwrap_err().to_string();
        assert!(errors.contains(&format!("`{what}` is ")), "{errors}");
        assert!(errors.contains("write \"nobody\" or \"nobody:nogroup\""), "{errors}");
    }
}
