//! Rules for routes and for policy rules, and for what is there whoever is master.

use std::ops::RangeInclusive;

use lb_vrrp::Family;
use lb_vrrp::linux::{NextHop, Prefix, Route, RouteKind, Rule, RuleAction, VirtualAddress};

use super::addresses::{self, Home, prefix};
use super::instance::same_family;
use super::{interface, optional_interface};
use crate::config::draft::vrrp as draft;
use crate::config::draft::{Draft, Field, List};
use crate::config::mistakes::Mistakes;
use crate::config::problem::{Problem, VrrpProblem};
use crate::config::source::{Span, Spanned};
use crate::config::validate::elements;
use crate::config::validate::values::integer;

/// Tables are numbered, and so are marks, metrics and priorities.
fn number(key: &'static str, field: &Field<i64>, mistakes: &mut Mistakes) -> Option<u32> {
    field.given().map(|_| integer(key, field, 0..=u32::MAX, 0, mistakes))
}

fn table(field: &Field<i64>, mistakes: &mut Mistakes) -> u32 {
    integer("table", field, 1..=u32::MAX, Route::MAIN, mistakes)
}

pub(super) fn routes(
    field: &Field<List<draft::Route>>,
    home: Home<'_>,
    mistakes: &mut Mistakes,
) -> Vec<Route> {
    let routes = elements(field).iter();
    routes.map(|Spanned { value, span }| route(value, *span, home, mistakes)).collect()
}

fn route(draft: &draft::Route, span: Span, home: Home<'_>, mistakes: &mut Mistakes) -> Route {
    let via = draft.via.given();
    let to = match &draft.to {
        Field::Given(Spanned { value: draft::Destination::Network(network), span }) => {
            prefix(&Spanned { value: *network, span: *span }, mistakes)
        }
        Field::Given(_) => {
            let hops = elements(&draft.next_hops).iter();
            let first_hop = hops.filter_map(|hop| hop.value.via.given()).next();
            let hop = via.or(first_hop);
            Prefix::all(hop.map_or(home.family, |via| Family::of(&via.value)))
        }
        Field::Absent => {
            mistakes.error(span, Problem::Missing { key: "to", sample: r#"to = "default""# });
            Prefix::all(home.family)
        }
        Field::Refused => Prefix::all(home.family),
    };
    let mut route = Route::new(to);
    for (key, field) in [("via", &draft.via), ("source", &draft.source)] {
        if let Some(given) = field.given().filter(|_| !draft.to.is_refused()) {
            same_family(key, given.value, to.family(), given.span, mistakes);
        }
    }
    route.via = via.map(|via| via.value);
    route.source = draft.source.given().map(|source| source.value);
    route.dev = optional_interface("dev", &draft.dev, mistakes);
    let leads_somewhere = route.via.is_some()
        || route.dev.is_some()
        || !draft.next_hops.is_absent()
        || draft.kind.or(RouteKind::Unicast) != RouteKind::Unicast;
    if !leads_somewhere && home.interface.is_empty() {
        mistakes.error(span, VrrpProblem::RouteToNowhere.into());
    }
    route.table = table(&draft.table, mistakes);
    route.metric = number("metric", &draft.metric, mistakes);
    route.scope = draft.scope.given().map(|scope| scope.value);
    route.kind = draft.kind.or(RouteKind::Unicast);
    route.next_hops = next_hops(draft, to.family(), mistakes);
    route.onlink = draft.onlink.or(false);
    route.mtu = number("mtu", &draft.mtu, mistakes);
    route.mtu_lock = draft.mtu_lock.or(false);
    route.advmss = number("advmss", &draft.advmss, mistakes);
    route
}

/// Several ways stand in the place of one, and what leads nowhere has none.
fn next_hops(draft: &draft::Route, family: Family, mistakes: &mut Mistakes) -> Vec<NextHop> {
    if draft.kind.or(RouteKind::Unicast) != RouteKind::Unicast {
        for (key, span) in [
            ("via", draft.via.span()),
            ("dev", draft.dev.span()),
            ("nexthops", draft.next_hops.span()),
        ] {
            if let Some(span) = span {
                mistakes.warning(span, VrrpProblem::NoEffectWith { key, with: "type" }.into());
            }
        }
        return Vec::new();
    }
    let drafts = elements(&draft.next_hops);
    for (key, span) in [("via", draft.via.span()), ("dev", draft.dev.span())] {
        if let Some(span) = span.filter(|_| !drafts.is_empty()) {
            mistakes.warning(span, VrrpProblem::NoEffectWith { key, with: "nexthops" }.into());
        }
    }
    let hop = |Spanned { value: hop, span }: &Spanned<draft::NextHop>| {
        if let Some(via) = hop.via.given() {
            same_family("via", via.value, family, via.span, mistakes);
        }
        let dev = optional_interface("dev", &hop.dev, mistakes);
        if hop.via.is_absent() && hop.dev.is_absent() {
            mistakes.error(*span, VrrpProblem::RouteToNowhere.into());
        }
        let weight = integer("weight", &hop.weight, 1..=u8::MAX, 1, mistakes);
        NextHop::new(hop.via.given().map(|via| via.value), dev).weight(weight)
    };
    drafts.iter().map(hop).collect()
}

pub(super) fn rules(
    field: &Field<List<draft::Rule>>,
    home: Home<'_>,
    mistakes: &mut Mistakes,
) -> Vec<Rule> {
    let rules = elements(field).iter();
    rules.map(|Spanned { value, span }| rule(value, *span, home, mistakes)).collect()
}

fn rule(draft: &draft::Rule, span: Span, home: Home<'_>, mistakes: &mut Mistakes) -> Rule {
    let first = draft.from.given().or_else(|| draft.to.given());
    let family = first.map(|first| Family::of(&first.value.address));
    let mut rule = Rule::new(family.unwrap_or(draft.family.or(home.family)));
    if let (Some(given), Some(first)) = (draft.family.given(), first) {
        same_family("family", first.value.address, given.value, given.span, mistakes);
    }
    if let Some(to) = draft.to.given() {
        same_family("to", to.value.address, rule.family, to.span, mistakes);
    }
    rule.from = draft.from.given().map(|from| prefix(from, mistakes));
    rule.to = draft.to.given().map(|to| prefix(to, mistakes));
    for (key, field, slot) in
        [("iif", &draft.iif, &mut rule.iif), ("oif", &draft.oif, &mut rule.oif)]
    {
        if let Some(given) = field.given() {
            interface(key, given, mistakes);
            *slot = Some(given.value.clone());
        }
    }
    rule.fwmark = number("fwmark", &draft.fwmark, mistakes);
    rule.fwmask = number("fwmask", &draft.fwmask, mistakes);
    if let Some(span) = draft.fwmask.span().filter(|_| draft.fwmark.is_absent()) {
        let (key, without) = ("fwmask", "fwmark");
        mistakes.warning(span, VrrpProblem::NoEffectWithout { key, without }.into());
    }
    let octet = |key: &'static str, field: &Field<i64>, mistakes: &mut Mistakes| {
        field.given().map(|_| integer(key, field, 0..=u8::MAX, 0, mistakes))
    };
    rule.tos = octet("tos", &draft.tos, mistakes);
    rule.ip_protocol = octet("ip_protocol", &draft.ip_protocol, mistakes);
    rule.sport = numbers("sport", &draft.sport, 1..=u16::MAX, mistakes);
    rule.dport = numbers("dport", &draft.dport, 1..=u16::MAX, mistakes);
    rule.uid_range = numbers("uid_range", &draft.uid_range, 0..=u32::MAX, mistakes);
    rule.not = draft.not.or(false);
    rule.action = action(draft, span, mistakes);
    rule.suppress_prefixlength =
        number("suppress_prefixlength", &draft.suppress_prefixlength, mistakes);
    rule.suppress_ifgroup = number("suppress_ifgroup", &draft.suppress_ifgroup, mistakes);
    rule.table = table(&draft.table, mistakes);
    rule.priority = number("priority", &draft.priority, mistakes);
    let is_refused = [draft.from.is_refused(), draft.to.is_refused(), draft.iif.is_refused()];
    let is_for_all = rule.from.is_none()
        && rule.to.is_none()
        && rule.iif.is_none()
        && rule.oif.is_none()
        && rule.fwmark.is_none()
        && rule.tos.is_none()
        && rule.ip_protocol.is_none()
        && rule.sport.is_none()
        && rule.dport.is_none()
        && rule.uid_range.is_none();
    // What is not for all of a table may be for all packets.
    let is_narrow = rule.suppress_prefixlength.is_some() || rule.suppress_ifgroup.is_some();
    if is_for_all && !is_narrow && !is_refused.contains(&true) {
        mistakes.warning(span, VrrpProblem::RuleForAll.into());
    }
    rule
}

/// What becomes of the packets; where to go on says by itself that it is gone on there.
fn action(draft: &draft::Rule, span: Span, mistakes: &mut Mistakes) -> RuleAction {
    use draft::RuleAction as Draft;
    let goto = number("goto", &draft.goto, mistakes);
    let default = if goto.is_some() { Draft::Goto } else { Draft::Table };
    let action = match draft.action.or(default) {
        Draft::Goto => {
            if draft.goto.is_absent() {
                mistakes.error(span, Problem::Missing { key: "goto", sample: "goto = 2000" });
            }
            return RuleAction::Goto(goto.unwrap_or_default());
        }
        Draft::Blackhole => RuleAction::Blackhole,
        Draft::Nop => RuleAction::Nop,
        Draft::Prohibit => RuleAction::Prohibit,
        Draft::Table => RuleAction::Table,
        Draft::Unreachable => RuleAction::Unreachable,
    };
    if let Some(span) = draft.goto.span() {
        mistakes.warning(span, VrrpProblem::NoEffectWith { key: "goto", with: "action" }.into());
    }
    action
}

/// All numbers from one to another, in their order.
fn numbers<T>(
    key: &'static str,
    field: &Field<draft::Numbers>,
    range: RangeInclusive<T>,
    mistakes: &mut Mistakes,
) -> Option<RangeInclusive<T>>
where
    T: Copy + Into<i64> + PartialOrd + TryFrom<i64>,
{
    let Spanned { value: draft::Numbers { first, last }, span } = *field.given()?;
    let mut number = |value| {
        let field = Field::Given(Spanned { value, span });
        integer(key, &field, range.clone(), *range.start(), mistakes)
    };
    let numbers = number(first)..=number(last);
    if first > last {
        mistakes.error(span, VrrpProblem::NumbersReversed { key, first, last }.into());
    }
    Some(numbers)
}

/// What is there whoever is master. Each address is on an interface of its own.
pub(super) fn statics(
    draft: &Draft,
    mistakes: &mut Mistakes,
) -> (Vec<VirtualAddress>, Vec<Route>, Vec<Rule>) {
    let home = Home { family: Family::V4, interface: "" };
    let address = |draft: &Spanned<draft::VirtualAddress>| {
        if draft.value.dev.is_absent() {
            let sample = r#"dev = "eth0""#;
            mistakes.error(draft.span, Problem::Missing { key: "dev", sample });
        }
        addresses::address("static_address", draft, home.interface, mistakes)
    };
    let addresses = elements(&draft.static_addresses).iter().map(address).collect();
    let routes = routes(&draft.static_routes, home, mistakes);
    (addresses, routes, rules(&draft.static_rules, home, mistakes))
}
