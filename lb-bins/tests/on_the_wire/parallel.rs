//! Many stories at once, since they mostly wait.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::{ALONE, still};

/// How many are played at once.
const AT_ONCE: usize = 12;

/// Plays all of them, from the last one to the first.
///
/// Timing is part of it, and the machine may have been too busy: who fails does so again alone.
pub(crate) fn play_all<T: Copy + Debug + Send + 'static>(
    stories: Vec<T>,
    play: impl Fn(T) + Copy + Send + Sync + 'static,
) {
    let _alone = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    still::look_at_it();
    let stories = Mutex::new(stories);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(story) = { stories.lock().unwrap().pop() } {
                    if thread::spawn(move || play(story)).join().is_err() {
                        failed.lock().unwrap().push(story);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.retain(|&story| {
        eprintln!("{story:?}: once more, alone");
        thread::spawn(move || play(story)).join().is_err()
    });
    assert!(failed.is_empty(), "{failed:?}");
}
