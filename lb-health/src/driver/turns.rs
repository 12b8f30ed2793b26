//! How many runs are under way at once, and who waits for a turn.

use std::collections::BTreeMap;

use super::runs::Spot;

/// Turns to be taken, in the order in which they were first asked for. While somebody waits, none is free.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// As many as come, if there is none.
    most: Option<usize>,
    /// Those that are under way, and those that may begin and do not know it yet.
    taken: usize,
    next: Ticket,
    waiting: BTreeMap<Ticket, Spot>,
}

/// When a turn was first asked for: the smaller, the earlier.
type Ticket = u64;

/// Of one run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Turn {
    #[default]
    Unasked,
    Waits(Ticket),
    Has(Ticket),
    /// It had one and could not begin, as a script without a slot: whoever can goes before.
    Passed(Ticket),
}

impl Turns {
    pub(super) const fn limit(&mut self, most: usize) {
        self.most = Some(most);
    }

    /// Whether the run at `spot` may begin, or go on; else it waits for [`Self::pass_on`].
    pub(super) fn ask(&mut self, turn: &mut Turn, spot: Spot) -> bool {
        let ticket = match *turn {
            Turn::Has(_) => return true,
            Turn::Waits(_) => return false,
            Turn::Passed(ticket) => ticket,
            Turn::Unasked => {
                self.next += 1;
                self.next
            }
        };
        let is_free = self.is_free();
        if is_free {
            self.taken += 1;
            *turn = Turn::Has(ticket);
        } else {
            self.waiting.insert(ticket, spot);
            *turn = Turn::Waits(ticket);
        }
        is_free
    }

    /// One that has a turn cannot begin now. It will be before those that asked later.
    pub(super) const fn pass(&mut self, turn: &mut Turn) {
        if let Turn::Has(ticket) = *turn {
            self.taken -= 1;
            *turn = Turn::Passed(ticket);
        }
    }

    /// A run is over, or gives up.
    pub(super) fn leave(&mut self, turn: Turn) {
        match turn {
            Turn::Has(_) => self.taken -= 1,
            Turn::Waits(ticket) => {
                self.waiting.remove(&ticket);
            }
            Turn::Passed(_) | Turn::Unasked => {}
        }
    }

    /// Who has a free turn from now on, if somebody waits.
    pub(super) fn pass_on(&mut self) -> Option<(Spot, Turn)> {
        let (ticket, spot) = if self.is_free() { self.waiting.pop_first()? } else { return None };
        self.taken += 1;
        Some((spot, Turn::Has(ticket)))
    }

    fn is_free(&self) -> bool {
        self.most.is_none_or(|most| self.taken < most)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever runs do: no more have turns than may, none is free while somebody waits, nobody who has
        /// gone is waited for, and whoever is next asked before all others who wait.
        #[test]
        fn turns_go_to_who_asked_first(
            most in 1_usize..4,
            steps in vec((0_u32..8, 0_u8..4), 1..200),
        ) {
            let mut turns = Turns::default();
            turns.limit(most);
            let mut runs = [Turn::Unasked; 8];
            for (spot, step) in steps {
                let run = &mut runs[spot as usize];
                match step {
                    0 | 1 => {
                        turns.ask(run, spot);
                    }
                    2 => turns.pass(run),
                    _ => turns.leave(std::mem::take(run)),
                }
                while let Some((next, turn)) = turns.pass_on() {
                    let waits = |turn: &Turn| match *turn {
                        Turn::Waits(ticket) => Some(ticket),
                        _ => None,
                    };
                    let first = runs.iter().filter_map(waits).min();
                    prop_assert_eq!(waits(&runs[next as usize]), first);
                    runs[next as usize] = turn;
                }
                let count = |is: fn(&Turn) -> bool| runs.iter().filter(|turn| is(turn)).count();
                let taken = count(|turn| matches!(turn, Turn::Has(_)));
                let waiting = count(|turn| matches!(turn, Turn::Waits(_)));
                prop_assert!(taken <= most && (waiting == 0 || taken == most));
                prop_assert_eq!((turns.taken, turns.waiting.len()), (taken, waiting));
            }
        }
    }
}
