//! How many scripts of checks run at once.

use std::collections::HashSet;

use super::values::given;
use crate::config::draft::check::Kind;
use crate::config::draft::{Checks, Field, VirtualServer};
use crate::config::source::Spanned;

/// Every host has room for as many (`max_scripts`).
const ALWAYS: usize = 2;
/// As many processes at once are much already; beyond that they take turns.
const MOST: usize = 1024;

/// Room for every `MISC_CHECK` at once. keepalived has no bound: there, scripts that hang keep no other from
/// running, and the servers of those from going down.
///
/// A power of two, so that a few scripts more take no restart.
pub(super) fn for_scripts(servers: &[Spanned<VirtualServer>]) -> Field<i64> {
    let backends = servers.iter().filter_map(|server| server.value.backends.given());
    let backends = backends.flat_map(|list| &list.value.elements);
    let checks = backends.filter_map(|backend| match &backend.value.checks.given()?.value {
        Checks::Listed(list) => Some(&list.elements),
        Checks::Unchecked => None,
    });
    let scripts =
        checks.flatten().filter(|check| matches!(check.value.kind, Some(Kind::Script(_))));
    // Those of a group are one for all of its addresses.
    let mut spans = HashSet::new();
    let last = scripts.filter(|check| spans.insert(check.span)).last().map(|check| check.span);
    match last {
        Some(span) if spans.len() > ALWAYS => {
            given(spans.len().next_power_of_two().min(MOST) as i64, span)
        }
        _ => Field::Absent,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use crate::config::Config;

    /// `max_scripts` for so many real servers with a script each, at these addresses of a group.
    fn most(scripts: usize, addresses: &[&str]) -> Option<u32> {
        let real = |number: usize| {
            format!(
                "real_server 192.0.{}.{} 80 {{\nMISC_CHECK {{\nmisc_path /bin/true\n}}\n\
                 TCP_CHECK {{\n}}\n}}\n",
                16 + number / 200,
                1 + number % 200
            )
        };
        let reals: String = (0..scripts).map(real).collect();
        let text = format!(
            "virtual_server_group all {{\n{}\n}}\n\
             virtual_server group all {{\nprotocol TCP\n{reals}}}\n",
            addresses.join("\n")
        );
        let config = Config::parse_keepalived("keepalived.conf", &text, "main").unwrap();
        config.max_scripts.map(NonZeroU32::get)
    }

    #[test]
    fn there_is_room_for_all_scripts() {
        const ONE: &[&str] = &["192.0.2.1 80"];
        let wanted =
            [(1, None), (2, None), (3, Some(4)), (4, Some(4)), (60, Some(64)), (2000, Some(1024))];
        for (scripts, most_at_once) in wanted {
            assert_eq!(most(scripts, ONE), most_at_once, "{scripts} scripts");
        }
    }

    #[test]
    fn those_of_a_group_are_one_for_all_addresses() {
        assert_eq!(most(4, &["192.0.2.1 80", "192.0.2.2 80", "192.0.2.3 80"]), Some(4));
    }
}
