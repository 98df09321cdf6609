//! Counts attempts: right above the ledger, so that the figures are what it books.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_core::{
    Booked, Call, CallService, Caller, Controls, End, Error, Head, Middleware, Observer, Outcome, Reply,
    Result, ServedBy, Slip, Target, arm,
};
use http::HeaderMap;

use super::marks::{Failed, Marks};
use super::meter::{Handle, Keeper};
use super::series::Adding;
use super::standing::{Left, Standing, number};
use super::table::Metric;

/// What providers say of their own limits: most of them in OpenAI's words, Anthropic in its own. Of requests, then of tokens.
const LEFT: [[&str; 2]; 2] = [
    ["x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining"],
    ["x-ratelimit-remaining-tokens", "anthropic-ratelimit-tokens-remaining"],
];

/// Counts every attempt once, when the ledger has booked it.
#[derive(Clone)]
pub struct MeteredAttempts(pub(super) Keeper);

/// An attempt on its way.
struct Ending {
    kept: Arc<Handle>,
    caller: Arc<Caller>,
    model: Arc<str>,
    headers: Arc<HeaderMap>,
    controls: Arc<Controls>,
    target: Arc<Target>,
    slip: Arc<Slip>,
    mirrored: bool,
    stream: bool,
    began: Instant,
    heard: Option<Heard>,
}

/// What the head of its answer says.
struct Heard {
    served_by: Option<Arc<ServedBy>>,
    requests_left: Option<u64>,
    tokens_left: Option<u64>,
}

// === impl MeteredAttempts ===

impl Middleware for MeteredAttempts {
    async fn handle(&self, mut call: Call, next: &impl CallService) -> Result<Reply> {
        let (true, Some(target)) = (self.0.is_on() && call.operation.is_billed(), call.target.clone()) else {
            return next.answer(call).await;
        };
        let slip = Arc::<Slip>::default();
        call.slip = Some(slip.clone());
        let ending = Ending {
            kept: self.0.handle(),
            caller: call.caller.clone(),
            model: call.model.clone(),
            headers: call.headers.clone(),
            controls: call.controls.clone(),
            target,
            slip,
            mirrored: call.mirror_of.is_some(),
            stream: call.stream,
            began: Instant::now(),
            heard: None,
        };
        arm(ending).follow(next.answer(call).await)
    }
}

// === impl Ending ===

impl Observer for Ending {
    fn head(&mut self, head: &Head) {
        let [requests_left, tokens_left] = left(&head.headers);
        self.heard = Some(Heard { served_by: head.served_by.clone(), requests_left, tokens_left });
    }

    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        // What the ledger did not book never left.
        let Some(booked) = self.slip.booked() else { return };
        let now = outcome.ended();
        let other;
        let by = match self.heard.as_ref().and_then(|heard| heard.served_by.as_ref()) {
            Some(by) => by,
            None => {
                other = self.failed(outcome.end);
                &other
            }
        };
        let marks = self.marks(by, outcome.end);
        let adding = self.kept.series.of(&marks, now);
        let failed = marks.rest.failed.is_some();
        self.count_booked(booked, &adding);
        self.count_end(failed, &adding);
        if !failed {
            let took = now.saturating_duration_since(self.began);
            self.count_times(took, booked.usage.output, outcome, &adding);
            self.count_free(booked, &marks, now);
        }
        if let Some(heard) = &self.heard {
            for (metric, left) in [
                (Metric::RemainingRequests, heard.requests_left),
                (Metric::RemainingTokens, heard.tokens_left),
            ] {
                left.inspect(|left| adding.set(metric, number(*left)));
            }
        }
        // Only here is known what end users may spend.
        if self.caller.allowances.iter().any(|one| one.scope == "end_user") {
            adding.stands(Standing { at: now, caller: self.caller.clone(), left: Left::default() });
        }
    }
}

impl Ending {
    /// Who was to answer; of a deployment that is gone only what the target says.
    fn failed(&self, end: End<'_>) -> Arc<ServedBy> {
        let named = match end {
            End::Failed(err) => Error::served_by(err).cloned().map(Arc::new),
            End::Complete | End::Abandoned => None,
        };
        let known = named.or_else(|| self.kept.upstreams.get()?(&self.target));
        known.unwrap_or_else(|| {
            let (deployment, group) = (self.target.deployment.clone(), self.target.group.clone());
            Arc::new(ServedBy {
                deployment,
                group,
                model: "".into(),
                api_base: "".into(),
                provider: "".into(),
            })
        })
    }

    fn marks<'a>(&'a self, by: &'a Arc<ServedBy>, end: End<'_>) -> Marks<'a> {
        let mut marks = self.kept.marks();
        match self.mirrored {
            true => marks.rest.mirrored = true,
            false => marks.origin(&self.caller, &self.headers, &self.controls, &self.kept.settings),
        }
        marks.asked(&self.model);
        marks.served_by = Some(by);
        marks.rest.failed = Failed::at(end);
        if self.is_fallback() {
            marks.fell_back(&self.target.shown);
        }
        marks
    }

    fn is_fallback(&self) -> bool {
        self.target.shown != self.model
    }

    fn count_booked(&self, booked: &Booked, adding: &Adding<'_>) {
        let Booked { usage, cost, .. } = booked;
        let cost = u64::try_from(cost.0).unwrap_or_default();
        for (metric, amount) in [
            (Metric::Spend, cost),
            (Metric::CommonSpend, cost),
            (Metric::TotalTokens, usage.total()),
            (Metric::CommonTokens, usage.total()),
            (Metric::InputTokens, usage.total_input()),
            (Metric::OutputTokens, usage.output),
            (Metric::InputCachedTokens, usage.cache_read),
            (Metric::ProviderCacheReads, usage.cache_read),
            (Metric::InputCacheCreationTokens, usage.cache_write()),
            (Metric::ProviderCacheWrites, usage.cache_write()),
            (Metric::InputAudioTokens, usage.audio_input),
            (Metric::OutputReasoningTokens, usage.reasoning),
            (Metric::OutputAudioTokens, usage.audio_output),
            (Metric::ImagesGenerated, usage.images),
        ] {
            adding.add(metric, amount);
        }
    }

    fn count_end(&self, failed: bool, adding: &Adding<'_>) {
        adding.add(Metric::DeploymentRequests, 1);
        adding.set(Metric::DeploymentState, if failed { 1.0 } else { 0.0 });
        if !failed {
            return adding.add(Metric::DeploymentSuccesses, 1);
        }
        adding.add(Metric::DeploymentFailures, 1);
        adding.add(Metric::ApiFailures, 1);
        adding.add(Metric::FailedFallbacks, u64::from(self.is_fallback()));
    }

    fn count_times(&self, took: Duration, output: u64, outcome: &Outcome<'_>, adding: &Adding<'_>) {
        adding.took(Metric::ApiLatency, took);
        if let (true, Some(first)) = (self.stream, outcome.first_content) {
            adding.took(Metric::FirstToken, first.saturating_duration_since(self.began));
        }
        if let Some(output) = u32::try_from(output).ok().filter(|output| *output > 0) {
            adding.took(Metric::PerOutputToken, took / output);
        }
    }

    /// An answer that cost nothing though it was used, because nobody said what it costs.
    fn count_free(&self, booked: &Booked, marks: &Marks<'_>, now: Instant) {
        if booked.cost.0 != 0 || booked.usage.total() == 0 {
            return;
        }
        let Some(pricing) = self.kept.pricing.get() else { return };
        if pricing(&self.target.deployment, &booked.usage).is_none() {
            let mut marks = *marks;
            marks.rest.reason = "missing_pricing_key";
            self.kept.series.of(&marks, now).add(Metric::ZeroCost, 1);
        }
    }
}

/// Read in one pass: four look-ups by name would cost three times as much.
fn left(headers: &HeaderMap) -> [Option<u64>; 2] {
    let mut left = [None; 2];
    for (name, value) in headers {
        let place = LEFT.iter().position(|names| names.contains(&name.as_str()));
        if let Some(left) = place.and_then(|place| left.get_mut(place)) {
            *left = value.to_str().ok().and_then(|text| text.parse().ok());
        }
    }
    left
}
