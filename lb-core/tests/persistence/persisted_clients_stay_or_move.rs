//! The table of `Director`: what becomes of a client that belongs to a backend.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use lb_core::backend::{BackendId, Limits};
use lb_core::director::QueueConfig;
use lb_core::flow::{ClientKey, Sticky};
use lb_core::health::Admin;
use lb_core::persistence::PersistenceConfig;
use lb_core::pool::NoBackend;
use lb_core::virtual_server::{
    Action, BackendConfig, DrainingClients, SorryMode, SorryServer, VirtualServerConfig, WhenDown,
    WhenFull,
};
use lb_core::{Algorithm, Backend, Director, Health, Lease, Pool, VirtualServer, Weight};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest,
};
use proptest::prop_oneof;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;
use support::{Zeros, after, start};

const TIMEOUT: u64 = 1_000;
const BACKENDS: usize = 4;

/// At most so many flows; overloaded at so many, until there are fewer than so many.
type Bounds = (Option<u32>, Option<(u32, u32)>);

#[derive(Clone, Debug)]
struct Setting {
    bounds: Vec<Bounds>,
    moves_draining: bool,
    /// In milliseconds.
    drain_timeout: Option<u64>,
    when_full: WhenFull,
    when_down: WhenDown,
    has_sorry: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Health(usize, bool),
    Admin(usize, Admin),
    Weight(usize, u16),
    Reload(Setting),
    Publish,
    /// So much time passes, which the machine is told at its deadlines.
    Wait(u64),
    Flow {
        client: u64,
        tried: Vec<usize>,
        pause: u64,
    },
    /// The flow in this place ends.
    End(usize),
}

fn bounds() -> impl Strategy<Value = Bounds> {
    let thresholds = (1..4_u32, 1..4_u32).prop_map(|(a, b)| (a.max(b), a.min(b)));
    (option::of(1..4_u32), option::weighted(0.3, thresholds))
}

fn setting() -> impl Strategy<Value = Setting> {
    let drain_timeout = option::of(prop_oneof![Just(0), 0..600_u64]);
    let bounds = vec(prop_oneof![Just((None, None)), bounds()], BACKENDS);
    let when_down = select(vec![WhenDown::Move, WhenDown::Refuse]);
    let when_full = select(vec![WhenFull::Move, WhenFull::Wait]);
    (bounds, any::<bool>(), drain_timeout, when_full, when_down, any::<bool>()).prop_map(
        |(bounds, moves_draining, drain_timeout, when_full, when_down, has_sorry)| Setting {
            bounds,
            moves_draining,
            drain_timeout,
            when_full,
            when_down,
            has_sorry,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let admin = prop_oneof![
        3 => Just(Admin::Ready),
        1 => Just(Admin::Drain),
        1 => Just(Admin::Drained),
        1 => Just(Admin::Maintenance),
    ];
    let flow = (0..3_u64, vec(0..BACKENDS, 0..3), prop_oneof![0..100_u64, 0..1_500_u64]);
    prop_oneof![
        3 => (0..BACKENDS, proptest::bool::weighted(0.7)).prop_map(|(one, up)| Step::Health(one, up)),
        3 => (0..BACKENDS, admin).prop_map(|(one, admin)| Step::Admin(one, admin)),
        2 => (0..BACKENDS, 0..3_u16).prop_map(|(one, weight)| Step::Weight(one, weight)),
        1 => setting().prop_map(Step::Reload),
        5 => Just(Step::Publish),
        3 => (0..400_u64).prop_map(Step::Wait),
        12 => flow.prop_map(|(client, tried, pause)| Step::Flow { client, tried, pause }),
        4 => (0..8_usize).prop_map(Step::End),
    ]
}

fn config(setting: &Setting) -> VirtualServerConfig<()> {
    let number = |number| NonZeroU32::new(number).unwrap();
    let backends = ["A", "B", "C", "D"].into_iter().zip(&setting.bounds).map(|(name, bounds)| {
        let mut limits = Limits::NONE;
        if let Some(max) = bounds.0 {
            limits = limits.at_most(number(max));
        }
        if let Some((upper, lower)) = bounds.1 {
            limits = limits.overloaded_at(number(upper), Some(number(lower))).unwrap();
        }
        BackendConfig::new(name, ()).limited(limits)
    });
    let sorry = SorryServer::new(BackendConfig::new("sorry", ()), SorryMode::NoneAlive);
    VirtualServerConfig::of(backends)
        .with_sorry(setting.has_sorry.then_some(sorry))
        .with_drain_timeout(setting.drain_timeout.map(Duration::from_millis))
        .with_clients_when_full(setting.when_full)
        .with_clients_when_down(setting.when_down)
        .with_draining_clients(match setting.moves_draining {
            true => DrainingClients::Move,
            false => DrainingClients::Keep,
        })
}

/// A row of the table, but for fullness.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Row {
    Up,
    Draining,
    /// As good as out, but for the reason that is given when all are.
    Drained,
    Down,
    /// In maintenance, or not to be back soon for another reason.
    Out,
}

/// What was said of one backend, and what it has.
#[derive(Clone, Copy, Debug)]
struct Told {
    up: bool,
    admin: Admin,
    weight: u16,
    flows: u32,
    overloaded: bool,
    /// When it was first found draining by a machine that knew the time.
    drains_since: Option<u64>,
}

impl Told {
    fn row(&self) -> Row {
        match self.admin {
            Admin::Ready if self.up && self.weight > 0 => Row::Up,
            Admin::Ready | Admin::Drain if self.up => Row::Draining,
            Admin::Drained if self.up => Row::Drained,
            Admin::Ready if self.weight > 0 => Row::Down,
            _ => Row::Out,
        }
    }

    /// The row at `now`, as of which it is looked at.
    fn row_at(&mut self, now: u64, drain_timeout: Option<u64>) -> Row {
        let row = self.row();
        self.drains_since = self.drains_since.or(Some(now)).filter(|_| row == Row::Draining);
        let ends = self.drains_since.zip(drain_timeout).map(|(since, lasts)| since + lasts);
        if ends.is_some_and(|end| end <= now) { Row::Drained } else { row }
    }

    fn counted(&mut self, flows: u32, bounds: Bounds) {
        self.flows = flows;
        match bounds.1 {
            Some((upper, _)) if flows >= upper => self.overloaded = true,
            Some((_, lower)) if flows < lower => self.overloaded = false,
            Some(_) => {}
            None => self.overloaded = false,
        }
    }

    fn is_full(&self, bounds: Bounds) -> bool {
        self.overloaded || bounds.0.is_some_and(|max| self.flows >= max)
    }
}

/// The table in plain words: a list of what was said, and where each client belongs.
struct Oracle {
    setting: Setting,
    told: [Told; BACKENDS],
    has_queue: bool,
    /// As of the last publication: the rows, whether clients of drained ones move, whether those of
    /// full ones or ones that are down do not, and the sorry server if it serves.
    rows: [Row; BACKENDS],
    moves: bool,
    waits: bool,
    refuses: bool,
    sorry: Option<BackendId>,
    homes: BTreeMap<u64, (BackendId, u64)>,
    /// The flows that each client has open, of those that keep it remembered.
    open: BTreeMap<u64, u32>,
}

impl Oracle {
    /// `now` is the last that the machine was told.
    fn publish(&mut self, now: u64, sorry: Option<BackendId>) {
        let timeout = self.setting.drain_timeout;
        self.rows = std::array::from_fn(|one| self.told[one].row_at(now, timeout));
        self.moves = self.setting.moves_draining;
        self.waits = self.setting.when_full == WhenFull::Wait;
        self.refuses = self.setting.when_down == WhenDown::Refuse;
        self.sorry = sorry.filter(|_| !self.rows.contains(&Row::Up));
    }

    fn is_full(&self, one: usize) -> bool {
        self.told[one].is_full(self.setting.bounds[one])
    }

    /// Judges whom a flow was given to.
    fn judge(
        &mut self,
        now: u64,
        client: u64,
        tried: &[usize],
        taken: Result<BackendId, NoBackend>,
        may_refuse: bool,
    ) -> TestCaseResult {
        if let Some(sorry) = self.sorry {
            // Nobody comes to belong there, and nobody is forgotten for it.
            prop_assert_eq!(taken, Ok(sorry));
            return Ok(());
        }
        let is_there = self.open.get(&client).is_some_and(|&flows| flows > 0);
        let known = self.homes.remove(&client);
        let known = known.filter(|&(_, last)| is_there || now < last + TIMEOUT);
        let home = known.map(|(home, _)| home.number() as usize);
        let refused = home.is_some_and(|home| tried.contains(&home));
        let is_here = home.is_some_and(|home| match self.rows[home] {
            Row::Up => true,
            Row::Draining => !self.moves,
            Row::Drained | Row::Down | Row::Out => false,
        });
        let is_down = home.is_some_and(|home| self.rows[home] == Row::Down);
        if let Some((home, _)) = known.filter(|_| self.refuses && (is_down || is_here && refused)) {
            prop_assert_eq!(taken, Err(NoBackend::HomeDown { home }));
            self.homes.insert(client, (home, now));
            return Ok(());
        }
        let belongs = is_here && !refused;
        let is_full = home.is_some_and(|home| belongs && self.is_full(home));
        if let Some((home, _)) = known.filter(|_| is_full && self.waits && self.has_queue) {
            prop_assert_eq!(taken, Err(NoBackend::HomeFull { home }));
            self.homes.insert(client, (home, now));
            return Ok(());
        }
        let stays = home.filter(|&home| belongs && !self.is_full(home));
        let usable: Vec<_> = (0..BACKENDS)
            .filter(|&one| self.rows[one] == Row::Up && !tried.contains(&one))
            .collect();
        let free = usable.iter().any(|&one| !self.is_full(one));
        match (taken, stays) {
            (_, Some(home)) => prop_assert_eq!(taken, Ok(BackendId::new(home as u32)), "stays"),
            (Ok(id), None) => {
                let one = id.number() as usize;
                prop_assert!(usable.contains(&one) && !self.is_full(one), "{id} is not elsewhere");
            }
            (Err(reason), None) => {
                prop_assert!(!free || may_refuse, "{reason}, but there was room");
                let count = |wanted| self.rows.iter().filter(|&&row| wanted == row).count();
                let expected = match (count(Row::Up), count(Row::Draining) + count(Row::Drained)) {
                    (0, 0) => NoBackend::AllDown { configured: BACKENDS },
                    (0, alive) => NoBackend::AllDraining { alive },
                    (tried, _) if usable.is_empty() => NoBackend::AllTried { tried },
                    _ => NoBackend::AllFull { full: usable.len() },
                };
                prop_assert_eq!(reason, expected);
            }
        }
        let belongs = known.filter(|_| belongs || taken.is_err()).map(|(home, _)| home);
        if let Some(home) = belongs.or(taken.ok()) {
            self.homes.insert(client, (home, now));
        }
        Ok(())
    }
}

fn drain<K: ClientKey>(server: &mut VirtualServer<()>, director: &Director<K, ()>) {
    while let Some(action) = server.poll_action() {
        if let Action::Publish(pool) = action {
            director.publish(pool);
        }
    }
}

/// Who remembers where a client belongs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Memory {
    /// The client, which says so with each flow, and is told when that changes.
    Client,
    Director,
    /// A director with a change feed.
    Replicated,
}

fn play(
    algorithm: Algorithm,
    memory: Memory,
    has_queue: bool,
    while_open: bool,
    setting: Setting,
    steps: Vec<Step>,
    seed: u64,
) -> TestCaseResult {
    let mut server = VirtualServer::new(config(&setting), algorithm.scheduler()).unwrap();
    let director = Director::<Sticky<u64>, ()>::new(Arc::clone(server.published()));
    let table = PersistenceConfig::new(Duration::from_millis(TIMEOUT), 100.try_into().unwrap())
        .while_open(while_open);
    let director = match memory {
        Memory::Client => director,
        Memory::Director => director.with_persistence_config(&table),
        Memory::Replicated => director.with_persistence_config(&table.replicated(1, start(), 0)),
    };
    director.set_queue(has_queue.then_some(QueueConfig::new(NonZeroUsize::MIN)));
    // What each client carries, and since when it is unused.
    let mut carried = BTreeMap::<u64, (u64, u64)>::new();
    let (begin, mut rng) = (start(), support::seeded(seed));
    let mut oracle = Oracle {
        setting,
        told: [Told {
            up: true,
            admin: Admin::Ready,
            weight: 1,
            flows: 0,
            overloaded: false,
            drains_since: None,
        }; BACKENDS],
        rows: [Row::Out; BACKENDS],
        has_queue,
        moves: false,
        waits: false,
        refuses: false,
        sorry: None,
        homes: BTreeMap::new(),
        open: BTreeMap::new(),
    };
    // What the machine knows of the time is as late as its last input.
    let (mut now, mut known) = (0, 0);
    // With the client that is remembered for it.
    let mut leases = Vec::<(Lease<()>, Option<u64>)>::new();
    let id = |one: usize| BackendId::new(one as u32);
    let all_up = (0..BACKENDS).map(|one| Step::Health(one, true));
    let opening = all_up.chain([Step::Publish]);
    for step in opening.chain(steps) {
        let instant = after(begin, now);
        if matches!(step, Step::Health(..) | Step::Admin(..) | Step::Weight(..) | Step::Reload(_)) {
            known = now;
        }
        match step {
            Step::Health(one, up) => {
                oracle.told[one].up = up;
                server.handle_health(instant, id(one), if up { Health::UP } else { Health::Down });
            }
            Step::Admin(one, admin) => {
                oracle.told[one].admin = admin;
                prop_assert!(server.set_admin(instant, id(one), admin));
            }
            Step::Weight(one, weight) => {
                oracle.told[one].weight = weight;
                prop_assert!(server.set_weight(instant, id(one), Weight::new(weight)));
            }
            Step::Reload(setting) => {
                server.reconfigure(instant, config(&setting)).unwrap();
                let bounds = oracle.setting.bounds.iter().zip(&setting.bounds);
                for (told, (&before, &bounds)) in oracle.told.iter_mut().zip(bounds) {
                    let upper = |bounds: Bounds| bounds.1.map(|(upper, _)| upper);
                    // Whoever raises the threshold wants it to take clients.
                    told.overloaded &= upper(bounds) <= upper(before);
                    told.counted(told.flows, bounds);
                }
                oracle.setting = setting;
            }
            Step::Publish => {
                drain(&mut server, &director);
                oracle.publish(known, server.sorry().map(|sorry| sorry.id()));
                let in_time = |row: &Row, told: &Told| {
                    let lasts = oracle.setting.drain_timeout.filter(|_| *row == Row::Draining)?;
                    Some(after(begin, told.drains_since? + lasts))
                };
                let deadlines = oracle.rows.iter().zip(&oracle.told);
                let deadline = deadlines.filter_map(|(row, told)| in_time(row, told)).min();
                prop_assert_eq!(server.next_deadline(), deadline);
            }
            Step::Wait(time) => {
                now += time;
                // A machine that has not been drained of its last input has no deadline for it yet.
                drain(&mut server, &director);
                oracle.publish(known, server.sorry().map(|sorry| sorry.id()));
                while let Some(deadline) =
                    server.next_deadline().filter(|&deadline| deadline <= after(begin, now))
                {
                    known = deadline.duration_since(begin).as_millis() as u64;
                    server.handle_timeout(deadline);
                    drain(&mut server, &director);
                    oracle.publish(known, server.sorry().map(|sorry| sorry.id()));
                }
            }
            Step::Flow { client, tried, pause } => {
                now += pause;
                let refused: Vec<_> = tried.iter().copied().map(id).collect();
                carried.retain(|_, (_, last)| now < *last + TIMEOUT);
                let place = carried.get(&client).map(|&(place, _)| place);
                let bearer = Sticky::new(client, place);
                let taken = director.assign(after(begin, now), &bearer, &refused, &mut rng);
                // At a sorry server nobody asks where a client belongs.
                if memory == Memory::Client && oracle.sorry.is_none() {
                    let told = taken.as_ref().ok().filter(|lease| lease.is_home());
                    if let Some(place) = told.map(|lease| lease.place()).or(place) {
                        carried.insert(client, (place, now));
                    }
                }
                // `ovf` fills up to weights, too.
                let may_refuse = algorithm == Algorithm::Ovf;
                let place = taken.as_ref().map(|lease| lease.id()).map_err(|&reason| reason);
                oracle.judge(now, client, &tried, place, may_refuse)?;
                if let Ok(lease) = taken {
                    if let Some(told) = oracle.told.get_mut(lease.id().number() as usize) {
                        let bounds = oracle.setting.bounds[lease.id().number() as usize];
                        told.counted(told.flows + 1, bounds);
                    }
                    // Where flows go to the sorry server, nobody is asked who is remembered.
                    let keeps = while_open && memory != Memory::Client && oracle.sorry.is_none();
                    let kept = Some(client).filter(|_| keeps);
                    kept.into_iter().for_each(|kept| *oracle.open.entry(kept).or_default() += 1);
                    leases.push((lease, kept));
                }
            }
            Step::End(place) => {
                if place < leases.len() {
                    let (lease, kept) = leases.remove(place);
                    let one = lease.id().number() as usize;
                    // So that the director knows when that is.
                    director.expire(after(begin, now));
                    drop(lease);
                    if let Some(kept) = kept {
                        *oracle.open.entry(kept).or_default() -= 1;
                        oracle.homes.entry(kept).and_modify(|(_, last)| *last = now);
                    }
                    if let Some(told) = oracle.told.get_mut(one) {
                        told.counted(told.flows - 1, oracle.setting.bounds[one]);
                    }
                }
            }
        }
        // Existing flows stay, whatever happens to their backend.
        for (status, told) in server.backends().zip(&oracle.told) {
            prop_assert_eq!(status.backend.load().active(), told.flows);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_the_table(
        algorithm in (0..Algorithm::ALL.len()).prop_map(|place| Algorithm::ALL[place]),
        memory in select(vec![Memory::Client, Memory::Director, Memory::Replicated]),
        has_queue in any::<bool>(),
        while_open in any::<bool>(),
        setting in setting(),
        steps in vec(step(), 1..80),
        seed in any::<u64>(),
    ) {
        play(algorithm, memory, has_queue, while_open, setting, steps, seed)?;
    }
}

type Backends = Vec<(Arc<Backend<()>>, Weight)>;

/// `None` for those that are down.
fn publish(director: &Director<u64, ()>, backends: &Backends, weights: &[Option<u16>]) {
    let members = backends.iter().zip(weights);
    let members = members
        .filter_map(|((backend, _), weight)| Some((Arc::clone(backend), Weight::new((*weight)?))));
    let pool = director.pool();
    director.publish(Arc::new(Pool::new(members.collect::<Vec<_>>(), &**pool.scheduler())));
}

fn at_most(flows: u32) -> Limits {
    Limits::NONE.at_most(NonZeroU32::new(flows).unwrap())
}

/// Every way in which a backend comes to drain has the same end.
#[test]
fn clients_are_kept_for_so_long_and_no_longer() {
    let config = |weight: u16| {
        let backends = ["A", "B"].map(|name| BackendConfig::new(name, ()).reporting_weight());
        let [a, b] = backends;
        VirtualServerConfig::of([a.weighing(weight), b])
            .with_drain_timeout(Duration::from_millis(500))
    };
    let zero = || Health::weighing(Weight::ZERO);
    type Way<'a> = &'a dyn Fn(&mut VirtualServer<()>, std::time::Instant, BackendId);
    let ways: [Way<'_>; 4] = [
        &|server, now, a| assert!(server.set_admin(now, a, Admin::Drain)),
        &|server, now, a| assert!(server.set_weight(now, a, Weight::ZERO)),
        &|server, now, a| server.handle_health(now, a, zero()),
        &|server, now, _| server.reconfigure(now, config(0)).unwrap(),
    ];
    for way in ways {
        let (begin, mut server) =
            (start(), VirtualServer::new(config(1), Algorithm::Fo.scheduler()).unwrap());
        let director = Director::<u64, ()>::new(Arc::clone(server.published()))
            .with_persistence(Duration::from_secs(60), 10.try_into().unwrap());
        let ids: Vec<_> = server.backends().map(|one| one.id).collect();
        ids.iter().for_each(|&id| server.handle_health(begin, id, Health::UP));
        drain(&mut server, &director);
        let who = |millis| {
            director.assign(after(begin, millis), &7, &[], &mut Zeros).unwrap().name().to_owned()
        };
        assert_eq!(who(0), "A");
        way(&mut server, after(begin, 100), ids[0]);
        drain(&mut server, &director);
        let deadline = after(begin, 600);
        assert_eq!((server.next_deadline(), who(599)), (Some(deadline), "A".to_owned()));
        assert_eq!(server.backend(ids[0]).unwrap().draining_until, Some(deadline));
        // Inputs in between do not put it off.
        server.handle_health(after(begin, 300), ids[1], Health::UP);
        server.handle_timeout(after(begin, 599));
        drain(&mut server, &director);
        assert_eq!(who(599), "A");
        server.handle_timeout(deadline);
        drain(&mut server, &director);
        assert_eq!((server.next_deadline(), who(600)), (None, "B".to_owned()));
        // Back in service it gets nobody back, and drains anew another time.
        server.set_admin(after(begin, 700), ids[0], Admin::Ready);
        server.handle_health(after(begin, 700), ids[0], Health::UP);
        server.reconfigure(after(begin, 700), config(1)).unwrap();
        server.set_weight(after(begin, 700), ids[0], Weight::ONE);
        drain(&mut server, &director);
        assert_eq!((server.next_deadline(), who(700)), (None, "B".to_owned()));
        way(&mut server, after(begin, 800), ids[0]);
        drain(&mut server, &director);
        assert_eq!(server.next_deadline(), Some(after(begin, 1_300)));
    }
}

/// One that fails is expected back, and keeps its clients for as long as that takes.
#[test]
fn inhibited_backends_do_not_drain() {
    let backends = ["A", "B"].map(|name| BackendConfig::new(name, ()).inhibited_on_failure());
    let config = VirtualServerConfig::of(backends).with_drain_timeout(Duration::ZERO);
    let mut server = VirtualServer::new(config, Algorithm::Fo.scheduler()).unwrap();
    let ids: Vec<_> = server.backends().map(|one| one.id).collect();
    ids.iter().for_each(|&id| server.handle_health(start(), id, Health::UP));
    server.handle_health(start(), ids[0], Health::Down);
    while server.poll_action().is_some() {}
    assert_eq!(server.published().members().len(), 2);
    assert_eq!(server.next_deadline(), None);
}

/// With `A` down to one flow at once, which the client itself has, and what the client gets then and
/// when that flow has ended.
fn while_full_and_after(draining: DrainingClients, drained: bool) -> [String; 2] {
    let config = |limits| {
        let backends = ["A", "B"].map(|name| BackendConfig::new(name, ()).initially_up());
        let [a, b] = backends;
        VirtualServerConfig::of([a.limited(limits), b]).with_draining_clients(draining)
    };
    let (now, mut server) =
        (start(), VirtualServer::new(config(at_most(1)), Algorithm::Fo.scheduler()).unwrap());
    let director = Director::<u64, ()>::new(Arc::clone(server.published()))
        .with_persistence(Duration::from_secs(60), 10.try_into().unwrap());
    drain(&mut server, &director);
    let assign = || director.assign(now, &7, &[], &mut Zeros).unwrap();
    let first = assign();
    assert_eq!(first.name(), "A");
    if drained {
        server.set_admin(now, first.id(), Admin::Drain);
        drain(&mut server, &director);
    }
    let meanwhile = assign().name().to_owned();
    drop(first);
    server.set_admin(now, BackendId::new(0), Admin::Ready);
    drain(&mut server, &director);
    [meanwhile, assign().name().to_owned()]
}

#[test]
fn clients_of_full_backends_are_served_elsewhere_and_return() {
    for draining in [DrainingClients::Keep, DrainingClients::Move] {
        assert_eq!(while_full_and_after(draining, false), ["B", "A"]);
    }
    assert_eq!(while_full_and_after(DrainingClients::Keep, true), ["B", "A"]);
}

#[test]
fn clients_to_be_moved_are_moved_from_full_backends_as_well() {
    assert_eq!(while_full_and_after(DrainingClients::Move, true), ["B", "B"]);
}

#[test]
fn clients_of_removed_backends_are_moved_for_good() {
    let config = |names: &[&'static str]| {
        let backends = names.iter().map(|&name| BackendConfig::new(name, ()).initially_up());
        VirtualServerConfig::of(backends.collect::<Vec<_>>())
    };
    let (now, mut server) =
        (start(), VirtualServer::new(config(&["A", "B"]), Algorithm::Fo.scheduler()).unwrap());
    let director = Director::<u64, ()>::new(Arc::clone(server.published()))
        .with_persistence(Duration::from_secs(60), 10.try_into().unwrap());
    drain(&mut server, &director);
    let assign = |client| director.assign(now, &client, &[], &mut Zeros).unwrap();
    let (first, unseen) = (assign(7), assign(8));
    assert_eq!((first.name(), unseen.name()), ("A", "A"));
    server.reconfigure(now, config(&["B"])).unwrap();
    drain(&mut server, &director);
    assert_eq!(assign(7).name(), "B");
    // The flow that is there stays, and is counted where it is.
    assert_eq!((first.name(), first.load().active()), ("A", 2));
    server.reconfigure(now, config(&["A", "B"])).unwrap();
    drain(&mut server, &director);
    assert_eq!(assign(7).name(), "B");
    // Flows were there all the time, so that it is the same: whoever did not come meanwhile still
    // belongs there.
    let again = assign(8);
    assert_eq!((again.id(), again.load().active()), (first.id(), 3));
    // Without any, it is another one of the same name, to whom nobody belongs.
    let former = first.id();
    drop((first, unseen, again));
    for names in [&["B"][..], &["A", "B"]] {
        server.reconfigure(now, config(names)).unwrap();
        drain(&mut server, &director);
    }
    let newcomer = assign(8);
    assert_eq!((newcomer.name(), newcomer.load().active()), ("A", 1));
    assert_ne!(newcomer.id(), former);
}

/// What a client of `A` gets while that is as `happens` says, and when it is back.
fn meanwhile_and_after(
    happens: impl FnOnce(&mut VirtualServer<()>, BackendId),
    tried: &[BackendId],
) -> [Result<String, NoBackend>; 2] {
    let backends = ["A", "B"].map(|name| BackendConfig::new(name, ()).initially_up());
    let config = VirtualServerConfig::of(backends).with_clients_when_down(WhenDown::Refuse);
    let (now, mut server) =
        (start(), VirtualServer::new(config, Algorithm::Fo.scheduler()).unwrap());
    let director = Director::<u64, ()>::new(Arc::clone(server.published()))
        .with_persistence(Duration::from_secs(60), 10.try_into().unwrap());
    drain(&mut server, &director);
    let assign = |tried: &[BackendId]| {
        let lease = director.assign(now, &7, tried, &mut Zeros);
        lease.map(|lease| lease.name().to_owned())
    };
    assert_eq!(assign(&[]).unwrap(), "A");
    let home = BackendId::new(0);
    happens(&mut server, home);
    drain(&mut server, &director);
    let meanwhile = assign(tried);
    // Whoever is new is served.
    assert!(director.assign(now, &8, tried, &mut Zeros).is_ok());
    server.handle_health(now, home, Health::UP);
    server.set_ejected(now, home, false);
    server.set_admin(now, home, Admin::Ready);
    drain(&mut server, &director);
    [meanwhile, assign(&[])]
}

#[test]
fn clients_of_backends_that_are_down_may_be_refused_and_return() {
    let (home, now) = (BackendId::new(0), start());
    let refused = [Err(NoBackend::HomeDown { home }), Ok("A".to_owned())];
    let fails = |server: &mut VirtualServer<()>, home| {
        server.handle_health(now, home, Health::Down);
    };
    assert_eq!(meanwhile_and_after(fails, &[]), refused);
    assert_eq!(meanwhile_and_after(|_, _| {}, &[home]), refused, "checks have not noticed yet");
    let ejected = |server: &mut VirtualServer<()>, home| {
        server.set_ejected(now, home, true);
    };
    assert_eq!(meanwhile_and_after(ejected, &[]), refused);
}

#[test]
fn clients_of_backends_that_are_not_expected_back_are_moved_even_so() {
    let moved = ["B", "B"].map(|name| Ok(name.to_owned()));
    for admin in [Admin::Maintenance, Admin::Drain, Admin::Drained] {
        let leaves = |server: &mut VirtualServer<()>, home| {
            server.set_admin(start(), home, admin);
            server.handle_health(start(), home, Health::Down);
        };
        assert_eq!(meanwhile_and_after(leaves, &[]), moved, "{admin:?}");
    }
    // The same when it was down before: the pool has no other members for that.
    let goes = |server: &mut VirtualServer<()>, home| {
        server.handle_health(start(), home, Health::Down);
        while server.poll_action().is_some() {}
        server.set_admin(start(), home, Admin::Maintenance);
    };
    assert_eq!(meanwhile_and_after(goes, &[]), moved);
}

/// A reload holds backends to their new limits at once, the pool that knows of them comes later.
#[test]
fn limits_hold_before_the_pool_that_knows_of_them_is_published() {
    for algorithm in Algorithm::ALL {
        let backends = support::alphabet(&[1, 1]);
        let director =
            Director::<u64, ()>::new(Pool::new(backends.clone(), &*algorithm.scheduler()));
        for (backend, _) in &backends {
            backend.set_limits(at_most(1));
        }
        let assign = || director.assign(start(), &7, &[], &mut Zeros);
        let [first, second] = [assign().unwrap(), assign().unwrap()];
        assert_ne!(first.id(), second.id(), "{algorithm}");
        assert_eq!(assign().unwrap_err(), NoBackend::AllFull { full: 2 }, "{algorithm}");
    }
}

#[test]
fn who_comes_back_gets_nobody_back() {
    let backends = support::alphabet(&[1; 2]);
    let director = Director::new(Pool::new(backends.clone(), &*Algorithm::Fo.scheduler()))
        .with_persistence(Duration::from_secs(60), 10.try_into().unwrap());
    let now = start();
    let assign = || director.assign(now, &7, &[], &mut Zeros).unwrap().name().to_owned();
    assert_eq!(assign(), "A");
    publish(&director, &backends, &[None, Some(1)]);
    assert_eq!(assign(), "B");
    publish(&director, &backends, &[Some(1), Some(1)]);
    assert_eq!(assign(), "B");
}

#[test]
fn no_more_are_remembered_than_there_is_room_for() {
    for capacity in [1, 7, 1_024, 2_049, 4_095, 70_001] {
        let director = Director::<u64, ()>::new(support::pool(Algorithm::Rr, &[1; 2]))
            .with_persistence(Duration::from_secs(60), capacity.try_into().unwrap());
        let now = start();
        for client in 0..2 * capacity as u64 {
            // Spread over all bits, as a hash would be.
            let client = client.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            drop(director.assign(now, &client, &[], &mut Zeros));
        }
        assert!(director.persisted() <= capacity, "{} of {capacity}", director.persisted());
        assert!(
            director.persisted() * 10 >= capacity * 9,
            "{} of {capacity}",
            director.persisted()
        );
        director.expire(after(now, 60_000));
        assert_eq!(director.persisted(), 0);
    }
}
