//! `virtual_server_group`: several addresses with the same servers behind them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::values::Values;
use crate::config::draft::Field;
use crate::config::keepalived::lexer::Word;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::source::Spanned;

/// More addresses are a mistyped range; each is a listener of its own.
const MOST_ADDRESSES: u128 = 1024;

/// The addresses of a group. Firewall marks are left out.
pub(super) fn addresses(block: &Statement, values: &mut Values<'_>) -> Vec<Spanned<SocketAddr>> {
    let mut addresses: Vec<Spanned<SocketAddr>> = Vec::new();
    for row in block.rows() {
        let Some((first, rest)) = row.split_first() else { continue };
        if first.text.eq_ignore_ascii_case("fwmark") {
            values.warning(first.span, Problem::FirewallMark);
            continue;
        }
        let Some(port) = rest.first() else {
            values.warning(first.span, Problem::AllPorts);
            continue;
        };
        values.nothing_more("virtual_server_group", rest.get(1));
        let Field::Given(port) = values.number_of("port", port, 1..=65_535) else { continue };
        let Some((start, count)) = range(first, values) else { continue };
        if count > MOST_ADDRESSES - addresses.len() as u128 {
            values.error(first.span, Problem::LargeGroup { most: MOST_ADDRESSES });
            break;
        }
        let port = u16::try_from(port.value).unwrap_or_default();
        addresses.extend((0..count).map(|index| Spanned {
            value: SocketAddr::new(plus(start, index), port),
            span: first.span,
        }));
    }
    addresses
}

/// The first of `10.0.0.1`, `10.0.0.1-9`, `10.0.0.1-10.0.1.9` or `10.0.0.0/29`, and how many it is.
fn range(word: &Word, values: &mut Values<'_>) -> Option<(IpAddr, u128)> {
    let text = word.text.as_str();
    let range = match (text.split_once('-'), text.split_once('/')) {
        (Some((first, last)), _) => up_to(first, last),
        (None, Some((address, length))) => network(address, length),
        (None, None) => text.parse().ok().map(|address| (address, 1)),
    };
    if range.is_none() {
        let text = word.text.clone();
        values.error(word.span, Problem::NotAnAddress { word: "virtual_server_group", text });
    }
    range
}

/// The last of a range is an address, or its last part alone: decimal, or of IPv6 hexadecimal.
fn up_to(first: &str, last: &str) -> Option<(IpAddr, u128)> {
    let start: IpAddr = first.parse().ok()?;
    let end = match (last.parse::<IpAddr>(), start) {
        (Ok(end), _) => end,
        (Err(_), IpAddr::V4(start)) => {
            let part: u8 = last.parse().ok()?;
            Ipv4Addr::from(u32::from(start) & !0xff | u32::from(part)).into()
        }
        (Err(_), IpAddr::V6(start)) => {
            let part = u16::from_str_radix(last, 16).ok()?;
            Ipv6Addr::from(u128::from(start) & !0xffff | u128::from(part)).into()
        }
    };
    let distance = number(end).checked_sub(number(start))?;
    (start.is_ipv4() == end.is_ipv4()).then_some((start, distance.checked_add(1)?))
}

/// All addresses of a network.
fn network(address: &str, length: &str) -> Option<(IpAddr, u128)> {
    let address: IpAddr = address.parse().ok()?;
    let length: u32 = length.parse().ok()?;
    let whole: u32 = if address.is_ipv4() { 32 } else { 128 };
    let host_bits = whole.checked_sub(length).filter(|bits| *bits < 64)?;
    let mask = (1_u128 << host_bits) - 1;
    let start = match address {
        IpAddr::V4(address) => {
            Ipv4Addr::from(u32::try_from(u128::from(u32::from(address)) & !mask).ok()?).into()
        }
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !mask).into(),
    };
    Some((start, mask + 1))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn plus(address: IpAddr, index: u128) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let index = u32::try_from(index).unwrap_or_default();
            Ipv4Addr::from(u32::from(address).wrapping_add(index)).into()
        }
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address).wrapping_add(index)).into(),
    }
}
