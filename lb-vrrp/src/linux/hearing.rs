//! All sockets that hear, in turn: none keeps the others waiting, and each is read until it is empty.

use std::io;
use std::task::{Context, Poll};

use super::port::Port;
use super::receiver::{Ear, Receiver, poll_waiting};
use super::socket::{Buffer, Received};
use crate::driver::RouterId;
use crate::refusal::Refusal;
use crate::wire::Datagram;

/// Something that was heard, and by whom.
pub(super) type Heard<'a> = (RouterId, Result<Datagram<'a>, Refusal>);

/// Hears for every router.
#[derive(Debug)]
pub(super) struct Hearing {
    receivers: Vec<Receiver>,
    /// Which of them is read next.
    turn: usize,
    buffer: Buffer,
    /// Who else is to have what was received last.
    others: Option<(Received, Vec<RouterId>)>,
}

impl Hearing {
    pub(super) fn new() -> Self {
        Self { receivers: Vec::new(), turn: 0, buffer: Buffer::new(), others: None }
    }

    /// Has a router hear, on an interface that has this index now.
    pub(super) fn enlist(&mut self, id: RouterId, port: &Port, index: u32) -> io::Result<()> {
        let ear = Ear::of(port);
        let known = self.receivers.iter().position(|receiver| receiver.ear == ear);
        let at = known.unwrap_or_else(|| {
            self.receivers.push(Receiver::new(ear));
            self.receivers.len() - 1
        });
        let receiver = &mut self.receivers[at];
        receiver.enlist(id, port, index)?;
        receiver.open(index)
    }

    /// A router hears nothing any more.
    pub(super) fn dismiss(&mut self, id: RouterId) {
        self.receivers.retain_mut(|receiver| !receiver.dismiss(id));
    }

    /// An interface has this index now, or 0 if it is not there.
    pub(super) fn follow(&mut self, interface: &str, index: u32) -> io::Result<()> {
        let mut outcome = Ok(());
        for receiver in self.receivers.iter_mut().filter(|one| one.ear.interface == interface) {
            outcome = outcome.and(receiver.open(index));
        }
        outcome
    }

    /// What was heard next; `None` if each socket is empty or had its share. After that a new round
    /// begins.
    pub(super) fn next(&mut self) -> io::Result<Option<Heard<'_>>> {
        if let Some((received, mut others)) = self.others.take()
            && let Some(id) = others.pop()
        {
            self.others = Some((received, others)).filter(|(_, others)| !others.is_empty());
            return Ok(Some((id, self.buffer.datagram(received))));
        }
        while let Some(at) = self.next_receiver() {
            let receiver = &mut self.receivers[at];
            let Some(received) = receiver.receive(&mut self.buffer)? else { continue };
            let datagram = self.buffer.datagram(received);
            let Some((id, others)) = receiver.routers(datagram.as_ref().ok()) else { continue };
            if !others.is_empty() {
                self.others = Some((received, others));
            }
            return Ok(Some((id, self.buffer.datagram(received))));
        }
        self.receivers.iter_mut().for_each(Receiver::begin);
        Ok(None)
    }

    /// Whether something waits somewhere.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut sockets = self.receivers.iter().filter_map(|known| known.socket.as_ref());
        let waiting = sockets.find_map(|socket| match poll_waiting(socket, context) {
            Poll::Ready(waits) => Some(waits),
            Poll::Pending => None,
        });
        waiting.map_or(Poll::Pending, Poll::Ready)
    }

    /// The next socket in which something may wait; none when each is empty or had its share.
    fn next_receiver(&mut self) -> Option<usize> {
        let count = self.receivers.len();
        let mut turns = (0..count).map(|step| (self.turn + step) % count);
        let at = turns.find(|at| self.receivers[*at].is_pending())?;
        self.turn = at + 1;
        Some(at)
    }
}
