//! A thread beside that of the virtual routers: whatever may take its time is done there.

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};

use crate::process::spare;

/// Blocking work is a look at a file, the start of a script, or a page for an administrator.
const MOST_BLOCKING_THREADS: usize = 8;

/// Starts it, in no more of a hurry than this process was started with; it ends with the process.
///
/// # Errors
/// What the system says if it cannot start a thread.
pub fn aside() -> io::Result<Handle> {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(MOST_BLOCKING_THREADS).build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name("aside".to_owned()).spawn(move || {
        spare();
        runtime.block_on(std::future::pending::<()>());
    })?;
    Ok(handle)
}
