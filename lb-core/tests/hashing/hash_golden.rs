//! Whom the hashing schedulers send some clients to, written down: a change of any of these moves
//! clients at the next upgrade, and parts directors of two releases.

use crate::support;

use lb_core::backend::BackendId;
use lb_core::hash::stable_hash;
use lb_core::{Algorithm, Flow, Pool};
use support::{Zeros, index, pool};

const WEIGHTS: [u16; 5] = [1, 2, 0, 3, 1];

fn letter(pool: &Pool<()>, flow: &Flow<'_>) -> char {
    index(pool, flow, &mut Zeros).map_or('-', |index| (b'A' + index as u8) as char)
}

/// The first 32 clients, in letters; then the hash of what 4,000 clients get at first, after one
/// refusal and after two, and of what the last dwarf beside a giant gets.
fn picture(algorithm: Algorithm) -> (String, u64) {
    let (usual, giant) = (pool(algorithm, &WEIGHTS), pool(algorithm, &[1, 2_000, 1]));
    let client = |number: u64| stable_hash(&number.to_be_bytes());
    let first = (0..32).map(|number| letter(&usual, &Flow::new(client(number)))).collect();
    let refusals = [&[][..], &[BackendId::new(3)], &[BackendId::new(3), BackendId::new(0)]];
    let mut all: String = refusals
        .into_iter()
        .flat_map(|tried| (0..4_000).map(move |number| (tried, number)))
        .map(|(tried, number)| letter(&usual, &Flow::new(client(number)).retried(tried)))
        .collect();
    let refused = [BackendId::new(1)];
    all.extend((0..100).map(|number| letter(&giant, &Flow::new(client(number)).retried(&refused))));
    (first, stable_hash(all.as_bytes()))
}

#[test]
fn pictures() {
    for (algorithm, first, all) in [
        (Algorithm::Sh, "ABDBDDDDAEDAEADAABDDDADDDEBADDEE", 5_695_958_565_335_546_340),
        (Algorithm::Dh, "ABDBDDDDAEDAEADAABDDDADDDEBADDEE", 5_695_958_565_335_546_340),
        (Algorithm::Ring, "ABDBDDDDAEDAEADAABDDDADDDEBADDEE", 5_695_958_565_335_546_340),
        (Algorithm::Ketama, "DDBDDEDBADDBAABDABBBBADDBEDDBBDE", 13_625_715_578_419_013_618),
        (Algorithm::Mh, "BDADEBEADBADDBDDBABAEBBEDDBBEEDD", 3_196_634_906_353_893_566),
        (Algorithm::Rendezvous, "BBADDBBBDDBDEBDBDEDDDDDADBBDDDDD", 5_739_031_371_909_251_282),
    ] {
        assert_eq!(picture(algorithm), (first.to_owned(), all), "{algorithm}");
    }
}
