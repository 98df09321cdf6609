//! Where an answer's words come from, as citations.

use serde_json::{Value, json};

/// The citations of a `groundingMetadata`: for each supported piece of text the pages that support it, else the pages
/// that were used.
pub(super) fn citations(metadata: &Value) -> Vec<Value> {
    let list = |key: &str| metadata.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let chunks = list("groundingChunks");
    let page = |chunk: &Value| chunk.get("web").or_else(|| chunk.get("retrievedContext")).cloned();
    let cite = |chunk: &Value, segment: Option<&Value>| {
        let page = page(chunk)?;
        let mut citation = json!({
            "type": "web_search_result_location",
            "url": page.get("uri")?,
            "title": page.get("title"),
            "encrypted_index": "",
            "cited_text": segment.and_then(|segment| segment.get("text")).unwrap_or(&Value::Null),
        });
        citation["cited_text"] = citation["cited_text"].as_str().unwrap_or_default().into();
        Some(citation)
    };
    let mut found = Vec::new();
    for support in list("groundingSupports") {
        let indices = support.get("groundingChunkIndices").and_then(Value::as_array);
        let of =
            indices.into_iter().flatten().filter_map(Value::as_u64).filter_map(|n| usize::try_from(n).ok());
        found.extend(of.filter_map(|n| cite(chunks.get(n)?, support.get("segment"))));
    }
    match found.is_empty() {
        true => chunks.iter().filter_map(|chunk| cite(chunk, None)).collect(),
        false => found,
    }
}

/// The searches that are billed: since version 3 each query, before it the prompt once.
pub(super) fn searches(metadata: &Value, model: &str) -> u64 {
    let queries = metadata.get("webSearchQueries").and_then(Value::as_array).map_or(0, Vec::len);
    let queries = u64::try_from(queries).unwrap_or_default();
    match super::thinking::version(model) {
        Some(3..) => queries,
        _ => queries.min(1),
    }
}
