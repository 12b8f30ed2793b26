//! The interface of a virtual MAC address.

use lb_vrrp::Family;

use super::family::family;
use super::values::{Values, given};
use crate::config::draft::Field;
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;

/// `use_vmac [[name] INTERFACE] [MAC] [netlink_notify_msg] [group GROUP]`: whether there is one, and
/// what it is called.
pub(super) fn vmac(
    instance: &Statement,
    prefix: Option<&Statement>,
    values: &mut Values<'_>,
) -> (Field<bool>, Field<String>) {
    const WORD: &str = "use_vmac";
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
    // Its own name is made of the prefix, as in keepalived.
    if name.is_absent()
        && let Field::Given(prefix) = values.text(prefix)
        && let Some(vrid) = instance.last("virtual_router_id").and_then(|it| it.arguments.first())
    {
        let family = if family(instance) == Family::V6 { "6" } else { "" };
        name = given(format!("{}{family}.{}", prefix.value, vrid.text), prefix.span);
    }
    (given(true, vmac.span), name)
}
