//! The journal's thread: forces what was written to the disk, and makes the next segment ahead.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::gone;
use crate::instance::Instance;
use crate::journal::{Shared, Sync};

/// How long a disk that took no more is left alone.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs until the journal is dropped.
pub(crate) fn start(shared: Arc<Shared>, instance: Arc<Instance>) -> io::Result<JoinHandle<()>> {
    Builder::new().name("journal".into()).spawn(move || run(&shared, instance))
}

fn run(shared: &Shared, mut instance: Arc<Instance>) {
    while rest(shared) {
        gone::put_back(&mut shared.tail.lock(), &mut instance);
        sync(shared);
        prepare(shared);
        let mut tail = shared.tail.lock();
        tail.probe();
        tail.write_waiting();
    }
    gone::put_back(&mut shared.tail.lock(), &mut instance);
    shared.tail.lock().write_waiting();
    sync(shared);
    shared.tail.lock().release();
}

/// Waits until there is work, and then for the time that records may wait for the disk. `false` at the end.
fn rest(shared: &Shared) -> bool {
    let mut tail = shared.tail.lock();
    while !tail.stopping && !tail.has_work() {
        shared.wake.wait(&mut tail);
    }
    let wait = match shared.sync {
        _ if tail.spare.is_none() && tail.full.is_none() => Duration::ZERO,
        Sync::Every(wait) if tail.dirty => wait,
        Sync::Every(_) | Sync::Always | Sync::Never => AGAIN,
    };
    // A wake-up before the time is over means the end: whoever writes wakes only a thread without work.
    if !tail.stopping && !wait.is_zero() {
        shared.wake.wait_for(&mut tail, wait);
    }
    !tail.stopping
}

fn sync(shared: &Shared) {
    let mut tail = shared.tail.lock();
    let sealed = std::mem::take(&mut tail.sealed);
    let dirty = std::mem::take(&mut tail.dirty);
    let file = Arc::clone(&tail.file);
    drop(tail);
    if shared.sync == Sync::Never {
        return;
    }
    // Older segments first: what is on the disk is then always the beginning of what was written.
    for file in sealed.iter().map(|(_, file)| file).chain(dirty.then_some(&file)) {
        let _ = shared.force(file);
    }
}

/// Makes the next segment where there is none. Not under the lock: a disk takes its time.
fn prepare(shared: &Shared) {
    let tail = shared.tail.lock();
    if tail.spare.is_some() {
        return;
    }
    let make = tail.maker();
    drop(tail);
    let made = make();
    let mut tail = shared.tail.lock();
    match made {
        // A caller that could not wait made it in the meantime.
        Ok((name, _)) if tail.spare.is_some() || name.number != tail.name.number + 1 => {
            let _ = std::fs::remove_file(name.path(&tail.dir));
        }
        Ok(spare) => {
            tail.spare = Some(spare);
            if tail.full.take().is_some() {
                tracing::info!("the journal's disk has room again");
            }
        }
        Err(err) => tail.is_full(&err),
    }
}
