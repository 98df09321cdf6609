//! LiteLLM's price map (`model_prices_and_context_window.json`): an object of models, each with its fields.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

use crate::entry::texts;
use crate::field::is_price;
use crate::table::Table;
use crate::{Catalogue, Entry, source};

/// A price map that was read whole and found good.
#[derive(Clone, Debug, PartialEq)]
pub struct CostMap {
    entries: BTreeMap<String, Entry>,
    listed: usize,
}

/// Why a map is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The first reasons, in words.
    pub reasons: Vec<String>,
    /// How many more there are.
    pub more: usize,
}

/// The row of LiteLLM's map that explains the fields.
const SAMPLE: &str = "sample_spec";

/// LiteLLM's own limits: a map with fewer models, or with less than half of those before, was cut off.
const LEAST_MODELS: usize = 50;
const LEAST_SHARE: usize = 2;

/// Words of providers, fields, flags and so on. The known map has 400; a table gives each a character.
const MOST_WORDS: usize = 4_000;

/// Reasons that are told one by one.
const REASONS: usize = 10;

// === impl CostMap ===

impl CostMap {
    /// The largest map, in bytes; the known one has 2 MB.
    pub const MOST_BYTES: usize = 16 << 20;

    /// Reads a map, whole or not at all. `before` is how many models the last one had, zero where there was none.
    pub fn read(json: &[u8], before: usize, catalogue: &Catalogue) -> Result<Self, Refused> {
        if json.len() > Self::MOST_BYTES {
            return Err(Refused::of(format!("it has more than {} bytes", Self::MOST_BYTES)));
        }
        let models: Map<String, Value> = serde_json::from_slice(json)
            .map_err(|err| Refused::of(format!("it is no JSON object: {err}")))?;
        let (mut entries, mut faults) = (BTreeMap::new(), Faults::default());
        for (name, fields) in models.into_iter().filter(|(name, _)| name != SAMPLE) {
            match entry(&name, fields) {
                Ok(entry) => drop(entries.insert(name, entry)),
                Err(why) => faults.add(why),
            }
        }
        let listed = entries.values().filter(|entry| catalogue.is_listed(&entry.provider)).count();
        let map = Self { entries, listed };
        map.measure(before, &mut faults);
        match faults.0.reasons.is_empty() {
            true => Ok(map),
            false => Err(faults.0),
        }
    }

    /// How many models it has.
    pub fn models(&self) -> usize {
        self.entries.len()
    }

    /// How many of them are of a provider that is known.
    pub fn of_known_providers(&self) -> usize {
        self.listed
    }

    /// The table of these and of those of `below` that have other names.
    pub(crate) fn over(&self, below: &Table) -> Result<Table, String> {
        let rows = below.rows().filter(|row| !self.entries.contains_key(&row.name));
        let entries = rows.map(|row| Entry::from(&row)).chain(self.entries.values().cloned());
        Table::new(source::table(entries.collect())?).ok_or_else(|| "the table cannot be read".to_owned())
    }

    /// Whether it is likely to be a whole price map.
    fn measure(&self, before: usize, faults: &mut Faults) {
        let models = self.models();
        if models < LEAST_MODELS {
            faults.add(format!("it has {models} good models: fewer than {LEAST_MODELS} are no price map"));
        }
        if models < before / LEAST_SHARE {
            faults.add(format!("it has {models} good models, less than half of the {before} before"));
        }
        if self.listed < models / LEAST_SHARE {
            let known = self.listed;
            faults.add(format!("only {known} of its {models} models are of providers that are known"));
        }
        let words: BTreeSet<&str> = self.entries.values().flat_map(Entry::words).collect();
        if words.len() > MOST_WORDS {
            faults.add(format!("it has {} different words: more than {MOST_WORDS}", words.len()));
        }
    }
}

fn entry(name: &str, fields: Value) -> Result<Entry, String> {
    let Value::Object(mut fields) = fields else { return Err(format!("{name:?} is no object")) };
    let mut entry = Entry { name: name.to_owned(), ..Entry::default() };
    entry.limits = source::limits(Some(&fields));
    if entry.limits.max_input.is_none() && entry.limits.max_output.is_none() {
        // The older name; of a model with both limits it says nothing new.
        entry.limits.max_output = crate::entry::whole(fields.get("max_tokens"));
    }
    let mut text = |key: &str| match fields.remove(key) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    entry.provider = text("litellm_provider");
    entry.mode = text("mode");
    entry.retires = text("deprecation_date");
    for (field, value) in fields {
        take(&mut entry, field, value).map_err(|why| format!("{name}: {why}"))?;
    }
    entry.check()?;
    Ok(entry)
}

/// Sorts a field in; what has no place is kept as it is.
fn take(entry: &mut Entry, field: String, value: Value) -> Result<(), String> {
    match (field.as_str(), &value) {
        (_, Value::Null) => {}
        (
            "max_tokens"
            | "max_input_tokens"
            | "max_output_tokens"
            | "prompt_cache_min_tokens"
            | "rpm"
            | "tpm"
            | "output_vector_size",
            Value::Number(_),
        ) => {}
        ("supported_endpoints", Value::Array(_)) => entry.endpoints = texts(Some(&value)),
        ("supported_modalities", Value::Array(_)) => entry.modalities = texts(Some(&value)),
        ("supported_output_modalities", Value::Array(_)) => entry.output_modalities = texts(Some(&value)),
        ("tiered_pricing" | "off_peak_pricing", _) => set(entry, &field, &value)?,
        (price, _) if is_price(price) || price.contains("_uplift_multiplier") => set(entry, &field, &value)?,
        (flag, Value::Bool(can)) if flag.starts_with("supports_") => {
            let list = if *can { &mut entry.supports } else { &mut entry.supports_not };
            list.extend(flag.strip_prefix("supports_").map(str::to_owned));
        }
        _ => drop(entry.other.insert(field, value)),
    }
    Ok(())
}

fn set(entry: &mut Entry, field: &str, value: &Value) -> Result<(), String> {
    entry.set_price(field, value).map_err(|err| err.to_string())
}

/// Reasons as they are found.
struct Faults(Refused);

// === impl Faults ===

impl Default for Faults {
    fn default() -> Self {
        Self(Refused { reasons: Vec::new(), more: 0 })
    }
}

impl Faults {
    fn add(&mut self, reason: String) {
        match self.0.reasons.len() < REASONS {
            true => self.0.reasons.push(reason),
            false => self.0.more += 1,
        }
    }
}

// === impl Refused ===

impl Refused {
    fn of(reason: String) -> Self {
        Self { reasons: vec![reason], more: 0 }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reasons.join("; "))?;
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more reasons"),
        }
    }
}

impl std::error::Error for Refused {}
