//! A call at the door: it goes in, waits, or is refused.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use gatewright_core::{Caller, Result};
use http::HeaderMap;
use http::header::EXPECT;
use http_body::{Body, Frame};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Door, Place, Refusal, Tenant};
use crate::intake::{self, ClientBody};

/// How much of a body is taken while its call waits. A connection whose body nobody takes does not tell that its client
/// left, and what waits must not fill the memory.
const HELD: usize = 64 << 10;

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
    tenant: &'a Tenant,
    number: u64,
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
        match wait(door, &Tenant::of(caller), body).await {
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
    tenant: &Tenant,
    body: &mut BegunBody<B>,
) -> Result<Place, Refusal> {
    let (call, place) = oneshot::channel();
    let number = door.join(tenant, call)?;
    let _waiting = Waiting { door, tenant, number };
    let mut place = pin!(timeout(door.settings.patience, place));
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
        self.door.leave(self.tenant, self.number);
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
            self.held += data.map_or(0, Bytes::len);
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
