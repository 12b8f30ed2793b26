//! Any sequence of reloads, verdicts and administrators' words against a naive model: identities,
//! counters, health and the administrator's word survive; nothing is published twice or in vain.

use crate::support;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use lb_core::backend::{BackendId, Limits};
use lb_core::health::{Admin, ReportedWeight};
use lb_core::virtual_server::{Action, BackendConfig, BackendState, Event, VirtualServerConfig};
use lb_core::{Algorithm, Director, Health, Lease, VirtualServer, Weight};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest,
};
use proptest::sample::subsequence;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

#[derive(Clone, Debug)]
enum Input {
    Admin(usize, Admin),
    Drain,
    Health(usize, Option<Option<u16>>),
    /// Names in order, each with its weight.
    Reload(Vec<(&'static str, u16)>),
    Scheduler(Algorithm),
    Serve,
    Weight(usize, u16),
}

fn input() -> impl Strategy<Value = Input> {
    let place = || 0..NAMES.len();
    let names = subsequence(NAMES.to_vec(), 0..=NAMES.len()).prop_shuffle();
    let reload = (names, vec(0..4_u16, NAMES.len()))
        .prop_map(|(names, weights)| Input::Reload(names.into_iter().zip(weights).collect()));
    let admin = proptest::prop_oneof![
        Just(Admin::Ready),
        Just(Admin::Drain),
        Just(Admin::Drained),
        Just(Admin::Maintenance)
    ];
    let verdict = proptest::prop_oneof![
        2 => Just(None),
        4 => Just(Some(None)),
        1 => (0..9_u16).prop_map(|weight| Some(Some(weight))),
    ];
    proptest::prop_oneof![
        2 => (place(), admin).prop_map(|(place, admin)| Input::Admin(place, admin)),
        6 => Just(Input::Drain),
        6 => (place(), verdict).prop_map(|(place, verdict)| Input::Health(place, verdict)),
        2 => reload,
        1 => (0..Algorithm::ALL.len()).prop_map(|place| Input::Scheduler(Algorithm::ALL[place])),
        4 => Just(Input::Serve),
        2 => (place(), 0..4_u16).prop_map(|(place, weight)| Input::Weight(place, weight)),
    ]
}

/// What is known of one configured backend.
#[derive(Clone, Debug)]
struct Known {
    id: BackendId,
    configured: u16,
    /// The administrator's.
    ordered: Option<u16>,
    admin: Admin,
    /// `None` before the first verdict; then down, or up with a reported weight or without.
    verdict: Option<Option<Option<u16>>>,
    total: u64,
}

impl Known {
    /// Whether it lives, and not even its clients come any more.
    fn is_drained(&self) -> bool {
        self.admin == Admin::Drained && matches!(self.verdict, Some(Some(_)))
    }

    fn live_weight(&self) -> Option<u16> {
        match (self.admin, self.verdict??) {
            (Admin::Drain, _) => Some(0),
            (Admin::Ready, reported) => Some(match (self.ordered, reported) {
                (Some(0), _) | (_, Some(0)) => 0,
                (ordered, None) => ordered.unwrap_or(self.configured),
                (None, Some(reported)) => reported,
                // As much more or less than what the report is about.
                (Some(ordered), Some(reported)) => {
                    (ordered + reported).saturating_sub(self.configured)
                }
            }),
            _ => None,
        }
    }
}

/// Configured backends in order, and the one with a place in `NAMES`.
type Model = Vec<(&'static str, Known)>;

fn config(shares: &[(&'static str, u16)]) -> VirtualServerConfig<&'static str> {
    let backends = shares.iter().map(|&(name, weight)| BackendConfig::named(name).weighing(weight));
    // A quorum of 1 would refuse nothing here: weights of 0 for all are fine.
    VirtualServerConfig::of(backends)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_virtual_server_is_its_model(inputs in vec(input(), 1..80)) {
        let mut server = VirtualServer::new(config(&[]), Algorithm::Rr.scheduler()).unwrap();
        let mut model: Model = Vec::new();
        let mut issued = BTreeSet::new();
        // Who was removed while flows were there.
        let mut departed: Model = Vec::new();
        let mut leases: Vec<Lease<&'static str>> = Vec::new();
        let (mut generation, mut quorum, mut drained) = (0, false, 0);
        let mut must_publish = true;
        // Who has come up or gone down since the last drain, in order.
        let mut news: Vec<(BackendId, bool)> = Vec::new();
        let mut rng = support::seeded(1);

        for input in inputs {
            let known = |model: &Model, place: usize| model.iter().position(|&(name, _)| name == NAMES[place]);
            match input {
                Input::Admin(place, admin) => {
                    if let Some(at) = known(&model, place) {
                        prop_assert!(server.set_admin(support::start(), model[at].1.id, admin));
                        model[at].1.admin = admin;
                    }
                }
                Input::Weight(place, weight) => {
                    if let Some(at) = known(&model, place) {
                        prop_assert!(server.set_weight(support::start(), model[at].1.id, Weight::new(weight)));
                        model[at].1.ordered = Some(weight);
                    }
                }
                Input::Health(place, verdict) => {
                    if let Some(at) = known(&model, place) {
                        let health = match verdict {
                            None => Health::Down,
                            Some(None) => Health::UP,
                            Some(Some(weight)) => Health::weighing(Weight::new(weight)),
                        };
                        server.handle_health(support::start(), model[at].1.id, health);
                        // Whoever was removed and came back is checked anew, and told anew.
                        let before = model[at].1.verdict.replace(verdict);
                        if before.map(|before| before.is_some()) != Some(verdict.is_some()) {
                            news.push((model[at].1.id, verdict.is_some()));
                        }
                    }
                }
                Input::Scheduler(algorithm) => {
                    server.set_scheduler(algorithm.scheduler());
                    must_publish = true;
                }
                Input::Reload(shares) => {
                    server.reconfigure(support::start(), config(&shares)).unwrap();
                    must_publish = true;
                    let gone: Vec<_> = model.iter().map(|(_, known)| known.id).collect();
                    departed.extend(model.iter().cloned());
                    model = shares.iter().zip(server.backends()).map(|(&(name, weight), status)| {
                        let before = model.iter().find(|&&(known, _)| known == name);
                        let known = match before {
                            Some((_, before)) if before.configured == weight => before.clone(),
                            Some((_, before)) => Known { configured: weight, ordered: None, ..before.clone() },
                            None => {
                                let back = departed.iter().find(|&&(known, _)| known == name);
                                let total = match back {
                                    Some((_, back)) => {
                                        assert_eq!(status.id, back.id);
                                        back.total
                                    }
                                    None => {
                                        assert!(issued.insert(status.id), "{} was issued before", status.id);
                                        0
                                    }
                                };
                                let configured = weight;
                                Known { id: status.id, configured, ordered: None, admin: Admin::Ready, verdict: None, total }
                            }
                        };
                        (name, known)
                    }).collect();
                    let is_here = |id| model.iter().any(|(_, known)| known.id == id);
                    let has_flows = |id| leases.iter().any(|lease| lease.id() == id);
                    departed.retain(|(_, gone)| !is_here(gone.id) && has_flows(gone.id));
                    // A verdict that comes late finds nobody.
                    for id in gone.into_iter().filter(|&id| model.iter().all(|(_, known)| known.id != id)) {
                        server.handle_health(support::start(), id, Health::Down);
                        prop_assert!(!server.set_admin(support::start(), id, Admin::Drain));
                    }
                }
                Input::Serve => {
                    if let Ok(backend) = server.published().pick(&lb_core::Flow::new(7), &mut rng) {
                        leases.push(Lease::new(Arc::clone(backend)));
                        let mut all = model.iter_mut().chain(&mut departed);
                        if let Some((_, known)) = all.find(|(_, known)| known.id == backend.id()) {
                            known.total += 1;
                        }
                    }
                    if leases.len() > 10 {
                        drop(leases.remove(0));
                    }
                }
                Input::Drain => {
                    let before: Vec<_> =
                        server.published().members().iter().map(|member| (member.id, member.weight)).collect();
                    let actions: Vec<_> = std::iter::from_fn(|| server.poll_action()).collect();
                    let after: Vec<_> = model
                        .iter()
                        .filter_map(|(_, known)| Some((known.id, Weight::new(known.live_weight()?))))
                        .collect();
                    let (mut pools, mut told) = (0, Vec::new());
                    for (place, action) in actions.iter().enumerate() {
                        match action {
                            Action::Publish(pool) => {
                                pools += 1;
                                prop_assert_eq!(place, 0, "the data plane comes first");
                                prop_assert!(Arc::ptr_eq(pool, server.published()));
                                prop_assert_eq!(pool.generation(), generation + 1);
                                generation += 1;
                            }
                            Action::Notify(Event::QuorumGained { strength }) => {
                                prop_assert!(!std::mem::replace(&mut quorum, true) && strength.weight > 0);
                            }
                            Action::Notify(Event::QuorumLost { strength }) => {
                                prop_assert!(std::mem::replace(&mut quorum, false) && strength.weight == 0);
                            }
                            Action::Notify(Event::BackendUp { backend, .. }) => {
                                told.push((*backend, true));
                            }
                            Action::Notify(Event::BackendDown { backend, .. }) => {
                                told.push((*backend, false));
                            }
                            Action::Notify(other) => panic!("{other:?}"),
                        }
                    }
                    prop_assert_eq!(told, std::mem::take(&mut news));
                    // Why nobody takes flows is part of the pool.
                    let now_drained = model.iter().filter(|(_, known)| known.is_drained()).count();
                    let reason = drained != now_drained && after.iter().all(|(_, weight)| weight.is_zero());
                    prop_assert_eq!(pools, usize::from(must_publish || before != after || reason));
                    if pools > 0 {
                        drained = now_drained;
                    }
                    must_publish = false;
                    let published: Vec<_> =
                        server.published().members().iter().map(|member| (member.id, member.weight)).collect();
                    prop_assert_eq!(published, after);
                    prop_assert!(server.poll_action().is_none());
                }
            }

            prop_assert_eq!(server.backends().len(), model.len());
            for (status, (name, known)) in server.backends().zip(&model) {
                prop_assert_eq!((status.id, status.name, status.admin), (known.id, *name, known.admin));
                prop_assert_eq!(status.weight.value(), known.live_weight().unwrap_or(0));
                let state = match (known.admin, known.verdict) {
                    (Admin::Maintenance, _) => BackendState::Maintenance,
                    (Admin::Drain | Admin::Drained, _) => BackendState::Drain,
                    (_, None) => BackendState::Warming,
                    (_, Some(None)) => BackendState::Down,
                    _ if known.live_weight() == Some(0) => BackendState::Drain,
                    _ => BackendState::Up,
                };
                prop_assert_eq!(status.state, state);
                let active = leases.iter().filter(|lease| lease.id() == known.id).count();
                let load = status.backend.load();
                prop_assert_eq!((load.active() as usize, load.total()), (active, known.total));
            }
        }
        let ended: Vec<_> = leases.drain(..).map(|lease| Arc::clone(lease.load())).collect();
        prop_assert!(ended.iter().all(|load| load.active() == 0));
    }

    /// However the reports come, and whatever the administrator says in between, the effective
    /// weight is that of the last ones.
    #[test]
    fn weights_leave_no_remainder(
        configured: u16,
        said in vec((vec(any::<u16>(), 0..4), option::of(0..300_u16), option::of(any::<u16>())), 1..20),
    ) {
        let config = VirtualServerConfig::of([BackendConfig::named("a").weighing(configured)]);
        let mut server = VirtualServer::new(config, Algorithm::Rr.scheduler()).unwrap();
        let id = server.backends().next().unwrap().id;
        let mut ordered = None;
        for (reports, percent, order) in said {
            let weight = reports.iter().fold(ReportedWeight::NONE, |all, &one| all.and(Weight::new(one)));
            let weight = percent.map_or(weight, |percent| weight.and_percent(percent));
            server.handle_health(support::start(), id, Health::weighing(weight));
            if let Some(order) = order {
                server.set_weight(support::start(), id, Weight::new(order));
                ordered = Some(order);
            }
            let (base, percent) = (i64::from(ordered.unwrap_or(configured)), percent.map_or(100, i64::from));
            let share = (base * percent + 99) / 100;
            let deltas: i64 = reports.iter().map(|&one| i64::from(one) - i64::from(configured)).sum();
            let drained = ordered == Some(0) || percent == 0 || reports.contains(&0);
            let due = if drained { 0 } else { (share + deltas).clamp(0, 65_535) };
            prop_assert_eq!(i64::from(server.backends().next().unwrap().weight.value()), due);
        }
    }
}

/// What a check reports must not take the weight out of the administrator's hands.
#[test]
fn an_ordered_weight_counts_beside_what_checks_report() {
    let config = VirtualServerConfig::of([BackendConfig::named("a").weighing(100)]);
    let mut server = VirtualServer::new(config, Algorithm::Rr.scheduler()).unwrap();
    let (now, id) = (support::start(), server.backends().next().unwrap().id);
    let weight = |server: &VirtualServer<&str>| server.backends().next().unwrap().weight.value();
    server.handle_health(now, id, Health::weighing(Weight::new(40)));
    assert_eq!(weight(&server), 40);
    server.set_weight(now, id, Weight::new(200));
    assert_eq!(weight(&server), 140);
    server.set_weight(now, id, Weight::ZERO);
    assert_eq!(weight(&server), 0);
    server.handle_health(now, id, Health::weighing(Weight::new(400)));
    assert_eq!((weight(&server), server.strength().weight), (0, 0));
    // An agent's share is one of what the administrator gave.
    let half = ReportedWeight::NONE.and_percent(50);
    server.handle_health(now, id, Health::weighing(half));
    server.set_weight(now, id, Weight::new(30));
    assert_eq!(weight(&server), 15);
    let whole = VirtualServerConfig::of([BackendConfig::named("a").weighing(80)]);
    server.reconfigure(now, whole).unwrap();
    assert_eq!(weight(&server), 40);
}

#[test]
fn a_backend_that_gets_its_first_check_stays_up_until_the_verdict() {
    let unchecked = BackendConfig::named("a").initially_up();
    let scheduler = Algorithm::Rr.scheduler();
    let mut server = VirtualServer::new(VirtualServerConfig::of([unchecked]), scheduler).unwrap();
    while server.poll_action().is_some() {}
    server
        .reconfigure(support::start(), VirtualServerConfig::of([BackendConfig::named("a")]))
        .unwrap();
    while let Some(action) = server.poll_action() {
        assert!(!matches!(action, Action::Notify(_)), "nothing happened to it: {action:?}");
    }
    assert_eq!(server.published().backends().len(), 1);
    let id = server.backends().next().unwrap().id;
    server.handle_health(support::start(), id, Health::Down);
    while server.poll_action().is_some() {}
    assert!(server.published().backends().is_empty());
}

#[test]
fn a_new_endpoint_is_published() {
    let at = |endpoint| VirtualServerConfig::of([BackendConfig::new("a", endpoint).initially_up()]);
    let mut server = VirtualServer::new(at(1), Algorithm::Rr.scheduler()).unwrap();
    while server.poll_action().is_some() {}
    let lease = Lease::new(Arc::clone(&server.published().backends()[0]));
    server.reconfigure(support::start(), at(2)).unwrap();
    let Some(Action::Publish(pool)) = server.poll_action() else { panic!("not published") };
    let backend = &pool.backends()[0];
    assert_eq!((*backend.endpoint(), *lease.endpoint()), (2, 1));
    assert_eq!((backend.id(), backend.load().active()), (lease.id(), 1));
}

#[test]
fn a_refused_configuration_changes_nothing() {
    let mut server =
        VirtualServer::new(config(&[("a", 1), ("b", 2)]), Algorithm::Rr.scheduler()).unwrap();
    while server.poll_action().is_some() {}
    assert!(server.reconfigure(support::start(), config(&[("c", 1), ("c", 1)])).is_err());
    assert!(server.poll_action().is_none());
    assert_eq!(server.backends().map(|backend| backend.name).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn whoever_comes_back_while_flows_are_left_is_the_same() {
    let config = |names: &[&'static str]| {
        let limit = Limits::NONE.at_most(NonZeroU32::MIN);
        let backends = names.iter().map(|name| BackendConfig::new(*name, ()).initially_up());
        VirtualServerConfig::of(backends.map(|one| one.limited(limit)))
    };
    let now = support::start();
    let mut server = VirtualServer::new(config(&["a", "b"]), Algorithm::First.scheduler()).unwrap();
    let id = |server: &VirtualServer<()>| {
        server.backends().find(|one| one.name == "a").map(|one| one.id)
    };
    let first = id(&server);
    let flow = Lease::new(Arc::clone(server.backend(first.unwrap()).unwrap().backend));
    for names in [&["b"][..], &["a", "b"], &["b"], &["b"], &["b", "a"]] {
        server.reconfigure(now, config(names)).unwrap();
        while server.poll_action().is_some() {}
    }
    assert_eq!(id(&server), first);
    let director = Director::<u64, ()>::new(Arc::clone(server.published()));
    let taken = director.assign(now, &0, &[], &mut support::seeded(1)).unwrap();
    assert_eq!(
        taken.name(),
        "b",
        "the flow that was there all the time is the one that a may have"
    );
    drop(flow);
    // With nobody left it is forgotten, as somebody who never was there.
    for names in [&["b"][..], &["b"], &["a", "b"]] {
        server.reconfigure(now, config(names)).unwrap();
    }
    assert_ne!(id(&server), first);
}
