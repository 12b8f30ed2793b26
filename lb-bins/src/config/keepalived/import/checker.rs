//! Checkers: what all of them have in common.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::protocols;
use super::values::{Values, given};
use crate::config::draft::Field;
use crate::config::draft::check::{Check, Kind};
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::keepalived::words::CHECKERS;
use crate::config::model::check::Initial;
use crate::config::source::Spanned;

/// What checkers need from elsewhere in the file.
pub(super) struct Elsewhere<'s> {
    /// For `SSL_GET`.
    pub(super) ssl: Option<&'s Statement>,
    /// For `FILE_CHECK`.
    pub(super) files: HashMap<&'s str, &'s Statement>,
}

impl<'s> Elsewhere<'s> {
    pub(super) fn new(statements: &'s [Statement]) -> Self {
        let files = statements.iter().filter(|block| block.word() == "track_file");
        let named = |block: &'s Statement| Some((block.arguments.first()?.text.as_str(), block));
        Self {
            ssl: statements.iter().rfind(|block| block.word() == "SSL"),
            files: files.filter_map(named).collect(),
        }
    }
}

/// The blocks that a checker is in: what it does not say itself, they say.
#[derive(Clone, Copy)]
pub(super) struct Inherited<'s> {
    pub(super) server: &'s Statement,
    pub(super) real: &'s Statement,
}

impl<'s> Inherited<'s> {
    /// The inner one of those that have the word.
    fn last(self, word: &str) -> Option<&'s Statement> {
        self.real.last(word).or_else(|| self.server.last(word))
    }
}

/// keepalived's default of `delay_loop`.
const DELAY_LOOP: Duration = Duration::from_secs(60);
/// How often a file is read.
const FILE_INTERVAL: Duration = Duration::from_secs(1);
/// keepalived's default of `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The words that say how to connect.
const CONNECTION: [&str; 7] =
    ["bind_if", "bind_port", "bindto", "connect_ip", "connect_port", "connect_timeout", "fwmark"];

/// The checks of a server, in the order of the text.
pub(super) fn checks(
    inherited: Inherited<'_>,
    elsewhere: &Elsewhere<'_>,
    values: &mut Values<'_>,
) -> Vec<Spanned<Check>> {
    let mut checks = Vec::new();
    for statement in inherited.real.block() {
        if !CHECKERS.contains(&statement.word()) {
            continue;
        }
        // Each `host` of an SMTP_CHECK is a check, beside its own if that says how to connect.
        let hosts: Vec<_> = statement.each("host").map(Some).collect();
        let says_how = CONNECTION.iter().any(|word| statement.last(word).is_some());
        let own = (hosts.is_empty() || says_how).then_some(None);
        for host in own.into_iter().chain(hosts) {
            let checker = Checker { statement, host, inherited, elsewhere };
            let span = host.unwrap_or(statement).span;
            for kind in checker.kinds(values) {
                let value = checker.check(kind, values);
                checks.push(Spanned { value, span });
            }
        }
    }
    checks
}

/// A checker, where it is.
pub(super) struct Checker<'s> {
    pub(super) statement: &'s Statement,
    /// What it says of this host alone.
    host: Option<&'s Statement>,
    pub(super) inherited: Inherited<'s>,
    pub(super) elsewhere: &'s Elsewhere<'s>,
}

impl<'s> Checker<'s> {
    /// The word of this checker.
    fn own(&self, word: &str) -> Option<&'s Statement> {
        self.host.and_then(|host| host.last(word)).or_else(|| self.statement.last(word))
    }

    /// The word of this checker or, if it has none, of the servers around it.
    pub(super) fn last(&self, word: &str) -> Option<&'s Statement> {
        self.own(word).or_else(|| self.inherited.last(word))
    }

    /// What is checked: of pages, each.
    fn kinds(&self, values: &mut Values<'_>) -> Vec<Kind> {
        let only = match self.statement.word() {
            "HTTP_GET" | "SSL_GET" => return super::pages::http(self, values),
            "DNS_CHECK" => Some(Kind::Dns(protocols::dns(self.statement, values))),
            "FILE_CHECK" => protocols::file(self, values).map(Kind::File),
            "MISC_CHECK" => Some(Kind::Script(protocols::script(self.statement, values))),
            "PING_CHECK" => Some(Kind::Ping(Default::default())),
            "SMTP_CHECK" => Some(Kind::Smtp(protocols::smtp(self.statement, values))),
            "TCP_CHECK" => Some(Kind::Tcp(Default::default())),
            "UDP_CHECK" => Some(Kind::Udp(protocols::udp(self.statement, values))),
            _ => None,
        };
        only.into_iter().collect()
    }

    /// The check of `kind` with what keepalived does for all of them: the first result decides, one
    /// success brings a server up, and only failures in a row that are as many as its tries take it
    /// down (`check_tcp.c`, `check_http.c`).
    fn check(&self, kind: Kind, values: &mut Values<'_>) -> Check {
        let word = self.statement.word();
        let span = self.statement.span;
        let seconds = |field: Field<Duration>, default: Duration| match field {
            Field::Absent => given(default, span),
            field => field,
        };
        let interval = match word {
            // keepalived is told of changes by the kernel; here files are looked at.
            "FILE_CHECK" => given(FILE_INTERVAL, span),
            _ => seconds(values.timer(self.last("delay_loop")), DELAY_LOOP),
        };
        let period = interval.or(DELAY_LOOP);
        let (retry, delay) = match word {
            "HTTP_GET" | "SSL_GET" => (1, Duration::from_secs(3)),
            "DNS_CHECK" => (3, period),
            "MISC_CHECK" | "FILE_CHECK" => (0, Duration::from_secs(1)),
            _ => (1, Duration::from_secs(1)),
        };
        let delay = match values.timer_or_zero(self.last("delay_before_retry")) {
            // At once; but an interval has a length.
            Field::Given(Spanned { value: Duration::ZERO, span }) => {
                given(Duration::from_millis(1), span)
            }
            field => seconds(field, delay),
        };
        let down = if matches!(word, "HTTP_GET" | "SSL_GET") {
            delay.or(period).max(period)
        } else {
            period
        };
        let timeout = match word {
            "MISC_CHECK" => self.script_timeout(values),
            _ => values.timer(self.last("connect_timeout")),
        };
        Check {
            kind: Some(kind),
            timeout: seconds(timeout, CONNECT_TIMEOUT),
            rise: given(1, span),
            fall: self.fall(retry, values),
            down_interval: given(down, span),
            warmup: seconds(values.timer_or_zero(self.last("warmup")), period),
            initial: match values.switch(self.last("alpha")) {
                Field::Given(Spanned { value: true, span }) => given(Initial::Down, span),
                _ => given(Initial::Up, span),
            },
            fast_interval: delay,
            interval,
            ..self.target(values)
        }
    }

    /// How many failures in a row it takes: the tries after the first are the retries. Those that
    /// a server says must be at least one; a checker's may be none.
    fn fall(&self, default: i64, values: &mut Values<'_>) -> Field<i64> {
        const MOST: i64 = 999_999;
        let own = values.number(self.own("retry"), 0..=MOST);
        let retry = match own {
            Field::Absent => values.number(self.inherited.last("retry"), 1..=MOST),
            own => own,
        };
        match retry {
            Field::Absent => given(default + 1, self.statement.span),
            Field::Given(Spanned { value, span }) => given(value + 1, span),
            Field::Refused => Field::Refused,
        }
    }

    /// `misc_timeout`, or else the `delay_loop` of the virtual server.
    fn script_timeout(&self, values: &mut Values<'_>) -> Field<Duration> {
        let own = values.number(self.statement.last("misc_timeout"), 0..=4294);
        match super::values::whole_seconds(own) {
            Field::Absent | Field::Given(Spanned { value: Duration::ZERO, .. }) => {
                match values.timer(self.inherited.server.last("delay_loop")) {
                    Field::Absent => given(DELAY_LOOP, self.statement.span),
                    field => field,
                }
            }
            field => field,
        }
    }

    /// Where the check connects to, and from where.
    fn target(&self, values: &mut Values<'_>) -> Check {
        let port = values.number(self.own("connect_port"), 1..=65_535);
        let source = match self.own("bindto") {
            Some(bind) if bind.arguments.len() > 1 => match values.socket(bind) {
                Field::Given(Spanned { value, span }) => given(value.ip(), span),
                _ => Field::Refused,
            },
            bind => values.ip_of(bind),
        };
        let source_port = match self.statement.word() {
            "PING_CHECK" => Field::Absent,
            _ => values.number(self.own("bind_port"), 1..=65_535),
        };
        let mut check = Check {
            source,
            source_port,
            interface: values.text(self.own("bind_if")),
            mark: values.number(self.own("fwmark"), 0..=i64::from(u32::MAX)),
            ..Check::default()
        };
        match values.ip_of(self.own("connect_ip")) {
            Field::Absent => check.port = port,
            Field::Refused => {}
            Field::Given(Spanned { value, span }) if self.statement.word() == "PING_CHECK" => {
                // A ping has an address but no port; any will do.
                check.address = given(SocketAddr::new(value, 1).into(), span);
            }
            Field::Given(Spanned { value, span }) => {
                let number = port.given().map(|port| port.value).or_else(|| self.server_port());
                match number.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0) {
                    Some(port) => check.address = given(SocketAddr::new(value, port).into(), span),
                    None => values.error(span, Problem::WithoutValue { word: "connect_port" }),
                }
            }
        }
        if self.statement.word() == "PING_CHECK" {
            check.port = Field::Absent;
        }
        check
    }

    /// The port of the server, or that of the virtual server.
    fn server_port(&self) -> Option<i64> {
        let Inherited { real, server } = self.inherited;
        let port = |statement: &Statement| statement.arguments.get(1)?.text.parse().ok();
        port(real).or_else(|| port(server))
    }
}
