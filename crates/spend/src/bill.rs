//! What an attempt is booked with, by how it ended: the one table.

use gatewright_core::{End, Error, ErrorKind, Money, Outcome, Usage};

use crate::wire::usage_fields_mut;

/// Bytes of model output a token, where the provider did not count.
const BYTES_PER_TOKEN: u64 = 4;

/// More tokens of a kind than any attempt has, and more than it can cost: a million dollars. A provider that says otherwise
/// may not spoil the sums that everybody else's are in.
const MOST_TOKENS: u64 = i32::MAX as u64;
const MOST_COST: Money = Money(1_000_000_000_000_000);

/// What an attempt is booked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bill {
    /// Nothing was billed, whatever a request costs otherwise.
    Nothing,
    /// The provider's own usage.
    Exact(Usage),
    /// Our counting.
    Estimated(Usage),
}

/// Reads the bill off the end.
pub(crate) fn bill(outcome: &Outcome<'_>, foreseen: Usage) -> Bill {
    let silent = outcome.content == 0 && outcome.usage.is_none();
    match (outcome.end, outcome.usage) {
        (End::Complete, Some(usage)) => Bill::Exact(usage),
        (End::Failed(err), _) if silent && bills_nothing(err) => Bill::Nothing,
        // A stream that is cut reported at most a part: Anthropic names the input first and the output at the end.
        (End::Complete | End::Failed(_) | End::Abandoned, reported) => {
            Bill::Estimated(so_far(reported, outcome.content, foreseen))
        }
    }
}

/// A usage as far as it can be believed.
pub(crate) fn believable(mut usage: Usage) -> Usage {
    usage_fields_mut(&mut usage).into_iter().for_each(|count| *count = (*count).min(MOST_TOKENS));
    usage
}

/// A cost as far as it can be believed: nothing is paid back.
pub(crate) fn believable_cost(cost: Money) -> Money {
    cost.clamp(Money::ZERO, MOST_COST)
}

/// Usage of a reply that is not whole: what was reported, but at least what was seen.
pub(crate) fn so_far(reported: Option<Usage>, content: u64, foreseen: Usage) -> Usage {
    let known = reported.unwrap_or(foreseen);
    Usage { output: known.output.max(content.div_ceil(BYTES_PER_TOKEN)), ..known }
}

/// Whether a failure before any content costs nothing for sure.
fn bills_nothing(err: &Error) -> bool {
    match err.kind() {
        // The provider looked at the request and did no work for it.
        ErrorKind::InvalidRequest
        | ErrorKind::UnknownModel
        | ErrorKind::Unsupported
        | ErrorKind::UpstreamAuth
        | ErrorKind::PaymentRequired
        | ErrorKind::QuotaExhausted
        | ErrorKind::UpstreamForbidden
        | ErrorKind::NotFound
        | ErrorKind::TooLarge
        | ErrorKind::Unprocessable
        | ErrorKind::RateLimited
        | ErrorKind::Unavailable => true,
        // It never saw the request, or we sent none.
        ErrorKind::Unreachable
        | ErrorKind::Unauthenticated
        | ErrorKind::Forbidden
        | ErrorKind::BudgetExceeded
        | ErrorKind::LimitReached => true,
        // It failed and says so; an answer with a server error is nowhere billed.
        ErrorKind::Upstream => true,
        // It may have read the whole input first: Azure bills prompts that its filter or its limit stops.
        ErrorKind::ContentPolicy | ErrorKind::ContextWindow => false,
        // It may be working still, or have answered into a connection that broke.
        ErrorKind::Timeout | ErrorKind::Connection | ErrorKind::ClientGone => false,
        // It answered, and we could not read it.
        ErrorKind::BadGateway => false,
        // Nobody knows how far our own fault let it come.
        ErrorKind::Internal => false,
    }
}
