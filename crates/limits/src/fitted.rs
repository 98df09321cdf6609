//! The policy that fits what is held for a call to each of its attempts, and ends a stream that passes it.

use std::ops::ControlFlow;

use gatewright_core::{
    Call, CallService, Error, ErrorKind, Frame, Middleware, Observer, Outcome, Reply, Result, arm,
};

use crate::told::tell_cap;

/// Fits the hold of a call to each attempt: stands below the router, right above the ledger.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fitted;

/// An answer that may have so many tokens of output.
struct Covered {
    tokens: u64,
    reported: u64,
    bytes: u64,
}

/// Texts of all kinds have shorter tokens than that. Where the provider does not count while it writes, an answer is
/// ended only when it is certainly longer than it may be.
const LONG_TOKEN_BYTES: u64 = 8;

/// So many bytes more: a short answer may be of long tokens.
const SLACK_BYTES: u64 = 1024;

impl Middleware for Fitted {
    async fn handle(&self, mut call: Call, next: &impl CallService) -> Result<Reply> {
        let Some(hold) = call.hold.clone() else { return next.answer(call).await };
        let before = call.output_cap;
        let covered = hold.fit(&mut call).await?;
        let cap = call.output_cap.filter(|cap| Some(*cap) != before);
        let mut reply = match covered {
            Some(tokens) => arm(Covered { tokens, reported: 0, bytes: 0 }).follow(next.answer(call).await)?,
            None => next.answer(call).await?,
        };
        if let Some(cap) = cap {
            tell_cap(cap, &mut reply.head.told);
        }
        Ok(reply)
    }
}

// === impl Covered ===

impl Covered {
    fn is_passed(&self) -> bool {
        let certain = self.tokens.saturating_mul(LONG_TOKEN_BYTES).saturating_add(SLACK_BYTES);
        self.reported > self.tokens || self.bytes > certain
    }
}

impl Observer for Covered {
    fn frame(&mut self, frame: &Frame) -> ControlFlow<Error> {
        self.bytes += u64::from(frame.content);
        self.reported = frame.usage.map_or(self.reported, |usage| usage.output);
        // An answer that is whole is paid for already.
        if frame.content == 0 || frame.last || !self.is_passed() {
            return ControlFlow::Continue(());
        }
        let words = format!(
            "The answer was ended: it is longer than the {} tokens that its budget covers.",
            self.tokens
        );
        ControlFlow::Break(Error::new(ErrorKind::BudgetExceeded, words))
    }

    fn settle(self: Box<Self>, _: &Outcome<'_>) {}
}
