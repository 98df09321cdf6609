//! What encoders must know of a model: from the table, from its family, from the provider's quirks, from the operator.

use gatewright_core::{Dialect, ModelFacts, ReasoningControl};
use serde::Deserialize;

use crate::provider::ReasoningWord;
use crate::row::{schema_word, usual};
use crate::{Catalogue, Overrides, ProviderRow, Quirk};

/// What is known of models that the table does not list, by how their names begin.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Family {
    prefixes: Vec<String>,
    max_output: Option<u64>,
    reasoning: Option<ReasoningWord>,
    #[serde(default)]
    structured_output: bool,
}

// === impl Catalogue ===

impl Catalogue {
    /// What an encoder must know of a provider's model. `name` is what the provider is called with.
    pub fn facts(&self, provider: &ProviderRow, name: &str, overrides: &Overrides) -> ModelFacts {
        let dialect = provider.dialect_of(name);
        let known = match self.row(&provider.id, name, overrides) {
            Some(row) => row.facts(dialect, name),
            None => self.unlisted(provider, dialect, name),
        };
        let known = corrected(known, provider, (name, overrides.base_model.as_deref()));
        overridden(known, overrides, dialect)
    }

    /// Whether a provider's model can do this; `None` where nothing is said.
    pub fn supports(
        &self,
        provider: &ProviderRow,
        name: &str,
        overrides: &Overrides,
        what: &str,
    ) -> Option<bool> {
        overrides.supports(what).or_else(|| self.row(&provider.id, name, overrides)?.supports(what))
    }

    /// What a provider's model speaks: what its row says, and Responses where the table knows the model for that alone.
    pub fn dialect(&self, provider: &ProviderRow, name: &str, overrides: &Overrides) -> Dialect {
        let mode = || match &overrides.mode {
            Some(mode) => mode == "responses",
            None => self.row(&provider.id, name, overrides).is_some_and(|row| row.mode == "responses"),
        };
        let also = provider.also_of(name, overrides.base_model.as_deref());
        let speaks_responses = || also.iter().any(|also| also.dialect == Dialect::OpenAiResponses);
        match provider.own_dialect_of(name) {
            Some(own) => own,
            None if mode() && speaks_responses() => Dialect::OpenAiResponses,
            None => provider.dialect,
        }
    }

    /// What can be told of a model that the table does not list.
    fn unlisted(&self, provider: &ProviderRow, dialect: Dialect, name: &str) -> ModelFacts {
        let bare = name.rsplit('/').next().unwrap_or(name);
        let fits = |family: &&Family| family.prefixes.iter().any(|prefix| bare.starts_with(&**prefix));
        let family = self.families().iter().find(fits);
        let told = family.and_then(|family| family.reasoning).map(ReasoningControl::from);
        let reasoning = match (told, dialect) {
            (Some(control), Dialect::AnthropicMessages | Dialect::BedrockConverse) => control,
            (Some(_), other) => usual(other),
            (None, _) => provider.unknown_reasoning,
        };
        ModelFacts {
            name: name.into(),
            max_output: family.and_then(|family| family.max_output),
            reasoning,
            // An endpoint that speaks OpenAI's dialect is asked in its words; what it refuses it tells.
            structured_output: match dialect {
                Dialect::AnthropicMessages | Dialect::BedrockConverse => {
                    family.is_some_and(|family| family.structured_output)
                }
                _ => !provider.quirks.contains(&Quirk::SchemaAsTool),
            },
            document_links: false,
        }
    }
}

/// What the provider's quirks say against the table.
fn corrected(
    mut facts: ModelFacts,
    provider: &ProviderRow,
    (name, base): (&str, Option<&str>),
) -> ModelFacts {
    let drops = |quirk: &Quirk| matches!(quirk, Quirk::Drop(fields) if fields.iter().any(|f| f == "reasoning_effort"));
    if provider.quirks_for(name, base).any(drops) {
        facts.reasoning = ReasoningControl::None;
    }
    facts.document_links = provider.quirks_for(name, base).any(|quirk| *quirk == Quirk::DocumentLinks);
    facts
}

fn overridden(mut facts: ModelFacts, overrides: &Overrides, dialect: Dialect) -> ModelFacts {
    facts.max_output = overrides.limits.max_output.or(facts.max_output);
    match (overrides.supports("reasoning"), dialect) {
        (Some(false), _) => facts.reasoning = ReasoningControl::None,
        (Some(true), dialect) if facts.reasoning == ReasoningControl::None => {
            facts.reasoning = usual(dialect);
        }
        _ => {}
    }
    facts.structured_output = overrides.supports(schema_word(dialect)).unwrap_or(facts.structured_output);
    facts
}
