//! A queue that one side waits at.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// What was posted and not taken, and who is to be told.
pub(super) struct Mailbox<T>(Mutex<Queue<T>>);

struct Queue<T> {
    items: Vec<T>,
    listener: Option<Waker>,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self(Mutex::new(Queue { items: Vec::new(), listener: None }))
    }
}

impl<T> Mailbox<T> {
    /// Adds an item, and wakes whoever listens, once.
    pub(super) fn post(&self, item: T) {
        self.add(|items| items.push(item));
    }

    /// Adds all of `batch`, in order, with one call for whoever listens; none if there is nothing.
    pub(super) fn post_all(&self, batch: &mut Vec<T>) {
        if !batch.is_empty() {
            self.add(|items| items.append(batch));
        }
    }

    fn add(&self, add: impl FnOnce(&mut Vec<T>)) {
        let mut queue = self.lock();
        add(&mut queue.items);
        // The listener looks at all of them when it comes up: one call is enough.
        let listener = queue.listener.take();
        drop(queue);
        listener.into_iter().for_each(Waker::wake);
    }

    /// Whom to wake at the next item.
    pub(super) fn listen(&self, waker: &Waker) {
        let mut queue = self.lock();
        match &mut queue.listener {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Takes everything, the first one last; into `items`, which must be empty.
    pub(super) fn take(&self, items: &mut Vec<T>) {
        mem::swap(items, &mut self.lock().items);
        items.reverse();
    }

    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
