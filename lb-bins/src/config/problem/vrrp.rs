//! What can be wrong with virtual routers.

use std::net::IpAddr;
use std::time::Duration;

use lb_vrrp::{Family, Interval, Version, Vrid};
use thiserror::Error;

use super::Quoted;
use super::help::did_you_mean;
use crate::config::model::PLACEHOLDERS;

/// One way of being wrong, with what is needed to explain it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(in crate::config) enum VrrpProblem {
    // What a front end cannot read.
    #[error("`{key}` has {address}, which is no address that a host can have")]
    NotAHost { key: &'static str, address: IpAddr },
    #[error("`{key}` has {}, which is neither an IP address nor one with the length of a prefix", Quoted(.text))]
    NotANetwork { key: &'static str, text: String },

    #[error("`{key}` is {}, which is neither a number nor two with a dash between", Quoted(.text))]
    NotNumbers { key: &'static str, text: String },

    // Values that are wrong by themselves.
    #[error("`{key}` is {}, which cannot be the name of an interface", Quoted(.name))]
    BadInterface { key: &'static str, name: String },
    #[error("`advert_interval` is {millis} ms, but is counted in steps of 10 ms")]
    IntervalSteps { millis: u128 },
    #[error("`advert_interval` is {interval}, which version {version} cannot say")]
    IntervalForVersion { version: Version, interval: Interval },
    #[error("`advert_interval` must be from 10 ms to 255 s")]
    IntervalRange,
    #[error("the label {} is not the name of the interface with more behind a colon, in 15 characters", Quoted(.label))]
    BadLabel { label: String },
    #[error("the label {} has no meaning: IPv6 has none", Quoted(.label))]
    LabelOfIpv6 { label: String },
    #[error("`deprecated` has no meaning for {address}: IPv4 has none")]
    DeprecatedIpv4 { address: IpAddr },
    #[error("`multicast_group` is {group}, which is no multicast group")]
    NotMulticast { group: IpAddr },
    #[error("`{key}` is {path:?}, which is not an absolute path")]
    RelativePath { key: &'static str, path: String },
    #[error("`communities` has {}, which is not a community", Quoted(.text))]
    NotACommunity { text: String },
    #[error("`next_hop` is {}, which is neither \"self\" nor an IP address", Quoted(.text))]
    NotANextHop { text: String },
    #[error("`pipe` is {path:?}, which does not end in \".in\"")]
    NotAnInputPipe { path: String },
    #[error("`pointer` is {}, which does not point into JSON", Quoted(.text))]
    NotAPointer { text: String },
    #[error("`protocol` is {}, which cannot be the name of one of BIRD's protocols", Quoted(.name))]
    NotAProtocol { name: String },
    #[error("`{key}` has {placeholder}, in whose place nothing is put")]
    NotAPlaceholder { key: &'static str, placeholder: String },
    #[error("`{key}` is {}, which is not a URL of HTTP", Quoted(.text))]
    NotAUrl { key: &'static str, text: String },
    #[error("`refresh` is less than {} ms, and each one a broadcast for every address", .least.as_millis())]
    RefreshedTooOften { least: Duration },
    #[error("the secret has {length} octets, but must have 32 to 64")]
    SecretLength { length: usize },

    // Values that do not go together.
    #[error("the address {address} is listed twice")]
    AddressTwice { address: IpAddr },
    #[error("nobody reaches a virtual server on {address}: `{instance}` has `accept = false`")]
    NotAccepted { address: IpAddr, instance: String },
    #[error("two instances have the address {address} on {interface}")]
    AddressOfTwo { address: IpAddr, interface: String },
    #[error("the static address {address} on {interface} is an instance's as well")]
    StaticAndVirtual { address: IpAddr, interface: String },
    #[error("{} is announced twice", Quoted(.what))]
    AnnouncedTwice { what: String },
    #[error("`{key}` is for a speaker of type \"{belongs_to}\", but the type is \"{kind}\"")]
    SpeakerKey { key: &'static str, belongs_to: &'static str, kind: &'static str },
    #[error("{} is tracked with a weight, but an announcement has no priority", Quoted(.name))]
    WeightedAnnouncement { name: String },
    #[error("`{key}` is for authentication of type \"{belongs_to}\", but the type is \"{kind}\"")]
    AuthenticationKey { key: &'static str, belongs_to: &'static str, kind: &'static str },
    #[error("authentication of type \"{kind}\" ended with version 2")]
    AuthenticationForVersion { kind: &'static str },
    #[error("`{key}` has {address}, but the virtual router is for {expected}")]
    OtherFamily { key: &'static str, address: IpAddr, expected: Family },
    #[error("version 2 is for IPv4 alone")]
    V2IsIpv4,
    #[error("{what} need at least one of `{key}`")]
    Nothing { what: &'static str, key: &'static str, sample: &'static str },
    #[error("virtual router {vrid} for {family} is there twice on {interface}")]
    VirtualRouterTwice { vrid: Vrid, family: Family, interface: String },
    #[error("two {what} are named {}", Quoted(.name))]
    NameTwice { what: &'static str, name: String },
    #[error("key {id} is there twice")]
    KeyTwice { id: u8 },
    #[error("two instances put their virtual MAC address on {}", Quoted(.interface))]
    MacTwice { interface: String },
    #[error("{} is a member of two groups, or twice of one", Quoted(.name))]
    MemberTwice { name: String },
    #[error("{} tracks something with a weight, but members of a group move together", Quoted(.name))]
    WeightedMember { name: String },
    #[error("`{key}` has {}, which is not described", Quoted(.name))]
    Undescribed { key: &'static str, name: String, known: Vec<String>, block: &'static str },
    #[error("{} is tracked twice", Quoted(.name))]
    TrackedTwice { name: String },
    #[error("`min_ttl` is {min}, which is more than `max_ttl`, {max}")]
    TtlReversed { min: u8, max: u8 },
    #[error("`{key}` is from {first} to {last}, which is nothing")]
    NumbersReversed { key: &'static str, first: i64, last: i64 },
    #[error("`unicast_peers` has {address}, which is the address of this host")]
    PeerIsSource { address: IpAddr },
    #[error("the instance has no addresses, for which `{{address}}` could stand")]
    ClaimOfNothing,
    #[error("the route has neither `via` nor `dev`")]
    RouteToNowhere,

    // What is allowed, but probably not meant.
    #[error("a rule for all packets: it has no `from`, `to`, `iif`, `oif` or `fwmark`")]
    RuleForAll,
    #[error("the password has {length} characters, of which only the first 8 count")]
    LongPassword { length: usize },
    #[error("the passphrase has {length} characters, of which only the first 20 count")]
    LongPassphrase { length: usize },
    #[error("`{key}` has no effect without `{without}`")]
    NoEffectWithout { key: &'static str, without: &'static str },
    #[error("`{key}` has no effect with `{with}`")]
    NoEffectWith { key: &'static str, with: &'static str },
    #[error("`{key}` is not less than {} ms: others take over first", .silence.as_millis())]
    DelayBeyondSilence { key: &'static str, silence: Duration },
    #[error("`{key}`: there is no interface {} on this host", Quoted(.interface))]
    NoInterface { key: &'static str, interface: String },
    #[error("{} is described, but nothing tracks it", Quoted(.name))]
    Unused { name: String },
    #[error("`timeout` is longer than `interval`: the script is not started again while it runs")]
    TimeoutBeyondInterval,
}

impl VrrpProblem {
    /// What to do about it, in one line.
    pub(super) fn help(&self) -> String {
        let help = match self {
            Self::NotAHost { .. } => {
                "write the address of a host, and not one for several or for none"
            }
            Self::NotANetwork { .. } => "write \"192.0.2.1/24\" or \"2001:db8::1/64\"",
            Self::NotNumbers { .. } => "write for example 80 or \"80-90\"",
            Self::BadInterface { .. } => {
                "write a name as `ip link` shows it: 1 to 15 characters, no slash, no space"
            }
            Self::IntervalSteps { .. } => "write for example \"100ms\"",
            Self::IntervalForVersion { version: Version::V2, .. } => {
                "write whole seconds, such as \"1s\", or set version = 3"
            }
            Self::IntervalForVersion { .. } => "write at most \"40s950ms\"",
            Self::IntervalRange => "write for example \"1s\"",
            Self::BadLabel { .. } => "write for example \"eth0:vip\"",
            Self::LabelOfIpv6 { .. } | Self::DeprecatedIpv4 { .. } => "remove it",
            Self::NotMulticast { .. } => "remove it for 224.0.0.18 or ff02::12",
            Self::RelativePath { .. } => "write the whole path",
            Self::NotACommunity { .. } => "write two numbers up to 65535, such as \"65000:1\"",
            Self::NotANextHop { .. } => "write \"self\", or the address of this host",
            Self::NotAnInputPipe { .. } => {
                "write the pipe that ExaBGP reads; its answers are in the one that ends in .out"
            }
            Self::NotAPointer { .. } => "write for example \"/server/id\" (RFC 6901)",
            Self::NotAProtocol { .. } => {
                "write the name after `protocol static` in bird.conf: letters, digits and `_`"
            }
            Self::NotAPlaceholder { placeholder, .. } => {
                return did_you_mean(placeholder, &PLACEHOLDERS, "`");
            }
            Self::NotAUrl { .. } => "write for example \"https://api.example.org/ips/{address}\"",
            Self::RefreshedTooOften { least } => {
                let least = least.as_millis();
                return format!("write at least \"{least}ms\", or \"0s\" for no refresh");
            }
            Self::SecretLength { .. } => "make one with `head -c 24 /dev/urandom | base64`",

            Self::AddressTwice { .. } | Self::TrackedTwice { .. } => "remove one of them",
            Self::NotAccepted { .. } => {
                "set `accept = true`: else packets for the address are dropped (in a keepalived.conf, \
                 `vrrp_strict` and `no_accept` say so)"
            }
            Self::AddressOfTwo { .. } => {
                "list it in one of them: neither would let the other one take it away"
            }
            Self::StaticAndVirtual { .. } => {
                "remove one of them: what is static stays on this host, whoever is master"
            }
            Self::AnnouncedTwice { .. } => {
                "two announcements would undo each other: remove one of them"
            }
            Self::SpeakerKey { key: "addresses", .. } => {
                "remove it: the routes of `protocol` in bird.conf are what is announced"
            }
            Self::SpeakerKey { key, belongs_to, .. } => {
                return format!("remove `{key}`, or set type = \"{belongs_to}\"");
            }
            Self::WeightedAnnouncement { name } => {
                return format!("write {{ name = {}, weight = 0 }}", Quoted(name));
            }
            Self::AuthenticationKey { key, belongs_to, .. } => {
                return format!("remove `{key}`, or set type = \"{belongs_to}\"");
            }
            Self::AuthenticationForVersion { .. } => {
                "remove it, set version = 2, or set type = \"hmac\" if all routers know it"
            }
            Self::OtherFamily { .. } => "IPv4 and IPv6 need an instance each",
            Self::V2IsIpv4 => "remove `version`, or set version = 3",
            Self::Nothing { sample, .. } => return format!("add for example: {sample}"),
            Self::VirtualRouterTwice { .. } => "give each its own `virtual_router_id`",
            Self::NameTwice { .. } => "give each its own name",
            Self::KeyTwice { .. } => "give each its own number",
            Self::MacTwice { .. } => "give each its own `vmac_interface`",
            Self::MemberTwice { .. } => "list it once; instances of several groups can be in one",
            Self::WeightedMember { .. } => "set weight = 0, so that a failure is a fault of all",
            Self::Undescribed { name, known, block, .. } if known.is_empty() => {
                return format!("add [[{block}]] with name = {}", Quoted(name));
            }
            Self::Undescribed { name, known, .. } => {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                return did_you_mean(name, &known, "\"");
            }
            Self::ClaimOfNothing => {
                "add to `addresses` what is claimed, or write its name in place of `{address}`"
            }
            Self::NumbersReversed { .. } | Self::TtlReversed { .. } => "exchange them",
            Self::PeerIsSource { .. } => "list the other hosts only",
            Self::RouteToNowhere => "add `dev` for what is on the link, or `via` for what is not",
            Self::RuleForAll => "add what it is for",

            Self::LongPassword { .. } => "write at most 8 characters",
            Self::LongPassphrase { .. } => "write at most 20 characters",
            Self::NoEffectWithout { key, without } => {
                return format!("add `{without}`, or remove `{key}`");
            }
            Self::NoEffectWith { key, .. } => return format!("remove `{key}`"),
            Self::DelayBeyondSilence { .. } => {
                "write less than `advert_interval` times `down_timer_adverts` less one"
            }
            Self::NoInterface { .. } => {
                "it counts as down until there is one: all is well if it comes later, or if the file is for \
                 another host; else `ip link` lists what there is"
            }
            Self::Unused { .. } => "name it in an instance, or remove it",
            Self::TimeoutBeyondInterval => "write at most `interval`",
        };
        help.to_owned()
    }
}
