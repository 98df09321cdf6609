//! Providers as rows of data.

use std::collections::BTreeMap;

use gatewright_core::{Dialect, ReasoningControl};
use serde::{Deserialize, Deserializer};

use crate::{Quirk, StreamUsage};

/// Everything that makes a provider: dialect, endpoint, authorisation, quirks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderRow {
    /// The name in front of the model: `openai` in `openai/gpt-4o`.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// What it speaks.
    #[serde(default = "openai_chat", deserialize_with = "dialect")]
    pub dialect: Dialect,
    /// Where it is, without a trailing slash; `None` where only the operator knows.
    #[serde(default)]
    pub base_url: Option<String>,
    /// How a request shows its key.
    #[serde(default)]
    pub auth: Auth,
    /// Whether it answers without a key (servers that people run themselves).
    #[serde(default)]
    pub key_optional: bool,
    /// Environment variables that may hold the key, best first.
    #[serde(default)]
    pub key_env: Vec<String>,
    /// Environment variables that may hold the base URL, best first.
    #[serde(default)]
    pub base_env: Vec<String>,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Other names of the same provider.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Names under which the model table lists its models, besides `id`.
    #[serde(default)]
    pub listed_as: Vec<String>,
    /// Ways in which it differs from its dialect.
    #[serde(default)]
    pub quirks: Vec<Quirk>,
    /// Quirks of some of its models, which come after its own.
    #[serde(default)]
    pub models: Vec<ModelQuirks>,
    /// How it bills.
    #[serde(default)]
    pub billing: Billing,
    /// How thinking is asked of a model that the model table does not know.
    #[serde(default, deserialize_with = "reasoning")]
    pub unknown_reasoning: ReasoningControl,
}

/// Quirks of the models whose names begin in one of these ways.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelQuirks {
    /// How the names begin.
    pub prefixes: Vec<String>,
    /// The quirks.
    pub quirks: Vec<Quirk>,
}

/// How a request shows its key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// `Authorization: Bearer <key>`.
    #[default]
    Bearer,
    /// The bare key in a header of this name.
    Header(String),
}

/// How a provider bills, where it differs from the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Billing {
    /// The cost that it reports with the usage is what it charges, and wins over any price.
    pub reported_cost: bool,
    /// A price above N tokens holds from N tokens on, not only beyond.
    pub inclusive_thresholds: bool,
}

/// A provider that a model's name points to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProviderRef<'a> {
    /// One with a row: it can be called.
    Row(&'a ProviderRow),
    /// One whose name is known, but nothing else yet.
    Known(&'a str),
}

// === impl ProviderRow ===

impl ProviderRow {
    /// All quirks that apply to a model of this name.
    pub fn quirks_for<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a Quirk> {
        let fits = move |m: &&ModelQuirks| m.prefixes.iter().any(|prefix| model.starts_with(&**prefix));
        self.quirks.iter().chain(self.models.iter().filter(fits).flat_map(|m| &m.quirks))
    }

    /// How usage of a stream is had.
    pub fn stream_usage(&self) -> StreamUsage {
        let said = self.quirks.iter().find_map(|quirk| match quirk {
            Quirk::StreamUsage(usage) => Some(*usage),
            _ => None,
        });
        said.unwrap_or_default()
    }

    /// Whether it goes by this name.
    pub fn answers_to(&self, name: &str) -> bool {
        self.id == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// The host of its base URL.
    pub(crate) fn host(&self) -> Option<&str> {
        host_of(self.base_url.as_deref()?)
    }
}

// === impl ProviderRef ===

impl<'a> ProviderRef<'a> {
    /// The provider's name.
    pub fn name(self) -> &'a str {
        match self {
            Self::Row(row) => &row.id,
            Self::Known(name) => name,
        }
    }

    /// Its row, where it has one.
    pub fn row(self) -> Option<&'a ProviderRow> {
        match self {
            Self::Row(row) => Some(row),
            Self::Known(_) => None,
        }
    }
}

/// The host and port of a URL.
pub(crate) fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty())
}

fn openai_chat() -> Dialect {
    Dialect::OpenAiChat
}

/// Core's words carry no wire names of their own; the catalogue's schema gives them.
fn dialect<'de, D: Deserializer<'de>>(from: D) -> Result<Dialect, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        OpenaiChat,
        AnthropicMessages,
    }
    Ok(match Word::deserialize(from)? {
        Word::OpenaiChat => Dialect::OpenAiChat,
        Word::AnthropicMessages => Dialect::AnthropicMessages,
    })
}

fn reasoning<'de, D: Deserializer<'de>>(from: D) -> Result<ReasoningControl, D::Error> {
    Ok(ReasoningWord::deserialize(from)?.into())
}

/// [`ReasoningControl`] as data files write it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReasoningWord {
    None,
    Effort,
    Budget,
    Adaptive,
}

impl From<ReasoningWord> for ReasoningControl {
    fn from(word: ReasoningWord) -> Self {
        match word {
            ReasoningWord::None => Self::None,
            ReasoningWord::Effort => Self::Effort,
            ReasoningWord::Budget => Self::Budget,
            ReasoningWord::Adaptive => Self::Adaptive,
        }
    }
}
