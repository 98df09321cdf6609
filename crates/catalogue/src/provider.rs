//! Providers as rows of data.

use std::collections::BTreeMap;

use gatewright_core::{Dialect, Operation, RankingForm, ReasoningControl};
use serde::de::Error;
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
    /// What it speaks besides, to clients of these dialects; everybody else is translated into its own.
    #[serde(default)]
    pub also: Vec<Also>,
    /// Whose models it serves: what is different for those is different here too, after the entries of `models`.
    #[serde(default)]
    pub serves: Vec<Maker>,
    /// Where it is, without a trailing slash; `None` where only the operator knows.
    #[serde(default)]
    pub base_url: Option<String>,
    /// How a request shows its key.
    #[serde(default)]
    pub auth: Auth,
    /// Who gives a token that stands in for a key.
    #[serde(default)]
    pub token: Option<TokenFrom>,
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
    /// Ways in which it differs from its dialect in a chat.
    #[serde(default)]
    pub quirks: Vec<Quirk>,
    /// Ways in which it differs in other operations, by the words of [`Operation::as_str`].
    #[serde(default)]
    pub operation_quirks: BTreeMap<String, Vec<Quirk>>,
    /// What is different for some of its models.
    #[serde(default)]
    pub models: Vec<Models>,
    /// Where operations stand below the base URL, where that is not what the dialect says. Keys are the words of
    /// [`Operation::as_str`], with `_stream` behind for a stream; an empty path is that of no operation.
    #[serde(default)]
    pub paths: BTreeMap<String, String>,
    /// Whether it has no operations but those of `paths`.
    #[serde(default)]
    pub only_paths: bool,
    /// How it ranks documents, where that is not its dialect's way; `paths` says where (`rerank`).
    #[serde(default)]
    pub ranking: Option<RankingForm>,
    /// The values that stand in `{braces}` in the base URL, the paths and the headers, besides `{model}`.
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    /// How it bills.
    #[serde(default)]
    pub billing: Billing,
    /// How thinking is asked of a model that the model table does not know.
    #[serde(default, deserialize_with = "reasoning")]
    pub unknown_reasoning: ReasoningControl,
}

/// A dialect that a provider speaks besides its own; data files write one without paths as its bare word.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "AlsoForm")]
pub struct Also {
    /// The dialect.
    pub dialect: Dialect,
    /// Where its operations stand below the base URL, where that is not what the dialect says.
    pub paths: BTreeMap<String, String>,
}

/// Who makes models that several providers serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maker {
    /// OpenAI.
    #[serde(rename = "openai")]
    OpenAi,
}

/// What is different for the models of some names. The first that fits decides the dialect, the base URL, the key's place,
/// the paths and what is spoken besides; the quirks and headers of all that fit come after the provider's own.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Models {
    /// Whole names, where a beginning would take in models that differ.
    #[serde(default)]
    pub names: Vec<String>,
    /// How the names begin.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Whether that beginning only chooses this entry and is no part of the name that the provider knows.
    #[serde(default)]
    pub strip: bool,
    /// The quirks.
    #[serde(default)]
    pub quirks: Vec<Quirk>,
    /// What they speak.
    #[serde(default, deserialize_with = "some_dialect")]
    pub dialect: Option<Dialect>,
    /// What they speak besides.
    #[serde(default)]
    pub also: Option<Vec<Also>>,
    /// Where they are.
    #[serde(default)]
    pub base_url: Option<String>,
    /// How a request shows its key.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Headers of every request, besides the provider's own.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Where their operations stand below the base URL.
    #[serde(default)]
    pub paths: BTreeMap<String, String>,
    /// How they rank documents.
    #[serde(default)]
    pub ranking: Option<RankingForm>,
}

/// A value that stands in an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// The deployment's parameters that may hold it, best first, besides the variable's own name.
    #[serde(default)]
    pub params: Vec<String>,
    /// Environment variables that may hold it, best first.
    #[serde(default)]
    pub env: Vec<String>,
    /// Its value where nobody says one.
    #[serde(default)]
    pub default: Option<String>,
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
    /// The key in the address, as the value of a parameter of this name.
    Query(String),
    /// A token that Google gives to an account.
    Google,
    /// A signature with AWS credentials for this service; a key of the service's own is shown as a bearer's.
    Aws(String),
}

/// Who gives a token that stands in for a key, shown as a bearer's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenFrom {
    /// Microsoft Entra, to an application or a machine.
    Entra,
    /// A token server that knows the variables `client_id` and `client_secret` (OAuth 2.0 client credentials).
    Client {
        /// Its address; one that begins with `/` is at the host of the base URL.
        url: String,
        /// What the tokens are for, where it wants to know.
        #[serde(default)]
        scope: Option<String>,
    },
    /// A token server that gives short-lived tokens for a key.
    Key(KeyExchange),
}

/// How a token is asked for with a key: by a form.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyExchange {
    /// Where, as a template.
    pub url: String,
    /// The field of the form that the key stands in; without one it is shown as `Authorization: Basic <key>`.
    #[serde(default)]
    pub field: Option<String>,
    /// The form's other fields, as templates.
    #[serde(default)]
    pub form: BTreeMap<String, String>,
    /// A header that wants another UUID with every question.
    #[serde(default)]
    pub request_id: Option<String>,
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
    /// All quirks that apply to a chat with a model of this name, which the operator may say to be `base`.
    pub fn quirks_for<'a>(
        &'a self,
        model: &'a str,
        base: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Quirk> {
        // The provider's own are observed of its own dialect.
        let own = (self.dialect_of(model) == self.dialect).then_some(&self.quirks);
        own.into_iter().flatten().chain(self.models_like(model, base).flat_map(|models| &models.quirks))
    }

    /// What a model is spoken to in besides its own dialect.
    pub fn also_of<'a>(&'a self, model: &'a str, base: Option<&'a str>) -> &'a [Also] {
        self.models_like(model, base).find_map(|models| models.also.as_deref()).unwrap_or(&self.also)
    }

    /// What a model of this name speaks.
    pub fn dialect_of(&self, model: &str) -> Dialect {
        self.own_dialect_of(model).unwrap_or(self.dialect)
    }

    /// What a model of this name speaks where it is not what the provider's others do.
    pub(crate) fn own_dialect_of(&self, model: &str) -> Option<Dialect> {
        self.models_of(model).find_map(|models| models.dialect)
    }

    /// The name that the provider knows a model by.
    pub fn bare<'a>(&self, model: &'a str) -> &'a str {
        let stripped = |models: &Models| {
            models.prefixes.iter().filter(|_| models.strip).find_map(|prefix| model.strip_prefix(&**prefix))
        };
        self.models.iter().find_map(stripped).unwrap_or(model)
    }

    /// Where a model of this name is, as a template.
    pub fn base_of<'a>(&'a self, model: &'a str) -> Option<&'a str> {
        self.models_of(model).find_map(|models| models.base_url.as_deref()).or(self.base_url.as_deref())
    }

    /// How a request for a model of this name shows its key.
    pub fn auth_of<'a>(&'a self, model: &'a str) -> &'a Auth {
        self.models_of(model).find_map(|models| models.auth.as_ref()).unwrap_or(&self.auth)
    }

    /// The headers of every request for a model of this name.
    pub fn headers_of<'a>(&'a self, model: &'a str) -> impl Iterator<Item = (&'a String, &'a String)> {
        self.headers.iter().chain(self.models_of(model).flat_map(|models| &models.headers))
    }

    /// Where an operation of a model of this name stands below the base URL, as a template; `None` where the dialect
    /// says it. `also` is what the model is spoken to in where that is not its own dialect.
    pub fn path_of<'a>(
        &'a self,
        (model, also): (&'a str, Option<&'a Also>),
        operation: Operation,
        stream: bool,
    ) -> Option<&'a str> {
        let word = operation.as_str();
        let streamed = stream.then(|| format!("{word}_stream"));
        // The provider's own are those of its own dialect.
        let own = (self.dialect_of(model) == self.dialect).then_some(&self.paths);
        let own = self.models_of(model).map(|models| &models.paths).chain(own).filter(|_| also.is_none());
        let mut in_order = also.map(|also| &also.paths).into_iter().chain(own);
        in_order
            .find_map(|paths| streamed.as_ref().and_then(|word| paths.get(word)).or_else(|| paths.get(word)))
            .map(String::as_str)
    }

    /// How a model of this name ranks documents, where that is not its dialect's way.
    pub fn ranking_of(&self, model: &str) -> Option<RankingForm> {
        self.models_of(model).find_map(|models| models.ranking).or(self.ranking)
    }

    fn models_of<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a Models> {
        self.models.iter().filter(move |models| models.have(model))
    }

    /// The entries for what the model is: an operator's own name tells less than what the operator says about it.
    fn models_like<'a>(&'a self, model: &'a str, base: Option<&'a str>) -> impl Iterator<Item = &'a Models> {
        // Words before a name choose an entry whatever model stands behind them.
        let said = move |models: &Models| models.strip && models.have(model);
        let is = move |models: &Models| match base {
            Some(base) => tails(base).any(|name| models.have(name)),
            None => models.have(model),
        };
        self.models.iter().filter(move |models| said(models) || is(models))
    }

    /// How usage of a stream is had.
    pub fn stream_usage(&self) -> StreamUsage {
        let said = self.quirks.iter().find_map(|quirk| match quirk {
            Quirk::StreamUsage(usage) => Some(*usage),
            _ => None,
        });
        said.unwrap_or_default()
    }

    /// Whether this parameter of a deployment stands in its addresses.
    pub fn reads(&self, param: &str) -> bool {
        self.variables
            .iter()
            .any(|(name, variable)| name == param || variable.params.iter().any(|other| other == param))
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

// === impl Models ===

impl Models {
    fn have(&self, model: &str) -> bool {
        let begins = |prefix: &String| model.starts_with(&**prefix);
        self.names.iter().any(|name| name == model) || self.prefixes.iter().any(begins)
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

/// A name with everything before it, a part less each time: `azure/us/gpt-5`, `us/gpt-5`, `gpt-5`.
fn tails(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('/').map(|(_, rest)| rest))
}

fn openai_chat() -> Dialect {
    Dialect::OpenAiChat
}

fn dialect<'de, D: Deserializer<'de>>(from: D) -> Result<Dialect, D::Error> {
    let word = String::deserialize(from)?;
    Dialect::parse(&word).ok_or_else(|| D::Error::custom(format!("'{word}' is no dialect")))
}

fn some_dialect<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Dialect>, D::Error> {
    dialect(from).map(Some)
}

fn reasoning<'de, D: Deserializer<'de>>(from: D) -> Result<ReasoningControl, D::Error> {
    Ok(ReasoningWord::deserialize(from)?.into())
}

/// [`Also`] as data files write it.
#[derive(Deserialize)]
#[serde(untagged)]
enum AlsoForm {
    Word(#[serde(deserialize_with = "dialect")] Dialect),
    Whole(Whole),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(deserialize_with = "dialect")]
    dialect: Dialect,
    #[serde(default)]
    paths: BTreeMap<String, String>,
}

impl From<AlsoForm> for Also {
    fn from(form: AlsoForm) -> Self {
        match form {
            AlsoForm::Word(dialect) => Self { dialect, paths: BTreeMap::new() },
            AlsoForm::Whole(Whole { dialect, paths }) => Self { dialect, paths },
        }
    }
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
