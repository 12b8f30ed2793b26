//! `sh`: who leaves takes only its own clients along, who comes only takes, and any two directors
//! agree.

use crate::support;

use std::collections::HashSet;
use std::sync::Arc;

use lb_core::backend::BackendId;
use lb_core::{Algorithm, Backend, Director, Flow, Pool, Weight};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_assert, prop_assert_eq, proptest};
use support::{Zeros, seeded, start};

const CLIENTS: u64 = 2_000;

type Share = (&'static str, u16);

/// A pool of backends with these names; ids are counted from `first_id`.
fn named(shares: &[Share], first_id: u32) -> Pool<()> {
    let members = shares.iter().zip(first_id..).map(|(&(name, weight), id)| {
        (Arc::new(Backend::new(BackendId::new(id), name, ())), Weight::new(weight))
    });
    Pool::new(members.collect::<Vec<_>>(), &*Algorithm::Sh.scheduler())
}

/// Clients as they come: small numbers are the worst that a hash may be given.
fn owners<E>(pool: &Pool<E>) -> Vec<Option<String>> {
    let owner = |client| pool.pick(&Flow::new(client), &mut Zeros).ok();
    (0..CLIENTS).map(|client| owner(client).map(|backend| backend.name().to_owned())).collect()
}

fn shares() -> impl Strategy<Value = Vec<Share>> {
    let names = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "a", "b", "[2001:db8::1]:80", "c"];
    let weights = vec(0..5_u16, names.len());
    (2..=names.len(), weights)
        .prop_map(move |(count, weights)| names.into_iter().zip(weights).take(count).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn leaving_moves_only_the_leavers(shares in shares(), drained: bool, gone: proptest::sample::Index) {
        let gone = gone.index(shares.len());
        let mut rest = shares.clone();
        if drained {
            rest[gone].1 = 0;
        } else {
            rest.remove(gone);
        }
        for (before, after) in owners(&named(&shares, 0)).iter().zip(owners(&named(&rest, 0))) {
            if before.as_deref() != Some(shares[gone].0) {
                prop_assert_eq!(before, &after);
            } else {
                prop_assert!(after.as_deref() != Some(shares[gone].0));
            }
        }
    }

    /// Second choices are as consistent as first ones.
    #[test]
    fn leaving_moves_only_the_leavers_refugees(count in 3..7_usize, gone in 1..7_usize) {
        let shares: Vec<Share> =
            ["refuser", "a", "b", "c", "d", "e"].map(|name| (name, 2)).into_iter().take(count).collect();
        let gone = 1 + gone % (count - 1);
        let mut rest = shares.clone();
        rest.remove(gone);
        let tried = [BackendId::new(0)];
        let second = |pool: &Pool<()>, client| {
            let flow = Flow::new(client).retried(&tried);
            pool.pick(&flow, &mut Zeros).map(|backend| backend.name().to_owned())
        };
        let (before, after) = (named(&shares, 0), named(&rest, 0));
        for client in 0..CLIENTS {
            let chosen = second(&before, client);
            if chosen.as_deref() != Ok(shares[gone].0) {
                prop_assert_eq!(chosen, second(&after, client));
            }
        }
    }

    #[test]
    fn coming_only_takes(shares in shares(), weight in 1..5_u16) {
        let more: Vec<_> = [("new", weight)].into_iter().chain(shares.iter().copied()).collect();
        for (before, after) in owners(&named(&shares, 0)).into_iter().zip(owners(&named(&more, 0))) {
            prop_assert!(after == before || after.as_deref() == Some("new"));
        }
    }

    #[test]
    fn two_directors_agree(
        (one, other) in shares().prop_flat_map(|shares| (Just(shares.clone()), Just(shares).prop_shuffle())),
        ids: u16,
        refused in 0..4_usize,
    ) {
        let directors = [named(&one, 0), named(&other, ids.into())].map(Director::<u64, ()>::new);
        let now = start();
        for client in 0..CLIENTS {
            let mut refusals: [Vec<BackendId>; 2] = Default::default();
            // They agree on whom to ask next as well.
            for _ in 0..=refused {
                let asked: Vec<_> = directors.iter().zip(&refusals).zip([1, 2]).map(|((director, tried), seed)| {
                    director.assign(now, &client, tried, &mut seeded(seed))
                }).collect();
                let name = |place: usize| asked[place].as_ref().ok().map(|lease| lease.name());
                prop_assert_eq!(name(0), name(1));
                for (tried, lease) in refusals.iter_mut().zip(&asked) {
                    tried.extend(lease.as_ref().map(|lease| lease.id()));
                }
            }
        }
    }
}

#[test]
fn the_leavers_clients_spread_over_all_survivors() {
    let shares: Vec<Share> = ["a", "b", "c", "d", "e", "f"].map(|name| (name, 1)).into();
    let (before, after) = (owners(&named(&shares, 0)), owners(&named(&shares[1..], 0)));
    let mut takers = [0; 5];
    for (_, after) in before.iter().zip(&after).filter(|(before, _)| before.as_deref() == Some("a"))
    {
        let after = after.as_deref().unwrap();
        takers[shares[1..].iter().position(|&(name, _)| name == after).unwrap()] += 1;
    }
    let moved: u32 = takers.iter().sum();
    assert!(takers.iter().all(|&took| took * 15 > moved), "{takers:?}");
}

/// Nobody's clients may fall on one other backend, not even those of a giant among dwarfs.
#[test]
fn who_refuses_leaves_its_clients_to_all() {
    for giant in [1, 200] {
        let shares =
            [("dwarf 1", 1), ("dwarf 2", 1), ("giant", giant), ("dwarf 3", 1), ("dwarf 4", 1)];
        // Another director lists them the other way round; the giant is in the middle of both.
        let [pool, mirrored] = [shares, [shares[4], shares[3], shares[2], shares[1], shares[0]]]
            .map(|shares| named(&shares, 0));
        let tried = [BackendId::new(2)];
        let mut takers = [0; 5];
        for client in 0..CLIENTS {
            if support::index(&pool, &Flow::new(client), &mut Zeros) == Some(2) {
                let retry = Flow::new(client).retried(&tried);
                let taker = support::index(&pool, &retry, &mut Zeros).unwrap();
                let other = support::index(&mirrored, &retry, &mut Zeros).unwrap();
                assert_eq!(pool.backends()[taker].name(), mirrored.backends()[other].name());
                takers[taker] += 1;
            }
        }
        let moved: u32 = takers.iter().sum();
        let fair = |&place: &usize| takers[place] * 4 > moved / 2 && takers[place] * 4 < moved * 2;
        assert!([0, 1, 3, 4].iter().all(fair) && takers[2] == 0, "{giant}: {takers:?}");
    }
}

#[test]
fn weights_are_shares() {
    let pool = named(&[("a", 1), ("b", 2), ("c", 0), ("d", 5)], 0);
    let counts = support::tally(&pool, (0..80_000).map(|client: u64| client << 40), &mut Zeros);
    for (count, due) in counts.into_iter().zip([10_000_u64, 20_000, 0, 50_000]) {
        assert!(count.abs_diff(due) <= due / 4, "{count} for {due}");
    }
}

/// What weights there are does not make the ring larger: nor does it take room from anybody.
#[test]
fn the_greatest_weights_keep_the_ring_bounded() {
    let ranges = |weights: &[u16]| {
        let pool = support::pool(Algorithm::Sh, weights);
        let owner = |client| support::index(&pool, &Flow::new(client), &mut Zeros);
        let owners: HashSet<_> = (0..CLIENTS).map(owner).collect();
        assert!(owners.len() >= 40, "every giant has its share");
        let text = format!("{:?}", pool.scheduler());
        let ranges: String = text.chars().filter(char::is_ascii_digit).collect();
        ranges.parse::<usize>().unwrap()
    };
    let mut weights = vec![u16::MAX; 40];
    let giants = ranges(&weights);
    assert_eq!(giants, ranges(&[1; 40]));
    assert!(giants <= 40 * 160 + 1, "{giants}");
    weights.push(1);
    let with_a_dwarf = ranges(&weights);
    assert!((giants + 1..=giants + 2 * 160).contains(&with_a_dwarf), "{with_a_dwarf}");
}
