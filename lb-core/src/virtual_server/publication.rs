//! What a virtual server comes to: the pool to publish and the events to tell.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::slot::Slot;
use super::slow_start::{STEPS, SlowStart};
use super::{Action, DrainingClients, Event, SorryMode, VirtualServer};
use crate::backend::Backend;
use crate::health::Weight;
use crate::pool::Pool;
use crate::quorum::{QuorumChange, Strength};
use crate::scheduler::First;

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
        self.unsettled = false;
        self.replaced = false;
    }

    /// Whom clients find wanting is out as long as somebody else serves: one that fails now and then is
    /// better than nobody (R3).
    pub(super) fn heed_ejections(&mut self) {
        let others = self.slots.iter().any(|slot| !slot.ejected && slot.may_serve());
        for slot in &mut self.slots {
            slot.out = slot.ejected && others;
        }
    }

    /// Whoever begins to serve beside others begins slowly.
    fn note_service(&mut self) {
        let stays = |slot: &Slot<E>| slot.serves && slot.is_serving();
        let slowly = SlowStart::of(self.now, self.policy.slow_start);
        let slowly = slowly.filter(|_| self.slots.iter().any(stays));
        for slot in &mut self.slots {
            slot.note_service(slowly, self.panics);
        }
    }

    /// Whether the sorry server takes over.
    fn is_sorry(&self, strength: Strength) -> bool {
        let sorry = self.sorry.as_ref().filter(|_| !self.sorry_is_down);
        sorry.is_some_and(|(_, mode)| match mode {
            SorryMode::NoneAlive => strength.weight == 0,
            SorryMode::QuorumLost => !self.quorum.is_up(),
        })
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
        let scale = self.scale();
        let members: Vec<(Arc<Backend<E>>, Weight)> = match sorry {
            Some((sorry, _)) => vec![(Arc::clone(sorry), Weight::ONE)],
            None => self.slots.iter().filter_map(|slot| self.member(slot, scale)).collect(),
        };
        if !self.replaced && self.is_published(&members, sorry.is_none()) {
            return;
        }
        let census = self.census.clone().in_parts(scale);
        // The rotation is not the sorry server's: it goes on where it was afterwards. Nor is the
        // scheduler, which may think that one of its weight has enough.
        let scheduler = if sorry.is_some() { &First::new() } else { &*self.scheduler };
        let mut pool = Pool::out_of(&census, members, scheduler)
            .numbered(self.published.generation() + 1)
            .beside_drained(self.drained())
            .moving_draining(self.policy.draining_clients == DrainingClients::Move);
        if sorry.is_some() {
            pool = pool.without_affinity();
        } else {
            self.scheduler = Arc::clone(pool.scheduler());
        }
        self.published = Arc::new(pool);
        self.actions.push_back(Action::Publish(Arc::clone(&self.published)));
    }

    /// What to multiply all weights with: more than 1 while anybody starts slowly.
    fn scale(&self) -> u16 {
        let slowly = |now: Instant| self.slots.iter().any(|slot| slot.slow_start(now).is_some());
        if !self.now.is_some_and(slowly) {
            return 1;
        }
        let weights = self.slots.iter().map(|slot| self.share(slot).unwrap_or(slot.weight()));
        let heaviest = weights.max().unwrap_or(Weight::ONE).max(Weight::ONE);
        // The heaviest need no finer steps than they have.
        STEPS.min(u16::MAX / heaviest.value()).max(1)
    }

    /// What is published of a backend, if anything.
    fn member(&self, slot: &Slot<E>, scale: u16) -> Option<(Arc<Backend<E>>, Weight)> {
        let live = self.share(slot)?;
        let slow = self.now.and_then(|now| Some(slot.slow_start(now)?.weigh(live, scale, now)));
        Some((Arc::clone(&slot.backend), slow.unwrap_or(live.times(scale))))
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

    fn is_published(&self, members: &[(Arc<Backend<E>>, Weight)], affinity: bool) -> bool {
        let published = self.published.members().iter().map(|member| (member.id, member.weight));
        // While anybody takes flows, nobody is told why nobody does.
        let serves = members.iter().any(|(_, weight)| !weight.is_zero());
        self.published.records_affinity() == affinity
            && (self.published.drained() == self.drained() || serves)
            && published.eq(members.iter().map(|(backend, weight)| (backend.id(), *weight)))
    }
}
