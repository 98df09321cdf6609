//! What the router knows of models and asks of calls, from the catalogue and the token counts.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use gatewright_catalogue::{Catalogue, Overrides};
use gatewright_core::chat::{Chat, MediaKind, Output, Part};
use gatewright_core::{Body, Call, Operation};
use gatewright_routing::{Abilities, Know, Model};

use super::{PriceList, prefix};
use crate::config::Deployment;

/// What is known of models by the catalogue, and of calls by their conversations.
pub(crate) struct Knowledge {
    pub(crate) catalogue: &'static Catalogue,
    pub(crate) prices: Arc<PriceList>,
}

/// What models may be able to do, by the table's words.
const TALENTS: [(&str, Abilities); 6] = [
    ("function_calling", Abilities::TOOLS),
    ("vision", Abilities::VISION),
    ("audio_input", Abilities::AUDIO),
    ("pdf_input", Abilities::DOCUMENTS),
    ("response_schema", Abilities::SCHEMA),
    ("reasoning", Abilities::REASONING),
];

/// A model whose vocabulary is public: it counts for all that have none of their own.
const STANDARD: &str = "gpt-4o";

/// What is known of the one model of a deployment; nothing where it takes the model from the request.
pub(crate) fn of(catalogue: &Catalogue, deployment: &Deployment) -> Model {
    let target = &deployment.routing.target;
    match target.contains('*') {
        true => Model::default(),
        false => {
            let provider = deployment.params.provider.as_deref();
            model_of(catalogue, (target, provider), &deployment.params.overrides)
        }
    }
}

/// What is known of a model, and what the operator says of it. What the table does not say of a model that it lists,
/// the model cannot do.
fn model_of(catalogue: &Catalogue, (label, provider): (&str, Option<&str>), overrides: &Overrides) -> Model {
    let Ok((provider, name)) = catalogue.split(label, provider) else { return Model::default() };
    let row = match &overrides.base_model {
        Some(base) => catalogue.base_model(provider.name(), base),
        None => catalogue.model(provider.name(), name),
    };
    let prices = catalogue.prices(provider.name(), name, overrides);
    let lacks = |(word, ability): &(&str, Abilities)| {
        let listed = || row.as_ref().map(|row| row.supports(word).unwrap_or(false));
        let can = overrides.supports(word).or_else(listed).unwrap_or(true);
        ability.when(!can)
    };
    Model {
        max_input: overrides.limits.max_input.or_else(|| row.as_ref()?.limits.max_input),
        input: prices.field("input_cost_per_token"),
        output: prices.field("output_cost_per_token"),
        lacks: TALENTS.iter().map(lacks).fold(Abilities::NONE, Abilities::and),
    }
}

impl Know for Knowledge {
    fn model(&self, deployment: &gatewright_routing::Deployment, model: &str) -> Model {
        self.prices.with_overrides(&deployment.id, |provider, overrides| {
            model_of(self.catalogue, (model, provider), overrides)
        })
    }

    fn estimate(&self, call: &Call) -> u64 {
        match &call.body {
            Body::Json(json) => gatewright_tokens::estimate_bytes(&json.to_bytes()),
            Body::Form(_) | Body::Opaque(_) => 0,
        }
    }

    fn count<'a>(&'a self, call: &'a Call) -> Pin<Box<dyn Future<Output = u64> + Send + 'a>> {
        Box::pin(async move {
            let counted = call.clone();
            let exact = move || gatewright_tokens::exact(STANDARD, counted.chat().ok()?);
            let exact = tokio::task::spawn_blocking(exact).await.ok().flatten();
            // Its provider knows better than an estimate that may be a third too high.
            exact.unwrap_or_else(|| self.estimate(call) / 4 * 3)
        })
    }

    fn prefix(&self, call: &Call) -> Option<u64> {
        match (call.operation, call.chat()) {
            (Operation::Chat, Ok(chat)) => prefix::digest(chat),
            _ => None,
        }
    }

    fn needs(&self, call: &Call) -> Abilities {
        match (call.operation, call.chat()) {
            (Operation::Chat, Ok(chat)) => needs(chat),
            _ => Abilities::NONE,
        }
    }
}

fn needs(chat: &Chat) -> Abilities {
    let parts = chat.turns.iter().flat_map(|turn| &turn.parts).map(needed_for);
    parts
        .fold(Abilities::NONE, Abilities::and)
        .and(Abilities::TOOLS.when(!chat.tools.is_empty()))
        .and(Abilities::SCHEMA.when(matches!(chat.output, Output::JsonSchema { .. })))
        .and(Abilities::REASONING.when(chat.reasoning.as_ref().is_some_and(|reasoning| !reasoning.off)))
}

fn needed_for(part: &Part) -> Abilities {
    match part {
        Part::Media(media) => match media.kind {
            MediaKind::Image => Abilities::VISION,
            MediaKind::Audio => Abilities::AUDIO,
            MediaKind::Document => Abilities::DOCUMENTS,
            MediaKind::Video => Abilities::NONE,
        },
        Part::ToolResult(result) => result.parts.iter().map(needed_for).fold(Abilities::NONE, Abilities::and),
        _ => Abilities::NONE,
    }
}
