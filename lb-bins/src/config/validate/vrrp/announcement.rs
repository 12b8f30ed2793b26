//! Rules for announcements by BGP.

use std::net::IpAddr;
use std::path::PathBuf;

use lb_vrrp::linux::Prefix;

use super::tracking::Described;
use super::{absolute, addresses, name, repeated_names};
use crate::config::defaults;
use crate::config::draft::announcement::{self as draft, SpeakerType};
use crate::config::draft::{Field, List, vrrp};
use crate::config::mistakes::Mistakes;
use crate::config::model::{BgpAnnouncement, Speaker, Tracks};
use crate::config::problem::{Problem, VrrpProblem};
use crate::config::source::{Span, Spanned};
use crate::config::validate::values::{duration, duration_or_zero, integer};
use crate::config::validate::{elements, is_empty, report_repeated};
use crate::config::words::Word;

/// The names of the instances that there are, and whether those are all.
pub(super) struct Instances {
    pub(super) names: Vec<String>,
    pub(super) complete: bool,
}

pub(super) fn announcements(
    field: &Field<List<draft::BgpAnnouncement>>,
    described: &Described,
    instances: &Instances,
    mistakes: &mut Mistakes,
) -> Vec<BgpAnnouncement> {
    let drafts = elements(field);
    repeated_names("announcements", drafts.iter().map(|draft| &draft.value.name), mistakes);
    let announcements: Vec<_> =
        drafts.iter().map(|draft| announcement(draft, described, instances, mistakes)).collect();
    let said = drafts.iter().zip(&announcements).flat_map(|(draft, announcement)| {
        let span = draft.value.speaker.span().unwrap_or(draft.span);
        said(&announcement.speaker).into_iter().map(move |value| Spanned { value, span })
    });
    report_repeated(said, |(_, what)| VrrpProblem::AnnouncedTwice { what }.into(), mistakes);
    announcements
}

/// What two announcements must not both say, and to whom.
fn said(speaker: &Speaker) -> Vec<(PathBuf, String)> {
    match speaker {
        Speaker::Bird { protocol, .. } if protocol.is_empty() => Vec::new(),
        Speaker::Bird { socket, protocol } => vec![(socket.clone(), protocol.clone())],
        Speaker::ExaBgp { pipe, addresses, .. } => {
            addresses.iter().map(|address| (pipe.clone(), address.to_string())).collect()
        }
    }
}

fn announcement(
    Spanned { value: draft, span }: &Spanned<draft::BgpAnnouncement>,
    described: &Described,
    instances: &Instances,
    mistakes: &mut Mistakes,
) -> BgpAnnouncement {
    let instance = draft.instance.given().map(|given| {
        if instances.complete && !instances.names.contains(&given.value) {
            let (key, name, known) = ("instance", given.value.clone(), instances.names.clone());
            let block = "vrrp_instance";
            let problem = VrrpProblem::Undescribed { key, name, known, block };
            mistakes.error(given.span, problem.into());
        }
        given.value.clone()
    });
    BgpAnnouncement {
        name: name(&draft.name, *span, r#"name = "web""#, mistakes),
        speaker: speaker(draft, *span, mistakes),
        instance,
        tracks: vital(&draft.tracks, described.tracks(&draft.tracks, mistakes), mistakes),
        withdraw_delay: duration_or_zero(
            "withdraw_delay",
            &draft.withdraw_delay,
            defaults::WITHDRAW_DELAY,
            mistakes,
        ),
        interval: duration("interval", &draft.interval, defaults::ANNOUNCEMENT_INTERVAL, mistakes),
    }
}

/// There is no priority that a weight could move.
fn vital(draft: &vrrp::Tracks, tracks: Tracks, mistakes: &mut Mistakes) -> Tracks {
    let lists = [
        (&draft.scripts, &tracks.scripts),
        (&draft.files, &tracks.files),
        (&draft.processes, &tracks.processes),
        (&draft.checks, &tracks.checks),
        (&draft.quorums, &tracks.quorums),
    ];
    for (field, tracks) in lists {
        for track in tracks.iter().filter(|track| track.weight != 0) {
            let mut given = elements(field).iter().filter_map(|draft| draft.value.name.given());
            if let Some(given) = given.find(|given| given.value == track.name) {
                let name = track.name.clone();
                mistakes.error(given.span, VrrpProblem::WeightedAnnouncement { name }.into());
            }
        }
    }
    tracks
}

fn speaker(draft: &draft::BgpAnnouncement, span: Span, mistakes: &mut Mistakes) -> Speaker {
    let nobody = Speaker::Bird { socket: PathBuf::new(), protocol: String::new() };
    let (speaker, span) = match &draft.speaker {
        Field::Given(given) => (&given.value, given.span),
        Field::Absent => {
            let sample = r#"speaker = { type = "bird", protocol = "vip_web" }"#;
            mistakes.error(span, Problem::Missing { key: "speaker", sample });
            return nobody;
        }
        Field::Refused => return nobody,
    };
    let kind = match &speaker.kind {
        Field::Given(kind) => kind.value,
        Field::Absent => {
            mistakes.error(span, Problem::Missing { key: "type", sample: r#"type = "bird""# });
            return nobody;
        }
        Field::Refused => return nobody,
    };
    report_other_keys(draft, speaker, kind, mistakes);
    match kind {
        SpeakerType::Bird => Speaker::Bird {
            socket: path("socket", &speaker.socket, defaults::BIRD_SOCKET, mistakes),
            protocol: protocol(&speaker.protocol, span, mistakes),
        },
        SpeakerType::ExaBgp => {
            let pipe = path("pipe", &speaker.pipe, defaults::EXABGP_PIPE, mistakes);
            if let Some(given) = speaker.pipe.given()
                && pipe.extension().is_none_or(|extension| extension != "in")
            {
                let path = given.value.clone();
                mistakes.error(given.span, VrrpProblem::NotAnInputPipe { path }.into());
            }
            Speaker::ExaBgp {
                pipe,
                addresses: prefixes(&draft.addresses, span, mistakes),
                next_hop: next_hop(&speaker.next_hop, mistakes),
                med: speaker
                    .med
                    .given()
                    .map(|_| integer("med", &speaker.med, 0..=u32::MAX, 0, mistakes)),
                communities: communities(&speaker.communities, mistakes),
            }
        }
    }
}

fn report_other_keys(
    draft: &draft::BgpAnnouncement,
    speaker: &draft::Speaker,
    kind: SpeakerType,
    mistakes: &mut Mistakes,
) {
    for (key, span, owner) in [
        ("socket", speaker.socket.span(), SpeakerType::Bird),
        ("protocol", speaker.protocol.span(), SpeakerType::Bird),
        ("addresses", draft.addresses.span(), SpeakerType::ExaBgp),
        ("pipe", speaker.pipe.span(), SpeakerType::ExaBgp),
        ("next_hop", speaker.next_hop.span(), SpeakerType::ExaBgp),
        ("med", speaker.med.span(), SpeakerType::ExaBgp),
        ("communities", speaker.communities.span(), SpeakerType::ExaBgp),
    ] {
        if let Some(span) = span.filter(|_| owner != kind) {
            let (belongs_to, kind) = (owner.word(), kind.word());
            mistakes.error(span, VrrpProblem::SpeakerKey { key, belongs_to, kind }.into());
        }
    }
}

fn path(
    key: &'static str,
    field: &Field<String>,
    default: &str,
    mistakes: &mut Mistakes,
) -> PathBuf {
    absolute(key, field, mistakes).unwrap_or_else(|| default.into())
}

/// A symbol, as BIRD writes them without quotes. `all` would be every protocol.
fn protocol(field: &Field<String>, span: Span, mistakes: &mut Mistakes) -> String {
    let Some(given) = field.given() else {
        if field.is_absent() {
            let sample = r#"protocol = "vip_web""#;
            mistakes.error(span, Problem::Missing { key: "protocol", sample });
        }
        return String::new();
    };
    let name = &given.value;
    let is_symbol = name.chars().all(|one| one.is_ascii_alphanumeric() || one == '_')
        && name.chars().next().is_some_and(|first| !first.is_ascii_digit());
    if !is_symbol || name == "all" {
        let name = name.clone();
        mistakes.error(given.span, VrrpProblem::NotAProtocol { name }.into());
    }
    name.clone()
}

fn prefixes(
    field: &Field<List<vrrp::Network>>,
    span: Span,
    mistakes: &mut Mistakes,
) -> Vec<Prefix> {
    if is_empty(field) {
        let (what, key) = ("announcements by ExaBGP", "addresses");
        let sample = r#"addresses = ["192.0.2.200/32"]"#;
        mistakes.error(span, VrrpProblem::Nothing { what, key, sample }.into());
    }
    elements(field).iter().map(|network| addresses::prefix(network, mistakes)).collect()
}

fn next_hop(field: &Field<String>, mistakes: &mut Mistakes) -> Option<IpAddr> {
    let given = field.given().filter(|given| given.value != "self")?;
    let address = given.value.parse().ok();
    if address.is_none() {
        let text = given.value.clone();
        mistakes.error(given.span, VrrpProblem::NotANextHop { text }.into());
    }
    address
}

/// Two halves of 32 bits (RFC 1997).
fn communities(field: &Field<List<String>>, mistakes: &mut Mistakes) -> Vec<String> {
    let half =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok();
    for Spanned { value: text, span } in elements(field) {
        if !text.split_once(':').is_some_and(|(high, low)| half(high) && half(low)) {
            mistakes.error(*span, VrrpProblem::NotACommunity { text: text.clone() }.into());
        }
    }
    elements(field).iter().map(|community| community.value.clone()).collect()
}
