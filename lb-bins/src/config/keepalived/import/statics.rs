//! What is there whoever is master: `static_ipaddress`, `static_routes` and `static_rules`.

use super::addresses::{self, Row};
use super::router::default_interface;
use super::routes::{route, rule};
use super::tracking::{each_once, if_any};
use super::values::Values;
use crate::config::draft::vrrp::{Route, Rule, VirtualAddress};
use crate::config::draft::{Field, List};
use crate::config::keepalived::tree::Statement;
use crate::config::source::Spanned;

/// What is read from each line of each block `word`.
fn rows<T>(
    statements: &[Statement],
    word: &str,
    mut read: impl FnMut(Row<'_>, &mut Values<'_>) -> Option<T>,
    values: &mut Values<'_>,
) -> Vec<Spanned<T>> {
    let mut found = Vec::new();
    for block in statements.iter().filter(|block| block.word() == word) {
        for words in block.rows() {
            let span = words.first().map_or(block.span, |first| first.span);
            let value = read(Row::new(block, words), values);
            found.extend(value.map(|value| Spanned { value, span }));
        }
    }
    found
}

/// Those without an interface are on `default_interface`.
pub(super) fn addresses(
    statements: &[Statement],
    globals: &[&Statement],
    values: &mut Values<'_>,
) -> Field<List<VirtualAddress>> {
    let read = |row: Row<'_>, values: &mut Values<'_>| {
        let mut address = addresses::address(row, values)?;
        if address.dev.is_absent()
            && let Some(span) = address.address.span()
        {
            address.dev = Field::Given(default_interface(globals, span, values));
        }
        Some(address)
    };
    let found = rows(statements, "static_ipaddress", read, values);
    let place = |address: &VirtualAddress| {
        let dev = address.dev.given()?.value.clone();
        Some(format!("{} on {dev}", address.address.given()?.value.address))
    };
    if_any(each_once(found, place, values))
}

pub(super) fn routes(statements: &[Statement], values: &mut Values<'_>) -> Field<List<Route>> {
    if_any(rows(statements, "static_routes", route, values))
}

/// Those of one block.
pub(super) fn rules(block: &Statement, values: &mut Values<'_>) -> Vec<Spanned<Rule>> {
    rows(std::slice::from_ref(block), "static_rules", rule, values)
}
