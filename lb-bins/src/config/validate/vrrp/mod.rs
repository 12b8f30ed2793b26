//! Rules for virtual routers.

mod addresses;
mod announcement;
mod authentication;
mod carp;
mod claim;
mod identity;
mod instance;
mod routes;
mod tracking;

use std::collections::HashMap;
use std::path::PathBuf;

use lb_vrrp::Priority;
use lb_vrrp::linux::VirtualAddress;

use self::announcement::Instances;
use self::identity::Claimant;
use self::instance::instance;
use self::tracking::Described;
use super::values::command;
use super::{elements, report_bad_name, report_repeated};
use crate::config::defaults;
use crate::config::draft::vrrp as draft;
use crate::config::draft::{Draft, Field, List, VirtualServer};
use crate::config::mistakes::Mistakes;
use crate::config::model::{Config, Deleted, Notify, VrrpSyncGroup};
use crate::config::problem::{Problem, VrrpProblem};
use crate::config::source::{Span, Spanned};

/// All that is said of virtual routers; the rest of `config` is left as it is.
pub(super) fn virtual_routers(draft: &Draft, config: Config, mistakes: &mut Mistakes) -> Config {
    let described = Described::of(draft, mistakes);
    let drafts = elements(&draft.vrrp_instances);
    let vrrp_instances: Vec<_> =
        drafts.iter().map(|draft| instance(draft, &described, mistakes)).collect();
    let carp_drafts = elements(&draft.carp_instances);
    let carp_instances: Vec<_> =
        carp_drafts.iter().map(|draft| carp::instance(draft, &described, mistakes)).collect();
    let names = drafts.iter().map(|draft| &draft.value.name);
    let carp_names = carp_drafts.iter().map(|draft| &draft.value.name);
    repeated_names("instances", names.chain(carp_names), mistakes);
    let routers = drafts.iter().zip(&vrrp_instances).filter_map(|(draft, instance)| {
        Some(Claimant::of_router(instance, draft.value.virtual_router_id.given()?.span))
    });
    let hosts = carp_drafts.iter().zip(&carp_instances).filter_map(|(draft, instance)| {
        Some(Claimant::of_host(instance, draft.value.vhid.given()?.span))
    });
    identity::report_repeated(routers.chain(hosts), mistakes);
    let of_routers = drafts.iter().zip(&vrrp_instances).flat_map(|(draft, instance)| {
        let home = instance.virtual_mac.as_ref().unwrap_or(&instance.interface);
        let own = (&draft.value.addresses, &instance.addresses[..]);
        let excluded = (&draft.value.excluded_addresses, &instance.excluded_addresses[..]);
        addresses::places(&[own, excluded], home)
    });
    let of_hosts = carp_drafts.iter().zip(&carp_instances).flat_map(|(draft, instance)| {
        let home = instance.virtual_mac.as_ref().unwrap_or(&instance.interface);
        let own = (&draft.value.addresses, &instance.addresses[..]);
        addresses::places(&[own], home)
    });
    let virtual_places: Vec<_> = of_routers.chain(of_hosts).collect();
    report_repeated(
        virtual_places.iter().cloned(),
        |(address, interface)| VrrpProblem::AddressOfTwo { address, interface }.into(),
        mistakes,
    );
    let macs = drafts.iter().zip(&vrrp_instances).filter_map(|(draft, instance)| {
        let value = instance.virtual_mac.clone()?;
        Some(Spanned { value, span: draft.span })
    });
    let macs =
        macs.chain(carp_drafts.iter().zip(&carp_instances).filter_map(|(draft, instance)| {
            let value = instance.virtual_mac.clone()?;
            Some(Spanned { value, span: draft.span })
        }));
    report_repeated(macs, |interface| VrrpProblem::MacTwice { interface }.into(), mistakes);
    let vrrp_sync_groups = groups(draft, &config_of(drafts, &vrrp_instances), mistakes);
    let bgp_announcements = announcement::announcements(
        &draft.bgp_announcements,
        &described,
        &instances(draft),
        mistakes,
    );
    described.warn_of_unused(mistakes);
    let (static_addresses, static_routes, static_rules) = routes::statics(draft, mistakes);
    addresses::report_static(&draft.static_addresses, &static_addresses, &virtual_places, mistakes);
    Config {
        bgp_announcements,
        static_addresses,
        static_routes,
        static_rules,
        vrrp_instances,
        carp_instances,
        vrrp_sync_groups,
        vrrp_scripts: described.scripts,
        vrrp_checks: described.checks,
        vrrp_track_files: described.files,
        vrrp_track_processes: described.processes,
        ..config
    }
}

/// The instances of either protocol, by name.
fn instances(draft: &Draft) -> Instances {
    let routers = elements(&draft.vrrp_instances).iter().map(|draft| &draft.value.name);
    let hosts = elements(&draft.carp_instances).iter().map(|draft| &draft.value.name);
    let given = || routers.clone().chain(hosts.clone());
    let mut names: Vec<_> = given().filter_map(|name| Some(name.given()?.value.clone())).collect();
    names.sort();
    fn is_complete<T>(field: &Field<List<T>>) -> bool {
        !field.is_refused() && field.given().is_none_or(|list| list.value.complete)
    }
    let complete = is_complete(&draft.vrrp_instances)
        && is_complete(&draft.carp_instances)
        && given().all(|name| !name.is_refused());
    Instances { names, complete }
}

/// What groups want to know of an instance: its name, and whether something moves its priority.
type Members = HashMap<String, bool>;

fn config_of(
    drafts: &[Spanned<draft::VrrpInstance>],
    instances: &[crate::config::model::VrrpInstance],
) -> Members {
    let weighs = |instance: &crate::config::model::VrrpInstance| {
        let mut all = instance.track_interfaces.iter().chain(instance.tracks.all());
        all.any(|track| track.weight != 0)
    };
    let named =
        drafts.iter().zip(instances).filter(|(draft, _)| draft.value.name.given().is_some());
    named.map(|(_, instance)| (instance.name.clone(), weighs(instance))).collect()
}

fn groups(draft: &Draft, members: &Members, mistakes: &mut Mistakes) -> Vec<VrrpSyncGroup> {
    let drafts = elements(&draft.vrrp_sync_groups);
    repeated_names("sync groups", drafts.iter().map(|group| &group.value.name), mistakes);
    report_repeated(
        drafts.iter().flat_map(|group| elements(&group.value.members)).cloned(),
        |name| VrrpProblem::MemberTwice { name }.into(),
        mistakes,
    );
    let all_known = draft.vrrp_instances.given().is_none_or(|list| list.value.complete);
    let mut known: Vec<_> = members.keys().cloned().collect();
    known.sort();
    let group = |Spanned { value: group, span }: &Spanned<draft::VrrpSyncGroup>| {
        for member in elements(&group.members) {
            let name = member.value.clone();
            match members.get(&name) {
                Some(false) => {}
                Some(true) => {
                    mistakes.error(member.span, VrrpProblem::WeightedMember { name }.into());
                }
                None if !all_known => {}
                None => {
                    let (key, block, known) = ("members", "vrrp_instance", known.clone());
                    let problem = VrrpProblem::Undescribed { key, name, known, block };
                    mistakes.error(member.span, problem.into());
                }
            }
        }
        if super::is_empty(&group.members) {
            let (what, key) = ("sync groups", "members");
            let sample = r#"members = ["inside", "outside"]"#;
            mistakes.error(*span, VrrpProblem::Nothing { what, key, sample }.into());
        }
        VrrpSyncGroup {
            name: name(&group.name, *span, r#"name = "both""#, mistakes),
            members: elements(&group.members).iter().map(|member| member.value.clone()).collect(),
            notify: notify(&group.notify, None, mistakes),
        }
    };
    drafts.iter().map(group).collect()
}

/// What runs when something happens.
fn notify(
    draft: &draft::Notify,
    master_rx_lower_pri: Option<&Field<List<String>>>,
    mistakes: &mut Mistakes,
) -> Notify {
    let mut command = |key, field| command(key, field, mistakes).map(Box::new);
    let mut notify = Notify {
        any: command("notify", &draft.any),
        master: command("notify_master", &draft.master),
        backup: command("notify_backup", &draft.backup),
        fault: command("notify_fault", &draft.fault),
        stop: command("notify_stop", &draft.stop),
        deleted: match draft.deleted.given().map(|given| &given.value) {
            Some(deleted) if deleted.is_told => {
                Deleted::Told(command("notify_deleted", &deleted.command))
            }
            _ => Deleted::AsStop,
        },
        master_rx_lower_pri: master_rx_lower_pri
            .and_then(|field| command("notify_master_rx_lower_pri", field)),
        priority_changes: draft.priority_changes.or(false),
        smtp_alert: draft.smtp_alert.or(defaults::SMTP_ALERT),
        smtp_alert_faults: draft.smtp_alert_faults.or(defaults::SMTP_ALERT_FAULTS),
        user: None,
    };
    if let Some(user) = draft.user.given() {
        notify.run_as(&user.value);
    }
    notify
}

/// A name that must be there.
fn name(
    field: &Field<String>,
    span: Span,
    sample: &'static str,
    mistakes: &mut Mistakes,
) -> String {
    match field {
        Field::Given(name) => {
            report_bad_name(name, mistakes);
            return name.value.clone();
        }
        Field::Absent => mistakes.error(span, Problem::Missing { key: "name", sample }),
        Field::Refused => {}
    }
    String::new()
}

fn repeated_names<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a Field<String>>,
    mistakes: &mut Mistakes,
) {
    report_repeated(
        names.filter_map(|name| name.given().cloned()),
        |name| VrrpProblem::NameTwice { what, name }.into(),
        mistakes,
    );
}

/// A path from the root.
fn absolute(key: &'static str, field: &Field<String>, mistakes: &mut Mistakes) -> Option<PathBuf> {
    let Spanned { value: path, span } = field.given()?;
    if !path.starts_with('/') {
        mistakes.error(*span, VrrpProblem::RelativePath { key, path: path.clone() }.into());
    }
    super::values::characters(
        key,
        &Spanned { value: path.clone(), span: *span },
        |character| character != '\0',
        mistakes,
    );
    Some(PathBuf::from(path))
}

/// The name of an interface, as the kernel allows it (`dev_valid_name`).
fn interface(key: &'static str, name: &Spanned<String>, mistakes: &mut Mistakes) {
    let fits = (1..=15).contains(&name.value.len()) && !matches!(name.value.as_str(), "." | "..");
    let allowed = |character: char| {
        !matches!(character, '/' | ':' | '\0') && !character.is_ascii_whitespace()
    };
    if !fits || !name.value.chars().all(allowed) {
        let name_given = name.value.clone();
        mistakes.error(name.span, VrrpProblem::BadInterface { key, name: name_given }.into());
    }
}

/// The same, where it may be missing.
fn optional_interface(
    key: &'static str,
    field: &Field<String>,
    mistakes: &mut Mistakes,
) -> Option<String> {
    let given = field.given()?;
    interface(key, given, mistakes);
    Some(given.value.clone())
}

/// Nothing, in the place of what was refused.
const fn no_address() -> VirtualAddress {
    VirtualAddress::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
}

/// Virtual servers whose address is there, and dropped.
pub(super) fn warn_of_unreachable(
    config: &Config,
    drafts: &[Spanned<VirtualServer>],
    mistakes: &mut Mistakes,
) {
    for (draft, server) in drafts.iter().zip(&config.virtual_servers) {
        let address = server.listen.ip();
        let deaf = config.vrrp_instances.iter().find(|one| {
            let mut all = one.addresses.iter().chain(&one.excluded_addresses);
            !one.accept && one.priority != Priority::OWNER && all.any(|one| one.address == address)
        });
        if let (Some(instance), Some(given)) = (deaf, draft.value.listen.given()) {
            let instance = instance.name.clone();
            let problem = VrrpProblem::NotAccepted { address, instance };
            mistakes.warning(given.span, problem.into());
        }
    }
}
