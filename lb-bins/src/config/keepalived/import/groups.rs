//! Sync groups, and what they change in their members.

use std::collections::HashMap;

use super::notify::notify;
use super::tracking::{Described, if_any, mended, name};
use super::values::{Values, given};
use crate::config::draft::vrrp::{Track, VrrpInstance, VrrpSyncGroup};
use crate::config::draft::{Field, List};
use crate::config::keepalived::problem::Problem;
use crate::config::keepalived::tree::Statement;
use crate::config::source::Spanned;

/// What instances can track, in the order of [`lists`].
const WORDS: [&str; 4] = ["track_interface", "track_script", "track_file", "track_process"];

pub(super) fn draft(
    statement: &Statement,
    globals: &[&Statement],
    values: &mut Values<'_>,
) -> VrrpSyncGroup {
    let members = statement.each("group").flat_map(Statement::rows).flatten();
    let members = members.map(|word| Spanned { value: mended(&word.text), span: word.span });
    VrrpSyncGroup {
        name: name(statement, values),
        members: if_any(members.collect()),
        notify: notify(statement, globals, values),
    }
}

/// What a group tracks, each of its members tracks: they move together in any case. For the same
/// reason a member has no weights of its own: keepalived tracks nothing that has one.
pub(super) fn apply(
    groups: &[(&Statement, &VrrpSyncGroup)],
    instances: &mut [Spanned<VrrpInstance>],
    tracked: &Described<'_>,
    values: &mut Values<'_>,
) {
    let mut members: HashMap<String, &mut VrrpInstance> = instances
        .iter_mut()
        .filter_map(|instance| {
            let name = instance.value.name.given()?.value.clone();
            Some((name, &mut instance.value))
        })
        .collect();
    for (statement, group) in groups {
        let of_group = WORDS.map(|word| tracked.tracks(statement, word, values));
        let names = group.members.given().map_or(&[][..], |members| &members.value.elements);
        // The first member stands for all: a fault of one is a fault of the group.
        let mut of_group = Some(of_group);
        for name in names {
            let Some(instance) = members.get_mut(&name.value) else { continue };
            for (list, more) in lists(instance).into_iter().zip(of_group.take().unwrap_or_default())
            {
                add(list, more);
            }
            for list in lists(instance) {
                without_weights(list, tracked, values);
            }
        }
    }
}

fn lists(instance: &mut VrrpInstance) -> [&mut Field<List<Track>>; 4] {
    let VrrpInstance { track_interfaces, tracks, .. } = instance;
    [track_interfaces, &mut tracks.scripts, &mut tracks.files, &mut tracks.processes]
}

/// Adds what is not tracked yet.
fn add(field: &mut Field<List<Track>>, more: Vec<Spanned<Track>>) {
    let mut elements = match std::mem::take(field) {
        Field::Given(list) => list.value.elements,
        Field::Absent | Field::Refused => Vec::new(),
    };
    let name = |track: &Spanned<Track>| track.value.name.given().map(|name| name.value.clone());
    for track in more {
        if !elements.iter().any(|known| name(known) == name(&track)) {
            elements.push(track);
        }
    }
    *field = if_any(elements);
}

/// What keepalived 2.2.7 was seen to do: what has a weight is not tracked, and what has none is a fault,
/// whatever it weighs by default.
fn without_weights(
    field: &mut Field<List<Track>>,
    tracked: &Described<'_>,
    values: &mut Values<'_>,
) {
    let Field::Given(list) = field else { return };
    list.value.elements.retain_mut(|Spanned { value: track, span }| {
        let has_weight = tracked.has_weight(track);
        if let Some(name) = track.name.given().filter(|_| has_weight) {
            let problem = Problem::WeightInGroup { name: name.value.clone() };
            values.warning(track.weight.span().unwrap_or(name.span), problem);
        }
        track.weight = given(0, *span);
        !has_weight
    });
}
