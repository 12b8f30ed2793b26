//! How an instance says where its addresses are.

use std::time::Duration;

use lb_vrrp::Family;

use super::family::family;
use super::router::Router;
use super::values::{Values, given};
use crate::config::draft::Field;
use crate::config::draft::vrrp::Garp;

/// What keepalived says of announcements holds; where it says nothing, so do our own defaults, which
/// every host on the link understands: one announcement a second, and fewer at once.
pub(super) fn garp(router: &Router<'_>, strict: bool, values: &mut Values<'_>) -> Field<Garp> {
    let span = router.statement.span;
    let number = |word: &str, global: &str, values: &mut Values<'_>| {
        values.number(router.last(word, global), 0..=255)
    };
    let time = |word: &str, global: &str, values: &mut Values<'_>| {
        values.timer_or_zero(router.last(word, global))
    };
    let or = |field: Field<i64>, value: Option<i64>| match (field, value) {
        (Field::Absent, Some(value)) => given(value, span),
        (field, _) => field,
    };
    let minimal = values.switch(router.global("vrrp_min_garp")).or(false);
    let repeat = number("garp_master_repeat", "vrrp_garp_master_repeat", values);
    let repeat = or(repeat, minimal.then_some(1));
    let lower = number("garp_lower_prio_repeat", "vrrp_garp_lower_prio_repeat", values);
    // Who says how many there are at once says so of both occasions.
    let lower = or(lower, repeat.given().map(|repeat| repeat.value));
    let delay = match time("garp_master_delay", "vrrp_garp_master_delay", values) {
        Field::Absent if minimal => given(Duration::ZERO, span),
        field => field,
    };
    let refresh = time("garp_master_refresh", "vrrp_garp_master_refresh", values);
    // One after the other on an interface, ARP and neighbour discovery each for itself.
    let interval = match family(router.statement) {
        Family::V4 => "vrrp_garp_interval",
        Family::V6 => "vrrp_gna_interval",
    };
    let garp = Garp {
        repeat,
        delay,
        lower_prio_repeat: if strict { given(0, span) } else { lower },
        refresh: match refresh {
            Field::Absent if strict => given(Duration::ZERO, span),
            field => field,
        },
        interval: values.timer_or_zero(router.global(interval)),
    };
    given(garp, span)
}
