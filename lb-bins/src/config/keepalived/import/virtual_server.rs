//! Virtual servers: `virtual_server` and `virtual_server_group`.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::real_server::{Server, real_servers};
use super::values::{Values, given, list};
use super::{checker, group};
use crate::config::draft::{Field, Persistence, Quorum, VirtualServer};
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::model::{Address, Forwarding, HashKey, OnFailure};
use crate::config::source::Spanned;

/// How many lines may be read again in all, for the addresses of groups.
const MOST_REPEATED: usize = 1 << 20;

/// What virtual servers need from elsewhere in the file.
pub(super) struct Elsewhere<'s> {
    groups: HashMap<&'s str, &'s Statement>,
    pub(super) checkers: checker::Elsewhere<'s>,
}

impl<'s> Elsewhere<'s> {
    pub(super) fn new(statements: &'s [Statement]) -> Self {
        let groups = statements.iter().filter(|block| block.word() == "virtual_server_group");
        let named = |block: &'s Statement| Some((block.arguments.first()?.text.as_str(), block));
        Self {
            groups: groups.filter_map(named).collect(),
            checkers: checker::Elsewhere::new(statements),
        }
    }
}

/// Every virtual server of the file: a group is one for each of its addresses.
pub(super) fn virtual_servers(
    statements: &[Statement],
    values: &mut Values<'_>,
) -> Vec<Spanned<VirtualServer>> {
    let elsewhere = Elsewhere::new(statements);
    let mut servers = Vec::new();
    let mut repeated = 0;
    for statement in statements.iter().filter(|block| block.word() == "virtual_server") {
        let listens = listens(statement, &elsewhere, values);
        if !is_tcp(statement, values) {
            continue;
        }
        repeated += lines(statement) * listens.len();
        if repeated > MOST_REPEATED {
            values.error(statement.span, Problem::TooManyAddresses);
            break;
        }
        for (index, listen) in listens.into_iter().enumerate() {
            let server = Server { statement, listen, is_first: index == 0, elsewhere: &elsewhere };
            servers.push(Spanned { value: server.draft(values), span: statement.span });
        }
    }
    servers
}

/// How many lines a block has, those in its blocks included.
fn lines(statement: &Statement) -> usize {
    1 + statement.block().iter().map(lines).sum::<usize>()
}

/// Where clients connect to. What has no address and port of its own is left out.
fn listens(
    statement: &Statement,
    elsewhere: &Elsewhere<'_>,
    values: &mut Values<'_>,
) -> Vec<Spanned<SocketAddr>> {
    let first = statement.arguments.first().map_or("", |first| &first.text);
    if first.eq_ignore_ascii_case("fwmark") {
        values.warning(statement.span, Problem::FirewallMark);
        return Vec::new();
    }
    if first.eq_ignore_ascii_case("group") {
        let Some(name) = statement.arguments.get(1) else {
            values.error(statement.span, Problem::WithoutValue { word: "group" });
            return Vec::new();
        };
        let Some(block) = elsewhere.groups.get(name.text.as_str()) else {
            values.error(name.span, Problem::NoGroup { name: name.text.clone() });
            return Vec::new();
        };
        return group::addresses(block, values);
    }
    match values.socket(statement) {
        Field::Given(listen) if listen.value.port() == 0 => {
            values.warning(listen.span, Problem::AllPorts);
            Vec::new()
        }
        Field::Given(listen) => vec![listen],
        Field::Absent | Field::Refused => Vec::new(),
    }
}

/// Whether it is for TCP; keepalived takes it for UDP if that is not said.
fn is_tcp(statement: &Statement, values: &mut Values<'_>) -> bool {
    let Some(protocol) = statement.last("protocol") else {
        values.warning(statement.span, Problem::NotTcp { protocol: None });
        return false;
    };
    let Some(word) = values.argument(protocol) else { return true };
    const PROTOCOLS: &[(&str, bool)] = &[("TCP", true), ("UDP", false), ("SCTP", false)];
    let is_tcp = values.choice("protocol", word, PROTOCOLS);
    if is_tcp == Some(false) {
        values.warning(word.span, Problem::NotTcp { protocol: Some(word.text.clone()) });
    }
    is_tcp.unwrap_or(true)
}

impl Server<'_> {
    fn draft(&self, values: &mut Values<'_>) -> VirtualServer {
        let statement = self.statement;
        let (scheduler, hash_key) = self.scheduler(values);
        let forwarding = self.forwarding(values);
        let backends = real_servers(self, forwarding.value, values);
        let total = backends.iter().map(|backend| backend.value.weight.or(1)).sum();
        let (quorum, hysteresis) = self.quorum(total, values);
        VirtualServer {
            listen: given(self.listen.value, self.listen.span),
            forwarding: given(forwarding.value, forwarding.span),
            scheduler,
            hash_key,
            quorum,
            hysteresis,
            sorry_server: self.sorry_server(values).map(Address::from),
            persistence: self.persistence(values),
            on_quorum_up: values.command(self.hook(statement, "quorum_up")),
            on_quorum_down: values.command(self.hook(statement, "quorum_down")),
            down_when_stopped: values.switch(statement.last("omega")),
            on_failure: on_failure(statement, values),
            backends: list(backends, statement.span),
            ..VirtualServer::default()
        }
    }

    /// What runs for an event: of a group once, for the first of its addresses. All have the same servers
    /// and checks.
    pub(super) fn hook<'s>(&self, statement: &'s Statement, word: &str) -> Option<&'s Statement> {
        statement.last(word).filter(|_| self.is_first)
    }

    fn scheduler(&self, values: &mut Values<'_>) -> (Field<String>, Field<HashKey>) {
        let scheduler = match self.statement.last("lvs_sched") {
            None => Field::Absent,
            Some(statement) => {
                let word = values.argument(statement);
                let chosen = word.and_then(|word| {
                    let name = values.choice_if_known("lb_algo", word, SCHEDULERS)?;
                    Some(given(name.to_owned(), word.span))
                });
                chosen.unwrap_or(Field::Absent)
            }
        };
        let flags: &[&str] = match scheduler.given().map(|name| name.value.as_str()) {
            Some("sh") => &["sh-port", "flag-2"],
            Some("mh") => &["mh-port", "flag-2"],
            _ => &[],
        };
        let mut hash_key = Field::Absent;
        for flag in ["sh-port", "mh-port", "flag-1", "flag-2", "flag-3"] {
            let Some(set) = self.statement.last(flag) else { continue };
            values.nothing_more(flag, set.arguments.first());
            if flags.contains(&flag) {
                hash_key = given(HashKey::SourcePort, set.span);
            } else if flag != "flag-1" || flags.is_empty() {
                // Of those that hash, the first flag is to go on to another server, as they do.
                values.unused(set.span, flag, "this `lb_algo` has no such flag");
            }
        }
        (scheduler, hash_key)
    }

    fn forwarding(&self, values: &mut Values<'_>) -> Spanned<Forwarding> {
        match self.statement.last("lvs_method") {
            Some(method) => forwarding(method, values),
            None => Spanned { value: Forwarding::Nat, span: self.statement.span },
        }
    }

    /// keepalived lowers what can never be reached. What it leaves, validation judges.
    fn quorum(&self, total: i64, values: &mut Values<'_>) -> (Field<Quorum>, Field<i64>) {
        const MOST: i64 = u32::MAX as i64;
        let field = values.number_unless_zero(self.statement.last("quorum"), 1..=MOST);
        let (quorum, quorum_field) = match field {
            Field::Given(Spanned { value, span }) if value > total && total > 0 => {
                values.warning(span, Problem::QuorumLowered { quorum: value, total });
                (total, given(Quorum::Weight(total), span))
            }
            Field::Given(Spanned { value, span }) => (value, given(Quorum::Weight(value), span)),
            Field::Absent => (1, Field::Absent),
            Field::Refused => return (Field::Refused, Field::Refused),
        };
        let hysteresis = match values.number(self.statement.last("hysteresis"), 0..=MOST) {
            Field::Given(Spanned { value, span }) if value >= quorum => {
                let lowered = quorum - 1;
                let problem = Problem::HysteresisLowered { hysteresis: value, quorum, lowered };
                values.warning(span, problem);
                given(lowered, span)
            }
            field => field,
        };
        (quorum_field, hysteresis)
    }

    fn sorry_server(&self, values: &mut Values<'_>) -> Field<SocketAddr> {
        let Some(statement) = self.statement.last("sorry_server") else { return Field::Absent };
        match values.socket(statement) {
            Field::Given(Spanned { value, span }) if value.port() == 0 => {
                given(SocketAddr::new(value.ip(), self.listen.value.port()), span)
            }
            field => field,
        }
    }

    /// A netmask alone switches it on, too. Without one, each address is a client, of IPv6 as well. A
    /// template of IPVS does not expire while it controls a connection (`ip_vs_conn_expire`).
    fn persistence(&self, values: &mut Values<'_>) -> Field<Persistence> {
        const LONGEST: i64 = 31 * 24 * 60 * 60;
        let said = self.statement.last("persistence_timeout");
        let mask = self.statement.last("persistence_granularity");
        let with_value = said.filter(|statement| !statement.arguments.is_empty());
        let timeout = values.number_unless_zero(with_value, 1..=LONGEST);
        // 0 is as if it were not there.
        let said = said.filter(|_| with_value.is_none() || !timeout.is_absent());
        let Some(span) = said.or(mask).map(|statement| statement.span) else {
            return Field::Absent;
        };
        let whole = if self.listen.value.is_ipv4() { 32 } else { 128 };
        let granularity = match mask {
            None => given(whole, span),
            Some(mask) => self.granularity(mask, values),
        };
        let persistence = Persistence {
            timeout: super::values::whole_seconds(timeout),
            while_open: given(true, span),
            granularity,
            ..Persistence::default()
        };
        given(persistence, span)
    }

    /// A netmask of IPv4, or the length of a prefix of IPv6.
    fn granularity(&self, statement: &Statement, values: &mut Values<'_>) -> Field<i64> {
        let Some(word) = values.argument(statement) else { return Field::Refused };
        if self.listen.value.is_ipv6() {
            return values.number_of(statement.keyword.name, word, 1..=128);
        }
        let mask = word.text.parse::<std::net::Ipv4Addr>().map(u32::from);
        match mask {
            Ok(mask) if mask != 0 && mask.leading_ones() + mask.trailing_zeros() == 32 => {
                given(mask.leading_ones().into(), word.span)
            }
            _ => {
                values.error(word.span, Problem::NotANetmask { text: word.text.clone() });
                Field::Refused
            }
        }
    }
}

/// The schedulers of IPVS, and what they are called here.
const SCHEDULERS: &[(&str, &str)] = &[
    ("rr", "rr"),
    ("wrr", "wrr"),
    ("lc", "lc"),
    ("wlc", "wlc"),
    ("lblc", "lblc"),
    ("lblcr", "lblcr"),
    ("sh", "sh"),
    ("mh", "mh"),
    ("dh", "dh"),
    ("fo", "fo"),
    ("ovf", "ovf"),
    ("sed", "sed"),
    ("nq", "nq"),
    ("twos", "p2c"),
];

/// `NAT`, `DR` or `TUN [type …]`.
pub(super) fn forwarding(statement: &Statement, values: &mut Values<'_>) -> Spanned<Forwarding> {
    const METHODS: &[(&str, Forwarding)] =
        &[("NAT", Forwarding::Nat), ("DR", Forwarding::DirectRouting), ("TUN", Forwarding::Tunnel)];
    let fallback = Spanned { value: Forwarding::Nat, span: statement.span };
    let Some((word, options)) = statement.arguments.split_first() else {
        values.error(statement.span, Problem::WithoutValue { word: statement.keyword.name });
        return fallback;
    };
    let Some(value) = values.choice_if_known(statement.keyword.name, word, METHODS) else {
        return fallback;
    };
    match (value, options.first()) {
        (Forwarding::Tunnel, Some(option)) => {
            values.unused(option.span, "type", "there is no tunnel");
        }
        (_, next) => values.nothing_more(statement.keyword.name, next),
    }
    Spanned { value, span: word.span }
}

/// What becomes of a server that fails its checks.
pub(super) fn on_failure(statement: &Statement, values: &mut Values<'_>) -> Field<OnFailure> {
    match values.switch(statement.last("inhibit_on_failure")) {
        Field::Given(Spanned { value: true, span }) => given(OnFailure::WeightZero, span),
        Field::Given(Spanned { value: false, span }) => given(OnFailure::Remove, span),
        Field::Absent => Field::Absent,
        Field::Refused => Field::Refused,
    }
}
