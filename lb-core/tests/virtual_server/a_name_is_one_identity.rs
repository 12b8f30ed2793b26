//! A name has one identity for as long as it is configured, as a backend or as the sorry server, or
//! flows are left from when it was; then somebody new has it. However many there are.
#![allow(clippy::unwrap_used, reason = "what cannot be set up fails the test")]

use crate::support;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use lb_core::backend::BackendId;
use lb_core::virtual_server::{BackendConfig, SorryMode, SorryServer, VirtualServerConfig};
use lb_core::{Algorithm, Backend, Lease, VirtualServer};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::sample::{Index, select, subsequence};

struct Run {
    server: VirtualServer<()>,
    identities: HashMap<String, BackendId>,
    issued: HashSet<BackendId>,
    flows: Vec<Lease<()>>,
}

impl Run {
    fn new() -> Self {
        let nobody = VirtualServerConfig::of([]);
        Self {
            server: VirtualServer::new(nobody, Algorithm::Fo.scheduler()).unwrap(),
            identities: HashMap::new(),
            issued: HashSet::new(),
            flows: Vec::new(),
        }
    }

    /// Everybody who is configured, a sorry server that is also a backend twice.
    fn configured(&self) -> Vec<Arc<Backend<()>>> {
        let backends = self.server.backends().map(|one| Arc::clone(one.backend));
        backends.chain(self.server.sorry().cloned()).collect()
    }

    fn reconfigure(&mut self, names: &[String], sorry: Option<&str>) {
        let backend = |name: &str| BackendConfig::new(name, ()).initially_up();
        let sorry = sorry.map(|name| SorryServer::new(backend(name), SorryMode::NoneAlive));
        let config = VirtualServerConfig::of(names.iter().map(|name| backend(name)));
        self.server.reconfigure(support::start(), config.with_sorry(sorry)).unwrap();
        let here = self.configured();
        let sorry_name = self.server.sorry().map(|sorry| sorry.name());
        let due = names.iter().map(String::as_str).chain(sorry_name);
        assert!(here.iter().map(|one| one.name()).eq(due), "everybody, in order");
        for backend in &here {
            let issued = &mut self.issued;
            let known = self.identities.entry(backend.name().to_owned()).or_insert_with(|| {
                assert!(issued.insert(backend.id()), "{} was issued before", backend.id());
                backend.id()
            });
            assert_eq!(backend.id(), *known, "{}", backend.name());
        }
        let here = here.iter().map(|one| one.id());
        let known: HashSet<_> = here.chain(self.flows.iter().map(|flow| flow.id())).collect();
        self.identities.retain(|_, id| known.contains(id));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Begin(Index),
    End(Index),
    Reconfigure(Vec<String>, Option<String>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let names: Vec<_> = ["a", "b", "c", "d", "e"].map(str::to_owned).into();
    let some = subsequence(names.clone(), 0..=names.len()).prop_shuffle();
    let sorry = option::of(select(names));
    let step = prop_oneof![
        2 => any::<Index>().prop_map(Step::Begin),
        1 => any::<Index>().prop_map(Step::End),
        3 => (some, sorry).prop_map(|(names, sorry)| Step::Reconfigure(names, sorry)),
    ];
    vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whoever_is_known_is_the_same(steps in steps()) {
        let mut run = Run::new();
        for step in steps {
            match step {
                Step::Begin(which) => {
                    let here = run.configured();
                    if !here.is_empty() {
                        run.flows.push(Lease::new(Arc::clone(which.get(&here))));
                    }
                }
                Step::End(which) => {
                    if !run.flows.is_empty() {
                        drop(run.flows.swap_remove(which.index(run.flows.len())));
                    }
                }
                Step::Reconfigure(names, sorry) => run.reconfigure(&names, sorry.as_deref()),
            }
        }
    }
}

#[test]
fn twenty_thousand_come_and_go() {
    let names = |from: u32| (from..from + 10_000).map(|one| one.to_string()).collect::<Vec<_>>();
    let (some, others) = (names(0), names(10_000));
    let mut run = Run::new();
    run.reconfigure(&some, None);
    run.flows = run.configured().into_iter().map(Lease::new).collect();
    let known = run.identities.clone();
    run.reconfigure(&others, None);
    assert_eq!(run.identities.len(), 20_000, "all of them are waited for");
    run.reconfigure(&[], Some("9999"));
    run.reconfigure(&some, Some("5"));
    assert_eq!(run.identities, known);
    run.flows.clear();
    run.reconfigure(&others, None);
    run.reconfigure(&some, None);
    assert!(known.iter().all(|(name, id)| run.identities[name] != *id), "all of them are new");
}
