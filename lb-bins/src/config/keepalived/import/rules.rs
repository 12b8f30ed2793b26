//! Rules without a priority: each has one of its own, so that their order does not depend on who is master
//! first.

use super::values::{Values, given};
use crate::config::draft::vrrp::{Rule, VrrpInstance};
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::source::Spanned;
use lb_vrrp::Family;

/// As in keepalived (`RULE_START_PRIORITY`): the first in a file has this one, the next one less, so that the
/// last comes first. IPv4 and IPv6 are numbered apart.
const FIRST: i64 = 16_384;

/// Numbers the rules of all `instances`, and those of each block of `statics`, in the order of the file.
pub(super) fn number(
    statements: &[Statement],
    instances: &mut [Spanned<VrrpInstance>],
    statics: &mut [Vec<Spanned<Rule>>],
    values: &mut Values<'_>,
) {
    let (mut instances, mut statics) = (instances.iter_mut(), statics.iter_mut());
    let mut next = [FIRST; 2];
    for statement in statements {
        let rules = match statement.word() {
            "vrrp_instance" => {
                let instance = instances.next().map(|instance| &mut instance.value);
                instance.and_then(|instance| Some(&mut instance.rules.given_mut()?.value.elements))
            }
            "static_rules" => statics.next(),
            _ => None,
        };
        for Spanned { value: rule, span } in rules.into_iter().flatten() {
            if !rule.priority.is_absent() {
                continue;
            }
            let next = &mut next[usize::from(is_v6(rule))];
            let priority = std::mem::replace(next, *next - 1);
            values.warning(*span, Problem::RuleNumbered { priority });
            rule.priority = given(priority, *span);
        }
    }
}

fn is_v6(rule: &Rule) -> bool {
    let addresses = [&rule.from, &rule.to].into_iter().filter_map(|network| network.given());
    let mut families = addresses.map(|network| Family::of(&network.value.address));
    families.next().unwrap_or(rule.family.or(Family::V4)) == Family::V6
}
