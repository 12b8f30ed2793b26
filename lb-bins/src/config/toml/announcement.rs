//! Announcements by BGP in TOML.

use super::reader::{Entry, Read, Table};
use super::vrrp::tracks;
use crate::config::draft::announcement::{BgpAnnouncement, Speaker};
use crate::config::mistakes::Mistakes;

impl Read for BgpAnnouncement {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let announcement = Self {
            name: table.take("name", r#"name = "web""#),
            speaker: table.take("speaker", SPEAKER),
            addresses: table.take("addresses", r#"addresses = ["192.0.2.200/32"]"#),
            instance: table.take("instance", r#"instance = "web""#),
            tracks: tracks(&mut table),
            withdraw_delay: table.take("withdraw_delay", r#"withdraw_delay = "1s""#),
            interval: table.take("interval", r#"interval = "10s""#),
        };
        table.finish();
        Some(announcement)
    }
}

const SPEAKER: &str = r#"speaker = { type = "bird", protocol = "vip_web" }"#;

impl Read for Speaker {
    fn read(entry: Entry<'_>, mistakes: &mut Mistakes) -> Option<Self> {
        let mut table = Table::open(entry, mistakes)?;
        let speaker = Self {
            kind: table.take("type", r#"type = "bird""#),
            socket: table.take("socket", r#"socket = "/run/bird/bird.ctl""#),
            protocol: table.take("protocol", r#"protocol = "vip_web""#),
            pipe: table.take("pipe", r#"pipe = "/run/exabgp/exabgp.in""#),
            next_hop: table.take("next_hop", r#"next_hop = "self""#),
            med: table.take("med", "med = 100"),
            communities: table.take("communities", r#"communities = ["65000:1"]"#),
        };
        table.finish();
        Some(speaker)
    }
}
