//! `interface_up_down_delays`: how long an interface must be down, or up again, before that counts.

use std::collections::HashMap;
use std::time::Duration;

use super::addresses::Row;
use super::values::{Values, given};
use crate::config::draft::Field;
use crate::config::draft::vrrp::VrrpInstance;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::source::{Span, Spanned};

/// What the file says of an interface.
struct Delays {
    down: Duration,
    up: Duration,
    span: Span,
}

/// Gives each instance the delays of its interface. Here they hold for the interfaces that it tracks as
/// well, so that the longest of all counts.
pub(super) fn apply(
    statements: &[Statement],
    instances: &mut [Spanned<VrrpInstance>],
    values: &mut Values<'_>,
) {
    let mut of_interfaces = HashMap::new();
    for block in statements.iter().filter(|block| block.word() == "interface_up_down_delays") {
        for words in block.rows() {
            if let Some((name, delays)) = delays(Row::new(block, words), values) {
                of_interfaces.insert(name, delays);
            }
        }
    }
    if of_interfaces.is_empty() {
        return;
    }
    for Spanned { value: instance, .. } in instances {
        let tracked = instance.track_interfaces.given().map(|list| &list.value.elements);
        let tracked = tracked.into_iter().flatten().map(|track| &track.value.name);
        let names = std::iter::once(&instance.interface).chain(tracked);
        let names: Vec<_> = names.filter_map(|name| Some(name.given()?.value.clone())).collect();
        let all: Vec<_> = names.iter().map(|name| of_interfaces.get(name)).collect();
        let Some(first) = all.iter().flatten().next() else { continue };
        let longest = |of: fn(&Delays) -> Duration| {
            all.iter().flatten().map(|delays| of(delays)).max().unwrap_or_default()
        };
        let (down, up) = (longest(|delays| delays.down), longest(|delays| delays.up));
        let is_longest =
            |delays: Option<&Delays>| delays.is_some_and(|it| (it.down, it.up) == (down, up));
        if let Some((interface, _)) =
            names.iter().zip(&all).find(|(_, delays)| !is_longest(**delays))
        {
            let interface = interface.clone();
            values.warning(first.span, Problem::LongestDelay { interface, down, up });
        }
        instance.interface_down_delay = given(down, first.span);
        instance.interface_up_delay = given(up, first.span);
    }
}

/// `INTERFACE DOWN [UP]`; without the second it is the first.
fn delays(mut row: Row<'_>, values: &mut Values<'_>) -> Option<(String, Delays)> {
    let name = row.next()?;
    let down = row.value(name, values)?;
    let Field::Given(Spanned { value, span }) = values.time(row.key, down) else { return None };
    let mut delays = Delays { down: value, up: value, span };
    if let Some(up) = row.next() {
        delays.up = values.time(row.key, up).given()?.value;
    }
    if let Some(more) = row.next() {
        values.nothing_more(row.key, Some(more));
    }
    Some((name.text.clone(), delays))
}
