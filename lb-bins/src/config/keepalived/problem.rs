//! What can be wrong with a keepalived.conf, beyond what can be wrong with any configuration.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use lb_vrrp::Family;
use thiserror::Error;

use super::sequence::SequenceError;
use super::words::{self, Words};
use crate::config::nearest::nearest;
use crate::config::problem::Quoted;

/// One way of being wrong, with what is needed to explain it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(in crate::config) enum Problem {
    // Lines.
    #[error("what is put in place of variables has variables again, without end")]
    EndlessReplacement,
    #[error("the line goes on, but is not a definition")]
    GoesOn,
    #[error("files are not included here")]
    IncludeNowhere,
    #[error("`include` without a file")]
    IncludeWithoutFile,
    #[error("the line is longer than {} KiB", .most >> 10)]
    LongLine { most: usize },
    #[error("no file matches {}", Quoted(.pattern))]
    NothingIncluded { pattern: String },
    #[error("the file includes itself")]
    IncludesItself,
    #[error("{path:?} is not included: {reason}")]
    NotIncluded { path: PathBuf, reason: String },
    #[error("the quote is not closed")]
    OpenQuote,
    #[error("this {written} cannot be read: {reason}")]
    Sequence { written: String, reason: SequenceError },
    #[error("definitions, sequences and files are more than {most} deep in each other")]
    TooDeep { most: usize },
    #[error("more than {lines} lines come of this configuration")]
    TooMuch { lines: usize },
    #[error("{name} is not defined, and stays as it is")]
    Undefined { name: String },

    // Blocks.
    #[error("`{word}` is there again: what is said last counts")]
    Again { word: &'static str },
    #[error("there are more words than these that keepalived does not know")]
    MoreUnknown,
    #[error("`{word}` has no block")]
    NoBlock { word: &'static str },
    #[error("the block of `{block}` is not opened")]
    NotOpened { block: &'static str },
    #[error("this brace closes nothing, and is left out")]
    StrayClose,
    #[error("this brace opens nothing, and is left out with the one that closes it")]
    StrayOpen,
    #[error("the block of `{block}` is not closed")]
    Unclosed { block: &'static str },
    #[error("{} has no word {}", .block.map_or("the top of a file".to_owned(), |block| format!("`{block}`")), Quoted(.word))]
    Unknown {
        word: String,
        block: Option<&'static str>,
        nearest: Option<&'static str>,
        elsewhere: Vec<&'static str>,
    },
    #[error("`{word}` has no effect: {why}")]
    Unused { word: &'static str, why: &'static str },

    // Values.
    #[error("nothing belongs behind `{word}` any more, but there is {}", Quoted(.text))]
    Excess { word: &'static str, text: String },
    #[error("`{word}` is {}, which is not an IP address", Quoted(.text))]
    NotAnAddress { word: &'static str, text: String },
    #[error("`{word}` is {}, which is not known", Quoted(.text))]
    NotAChoice { word: &'static str, text: String, known: Vec<&'static str> },
    #[error("`{word}` is {}, which is not a whole number", Quoted(.text))]
    NotANumber { word: &'static str, text: String },
    #[error("`{word}` is {}, which is neither on nor off", Quoted(.text))]
    NotASwitch { word: &'static str, text: String },
    #[error("`{word}` is {}, which is not a number of seconds", Quoted(.text))]
    NotATime { word: &'static str, text: String },
    #[error("{text} is listed twice: the first counts")]
    Twice { text: String },
    #[error("{} needs a value", Quoted(.option))]
    OptionWithoutValue { option: String },
    #[error("`{word}` is {value}, but must be from {least} to {most}")]
    OutOfRange { word: &'static str, value: i64, least: i64, most: i64 },
    #[error("`{block}` has no option {}", Quoted(.option))]
    UnknownOption { block: &'static str, option: String },
    #[error("the option {} of `{block}` has no effect here", Quoted(.option))]
    UnusedOption { block: &'static str, option: String },
    #[error("{} is no user, or no user with a group", Quoted(.text))]
    NotAnAccount { text: String },
    #[error("the command runs as {}, as the others of this block, and not as {}", Quoted(.user), Quoted(.named))]
    OtherUser { named: String, user: String },
    #[error(
        "the command runs as {}, and not as {}",
        .script_user.as_ref().map_or("the daemon does".to_owned(), |user| format!("`script_user`, {user}")),
        Quoted(.user)
    )]
    User { user: String, script_user: Option<String> },
    #[error("`{word}` is {}, which is not known, and is left out, as in keepalived", Quoted(.text))]
    ChoiceLeftOut { word: &'static str, text: String, known: Vec<&'static str> },
    #[error("`{word}` is 0, and is left out, as in keepalived")]
    ZeroLeftOut { word: &'static str },
    #[error("`{word}` needs a value")]
    WithoutValue { word: &'static str },
    #[error("`{word}` is zero")]
    ZeroTime { word: &'static str },

    // Virtual servers.
    #[error("a virtual server for all ports is left out: every port would be a listener")]
    AllPorts,
    #[error("what a firewall mark says is left out: only the kernel sees it")]
    FirewallMark,
    #[error(
        "`hysteresis` is {hysteresis}, but `quorum` is {quorum}: it is lowered to {lowered}, as in keepalived"
    )]
    HysteresisLowered { hysteresis: i64, quorum: i64, lowered: i64 },
    #[error("the group has more than {most} addresses")]
    LargeGroup { most: u128 },
    #[error("`{word}` needs `{option}`")]
    Needs { word: &'static str, option: &'static str },
    #[error("there is no virtual_server_group {}", Quoted(.name))]
    NoGroup { name: String },
    #[error("there is no track_file {}", Quoted(.name))]
    NoTrackFile { name: String },
    #[error("`persistence_granularity` is {}, which is not a netmask", Quoted(.text))]
    NotANetmask { text: String },
    #[error("the virtual server is left out: it is for {}", .protocol.as_deref().map_or("UDP, as `protocol` is missing", |protocol| protocol))]
    NotTcp { protocol: Option<String> },
    #[error(
        "the server gets port {port}, that of the virtual server, and not {written}: without NAT it cannot be changed"
    )]
    PortOfServer { port: u16, written: u16 },
    #[error(
        "`quorum` is {quorum}, but all servers together weigh {total}: it is lowered, as in keepalived"
    )]
    QuorumLowered { quorum: i64, total: i64 },
    #[error("the weight {value} is taken for {most}, where weights end here")]
    WeightEnds { value: i64, most: i64 },
    #[error("groups with all their addresses are too much")]
    TooManyAddresses,
    #[error("the `url` has no `path`")]
    WithoutPath,
    #[error("`{word}` has no `url`")]
    WithoutUrl { word: &'static str },

    // Virtual routers.
    #[error("version 3 has no authentication: it is left out, as in keepalived")]
    AuthenticationOfVersion3,
    #[error("`advert_int` is {} s, which is what version {version} can say, as in keepalived", .rounded.as_secs_f64())]
    IntervalRounded { version: u8, rounded: Duration },
    #[error(
        "all interfaces of an instance have the longest delays here, {} s down and {} s up: {} as well",
        .down.as_secs_f64(), .up.as_secs_f64(), Quoted(.interface)
    )]
    LongestDelay { interface: String, down: Duration, up: Duration },
    #[error("a {what} with {} is left out", Quoted(.option))]
    LeftOut { what: &'static str, option: String },
    #[error("the label {} is left out: the address is on the interface with the virtual MAC address", Quoted(.label))]
    LabelOfVmac { label: String },
    #[error("the name {} is taken for {name}: here names are of letters, digits and ._:[]-", Quoted(.text))]
    NameMended { text: String, name: String },
    #[error("there is no {} described for `{key}`: it is left out, as in keepalived", Quoted(.name))]
    NotDescribed { key: &'static str, name: String, nearest: Option<String> },
    #[error("there is no key {id}")]
    NoKey { id: i64 },
    #[error("`nopreempt` is left out with `state MASTER`, as in keepalived")]
    NoPreemptOfMaster,
    #[error("`preempt_delay` is left out with `state MASTER`, as in keepalived")]
    PreemptDelayOfMaster,
    #[error("the length of the prefix is left out of {}, as in keepalived", Quoted(.text))]
    PrefixOfHost { text: String },
    #[error("the group {group} is no multicast group, and is left out, as in keepalived")]
    NotMulticast { group: IpAddr },
    #[error("`{word}` does not go with strict mode, and is not as it says, as in keepalived")]
    NotStrict { word: &'static str },
    #[error("{address} is left out, as in keepalived: the instance is for {family}")]
    OtherFamily { address: IpAddr, family: Family },
    #[error("{address} is on two interfaces, which an instance cannot have here: the first counts")]
    OnTwoInterfaces { address: IpAddr },
    #[error("{address} is the instance's own address, to which it does not speak")]
    OwnPeer { address: IpAddr },
    #[error("the state {} is taken for BACKUP, as in keepalived", Quoted(.text))]
    OtherState { text: String },
    #[error("the rule does nothing, and is left out, as in keepalived")]
    RuleWithoutAction,
    #[error("the rule has no priority: it gets {priority}, as in keepalived")]
    RuleNumbered { priority: i64 },
    #[error("there are both `authentication` and `auth_hmac`")]
    TwoAuthentications,
    #[error("{} is longer than names of interfaces are, and is left out, as in keepalived", Quoted(.name))]
    VmacNameTooLong { name: String },
    #[error("another instance has {}: the interface gets another name, as in keepalived", Quoted(.name))]
    VmacNameTaken { name: String },
    #[error("the weight {value} is left out, as in keepalived: it must be from -{most} to {most}")]
    WeightLeftOut { value: i64, most: i64 },
    #[error("the instance has no `virtual_ipaddress`")]
    WithoutAddresses,
    #[error("`vrf` without `interface`: which of its interfaces is meant is not known")]
    VrfWithoutInterface,
    #[error("the instance has no `interface`: it is taken to be on {}", Quoted(.interface))]
    WithoutInterface { interface: String },
    #[error("there is no `auth_type`: authentication is left out, as in keepalived")]
    WithoutAuthenticationType,
    #[error("there is no `auth_pass`: authentication is left out, as in keepalived")]
    WithoutPassword,
    #[error(
        "there is no `unicast_peer` to speak to: the instance speaks to the group, as in keepalived"
    )]
    WithoutPeers,
    #[error("a member of a group has no weights of its own: {} is not tracked, as in keepalived", Quoted(.name))]
    WeightInGroup { name: String },
}

impl Problem {
    /// A word that the `block` does not have.
    pub(super) fn unknown(word: String, block: Option<&'static str>, words: Words) -> Self {
        // Checkers are in capitals, all else is in small letters: that alone is no mistake.
        let small: Vec<String> = words.iter().map(|word| word.name.to_lowercase()).collect();
        let small: Vec<&str> = small.iter().map(String::as_str).collect();
        let nearest = nearest(&word, &small)
            .and_then(|near| words.iter().find(|word| word.name.eq_ignore_ascii_case(near)))
            .map(|word| word.name);
        let elsewhere = words::blocks_with(&word);
        Self::Unknown { word, block, nearest, elsewhere }
    }

    /// What to do about it, in one line.
    pub(in crate::config) fn help(&self) -> Option<String> {
        let help = match self {
            Self::EndlessReplacement => "see what the definitions are made of",
            Self::GoesOn => {
                "write it on one line; only `$NAME= \\` has more, with a backslash behind each but the last"
            }
            Self::IncludeNowhere => "read the configuration from a file",
            Self::IncludeWithoutFile => "write: include conf.d/*.conf",
            Self::LongLine { .. } => "split it",
            Self::NothingIncluded { .. } => {
                "paths are relative to the directory of the file that includes them"
            }
            Self::IncludesItself => "remove it",
            Self::NotIncluded { .. } => "keepalived reads regular files that are not executable",
            Self::OpenQuote => "close it with a double quote on the same line",
            Self::Sequence { .. } => {
                "write ~SEQ(NAME, FIRST, LAST), ~SEQ(NAME, FIRST, STEP, LAST) or ~LST(NAME, VALUE, …)"
            }
            Self::TooDeep { .. } => "see whether one of them contains itself",
            Self::TooMuch { .. } => "see whether a sequence has a number too many",
            Self::Undefined { name } => {
                let name = name.trim_matches(['$', '{', '}']);
                if let Some(variable) = name.strip_prefix("_ENV ") {
                    let variable = variable.trim();
                    return Some(format!("set {variable} in the environment of the daemon"));
                }
                return Some(format!("define it further up: ${name}=VALUE"));
            }

            Self::Again { .. } => "remove one of them",
            Self::MoreUnknown => {
                "see whether this is a keepalived.conf; TOML is in files named *.toml"
            }
            Self::NoBlock { .. } => "write what belongs to it on its line",
            Self::NotOpened { .. } => "add an opening brace at the end of the line",
            Self::StrayClose | Self::StrayOpen => {
                "remove it; see whether a block is closed too early"
            }
            Self::Unclosed { .. } => "add the closing brace",
            Self::Unknown { elsewhere, block, .. }
                if elsewhere.contains(&"") && block.is_some() =>
            {
                "it belongs to the top of a file: a closing brace is missing further up"
            }
            Self::Unknown { nearest: Some(nearest), .. } => {
                return Some(format!("did you mean `{nearest}`?"));
            }
            Self::Unknown { elsewhere, .. } if !elsewhere.is_empty() => {
                let blocks: Vec<_> = elsewhere.iter().map(|block| format!("`{block}`")).collect();
                return Some(format!("it belongs to {}", blocks.join(", ")));
            }
            Self::Unknown { block: None, .. } => {
                "this is read as a keepalived.conf, which has no such word to version 2.4; TOML is in files \
                 named *.toml"
            }
            Self::Unknown { .. } => "remove it; keepalived to version 2.4 does not know it either",
            Self::Unused { .. } => return None,

            Self::Excess { .. } => "remove it; it is left out",
            Self::NotAnAddress { .. } => {
                "write 192.0.2.1 or 2001:db8::1; host names are not resolved"
            }
            Self::NotAChoice { text, known, .. } | Self::ChoiceLeftOut { text, known, .. } => {
                return Some(match nearest(text, known) {
                    Some(nearest) => format!("did you mean {nearest}?"),
                    None => format!("known here are {}", known.join(", ")),
                });
            }
            Self::NotANumber { .. } => "write digits alone",
            Self::NotASwitch { .. } => "write on or off",
            Self::NotATime { .. } => "write for example 2.5",
            Self::OptionWithoutValue { .. } => "add it behind the word",
            Self::OutOfRange { value, least, most, .. } => {
                return Some(format!(
                    "the nearest that is allowed is {}",
                    value.clamp(least, most)
                ));
            }
            Self::Twice { .. } => "remove one of them",
            Self::UnknownOption { .. } => "remove it, or write what follows on a line of its own",
            Self::UnusedOption { .. } => return None,
            Self::NotAnAccount { .. } => "write: USER or USER GROUP",
            Self::OtherUser { .. } => "name one user, or let the command change to it",
            Self::User { .. } => "name that user in `script_user`, or let the command change to it",
            Self::ZeroLeftOut { .. } => "remove it",
            Self::WithoutValue { .. } => "add it on the same line",
            Self::ZeroTime { .. } => "write a time above zero",

            Self::AllPorts => "write one virtual server for each port",
            Self::FirewallMark => "write the addresses and ports that are marked",
            Self::HysteresisLowered { .. } => "write less than `quorum`",
            Self::LargeGroup { .. } => "write a smaller range",
            Self::Needs { .. } => "add it to the block",
            Self::NoGroup { .. } => "add a virtual_server_group of that name",
            Self::NoTrackFile { .. } => "add a track_file of that name",
            Self::NotANetmask { .. } => "write for example 255.255.255.0",
            Self::NotTcp { protocol: None } => "add `protocol TCP`",
            Self::NotTcp { .. } => "only TCP is carried; leave it to keepalived",
            Self::PortOfServer { .. } => "write the port of the virtual server, or `lb_kind NAT`",
            Self::QuorumLowered { .. } => "write at most what they weigh together",
            Self::WeightEnds { .. } => "write a smaller one",
            Self::TooManyAddresses => "split the file",
            Self::WithoutPath => "add for example: path /",
            Self::WithoutUrl { .. } => "add for example: url { path / }",

            Self::AuthenticationOfVersion3 => "remove it, or set `version 2`",
            Self::IntervalRounded { version: 2, .. } => "write whole seconds, or set `version 3`",
            Self::IntervalRounded { .. } => "write a multiple of 0.01, at most 40.95",
            Self::LongestDelay { .. } => {
                "let all have the same, or split the instance's interfaces"
            }
            Self::LeftOut { .. } => {
                "add it to the system's network configuration, or in a `notify` command"
            }
            Self::LabelOfVmac { .. } => "begin it with the name of that interface, or remove it",
            Self::NameMended { .. } => "scripts are told the latter; give it such a name",
            Self::NotDescribed { nearest: Some(nearest), .. } => {
                return Some(format!("did you mean {}?", Quoted(nearest)));
            }
            Self::NotDescribed { .. } => "add a block of that name, or remove it",
            Self::NoKey { .. } => "write the number of a `key`",
            Self::NoPreemptOfMaster | Self::PreemptDelayOfMaster => "write `state BACKUP`",
            Self::PrefixOfHost { .. } => "write the address alone",
            Self::NotMulticast { .. } => "remove it, or write a group such as 224.0.0.18",
            Self::NotStrict { .. } => "remove it, or strict mode",
            Self::OtherFamily { .. } => "IPv4 and IPv6 need an instance each",
            Self::OnTwoInterfaces { .. } => "write an instance for each interface",
            Self::OwnPeer { .. } => "remove it",
            Self::OtherState { .. } => "write MASTER or BACKUP",
            Self::RuleNumbered { .. } => "write `priority`, and the order is yours to say",
            Self::RuleWithoutAction => "add for example: table 100",
            Self::TwoAuthentications => "remove one of them",
            Self::VmacNameTooLong { .. } => "write at most 15 characters, or none",
            Self::VmacNameTaken { .. } => "write a name of its own, or none",
            Self::WeightInGroup { .. } => "remove the weight, and a failure is a fault of all",
            Self::WeightLeftOut { .. } => "write a smaller one, or none",
            Self::WithoutAddresses => "add one, or say `no_virtual_ipaddress`",
            Self::VrfWithoutInterface => "add `interface`, with one that is in that VRF",
            Self::WithoutInterface { .. } => "add `interface`",
            Self::WithoutAuthenticationType => {
                "add `auth_type PASS` here and on the others, or remove `authentication`"
            }
            Self::WithoutPassword => "add it, or remove `authentication`",
            Self::WithoutPeers => "add them, or remove the words that are for them",
        };
        Some(help.to_owned())
    }
}
