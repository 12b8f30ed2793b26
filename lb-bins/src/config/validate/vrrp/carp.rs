//! Rules for CARP hosts.

use lb_vrrp::Family;

use super::addresses;
use super::instance::{garp, own_interface, same_family, virtual_mac, vrid};
use super::tracking::{Described, interfaces};
use super::{name, notify};
use crate::config::defaults;
use crate::config::draft::Field;
use crate::config::draft::vrrp as draft;
use crate::config::mistakes::Mistakes;
use crate::config::model::CarpInstance;
use crate::config::problem::{Problem, VrrpProblem};
use crate::config::source::{Span, Spanned};
use crate::config::validate::values::integer;
use crate::config::validate::{elements, is_empty};

pub(super) fn instance(
    Spanned { value: draft, span }: &Spanned<draft::CarpInstance>,
    described: &Described,
    mistakes: &mut Mistakes,
) -> CarpInstance {
    let interface = own_interface(&draft.interface, *span, mistakes);
    let addresses = addresses::addresses("addresses", &draft.addresses, &interface, mistakes);
    if is_empty(&draft.addresses) {
        let (what, key) = ("virtual hosts", "addresses");
        let sample = r#"addresses = ["10.0.0.200/24"]"#;
        mistakes.error(*span, VrrpProblem::Nothing { what, key, sample }.into());
    }
    let family = addresses.first().map_or(Family::V4, |first| Family::of(&first.address));
    let given = elements(&draft.addresses).iter().filter_map(|one| one.value.address.given());
    for network in given {
        same_family("addresses", network.value.address, family, network.span, mistakes);
    }
    addresses::report_repeated(&[&draft.addresses], mistakes);
    if let Some(source) = draft.source.given() {
        same_family("source", source.value, family, source.span, mistakes);
    }
    // Both at 255 say that a host gives up.
    let period = |key, field, least, default, mistakes: &mut Mistakes| {
        integer(key, field, least..=254_u8, default, mistakes)
    };
    let ratio = &draft.dead_ratio;
    let vhid = vrid("vhid", "vhid = 51", &draft.vhid, *span, mistakes);
    let default_mac = match family {
        Family::V4 => format!("carp.{vhid}"),
        Family::V6 => format!("carp6.{vhid}"),
    };
    CarpInstance {
        name: name(&draft.name, *span, r#"name = "web""#, mistakes),
        interface,
        vhid,
        advbase: period("advbase", &draft.advbase, 1, defaults::ADVBASE, mistakes),
        advskew: period("advskew", &draft.advskew, 0, defaults::ADVSKEW, mistakes),
        dead_ratio: integer("dead_ratio", ratio, 1..=100, defaults::DEAD_RATIO, mistakes),
        preempt: draft.preempt.or(defaults::CARP_PREEMPT),
        passphrase: passphrase(&draft.passphrase, *span, mistakes),
        source: draft.source.given().map(|source| source.value),
        addresses,
        virtual_mac: virtual_mac(&draft.use_vmac, &draft.vmac_interface, default_mac, mistakes),
        track_interfaces: interfaces(&draft.track_interfaces, mistakes),
        tracks: described.tracks(&draft.tracks, mistakes),
        garp: garp(&draft.garp, mistakes),
        notify: notify(&draft.notify, None, mistakes),
    }
}

fn passphrase(field: &Field<String>, span: Span, mistakes: &mut Mistakes) -> String {
    const MOST: usize = 20;
    match field {
        Field::Given(given) => {
            let length = given.value.len();
            if length == 0 {
                mistakes.error(given.span, Problem::Empty { key: "passphrase" });
            } else if length > MOST {
                mistakes.warning(given.span, VrrpProblem::LongPassphrase { length }.into());
            }
            return given.value.clone();
        }
        Field::Absent => {
            let sample = r#"passphrase = "secret""#;
            mistakes.error(span, Problem::Missing { key: "passphrase", sample });
        }
        Field::Refused => {}
    }
    String::new()
}
