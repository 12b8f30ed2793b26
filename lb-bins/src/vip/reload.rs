//! Taking over a configuration: the first, and every other without a flap.

use std::collections::{BTreeMap, HashMap, HashSet};

use lb_vrrp::driver::RouterId;
use lb_vrrp::{Channel, Signal, Start};
use tracing::info;

use super::claim::Claim;
use super::error::StartError;
use super::instance::Instance;
use super::keeper::Keeper;
use super::notices::{Happening, Notice, Subject, Teller};
use super::plan::{Machine, Plan};
use super::spec::Spec;
use super::watch::{Looked, Thing};
use crate::config::Config;
use crate::process::Unhurried;

/// What becomes of an instance of the new configuration.
enum Step {
    /// It stays as it is.
    Keep,
    /// The one of this name becomes this, in its state.
    Change(String, Box<Plan>),
    /// It is new, and known to the network already.
    Add(RouterId, Box<Plan>),
}

impl Keeper {
    /// Takes over `config` whole, or not at all. Instances that are as they were are not disturbed;
    /// others of the same interface, identifier and family change in place, their names included.
    pub(super) fn reconfigure(
        &mut self,
        mut config: Config,
        mut looked: Looked,
    ) -> Result<(), StartError> {
        looked.secrets.put_into(&mut config);
        let beside = self.beside.clone();
        let _beside = beside.enter();
        let signals = self.watches.signals(&mut looked);
        let mut opened = Vec::new();
        let steps = self.steps(&config, &signals, &mut opened);
        let steps = steps.inspect_err(|_| {
            for id in &opened {
                let _ = self.driver.network_mut().close(*id);
            }
        })?;
        // From here on nothing fails.
        self.statics.set(&config);
        self.notifier.take_over(&config, looked.telling);
        self.speakers.reconfigure(&config, &signals);
        self.watches.watch(&config, looked.checkers);
        let tellers = self.dismiss(&config, &steps)?;
        let fresh = self.install(&config, steps, tellers)?;
        self.driver.set_groups(&self.ids_of_groups(&config.vrrp_sync_groups))?;
        self.regroup(&config);
        // Members that were there before are what they are, and nothing happens to them that would say so.
        self.tell_groups();
        for id in fresh {
            self.driver.startup(id);
        }
        let (wanted, serve) = (config.admin.as_ref(), self.serve_admin);
        let admin = looked.admin.and_then(Unhurried::into_inner);
        self.administration.move_to(wanted, admin, serve, &self.handle);
        Ok(())
    }

    fn steps(
        &mut self,
        config: &Config,
        signals: &HashMap<Thing, Signal>,
        opened: &mut Vec<RouterId>,
    ) -> Result<HashMap<String, Step>, StartError> {
        let mut steps = HashMap::new();
        let Self { driver, instances, .. } = self;
        let specs: Vec<_> = Spec::all(config).collect();
        let mut known = predecessors(instances, &specs);
        for spec in specs {
            let name = || spec.name().to_owned();
            let known = known.remove(spec.name());
            if known.is_some_and(|known| known.spec == spec) {
                steps.insert(name(), Step::Keep);
                continue;
            }
            let seen = |thing: &Thing| signals.get(thing).copied().unwrap_or_default();
            let plan = Plan::of(&spec, known, seen);
            let plan = plan.map_err(|source| StartError::Instance { instance: name(), source })?;
            let refused = |source| StartError::Open {
                instance: name(),
                interface: spec.interface().to_owned(),
                source,
            };
            let network = driver.network_mut();
            let step = match known {
                Some(known) => {
                    network.can_become(known.id, &plan.channel, &plan.settings).map_err(refused)?;
                    Step::Change(known.spec.name().to_owned(), Box::new(plan))
                }
                None => {
                    let id = network.open(&plan.channel, plan.settings.clone()).map_err(refused)?;
                    opened.push(id);
                    Step::Add(id, Box::new(plan))
                }
            };
            steps.insert(name(), step);
        }
        Ok(steps)
    }

    /// Says good-bye to those that are in the configuration no more, or are others now; and by whom those
    /// are told that have such a name.
    fn dismiss(
        &mut self,
        config: &Config,
        steps: &HashMap<String, Step>,
    ) -> Result<HashMap<String, Teller>, StartError> {
        let stays: HashSet<_> = steps
            .iter()
            .filter_map(|(name, step)| match step {
                Step::Keep => Some(name),
                Step::Change(before, _) => Some(before),
                Step::Add(..) => None,
            })
            .collect();
        let gone: Vec<_> =
            self.instances.keys().filter(|name| !stays.contains(name)).cloned().collect();
        // A group goes on if it is to be the same, and nobody of it goes.
        let before = self.ids_of_groups(self.groups.iter().map(|group| &group.config));
        let id = |name: &String| match steps.get(name)? {
            Step::Keep => self.instances.get(name).map(|one| one.id),
            Step::Change(before, _) => self.instances.get(before).map(|one| one.id),
            Step::Add(id, _) => Some(*id),
        };
        let groups = config.vrrp_sync_groups.iter();
        let wanted: Vec<Vec<_>> =
            groups.map(|group| group.members.iter().filter_map(id).collect()).collect();
        let stays: Vec<_> = before.into_iter().filter(|ids| wanted.contains(ids)).collect();
        let whole: Vec<_> = stays
            .into_iter()
            .filter(|ids| !gone.iter().any(|name| ids.contains(&self.instances[name].id)))
            .collect();
        self.driver.set_groups(&whole)?;
        let mut tellers = HashMap::new();
        for name in gone {
            if let Some(mut instance) = self.instances.remove(&name) {
                self.names.remove(&instance.id);
                if let Some(step) = steps.get(&name) {
                    self.replace(&mut instance, step);
                    tellers.insert(name, std::mem::take(&mut instance.teller));
                }
                let id = instance.id;
                self.leaving.push(instance);
                self.driver.remove(id);
            }
        }
        Ok(tellers)
    }

    /// Another one has its name. That this one has gone is told first: it may answer for its addresses for
    /// longer, but what is told last of a name has to be what is.
    fn replace(&mut self, instance: &mut Instance, step: &Step) {
        let Self { instances, notifier, .. } = self;
        let renamed = match step {
            Step::Change(before, _) => instances.get_mut(before),
            Step::Add(..) | Step::Keep => None,
        };
        let (name, notify, priority) =
            (instance.spec.name(), instance.spec.notify(), instance.priority);
        let happening = Happening::gone(false, notify);
        let notice = Notice { subject: Subject::Instance, name, happening, priority };
        let teller = renamed.map_or(&mut instance.teller, |other| &mut other.teller);
        teller.tell(notice, notify, notifier);
        instance.is_replaced = true;
    }

    /// Changes those that stay and adds those that are new; says which have to be started.
    fn install(
        &mut self,
        config: &Config,
        mut steps: HashMap<String, Step>,
        mut tellers: HashMap<String, Teller>,
    ) -> Result<Vec<RouterId>, StartError> {
        let mut fresh = Vec::new();
        self.rename(&steps);
        for spec in Spec::all(config) {
            match steps.remove(spec.name()) {
                None | Some(Step::Keep) => {}
                Some(Step::Change(before, plan)) => {
                    let name = spec.name().to_owned();
                    self.change(spec, *plan)?;
                    if before != name {
                        self.introduce(&name);
                    }
                }
                Some(Step::Add(id, plan)) => {
                    fresh.push(id);
                    let teller = tellers.remove(spec.name()).unwrap_or_default();
                    self.add(id, spec, *plan, teller);
                }
            }
        }
        // Of those whose names others have that were there before.
        for teller in tellers.into_values() {
            tokio::spawn(teller.finish());
        }
        Ok(fresh)
    }

    /// All at once, since two may exchange their names.
    fn rename(&mut self, steps: &HashMap<String, Step>) {
        let mut renamed = Vec::new();
        for (name, step) in steps {
            if let Step::Change(before, _) = step
                && before != name
                && let Some(instance) = self.instances.remove(before)
            {
                info!(instance = before, "is called {name} now");
                renamed.push((name.clone(), instance));
            }
        }
        for (name, instance) in renamed {
            self.names.insert(instance.id, name.clone());
            self.instances.insert(name, instance);
        }
    }

    fn change(&mut self, spec: Spec, plan: Plan) -> Result<(), StartError> {
        let Some(instance) = self.instances.get_mut(spec.name()) else { return Ok(()) };
        let Plan { machine, channel, settings, debounce, things } = plan;
        self.driver.debounce(instance.id, debounce);
        let interfaces = settings.tracked.clone();
        info!(instance = spec.name(), "changed");
        match machine {
            Machine::Vrrp(router) => {
                self.driver.reconfigure(instance.id, router, channel, settings)?;
            }
            Machine::Carp(host, voice) => {
                self.driver.reconfigure_carp(instance.id, host, voice, &channel, settings);
            }
        }
        if let Spec::Vrrp(old) = &instance.spec
            && let Spec::Vrrp(new) = &spec
            && (&old.claim, &old.addresses) != (&new.claim, &new.addresses)
            && self.driver.holds_addresses(instance.id)
        {
            instance.claim = Claim::start(&spec);
        }
        instance.spec = spec;
        instance.things = things;
        instance.track_interfaces(&interfaces);
        Ok(())
    }

    fn add(&mut self, id: RouterId, spec: Spec, plan: Plan, teller: Teller) {
        let Plan { machine, channel, settings, debounce, things } = plan;
        match machine {
            Machine::Carp(host, voice) => {
                self.driver.add_carp(id, host, voice, channel.addresses().clone());
            }
            Machine::Vrrp(mut router) => {
                if self.succeeds(&spec) {
                    // Beside nobody it is there before the other one has gone.
                    router.start(Start::Master);
                }
                self.driver.add(id, router, Channel::new(channel));
            }
        }
        self.driver.debounce(id, debounce);
        let name = spec.name().to_owned();
        let mut instance = Instance::new(id, spec, teller);
        instance.things = things;
        instance.track_interfaces(&settings.tracked);
        self.names.insert(id, name.clone());
        self.instances.insert(name, instance);
    }

    /// Whether one that says good-bye has an address of this one.
    fn succeeds(&self, spec: &Spec) -> bool {
        let addresses = spec.addresses();
        self.leaving.iter().any(|old| {
            let mut theirs = old.spec.addresses().into_iter();
            self.driver.holds_addresses(old.id)
                && old.spec.interface() == spec.interface()
                && theirs.any(|address| addresses.contains(&address))
        })
    }
}

/// Which instance becomes which: one of the same identity, and of the same name if several share that
/// (virtual routers with the same identifier may speak to other peers). By the names to be.
pub(super) fn predecessors<'a>(
    instances: &'a BTreeMap<String, Instance>,
    specs: &[Spec],
) -> HashMap<String, &'a Instance> {
    let mut left: HashMap<_, Vec<_>> = HashMap::new();
    for known in instances.values() {
        left.entry(known.spec.identity()).or_default().push(known);
    }
    let mut found = HashMap::new();
    for by_name in [true, false] {
        for spec in specs {
            if found.contains_key(spec.name()) {
                continue;
            }
            let Some(alike) = left.get_mut(&spec.identity()) else { continue };
            let fits = |known: &&Instance| !by_name || known.spec.name() == spec.name();
            if let Some(at) = alike.iter().position(fits) {
                found.insert(spec.name().to_owned(), alike.swap_remove(at));
            }
        }
    }
    found
}
