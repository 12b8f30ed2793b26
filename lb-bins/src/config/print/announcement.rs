//! Prints announcements by BGP.

use std::fmt;

use super::vrrp::{list, print_tracks};
use super::{array, duration, optional, path, table, text};
use crate::config::model::{BgpAnnouncement, Speaker};

pub(super) fn announcement(
    f: &mut fmt::Formatter<'_>,
    announcement: &BgpAnnouncement,
) -> fmt::Result {
    let BgpAnnouncement { name, speaker, instance, tracks, withdraw_delay, interval } =
        announcement;
    writeln!(f, "\n[[bgp_announcement]]")?;
    writeln!(f, "name = {}", text(name))?;
    if let Speaker::ExaBgp { addresses, .. } = speaker {
        list(f, "addresses", addresses, |address| text(&address.to_string()))?;
    }
    writeln!(f, "speaker = {}", inline_speaker(speaker))?;
    optional(f, "instance", instance.as_deref().map(text))?;
    print_tracks(f, tracks)?;
    writeln!(f, "withdraw_delay = {}", text(&duration(*withdraw_delay)))?;
    writeln!(f, "interval = {}", text(&duration(*interval)))
}

fn inline_speaker(speaker: &Speaker) -> String {
    let kind = ("type", Some(text(speaker.name())));
    match speaker {
        Speaker::Bird { socket, protocol } => {
            table(&[kind, ("socket", Some(path(socket))), ("protocol", Some(text(protocol)))])
        }
        Speaker::ExaBgp { pipe, addresses: _, next_hop, med, communities } => {
            let next_hop = next_hop.map_or("self".to_owned(), |address| address.to_string());
            let communities = (!communities.is_empty()).then(|| array(communities.iter()));
            table(&[
                kind,
                ("pipe", Some(path(pipe))),
                ("next_hop", Some(text(&next_hop))),
                ("med", med.map(|med| med.to_string())),
                ("communities", communities),
            ])
        }
    }
}
