//! Which check speaks for which backends.

use std::hash::Hash;
use std::time::Instant;

use rand::Rng;

use super::check::Seat;
use super::{Because, Monitor, Obstruction};
use crate::state::CheckState;
use crate::{Check, CheckId, CheckSpec, Event};

impl<K: Copy + Eq + Hash> Monitor<K> {
    /// Lets `check` speak for `backend` as well, from now on.
    ///
    /// So a server behind many virtual servers is checked once and not once for each (keepalived
    /// #2111, #2358). Whether two checks would do the same, only the caller can tell. They share the
    /// run and what is believed, and what traffic of either backend says of it; each backend has its
    /// own verdicts. A check runs while one of its backends is not suspended.
    pub fn share(&mut self, now: Instant, check: CheckId, backend: K) {
        let Some(known) = self.checks.get_mut(check) else { return };
        if known.backends().any(|other| other == backend) {
            return;
        }
        let seat = self.backends.seat(backend);
        known.backends.push(seat);
        self.backends.at(seat).checks.push(check);
        // What the others were told already, so that whoever hears of the end heard of the begin.
        if let Some((errors, error)) = known.ongoing_obstruction() {
            self.events.push_back(Event::Obstructed(Obstruction { backend, check, errors, error }));
        }
        self.wake(now, check);
        self.publish(seat, || Because::Initial { check });
    }

    /// Lets `check` speak for `backend` no more, and ends it if that was the last one. What else
    /// checks the backend decides on; a backend without any check is up.
    pub fn release(&mut self, check: CheckId, backend: K) {
        let Some(seat) = self.backends.find(backend) else { return };
        if !self.backends.at(seat).checks.as_slice().contains(&check) {
            return;
        }
        self.backends.at(seat).checks.remove(check);
        self.leave(check, seat);
        // Verdicts are the backend's; what was to be told of the check alone is of no use now.
        self.events.retain(|event| event.check() != Some(check) || event.backend() != backend);
        self.publish(seat, || Because::Forgotten { check });
    }

    /// Gives `backend` a changed check of its own in the place of `check`, which it shares with
    /// others: what [`Self::replace`] is to a check that speaks for one. The backend keeps its health,
    /// weight and limits included, until the new check's verdict. If `check` does not speak for it, this is [`Self::watch`]. `rng`
    /// seeds the jitter.
    pub fn split(
        &mut self,
        now: Instant,
        check: CheckId,
        backend: K,
        spec: CheckSpec,
        rng: &mut dyn Rng,
    ) -> CheckId {
        let speaks = |known: &&Check<K>| known.backends().any(|one| one == backend);
        let former = self.checks.get(check).filter(speaks);
        // What an agent said that has been of no help since then is no belief.
        let former = former
            .filter(|known| !known.is_left_out())
            .map(|known| (known.state.replaced(), known.said.of_former(), known.overruled));
        let own = self.watch(now, backend, spec, rng);
        if let (Some((state, said, overruled)), Some(known)) = (former, self.checks.get_mut(own)) {
            (known.said, known.overruled) = (said, overruled);
            let is_off = matches!(known.state, CheckState::Off { .. });
            if !is_off && !matches!(state, CheckState::Off { .. }) {
                known.state = state;
            }
        }
        self.release(check, backend);
        own
    }

    /// Ends every check of `backend` that is not shared, and with them its health. It gets no
    /// further verdict.
    pub fn forget(&mut self, backend: K) {
        let Some((seat, watched)) = self.backends.remove(backend) else { return };
        for &check in watched.checks.as_slice() {
            self.leave(check, seat);
        }
        // Nor one that was decided already, but not yet fetched.
        self.events.retain(|event| event.backend() != backend);
    }

    /// Ends one check, whomever it speaks for: see [`Self::release`].
    pub fn forget_check(&mut self, check: CheckId) {
        while let Some(seat) = self.first_of(check) {
            self.release(check, seat.key);
        }
    }

    fn first_of(&self, check: CheckId) -> Option<Seat<K>> {
        self.checks.get(check)?.backends.as_slice().first().copied()
    }

    /// Takes `seat` from `check`, which ends if it has no other.
    fn leave(&mut self, check: CheckId, seat: Seat<K>) {
        let Some(known) = self.checks.get_mut(check) else { return };
        known.backends.remove(seat);
        if known.backends.as_slice().is_empty() {
            self.cancel(check);
            self.checks.remove(check);
        } else {
            self.doze(check);
        }
    }
}
