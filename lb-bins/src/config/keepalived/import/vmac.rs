//! The interface of a virtual MAC address.

use std::collections::HashSet;

use lb_vrrp::Family;

use super::family::family;
use super::values::{Values, given};
use crate::config::draft::Field;
use crate::config::draft::vrrp::VrrpInstance;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::source::Spanned;

const WORD: &str = "use_vmac";
/// The kernel's names of interfaces (`IFNAMSIZ`, with the end of a text).
const LONGEST_NAME: usize = 15;

/// `use_vmac [[name] INTERFACE] [MAC] [netlink_notify_msg] [group GROUP]`: whether there is one, and
/// what it is called if that is said.
pub(super) fn vmac(instance: &Statement, values: &mut Values<'_>) -> (Field<bool>, Field<String>) {
    let Some(vmac) = instance.last(WORD) else { return (Field::Absent, Field::Absent) };
    let mut name = Field::Absent;
    let mut words = vmac.arguments.iter();
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "name" => match words.next() {
                Some(word) => name = given(word.text.clone(), word.span),
                None => {
                    let option = word.text.clone();
                    values.error(word.span, Problem::OptionWithoutValue { option });
                }
            },
            "netlink_notify_msg" => {
                values.unused(
                    word.span,
                    "netlink_notify_msg",
                    "nobody here waits for that message",
                );
            }
            "group" => {
                words.next();
                values.unused(word.span, "group", "the interface is in the group of its link");
            }
            mac if mac.contains(':') => {
                let why = "the virtual MAC address is that of RFC 9568";
                values.unused(word.span, WORD, why);
            }
            _ if name.is_absent() => name = given(word.text.clone(), word.span),
            _ => values.nothing_more(WORD, Some(word)),
        }
    }
    if let Field::Given(Spanned { value, span }) = &name
        && value.len() > LONGEST_NAME
    {
        let name = value.clone();
        values.warning(*span, Problem::VmacNameTooLong { name });
        return (given(true, vmac.span), Field::Absent);
    }
    (given(true, vmac.span), name)
}

/// Names the others, as keepalived does (`vrrp_complete_instance`): `vrrp.ID`, or of IPv6 `vrrp6.ID`; if
/// another instance has that name, `vrrp1.ID`, `vrrp2.ID` and so on. `vmac_prefix` replaces `vrrp`. A
/// name that an instance further up has is left out.
pub(super) fn name_each(
    statements: &[&Statement],
    prefix: Option<&Statement>,
    instances: &mut [Spanned<VrrpInstance>],
    values: &mut Values<'_>,
) {
    const PREFIX: &str = "vrrp";
    let prefix = values.text(prefix);
    let prefix = prefix.given();
    let mut taken = HashSet::new();
    for instance in instances.iter_mut() {
        let field = &mut instance.value.vmac_interface;
        if let Some(Spanned { value, span }) = field.given().cloned()
            && !taken.insert(value.clone())
        {
            values.warning(span, Problem::VmacNameTaken { name: value });
            *field = Field::Absent;
        }
    }
    for (statement, Spanned { value: instance, .. }) in statements.iter().zip(instances) {
        let is_unnamed = instance.use_vmac.or(false) && instance.vmac_interface.is_absent();
        let Some(vrid) = instance.virtual_router_id.given().filter(|_| is_unnamed) else {
            continue;
        };
        let family = if family(statement) == Family::V6 { "6" } else { "" };
        let name = |prefix: &str, number: &str| format!("{prefix}{number}.{}", vrid.value);
        let stem = prefix.map_or(PREFIX, |prefix| &prefix.value);
        let mut chosen = name(stem, family);
        let mut number = 0_u32;
        while !taken.insert(chosen.clone()) {
            number += 1;
            chosen = name(stem, &number.to_string());
        }
        // What holds without a name need not be said.
        if chosen != name(PREFIX, family) {
            let said = prefix.map(|prefix| prefix.span).or(instance.use_vmac.span());
            instance.vmac_interface = given(chosen, said.unwrap_or(vrid.span));
        }
    }
}
