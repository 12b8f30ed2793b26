//! Every scheduler over chains of memberships: what it picks may be picked, it picks whenever
//! somebody may be (`ovf`: whenever somebody is idle), and the same chain gives the same picks.
#![cfg_attr(feature = "fuzzer", no_main)]

use std::sync::Arc;

use fuzz::arbitrary::{self, Arbitrary};
use lb_core::backend::BackendId;
use lb_core::pool::NoBackend;
use lb_core::{Algorithm, Backend, Flow, Lease, Pool, Weight};
use rand::SeedableRng;
use rand::rngs::SmallRng;

fuzz::target!(|script: Script| script.run());

#[derive(Arbitrary, Debug)]
struct Script {
    algorithm: u8,
    phase: u64,
    seed: u64,
    rounds: Vec<Round>,
}

/// One membership, and the picks over it.
#[derive(Arbitrary, Debug)]
struct Round {
    members: Vec<(u8, Heaviness)>,
    picks: Vec<Pick>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Heaviness {
    Light(u8),
    Heavy(u16),
    One,
}

#[derive(Arbitrary, Debug)]
struct Pick {
    hash: u64,
    prefer: Option<u8>,
    tried: Vec<u8>,
    /// Whether the flow lasts to the end of its round.
    stays: bool,
}

/// Beyond this a round only costs time.
const MOST_MEMBERS: usize = 12;
const MOST_ROUNDS: usize = 6;

impl Script {
    fn run(self) {
        assert_eq!(self.replay(), self.replay(), "the same inputs, the same picks");
    }

    fn replay(&self) -> Vec<Option<BackendId>> {
        let algorithm = Algorithm::ALL[usize::from(self.algorithm) % Algorithm::ALL.len()];
        let mut rng = SmallRng::seed_from_u64(self.seed);
        // Counters belong to the backend and outlive every pool.
        let backends: Vec<_> = (0..=u8::MAX)
            .map(|n| Arc::new(Backend::new(BackendId::new(n.into()), n.to_string(), ())))
            .collect();
        let mut scheduler = algorithm.scheduler_at(self.phase);
        let mut picked = Vec::new();
        for round in self.rounds.iter().take(MOST_ROUNDS) {
            let members = round.members.iter().take(MOST_MEMBERS);
            let members = members.map(|&(n, heaviness)| {
                (Arc::clone(&backends[usize::from(n)]), heaviness.weight(algorithm))
            });
            let pool = Pool::new(members, &*scheduler);
            let mut leases = Vec::new();
            for pick in &round.picks {
                let backend = pick.check(algorithm, &pool, &mut rng);
                picked.push(backend.map(|backend| backend.id()));
                leases.extend(backend.filter(|_| pick.stays).cloned().map(Lease::new));
            }
            scheduler = Arc::clone(pool.scheduler());
        }
        assert!(backends.iter().all(|backend| backend.load().active() == 0), "every flow ended");
        picked
    }
}

impl Heaviness {
    fn weight(self, algorithm: Algorithm) -> Weight {
        match self {
            // A ring of a million points takes longer than a thousand other inputs.
            Self::Heavy(weight) if algorithm == Algorithm::Sh => Weight::new(weight % 8),
            Self::Light(weight) if algorithm == Algorithm::Sh => Weight::new(u16::from(weight) % 8),
            Self::Light(weight) => Weight::new(weight.into()),
            Self::Heavy(weight) => Weight::new(weight),
            Self::One => Weight::ONE,
        }
    }
}

impl Pick {
    fn check<'a>(
        &self,
        algorithm: Algorithm,
        pool: &'a Pool<()>,
        rng: &mut SmallRng,
    ) -> Option<&'a Arc<Backend<()>>> {
        let tried: Vec<_> = self.tried.iter().map(|&n| BackendId::new(n.into())).collect();
        let prefer = self.prefer.map(|n| BackendId::new(n.into()));
        let flow = Flow::new(self.hash).retried(&tried).preferring(prefer);
        let chosen = pool.pick(&flow, rng);
        let usable = || pool.members().iter().filter(|member| flow.may_use(member));
        let preferred = prefer.filter(|&id| !flow.has_tried(id)).and_then(|id| pool.backend(id));
        match (chosen, preferred) {
            (Ok(backend), Some(preferred)) => assert_eq!(backend.id(), preferred.id()),
            (Ok(backend), None) => assert!(
                usable().any(|member| member.id == backend.id()),
                "{} takes no such flow",
                backend.id()
            ),
            (Err(NoBackend::AllFull { full: count }), None) => {
                assert_eq!((algorithm, count), (Algorithm::Ovf, usable().count()));
                assert!(usable().all(|member| member.load.active() > 0), "refused an idle one");
            }
            (Err(reason), preferred) => {
                assert!(preferred.is_none() && usable().next().is_none(), "{reason}, but for some");
                let weighty = pool.members().iter().any(|member| !member.weight.is_zero());
                assert_eq!(matches!(reason, NoBackend::AllTried { .. }), weighty, "{reason}");
            }
        }
        chosen.ok()
    }
}
