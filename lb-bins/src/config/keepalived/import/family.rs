//! Whether a virtual router is for IPv4 or for IPv6, and what is left out since it is for the other.

use std::net::IpAddr;

use lb_vrrp::Family;

use super::values::Values;
use crate::config::draft::Field;
use crate::config::draft::vrrp::Network;
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::source::{Span, Spanned};

/// As keepalived has it, the first address in the block decides, whichever word it belongs to
/// (`vrrp_parser.c`). Addresses that are excluded may be of any family.
pub(super) fn family(instance: &Statement) -> Family {
    let first = instance.block().iter().find_map(|statement| match statement.word() {
        "native_ipv6" => Some(Family::V6),
        "mcast_dst_ip" | "mcast_src_ip" | "unicast_src_ip" => of(statement.arguments.first()?),
        "unicast_peer" | "virtual_ipaddress" => {
            statement.rows().iter().find_map(|row| of(row.first()?))
        }
        _ => None,
    });
    first.unwrap_or(Family::V4)
}

fn of(word: &Word) -> Option<Family> {
    Some(Family::of(&Network::parse(&word.text)?.address))
}

/// Whether an address is of the family; what is not is left out, as in keepalived.
pub(super) fn fits(address: &Spanned<IpAddr>, family: Family, values: &mut Values<'_>) -> bool {
    let Spanned { value: address, span } = *address;
    let fits = Family::of(&address) == family;
    if !fits {
        values.warning(span, Problem::OtherFamily { address, family });
    }
    fits
}

/// The address, if it is of the family.
pub(super) fn fitting(
    field: Field<IpAddr>,
    family: Family,
    values: &mut Values<'_>,
) -> Field<IpAddr> {
    match field {
        Field::Given(address) if !fits(&address, family, values) => Field::Absent,
        field => field,
    }
}

/// The same for an address with the length of its prefix.
pub(super) fn network_fits(
    network: &Field<Network>,
    family: Family,
    values: &mut Values<'_>,
) -> bool {
    let address =
        |network: &Spanned<Network>| -> (IpAddr, Span) { (network.value.address, network.span) };
    network
        .given()
        .map(address)
        .is_none_or(|(value, span)| fits(&Spanned { value, span }, family, values))
}
