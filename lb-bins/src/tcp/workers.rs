//! One thread per core, each with a runtime of its own.

use std::future::{Future, pending};
use std::io;
use std::num::NonZeroUsize;
use std::thread;

use tokio::runtime::{Builder, Handle};

/// The threads that carry connections. A connection stays on the worker that accepted it, so that
/// nothing of it is ever shared.
#[derive(Debug)]
pub struct Workers {
    handles: Vec<Handle>,
}

impl Workers {
    /// Starts `count` workers. They end with the process.
    ///
    /// # Errors
    /// What the system says if it cannot start a thread.
    pub fn start(count: NonZeroUsize) -> io::Result<Self> {
        let handles = (0..count.get()).map(|number| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || runtime.block_on(pending::<()>()))?;
            Ok(handle)
        });
        Ok(Self { handles: handles.collect::<io::Result<_>>()? })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.handles.len()
    }

    /// Runs one task on each.
    pub(super) fn spread<T, F>(&self, each: impl IntoIterator<Item = T>, task: impl Fn(T) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        for (handle, item) in self.handles.iter().zip(each) {
            handle.spawn(task(item));
        }
    }
}
