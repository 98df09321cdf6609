//! Counts attempts as the ledger books them: what that did not book never left.

use std::sync::Arc;
use std::time::Instant;

use gatewright_core::{Auditor, Booking, ServedBy};

use super::cell::nanos;
use super::marks::{Failed, Marks};
use super::meter::{Kept, Meter};
use super::series::Adding;
use super::standing::{Left, Standing};
use super::table::Metric;

impl Auditor for Meter {
    fn booked(&self, booking: &Booking<'_>) {
        let (kept, now) = (&*self.0, booking.outcome.ended());
        let other;
        let by = match booking.outcome.served_by {
            Some(by) => by,
            None => {
                other = unnamed(booking, kept);
                &other
            }
        };
        let marks = marks(booking, by, kept);
        let adding = kept.series.of(&marks, now);
        let failed = marks.rest.failed.is_some();
        count_booked(booking, &adding);
        count_end(booking, failed, &adding);
        if !failed {
            count_times(booking, &adding);
            count_free(booking, &marks, (kept, now));
        }
        // Only here is known what end users may spend.
        let caller = &booking.origin.caller;
        if caller.allowances.iter().any(|one| one.scope == "end_user") {
            adding.stands(Standing { at: now, caller: caller.clone(), left: Left::default() });
        }
    }
}

/// Who was to answer and is named nowhere; of a deployment that is gone only what the target says.
fn unnamed(Booking { target, .. }: &Booking<'_>, kept: &Kept) -> Arc<ServedBy> {
    let known = kept.upstreams.get().and_then(|find| find(target));
    known.unwrap_or_else(|| {
        let (deployment, group) = (target.deployment.clone(), target.group.clone());
        Arc::new(ServedBy { deployment, group, model: "".into(), api_base: "".into(), provider: "".into() })
    })
}

fn marks<'a>(booking: &Booking<'a>, by: &'a Arc<ServedBy>, kept: &Kept) -> Marks<'a> {
    let mut marks = kept.marks();
    match booking.mirrored {
        true => marks.rest.mirrored = true,
        false => marks.origin(booking.origin, &kept.settings),
    }
    marks.asked(booking.model);
    marks.served_by = Some(by);
    marks.rest.failed = Failed::at(booking.outcome.end);
    if is_fallback(booking) {
        marks.fell_back(&booking.target.shown);
    }
    marks
}

fn is_fallback(booking: &Booking<'_>) -> bool {
    *booking.target.shown != *booking.model
}

fn count_booked(Booking { usage, cost, .. }: &Booking<'_>, adding: &Adding<'_>) {
    let cost = u64::try_from(cost.0).unwrap_or_default();
    adding.add(Metric::Spend, cost);
    adding.add(Metric::CommonSpend, cost);
    adding.add(Metric::TotalTokens, usage.total());
    adding.add(Metric::CommonTokens, usage.total());
    adding.add(Metric::InputTokens, usage.total_input());
    adding.add(Metric::OutputTokens, usage.output);
    adding.add(Metric::InputCachedTokens, usage.cache_read);
    adding.add(Metric::ProviderCacheReads, usage.cache_read);
    adding.add(Metric::InputCacheCreationTokens, usage.cache_write());
    adding.add(Metric::ProviderCacheWrites, usage.cache_write());
    adding.add(Metric::InputAudioTokens, usage.audio_input);
    adding.add(Metric::OutputReasoningTokens, usage.reasoning);
    adding.add(Metric::OutputAudioTokens, usage.audio_output);
    adding.add(Metric::ImagesGenerated, usage.images);
}

fn count_end(booking: &Booking<'_>, failed: bool, adding: &Adding<'_>) {
    adding.add(Metric::DeploymentRequests, 1);
    adding.set(Metric::DeploymentState, if failed { 1.0 } else { 0.0 });
    if !failed {
        return adding.add(Metric::DeploymentSuccesses, 1);
    }
    adding.add(Metric::DeploymentFailures, 1);
    adding.add(Metric::ApiFailures, 1);
    adding.add(Metric::FailedFallbacks, u64::from(is_fallback(booking)));
}

fn count_times(Booking { stream, usage, took, first_content, .. }: &Booking<'_>, adding: &Adding<'_>) {
    let took = nanos(*took);
    adding.took(Metric::ApiLatency, took);
    if let (true, Some(first)) = (stream, first_content) {
        adding.took(Metric::FirstToken, nanos(*first));
    }
    if let Some(of_token) = took.checked_div(usage.output) {
        adding.took(Metric::PerOutputToken, of_token);
    }
}

/// An answer that cost nothing though it was used, because nobody said what it costs.
fn count_free(booking: &Booking<'_>, marks: &Marks<'_>, (kept, now): (&Kept, Instant)) {
    if booking.cost.0 != 0 || booking.usage.total() == 0 {
        return;
    }
    let Some(pricing) = kept.pricing.get() else { return };
    if pricing(&booking.target.deployment, &booking.usage).is_none() {
        let mut marks = *marks;
        marks.rest.reason = "missing_pricing_key";
        kept.series.of(&marks, now).add(Metric::ZeroCost, 1);
    }
}
