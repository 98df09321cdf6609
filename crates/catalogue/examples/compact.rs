//! Writes the model table: `cargo run -p gatewright-catalogue --example compact -- models.jsonl data/models.txt`.
//!
//! The input has one JSON object a line: `model`, `provider`, `mode`, `limits`, `prices`, `supports`, `supports_not`,
//! `supported_endpoints`, `supported_modalities`, `supported_output_modalities`, `deprecation_date`.
//! What was written is read back and compared with the input before the file is replaced.

use std::error::Error;

use gatewright_catalogue::table::{Entry, Table, TableWriter};
use gatewright_catalogue::{Limits, ModelRow};
use gatewright_core::Price;
use serde_json::{Map, Value};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(from), Some(to)) = (args.next(), args.next()) else {
        return Err("usage: compact <models.jsonl> <models.txt>".into());
    };
    let lines = std::fs::read_to_string(from)?;
    let entries = lines.lines().map(entry).collect::<Result<Vec<_>, _>>()?;
    let mut writer = TableWriter::default();
    for entry in &entries {
        writer.add(entry);
    }
    let text = writer.finish();
    check(&entries, text.clone().leak())?;
    std::fs::write(to, text)?;
    Ok(())
}

fn entry(line: &str) -> Result<Entry, Box<dyn Error>> {
    let model: Map<String, Value> = serde_json::from_str(line)?;
    let text = |key: &str| model.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |key: &str| -> Vec<String> {
        let items = model.get(key).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (prices, structured) = prices(model.get("prices"))?;
    Ok(Entry {
        name: text("model"),
        provider: text("provider"),
        mode: text("mode"),
        limits: limits(model.get("limits")),
        prices,
        structured,
        supports: list("supports"),
        supports_not: list("supports_not"),
        endpoints: list("supported_endpoints"),
        modalities: list("supported_modalities"),
        output_modalities: list("supported_output_modalities"),
        retires: text("deprecation_date"),
    })
}

fn limits(block: Option<&Value>) -> Limits {
    // Some lists write whole numbers as floats.
    let whole = |key: &str| block?.get(key)?.as_f64().map(|n| n as u64);
    Limits {
        max_input: whole("max_input_tokens"),
        max_output: whole("max_output_tokens"),
        cache_min: whole("prompt_cache_min_tokens"),
        rpm: whole("rpm"),
        tpm: whole("tpm"),
        vector_size: whole("output_vector_size"),
    }
}

type Split = (Vec<(String, Price)>, String);

/// Numbers become prices, `search_context_cost_per_query` a price per size; the rest stays JSON.
fn prices(block: Option<&Value>) -> Result<Split, Box<dyn Error>> {
    let (mut numbers, mut structured) = (Vec::new(), Map::new());
    for (field, value) in block.and_then(Value::as_object).into_iter().flatten() {
        match value {
            Value::Number(number) => {
                let price =
                    Price::parse_dollars(&number.to_string()).ok_or_else(|| format!("{field}: {number}"))?;
                numbers.push((field.clone(), price));
            }
            Value::Object(sizes) if field == "search_context_cost_per_query" => {
                for (size, number) in sizes {
                    let price =
                        Price::parse_dollars(&number.to_string()).ok_or_else(|| format!("{field}.{size}"))?;
                    numbers.push((format!("{field}.{size}"), price));
                }
            }
            _ => drop(structured.insert(field.clone(), value.clone())),
        }
    }
    let structured = match structured.is_empty() {
        true => String::new(),
        false => Value::Object(structured).to_string(),
    };
    Ok((numbers, structured))
}

fn check(entries: &[Entry], text: &'static str) -> Result<(), Box<dyn Error>> {
    let table = Table::new(text).ok_or("the table cannot be read back")?;
    for entry in entries {
        let row = table.find(&entry.name).ok_or_else(|| format!("{} is lost", entry.name))?;
        if !same(entry, &row) {
            return Err(format!("{} came back different: {row:?}", entry.name).into());
        }
    }
    match table.rows().count() == entries.len() {
        true => Ok(()),
        false => Err("some models are there twice".into()),
    }
}

fn same(entry: &Entry, row: &ModelRow) -> bool {
    let structured =
        row.prices.structured().map(|map| Value::Object(map.clone()).to_string()).unwrap_or_default();
    entry.provider == row.provider
        && entry.mode == row.mode
        && entry.limits == row.limits
        && entry.prices.iter().all(|(field, price)| row.prices.field(field) == Some(*price))
        && row.prices.fields().count() == entry.prices.len()
        && row
            .prices
            .fields()
            .all(|(name, price)| entry.prices.iter().any(|(n, p)| *n == name && *p == price))
        && entry.structured == structured
        && entry.supports == row.supports
        && entry.supports_not == row.supports_not
        && entry.endpoints == row.endpoints
        && entry.modalities == row.modalities
        && entry.output_modalities == row.output_modalities
        && entry.retires == row.retires.unwrap_or_default()
}
