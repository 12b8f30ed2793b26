//! Everything that can be wrong with a configuration: what is said about it, and the remedy.

mod foreign;
mod help;
mod in_keepalived;
mod misplaced;
mod vrrp;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

pub(super) use self::vrrp::VrrpProblem;
use super::duration::{self, DurationError};
use super::keepalived::Problem as KeepalivedProblem;
use super::model::check::Record;
use super::model::{Account, Address, Forwarding, zoned};
use super::print::Factor;
use super::words::Word as _;
use crate::privileges::AccountError;

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
    #[error("this is {syntax}, but the name of the file says that it is {other}")]
    OtherSyntax { syntax: &'static str, other: &'static str },

    /// Of a keepalived.conf.
    #[error(transparent)]
    Keepalived(#[from] KeepalivedProblem),
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
    #[error("`host` is {}, which is no host, with or without a port", Quoted(.text))]
    NotAHost { text: String },
    #[error("`{key}` is {}, which is not an address", Quoted(.text))]
    NotAHostAddress { key: &'static str, text: String },
    #[error("`{key}` is {}, which is no address or name with a port", Quoted(.text))]
    NotAServer { key: &'static str, text: String, fault: AddressFault },
    #[error("`{key}` is {}, which is not an address with a port", Quoted(.text))]
    NotAnAddress { key: &'static str, text: String, fault: AddressFault },
    #[error("`{key}` is {}, which is too long for an interface", Quoted(.text))]
    LongInterface { key: &'static str, text: String },
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
    #[error("`{key}` is an address, but must be a name")]
    AddressAsName { key: &'static str },
    #[error("`{key}` has the character {character:?}")]
    BadCharacter { key: &'static str, character: char },
    #[error("{} is not the name of a header", Quoted(.name))]
    BadHeaderName { name: String },
    #[error("`{key}` has {}, which no header can have", Quoted(.value))]
    BadHeaderValue { key: &'static str, value: String },
    #[error("the name {} has characters other than letters, digits and `._:[]-`", Quoted(.name))]
    BadName { name: String },
    #[error("`{key}` is empty")]
    Empty { key: &'static str },
    #[error("`bounded` is {}, but must be above 1 and at most {most}", Factor(*.hundredths))]
    FactorOutOfRange { hundredths: i64, most: i64 },
    #[error("`{key}` is {}, which is longer than 31 days", duration::format(*.value))]
    LongDuration { key: &'static str, value: Duration },
    #[error("`{key}` is {}, which is not {digits} hexadecimal digits", Quoted(.text))]
    NotADigest { key: &'static str, digits: usize, text: String },
    #[error("`{key}` is {}, which is not a domain name", Quoted(.text))]
    NotADomain { key: &'static str, text: String },
    #[error("`filter` is {}, which does not ask whether there is an attribute", Quoted(.text))]
    NotAFilter { text: String },
    #[error("`{key}` is {}, which is not a user, nor a user and a group", Quoted(.text))]
    NotAnAccount { key: &'static str, text: String },
    #[error("`{key}` is {}, which is not an address for mail", Quoted(.text))]
    NotAMailbox { key: &'static str, text: String },
    #[error("`answer` has {}, which is not an IPv{version} address", Quoted(.text))]
    NotAnAnswer { version: u8, text: String },
    #[error(
        "`answer` has {}, which is not the data of a record of type {}", Quoted(.text), .record.name()
    )]
    NotRecordData { record: Record, text: String },
    #[error("`{key}` is {}, which is not a regular expression: {reason}", Quoted(.text))]
    NotAPattern { key: &'static str, text: String, reason: String },
    #[error("`{key}` is {}, which is not two hexadecimal digits for each byte", Quoted(.text))]
    NotHex { key: &'static str, text: String, open: bool },
    #[error("a step does one thing, and has exactly one key")]
    NotOneStep,
    #[error("`{key}` is {value}, but must be from {least} to {most}")]
    OutOfRange { key: &'static str, value: i64, least: i64, most: i64 },
    #[error("`path` is {}, which does not start with a slash", Quoted(.path))]
    PathWithoutSlash { path: String },
    #[error("the checker writes the header {} itself", Quoted(.name))]
    OwnHeader { name: String },
    #[error("`{key}` is {}, which is not an absolute path", Quoted(.path))]
    RelativePath { key: &'static str, path: String },
    #[error("`{key}` runs {}, which is not an absolute path", Quoted(.program))]
    RelativeProgram { key: &'static str, program: String },
    #[error("`status` has the range {first}-{last}, which ends before it starts")]
    ReversedStatus { first: i64, last: i64 },
    #[error("`{key}` is {value}, but must be at least {least}")]
    TooSmall { key: &'static str, value: i64, least: i64 },
    #[error("`{key}` is {address}, which every link has for itself")]
    NoZone { key: &'static str, address: SocketAddr },
    #[error("`{key}` is {address}: a connection needs one address, not any")]
    Unspecified { key: &'static str, address: SocketAddr },
    #[error("`{key}` is {address}, but there is no port 0")]
    ZeroPort { key: &'static str, address: Address },
    #[error("`{key}` is zero")]
    ZeroDuration { key: &'static str },

    // Values that do not go together.
    #[error("`admin` is {address}, which every host that reaches it may read")]
    AdminIsRemote { address: SocketAddr, can_be_allowed: bool },
    #[error("the path of the socket has {length} octets, of which the system takes {most}")]
    LongSocket { length: usize, most: usize },
    #[error("`admin` is {address}, which a virtual server listens on")]
    AdminIsVirtualServer { address: SocketAddr },
    #[error("the backend {address} is listed twice in one virtual server")]
    BackendTwice { address: Address },
    #[error(
        "`bounded` is for schedulers that choose by hash, but the scheduler is \"{scheduler}\""
    )]
    BoundedWithoutHash { scheduler: &'static str, known: Vec<&'static str> },
    #[error("`down_at` is {down_at}, which is more than `up_at`, {up_at}")]
    DownAboveUp { up_at: String, down_at: String },
    #[error("`{key}` and `{other}` exclude one another")]
    Exclusive { key: &'static str, other: &'static str },
    #[error("`{key}` is {address}, which is the virtual server itself")]
    ForwardsToItself { key: &'static str, address: SocketAddr },
    #[error("`hysteresis` is {hysteresis}, but must be less than `quorum`, {quorum}")]
    HysteresisNotBelowQuorum { quorum: u64, hysteresis: u64 },
    #[error("`hysteresis` does not go together with separate thresholds")]
    HysteresisWithThresholds,
    #[error("`{key}` is {least}, which is more than `{other}`, {most}")]
    LeastAboveMost { key: &'static str, least: String, other: &'static str, most: String },
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
    #[error("the file has a {what} ({count} in all), which {daemon} does nothing with")]
    ForAnother { daemon: &'static str, other: &'static str, what: &'static str, count: usize },
    #[error("there is no {what}, without which {daemon} has nothing to do")]
    NothingFor {
        daemon: &'static str,
        what: &'static str,
        block: &'static str,
        /// Who would have something to do.
        other: Option<&'static str>,
    },
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
    #[error("`{key}` has no use in checks of type \"{kind}\"")]
    NoUse { key: &'static str, kind: &'static str },
    #[error("`{key}` is for checks of type {}, but the type is \"{kind}\"", one_of(.owners))]
    OtherCheck { key: String, owners: Vec<&'static str>, kind: &'static str },
    #[error("`source` is {from}, from where {target} cannot be reached")]
    OtherFamily { from: IpAddr, target: IpAddr },
    #[error("the path {} is listed twice in one check", Quoted(.path))]
    PathTwice { path: String },
    #[error("`{key}` has no meaning without {needs}")]
    Without { key: &'static str, needs: &'static str },

    // What is allowed, but probably not meant.
    #[error("every backend has weight 0: there will be no new connections to any of them")]
    AllDrained,
    #[error(
        "`{key}` has no effect: the scheduler is \"{scheduler}\", which {}",
        if *.by_destination { "hashes the destination" } else { "does not hash" }
    )]
    HashKeyUnused {
        key: &'static str,
        scheduler: &'static str,
        by_destination: bool,
        known: Vec<&'static str>,
    },
    #[error("`hash_seed` has no effect: the scheduler is \"{scheduler}\", which does not hash")]
    HashSeedUnused { scheduler: &'static str, known: Vec<&'static str> },
    #[error(
        "`slow_start` has no effect: the scheduler is \"{scheduler}\", which sends everything to one"
    )]
    SlowStartUnused { scheduler: &'static str },
    #[error("`min_age` has no effect beyond `timeout`: who was unseen for that long is forgotten")]
    MinAgeBeyondTimeout,
    #[error("`draining_clients` has no effect without `persistence`")]
    MoveWithoutPersistence,
    #[error("`when_full` has no effect without `queue`: there is nowhere to wait")]
    WaitWithoutQueue,
    #[error("`when_full` has no effect: no backend has a limit, and so none is ever full")]
    WaitWithoutLimits,
    #[error("nobody will be ejected: `consecutive`, `failure_percent` and `deviations` are 0")]
    NobodyEjected,
    #[error("`deviations` is {}, but must be from 0 to {}", Factor(*hundredths), most / 100)]
    DeviationsOutOfRange { hundredths: i64, most: i64 },
    #[error("no backend is in the zone {}", Quoted(.zone))]
    NobodyInZone { zone: String },
    #[error("the check is of type \"{kind}\", but port {port} is most often that of \"{meant}\"")]
    OtherScheme { kind: &'static str, port: i64, meant: &'static str },
    #[error("`panic_below` has no effect: no backend is checked, so all are always up")]
    PanicWithoutChecks,
    #[error(
        "connections are not forwarded by the kernel yet ({}), but proxied: to the backends they come \
         from this host, not from the client", .forwarding.word()
    )]
    NotForwarded { forwarding: Forwarding },
    #[error("the queue will never be used: no backend has a limit")]
    QueueWithoutLimits,
    #[error("the sorry server {address} is one of the backends")]
    SorryServerIsBackend { address: Address },
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
    #[error("the certificate of the server is not looked at: anybody could be the server")]
    Unverified { is_written: bool },
    #[error("the certificate of the server must be for its address, as no name is known")]
    VerifiedByAddress,
    #[error("root runs {program}, and others could change {}", place.display())]
    UnsafeScript { program: String, place: PathBuf },
    #[error("{program} cannot be run: {reason}")]
    NotRunnable { program: String, reason: &'static str },
    #[error("the {what} {} is left out, as in keepalived: {program} cannot be run: {reason}", Quoted(.name))]
    ScriptLeftOut { what: &'static str, name: String, program: String, reason: &'static str },
    #[error("`{key}` is {}, which cannot be read now: {reason}", path.display())]
    UnreadableFile { key: &'static str, path: PathBuf, reason: String },
    #[error("`admin` is {}, where no socket can be: {reason}", path.display())]
    NoRoomForSocket { path: PathBuf, reason: &'static str },
    #[error("{reason}: what should run as `{account}` does not run")]
    NoSuchAccount { account: Account, reason: AccountError },
    #[error("{reason}: the daemon, which is to become `{account}`, does not start here")]
    NoSuchUser { account: Account, reason: AccountError },
    #[error("{program} should run as `{account}`, but the daemon runs as `{user}`")]
    ScriptOfOther { program: String, account: Account, user: Account },
    #[error("`zone` has no effect: the virtual server has none")]
    ZoneOfBackendAlone,
}

/// Why a text is no address with a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AddressFault {
    /// Its port is beyond the last one.
    HugePort,
    /// Its zone is an interface that this host does not have.
    NoInterface,
    /// Only its port is missing; or brackets, if the end of it should be the port.
    NoPort { or_brackets: bool },
    /// It is something else.
    Other,
}

impl AddressFault {
    /// What is wrong with `text`, of which hosts are `is_host`.
    pub(super) fn of(text: &str, is_host: impl Fn(&str) -> bool) -> Self {
        if zoned(text).is_some() {
            return Self::NoInterface;
        }
        let host = text.trim_start_matches('[').trim_end_matches(']');
        let parts = text.rsplit_once(':').filter(|(_, port)| is_number(port));
        if is_host(host) {
            let or_brackets = parts.is_some_and(|(host, port)| {
                host.parse::<Ipv6Addr>().is_ok() && port.parse::<u16>().is_ok()
            });
            return Self::NoPort { or_brackets };
        }
        match parts {
            Some((_, port)) if port.parse::<u16>().is_err() => Self::HugePort,
            _ => Self::Other,
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Text from the file inside a message: in quotes, on one line, and no longer than it helps.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 60;
        let start: String = self.0.chars().take(LONGEST).collect();
        let dots = if start.len() < self.0.len() { "…" } else { "" };
        write!(f, "{start:?}{dots}")
    }
}

/// Words as alternatives, in quotes.
fn one_of(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => words.concat(),
    }
}
