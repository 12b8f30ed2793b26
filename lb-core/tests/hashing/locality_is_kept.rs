//! `lblc` and `lblcr`: a destination stays where it was as long as the load allows, and goes where
//! `wlc` sends it otherwise; against models of the kernel's rules, through arrivals, ends, refusals
//! and changes of every kind.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::collections::HashMap;
use std::sync::Arc;

use lb_core::backend::BackendId;
use lb_core::scheduler::{LocalityBased, LocalityReplicated};
use lb_core::{Algorithm, Backend, Flow, Lease, Pool, Scheduler, Weight};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert_eq, proptest};
use proptest::prop_oneof;
use proptest::sample::{Index, subsequence};
use support::{Zeros, index, pool, rebuilt};

const BOTH: [Algorithm; 2] = [Algorithm::Lblc, Algorithm::Lblcr];

/// A server as the models see it.
#[derive(Clone, Copy, Debug)]
struct Server {
    id: u32,
    weight: u64,
    active: u64,
}

impl Server {
    /// Has less to do for its weight.
    const fn is_below(&self, other: &Self) -> bool {
        self.active * other.weight < other.active * self.weight
    }
}

/// What both models have in common: the list, without those that refused the flow.
struct List<'a> {
    all: &'a [Server],
    tried: &'a [u32],
}

impl List<'_> {
    fn server(&self, id: u32) -> Option<Server> {
        self.all.iter().find(|server| server.id == id).copied()
    }

    fn usable(&self) -> impl Iterator<Item = &Server> {
        self.all.iter().filter(|one| one.weight > 0 && !self.tried.contains(&one.id))
    }

    /// The first of the least loaded.
    fn least<'b>(servers: impl Iterator<Item = &'b Server>) -> Option<Server> {
        servers.copied().reduce(|least, one| if one.is_below(&least) { one } else { least })
    }

    fn is_overloaded(&self, server: &Server) -> bool {
        server.active > server.weight && self.usable().any(|one| 2 * one.active < one.weight)
    }

    fn usable_among(&self, ids: &[u32]) -> Vec<Server> {
        let usable = |id: &u32| self.usable().find(|server| server.id == *id).copied();
        ids.iter().filter_map(usable).collect()
    }
}

/// Servers by destination, the newest first.
#[derive(Default)]
struct Model {
    sets: HashMap<u64, Vec<u32>>,
}

impl Model {
    fn keep(&mut self, list: &List<'_>) {
        for set in self.sets.values_mut() {
            set.retain(|&id| list.server(id).is_some());
        }
    }

    fn one_server(&mut self, destination: u64, list: &List<'_>) -> Option<u32> {
        let set = self.sets.entry(destination).or_default();
        let mut known = list.usable_among(set).into_iter();
        let chosen = known
            .find(|server| !list.is_overloaded(server))
            .or_else(|| List::least(list.usable()))?;
        *set = vec![chosen.id];
        Some(chosen.id)
    }

    fn a_set_of_servers(&mut self, destination: u64, list: &List<'_>) -> Option<u32> {
        let set = self.sets.entry(destination).or_default();
        let chosen = List::least(list.usable_among(set).iter())
            .filter(|server| !list.is_overloaded(server))
            .or_else(|| List::least(list.usable()))?;
        if !set.contains(&chosen.id) {
            if set.len() == 4 {
                // Of equals the oldest; whoever is drained before all others.
                let server = |place: usize| list.server(set[place]).unwrap();
                let most = (1..4).fold(0, |most, place| {
                    let (one, other) = (server(place), server(most));
                    let above = other.weight > 0 && (one.weight == 0 || !one.is_below(&other));
                    let equal = other.weight == 0 && one.weight == 0;
                    if above || equal { place } else { most }
                });
                set.remove(most);
            }
            set.insert(0, chosen.id);
        }
        Some(chosen.id)
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// The list from now on.
    Change(Vec<(u32, u16)>),
    /// A flow to a destination, which some refuse.
    Arrive { destination: u64, tried: Vec<u32>, stays: bool },
    /// The end of one of those that stay.
    End(Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let weight = prop_oneof![1 => Just(0_u16), 8 => 1..6_u16];
    let some = subsequence((0..8_u32).collect::<Vec<_>>(), 0..8).prop_shuffle();
    let change =
        (some, vec(weight, 8)).prop_map(|(some, weights)| some.into_iter().zip(weights).collect());
    let tried = prop_oneof![4 => Just(Vec::new()), 1 => vec(0..8_u32, 1..3)];
    let arrive = (0..5_u64, tried, proptest::bool::weighted(0.8))
        .prop_map(|(destination, tried, stays)| Step::Arrive { destination, tried, stays });
    vec(
        prop_oneof![1 => change.prop_map(Step::Change), 20 => arrive, 8 => proptest::arbitrary::any::<Index>().prop_map(Step::End)],
        1..160,
    )
}

/// Plays `steps`, and compares every choice with the `model`'s.
fn compare(
    algorithm: Algorithm,
    mut model: impl FnMut(Option<u64>, &List<'_>) -> Option<u32>,
    steps: Vec<Step>,
) -> Result<(), proptest::test_runner::TestCaseError> {
    let backends: Vec<Arc<Backend<()>>> = (0..8)
        .map(|id| Arc::new(Backend::new(BackendId::new(id), format!("backend {id}"), ())))
        .collect();
    let over = |previous: &dyn Scheduler, list: &[(u32, u16)]| {
        let member =
            |&(id, weight): &(u32, u16)| (Arc::clone(&backends[id as usize]), Weight::new(weight));
        Pool::new(list.iter().map(member), previous)
    };
    let mut pool = over(&*algorithm.scheduler(), &[(0, 2), (1, 3), (2, 1), (3, 3), (4, 2), (5, 1)]);
    let (mut leases, mut strangers) = (Vec::new(), 0);
    for step in steps {
        if let Step::Change(list) = &step {
            pool = over(&**pool.scheduler(), list);
        }
        let all: Vec<_> = pool
            .members()
            .iter()
            .map(|one| Server {
                id: one.id.number(),
                weight: one.weight.into(),
                active: one.load.active().into(),
            })
            .collect();
        match step {
            Step::Change(_) => {
                model(None, &List { all: &all, tried: &[] });
                // Until nobody has just come any more, which the kernel does not mind.
                for _ in 0..leases.len() {
                    strangers += 1;
                    index(&pool, &Flow::new(1_000_000 + strangers), &mut Zeros);
                }
            }
            Step::Arrive { destination, tried, stays } => {
                let refused: Vec<_> = tried.iter().copied().map(BackendId::new).collect();
                let flow = Flow::new(destination).retried(&refused);
                let chosen = index(&pool, &flow, &mut Zeros);
                let expected = model(Some(destination), &List { all: &all, tried: &tried });
                prop_assert_eq!(chosen.map(|place| all[place].id), expected);
                let backend = chosen.map(|place| Arc::clone(&pool.backends()[place]));
                leases.extend(backend.filter(|_| stays).map(Lease::new));
            }
            Step::End(which) if !leases.is_empty() => {
                drop(leases.swap_remove(which.index(leases.len())));
            }
            Step::End(_) => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lblc_chooses_by_the_kernels_rules(steps in steps()) {
        let mut model = Model::default();
        let choose = |destination: Option<u64>, list: &List<'_>| match destination {
            Some(destination) => model.one_server(destination, list),
            None => { model.keep(list); None }
        };
        compare(Algorithm::Lblc, choose, steps)?;
    }

    /// No time passes here.
    #[test]
    fn lblcr_chooses_by_the_kernels_rules(steps in steps()) {
        let mut model = Model::default();
        let choose = |destination: Option<u64>, list: &List<'_>| match destination {
            Some(destination) => model.a_set_of_servers(destination, list),
            None => { model.keep(list); None }
        };
        compare(Algorithm::Lblcr, choose, steps)?;
    }
}

/// Whom flows to `destination` go to, one letter each; all stay.
fn flows(pool: &Pool<()>, destination: u64, count: usize) -> (String, Vec<Lease<()>>) {
    let pick = |_| Lease::new(Arc::clone(pool.pick(&Flow::new(destination), &mut Zeros).unwrap()));
    let leases: Vec<_> = (0..count).map(pick).collect();
    (leases.iter().map(|lease| lease.name().to_owned()).collect(), leases)
}

/// Whom one flow to each destination goes to; none stays.
fn servers(pool: &Pool<()>, destinations: std::ops::Range<u64>) -> String {
    destinations.map(|one| flows(pool, one, 1).0).collect()
}

#[test]
fn a_destination_stays_as_long_as_its_server_is_not_overloaded() {
    for algorithm in BOTH {
        let pool = pool(algorithm, &[4, 4, 4]);
        let (all, _leases) = flows(&pool, 1, 5);
        // wlc would have gone round.
        assert_eq!(all, "AAAAA", "{algorithm}");
        let (others, _more) = flows(&pool, 2, 5);
        assert_eq!(others, "BBBBB", "{algorithm}");
    }
}

#[test]
fn lblc_moves_for_good_when_somebody_is_half_idle() {
    let pool = pool(Algorithm::Lblc, &[4, 4]);
    let (all, leases) = flows(&pool, 1, 10);
    // Each takes one more than its weight; then nobody is half idle, and it stays where it is.
    assert_eq!(all, "AAAAABBBBB");
    let (rest, more) = flows(&pool, 1, 3);
    assert_eq!(rest, "BBB");
    drop((leases, more));
    assert_eq!(servers(&pool, 1..2), "B");
}

#[test]
fn lblcr_takes_another_server_and_keeps_the_first() {
    let pool = pool(Algorithm::Lblcr, &[2, 2, 2, 2, 2, 2]);
    let (all, leases) = flows(&pool, 1, 10);
    // A is overloaded with three; then the two of the set take turns, and so on.
    assert_eq!(all, "AAABBBCCCD");
    drop(leases);
    // All four are idle, and of equals the newest is asked.
    assert_eq!(flows(&pool, 1, 5).0, "DCBAD");
    // Nothing of that is another destination's.
    assert_eq!(flows(&pool, 2, 3).0, "AAA");
}

#[test]
fn a_full_set_lets_the_most_loaded_go() {
    let pool = pool(Algorithm::Lblcr, &[2, 2, 2, 2, 2, 2]);
    let (all, leases) = flows(&pool, 1, 15);
    assert_eq!(all, "AAABBBCCCDDDEEE");
    drop(leases);
    // A came first and was as loaded as any.
    assert_eq!(flows(&pool, 1, 5).0, "EDCBE");
}

#[test]
fn those_who_leave_are_forgotten_and_the_others_are_not() {
    for algorithm in BOTH {
        let all = [0, 1, 2, 3].map(|id| (id, 3));
        let over = |previous: &dyn Scheduler, list: &[(u32, u16)]| {
            let member = |&(id, weight): &(u32, u16)| {
                let name = char::from(b'A' + id as u8).to_string();
                (Arc::new(Backend::new(BackendId::new(id), name, ())), Weight::new(weight))
            };
            Pool::new(list.iter().map(member), previous)
        };
        let pool = over(&*algorithm.scheduler(), &all);
        let mut leases = Vec::new();
        for destination in 0..8 {
            leases.extend(flows(&pool, destination, 1).1);
        }
        assert_eq!(servers(&pool, 0..8), "ABCDABCD", "{algorithm}");
        // Another order, other weights, one drained.
        let changed = over(&**pool.scheduler(), &[(3, 1), (1, 9), (0, 0), (2, 3)]);
        assert_eq!(servers(&changed, 1..4), "BCD", "{algorithm}");
        let without_b = over(&**changed.scheduler(), &[(3, 3), (0, 3), (2, 3)]);
        assert_eq!(servers(&without_b, 0..4), "ADCD", "{algorithm}");
        // Who comes back has nothing to come back to.
        let back = over(&**without_b.scheduler(), &all);
        assert_eq!(servers(&back, 0..4), "ADCD", "{algorithm}");
    }
}

#[test]
fn a_change_of_weights_loses_nothing_that_was_learnt_meanwhile() {
    for algorithm in BOTH {
        let old = pool(algorithm, &[3, 3]);
        let new = rebuilt(&**old.scheduler(), &[3, 5]);
        let (_, _leases) = flows(&old, 1, 1);
        let (second, _more) = flows(&old, 2, 1);
        assert_eq!(second, "B", "{algorithm}");
        assert_eq!(servers(&new, 1..3), "AB", "{algorithm}");
    }
}

#[test]
fn who_refuses_loses_the_destination() {
    for algorithm in BOTH {
        let pool = pool(algorithm, &[3, 3]);
        assert_eq!(servers(&pool, 7..8), "A", "{algorithm}");
        let tried = [BackendId::new(0)];
        assert_eq!(index(&pool, &Flow::new(7).retried(&tried), &mut Zeros), Some(1));
        assert_eq!(servers(&pool, 7..8), "B", "{algorithm}");
    }
}

#[test]
fn more_destinations_than_there_is_room_for_do_no_harm() {
    let forgetful: [&dyn Scheduler; 4] = [
        &LocalityBased::remembering(4),
        &LocalityBased::remembering(0),
        &LocalityReplicated::remembering(4),
        &LocalityReplicated::remembering(0),
    ];
    for scheduler in forgetful {
        let pool = rebuilt(scheduler, &[3, 3, 3]);
        // Nobody is known or loaded: the first that wlc finds.
        assert_eq!(servers(&pool, 0..100), "A".repeat(100), "{scheduler:?}");
    }
}

#[test]
fn ties_between_strangers_are_drawn_by_weight() {
    for algorithm in BOTH {
        let pool = pool(algorithm, &[30, 10]);
        let counts = support::tally(&pool, 0..8_000, &mut support::seeded(1));
        assert!(counts[0].abs_diff(6_000) < 200, "{algorithm}: {counts:?}");
    }
}
