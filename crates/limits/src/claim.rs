//! Waiting for what others hold.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::attempt::Blocked;
use crate::budget::Ticket;
use crate::counters::{Grant, Refused};
use crate::local::{Local, LocalHold};
use crate::need::Need;
use crate::rule::Rule;

/// Takes all that a call needs as soon as it is there. Dropped, it leaves its place in the queue to the next.
pub(crate) struct Claim<'a> {
    local: &'a Local,
    rules: &'a [Rule],
    need: &'a Need,
    /// The place in the queue of one of the rules.
    queued: Option<(Ticket, usize)>,
}

// === impl Claim ===

impl<'a> Claim<'a> {
    pub(crate) fn new(local: &'a Local, rules: &'a [Rule], need: &'a Need) -> Self {
        Self { local, rules, need, queued: None }
    }

    /// Waits so long, then says what is in the way. Who need not wait needs no timer.
    pub(crate) async fn within(mut self, wait: Duration) -> Result<(LocalHold, Grant), Refused> {
        let waits = match self.attempt(None) {
            Ok(held) => return Ok(held),
            Err(Blocked::For(refused)) => return Err(refused),
            Err(Blocked::Waits { refused, .. }) => refused,
        };
        if wait.is_zero() {
            return Err(waits);
        }
        match tokio::time::timeout(wait, &mut self).await {
            Ok(result) => result,
            // A period may have ended meanwhile, which wakes nobody.
            Err(_) => self.attempt(None).map_err(Blocked::into_refused),
        }
    }

    fn attempt(&mut self, waiter: Option<&Waker>) -> Result<(LocalHold, Grant), Blocked> {
        self.local.attempt(self.rules, self.need, &mut self.queued, waiter)
    }
}

impl Future for Claim<'_> {
    type Output = Result<(LocalHold, Grant), Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.attempt(Some(cx.waker())) {
            Ok(held) => Poll::Ready(Ok(held)),
            Err(Blocked::For(refused)) => Poll::Ready(Err(refused)),
            Err(Blocked::Waits { .. }) => Poll::Pending,
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some((ticket, rule)) = self.queued.take()
            && let Some(rule) = self.rules.get(rule)
        {
            self.local.leave(rule, ticket);
        }
    }
}

// === impl Blocked ===

impl Blocked {
    pub(crate) fn into_refused(self) -> Refused {
        match self {
            Self::For(refused) | Self::Waits { refused, .. } => refused,
        }
    }
}
