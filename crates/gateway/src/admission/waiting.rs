//! A call at the door: it goes in, waits, or is refused.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use gatewright_core::{Caller, Result, Spot, Tenant};
use http::HeaderMap;
use http::header::EXPECT;
use http_body::{Body, Frame};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Door, Place, Refusal};
use crate::intake::{self, ClientBody};

/// How much of a body is taken while its call waits. A connection whose body nobody takes does not tell that its client
/// left, and what waits must not fill the memory.
const HELD: usize = 64 << 10;

/// What a piece of a body counts for at least: one that comes byte by byte takes more than its bytes.
const PIECE: usize = 1 << 10;

/// A body of which something may have been taken already.
pub(crate) struct BegunBody<B: Body> {
    taken: VecDeque<Result<Frame<Bytes>, B::Error>>,
    held: usize,
    ended: bool,
    rest: B,
}

/// A place in a line, given up when dropped.
struct Waiting<'a> {
    door: &'a Door,
    spot: Spot,
}

/// Takes a call in. One that is refused has its body read to the end where that is soon, so that the answer reaches its client
/// and the connection goes on.
pub(crate) async fn enter<B: ClientBody>(
    door: &Arc<Door>,
    caller: &Caller,
    headers: &HeaderMap,
    body: &mut BegunBody<B>,
) -> Result<Place> {
    if let Some(place) = door.try_enter() {
        return Ok(place);
    }
    // In a box: hardly any call comes here.
    Box::pin(async {
        match wait(door, Tenant::of(caller), body).await {
            Ok(place) => Ok(place),
            Err(refusal) => {
                // A client that asks before it sends is told before it has sent.
                if !headers.contains_key(EXPECT) {
                    intake::drain(body).await;
                }
                Err(door.refuse(refusal))
            }
        }
    })
    .await
}

async fn wait<B: ClientBody>(
    door: &Arc<Door>,
    tenant: Tenant,
    body: &mut BegunBody<B>,
) -> Result<Place, Refusal> {
    let (call, place) = oneshot::channel();
    let _waiting = Waiting { door, spot: door.join(tenant, call)? };
    let mut place = pin!(timeout(door.patience, place));
    let came = poll_fn(|cx| {
        body.take_some(cx);
        place.as_mut().poll(cx)
    });
    match came.await {
        Ok(Ok(place)) => {
            door.counts.waited.fetch_add(1, Ordering::Relaxed);
            Ok(place)
        }
        Ok(Err(_)) => Err(Refusal::Displaced),
        Err(_) => Err(Refusal::Late),
    }
}

// === impl Waiting ===

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.door.leave(&self.spot);
    }
}

// === impl BegunBody ===

impl<B: ClientBody> BegunBody<B> {
    pub(crate) fn new(rest: B) -> Self {
        Self { taken: VecDeque::new(), held: 0, ended: false, rest }
    }

    /// Takes what has come of it, as long as that is little.
    fn take_some(&mut self, cx: &mut Context<'_>) {
        while self.held < HELD && !self.ended {
            let Poll::Ready(piece) = Pin::new(&mut self.rest).poll_frame(cx) else { return };
            self.ended = !matches!(piece, Some(Ok(_)));
            let data = piece.as_ref().and_then(|piece| piece.as_ref().ok()?.data_ref());
            self.held += data.map_or(0, Bytes::len).max(PIECE);
            self.taken.extend(piece);
        }
    }
}

/// Nothing in it is pinned: its pieces are moved when they are handed on.
impl<B: ClientBody> Unpin for BegunBody<B> {}

impl<B: ClientBody> Body for BegunBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(piece) = self.taken.pop_front() {
            return Poll::Ready(Some(piece));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.rest).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.taken.is_empty() && (self.ended || self.rest.is_end_stream())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::AtomicU64;
    use std::time::Duration;

    use futures_util::{FutureExt, StreamExt};
    use gatewright_core::ErrorKind;
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;
    use crate::{Admission, DoorFigures};

    fn door(calls: u32, waiting: usize) -> Arc<Door> {
        Arc::new(Door::new(Admission { calls, waiting, ..Admission::default() }))
    }

    async fn come(door: Arc<Door>, key: &'static str) -> Result<Place> {
        let mut body = BegunBody::new(Full::new(Bytes::from_static(b"{}")));
        let came = enter(&door, &Caller::new(key), &HeaderMap::new(), &mut body).await;
        assert_eq!(
            body.collect().await.map(|body| body.to_bytes().len()),
            Ok(if came.is_ok() { 2 } else { 0 })
        );
        came
    }

    fn now(door: &Arc<Door>) -> (u64, u64) {
        let DoorFigures { inside, waiting, .. } = door.figures();
        (inside, waiting)
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_inside_so_many_wait_and_the_others_are_refused_at_once() {
        let door = door(2, 2);
        let inside = [come(door.clone(), "a").await.unwrap(), come(door.clone(), "a").await.unwrap()];
        let mut waits: Vec<_> = (0..2).map(|_| Box::pin(come(door.clone(), "a"))).collect();
        assert!(waits.iter_mut().all(|wait| wait.as_mut().now_or_never().is_none()));
        let refused = come(door.clone(), "a").now_or_never().unwrap().err().unwrap();
        assert_eq!(
            (refused.kind(), refused.retry_after()),
            (ErrorKind::Unavailable, Some(Duration::from_secs(1)))
        );
        assert_eq!(now(&door), (2, 2));
        drop(inside);
        for wait in waits {
            drop(wait.await.unwrap());
        }
        let figures = DoorFigures { waited: 2, full: 1, places: 2, ..DoorFigures::default() };
        assert_eq!(door.figures(), figures);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_who_leaves_takes_a_place_along() {
        let door = door(1, 2);
        let first = come(door.clone(), "a").await.unwrap();
        // Before it is asked, while it waits, once it is let in and does not know it yet, and too late.
        drop(come(door.clone(), "a"));
        let mut waits = Box::pin(come(door.clone(), "a"));
        assert!(waits.as_mut().now_or_never().is_none());
        drop(waits);
        assert_eq!(now(&door), (1, 0));
        let mut let_in = Box::pin(come(door.clone(), "a"));
        let mut next = Box::pin(come(door.clone(), "b"));
        assert!(let_in.as_mut().now_or_never().is_none() && next.as_mut().now_or_never().is_none());
        drop(first);
        assert_eq!(now(&door), (1, 1));
        drop(let_in);
        assert_eq!(now(&door), (1, 0));
        let next = next.now_or_never().unwrap().unwrap();
        let late = come(door.clone(), "a").await.err().unwrap();
        assert_eq!((late.status().as_u16(), now(&door)), (503, (1, 0)));
        // Displaced by somebody who has none waiting.
        let mut many: Vec<_> = (0..2).map(|_| Box::pin(come(door.clone(), "a"))).collect();
        assert!(many.iter_mut().all(|wait| wait.as_mut().now_or_never().is_none()));
        let mut few = Box::pin(come(door.clone(), "b"));
        assert!(few.as_mut().now_or_never().is_none());
        let displaced = many.pop().unwrap().now_or_never().unwrap().err().unwrap();
        assert_eq!((displaced.status().as_u16(), now(&door)), (503, (1, 2)));
        drop((many, few, next));
        let figures = DoorFigures { waited: 1, late: 1, displaced: 1, places: 1, ..DoorFigures::default() };
        assert_eq!(door.figures(), figures);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_overtakes_a_call_that_is_about_to_be_let_in() {
        let door = door(1, 2);
        let first = come(door.clone(), "a").await.unwrap();
        let mut waits = Box::pin(come(door.clone(), "a"));
        assert!(waits.as_mut().now_or_never().is_none());
        // A place is given back in one step, and handed on in the next.
        door.state.fetch_sub(1, Ordering::AcqRel);
        assert_eq!((now(&door), door.try_enter().is_none()), ((0, 1), true));
        door.state.fetch_add(1, Ordering::AcqRel);
        drop(first);
        assert!(waits.now_or_never().is_some_and(|came| came.is_ok()));
    }

    /// Counts somebody out before the place is given back.
    struct Visitor(Arc<AtomicU64>);

    impl Drop for Visitor {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn threads_that_come_and_leave_at_any_time_leave_no_place_behind() {
        let (door, inside) = (door(3, 8), Arc::new(AtomicU64::new(0)));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        let visits = (0..16_u64).map(|who| {
            let (door, inside) = (door.clone(), inside.clone());
            runtime.spawn(async move {
                for round in 0..2_000_u64 {
                    let visit = async {
                        let Ok(place) = come(door.clone(), if who % 3 == 0 { "a" } else { "b" }).await else {
                            return;
                        };
                        let visitor = Visitor(inside.clone());
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                        tokio::task::yield_now().await;
                        drop((visitor, place));
                    };
                    // Some of them leave after so many turns, wherever they are then.
                    let leaves = async {
                        for _ in 0..(round * 7 + who) % 5 {
                            tokio::task::yield_now().await;
                        }
                        if (round + who) % 2 == 0 {
                            std::future::pending::<()>().await;
                        }
                    };
                    tokio::select! {
                        () = visit => {}
                        () = leaves => {}
                    }
                }
            })
        });
        let visits: Vec<_> = visits.collect();
        for visit in visits {
            runtime.block_on(visit).unwrap();
        }
        assert_eq!(now(&door), (0, 0));
        assert_eq!(door.try_enter().into_iter().count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn little_of_a_body_is_taken_while_its_call_waits_and_all_of_it_comes() {
        taken_while_it_waits(4096, 16).await;
        // Byte by byte it would take a hundred times its size.
        taken_while_it_waits(1, 64).await;
    }

    async fn taken_while_it_waits(piece: usize, most: u64) {
        let door = door(1, 1);
        let first = come(door.clone(), "a").await.unwrap();
        let pieces = Arc::new(AtomicU64::new(0));
        let count = pieces.clone();
        let body = futures_util::stream::iter(0..100_u8).map(move |n| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(Frame::data(Bytes::from(vec![n; piece])))
        });
        let mut body = BegunBody::new(StreamBody::new(body));
        let (caller, headers) = (Caller::new("a"), HeaderMap::new());
        let mut waits = Box::pin(enter(&door, &caller, &headers, &mut body));
        for _ in 0..3 {
            assert!(waits.as_mut().now_or_never().is_none());
        }
        assert_eq!(pieces.load(Ordering::SeqCst), most);
        drop(first);
        let place = waits.await.unwrap();
        let whole = body.collect().await.unwrap().to_bytes();
        let want: Vec<u8> = (0..100_u8).flat_map(|n| vec![n; piece]).collect();
        assert!(whole == want, "{} bytes", whole.len());
        drop(place);
    }
}
