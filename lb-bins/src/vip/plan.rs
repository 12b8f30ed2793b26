//! From what a configuration says of an instance to what drives it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use lb_vrrp::carp::{CarpChannel, CarpConfig};
use lb_vrrp::driver::Debounce;
use lb_vrrp::linux::Settings;
use lb_vrrp::wire::CarpKey;
use lb_vrrp::{
    AddressList, ChannelConfig, Config, ConfigError, Family, HmacKeys, Signal, Tracker, TrackerId,
    Vrid,
};

use super::instance::Instance;
use super::spec::Spec;
use super::watch::Thing;
use crate::config::{Authentication, CarpInstance, Delays, KeySecret, Track, Tracks, VrrpInstance};

/// All that drives one instance.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) machine: Machine,
    /// Who it is on the wire.
    pub(super) channel: ChannelConfig,
    pub(super) settings: Settings,
    /// How long a change of an interface must last.
    pub(super) debounce: Debounce,
    /// What it depends on, beside interfaces.
    pub(super) things: Vec<(Thing, TrackerId)>,
}

/// Why an instance cannot be driven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// What validation should have refused, or a secret of a file that is too short or too long.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A secret is not there.
    #[error("{path}: {source}", path = .path.display())]
    Secret {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
}

/// Who decides.
#[derive(Debug)]
pub(super) enum Machine {
    Carp(CarpConfig, CarpChannel),
    Vrrp(Config),
}

impl Plan {
    /// `seen` says what is known of what it depends on; the instance that it was `before`, if it was one, how
    /// its router calls that. Keys of files are in the specification already.
    ///
    /// # Errors
    /// A secret that is not there, and what validation should have found.
    pub(super) fn of(
        spec: &Spec,
        before: Option<&Instance>,
        seen: impl Fn(&Thing) -> Signal,
    ) -> Result<Self, PlanError> {
        let names = Names::new(before);
        match spec {
            Spec::Carp(instance) => Ok(Self::of_carp(instance, names, seen)?),
            Spec::Vrrp(instance) => Self::of_vrrp(instance, names, seen),
        }
    }

    fn of_carp(
        instance: &CarpInstance,
        mut names: Names<'_>,
        seen: impl Fn(&Thing) -> Signal,
    ) -> Result<Self, ConfigError> {
        let addresses = AddressList::new(instance.addresses.iter().map(|one| one.address))?;
        let source = source(instance.source, instance.family());
        let mut host = CarpConfig::new(source);
        host.period(instance.advbase, instance.advskew)?
            .dead_ratio(instance.dead_ratio)?
            .preempt(instance.preempt)
            .announcements(instance.garp)
            // Not one that was used before.
            .first_counter(rand::random());
        let passphrase = instance.passphrase.as_bytes();
        let key = CarpKey::new(passphrase, instance.vhid, addresses.as_addresses());
        let mut settings = Settings::new(&instance.interface);
        settings.addresses.clone_from(&instance.addresses);
        settings.virtual_mac.clone_from(&instance.virtual_mac);
        for track in &instance.track_interfaces {
            let id = names.of_interface(&track.name);
            host.track(id, tracker(track));
            settings.tracked.push((track.name.clone(), id));
        }
        let things = things(&instance.tracks, names, seen, |id, tracker| {
            host.track(id, tracker);
        });
        Ok(Self {
            machine: Machine::Carp(host, CarpChannel::new(source, key)),
            channel: ChannelConfig::new(instance.vhid, source, addresses)?,
            settings,
            debounce: Debounce::default(),
            things,
        })
    }

    fn of_vrrp(
        instance: &VrrpInstance,
        mut names: Names<'_>,
        seen: impl Fn(&Thing) -> Signal,
    ) -> Result<Self, PlanError> {
        let addresses = match instance.addresses.is_empty() {
            true => AddressList::empty(instance.family()),
            false => AddressList::new(instance.addresses.iter().map(|one| one.address))?,
        };
        let source = source(instance.source, instance.family());
        let mut channel = ChannelConfig::new(instance.virtual_router_id, source, addresses)?;
        channel
            .version(instance.version, instance.advert_interval)?
            .authentication(authentication(&instance.authentication)?)?
            .reach(instance.reach.clone())?
            .checksum(instance.checksum);

        let mut router = Config::of(&channel);
        router
            .priority(instance.priority)?
            .down_after(instance.down_timer_adverts)?
            .preempt(instance.preempt)
            .accept(instance.accept)
            .announcements(instance.garp)
            .parting_advertisement(instance.parting_advert)
            .phase(phase(&instance.interface, instance.virtual_router_id))
            .start(instance.state)
            .startup_delay(startup_delay(instance.delays));

        let mut settings = Settings::new(&instance.interface);
        settings.addresses = [&instance.addresses[..], &instance.excluded_addresses].concat();
        settings.accept = router.accepts();
        settings.routes.clone_from(&instance.routes);
        settings.rules.clone_from(&instance.rules);
        settings.virtual_mac.clone_from(&instance.virtual_mac);
        settings.speaks_by_virtual_mac = !instance.vmac_xmit_base;
        settings.tracks_interface = instance.track_primary;
        for track in &instance.track_interfaces {
            let id = names.of_interface(&track.name);
            router.track(id, tracker(track));
            settings.tracked.push((track.name.clone(), id));
        }
        let things = things(&instance.tracks, names, seen, |id, tracker| {
            router.track(id, tracker);
        });
        let Delays { interface_down, interface_up, .. } = instance.delays;
        let debounce = Debounce::new(interface_down, interface_up);
        Ok(Self { machine: Machine::Vrrp(router), channel, settings, debounce, things })
    }
}

/// Anything that is another one for another router (FNV-1a).
fn phase(interface: &str, vrid: Vrid) -> u16 {
    let octets = interface.bytes().chain([vrid.get()]);
    let hash = octets
        .fold(0x811c_9dc5_u32, |hash, octet| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193));
    (hash ^ hash >> 16) as u16
}

/// Unspecified, it is the interface's own.
fn source(source: Option<IpAddr>, family: Family) -> IpAddr {
    source.unwrap_or(match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    })
}

/// How long it is silent from now on. A host that has been up for long waits no more.
fn startup_delay(delays: Delays) -> Duration {
    let up = u64::try_from(rustix::system::sysinfo().uptime).unwrap_or_default();
    let rest = delays.after_boot.saturating_sub(Duration::from_secs(up));
    delays.startup.max(rest)
}

/// How a router calls what it depends on: as before, as long as it depends on it, so that it goes on knowing
/// what it knows.
struct Names<'i> {
    before: Option<&'i Instance>,
    /// No other thing was called that before.
    next: u32,
}

impl<'i> Names<'i> {
    fn new(before: Option<&'i Instance>) -> Self {
        let known = before.into_iter().flat_map(Instance::trackers);
        let next = known.map(|id| id.get().saturating_add(1)).max().unwrap_or(0);
        Self { before, next }
    }

    fn of_interface(&mut self, name: &str) -> TrackerId {
        let known = self.before.and_then(|before| before.tracker_of_interface(name));
        known.unwrap_or_else(|| self.fresh())
    }

    fn of_thing(&mut self, thing: &Thing) -> TrackerId {
        let known = self.before.and_then(|before| before.tracker_of(thing));
        known.unwrap_or_else(|| self.fresh())
    }

    fn fresh(&mut self) -> TrackerId {
        let fresh = TrackerId::new(self.next);
        self.next = self.next.saturating_add(1);
        fresh
    }
}

/// What an instance depends on, beside interfaces.
fn things(
    tracks: &Tracks,
    mut names: Names<'_>,
    seen: impl Fn(&Thing) -> Signal,
    mut add: impl FnMut(TrackerId, Tracker),
) -> Vec<(Thing, TrackerId)> {
    let tracked = |(thing, track)| {
        let id = names.of_thing(&thing);
        add(id, tracker(track).initially(seen(&thing)));
        (thing, id)
    };
    Thing::all_of(tracks).map(tracked).collect()
}

fn tracker(track: &Track) -> Tracker {
    let tracker = Tracker::weighing(track.weight);
    if track.reverse { tracker.reversed() } else { tracker }
}

fn authentication(authentication: &Authentication) -> Result<lb_vrrp::Authentication, PlanError> {
    Ok(match authentication {
        Authentication::None => lb_vrrp::Authentication::NONE,
        Authentication::Pass(password) => lb_vrrp::Authentication::password(password.as_bytes()),
        Authentication::Ah(password) => lb_vrrp::Authentication::ah(password.as_bytes()),
        Authentication::Hmac { keys, mode, freshness } => {
            let mut all = keys.iter();
            let Some(first) = all.next() else { return Err(ConfigError::KeyId.into()) };
            let mut keys = HmacKeys::new(first.id, &octets(&first.secret)?)?;
            for key in all {
                keys.accept(key.id, &octets(&key.secret)?)?;
            }
            keys.migration(*mode);
            if let Some(freshness) = freshness {
                keys.freshness(*freshness);
            }
            lb_vrrp::Authentication::hmac(keys)
        }
    })
}

/// The secret itself; of a file it was read [before](super::secrets), or is not there.
fn octets(secret: &KeySecret) -> Result<Vec<u8>, PlanError> {
    match secret {
        KeySecret::Octets(octets) => Ok(octets.clone()),
        KeySecret::Text(text) => Ok(text.clone().into_bytes()),
        KeySecret::File(path) => {
            Err(PlanError::Secret { path: path.clone(), source: io::ErrorKind::NotFound.into() })
        }
    }
}
