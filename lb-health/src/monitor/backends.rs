//! The backends of a monitor, in places that their checks know.

use std::collections::HashMap;
use std::hash::Hash;

use lb_core::Health;

use super::check::Seat;
use super::chunks::Chunks;
use super::few::Few;
use crate::CheckId;

/// A backend that is checked.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) checks: Few<CheckId>,
    pub(super) published: Option<Health>,
    pub(super) suspended: bool,
}

/// Backends by key and by place. A result comes with the place, so that nothing is hashed for it.
#[derive(Debug)]
pub(super) struct Backends<K> {
    places: HashMap<K, u32>,
    seats: Chunks<Watched>,
    free: Vec<u32>,
}

impl<K> Default for Backends<K> {
    fn default() -> Self {
        Self { places: HashMap::new(), seats: Chunks::default(), free: Vec::new() }
    }
}

impl<K: Copy + Eq + Hash> Backends<K> {
    /// The seat of `key`, taken now if it has none.
    pub(super) fn seat(&mut self, key: K) -> Seat<K> {
        let place = *self.places.entry(key).or_insert_with(|| {
            self.free.pop().unwrap_or_else(|| {
                self.seats.push(Watched::default());
                (self.seats.len() - 1) as u32
            })
        });
        Seat { place, key }
    }

    pub(super) fn find(&self, key: K) -> Option<Seat<K>> {
        let place = *self.places.get(&key)?;
        Some(Seat { place, key })
    }

    /// Frees the seat of `key`; answers who sat there.
    pub(super) fn remove(&mut self, key: K) -> Option<(Seat<K>, Watched)> {
        let place = self.places.remove(&key)?;
        self.free.push(place);
        let watched = std::mem::take(&mut self.seats[place as usize]);
        Some((Seat { place, key }, watched))
    }

    pub(super) fn get(&self, key: K) -> Option<&Watched> {
        self.places.get(&key).map(|&place| &self.seats[place as usize])
    }

    /// Who sits at `seat`, which is never handed out but while it is taken.
    pub(super) fn at(&mut self, seat: Seat<K>) -> &mut Watched {
        &mut self.seats[seat.place as usize]
    }

    pub(super) fn is_suspended(&self, seat: Seat<K>) -> bool {
        self.seats[seat.place as usize].suspended
    }
}
