//! The remedy for each problem.

use super::{AddressFault, Problem, Quoted, foreign, misplaced, one_of};
use crate::config::draft::check::CheckType;
use crate::config::mistakes::Syntax;
use crate::config::model::check::Record;
use crate::config::model::{Forwarding, zoned};
use crate::config::nearest::nearest;
use crate::config::words::Word as _;

impl Problem {
    /// What to do about it, in one line of that syntax.
    pub(in crate::config) fn help_in(&self, syntax: Syntax) -> Option<String> {
        let own = match syntax {
            Syntax::Keepalived => self.help_in_keepalived(),
            Syntax::Toml => None,
        };
        own.or_else(|| self.help().map(|help| self.in_words_of(syntax, help)))
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Syntax { message } => return syntax_help(message).map(str::to_owned),
            Self::NotUtf8 => "save the file as UTF-8",
            Self::TooLarge { .. } => "this is probably not a configuration file",
            Self::Unreadable { .. } => "check the path and its permissions",
            Self::Keepalived(problem) => return problem.help(),
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
            Self::NotAnAddress { key, text, fault: AddressFault::NoPort { or_brackets } }
            | Self::NotAServer { key, text, fault: AddressFault::NoPort { or_brackets } } => {
                return Some(add_port(key, text, *or_brackets));
            }
            Self::NotAnAddress { text, fault: AddressFault::NoInterface, .. }
            | Self::NotAServer { text, fault: AddressFault::NoInterface, .. } => {
                let interface = zoned(text).map_or("", |(_, zone)| zone);
                return Some(format!(
                    "there is no interface {} here; `ip link` shows which there are",
                    Quoted(interface)
                ));
            }
            Self::NotAnAddress { fault: AddressFault::HugePort, .. }
            | Self::NotAServer { fault: AddressFault::HugePort, .. } => {
                "write a port from 1 to 65535"
            }
            Self::NotAnAddress { key: "admin", text, .. } if text.contains('/') => {
                return Some(format!(
                    "write the whole path of the socket, from the root on, such as {}",
                    Quoted(&format!("/{}", text.trim_start_matches("./")))
                ));
            }
            Self::NotAnAddress { .. } => {
                "write \"192.0.2.1:80\" or \"[2001:db8::1]:80\"; a name will not do here"
            }
            Self::NotAServer { .. } => {
                "write \"192.0.2.1:80\", \"[2001:db8::1]:80\" or \"db.example.org:3306\""
            }
            Self::NotAHost { .. } => "write for example \"www.example.org\"",
            Self::NotAHostAddress { .. } => {
                "write \"192.0.2.1\" or \"2001:db8::1\", without a port"
            }
            Self::UnknownKey { key, known } => return Some(did_you_mean(key, known, "`")),
            Self::UnknownWord { key: "check", word, .. } => {
                let checked = CheckType::from_word(word).unwrap_or(CheckType::Tcp).word();
                return Some(format!(
                    "write check = {{ type = \"{checked}\" }}, or check = \"none\" for backends \
                     without checks"
                ));
            }
            Self::UnknownWord { key: "sorry_check", word, .. } => {
                let checked = CheckType::from_word(word).unwrap_or(CheckType::Tcp).word();
                return Some(format!(
                    "write sorry_check = {{ type = \"{checked}\" }}, or remove it"
                ));
            }
            Self::UnknownWord { word, known, .. } => return Some(did_you_mean(word, known, "\"")),
            Self::WrongType { sample, .. } => return Some(format!("write for example: {sample}")),

            Self::AddressAsName { .. } => {
                "remove it: without a name the certificate must be for the address"
            }
            Self::BadHeaderName { .. } => "names are of letters, digits and `!#$%&'*+-.^_`|~`",
            Self::BadHeaderValue { .. } => "write visible characters and spaces alone",
            Self::BadCharacter { key: "method", .. } => "methods are of capital letters",
            Self::BadCharacter { key: "path", .. } => "write it percent-encoded, such as %20",
            Self::BadCharacter { .. } => "remove it",
            Self::BadName { .. } => "set `name` to one without them; it names metrics and logs",
            Self::Empty { key: "check" } => "write check = \"none\" for backends without checks",
            Self::Empty { .. } => "write a value or remove the key",
            Self::FactorOutOfRange { .. } => {
                "1.25 lets a backend have a quarter more than its share"
            }
            Self::LongDuration { .. } => "write a shorter one",
            Self::NotADigest { key, .. } => {
                return Some(format!("write what `{key}sum` prints for the body"));
            }
            Self::NotADomain { .. } => {
                "a name has parts of 1 to 63 characters, with dots between, and 253 in all"
            }
            Self::NotAFilter { .. } => {
                "write for example filter = \"(objectClass=*)\"; no other filters are known"
            }
            Self::NotAnAccount { .. } => "write \"nobody\" or \"nobody:nogroup\"",
            Self::UnsafeScript { .. } => {
                "give it and its directories to root, and let nobody else write there; or run it as \
                 another `user` (`script_user`)"
            }
            Self::NoSuchAccount { .. } | Self::NoSuchUser { .. } => "make it, or name another",
            Self::NotRunnable { .. } | Self::ScriptLeftOut { .. } => {
                "put it there and make it executable, or name another"
            }
            Self::ScriptOfOther { .. } => {
                "only root can: remove `user` at the top, or let it be the same"
            }
            Self::NotAMailbox { .. } => "write \"user@example.org\" alone",
            Self::NotAnAnswer { .. } => "write an address without a port, or change `record`",
            Self::NotRecordData { record: Record::Mx, .. } => {
                "write it as in a zone file: \"10 mail.example.org\""
            }
            Self::NotRecordData { record: Record::Srv, .. } => {
                "write it as in a zone file: \"0 5 443 www.example.org\""
            }
            Self::NotRecordData { .. } => "write it as in a zone file, with full names",
            Self::NotAPattern { .. } => {
                "see docs.rs/regex for what can be written; in '…' a backslash is a backslash"
            }
            Self::NotHex { open: true, .. } => "write for example \"01xx\", with x for any digit",
            Self::NotHex { .. } => "write for example \"00ff\"",
            Self::NotOneStep => {
                "write one table for each step, such as { send = \"PING\\r\\n\" }, { expect = \"+PONG\" }"
            }
            Self::OwnHeader { name } if name.eq_ignore_ascii_case("host") => "write it as `host`",
            Self::OwnHeader { .. } => "remove it",
            Self::RelativePath { .. } => "write the whole path, from the root on",
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
            Self::NoZone { address, .. } => {
                let (host, port) = (address.ip(), address.port());
                return Some(format!("write the interface as well: \"[{host}%eth0]:{port}\""));
            }
            Self::Unspecified { .. } => "write the address of the host; 127.0.0.1 for this one",
            Self::ZeroPort { .. } => "write a port from 1 to 65535",
            Self::ZeroDuration { .. } => "write at least \"1ms\"",

            Self::AdminIsRemote { can_be_allowed: false, .. } => {
                "use an address of 127.0.0.0/8 or [::1], or a socket; a keepalived.conf cannot allow it"
            }
            Self::AdminIsRemote { .. } => {
                "use an address of 127.0.0.0/8 or [::1], or set admin_allow_remote = true"
            }
            Self::LongSocket { .. } => "write a shorter one, such as \"/run/lb.sock\"",
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
            Self::ForAnother { other, .. } => {
                return Some(format!("run {other} instead: it serves the virtual servers as well"));
            }
            Self::NothingFor { block, other: Some(other), .. } => {
                return Some(format!("run {other}, which has with this file, or add [[{block}]]"));
            }
            Self::NothingFor { block, .. } => return Some(format!("add [[{block}]]")),
            Self::OtherSyntax { .. } => {
                "a file is TOML if its name ends in .toml, and keepalived.conf if not: rename it"
            }
            Self::UnreadableFile { key: "token_file", .. } => {
                "make it, for the user of the daemon to read; it is read for each call"
            }
            Self::UnreadableFile {
                key: "password_file" | "secret_file" | "certificate" | "key",
                ..
            } => "make it, for the user of the daemon to read: nothing starts without it",
            Self::UnreadableFile { .. } => "make it, for the user of the daemon to read",
            Self::NoRoomForSocket { .. } => {
                "write a path in a directory that is there, such as \"/run/lb.sock\""
            }
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
            Self::Exclusive { .. } => "remove one of them",
            Self::LeastAboveMost { other, .. } => {
                return Some(format!("write at most `{other}`"));
            }
            Self::NoUse { key, .. } => return Some(format!("remove `{key}`")),
            Self::OtherCheck { key, owners, .. } => {
                return Some(format!("remove `{key}`, or set type = {}", one_of(owners)));
            }
            Self::OtherFamily { .. } => "write addresses that are both IPv4 or both IPv6",
            Self::PathTwice { .. } => "remove one, and write all that it must be like in the other",
            Self::Without { key, needs } => {
                return Some(format!("add {needs}, or remove `{key}`"));
            }

            Self::AllDrained => "give a backend a weight above 0 when it is to serve again",
            Self::HashKeyUnused { known, .. } | Self::HashSeedUnused { known, .. } => {
                return Some(format!("remove it, or use one of {}", known.join(", ")));
            }
            Self::MinAgeBeyondTimeout => "write at most `timeout`",
            Self::DeviationsOutOfRange { .. } => "write for example 1.9, or 0 for never",
            Self::LongInterface { .. } => "write the name as `ip link` shows it",
            Self::NobodyEjected => "set one of them, or remove `passive`",
            Self::OtherScheme { meant, .. } => {
                return Some(format!("set type = \"{meant}\", unless it is meant"));
            }
            Self::SorryServerIsBackend { .. } => {
                "use another server: this one will most likely be down as well"
            }
            Self::Unverified { is_written: false } => {
                "keepalived looks at none either; to have it looked at, write TOML, as `--check` prints it"
            }
            Self::Unverified { .. } => "remove `verify`, and set `ca` if the authority is your own",
            Self::VerifiedByAddress => "add `sni` with the name that the certificate is for",
            Self::WaitWithoutQueue => "add `queue`, or remove `when_full`",
            Self::WaitWithoutLimits => {
                "add `max_connections` to the backends, or remove `when_full`"
            }
            Self::MoveWithoutPersistence => "add `persistence`, or remove `draining_clients`",
            Self::NobodyInZone { zone } => {
                return Some(format!("add zone = {} to the backends that are near", Quoted(zone)));
            }
            Self::PanicWithoutChecks | Self::SorryServerWithoutChecks => {
                "add a check, such as [virtual_server.check]"
            }
            Self::NotForwarded { forwarding: Forwarding::DirectRouting } => {
                "answers come back through this host; the backends need no virtual address of their own"
            }
            Self::NotForwarded { forwarding: Forwarding::Tunnel } => {
                "answers come back through this host; the backends need no tunnel"
            }
            Self::NotForwarded { .. } => "the backends need no route back through this host",
            Self::QueueWithoutLimits => "add `max_connections` to the backends",
            Self::SorryModeWithoutServer => "add `sorry_server`, or remove `sorry_mode`",
            Self::SlowStartUnused { .. } => {
                "remove it, or use a scheduler that shares out, such as wlc or ovf"
            }
            Self::SpillWithoutPriorities => "give those that are to help out `priority = 1`",
            Self::ThresholdBeyondMaximum { .. } => "write at most `max_connections`",
            Self::UnreachableUnreported { .. } => "make sure that the scripts can report as much",
            Self::ZoneOfBackendAlone => "add to the virtual server the `zone` that it is in",
        };
        Some(help.to_owned())
    }
}

/// The port that an address most likely lacks.
fn add_port(key: &str, text: &str, or_brackets: bool) -> String {
    let host = text.trim_start_matches('[').trim_end_matches(']');
    let port = match key {
        "admin" => 9900,
        "resolvers" => 53,
        "server" => 25,
        _ => 80,
    };
    match host.rsplit_once(':') {
        Some((address, end)) if or_brackets => {
            format!(
                "write \"[{address}]:{end}\", or \"[{host}]:{port}\" if all of it is the address"
            )
        }
        Some(_) => format!("add the port: \"[{host}]:{port}\""),
        None => format!("add the port: \"{host}:{port}\""),
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
pub(super) fn did_you_mean(word: &str, known: &[&str], quotes: &str) -> String {
    if let Some(ours) = foreign::ours(word, known, quotes) {
        return ours;
    }
    if quotes == "`"
        && let Some(place) = misplaced::place(word, known)
    {
        return place.to_owned();
    }
    if let Some(nearest) = nearest(word, known) {
        return format!("did you mean {quotes}{nearest}{quotes}?");
    }
    let known: Vec<_> = known.iter().map(|word| format!("{quotes}{word}{quotes}")).collect();
    match known.as_slice() {
        [only] => format!("the only one known here is {only}"),
        _ => format!("known here are {}", known.join(", ")),
    }
}
