//! Finding providers and models by the names that configs and clients use.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use serde::Deserialize;

use crate::facts::Family;
use crate::names;
use crate::provider::host_of;
use crate::table::{Head, Table};
use crate::{CostMap, Maker, ModelRow, Models, Overrides, Prices, ProviderRef, ProviderRow, Quirk};

static MODELS: &str = include_str!("../data/models.txt");
static PROVIDERS: &str = include_str!(concat!(env!("OUT_DIR"), "/providers.json"));

/// All that is known. Clones share everything.
///
/// Providers stay as they are, so that whoever calls one may borrow its row for good. Models may be replaced while calls
/// are answered: their table sits behind a swap and owns its text, and rows are read out of it as values. So of two
/// tables at most the one in force and the one that a reader still holds are in memory, however often it is replaced.
#[derive(Clone, Debug)]
pub struct Catalogue {
    table: Arc<ArcSwapOption<Table>>,
    data: Arc<Data>,
}

/// A model that no provider can be told for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProvider {
    /// The model's name as it was given.
    pub model: String,
}

/// `data/providers.toml`, of which the build makes JSON.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    known: Vec<String>,
    #[serde(default)]
    listed_as: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    guess: Vec<Guess>,
    #[serde(default)]
    family: Vec<Family>,
    /// What is different for the models of makers that several providers serve.
    #[serde(default)]
    maker: BTreeMap<Maker, Vec<Models>>,
    #[serde(rename = "provider")]
    rows: Vec<ProviderRow>,
    #[serde(default)]
    compatible: Compatible,
}

/// Endpoints that speak OpenAI's dialect, and of which no more is known.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Compatible {
    /// The quirks of them all.
    quirks: Vec<Quirk>,
    #[serde(rename = "provider")]
    rows: Vec<ProviderRow>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Guess {
    provider: String,
    prefixes: Vec<String>,
}

// === impl Data ===

impl Data {
    /// With the rows of compatible endpoints among the others, and what their models' makers say with each row.
    fn joined(mut self) -> Self {
        let Compatible { quirks, rows } = &mut self.compatible;
        for mut row in rows.drain(..) {
            row.quirks.extend_from_slice(quirks);
            self.rows.push(row);
        }
        self.rows = std::mem::take(&mut self.rows).into_iter().map(|row| self.with_models(row)).collect();
        self
    }

    /// A row with what is different for the models of those whom it serves.
    fn with_models(&self, mut row: ProviderRow) -> ProviderRow {
        let served = row.serves.iter().filter_map(|maker| self.maker.get(maker));
        row.models.extend(served.flatten().cloned());
        row
    }
}

// === impl Catalogue ===

impl Catalogue {
    /// What is shipped. The first call reads the providers; models are read when they are asked for.
    pub fn builtin() -> &'static Self {
        static BUILTIN: OnceLock<Catalogue> = OnceLock::new();
        BUILTIN.get_or_init(|| Self {
            table: Arc::new(swap(shipped())),
            // A test reads the shipped file, so it is never the default that serves.
            data: Arc::new(serde_json::from_str(PROVIDERS).map(Data::joined).unwrap_or_default()),
        })
    }

    /// This one with an operator's rows, which win over rows of the same name.
    pub fn with_rows(&self, rows: Vec<ProviderRow>) -> Self {
        let mut data = Data::clone(&self.data);
        data.rows.retain(|row| rows.iter().all(|new| new.id != row.id));
        let rows: Vec<_> = rows.into_iter().map(|row| data.with_models(row)).collect();
        data.rows.extend(rows);
        Self { table: Arc::clone(&self.table), data: Arc::new(data) }
    }

    /// This one with models of its own, which a price map may replace for nobody else.
    pub fn apart(&self) -> Self {
        Self { table: Arc::new(ArcSwapOption::new(self.table.load_full())), data: Arc::clone(&self.data) }
    }

    /// Puts the shipped models into force with those of this map over them: one of the same name is replaced whole.
    /// What another map said before no longer counts. Where the table cannot be built nothing has changed.
    pub fn put(&self, map: &CostMap) -> Result<(), String> {
        let table = map.over(&shipped().ok_or("there is no table")?)?;
        self.table.store(Some(Arc::new(table)));
        Ok(())
    }

    /// How many models there are.
    pub fn count(&self) -> usize {
        self.table.load().as_ref().map_or(0, |table| table.heads().count())
    }

    /// Whether the name that a price list has for a provider is that of one which is known.
    pub fn is_listed(&self, provider: &str) -> bool {
        self.lister(provider).is_some()
    }

    /// Every provider that can be called.
    pub fn providers(&self) -> &[ProviderRow] {
        &self.data.rows
    }

    /// The quirks of a provider of which no more is known than that it speaks OpenAI's dialect.
    pub fn compatible(&self) -> &[Quirk] {
        &self.data.compatible.quirks
    }

    /// The row of a provider, by its name or an alias.
    pub fn provider(&self, name: &str) -> Option<&ProviderRow> {
        self.data.rows.iter().find(|row| row.answers_to(name))
    }

    /// A provider that can be called, or whose name at least is known.
    pub fn named(&self, name: &str) -> Option<ProviderRef<'_>> {
        let known = || self.data.known.iter().find(|known| *known == name);
        self.provider(name).map(ProviderRef::Row).or_else(|| known().map(|known| ProviderRef::Known(known)))
    }

    /// The provider whose endpoint this URL is, by its host.
    pub fn provider_at(&self, url: &str) -> Option<&ProviderRow> {
        let host = host_of(url)?;
        // Every server that people run is at localhost: that tells nothing.
        self.data.rows.iter().find(|row| !row.key_optional && row.host() == Some(host))
    }

    /// Splits a configured model into its provider and the name there. `custom_llm_provider` decides where it is
    /// given; else what stands before the first `/`; else the model's own name.
    pub fn split<'a>(
        &'a self,
        model: &'a str,
        custom_llm_provider: Option<&str>,
    ) -> Result<(ProviderRef<'a>, &'a str), UnknownProvider> {
        let unknown = || UnknownProvider { model: model.to_owned() };
        if let Some(name) = custom_llm_provider.filter(|name| !name.is_empty()) {
            let provider = self.named(name).ok_or_else(unknown)?;
            let prefix = model.split_once('/').filter(|(first, _)| *first == name);
            return Ok((provider, prefix.map_or(model, |(_, rest)| rest)));
        }
        if let Some((first, rest)) = model.split_once('/')
            && let Some(provider) = self.named(first)
        {
            return Ok((provider, rest));
        }
        self.guess(model).map(|provider| (provider, model)).ok_or_else(unknown)
    }

    /// What is known of a provider's model. Tried in this order: the name with the provider before it, the bare
    /// name, both without a region, all of these without a date.
    pub fn model(&self, provider: &str, name: &str) -> Option<ModelRow> {
        let table = self.table.load();
        let table = table.as_ref()?;
        self.candidates(provider, name).into_iter().find_map(|(key, bare)| {
            let head = table.find_head(&key)?;
            // A bare name may be another provider's model of the same name, with another price.
            (!bare || self.lists(provider, head.provider)).then(|| table.find(&key)).flatten()
        })
    }

    /// What is known of a model by a full name (`azure/gpt-4o`, `gpt-4o`), whoever's it is: an operator's
    /// `base_model`.
    pub fn base_model(&self, provider: &str, name: &str) -> Option<ModelRow> {
        let listed = || self.table.load().as_ref()?.find(name);
        self.model(provider, name).or_else(listed).or_else(|| {
            let (first, rest) = name.split_once('/')?;
            self.model(first, rest)
        })
    }

    /// What a provider's model costs: the table's prices with the operator's over them, and the provider's way of
    /// billing. Where the operator names prices, what the provider reports no longer counts.
    pub fn prices(&self, provider: &str, name: &str, overrides: &Overrides) -> Prices {
        let row = self.row(provider, name, overrides);
        let mut prices = row.map(|row| row.prices).unwrap_or_default();
        prices.billing = self.provider(provider).map(|row| row.billing).unwrap_or_default();
        if !overrides.prices.is_empty() {
            prices.override_with(&overrides.prices);
            prices.billing.reported_cost = false;
        }
        prices
    }

    /// The names of a provider's models of one mode, without the provider before them, in order.
    pub fn models_of(&self, provider: &str, mode: &str) -> Vec<String> {
        let table = self.table.load();
        let heads = table.iter().flat_map(|table| table.heads());
        let mut names: Vec<String> = heads
            .filter(|head| head.mode == mode && self.lists(provider, head.provider))
            .map(|head| bare(provider, head).to_owned())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Every model.
    pub fn models(&self) -> Vec<ModelRow> {
        self.table.load().iter().flat_map(|table| table.rows()).collect()
    }

    pub(crate) fn families(&self) -> &[Family] {
        &self.data.family
    }

    pub(crate) fn row(&self, provider: &str, name: &str, overrides: &Overrides) -> Option<ModelRow> {
        match &overrides.base_model {
            Some(base) => self.base_model(provider, base).or_else(|| self.model(provider, name)),
            None => self.model(provider, name),
        }
    }

    /// Whether the table's provider name stands for this provider (`vertex_ai-language-models` for `vertex_ai`).
    fn lists(&self, provider: &str, listed: &str) -> bool {
        if listed == provider || listed.strip_prefix(provider).is_some_and(|rest| rest.starts_with('-')) {
            return true;
        }
        let row = self.provider(provider);
        let own = row.map(|row| &row.listed_as).or_else(|| self.data.listed_as.get(provider));
        own.is_some_and(|names| names.iter().any(|name| name == listed))
            || row.is_some_and(|r| r.id == listed)
    }

    /// Keys to look for, each with whether it is a bare name.
    fn candidates<'a>(&self, provider: &str, name: &'a str) -> Vec<(Cow<'a, str>, bool)> {
        let row = self.provider(provider);
        let (id, name) = (row.map_or(provider, |row| &row.id), row.map_or(name, |row| row.bare(name)));
        let others = row.map(|row| row.listed_as.as_slice()).unwrap_or_default();
        let under = |listed: &str, name: &str| (Cow::Owned(format!("{listed}/{name}")), false);
        let mut keys = Vec::new();
        for name in names::forms(name) {
            keys.extend([under(id, name), (Cow::Borrowed(name), true)]);
            keys.extend(others.iter().map(|listed| under(listed, name)));
        }
        keys
    }

    fn guess(&self, model: &str) -> Option<ProviderRef<'_>> {
        let table = self.table.load();
        if let Some(head) = table.as_ref().and_then(|table| table.find_head(model))
            && let Some(provider) = self.lister(head.provider)
        {
            return Some(provider);
        }
        let fits = |guess: &&Guess| guess.prefixes.iter().any(|prefix| model.starts_with(&**prefix));
        self.named(&self.data.guess.iter().find(fits)?.provider)
    }

    /// The provider that a provider name of the table stands for.
    fn lister(&self, listed: &str) -> Option<ProviderRef<'_>> {
        let rows = || self.data.rows.iter().find(|row| row.listed_as.iter().any(|name| name == listed));
        let known = || self.data.listed_as.iter().find(|(_, names)| names.iter().any(|name| name == listed));
        let family = || listed.split_once('-').and_then(|(first, _)| self.named(first));
        self.named(listed)
            .or_else(|| rows().map(ProviderRef::Row))
            .or_else(|| known().and_then(|(name, _)| self.named(name)))
            .or_else(family)
    }
}

// === impl UnknownProvider ===

impl fmt::Display for UnknownProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no provider is known for the model {:?}: put it in front, as in openai/gpt-4o", self.model)
    }
}

impl std::error::Error for UnknownProvider {}

fn shipped() -> Option<Table> {
    Table::new(MODELS)
}

fn swap(table: Option<Table>) -> ArcSwapOption<Table> {
    ArcSwapOption::new(table.map(Arc::new))
}

/// A table's name without the provider before it.
fn bare<'t>(provider: &str, head: Head<'t>) -> &'t str {
    let prefix = head.name.split_once('/').filter(|(first, _)| *first == provider || *first == head.provider);
    prefix.map_or(head.name, |(_, rest)| rest)
}
