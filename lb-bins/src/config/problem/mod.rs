//! Everything that can be wrong with a configuration: what is said about it, and the remedy.

mod vrrp;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

pub(super) use self::vrrp::VrrpProblem;
use super::duration::{self, DurationError};
use super::nearest::nearest;
use super::print::Factor;

/// One way of being wrong, with what is needed to explain it. The place is kept elsewhere.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(super) enum Problem {
    // The file.
    #[error("not UTF-8 from here on")]
    NotUtf8,
    #[error("this is not TOML: {message}")]
    Syntax { message: String },
    #[error("the file is larger than {} MiB", .most >> 20)]
    TooLarge { most: u64 },
    #[error("cannot read the file: {reason}")]
    Unreadable { reason: String },

    /// Of virtual routers.
    #[error(transparent)]
    Vrrp(#[from] VrrpProblem),

    // What a front end cannot read as a value of the right type.
    #[error("`{key}` is {number} without a unit")]
    BareDuration { key: &'static str, number: String },
    #[error("`{key}` is {}, a number that is too large", Quoted(.text))]
    HugeInteger { key: &'static str, text: String },
    #[error("`{key}` is {}, which is not a duration: {reason}", Quoted(.text))]
    NotADuration { key: &'static str, text: String, reason: DurationError },
    #[error("`{key}` is {}, which is not a share in percent", Quoted(.text))]
    NotAShare { key: &'static str, text: String },
    #[error("`status` has {}, which is neither a code nor a range of codes", Quoted(.text))]
    NotAStatus { text: String },
    #[error("`{key}` is {}, which is not a number with at most two decimals", Quoted(.text))]
    NotHundredths { key: &'static str, text: String },
    #[error("`{key}` is {}, which is not an address with a port", Quoted(.text))]
    NotAnAddress { key: &'static str, text: String, only_port_missing: bool },
    #[error("unknown key {}", Quoted(.key))]
    UnknownKey { key: String, known: Vec<&'static str> },
    #[error("`{key}` is {}, which is not known", Quoted(.word))]
    UnknownWord { key: &'static str, word: String, known: Vec<&'static str> },
    #[error("`{key}` has the wrong type: expected {expected}, found {found}")]
    WrongType {
        key: &'static str,
        expected: &'static str,
        found: &'static str,
        sample: &'static str,
    },

    // Values that are wrong by themselves.
    #[error("`{key}` has the character {character:?}")]
    BadCharacter { key: &'static str, character: char },
    #[error("the name {} has characters other than letters, digits and `._:[]-`", Quoted(.name))]
    BadName { name: String },
    #[error("`{key}` is empty")]
    Empty { key: &'static str },
    #[error("`bounded` is {}, but must be above 1 and at most {most}", Factor(*.hundredths))]
    FactorOutOfRange { hundredths: i64, most: i64 },
    #[error("`{key}` is {}, which is longer than 31 days", duration::format(*.value))]
    LongDuration { key: &'static str, value: Duration },
    #[error("`md5` is {}, which is not 32 hexadecimal digits", Quoted(.text))]
    NotAnMd5 { text: String },
    #[error("`{key}` is {value}, but must be from {least} to {most}")]
    OutOfRange { key: &'static str, value: i64, least: i64, most: i64 },
    #[error("`path` is {}, which does not start with a slash", Quoted(.path))]
    PathWithoutSlash { path: String },
    #[error("`{key}` runs {}, which is not an absolute path", Quoted(.program))]
    RelativeProgram { key: &'static str, program: String },
    #[error("`status` has the range {first}-{last}, which ends before it starts")]
    ReversedStatus { first: i64, last: i64 },
    #[error("`{key}` is {value}, but must be at least {least}")]
    TooSmall { key: &'static str, value: i64, least: i64 },
    #[error("`{key}` is {address}: a connection needs one address, not any")]
    Unspecified { key: &'static str, address: SocketAddr },
    #[error("`{key}` is {address}, but there is no port 0")]
    ZeroPort { key: &'static str, address: SocketAddr },
    #[error("`{key}` is zero")]
    ZeroDuration { key: &'static str },

    // Values that do not go together.
    #[error("`admin` is {address}, which every host that reaches it may read")]
    AdminIsRemote { address: SocketAddr },
    #[error("`admin` is {address}, which a virtual server listens on")]
    AdminIsVirtualServer { address: SocketAddr },
    #[error("the backend {address} is listed twice in one virtual server")]
    BackendTwice { address: SocketAddr },
    #[error(
        "`bounded` is for schedulers that choose by hash, but the scheduler is \"{scheduler}\""
    )]
    BoundedWithoutHash { scheduler: &'static str, known: Vec<&'static str> },
    #[error("`down_at` is {down_at}, which is more than `up_at`, {up_at}")]
    DownAboveUp { up_at: String, down_at: String },
    #[error("`{key}` is {address}, which is the virtual server itself")]
    ForwardsToItself { key: &'static str, address: SocketAddr },
    #[error("`hysteresis` is {hysteresis}, but must be less than `quorum`, {quorum}")]
    HysteresisNotBelowQuorum { quorum: u64, hysteresis: u64 },
    #[error("`hysteresis` does not go together with separate thresholds")]
    HysteresisWithThresholds,
    #[error("two virtual servers listen on {listen}")]
    ListenTwice { listen: SocketAddr },
    #[error("`l_threshold` is {lower}, which is more than `u_threshold`, {upper}")]
    LowerAboveUpper { lower: u32, upper: u32 },
    #[error("`l_threshold` has no meaning without `u_threshold`")]
    LowerWithoutUpper,
    #[error("the key `{key}` is missing")]
    Missing { key: &'static str, sample: &'static str },
    #[error("one threshold is a weight and the other a share")]
    MixedThresholds,
    #[error("two virtual servers are named {}", Quoted(.name))]
    NameTwice { name: String },
    #[error("the virtual server has no backend")]
    NoBackends,
    #[error("there is no virtual server and no VRRP instance")]
    NoVirtualServers,
    #[error("there is no {what}, and {daemon} is for nothing else")]
    NothingFor { daemon: &'static str, what: &'static str, block: &'static str },
    #[error(
        "the quorum can never be reached: it takes a weight of {needed}, but all backends together \
         have {total}"
    )]
    Unreachable { needed: u64, total: u64, hysteresis: u64 },
    #[error(
        "the quorum can never be reached: it takes {up_at}% of the backends, but only {serving} of \
         {backends} can count: the others have weight 0"
    )]
    ShareUnreachable { up_at: u8, backends: usize, serving: usize },
    #[error("`{key}` is for checks of type \"{belongs_to}\", but the type is \"{kind}\"")]
    OtherCheck { key: &'static str, belongs_to: &'static str, kind: &'static str },

    // What is allowed, but probably not meant.
    #[error("every backend has weight 0: there will be no new connections to any of them")]
    AllDrained,
    #[error(
        "`hash_key` has no effect: the scheduler is \"{scheduler}\", which {}",
        if *.by_destination { "hashes the destination" } else { "does not hash" }
    )]
    HashKeyUnused { scheduler: &'static str, by_destination: bool, known: Vec<&'static str> },
    #[error("`min_age` has no effect beyond `timeout`: who was unseen for that long is forgotten")]
    MinAgeBeyondTimeout,
    #[error("`draining_clients` has no effect without `persistence`")]
    MoveWithoutPersistence,
    #[error("no backend is in the zone {}", Quoted(.zone))]
    NobodyInZone { zone: String },
    #[error("`panic_below` has no effect: no backend is checked, so all are always up")]
    PanicWithoutChecks,
    #[error("the queue will never be used: no backend has a limit")]
    QueueWithoutLimits,
    #[error("the sorry server will never be used: no backend is checked, so all are always up")]
    SorryServerWithoutChecks,
    #[error("`sorry_mode` has no effect without `sorry_server`")]
    SorryModeWithoutServer,
    #[error("`spill_below` has no effect: all backends have the same priority")]
    SpillWithoutPriorities,
    #[error("`u_threshold` is {upper}, which is never reached: `max_connections` is {most}")]
    ThresholdBeyondMaximum { upper: u32, most: u32 },
    #[error(
        "the quorum takes a weight of {needed}, but all backends together have {total} unless \
         their scripts report more"
    )]
    UnreachableUnreported { needed: u64, total: u64 },
    #[error("`zone` has no effect: the virtual server has none")]
    ZoneOfBackendAlone,
}

impl Problem {
    /// What to do about it, in one line.
    pub(super) fn help(&self) -> Option<String> {
        let help = match self {
            Self::Syntax { message } => return syntax_help(message).map(str::to_owned),
            Self::NotUtf8 => "save the file as UTF-8",
            Self::TooLarge { .. } => "this is probably not a configuration file",
            Self::Unreadable { .. } => "check the path and its permissions",
            Self::Vrrp(problem) => return Some(problem.help()),

            Self::BareDuration { number, .. } => {
                return Some(format!("write \"{number}s\" for seconds or \"{number}ms\""));
            }
            Self::HugeInteger { .. } => "write a smaller number",
            Self::NotADuration { .. } => {
                "write whole numbers with the units d, h, m, s or ms, such as \"2s\" or \"1m30s\""
            }
            Self::NotAShare { .. } => "write a share as \"60%\", or a weight without quotes",
            Self::NotHundredths { .. } => "write for example 1.25",
            Self::NotAStatus { .. } => "write for example status = [\"200-299\", \"304\"]",
            Self::NotAnAddress { text, only_port_missing: true, .. } => {
                let host = text.trim_start_matches('[').trim_end_matches(']');
                return Some(if host.contains(':') {
                    format!("add the port: \"[{host}]:80\"")
                } else {
                    format!("add the port: \"{host}:80\"")
                });
            }
            Self::NotAnAddress { .. } => {
                "write \"192.0.2.1:80\" or \"[2001:db8::1]:80\"; host names are not resolved"
            }
            Self::UnknownKey { key, known } => return Some(did_you_mean(key, known, "`")),
            Self::UnknownWord { key: "check", .. } => {
                "write check = { type = \"tcp\" }, or check = \"none\" for backends without checks"
            }
            Self::UnknownWord { word, known, .. } => return Some(did_you_mean(word, known, "\"")),
            Self::WrongType { sample, .. } => return Some(format!("write for example: {sample}")),

            Self::BadCharacter { key: "path", .. } => "write it percent-encoded, such as %20",
            Self::BadCharacter { .. } => "remove it",
            Self::BadName { .. } => "set `name` to one without them; it names metrics and logs",
            Self::Empty { key: "check" } => "write check = \"none\" for backends without checks",
            Self::Empty { .. } => "write a value or remove the key",
            Self::FactorOutOfRange { .. } => {
                "1.25 lets a backend have a quarter more than its share"
            }
            Self::LongDuration { .. } => "write a shorter one",
            Self::NotAnMd5 { .. } => "write what `md5sum` prints for the body",
            Self::OutOfRange {
                key: "max_connections" | "u_threshold" | "l_threshold",
                value: 0,
                ..
            } => "remove it for no limit; weight = 0 is for a backend that takes no connection",
            Self::OutOfRange { value, least, most, .. } => {
                return Some(format!(
                    "the nearest that is allowed is {}",
                    value.clamp(least, most)
                ));
            }
            Self::PathWithoutSlash { path } => {
                return Some(format!("write {}", Quoted(&format!("/{path}"))));
            }
            Self::RelativeProgram { .. } => {
                "write the whole path of the program as the first element; there is no shell"
            }
            Self::ReversedStatus { first, last } => {
                return Some(format!("write \"{last}-{first}\""));
            }
            Self::TooSmall { key: "down_at", .. } => "1 means: lost when nothing is alive",
            Self::TooSmall { key: "hysteresis", .. } => "0 means: gained and lost at one weight",
            Self::TooSmall { .. } => "1 means: gained as soon as any backend is alive",
            Self::Unspecified { .. } => "write the address of the host; 127.0.0.1 for this one",
            Self::ZeroPort { .. } => "write a port from 1 to 65535",
            Self::ZeroDuration { .. } => "write at least \"1ms\"",

            Self::AdminIsRemote { .. } => {
                "use an address of 127.0.0.0/8 or [::1], or set admin_allow_remote = true"
            }
            Self::AdminIsVirtualServer { .. } => "use another port for one of them",
            Self::BackendTwice { .. } => "remove one, and add its weight to the other",
            Self::BoundedWithoutHash { known, .. } => {
                return Some(format!("remove it, or use one of {}", known.join(", ")));
            }
            Self::DownAboveUp { .. } => "the quorum is gained at `up_at` and lost below `down_at`",
            Self::ForwardsToItself { .. } => "write the address of another server",
            Self::HysteresisNotBelowQuorum { quorum, hysteresis } => {
                let up_at = quorum.saturating_add(*hysteresis);
                return Some(format!(
                    "for a quorum gained at {up_at} and lost when nothing is alive, write \
                     quorum = {{ up_at = {up_at}, down_at = 1 }} instead of both"
                ));
            }
            Self::HysteresisWithThresholds => {
                "remove `hysteresis`: the distance of `up_at` and `down_at` says it already"
            }
            Self::ListenTwice { .. } => "use another port, or list all backends in one of them",
            Self::LowerAboveUpper { .. } => {
                "a full backend has room again when it has fewer connections than `l_threshold`"
            }
            Self::LowerWithoutUpper => {
                "add `u_threshold`; for a limit alone, write `max_connections` instead"
            }
            Self::Missing { sample, .. } => return Some(format!("add for example: {sample}")),
            Self::MixedThresholds => "write both as numbers, or both in percent",
            Self::NameTwice { .. } => "give each its own name",
            Self::NoBackends => "add [[virtual_server.backend]] with an `address`",
            Self::NoVirtualServers => {
                "add [[virtual_server]] with `listen` and a backend, or [[vrrp_instance]]"
            }
            Self::NothingFor { block, .. } => return Some(format!("add [[{block}]]")),
            Self::Unreachable { hysteresis: 0, total, .. } => {
                return Some(format!("use at most {total}"));
            }
            Self::Unreachable { total, needed, hysteresis } => {
                let quorum = needed - hysteresis;
                return Some(format!(
                    "it is gained at quorum + hysteresis: lower one of them, or write \
                     quorum = {{ up_at = {up_at}, down_at = {down_at} }} instead of both",
                    up_at = quorum.min(*total),
                    down_at = (quorum - hysteresis).min(*total),
                ));
            }
            Self::ShareUnreachable { backends, serving, .. } => {
                return Some(format!("use at most {}%", serving * 100 / backends));
            }
            Self::OtherCheck { key, belongs_to, .. } => {
                return Some(format!("remove `{key}`, or set type = \"{belongs_to}\""));
            }

            Self::AllDrained => "give a backend a weight above 0 when it is to serve again",
            Self::HashKeyUnused { known, .. } => {
                return Some(format!("remove it, or use one of {}", known.join(", ")));
            }
            Self::MinAgeBeyondTimeout => "write at most `timeout`",
            Self::MoveWithoutPersistence => "add `persistence`, or remove `draining_clients`",
            Self::NobodyInZone { zone } => {
                return Some(format!("add zone = {} to the backends that are near", Quoted(zone)));
            }
            Self::PanicWithoutChecks | Self::SorryServerWithoutChecks => {
                "add a check, such as [virtual_server.check]"
            }
            Self::QueueWithoutLimits => "add `max_connections` to the backends",
            Self::SorryModeWithoutServer => "add `sorry_server`, or remove `sorry_mode`",
            Self::SpillWithoutPriorities => "give those that are to help out `priority = 1`",
            Self::ThresholdBeyondMaximum { .. } => "write at most `max_connections`",
            Self::UnreachableUnreported { .. } => "make sure that the scripts can report as much",
            Self::ZoneOfBackendAlone => "add to the virtual server the `zone` that it is in",
        };
        Some(help.to_owned())
    }
}

/// The remedy for text that the TOML parser refuses with `message`.
fn syntax_help(message: &str) -> Option<&'static str> {
    const QUOTES: &str = "put words, addresses and durations in double quotes, such as \"2s\"";
    const REMEDIES: [(&str, &str); 8] = [
        ("duplicate key", "remove one of the two, or give each its own `[[…]]` table"),
        ("invalid basic string", "close the string with a double quote on the same line"),
        ("invalid boolean", "write true or false"),
        ("invalid float", QUOTES),
        ("invalid integer", QUOTES),
        ("key with no value", "write it as: key = value"),
        ("string values must be quoted", QUOTES),
        ("unclosed", "add the closing bracket"),
    ];
    REMEDIES.iter().find(|(start, _)| message.starts_with(start)).map(|&(_, remedy)| remedy)
}

/// The remedy for a word that is not among the `known` ones, which are shown in `quotes`.
fn did_you_mean(word: &str, known: &[&str], quotes: &str) -> String {
    if let Some(nearest) = nearest(word, known) {
        return format!("did you mean {quotes}{nearest}{quotes}?");
    }
    let known: Vec<_> = known.iter().map(|word| format!("{quotes}{word}{quotes}")).collect();
    match known.as_slice() {
        [only] => format!("the only one known here is {only}"),
        _ => format!("known here are {}", known.join(", ")),
    }
}

/// Text from the file inside a message: in quotes, on one line, and no longer than it helps.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 60;
        let start: String = self.0.chars().take(LONGEST).collect();
        let dots = if start.len() < self.0.len() { "…" } else { "" };
        write!(f, "{start:?}{dots}")
    }
}
