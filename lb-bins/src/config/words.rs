//! Values that are one of a few words: the words, once, for reading and for printing.

use lb_core::virtual_server::{DrainingClients, WhenDown, WhenFull};
use lb_vrrp::linux::{RouteKind, Scope};
use lb_vrrp::{ChecksumPolicy, Family, Migration, Start};

use super::draft::announcement::SpeakerType;
use super::draft::check::CheckType;
use super::draft::vrrp::{AuthenticationType, RuleAction};
use super::model::check::{HttpVersion, Initial, Record, Role};
use super::model::{Forwarding, HashKey, OnFailure, ParameterMatch, ScriptInitial, SorryMode};

/// A type whose values are written as words.
pub(super) trait Word: Copy + PartialEq + 'static {
    /// Every value with its word.
    const WORDS: &'static [(&'static str, Self)];

    /// The value that `word` stands for.
    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|&(_, value)| value)
    }

    /// The word for this value.
    fn word(self) -> &'static str {
        // Every value is in the table, so the empty word is never seen.
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |&(word, _)| word)
    }
}

impl Word for CheckType {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("tcp", Self::Tcp),
        ("http", Self::Http),
        ("https", Self::Https),
        ("script", Self::Script),
        ("agent", Self::Agent),
        ("dns", Self::Dns),
        ("file", Self::File),
        ("grpc", Self::Grpc),
        ("ldap", Self::Ldap),
        ("mysql", Self::Mysql),
        ("ping", Self::Ping),
        ("postgres", Self::Postgres),
        ("redis", Self::Redis),
        ("smtp", Self::Smtp),
        ("tls", Self::Tls),
        ("udp", Self::Udp),
        ("worker", Self::Worker),
    ];
}

impl Word for DrainingClients {
    const WORDS: &'static [(&'static str, Self)] = &[("keep", Self::Keep), ("move", Self::Move)];
}

impl Word for WhenDown {
    const WORDS: &'static [(&'static str, Self)] =
        &[("move", Self::Move), ("refuse", Self::Refuse)];
}

impl Word for WhenFull {
    const WORDS: &'static [(&'static str, Self)] = &[("move", Self::Move), ("wait", Self::Wait)];
}

impl Word for Forwarding {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("proxy", Self::Proxy),
        ("nat", Self::Nat),
        ("dr", Self::DirectRouting),
        ("tun", Self::Tunnel),
    ];
}

impl Word for HashKey {
    const WORDS: &'static [(&'static str, Self)] =
        &[("source", Self::Source), ("source-port", Self::SourcePort)];
}

impl Word for HttpVersion {
    const WORDS: &'static [(&'static str, Self)] =
        &[("1.0", Self::Http10), ("1.1", Self::Http11), ("2", Self::Http2)];
}

impl Word for Initial {
    const WORDS: &'static [(&'static str, Self)] = &[("down", Self::Down), ("up", Self::Up)];
}

impl Word for OnFailure {
    const WORDS: &'static [(&'static str, Self)] =
        &[("remove", Self::Remove), ("weight-0", Self::WeightZero)];
}

impl Word for Record {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("A", Self::A),
        ("AAAA", Self::Aaaa),
        ("CNAME", Self::Cname),
        ("DNSKEY", Self::Dnskey),
        ("MX", Self::Mx),
        ("NS", Self::Ns),
        ("PTR", Self::Ptr),
        ("RRSIG", Self::Rrsig),
        ("SOA", Self::Soa),
        ("SRV", Self::Srv),
        ("TXT", Self::Txt),
    ];
}

impl Word for Role {
    const WORDS: &'static [(&'static str, Self)] =
        &[("master", Self::Master), ("replica", Self::Replica)];
}

impl Word for SorryMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("quorum", Self::Quorum), ("last", Self::Last)];
}

impl Word for AuthenticationType {
    const WORDS: &'static [(&'static str, Self)] =
        &[("pass", Self::Pass), ("ah", Self::Ah), ("hmac", Self::Hmac)];
}

impl Word for ChecksumPolicy {
    const WORDS: &'static [(&'static str, Self)] =
        &[("pseudo", Self::Pseudo), ("rfc9568", Self::Rfc9568), ("auto", Self::Auto)];
}

impl Word for Migration {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("enforce", Self::Enforce),
        ("permissive", Self::Permissive),
        ("receive-only", Self::ReceiveOnly),
    ];
}

impl Word for Family {
    const WORDS: &'static [(&'static str, Self)] = &[("ipv4", Self::V4), ("ipv6", Self::V6)];
}

impl Word for RouteKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("unicast", Self::Unicast),
        ("blackhole", Self::Blackhole),
        ("unreachable", Self::Unreachable),
        ("prohibit", Self::Prohibit),
        ("throw", Self::Throw),
    ];
}

impl Word for RuleAction {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("table", Self::Table),
        ("goto", Self::Goto),
        ("nop", Self::Nop),
        ("blackhole", Self::Blackhole),
        ("unreachable", Self::Unreachable),
        ("prohibit", Self::Prohibit),
    ];
}

impl Word for ParameterMatch {
    const WORDS: &'static [(&'static str, Self)] =
        &[("exact", Self::Exact), ("initial", Self::Initial), ("partial", Self::Partial)];
}

impl Word for ScriptInitial {
    const WORDS: &'static [(&'static str, Self)] =
        &[("unknown", Self::Unknown), ("down", Self::Down), ("up", Self::Up)];
}

impl Word for Scope {
    const WORDS: &'static [(&'static str, Self)] =
        &[("global", Self::Global), ("link", Self::Link), ("host", Self::Host)];
}

impl Word for SpeakerType {
    const WORDS: &'static [(&'static str, Self)] =
        &[("bird", Self::Bird), ("exabgp", Self::ExaBgp)];
}

impl Word for Start {
    const WORDS: &'static [(&'static str, Self)] =
        &[("backup", Self::Backup), ("master", Self::Master)];
}
