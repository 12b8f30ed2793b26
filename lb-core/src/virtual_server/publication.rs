//! What a virtual server comes to: the pool to publish and the events to tell.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::slot::Slot;
use super::slow_start::{STEPS, SlowStart, part};
use super::{Action, DrainingClients, Due, Event, VirtualServer, WhenDown, WhenFull};
use crate::backend::Backend;
use crate::pool::{Pool, Seat};
use crate::quorum::{QuorumChange, Strength};
use crate::scheduler::First;
use crate::weight::Weight;

impl<E> VirtualServer<E> {
    /// Judges the quorum and lays out what is to be done: first publish, so that no script delays
    /// the data plane, then tell.
    pub(super) fn settle(&mut self) {
        self.heed_ejections();
        let (now, lasts) = (self.now, self.policy.drain_timeout);
        self.slots.iter_mut().for_each(|slot| slot.note_draining(now, lasts));
        let strength = self.strength();
        let change = self.quorum.observe(strength);
        self.note_panic(strength);
        self.note_service();
        self.publish(strength);
        self.actions.extend(self.events.drain(..).map(Action::Notify));
        self.actions.extend(change.map(|change| {
            Action::Notify(match change {
                QuorumChange::Gained => Event::QuorumGained { strength },
                QuorumChange::Lost => Event::QuorumLost { strength },
            })
        }));
        self.due = Due::Nothing;
    }

    /// Whom clients find wanting is out as long as somebody else serves: one that fails now and then is
    /// better than nobody (R3).
    pub(super) fn heed_ejections(&mut self) {
        let others = self.slots.iter().any(|slot| !slot.is_wanting() && slot.may_serve());
        for slot in &mut self.slots {
            slot.heed_ejection(others);
        }
    }

    /// Whoever begins to serve beside others begins slowly.
    fn note_service(&mut self) {
        let stays = |slot: &Slot<E>| slot.has_served() && slot.is_serving();
        let slowly = SlowStart::of(self.now, self.policy.slow_start);
        let slowly = slowly.filter(|_| self.slots.iter().any(stays));
        for slot in &mut self.slots {
            slot.note_service(slowly, self.panics);
        }
    }

    /// Whether the sorry server takes over.
    fn is_sorry(&self, strength: Strength) -> bool {
        self.sorry.as_ref().is_some_and(|sorry| sorry.takes_over(strength, &self.quorum))
    }

    /// Checks are not believed when too few live of every priority, and nobody else would serve.
    fn note_panic(&mut self, strength: Strength) {
        let mut groups = BTreeMap::<u8, (u64, u64)>::new();
        for slot in &self.slots {
            let (live, down) = groups.entry(slot.backend.priority()).or_default();
            // Of whom nothing is known yet, the best is assumed: at a start, the first that is found
            // to be down is no reason to disbelieve its check.
            *live += u64::from(slot.is_serving() || slot.is_warming());
            *down += u64::from(slot.is_only_down());
        }
        let below = u64::from(self.policy.panic_below);
        let panics = groups.values().any(|&(_, down)| down > 0)
            && groups
                .values()
                .all(|&(live, down)| live + down == 0 || live * 100 < below * (live + down))
            && !self.is_sorry(strength);
        if panics != self.panics {
            self.panics = panics;
            self.events.push(match panics {
                true => Event::PanicBegan { strength },
                false => Event::PanicEnded { strength },
            });
        }
    }

    fn publish(&mut self, strength: Strength) {
        let sorry = self.sorry.as_ref().filter(|_| self.is_sorry(strength));
        let steps = self.steps();
        let scale = self.scale(steps);
        let seats: Vec<Seat<E>> = match sorry {
            Some(sorry) => vec![(sorry.shared(), Weight::ONE).into()],
            None => self.slots.iter().filter_map(|slot| self.seat(slot, scale, steps)).collect(),
        };
        if self.due != Due::Publishing && self.is_published(&seats, sorry.is_none()) {
            return;
        }
        let census = self.census.clone().in_parts(scale);
        // The rotation is not the sorry server's: it goes on where it was afterwards. Nor is the
        // scheduler, which may think that one of its weight has enough.
        let scheduler = if sorry.is_some() { &First::new() } else { &*self.scheduler };
        let mut pool = Pool::seating(&census, seats, scheduler)
            .numbered(self.published.generation() + 1)
            .beside_drained(self.drained())
            .moving_draining(self.policy.draining_clients == DrainingClients::Move);
        if sorry.is_some() {
            pool = pool.without_affinity();
        } else {
            pool = pool.waiting_for_full(self.policy.when_full == WhenFull::Wait);
            if let Some(down) = self.refused() {
                pool = pool.refusing_clients_of(down);
            }
            self.scheduler = Arc::clone(pool.scheduler());
        }
        self.published = Arc::new(pool);
        self.actions.push_back(Action::Publish(Arc::clone(&self.published)));
    }

    /// In how many steps shares are taken on: more than 1 while anybody starts slowly.
    fn steps(&self) -> u16 {
        let slowly = |now: Instant| self.slots.iter().any(|slot| slot.slow_start(now).is_some());
        if self.now.is_some_and(slowly) { STEPS } else { 1 }
    }

    /// What to multiply all weights with, where shares are taken on in so many steps.
    fn scale(&self, steps: u16) -> u16 {
        let weights = self.slots.iter().map(|slot| self.share(slot).unwrap_or(slot.weight()));
        let heaviest = weights.max().unwrap_or(Weight::ONE).max(Weight::ONE);
        // The heaviest need no finer steps than they have.
        steps.min(u16::MAX / heaviest.value()).max(1)
    }

    /// What is published of a backend, if anything.
    fn seat(&self, slot: &Slot<E>, scale: u16, steps: u16) -> Option<Seat<E>> {
        let whole = self.share(slot)?.times(scale);
        let step = self.now.and_then(|now| Some(slot.slow_start(now)?.step(now)));
        Some(Seat {
            backend: Arc::clone(&slot.backend),
            weight: step.map_or(whole, |step| part(whole, step)),
            whole,
            warmth: Weight::new(step.unwrap_or(steps)),
        })
    }

    /// Whose clients are refused, if those of backends that are down are: whoever is to serve, is not
    /// known to be able to, and is not published all the same.
    fn refused(&self) -> Option<impl Iterator<Item = &Backend<E>>> {
        let refuses = self.policy.when_down == WhenDown::Refuse;
        let down = |slot: &&Slot<E>| slot.is_missed() && self.share(slot).is_none();
        refuses.then(|| self.slots.iter().filter(down).map(|slot| &*slot.backend))
    }

    /// How many live, but were drained to the end.
    fn drained(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_drained()).count()
    }

    /// What it is to have of the flows: in a panic, checks count for nothing.
    fn share(&self, slot: &Slot<E>) -> Option<Weight> {
        let disbelieved = self.panics && slot.is_only_down();
        if disbelieved { Some(slot.weight()) } else { slot.live_weight() }
    }

    fn is_published(&self, seats: &[Seat<E>], affinity: bool) -> bool {
        let published = self.published.members().iter();
        let published = published.map(|one| (one.id, [one.weight, one.whole, one.warmth]));
        let due = seats.iter().map(|one| (one.backend.id(), [one.weight, one.whole, one.warmth]));
        // While anybody takes flows, nobody is told why nobody does.
        let serves = seats.iter().any(|seat| !seat.weight.is_zero());
        self.published.records_affinity() == affinity
            && (!affinity || self.published.refuses(self.refused()))
            && (self.published.drained() == self.drained() || serves)
            && published.eq(due)
    }
}
