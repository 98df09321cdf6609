//! What waits for a disk: on a thread where that keeps nobody waiting but whoever asked.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tracing::error;

use crate::Parcel;
use crate::spool::{Level, Load, Spool};

/// Something of a disk's. It is asked one question at a time, so that a disk that hangs holds one thread of each, and
/// whoever gives up waiting has the next one wait for the answer to the last.
pub(crate) struct OnDisk<T>(Arc<Mutex<T>>);

/// A spool, and what is in it as far as the disk has answered.
pub(crate) struct Depot {
    spool: OnDisk<Spool>,
    level: Level,
    next: u64,
}

// === impl OnDisk ===

impl<T: Send + 'static> OnDisk<T> {
    pub(crate) fn new(held: T) -> Self {
        Self(Arc::new(Mutex::new(held)))
    }

    /// Answers when the disk has; `None` where it was not asked to the end, for the process stops.
    pub(crate) async fn ask<R: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Option<R> {
        let mut held = Arc::clone(&self.0).lock_owned().await;
        let answer = spawn_blocking(move || ask(&mut held)).await;
        answer.inspect_err(|err| error!(error = %err, "a disk was not asked to the end")).ok()
    }
}

// === impl Depot ===

impl Depot {
    /// What the last process left in `folder`, and at most `most` bytes from now on.
    pub(crate) async fn open(folder: Option<PathBuf>, most: u64) -> Self {
        let opened = spawn_blocking(move || Spool::open(folder, most)).await;
        let spool = opened.unwrap_or_else(|_| Spool::open(None, most));
        Self { level: spool.level(), next: spool.next_place(), spool: OnDisk::new(spool) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.level.loads == 0
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// A place behind all others, for parcels that may need it later.
    pub(crate) fn place(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Puts these into their place. Answers how many were lost.
    pub(crate) async fn push(&mut self, place: u64, parcels: Vec<Parcel>) -> u64 {
        let count = parcels.len() as u64;
        self.ask(move |spool| spool.push(place, &parcels)).await.unwrap_or(count)
    }

    /// The oldest load, which stays until it is settled, and its parcels, as far as they can be read.
    pub(crate) async fn take_first(&mut self) -> Option<(Load, Vec<Parcel>)> {
        self.ask(Spool::take_first).await.flatten()
    }

    /// A load that was taken is done with, but for these.
    pub(crate) async fn settle(&mut self, load: Load, left: Vec<Parcel>) {
        self.ask(move |spool| spool.settle(load, &left)).await;
    }

    async fn ask<R: Send + 'static>(
        &mut self,
        ask: impl FnOnce(&mut Spool) -> R + Send + 'static,
    ) -> Option<R> {
        let (answer, level) = self.spool.ask(|spool| (ask(spool), spool.level())).await?;
        self.level = level;
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::future::join;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_disk_that_hangs_keeps_only_those_waiting_who_asked_it() {
        let disk = OnDisk::new(Vec::new());
        let (release, held) = mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let first = disk.ask(move |told: &mut Vec<u8>| {
            let _ = begun.send(());
            held.recv().unwrap();
            told.push(1);
        });
        let second = disk.ask(|told| {
            told.push(2);
            told.clone()
        });
        let others = async {
            begins.await.unwrap();
            // This thread has turns, and nobody else is at the disk.
            assert!(disk.0.try_lock().is_err());
            release.send(()).unwrap();
        };
        let ((_, told), ()) = join(join(first, second), others).await;
        assert_eq!(told, Some(vec![1, 2]));
    }

    #[tokio::test]
    async fn whoever_gave_up_has_the_next_one_wait() {
        let disk = OnDisk::new(0);
        let (release, held) = mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        let first = disk.ask(move |count| {
            let _ = begun.send(());
            held.recv().unwrap();
            *count += 1;
        });
        tokio::select! {
            _ = first => panic!("it hangs"),
            begins = begins => begins.unwrap(),
        }
        assert!(disk.0.try_lock().is_err());
        release.send(()).unwrap();
        assert_eq!(disk.ask(|count| *count).await, Some(1));
    }
}
