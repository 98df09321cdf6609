//! Counts attempts: right above the ledger, so that the figures are what it books.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use gatewright_core::{
    Booked, Call, CallService, Caller, Controls, End, Error, Head, Middleware, Observer, Outcome, Reply,
    Result, ServedBy, Slip, Target, watch,
};
use http::{HeaderMap, HeaderName, StatusCode};

use super::label::Label;
use super::meter::Kept;
use super::series::Adding;
use super::standing::{Left, Standing, number};
use super::table::Metric;
use super::words::{Words, exception_class};

/// Whose account attempts of mirrored calls are on.
const MIRROR: &str = "mirror";

/// What providers say of their own limits: most of them in OpenAI's words, Anthropic in its own.
static REQUESTS_LEFT: [HeaderName; 2] = [
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
];
static TOKENS_LEFT: [HeaderName; 2] = [
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
];

/// Counts every attempt once, when the ledger has booked it.
#[derive(Clone)]
pub struct MeteredAttempts(pub(super) Arc<Kept>);

/// An attempt on its way.
struct Ending {
    kept: Arc<Kept>,
    caller: Arc<Caller>,
    model: Arc<str>,
    headers: Arc<HeaderMap>,
    controls: Arc<Controls>,
    target: Arc<Target>,
    slip: Arc<Slip>,
    mirrored: bool,
    stream: bool,
    began: Instant,
    heard: Arc<OnceLock<Heard>>,
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
            kept: self.0.clone(),
            caller: call.caller.clone(),
            model: call.model.clone(),
            headers: call.headers.clone(),
            controls: call.controls.clone(),
            target,
            slip,
            mirrored: call.mirror_of.is_some(),
            stream: call.stream,
            began: Instant::now(),
            heard: Arc::default(),
        };
        let heard = ending.heard.clone();
        let answer = async move {
            let reply = next.answer(call).await?;
            let _ = heard.set(Heard::of(&reply.head));
            Ok(reply)
        };
        watch(ending, answer).await
    }
}

// === impl Heard ===

impl Heard {
    fn of(head: &Head) -> Self {
        let read = |names: &[HeaderName; 2]| {
            let value = names.iter().find_map(|name| head.headers.get(name))?;
            value.to_str().ok()?.parse().ok()
        };
        Self {
            served_by: head.served_by.clone(),
            requests_left: read(&REQUESTS_LEFT),
            tokens_left: read(&TOKENS_LEFT),
        }
    }
}

// === impl Ending ===

impl Observer for Ending {
    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        // What the ledger did not book never left.
        let Some(booked) = self.slip.booked() else { return };
        let (now, failed) = (Instant::now(), self.failed(outcome.end));
        let heard = self.heard.get();
        let by = heard.and_then(|heard| heard.served_by.clone()).or_else(|| self.sought(outcome.end));
        let words = self.words(by.as_deref(), failed.as_ref());
        let adding = self.kept.series.of(&words);
        self.count_booked(booked, &adding);
        self.count_end(failed.is_some(), &adding);
        let took = now.saturating_duration_since(self.began);
        if failed.is_none() {
            self.count_times(took, booked.usage.output, outcome, &adding);
            self.count_free(booked, &words);
        }
        if let Some(heard) = heard {
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
    fn failed(&self, end: End<'_>) -> Option<(StatusCode, String)> {
        match end {
            End::Complete => None,
            End::Failed(err) => Some((err.status(), exception_class(err))),
            End::Abandoned => {
                Some((gatewright_core::ErrorKind::ClientGone.status(), "CancelledError".to_owned()))
            }
        }
    }

    /// The deployment, where no answer names it.
    fn sought(&self, end: End<'_>) -> Option<Arc<ServedBy>> {
        let named = match end {
            End::Failed(err) => Error::served_by(err).cloned().map(Arc::new),
            End::Complete | End::Abandoned => None,
        };
        named.or_else(|| self.kept.upstreams.get()?(&self.target))
    }

    fn words<'a>(&'a self, by: Option<&'a ServedBy>, failed: Option<&'a (StatusCode, String)>) -> Words<'a> {
        let mut words = self.kept.words();
        match self.mirrored {
            true => words.put(Label::HashedApiKey, MIRROR),
            false => {
                words.caller(&self.caller);
                words.client(&self.headers);
                words.controls(&self.caller, &self.controls, &self.kept.settings);
            }
        }
        words.put(Label::RequestedModel, &self.model);
        match by {
            Some(by) => words.served_by(by),
            None => {
                words.put(Label::ModelId, &self.target.deployment);
                words.put(Label::ModelGroup, &self.target.group);
            }
        }
        if let Some((status, class)) = failed {
            words.exception(status, class);
        }
        if self.is_fallback() {
            words.put(Label::FallbackModel, &self.target.shown);
        }
        words
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
    fn count_free(&self, booked: &Booked, words: &Words<'_>) {
        if booked.cost.0 != 0 || booked.usage.total() == 0 {
            return;
        }
        let Some(pricing) = self.kept.pricing.get() else { return };
        if pricing(&self.target.deployment, &booked.usage).is_none() {
            let mut words = *words;
            words.put(Label::Reason, "missing_pricing_key");
            self.kept.series.of(&words).add(Metric::ZeroCost, 1);
        }
    }
}
