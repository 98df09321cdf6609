//! The two stacks: what happens to a call, and what happens to each attempt of it.

use gatewright_alerts::Alerted;
use gatewright_auth::Joined;
use gatewright_cache::similar::Alike;
use gatewright_cache::{Cache, Tiers};
use gatewright_core::{CallService, Shared, layer};
use gatewright_limits::{Counts, Fitted, Limits, SoftBudgets};
use gatewright_providers::Upstream;
use gatewright_routing::{Mirrors, Router};
use gatewright_sinks::Recorded;
use gatewright_spend::{Hits, Ledgered};
use gatewright_telemetry::{MeteredCalls, Traced};
use tower::ServiceBuilder;

/// The policies of calls, each built from its own settings.
pub(crate) struct Policies {
    pub(crate) recorded: Recorded,
    pub(crate) call_trace: Traced,
    pub(crate) meter: MeteredCalls,
    pub(crate) alerted: Alerted,
    pub(crate) joined: Joined,
    pub(crate) soft_budgets: SoftBudgets,
    pub(crate) call_limits: Limits<Counts>,
    pub(crate) cache_trace: Traced,
    pub(crate) hits: Hits,
    pub(crate) cache: Cache<Alike<Tiers>>,
    pub(crate) route_trace: Traced,
    pub(crate) router: Router,
    pub(crate) mirrors: Mirrors,
}

/// The policies of attempts.
pub(crate) struct AttemptPolicies {
    pub(crate) attempt_trace: Traced,
    pub(crate) deployment_limits: Limits<Counts>,
    pub(crate) ledger: Ledgered,
    pub(crate) upstream: Upstream,
}

/// Puts the policies of attempts in their order. What stands here happens once an attempt, health checks included.
pub(crate) fn attempts(policies: AttemptPolicies) -> Shared<impl CallService> {
    let attempts = ServiceBuilder::new()
        // The span of an attempt covers its waits for the limits below, so that a slow one explains itself.
        .layer(layer(policies.attempt_trace))
        // A deployment that is full is no attempt: it is refused before anything is written down.
        .layer(layer(policies.deployment_limits))
        // A retry after an attempt that was billed, or a dearer fallback, needs more than the call was let in with.
        .layer(layer(Fitted))
        // Right above the upstream: nothing leaves that is not in the journal, nothing is in it that did not leave.
        .layer(layer(policies.ledger))
        .service(policies.upstream);
    // Health checks have it too, and mirrored calls: they go on when the call that they are copies of has ended. So do
    // streams that broke off, when the call's future has.
    Shared::new(attempts)
}

/// Puts the policies of calls in their order, above those of attempts. Here everything happens once a call.
pub(crate) fn calls<S: CallService>(policies: Policies, attempts: Shared<S>) -> impl CallService {
    let router = policies.router.mirroring(policies.mirrors, attempts.clone()).going_on(attempts.clone());
    ServiceBuilder::new()
        // Outermost, so that a refused call has a record too. It settles last: what all attempts cost is known then.
        .layer(layer(policies.recorded))
        // A refused call has a span too.
        .layer(layer(policies.call_trace))
        // Above the limits, so that what they refuse is counted.
        .layer(layer(policies.meter))
        // Sees how long calls are open from the moment they came, whatever they wait for below.
        .layer(layer(policies.alerted))
        // Whom a call is for has limits too; only now are they known, for the body names them.
        .layer(layer(policies.joined))
        // Above the limits: it sees what a call cost that they let in, and refuses nothing.
        .layer(layer(policies.soft_budgets))
        // One hold for the whole call, whatever happens below; retries do not count against the caller.
        .layer(layer(policies.call_limits))
        // The span of the look-up; none where no cache is asked.
        .layer(layer(policies.cache_trace))
        // Right above the cache: what that answers is in the journal too, though no attempt is made and nothing spent.
        .layer(layer(policies.hits))
        // Below the limits, for a call that is answered here is a call all the same; above the router, for it is none of
        // its attempts.
        .layer(layer(policies.cache))
        // The span of the choice: retries and fallbacks are its children.
        .layer(layer(policies.route_trace))
        // Chooses, retries and falls back until an attempt has committed.
        .layer(layer(router))
        .service(attempts)
}
