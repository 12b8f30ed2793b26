//! Prints virtual routers.

use std::fmt;
use std::net::IpAddr;

use lb_vrrp::{Announcements, Freshness, Peer, Preempt, Reach};

use super::addresses::{inline_address, inline_route, inline_rule};
use super::announcement::announcement;
use super::check::print_checks;
use super::claim::inline_claim;
use super::{account, array, command, duration, optional, table, text};
use crate::config::model::check::Nibbles;
use crate::config::model::{
    Authentication, CarpInstance, Config, Delays, Deleted, HmacKey, KeySecret, Notify, Track,
    Tracks, VrrpCheck, VrrpInstance, VrrpScript, VrrpSyncGroup, VrrpTrackFile, VrrpTrackProcess,
};
use crate::config::words::Word;

pub(super) fn virtual_routers(f: &mut fmt::Formatter<'_>, config: &Config) -> fmt::Result {
    config.vrrp_scripts.iter().try_for_each(|one| script(f, one))?;
    config.vrrp_checks.iter().try_for_each(|one| check(f, one))?;
    config.vrrp_track_files.iter().try_for_each(|one| file(f, one))?;
    config.vrrp_track_processes.iter().try_for_each(|one| process(f, one))?;
    config.vrrp_instances.iter().try_for_each(|one| instance(f, one))?;
    config.vrrp_sync_groups.iter().try_for_each(|one| group(f, one))?;
    config.carp_instances.iter().try_for_each(|one| carp_instance(f, one))?;
    config.bgp_announcements.iter().try_for_each(|one| announcement(f, one))
}

fn carp_instance(f: &mut fmt::Formatter<'_>, instance: &CarpInstance) -> fmt::Result {
    let CarpInstance {
        name,
        interface,
        vhid,
        advbase,
        advskew,
        dead_ratio,
        preempt,
        passphrase,
        source,
        addresses,
        virtual_mac,
        garp,
        track_interfaces,
        tracks,
        notify,
    } = instance;
    writeln!(f, "\n[[carp_instance]]")?;
    writeln!(f, "name = {}", text(name))?;
    writeln!(f, "interface = {}", text(interface))?;
    writeln!(f, "vhid = {vhid}")?;
    writeln!(f, "advbase = {advbase}")?;
    writeln!(f, "advskew = {advskew}")?;
    writeln!(f, "dead_ratio = {dead_ratio}")?;
    writeln!(f, "preempt = {preempt}")?;
    writeln!(f, "passphrase = {}", text(passphrase))?;
    optional(f, "source", source.map(|source| text(&source.to_string())))?;
    list(f, "addresses", addresses, inline_address)?;
    writeln!(f, "use_vmac = {}", virtual_mac.is_some())?;
    optional(f, "vmac_interface", virtual_mac.as_deref().map(text))?;
    writeln!(f, "garp = {}", inline_garp(*garp))?;
    list(f, "track_interfaces", track_interfaces, inline_track)?;
    print_tracks(f, tracks)?;
    print_notify(f, notify)
}

fn instance(f: &mut fmt::Formatter<'_>, instance: &VrrpInstance) -> fmt::Result {
    let VrrpInstance {
        name,
        interface,
        virtual_router_id,
        version,
        state,
        priority,
        advert_interval,
        down_timer_adverts,
        preempt,
        accept,
        delays,
        parting_advert,
        checksum,
        source,
        reach,
        authentication,
        addresses,
        excluded_addresses,
        routes,
        rules,
        virtual_mac,
        vmac_xmit_base,
        garp,
        track_primary,
        track_interfaces,
        tracks,
        claim,
        notify,
    } = instance;
    writeln!(f, "\n[[vrrp_instance]]")?;
    writeln!(f, "name = {}", text(name))?;
    writeln!(f, "interface = {}", text(interface))?;
    writeln!(f, "virtual_router_id = {virtual_router_id}")?;
    writeln!(f, "version = {version}")?;
    writeln!(f, "state = {}", text(state.word()))?;
    writeln!(f, "priority = {priority}")?;
    writeln!(f, "advert_interval = {}", text(&duration(advert_interval.as_duration())))?;
    writeln!(f, "down_timer_adverts = {down_timer_adverts}")?;
    print_preempt(f, *preempt)?;
    writeln!(f, "accept = {accept}")?;
    print_delays(f, *delays)?;
    writeln!(f, "parting_advert = {parting_advert}")?;
    writeln!(f, "checksum = {}", text(checksum.word()))?;
    print_reach(f, *source, reach)?;
    optional(f, "authentication", inline_authentication(authentication))?;
    match addresses.is_empty() {
        true => writeln!(f, "addresses = []")?,
        false => list(f, "addresses", addresses, inline_address)?,
    }
    list(f, "excluded_addresses", excluded_addresses, inline_address)?;
    list(f, "routes", routes, inline_route)?;
    list(f, "rules", rules, inline_rule)?;
    writeln!(f, "use_vmac = {}", virtual_mac.is_some())?;
    optional(f, "vmac_interface", virtual_mac.as_deref().map(text))?;
    // Without a virtual MAC address it has no effect, and a key for it is warned of; but it is not lost.
    if virtual_mac.is_some() || *vmac_xmit_base {
        writeln!(f, "vmac_xmit_base = {vmac_xmit_base}")?;
    }
    writeln!(f, "garp = {}", inline_garp(*garp))?;
    writeln!(f, "track_primary = {track_primary}")?;
    list(f, "track_interfaces", track_interfaces, inline_track)?;
    print_tracks(f, tracks)?;
    optional(f, "claim", claim.as_deref().map(inline_claim))?;
    print_notify(f, notify)?;
    let lower = notify.master_rx_lower_pri.as_deref();
    optional(f, "notify_master_rx_lower_pri", lower.map(command))
}

/// One element a line: routes and addresses may be many.
pub(super) fn list<T>(
    f: &mut fmt::Formatter<'_>,
    key: &str,
    elements: &[T],
    inline: impl Fn(&T) -> String,
) -> fmt::Result {
    match elements {
        [] => optional(f, key, None),
        [one] => writeln!(f, "{key} = [{}]", inline(one)),
        several => {
            writeln!(f, "{key} = [")?;
            several.iter().try_for_each(|one| writeln!(f, "    {},", inline(one)))?;
            writeln!(f, "]")
        }
    }
}

fn print_delays(f: &mut fmt::Formatter<'_>, delays: Delays) -> fmt::Result {
    let Delays { startup, after_boot, interface_down, interface_up } = delays;
    for (key, delay) in [
        ("startup_delay", startup),
        ("delay_after_boot", after_boot),
        ("interface_down_delay", interface_down),
        ("interface_up_delay", interface_up),
    ] {
        writeln!(f, "{key} = {}", text(&duration(delay)))?;
    }
    Ok(())
}

fn print_preempt(f: &mut fmt::Formatter<'_>, preempt: Preempt) -> fmt::Result {
    let delay = match preempt {
        Preempt::After(delay) => delay,
        _ => std::time::Duration::ZERO,
    };
    writeln!(f, "preempt = {}", preempt != Preempt::Never)?;
    writeln!(f, "preempt_delay = {}", text(&duration(delay)))
}

fn print_reach(f: &mut fmt::Formatter<'_>, source: Option<IpAddr>, reach: &Reach) -> fmt::Result {
    let source = source.map(|source| text(&source.to_string()));
    match reach {
        Reach::Multicast { group } => {
            optional(f, "multicast_source", source)?;
            writeln!(f, "multicast_group = {}", text(&group.to_string()))?;
            optional(f, "unicast_peers", None)
        }
        Reach::Unicast { peers, check_source } => {
            optional(f, "unicast_source", source)?;
            list(f, "unicast_peers", peers, inline_peer)?;
            writeln!(f, "check_unicast_source = {check_source}")
        }
        _ => Ok(()),
    }
}

fn inline_peer(peer: &Peer) -> String {
    let address = text(&peer.address.to_string());
    if peer.hop_limits == (0..=255) {
        return address;
    }
    let (min, max) = (peer.hop_limits.start(), peer.hop_limits.end());
    format!("{{ address = {address}, min_ttl = {min}, max_ttl = {max} }}")
}

fn inline_authentication(authentication: &Authentication) -> Option<String> {
    Some(match authentication {
        Authentication::None => return None,
        Authentication::Pass(password) => {
            format!("{{ type = \"pass\", password = {} }}", text(password))
        }
        Authentication::Ah(password) => {
            format!("{{ type = \"ah\", password = {} }}", text(password))
        }
        Authentication::Hmac { keys, mode, freshness } => {
            let keys: Vec<_> = keys.iter().map(inline_key).collect();
            let window = match freshness {
                Some(Freshness::Window(window)) => Some(text(&duration(*window))),
                _ => None,
            };
            table(&[
                ("type", Some(text("hmac"))),
                ("keys", Some(format!("[{}]", keys.join(", ")))),
                ("mode", Some(text(mode.word()))),
                ("window", window),
                ("monotonic", Some((*freshness == Some(Freshness::Monotonic)).to_string())),
            ])
        }
    })
}

fn inline_key(HmacKey { id, secret }: &HmacKey) -> String {
    let (key, secret) = match secret {
        KeySecret::File(path) => ("secret_file", text(&path.display().to_string())),
        KeySecret::Octets(octets) => {
            ("secret_hex", text(&Nibbles::exactly(octets.clone()).to_string()))
        }
        KeySecret::Text(secret) => ("secret", text(secret)),
    };
    format!("{{ id = {id}, {key} = {secret} }}")
}

fn inline_garp(garp: Announcements) -> String {
    let Announcements { first, second_after, reaction, refresh, spacing, .. } = garp;
    let times = [second_after, refresh, spacing];
    let [delay, refresh, interval] = times.map(|time| text(&duration(time)));
    format!(
        "{{ repeat = {first}, delay = {delay}, lower_prio_repeat = {reaction}, \
         refresh = {refresh}, interval = {interval} }}"
    )
}

pub(super) fn print_tracks(f: &mut fmt::Formatter<'_>, tracks: &Tracks) -> fmt::Result {
    let Tracks { scripts, files, processes, checks, quorums } = tracks;
    for (key, tracks) in [
        ("track_scripts", scripts),
        ("track_files", files),
        ("track_processes", processes),
        ("track_checks", checks),
        ("track_quorums", quorums),
    ] {
        list(f, key, tracks, inline_track)?;
    }
    Ok(())
}

fn inline_track(Track { name, weight, reverse }: &Track) -> String {
    format!("{{ name = {}, weight = {weight}, reverse = {reverse} }}", text(name))
}

fn print_notify(f: &mut fmt::Formatter<'_>, notify: &Notify) -> fmt::Result {
    let Notify {
        any,
        master,
        backup,
        fault,
        stop,
        deleted,
        master_rx_lower_pri: _,
        priority_changes,
        smtp_alert,
        smtp_alert_faults,
        user,
    } = notify;
    for (key, hook) in [
        ("notify", any),
        ("notify_master", master),
        ("notify_backup", backup),
        ("notify_fault", fault),
        ("notify_stop", stop),
    ] {
        optional(f, key, hook.as_deref().map(command))?;
    }
    let deleted = match deleted {
        Deleted::AsStop => None,
        Deleted::Told(run) => Some(run.as_deref().map_or_else(|| true.to_string(), command)),
    };
    optional(f, "notify_deleted", deleted)?;
    writeln!(f, "notify_priority_changes = {priority_changes}")?;
    writeln!(f, "smtp_alert = {smtp_alert}")?;
    // Without mail it has no effect; but it is not lost.
    if *smtp_alert || !smtp_alert_faults {
        writeln!(f, "smtp_alert_faults = {smtp_alert_faults}")?;
    }
    optional(f, "notify_user", user.as_ref().map(account))
}

fn group(f: &mut fmt::Formatter<'_>, group: &VrrpSyncGroup) -> fmt::Result {
    let VrrpSyncGroup { name, members, notify } = group;
    writeln!(f, "\n[[vrrp_sync_group]]")?;
    writeln!(f, "name = {}", text(name))?;
    writeln!(f, "members = {}", array(members.iter()))?;
    print_notify(f, notify)
}

fn script(f: &mut fmt::Formatter<'_>, script: &VrrpScript) -> fmt::Result {
    let VrrpScript { name, command: run, interval, timeout, rise, fall, weight, initial } = script;
    writeln!(f, "\n[[vrrp_script]]")?;
    writeln!(f, "name = {}", text(name))?;
    writeln!(f, "command = {}", command(run))?;
    writeln!(f, "interval = {}", text(&duration(*interval)))?;
    writeln!(f, "timeout = {}", text(&duration(*timeout)))?;
    writeln!(f, "rise = {rise}")?;
    writeln!(f, "fall = {fall}")?;
    writeln!(f, "weight = {weight}")?;
    writeln!(f, "initial = {}", text(initial.word()))?;
    optional(f, "user", run.user.as_ref().map(account))
}

fn check(f: &mut fmt::Formatter<'_>, check: &VrrpCheck) -> fmt::Result {
    let VrrpCheck { name, target, checks, weight } = check;
    writeln!(f, "\n[[vrrp_check]]")?;
    writeln!(f, "name = {}", text(name))?;
    optional(f, "target", target.map(|target| text(&target.to_string())))?;
    writeln!(f, "weight = {weight}")?;
    print_checks(f, "vrrp_check", checks)
}

fn file(f: &mut fmt::Formatter<'_>, file: &VrrpTrackFile) -> fmt::Result {
    let VrrpTrackFile { name, file, weight } = file;
    writeln!(f, "\n[[vrrp_track_file]]")?;
    writeln!(f, "name = {}", text(name))?;
    writeln!(f, "file = {}", text(&file.display().to_string()))?;
    writeln!(f, "weight = {weight}")
}

fn process(f: &mut fmt::Formatter<'_>, process: &VrrpTrackProcess) -> fmt::Result {
    let VrrpTrackProcess {
        name,
        process,
        parameters,
        parameter_match,
        quorum,
        quorum_max,
        up_delay,
        down_delay,
        weight,
    } = process;
    writeln!(f, "\n[[vrrp_track_process]]")?;
    writeln!(f, "name = {}", text(name))?;
    writeln!(f, "process = {}", text(process))?;
    optional(f, "parameters", parameters.as_ref().map(|all| array(all.iter())))?;
    if parameters.is_some() {
        writeln!(f, "parameter_match = {}", text(parameter_match.word()))?;
    }
    writeln!(f, "quorum = {quorum}")?;
    optional(f, "quorum_max", quorum_max.map(|most| most.to_string()))?;
    writeln!(f, "up_delay = {}", text(&duration(*up_delay)))?;
    writeln!(f, "down_delay = {}", text(&duration(*down_delay)))?;
    writeln!(f, "weight = {weight}")
}
