//! Rules for addresses, and for the routes and rules that go with them.

use std::net::{IpAddr, Ipv4Addr};

use lb_vrrp::Family;
use lb_vrrp::linux::{Prefix, VirtualAddress};

use super::{no_address, optional_interface};
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

pub(super) fn address(
    key: &'static str,
    Spanned { value: draft, span }: &Spanned<draft::VirtualAddress>,
    home: &str,
    mistakes: &mut Mistakes,
) -> VirtualAddress {
    let dev = optional_interface("dev", &draft.dev, mistakes);
    let mut address = match &draft.address {
        Field::Given(network) => {
            let Spanned { value: draft::Network { address, .. }, span } = *network;
            host(key, address, span, mistakes);
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
    if let Some(deprecated) = draft.deprecated.given() {
        if address.address.is_ipv4() && draft.address.given().is_some() {
            let problem = VrrpProblem::DeprecatedIpv4 { address: address.address };
            mistakes.error(deprecated.span, problem.into());
        }
        address = address.deprecated(deprecated.value);
    }
    address.scope(draft.scope.or(lb_vrrp::linux::Scope::Global))
}

/// One that packets to a single host can have.
pub(super) fn host(key: &'static str, address: IpAddr, span: Span, mistakes: &mut Mistakes) {
    let is_for_all = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    if address.is_unspecified() || address.is_multicast() || is_for_all {
        mistakes.error(span, VrrpProblem::NotAHost { key, address }.into());
    }
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

/// What is static stays on this host, whoever is master; were it virtual as well, two hosts would have it.
pub(super) fn report_static(
    field: &Field<List<draft::VirtualAddress>>,
    addresses: &[VirtualAddress],
    of_instances: &[Spanned<(IpAddr, String)>],
    mistakes: &mut Mistakes,
) {
    for Spanned { value, span } in places(&[(field, addresses)], "") {
        if let Some(first) = of_instances.iter().find(|one| one.value == value) {
            let (address, interface) = value;
            let problem = VrrpProblem::StaticAndVirtual { address, interface };
            mistakes.repeated(span, first.span, problem.into());
        }
    }
}

/// Where each address is added to, once.
pub(super) fn places(
    lists: &[(&Field<List<draft::VirtualAddress>>, &[VirtualAddress])],
    home: &str,
) -> Vec<Spanned<(IpAddr, String)>> {
    let mut places: Vec<Spanned<(IpAddr, String)>> = Vec::new();
    let lists = lists.iter();
    for (draft, address) in lists.flat_map(|(field, all)| elements(field).iter().zip(*all)) {
        let Some(given) = draft.value.address.given() else { continue };
        let interface = address.dev.as_deref().unwrap_or(home);
        let value = (address.address, interface.to_owned());
        if !interface.is_empty() && !places.iter().any(|place| place.value == value) {
            places.push(Spanned { value, span: given.span });
        }
    }
    places
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
