//! The task beside the calls: it keeps the connection, and tells Redis what ended here and what lives.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::Replica;
use super::ours::{Amend, Known};
use super::question::{amending, living, resetting, telling};
use super::server::{ALIVE, AMEND, RESET, TELL};
use super::up::Up;
use crate::shard::Key;

/// What ends together is told together.
const GATHER: Duration = Duration::from_millis(5);

/// It is said so often that this replica lives.
const IDLE: Duration = Duration::from_secs(1);

/// So many questions are on their way at once.
const AT_ONCE: usize = 128;

/// How long the last telling may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// Windows that have to be put right, until Redis has heard of it.
#[derive(Default)]
struct Unheard {
    batch: u64,
    amends: Vec<(Key, Vec<Amend>)>,
}

/// Runs until the gateway stops; then all is told, and the reserves go back.
pub(super) async fn run(replica: Arc<Replica>) {
    let mut unheard = Unheard::default();
    tokio::select! {
        () = replica.stop.cancelled() => {}
        () = replica.link.keep() => {}
        () = work(&replica, &mut unheard) => {}
    }
    let farewell = async {
        // What runs on as the gateway stops has ended by now; a second round tells what the first one could not.
        for _ in 0..2 {
            if let Some(up) = replica.link.up() {
                tell(&replica, &up, &mut unheard, true).await;
            }
        }
    };
    let _ = timeout(FAREWELL, farewell).await;
}

async fn work(replica: &Arc<Replica>, unheard: &mut Unheard) {
    let mut lived = Instant::now();
    loop {
        let _ = timeout(IDLE, replica.news.notified()).await;
        sleep(GATHER).await;
        match replica.link.up() {
            Some(up) => {
                if lived.elapsed() >= IDLE {
                    lived = Instant::now();
                    live(replica, &up).await;
                }
                tell(replica, &up, unheard, false).await;
            }
            // It is tried again once there is a connection; until then the books remember.
            None => sleep(GATHER).await,
        }
    }
}

/// Opens the connection of the runtime that asks, and keeps it for as long as the contact lasts: a server, or what lies
/// between, may close what is silent.
pub(super) async fn keep_line(replica: Arc<Replica>, up: Arc<Up>) {
    let kept = async {
        while up.open_here().await.is_err() {
            sleep(IDLE).await;
        }
        loop {
            sleep(IDLE).await;
            live(&replica, &up).await;
        }
    };
    tokio::select! {
        () = replica.stop.cancelled() => {}
        () = up.lost() => {}
        () = kept => {}
    }
}

/// Says that this replica lives, and hears how many do. So a server that hangs is noticed also while nobody calls.
async fn live(replica: &Replica, up: &Up) {
    let Some(answer) = replica.link.ask(up, &ALIVE, &living(replica)).await else { return };
    if let Ok(replicas) = redis::from_redis_value::<u64>(answer) {
        replica.replicas.store(replicas.max(1), Ordering::Relaxed);
    }
}

async fn tell(replica: &Arc<Replica>, up: &Up, unheard: &mut Unheard, all: bool) {
    let due = replica.books.lock().due(Instant::now(), all);
    for keys in due.chunks(AT_ONCE) {
        join_all(keys.iter().map(|key| tell_one(replica, up, key))).await;
    }
    amend(replica, up, unheard).await;
    reset(replica, up).await;
}

async fn reset(replica: &Replica, up: &Up) {
    let resets = std::mem::take(&mut replica.books.lock().resets);
    for one in resets {
        if replica.link.ask(up, &RESET, &resetting(replica, up, &one)).await.is_none() {
            replica.books.lock().resets.push(one);
        }
    }
}

async fn tell_one(replica: &Replica, up: &Up, key: &Key) {
    let sent = Instant::now();
    let (command, said) = {
        let mut books = replica.books.lock();
        let Some(ours) = books.known(key) else { return };
        telling(replica, up, key, ours)
    };
    let Some(answer) = replica.link.ask(up, &TELL, &command).await else { return };
    let Ok(answer) = redis::from_redis_value::<Vec<i64>>(answer) else { return };
    let [1, ends, born, base, others_wait] = *answer.as_slice() else { return };
    let mut books = replica.books.lock();
    let Some(ours) = books.known(key).filter(|_| replica.link.is_current(up)) else { return };
    ours.heard(said, sent);
    ours.learn(Known { born, base, ends });
    if others_wait > 0 {
        ours.give_reserve();
        replica.news.notify_one();
    }
}

async fn amend(replica: &Replica, up: &Up, unheard: &mut Unheard) {
    if unheard.amends.is_empty() {
        let news: HashMap<Key, Vec<Amend>> = std::mem::take(&mut replica.books.lock().amends);
        unheard.amends = news.into_iter().collect();
        unheard.batch = replica.new_life();
    }
    let mut left = Vec::new();
    for (key, amends) in std::mem::take(&mut unheard.amends) {
        let command = amending(replica, up, &key, unheard.batch, &amends);
        if replica.link.ask(up, &AMEND, &command).await.is_none() {
            left.push((key, amends));
        }
    }
    unheard.amends = left;
}
