//! `BackendConfig::inhibit_on_failure`: a backend whose checks fail stays at weight 0, for whoever
//! belongs there, and counts as dead all the same.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::sync::Arc;
use std::time::Duration;

use lb_core::backend::BackendId;
use lb_core::health::Admin;
use lb_core::quorum::QuorumRule;
use lb_core::virtual_server::{
    Action, BackendConfig, BackendState, DrainingClients, Event, SorryMode, SorryServer,
    VirtualServerConfig,
};
use lb_core::{Algorithm, Director, Health, VirtualServer, Weight};
use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest,
};
use proptest::prop_oneof;
use support::{Zeros, start};

const BACKENDS: u32 = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    Health(u32, Health),
    Admin(u32, Admin),
    Weight(u32, u16),
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    let health = prop_oneof![
        Just(Health::UP),
        Just(Health::Down),
        (0..3_u16).prop_map(|weight| Health::weighing(Weight::new(weight))),
    ];
    let admin = prop_oneof![
        3 => Just(Admin::Ready),
        1 => Just(Admin::Drain),
        1 => Just(Admin::Drained),
        1 => Just(Admin::Maintenance),
    ];
    prop_oneof![
        5 => (0..BACKENDS, health).prop_map(|(one, health)| Step::Health(one, health)),
        1 => (0..BACKENDS, admin).prop_map(|(one, admin)| Step::Admin(one, admin)),
        1 => (0..BACKENDS, 0..4_u16).prop_map(|(one, weight)| Step::Weight(one, weight)),
        5 => Just(Step::Drain),
    ]
}

fn server(inhibit: bool, panic_below: u8, sorry: Option<SorryMode>) -> VirtualServer<()> {
    let backends = ["a", "b", "c", "d"].map(|name| {
        let backend = BackendConfig::new(name, ()).weighing(2);
        if inhibit { backend.inhibited_on_failure() } else { backend }
    });
    let config = VirtualServerConfig::of(backends)
        .with_quorum(QuorumRule::new(4, 1).unwrap())
        .with_sorry(sorry.map(|mode| SorryServer::new(BackendConfig::new("sorry", ()), mode)))
        .panicking_below(panic_below);
    VirtualServer::new(config, Algorithm::Wrr.scheduler()).unwrap()
}

/// What is told, in order.
fn told(server: &mut VirtualServer<()>) -> Vec<Event> {
    let actions = std::iter::from_fn(|| server.poll_action());
    actions
        .filter_map(|action| match action {
            Action::Notify(event) => Some(event),
            Action::Publish(_) => None,
        })
        .collect()
}

fn members(server: &VirtualServer<()>) -> Vec<(BackendId, u16)> {
    let members = server.published().members().iter();
    members.map(|member| (member.id, member.weight.value())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Beside a twin that removes who fails: nothing differs but members of weight 0.
    #[test]
    fn it_counts_as_dead_and_gets_no_new_flow(
        steps in vec(step(), 1..60),
        panic_below in prop_oneof![Just(0_u8), 1..100_u8],
        sorry in prop_oneof![Just(None), any::<bool>().prop_map(|last| Some(match last {
            true => SorryMode::NoneAlive,
            false => SorryMode::QuorumLost,
        }))],
    ) {
        let now = start();
        let mut removing = server(false, panic_below, sorry);
        let mut inhibiting = server(true, panic_below, sorry);
        for step in steps {
            for server in [&mut removing, &mut inhibiting] {
                match step {
                    Step::Health(one, health) => {
                        server.handle_health(now, BackendId::new(one), health);
                    }
                    Step::Admin(one, admin) => {
                        server.set_admin(now, BackendId::new(one), admin);
                    }
                    Step::Weight(one, weight) => {
                        server.set_weight(now, BackendId::new(one), weight.into());
                    }
                    Step::Drain => {}
                }
            }
            if !matches!(step, Step::Drain) {
                continue;
            }
            prop_assert_eq!(told(&mut removing), told(&mut inhibiting));
            prop_assert_eq!(removing.strength(), inhibiting.strength());
            for (plain, inhibited) in removing.backends().zip(inhibiting.backends()) {
                prop_assert_eq!(plain.state, inhibited.state);
                prop_assert_eq!(plain.weight, inhibited.weight);
            }
            let (plain, with_inhibited) = (members(&removing), members(&inhibiting));
            let is_sorry = !inhibiting.published().records_affinity();
            prop_assert_eq!(is_sorry, !removing.published().records_affinity());
            for &member in &with_inhibited {
                prop_assert!(member.1 == 0 || plain.contains(&member), "{member:?}");
            }
            for &member in &plain {
                prop_assert!(with_inhibited.contains(&member), "{member:?}");
            }
            for status in inhibiting.backends().filter(|_| !is_sorry) {
                let there = with_inhibited.iter().any(|(id, _)| *id == status.id);
                if status.state == BackendState::Down {
                    prop_assert!(there, "{status:?}");
                }
                if matches!(status.admin, Admin::Maintenance | Admin::Drained) {
                    prop_assert!(!there, "{status:?}");
                }
            }
        }
    }
}

/// Who gets a client of `a` while its checks fail, and afterwards; and a new client meanwhile.
fn while_failing(draining: DrainingClients) -> [String; 3] {
    let [a, b] = ["a", "b"].map(|name| BackendConfig::new(name, ()).initially_up());
    let config =
        VirtualServerConfig::of([a.inhibited_on_failure(), b]).with_draining_clients(draining);
    let mut server = VirtualServer::new(config, Algorithm::First.scheduler()).unwrap();
    let director = Director::<u64, ()>::new(Arc::clone(server.published()))
        .with_persistence(Duration::from_secs(60), 10.try_into().unwrap());
    let now = start();
    let drain = |server: &mut VirtualServer<()>| {
        while let Some(action) = server.poll_action() {
            if let Action::Publish(pool) = action {
                director.publish(pool);
            }
        }
    };
    drain(&mut server);
    let assign = |client| director.assign(now, &client, &[], &mut Zeros).unwrap().name().to_owned();
    assert_eq!(assign(7), "a");
    let a = server.backends().next().unwrap().id;
    server.handle_health(now, a, Health::Down);
    drain(&mut server);
    let meanwhile = [assign(7), assign(8)];
    server.handle_health(now, a, Health::UP);
    drain(&mut server);
    let [old, new] = meanwhile;
    [old, new, assign(7)]
}

#[test]
fn clients_stay_unless_draining_moves_them() {
    assert_eq!(while_failing(DrainingClients::Keep), ["a", "b", "a"]);
    assert_eq!(while_failing(DrainingClients::Move), ["b", "b", "b"]);
}
