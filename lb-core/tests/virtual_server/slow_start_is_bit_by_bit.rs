//! A backend that comes back takes on its share in sixteenths, and nobody else notices.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lb_core::backend::BackendId;
use lb_core::health::Admin;
use lb_core::pool::Member;
use lb_core::virtual_server::{Action, BackendConfig, VirtualServerConfig};
use lb_core::{Algorithm, Flow, Health, Lease, Pool, VirtualServer, Weight};
use proptest::collection::vec;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest,
};
use proptest::prop_oneof;
use proptest::test_runner::TestCaseResult;
use rand::rngs::Xoshiro256PlusPlus;
use support::{Zeros, index, seeded, start};

const PARTS: u16 = 16;
const LASTS: Duration = Duration::from_secs(16);

type Server = VirtualServer<()>;

/// Backends `A`, `B`, … with these weights, up without being checked.
fn named(weights: &[u16]) -> Vec<BackendConfig<()>> {
    let named = ('A'..).zip(weights).map(|(name, &weight)| {
        BackendConfig::new(name.to_string(), ()).weighing(weight).initially_up()
    });
    named.collect()
}

fn config(weights: &[u16]) -> VirtualServerConfig<()> {
    VirtualServerConfig::of(named(weights)).with_slow_start(LASTS)
}

fn server(weights: &[u16], algorithm: Algorithm) -> Server {
    let mut server = Server::new(config(weights), algorithm.scheduler()).unwrap();
    assert!(published(&mut server).is_some());
    server
}

/// What was published since the last time.
fn published(server: &mut Server) -> Option<Arc<Pool<()>>> {
    let mut pools = Vec::new();
    while let Some(action) = server.poll_action() {
        if let Action::Publish(pool) = action {
            pools.push(pool);
        }
    }
    assert!(pools.len() <= 1, "at most one pool a drain");
    pools.pop()
}

fn weights(pool: &Pool<()>) -> Vec<u16> {
    pool.members().iter().map(|member| member.weight.value()).collect()
}

fn id(place: usize) -> BackendId {
    BackendId::new(place as u32)
}

/// Takes the last backend out of service and back into it.
fn restart_last(server: &mut Server, now: Instant) {
    let last = server.backends().last().unwrap().id;
    assert!(server.set_admin(now, last, Admin::Maintenance));
    assert!(published(server).is_some());
    assert!(server.set_admin(now, last, Admin::Ready));
}

/// Follows the deadlines to the end: every pool on the way.
fn follow(server: &mut Server) -> Vec<(Instant, Arc<Pool<()>>)> {
    let mut pools = Vec::new();
    while let Some(deadline) = server.next_deadline() {
        server.handle_timeout(deadline);
        pools.extend(published(server).map(|pool| (deadline, pool)));
        assert!(server.next_deadline().is_none_or(|next| next > deadline));
    }
    pools
}

#[test]
fn a_weight_of_one_has_all_steps() {
    let (now, mut server) = (start(), server(&[1, 1], Algorithm::Wrr));
    restart_last(&mut server, now);
    assert_eq!(weights(&published(&mut server).unwrap()), [16, 1]);
    for (second, (deadline, pool)) in (2..).zip(follow(&mut server)) {
        assert_eq!(deadline, now + Duration::from_secs(second));
        let whole = if second == 16 { [1, 1] } else { [16, second as u16] };
        assert_eq!(weights(&pool), whole);
    }
    assert_eq!(weights(server.published()), [1, 1]);
}

#[test]
fn those_who_are_late_skip_steps() {
    let (now, mut server) = (start(), server(&[1, 1], Algorithm::Rr));
    restart_last(&mut server, now);
    published(&mut server);
    let mut at = |millis| {
        server.handle_timeout(now + Duration::from_millis(millis));
        let weight = published(&mut server).map(|pool| weights(&pool)[1]);
        (weight, server.next_deadline().map(|next| (next - now).as_millis()))
    };
    assert_eq!(at(1_999), (None, Some(2_000)));
    assert_eq!(at(5_500), (Some(5), Some(6_000)));
    assert_eq!(at(15_999), (Some(15), Some(16_000)));
    assert_eq!(at(99_000), (Some(1), None));
}

#[test]
fn status_tells_how_far_it_is() {
    let (now, mut server) = (start(), server(&[3, 5], Algorithm::Rr));
    let seen = |server: &Server| {
        server.backends().map(|one| (one.weight.value(), one.slow_start)).collect::<Vec<_>>()
    };
    restart_last(&mut server, now);
    published(&mut server);
    assert_eq!(seen(&server), [(3, None), (5, Some(6))]);
    server.handle_timeout(now + LASTS / 2);
    assert_eq!(seen(&server), [(3, None), (5, Some(50))]);
    server.handle_timeout(now + LASTS);
    assert_eq!(seen(&server), [(3, None), (5, None)]);
}

#[test]
fn a_reload_neither_ends_it_nor_begins_it_again() {
    let (now, mut server) = (start(), server(&[1, 1], Algorithm::Rr));
    restart_last(&mut server, now);
    published(&mut server);
    let half = now + LASTS / 2;
    server.reconfigure(half, config(&[1, 1, 1])).unwrap();
    // And the one that is added begins with its first part.
    assert_eq!(weights(&published(&mut server).unwrap()), [16, 8, 1]);
    assert_eq!(server.next_deadline(), Some(now + LASTS / 16 * 9));
    follow(&mut server);
    assert_eq!(weights(server.published()), [1, 1, 1]);
}

#[test]
fn who_takes_over_alone_has_the_whole_at_once() {
    let (now, mut server) = (start(), server(&[1, 1], Algorithm::Rr));
    server.handle_health(now, id(1), Health::Down);
    published(&mut server);
    // The one goes as the other comes.
    server.handle_health(now, id(0), Health::Down);
    server.handle_health(now, id(1), Health::UP);
    assert_eq!(weights(&published(&mut server).unwrap()), [1]);
    assert_eq!(server.next_deadline(), None);
}

/// The one that has the longest way, and would not get there.
#[test]
fn slow_starts_without_end_do_not_overflow() {
    let (now, backends) = (start(), named(&[1, 1]));
    let config = VirtualServerConfig::of(backends).with_slow_start(Duration::MAX);
    let mut server = Server::new(config, Algorithm::Rr.scheduler()).unwrap();
    published(&mut server);
    restart_last(&mut server, now);
    assert_eq!(weights(&published(&mut server).unwrap()), [16, 1]);
    for years in [1, 50, 100] {
        server.handle_timeout(now + Duration::from_secs(years * 365 * 24 * 3_600));
        server.next_deadline();
        assert!(published(&mut server).is_none());
    }
}

/// A key for each number, spread over all there are.
const fn key(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// Who owns each of many keys.
fn owners(pool: &Pool<()>) -> Vec<usize> {
    (0..20_000).map(|number| index(pool, &Flow::new(key(number)), &mut Zeros).unwrap()).collect()
}

#[test]
fn keys_only_move_to_the_one_that_starts() {
    let keyed = [Algorithm::Ring, Algorithm::Ketama, Algorithm::Mh, Algorithm::Rendezvous];
    for (algorithm, weights) in
        keyed.into_iter().flat_map(|one| [(one, &[1; 4][..]), (one, &[100, 300, 100, 200])])
    {
        let what = format!("{algorithm} over {weights:?}");
        let (now, mut server) = (start(), server(weights, algorithm));
        let last = weights.len() - 1;
        let whole = owners(server.published());
        let share = |owners: &[usize]| owners.iter().filter(|&&owner| owner == last).count();
        let due = share(&whole);

        assert!(server.set_admin(now, id(last), Admin::Maintenance));
        let mut before = owners(&published(&mut server).unwrap());
        assert!(server.set_admin(now, id(last), Admin::Ready));
        let first = (now, published(&mut server).unwrap());
        let mut pools = vec![first];
        pools.extend(follow(&mut server));
        assert_eq!(pools.len(), 16, "{what}");
        for (step, (_, pool)) in (1..).zip(pools) {
            let after = owners(&pool);
            let moved = before.iter().zip(&after).filter(|(one, other)| one != other);
            let collateral = moved.filter(|&(_, &to)| to != last).count();
            // Maglev's table moves a little with every change.
            let allowed = if algorithm == Algorithm::Mh { after.len() / 50 } else { 0 };
            assert!(collateral <= allowed, "{what}, step {step}: {collateral} moved");
            // Beside the others, who keep their whole weight.
            let all = after.len();
            let (got, expected) =
                (share(&after), all * due * step / (16 * (all - due) + due * step));
            let off = got.abs_diff(expected);
            assert!(off <= due / 8, "{what}, step {step}: {got} rather than {expected}");
            before = after;
        }
        assert_eq!(before, whole, "{what}");
    }
}

#[test]
fn weights_that_are_numbers_of_flows_stay_that() {
    // `ovf` fills the first with its weight in flows and one more, `B` with a part of that.
    let (now, mut server) = (start(), server(&[2, 2], Algorithm::Ovf));
    restart_last(&mut server, now);
    let pool = published(&mut server).unwrap();
    assert_eq!(support::letters(&pool, 4, &mut Zeros), "AAAB");
    drop(server);
    // One that is meant for more is first at once, with a part of what it is meant for.
    let (now, mut server) = (start(), self::server(&[2, 4], Algorithm::Ovf));
    restart_last(&mut server, now);
    let pool = published(&mut server).unwrap();
    assert_eq!(support::letters(&pool, 4, &mut Zeros), "BAAA");
    drop(server);

    // `lblc` leaves a server that has more flows than weight while somebody is half idle.
    let (now, mut server) = (start(), self::server(&[2, 2], Algorithm::Lblc));
    restart_last(&mut server, now);
    let pool = published(&mut server).unwrap();
    let pick = || Lease::new(Arc::clone(pool.pick(&Flow::new(7), &mut Zeros).unwrap()));
    let flows: Vec<_> = (0..4).map(|_| pick()).collect();
    let names: String = flows.iter().map(|flow| flow.name().to_owned()).collect();
    assert_eq!(names, "AAAB");
}

/// The last of four on its way: every pool, from its first part to the whole.
fn on_the_way(algorithm: Algorithm) -> Vec<Arc<Pool<()>>> {
    let (now, mut server) = (start(), server(&[2; 4], algorithm));
    restart_last(&mut server, now);
    let mut pools = vec![published(&mut server).unwrap()];
    pools.extend(follow(&mut server).into_iter().map(|(_, pool)| pool));
    assert_eq!(pools.len(), usize::from(PARTS));
    pools
}

/// How many of `flows` each backend gets, where none leaves.
fn filled(pool: &Pool<()>, flows: usize) -> Vec<u32> {
    let pick = || Lease::new(Arc::clone(pool.pick(&Flow::new(0), &mut Zeros).unwrap()));
    let _stay: Vec<_> = (0..flows).map(|_| pick()).collect();
    pool.members().iter().map(|member| member.load.active()).collect()
}

#[test]
fn those_that_go_by_no_weights_go_by_sixteenths() {
    // Where weights count, their parts come to the same.
    for algorithm in
        [Algorithm::Rr, Algorithm::Lc, Algorithm::Wrr, Algorithm::WrrIpvs, Algorithm::Wlc]
    {
        for (parts, pool) in (1..).zip(on_the_way(algorithm)) {
            let shares = filled(&pool, 48 + parts);
            assert_eq!(shares, [16, 16, 16, parts as u32], "{algorithm}");
        }
    }
}

#[test]
fn rotations_are_even_on_the_way() {
    let pool = &on_the_way(Algorithm::Rr)[7];
    // Half a share beside three whole ones, begun somewhere.
    let sequence = support::letters(pool, 14, &mut Zeros).repeat(2);
    assert!(sequence.contains("ABCDABC"), "{sequence}");
}

/// Flows that come one after the other, of which the last so many are still there.
struct Traffic {
    staying: VecDeque<Lease<()>>,
    next: u64,
    rng: Xoshiro256PlusPlus,
}

const STAY: usize = 480;

impl Traffic {
    /// How many of the next `flows` go to the last member.
    fn share_of_last(&mut self, pool: &Pool<()>, flows: usize) -> usize {
        let last = pool.members().last().unwrap().id;
        let mut picked = 0;
        for _ in 0..flows {
            if self.staying.len() == STAY {
                self.staying.pop_front();
            }
            let backend = pool.pick(&Flow::new(key(self.next)), &mut self.rng).unwrap();
            self.next += 1;
            self.staying.push_back(Lease::new(Arc::clone(backend)));
            picked += usize::from(backend.id() == last);
        }
        picked
    }
}

#[test]
fn whatever_the_scheduler_the_share_grows_to_the_whole() {
    const FLOWS: usize = 4_000;
    // Those by which one has all.
    let alone = [Algorithm::First, Algorithm::Fo, Algorithm::Ovf];
    for algorithm in Algorithm::ALL.into_iter().filter(|one| !alone.contains(one)) {
        let (now, mut server) = (start(), server(&[2; 4], algorithm));
        let mut traffic = Traffic { staying: VecDeque::new(), next: 0, rng: seeded(1) };
        traffic.share_of_last(server.published(), STAY);
        restart_last(&mut server, now);
        let mut shares = Vec::new();
        while let Some(pool) = published(&mut server) {
            // Until those who came by the pool before have gone.
            traffic.share_of_last(&pool, 2 * STAY);
            shares.push(traffic.share_of_last(&pool, FLOWS) as f64);
            server.next_deadline().into_iter().for_each(|at| server.handle_timeout(at));
        }
        assert_eq!(shares.len(), usize::from(PARTS), "{algorithm}");
        let (all, whole) = (FLOWS as f64, shares[15]);
        assert!((whole * 4.0 / all - 1.0).abs() < 0.25, "{algorithm}: {shares:?}");
        for (step, got) in (1_u16..).map(f64::from).zip(&shares) {
            // Beside the others, who keep their whole weight.
            let due = all * whole * step / (16.0 * (all - whole) + whole * step);
            let off = (got - due).abs();
            assert!(off < due / 5.0 + whole / 40.0, "{algorithm}, step {step}: {got} of {due}");
        }
    }
}

#[test]
fn where_one_has_all_there_is_nothing_to_begin_with() {
    let (now, mut server) = (start(), server(&[1, 3], Algorithm::Fo));
    restart_last(&mut server, now);
    let mut pools = vec![(now, published(&mut server).unwrap())];
    pools.extend(follow(&mut server));
    for (_, pool) in pools {
        assert_eq!(support::letters(&pool, 4, &mut Zeros), "BBBB");
    }

    let (now, mut server) = (start(), self::server(&[1, 1], Algorithm::First));
    server.set_admin(now, id(0), Admin::Maintenance);
    published(&mut server);
    server.set_admin(now, id(0), Admin::Ready);
    let pool = published(&mut server).unwrap();
    assert_eq!(weights(&pool), [1, 16]);
    assert_eq!(support::letters(&pool, 4, &mut Zeros), "AAAA");
}

#[derive(Clone, Debug)]
enum Step {
    Health(usize, bool),
    Admin(usize, Admin),
    Weight(usize, u16),
    /// With so many backends, all of them up at first or none.
    Reload(usize, bool),
    Wait(u64),
    /// Until just before the deadline, and then until the deadline.
    Follow,
    /// Without looking in between.
    Twice(Box<Self>, Box<Self>),
}

fn a_weight() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), Just(1), 1..9_u16, 1_000..9_000_u16, Just(65_535)]
}

fn step() -> impl Strategy<Value = Step> {
    let admin = prop_oneof![
        2 => Just(Admin::Ready),
        1 => Just(Admin::Drain),
        1 => Just(Admin::Drained),
        1 => Just(Admin::Maintenance),
    ];
    let leaf = prop_oneof![
        6 => (0..4_usize, any::<bool>()).prop_map(|(one, up)| Step::Health(one, up)),
        4 => (0..4_usize, admin).prop_map(|(one, admin)| Step::Admin(one, admin)),
        2 => (0..4_usize, a_weight()).prop_map(|(one, weight)| Step::Weight(one, weight)),
        1 => (1..5_usize, any::<bool>()).prop_map(|(count, up)| Step::Reload(count, up)),
        3 => (0..2_000_u64).prop_map(Step::Wait),
        9 => Just(Step::Follow),
    ];
    let leaf = leaf.boxed();
    let pair = (leaf.clone(), leaf.clone());
    prop_oneof![
        4 => leaf,
        1 => pair.prop_map(|(one, other)| Step::Twice(Box::new(one), Box::new(other))),
    ]
}

#[derive(Clone, Copy, Debug)]
struct Told {
    initially_up: bool,
    health: Option<bool>,
    admin: Admin,
    weight: u16,
    /// As of the last look.
    served: bool,
    was_out: bool,
    began: Option<Instant>,
}

impl Told {
    fn live(&self) -> Option<u16> {
        match (self.health.unwrap_or(self.initially_up), self.admin) {
            (true, Admin::Ready) => Some(self.weight),
            (true, Admin::Drain) => Some(0),
            _ => None,
        }
    }

    fn is_drained(&self) -> bool {
        self.admin == Admin::Drained && self.health.unwrap_or(self.initially_up)
    }

    fn serves(&self) -> bool {
        self.live().is_some_and(|weight| weight > 0)
    }
}

/// What is published of a backend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Published {
    id: BackendId,
    weight: u16,
    /// What that is to become.
    whole: u16,
    /// The sixteenths that it has, if anybody has not all of them.
    warmth: u16,
}

impl From<&Member> for Published {
    fn from(member: &Member) -> Self {
        let [weight, whole, warmth] =
            [member.weight, member.whole, member.warmth].map(Weight::value);
        Self { id: member.id, weight, whole, warmth }
    }
}

struct Oracle {
    now: Instant,
    lasts: Duration,
    told: Vec<Told>,
    reloaded: bool,
    published: Vec<Published>,
    /// How many of those that were drained to the end live, as published.
    drained: usize,
}

impl Oracle {
    /// The sixteenths that somebody who began then has at this time.
    fn parts(&self, began: Instant, now: Instant) -> u16 {
        let gone = (now - began).as_nanos() * u128::from(PARTS);
        (1..=PARTS)
            .rev()
            .find(|&part| gone >= self.lasts.as_nanos() * u128::from(part))
            .unwrap_or(1)
    }

    /// What is to be published.
    fn members(&self, now: Instant) -> Vec<Published> {
        let on_the_way = |one: &Told| {
            one.began.map(|began| self.parts(began, now)).filter(|&parts| parts < PARTS)
        };
        let heaviest = self.told.iter().map(|one| one.live().unwrap_or(one.weight)).max();
        let finest = 65_535 / heaviest.unwrap_or(1).max(1);
        let (scale, steps) = match self.told.iter().any(|one| on_the_way(one).is_some()) {
            true => (u32::from(finest.min(PARTS)), PARTS),
            false => (1, 1),
        };
        let members = self.told.iter().enumerate().filter_map(|(place, one)| {
            let whole = u32::from(one.live()?) * scale;
            let part = on_the_way(one).map(|parts| (whole * u32::from(parts) / 16).max(1));
            Some(Published {
                id: id(place),
                weight: part.unwrap_or(whole) as u16,
                whole: whole as u16,
                warmth: on_the_way(one).unwrap_or(steps),
            })
        });
        members.collect()
    }

    /// Looks at what was said since the last time: whether something is to be published.
    fn settle(&mut self) -> bool {
        let others = self.told.iter().any(|one| one.served && one.serves());
        for one in &mut self.told {
            if !one.serves() {
                one.was_out |= one.health.is_some() || one.served;
                one.began = None;
            } else if !one.served {
                one.began = (one.was_out && others).then_some(self.now);
            }
            one.served = one.serves();
        }
        let members = self.members(self.now);
        let changed = members != self.published;
        self.published = members;
        // Why nobody takes flows is part of what is published.
        let drained = self.told.iter().filter(|one| one.is_drained()).count();
        let nobody = self.published.iter().all(|one| one.weight == 0);
        let publish =
            std::mem::take(&mut self.reloaded) || changed || nobody && drained != self.drained;
        if publish {
            self.drained = drained;
        }
        publish
    }
}

const NAMES: [u16; 4] = [3, 1, 1, 2];

fn apply(server: &mut Server, oracle: &mut Oracle, step: Step) -> TestCaseResult {
    let now = oracle.now;
    match step {
        Step::Health(one, up) => {
            let verdict = if up { Health::UP } else { Health::Down };
            server.handle_health(now, id(one), verdict);
            if let Some(told) = oracle.told.get_mut(one) {
                told.health = Some(up);
            }
        }
        Step::Admin(one, admin) => {
            let known = server.set_admin(now, id(one), admin);
            prop_assert_eq!(known, oracle.told.get(one).is_some());
            oracle.told.get_mut(one).into_iter().for_each(|told| told.admin = admin);
        }
        Step::Weight(one, weight) => {
            server.set_weight(now, id(one), Weight::new(weight));
            oracle.told.get_mut(one).into_iter().for_each(|told| told.weight = weight);
        }
        // Identities are issued once: a backend that is removed does not come back as the same.
        Step::Reload(count, up) if count >= oracle.told.len() => {
            let mut backends = named(&NAMES[..count]);
            backends.iter_mut().for_each(|one| one.initially_up = up);
            let config = VirtualServerConfig::of(backends).with_slow_start(oracle.lasts);
            server.reconfigure(now, config).unwrap();
            for told in &mut oracle.told {
                // Who was up without being checked stays up.
                told.health = told.health.or(told.initially_up.then_some(true));
                told.initially_up = up;
            }
            let told = NAMES[oracle.told.len()..count].iter().map(|&weight| Told {
                initially_up: up,
                health: None,
                admin: Admin::Ready,
                weight,
                served: false,
                was_out: true,
                began: None,
            });
            oracle.told.extend(told.collect::<Vec<_>>());
            oracle.reloaded = true;
        }
        Step::Reload(..) => {}
        Step::Wait(millis) => {
            oracle.now += Duration::from_millis(millis);
            server.handle_timeout(oracle.now);
        }
        Step::Follow => {
            if let Some(deadline) = server.next_deadline() {
                prop_assert!(deadline > now, "a deadline that has passed");
                oracle.now = deadline - Duration::from_nanos(1);
                server.handle_timeout(oracle.now);
                oracle.now = deadline;
                server.handle_timeout(deadline);
            }
        }
        Step::Twice(one, other) => {
            apply(server, oracle, *one)?;
            apply(server, oracle, *other)?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everybody_has_the_part_that_is_due(
        first in (1..5_usize, any::<bool>()),
        lasts in prop_oneof![0..9_u64, 100..9_000_u64],
        steps in vec(step(), 1..60),
    ) {
        let (count, up) = first;
        let mut backends = named(&NAMES[..count]);
        backends.iter_mut().for_each(|one| one.initially_up = up);
        let told = NAMES[..count].iter().map(|&weight| Told {
            initially_up: up,
            health: None,
            admin: Admin::Ready,
            weight,
            served: false,
            was_out: false,
            began: None,
        });
        let mut oracle = Oracle {
            now: start(),
            // Not to be had in sixteenths.
            lasts: Duration::from_nanos(lasts * 1_000_003),
            told: told.collect(),
            reloaded: true,
            published: Vec::new(),
            drained: 0,
        };
        let config = VirtualServerConfig::of(backends).with_slow_start(oracle.lasts);
        let mut server = Server::new(config, Algorithm::Rr.scheduler()).unwrap();
        prop_assert!(published(&mut server).is_some() && oracle.settle());
        for step in steps {
            apply(&mut server, &mut oracle, step)?;
            let (got, due) = (published(&mut server), oracle.settle());
            let members = server.published().members().iter().map(Published::from);
            let members: Vec<_> = members.collect();
            prop_assert_eq!(&members, &oracle.published);
            prop_assert_eq!(got.is_some(), due, "published what is the same, or did not");

            for (status, told) in server.backends().zip(&oracle.told) {
                let parts = told.began.map(|began| oracle.parts(began, oracle.now));
                let percent = parts.filter(|&parts| parts < PARTS).map(|parts| parts * 100 / 16);
                prop_assert_eq!(status.slow_start.map(u16::from), percent);
            }
            // The next change, and not a moment before it.
            match server.next_deadline() {
                Some(deadline) => {
                    let parts = |now| oracle.told.iter().filter_map(move |one| one.began.map(|began| (began, now)));
                    let parts = |now| parts(now).map(|(began, now)| oracle.parts(began, now)).collect::<Vec<_>>();
                    prop_assert_eq!(parts(deadline - Duration::from_nanos(1)), parts(oracle.now));
                    prop_assert!(parts(deadline) != parts(oracle.now));
                }
                None => {
                    let ways = oracle.told.iter().filter_map(|one| one.began);
                    prop_assert!(ways.into_iter().all(|began| oracle.parts(began, oracle.now) == PARTS));
                }
            }
        }
    }
}

#[test]
fn a_reload_that_changes_the_time_changes_those_on_their_way() {
    for (lasts, expected) in [
        // In half the time it would be done by now, in twice the time it has come half as far.
        (Some(LASTS / 2), vec![1, 1]),
        (Some(LASTS * 2), vec![16, 4]),
        (None, vec![1, 1]),
    ] {
        let (now, mut server) = (start(), server(&[1, 1], Algorithm::Wrr));
        restart_last(&mut server, now);
        assert_eq!(weights(&published(&mut server).unwrap()), [16, 1]);
        let later = now + LASTS / 2;
        server.reconfigure(later, config(&[1, 1]).with_slow_start(lasts)).unwrap();
        assert_eq!(weights(&published(&mut server).unwrap()), expected, "{lasts:?}");
        assert_eq!(server.next_deadline().is_some(), expected[0] > 1);
    }
}
