//! Whom an instance speaks to.

use std::net::IpAddr;

use lb_vrrp::Family;

use super::addresses::Row;
use super::family::{fits, fitting};
use super::router::Router;
use super::tracking::{if_any, rows};
use super::values::Values;
use crate::config::draft::vrrp::{Network, Peer};
use crate::config::draft::{Field, List};
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::problem::Problem;
use crate::config::source::Spanned;

/// Without any, it speaks to the group, as in keepalived.
pub(super) fn unicast_peers(
    router: &Router<'_>,
    family: Family,
    values: &mut Values<'_>,
) -> Field<List<Peer>> {
    let instance = router.statement;
    let read = |row: Row<'_>, values: &mut Values<'_>| peer(row, family, values);
    let mut peers = rows(instance, "unicast_peer", read, values);
    // Templates list all routers everywhere.
    let own = instance.last("unicast_src_ip").and_then(|word| word.arguments.first());
    if let Some(Network { address, .. }) = own.and_then(|own| Network::parse(&own.text)) {
        peers.retain(|Spanned { value: peer, span }| {
            let is_own = peer.address.given().is_some_and(|peer| peer.value == address);
            if is_own {
                values.warning(*span, Problem::OwnPeer { address });
            }
            !is_own
        });
    }
    let silent =
        values.switch(router.last("unicast_fault_no_peer", "vrrp_unicast_fault_no_peer")).or(false);
    let wanted = ["unicast_peer", "unicast_src_ip", "unicast_ttl", "unicast_fault_no_peer"];
    let wanted = wanted.into_iter().find_map(|word| instance.last(word));
    if let Some(wanted) = wanted.filter(|_| peers.is_empty()) {
        match silent {
            true => values.error(wanted.span, Problem::WithoutPeers),
            false => values.warning(wanted.span, Problem::WithoutPeers),
        }
    }
    if_any(peers)
}

/// `ADDRESS [min_ttl NUMBER] [max_ttl NUMBER]`
fn peer(mut row: Row<'_>, family: Family, values: &mut Values<'_>) -> Option<Peer> {
    let mut peer = Peer { address: values.host("unicast_peer", row.next()?), ..Peer::default() };
    while let Some(option) = row.next() {
        let ttl = |word: Option<&Word>, values: &mut Values<'_>| match word {
            Some(word) => values.number_of("unicast_peer", word, 0..=255),
            None => Field::Refused,
        };
        match option.text.as_str() {
            "min_ttl" => peer.min_ttl = ttl(row.value(option, values), values),
            "max_ttl" => peer.max_ttl = ttl(row.value(option, values), values),
            _ => {
                row.unknown(option, values);
            }
        }
    }
    let fits = peer.address.given().is_none_or(|address| fits(address, family, values));
    fits.then_some(peer)
}

/// The group, if it is another one than VRRP's.
pub(super) fn multicast_group(
    router: &Router<'_>,
    family: Family,
    values: &mut Values<'_>,
) -> Field<IpAddr> {
    let global = match family {
        Family::V4 => "vrrp_mcast_group4",
        Family::V6 => "vrrp_mcast_group6",
    };
    match fitting(values.ip_of(router.last("mcast_dst_ip", global)), family, values) {
        Field::Given(Spanned { value, span }) if !value.is_multicast() => {
            values.warning(span, Problem::NotMulticast { group: value });
            Field::Absent
        }
        field => field,
    }
}
