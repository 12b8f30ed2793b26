//! A thread beside that of the virtual routers: whatever may take its time is done there.

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};

use crate::privileges::hand_on_nothing;
use crate::process::stop_hurrying;

/// Blocking work is to read files, each of which holds a thread while its file system hangs. Threads are
/// there only while there is something to do.
const MOST_BLOCKING_THREADS: usize = 512;

/// Starts it, in no more of a hurry than this process was started with; it ends with the process.
///
/// # Errors
/// What the system says if it cannot start a thread.
pub fn beside() -> io::Result<Handle> {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(MOST_BLOCKING_THREADS).build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name("beside".to_owned()).spawn(move || {
        stop_hurrying();
        hand_on_nothing();
        runtime.block_on(std::future::pending::<()>());
    })?;
    Ok(handle)
}
