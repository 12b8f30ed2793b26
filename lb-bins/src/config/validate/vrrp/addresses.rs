//! Rules for addresses, and for the routes and rules that go with them.

use std::net::IpAddr;

use lb_vrrp::Family;
use lb_vrrp::linux::{Prefix, Route, Rule, VirtualAddress};

use super::instance::same_family;
use super::{interface, no_address, optional_interface};
use crate::config::draft::vrrp as draft;
use crate::config::draft::{Field, List};
use crate::config::mistakes::Mistakes;
use crate::config::problem::{Problem, VrrpProblem};
use crate::config::source::{Span, Spanned};
use crate::config::validate::elements;
use crate::config::validate::values::integer;

/// The virtual router that something belongs to.
#[derive(Clone, Copy)]
pub(super) struct Home<'a> {
    pub(super) family: Family,
    pub(super) interface: &'a str,
}

pub(super) fn addresses(
    key: &'static str,
    field: &Field<List<draft::VirtualAddress>>,
    home: &str,
    mistakes: &mut Mistakes,
) -> Vec<VirtualAddress> {
    elements(field).iter().map(|draft| address(key, draft, home, mistakes)).collect()
}

fn address(
    key: &'static str,
    Spanned { value: draft, span }: &Spanned<draft::VirtualAddress>,
    home: &str,
    mistakes: &mut Mistakes,
) -> VirtualAddress {
    let dev = optional_interface("dev", &draft.dev, mistakes);
    let mut address = match &draft.address {
        Field::Given(network) => {
            let Spanned { value: draft::Network { address, .. }, span } = *network;
            if address.is_unspecified() || address.is_multicast() {
                let text = address.to_string();
                mistakes.error(span, VrrpProblem::NotAnIpAddress { key, text }.into());
            }
            VirtualAddress::new(address).prefix(length(network, mistakes))
        }
        Field::Absent => {
            let sample = r#"address = "10.0.0.200/24""#;
            mistakes.error(*span, Problem::Missing { key: "address", sample });
            no_address()
        }
        Field::Refused => no_address(),
    };
    if let Some(label) = draft.label.given() {
        report_bad_label(label, address.address, dev.as_deref().unwrap_or(home), mistakes);
        address = address.label(label.value.clone());
    }
    if let Some(dev) = dev {
        address = address.dev(dev);
    }
    address.scope(draft.scope.or(lb_vrrp::linux::Scope::Global))
}

/// The kernel keeps 15 characters, and `ip` shows those alone that begin with the interface.
fn report_bad_label(
    label: &Spanned<String>,
    address: IpAddr,
    interface: &str,
    mistakes: &mut Mistakes,
) {
    let Spanned { value, span } = label;
    let label = value.clone();
    if address.is_ipv6() {
        mistakes.error(*span, VrrpProblem::LabelOfIpv6 { label }.into());
        return;
    }
    let rest = value.strip_prefix(interface);
    let fits = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
    let printable = value.chars().all(|character| character.is_ascii_graphic());
    if !interface.is_empty() && (!fits || !printable || value.len() > 15) {
        mistakes.error(*span, VrrpProblem::BadLabel { label }.into());
    }
}

/// No address may come twice: taking one away would take the other.
pub(super) fn report_repeated(
    fields: &[&Field<List<draft::VirtualAddress>>],
    mistakes: &mut Mistakes,
) {
    let drafts = fields.iter().flat_map(|field| elements(field));
    let given = drafts.filter_map(|draft| draft.value.address.given());
    crate::config::validate::report_repeated(
        given.map(|network| Spanned { value: network.value.address, span: network.span }),
        |address| VrrpProblem::AddressTwice { address }.into(),
        mistakes,
    );
}

/// The length of the prefix; all of the address unless it is said.
fn length(network: &Spanned<draft::Network>, mistakes: &mut Mistakes) -> u8 {
    let draft::Network { address, length } = network.value;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    match length {
        Some(value) => {
            let field = Field::Given(Spanned { value, span: network.span });
            integer("prefix", &field, 0..=whole, whole, mistakes)
        }
        None => whole,
    }
}

pub(super) fn prefix(network: &Spanned<draft::Network>, mistakes: &mut Mistakes) -> Prefix {
    let address = network.value.address;
    let length = length(network, mistakes);
    Prefix::new(address, length).unwrap_or(Prefix::all(Family::of(&address)))
}

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
        Field::Given(_) => Prefix::all(via.map_or(home.family, |via| Family::of(&via.value))),
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
    if route.via.is_none() && route.dev.is_none() && home.interface.is_empty() {
        mistakes.error(span, VrrpProblem::RouteToNowhere.into());
    }
    route.table = table(&draft.table, mistakes);
    route.metric = number("metric", &draft.metric, mistakes);
    route.scope = draft.scope.given().map(|scope| scope.value);
    route
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
    let mut rule = Rule::new(first.map_or(home.family, |first| Family::of(&first.value.address)));
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
    rule.table = table(&draft.table, mistakes);
    rule.priority = number("priority", &draft.priority, mistakes);
    let is_refused = [draft.from.is_refused(), draft.to.is_refused(), draft.iif.is_refused()];
    let is_for_all = rule.from.is_none()
        && rule.to.is_none()
        && rule.iif.is_none()
        && rule.oif.is_none()
        && rule.fwmark.is_none();
    if is_for_all && !is_refused.contains(&true) {
        mistakes.error(span, VrrpProblem::RuleForAll.into());
    }
    rule
}
