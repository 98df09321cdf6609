//! What the shipped table is made from: a facts file, one JSON object a line, or a table.

use serde_json::{Map, Value};

use crate::entry::{texts, whole};
use crate::table::{Table, TableWriter};
use crate::{Entry, Limits};

/// Reads a facts file. Its form is told in this crate's README.
pub fn facts(text: &str) -> Result<Vec<Entry>, String> {
    let numbered = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    numbered.map(|(at, line)| fact(line).map_err(|why| format!("line {}: {why}", at + 1))).collect()
}

/// A table of these. It does not depend on their order; what was written is read back, and must be the same.
pub fn table(mut entries: Vec<Entry>) -> Result<String, String> {
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some([one, _]) = entries.array_windows().find(|[one, next]| one.name == next.name) {
        return Err(format!("{} is there twice", one.name));
    }
    let mut writer = TableWriter::default();
    for entry in &entries {
        entry.check()?;
        writer.add(entry);
    }
    let text = writer.finish();
    let read = Table::new(text.clone()).ok_or("the table cannot be read back")?;
    let mut rows = read.rows().map(|row| Entry::from(&row));
    for entry in &entries {
        if rows.next().as_ref() != Some(entry) || read.find_head(&entry.name).is_none() {
            return Err(format!("{} cannot be read back as it is", entry.name));
        }
    }
    match rows.next() {
        None => Ok(text),
        Some(row) => Err(format!("{} came from nowhere", row.name)),
    }
}

fn fact(line: &str) -> Result<Entry, String> {
    let model: Map<String, Value> = serde_json::from_str(line).map_err(|err| err.to_string())?;
    let text = |key: &str| model.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |key: &str| texts(model.get(key));
    let mut entry = Entry {
        name: text("model"),
        provider: text("provider"),
        mode: text("mode"),
        limits: limits(model.get("limits").and_then(Value::as_object)),
        supports: list("supports"),
        supports_not: list("supports_not"),
        endpoints: list("supported_endpoints"),
        modalities: list("supported_modalities"),
        output_modalities: list("supported_output_modalities"),
        retires: text("deprecation_date"),
        ..Entry::default()
    };
    for (field, value) in model.get("prices").and_then(Value::as_object).into_iter().flatten() {
        entry.set_price(field, value).map_err(|err| err.to_string())?;
    }
    Ok(entry)
}

/// Limits by the names that they have in price maps.
pub(crate) fn limits(fields: Option<&Map<String, Value>>) -> Limits {
    let whole = |key: &str| whole(fields?.get(key));
    Limits {
        max_input: whole("max_input_tokens"),
        max_output: whole("max_output_tokens"),
        cache_min: whole("prompt_cache_min_tokens"),
        rpm: whole("rpm"),
        tpm: whole("tpm"),
        vector_size: whole("output_vector_size"),
    }
}
