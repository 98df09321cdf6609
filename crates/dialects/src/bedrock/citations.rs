//! Citations between Converse's form and Anthropic's, which the canonical conversation uses.

use serde_json::{Map, Value, json};

/// A place in a document: Converse's name, Anthropic's name, and Anthropic's names for which document, start and end.
const PLACES: [(&str, &str, [&str; 3]); 4] = [
    ("documentChar", "char_location", ["document_index", "start_char_index", "end_char_index"]),
    ("documentPage", "page_location", ["document_index", "start_page_number", "end_page_number"]),
    ("documentChunk", "content_block_location", ["document_index", "start_block_index", "end_block_index"]),
    (
        "searchResultLocation",
        "search_result_location",
        ["search_result_index", "start_block_index", "end_block_index"],
    ),
];

/// Anthropic's name for a page of the web.
const WEB: &str = "web_search_result_location";

/// Reads one; `None` where it says no place that is known.
pub(super) fn citation(wire: &Value) -> Option<Value> {
    let location = wire.get("location")?;
    let cited: String = wire
        .get("sourceContent")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|piece| piece.get("text")?.as_str())
        .collect();
    let title = wire.get("title").cloned().unwrap_or_default();
    if let Some(url) = location.pointer("/web/url") {
        return Some(json!({ "type": WEB, "cited_text": cited, "url": url, "title": title }));
    }
    let (place, (_, kind, names)) = PLACES.iter().find_map(|known| Some((location.get(known.0)?, known)))?;
    let mut out = Map::new();
    out.insert("type".to_owned(), (*kind).into());
    out.insert("cited_text".to_owned(), cited.into());
    for (name, value) in names.iter().zip([index_of(place), place.get("start"), place.get("end")]) {
        out.insert((*name).to_owned(), value.cloned().unwrap_or_default());
    }
    match wire.get("source").filter(|_| *kind == "search_result_location") {
        Some(source) => {
            out.insert("source".to_owned(), source.clone());
            out.insert("title".to_owned(), title);
        }
        None => drop(out.insert("document_title".to_owned(), title)),
    }
    Some(Value::Object(out))
}

/// Writes one; `None` for a kind that Converse does not know.
pub(super) fn wire(citation: &Value) -> Option<Value> {
    let text = |name: &str| citation.get(name).filter(|value| value.is_string());
    let kind = text("type")?;
    let location = match PLACES.iter().find(|(_, known, _)| kind == known) {
        Some((name, _, [index, start, end])) => {
            let number = |name: &str| citation.get(name).cloned().unwrap_or_default();
            let which = match *name {
                "searchResultLocation" => "searchResultIndex",
                _ => "documentIndex",
            };
            json!({ *name: { which: number(index), "start": number(start), "end": number(end) } })
        }
        None if kind == WEB => json!({ "web": { "url": text("url")? } }),
        None => return None,
    };
    let mut out = Map::new();
    if let Some(title) = text("title").or_else(|| text("document_title")) {
        out.insert("title".to_owned(), title.clone());
    }
    if let Some(source) = text("source") {
        out.insert("source".to_owned(), source.clone());
    }
    if let Some(cited) = text("cited_text") {
        out.insert("sourceContent".to_owned(), json!([{ "text": cited }]));
    }
    out.insert("location".to_owned(), location);
    Some(Value::Object(out))
}

fn index_of(place: &Value) -> Option<&Value> {
    place.get("documentIndex").or_else(|| place.get("searchResultIndex"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_read_as_it_is_written() {
        for citation in [
            json!({ "type": "char_location", "cited_text": "c", "document_index": 0, "start_char_index": 1,
                    "end_char_index": 2, "document_title": "t" }),
            json!({ "type": "page_location", "cited_text": "c", "document_index": 0, "start_page_number": 1,
                    "end_page_number": 2, "document_title": "t" }),
            json!({ "type": "content_block_location", "cited_text": "c", "document_index": 0, "start_block_index": 1,
                    "end_block_index": 2, "document_title": "t" }),
            json!({ "type": "search_result_location", "cited_text": "c", "search_result_index": 0,
                    "start_block_index": 1, "end_block_index": 2, "source": "s", "title": "t" }),
            json!({ "type": WEB, "cited_text": "c", "url": "https://x", "title": "t" }),
        ] {
            assert_eq!(super::citation(&wire(&citation).unwrap()), Some(citation));
        }
        assert_eq!(wire(&json!({ "type": "url_citation" })), None);
    }
}
