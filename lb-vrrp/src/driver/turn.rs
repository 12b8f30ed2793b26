//! One turn of the loop: the socket, then the clock, and after each all that it leads to.

use std::time::{Instant, SystemTime};

use super::complaints::Complaint;
use super::debounce::Which;
use super::member::{Done, Member};
use super::unit::{Happening, Machine, Unit};
use super::voice::Voice;
use super::{Driver, Input, Network, Operation, Report, RouterId, now};
use crate::refusal::Refusal;
use crate::router::{Discard, VirtualRouter};
use crate::tracking::{FaultCause, Signal};
use crate::wire::Datagram;

/// How often in a turn something may be wrong with what is read, before the clock is looked at all the
/// same.
const ERRORS: usize = 64;

/// Room for so much news is kept.
const REPORTS: usize = 64;

impl<N: Network> Driver<N> {
    /// Runs until there is something to tell; `None` when all were shut down and have ended.
    ///
    /// Dropping the future loses nothing: call it again. A network that fails for good is reported
    /// at every call.
    pub async fn next(&mut self) -> Option<(RouterId, Report)> {
        loop {
            if let Some(report) = self.reports.pop_front() {
                return Some(report);
            }
            if self.is_shut_down && self.is_over() {
                return None;
            }
            // All begin at once, and that room is not kept.
            self.reports.shrink_to(REPORTS);
            let heard = match self.deadlines.first() {
                Some((at, _)) => self.network.ready_until(*at).await,
                None => self.network.ready().await,
            };
            self.note_deafness(heard);
            self.read();
            self.wake();
        }
    }

    fn is_over(&self) -> bool {
        self.units.iter().flatten().all(|unit| unit.machine.is_over())
    }

    /// Nobody hears anything, which is the first one's to tell.
    fn note_deafness(&mut self, heard: std::io::Result<()>) {
        let first = self.units.iter().flatten().flat_map(|unit| &unit.members).next();
        if let (Err(error), Some(first)) = (heard, first) {
            let failed = Report::Failed { operation: Operation::Receive, error };
            self.reports.push_back((first.id, failed));
        }
    }

    /// Whoever is due.
    fn wake(&mut self) {
        let now = now();
        while let Some(&(at, unit)) = self.deadlines.first().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, unit));
            let Self { network, units, .. } = self;
            let Some(Unit { machine, members, deadline }) = &mut units[unit] else { continue };
            *deadline = None;
            for (place, member) in members.iter_mut().enumerate() {
                if member.retry_at.take_if(|at| *at <= now).is_some() {
                    machine.happen(now, place, Happening::Fault(FaultCause::Addresses, false));
                }
                while let Some((which, is_up)) = member.debouncer.pop(now) {
                    member.tell_interface(which, is_up);
                    machine.happen(now, place, which.happening(is_up));
                }
                if member.restore_late(now, network) == Done::NotAdded {
                    machine.happen(now, place, Happening::Fault(FaultCause::Addresses, true));
                }
            }
            if machine.next_deadline().is_some_and(|at| at <= now) {
                machine.handle_timeout(now);
            }
            self.settle(now, unit);
        }
    }

    /// All that waits.
    pub(super) fn read(&mut self) {
        let mut errors = 0;
        loop {
            let now = now();
            let utc = self.network.utc();
            let Self { network, units, places, .. } = self;
            let (id, input) = match network.next_input() {
                Ok(None) => return,
                Ok(Some(input)) => input,
                Err(error) => {
                    // Of one socket: the others are to be read all the same.
                    self.note_deafness(Err(error));
                    errors += 1;
                    if errors > ERRORS {
                        return;
                    }
                    continue;
                }
            };
            let Some(&(at, place)) = places.get(&id) else { continue };
            let Some(Unit { machine, members, .. }) = &mut units[at] else { continue };
            let member = &mut members[place];
            match input {
                Input::AddressFound(address) => {
                    machine.happen(now, place, Happening::AddressFound(address));
                }
                Input::AddressLost(address) => {
                    machine.happen(now, place, Happening::AddressLost(address));
                }
                Input::Failed { operation, error } => member.note(operation, Err(error)),
                Input::Fault { cause: FaultCause::Interface, present } => {
                    if let Some(is_up) = member.debouncer.see(now, Which::Own, !present) {
                        machine.happen(now, place, Which::Own.happening(is_up));
                    }
                }
                Input::Fault { cause, present } => {
                    machine.happen(now, place, Happening::Fault(cause, present));
                }
                Input::Leftovers { removed, found } => {
                    member.reports.push(Report::Leftovers { removed, found });
                }
                Input::RoutesLost => {
                    if machine.holds_addresses(place) {
                        member.restore_routes(now, network);
                    }
                }
                Input::Source(source) => {
                    let other = source.filter(|source| *source != member.voice.source());
                    if other.is_none_or(|source| member.voice.set_source(source)) {
                        machine.happen(now, place, Happening::Source(source));
                    }
                }
                Input::Tracked(id, signal) => {
                    let which = Which::Tracked(id);
                    if let Some(is_up) = member.debouncer.see(now, which, signal == Signal::Up) {
                        member.tell_interface(which, is_up);
                        machine.happen(now, place, which.happening(is_up));
                    }
                }
                Input::Datagram(datagram) => hear(now, utc, datagram, machine, place, member),
            }
            self.settle(now, at);
        }
    }

    /// One input for the machine that `id` belongs to.
    pub(super) fn input<T>(
        &mut self,
        id: RouterId,
        input: impl FnOnce(&mut Machine, usize, Instant) -> T,
    ) -> Option<T> {
        let (at, place) = self.find(id)?;
        let now = now();
        let answer = input(&mut self.units.get_mut(at)?.as_mut()?.machine, place, now);
        self.settle(now, at);
        Some(answer)
    }

    /// Something happened to one router or host.
    pub(super) fn happen(&mut self, id: RouterId, happening: Happening) {
        self.input(id, |machine, place, now| machine.happen(now, place, happening));
    }

    pub(super) fn change(
        &mut self,
        at: usize,
        now: Instant,
        place: usize,
        input: impl FnOnce(&mut VirtualRouter),
    ) {
        if let Some(unit) = &mut self.units[at] {
            unit.machine.change(now, place, input);
            self.settle(now, at);
        }
    }

    /// All that a unit asks for, in its order.
    pub(super) fn settle(&mut self, now: Instant, at: usize) {
        let Self { network, units, deadlines, reports, places, links, .. } = self;
        let Some(Unit { machine, members, .. }) = &mut units[at] else { return };
        while let Some((place, action)) = machine.poll_action() {
            if members[place].perform(now, action, network) == Done::NotAdded {
                machine.happen(now, place, Happening::Fault(FaultCause::Addresses, true));
            }
        }
        for (place, member) in members.iter_mut().enumerate() {
            member.announce(now, machine.spacing(place), links, network);
            // News are rare, and room for them not worth to be kept.
            let news = std::mem::take(&mut member.reports).into_iter();
            reports.extend(news.map(|report| (member.id, report)));
        }
        let has_left = members.iter().all(|member| member.is_leaving) && machine.is_over();
        let unit = units[at].take_if(|_| has_left);
        if let Some(unit) = unit {
            for member in unit.members {
                places.remove(&member.id);
                reports.push_back((member.id, Report::Ended));
            }
            deadlines.retain(|(_, other)| *other != at);
            return;
        }
        let Some(unit) = &mut units[at] else { return };
        let next = unit.next_deadline(now);
        if next != unit.deadline {
            if let Some(before) = unit.deadline {
                deadlines.remove(&(before, at));
            }
            unit.deadline = next;
            deadlines.extend(next.map(|next| (next, at)));
        }
    }
}

impl Which {
    fn happening(self, is_up: bool) -> Happening {
        match self {
            Self::Own => Happening::Fault(FaultCause::Interface, !is_up),
            Self::Tracked(id) => {
                Happening::Tracked(id, if is_up { Signal::Up } else { Signal::Down })
            }
        }
    }
}

/// A datagram for one router or host.
fn hear(
    now: Instant,
    utc: SystemTime,
    datagram: Result<Datagram<'_>, Refusal>,
    machine: &mut Machine,
    place: usize,
    member: &mut Member,
) {
    let Member { voice, counters, complaints, reports, .. } = member;
    let sender = datagram.as_ref().ok().map(Datagram::source);
    let heard = datagram.and_then(|datagram| match (machine, voice) {
        (Machine::Carp(host), Voice::Carp(voice)) => {
            let (source, said) = voice.channel.receive(&datagram)?;
            counters.releases_received += u64::from(said.gives_up());
            Ok(host.handle_packet(now, source, &said))
        }
        (machine, Voice::Vrrp(channel)) => {
            let received = channel.receive(utc, &datagram)?;
            counters.receive(&received);
            let (source, said) = (received.source, &received.advertisement);
            let differs = received.addresses_differ;
            if differs && complaints.is_news(now, Complaint::AddressesDiffer(source)) {
                reports.push(Report::AddressesDiffer { sender: source });
            }
            Ok(match machine {
                Machine::Alone(router) => router.handle_packet(now, source, said),
                Machine::Group(group) => group.handle_packet(now, place, source, said),
                Machine::Carp(_) => Err(Discard::NotRunning),
            })
        }
        _ => Ok(Err(Discard::NotRunning)),
    });
    match heard {
        Ok(heard) => {
            counters.received += 1;
            counters.discarded += u64::from(heard.is_err());
        }
        Err(refusal) => {
            let reason = refusal.reason();
            counters.refuse(reason);
            if complaints.is_news(now, Complaint::Refused(reason)) {
                reports.push(Report::Refused { sender, refusal });
            }
        }
    }
}
