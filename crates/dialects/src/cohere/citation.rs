//! Citations: where in the answer, and what it rests on.
//!
//! Cohere tells a place in the answer with all its sources. The canonical conversation keeps citations in Anthropic's
//! form, one a source, and the place in the answer beside them as `start_index` and `end_index`. A document of the
//! request that has no id of its own is named after its place (`doc:0`), which is Anthropic's `document_index`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::documents;

/// How a document is named that has no name of its own.
const NAMED: &str = "doc:";

/// A citation as it comes.
#[derive(Deserialize)]
pub(super) struct CitationIn {
    #[serde(default)]
    start: u64,
    #[serde(default)]
    end: u64,
    #[serde(default)]
    sources: Vec<SourceIn>,
    /// Which block of the answer's content it is about.
    pub(super) content_index: Option<usize>,
    #[serde(rename = "type")]
    about: Option<String>,
}

#[derive(Deserialize)]
struct SourceIn {
    #[serde(default)]
    id: String,
    document: Option<Value>,
    tool_output: Option<Value>,
}

/// A citation as it goes.
#[derive(Debug, Serialize)]
pub(super) struct CitationOut {
    start: u64,
    end: u64,
    text: String,
    sources: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<usize>,
    #[serde(rename = "type")]
    about: &'static str,
}

/// The name of the document with this number.
pub(super) fn document_name(index: usize) -> String {
    format!("{NAMED}{index}")
}

// === impl CitationIn ===

impl CitationIn {
    /// Whether it is about the text of the answer: the thinking and the plan can be cited for too.
    pub(super) fn is_about_text(&self) -> bool {
        self.about.as_deref().is_none_or(|about| about == "TEXT_CONTENT")
    }

    /// The canonical citations, one a source.
    pub(super) fn read(self) -> impl Iterator<Item = Value> {
        let (start, end) = (self.start, self.end);
        self.sources.into_iter().map(move |source| {
            let mut citation = source.read();
            citation.insert("start_index".into(), start.into());
            citation.insert("end_index".into(), end.into());
            Value::Object(citation)
        })
    }
}

// === impl SourceIn ===

impl SourceIn {
    fn read(self) -> Map<String, Value> {
        let told = self.document.or(self.tool_output).unwrap_or_default();
        let title = told.get("title").and_then(Value::as_str);
        let text = documents::text(&told);
        let index = self.id.strip_prefix(NAMED).and_then(|index| index.parse::<u64>().ok());
        let citation = match index {
            Some(index) => json!({
                "type": "char_location",
                "cited_text": text,
                "document_index": index,
                "document_title": title,
                "start_char_index": 0,
                "end_char_index": text.chars().count(),
            }),
            None => json!({
                "type": "search_result_location",
                "cited_text": text,
                "source": self.id,
                "title": title,
                "search_result_index": 0,
                "start_block_index": 0,
                "end_block_index": 1,
            }),
        };
        match citation {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

/// The citations of a text as the wire has them; those of one place are one. A citation that tells no place in the text
/// is about all of it.
pub(super) fn written(citations: &[Value], text: &str, content_index: Option<usize>) -> Vec<CitationOut> {
    let mut out: Vec<CitationOut> = Vec::new();
    if citations.is_empty() {
        return out;
    }
    // Places are counted in characters.
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let place =
        |at: u64| usize::try_from(at).ok().and_then(|at| places.get(at)).unwrap_or(&text.len()).to_owned();
    for citation in citations {
        let at = |key: &str, other: usize| citation.get(key).and_then(Value::as_u64).unwrap_or(other as u64);
        let (start, end) = (at("start_index", 0), at("end_index", places.len() - 1));
        let source = source(citation);
        match out.last_mut() {
            Some(last) if (last.start, last.end) == (start, end) => last.sources.push(source),
            _ => out.push(CitationOut {
                start,
                end,
                text: text.get(place(start)..place(end)).unwrap_or_default().to_owned(),
                sources: vec![source],
                content_index,
                about: "TEXT_CONTENT",
            }),
        }
    }
    out
}

/// What a canonical citation rests on, as a document.
fn source(citation: &Value) -> Value {
    let word = |key: &str| citation.get(key).and_then(Value::as_str);
    let id = match (word("source").or_else(|| word("url")), citation.get("document_index")) {
        (Some(source), _) => source.to_owned(),
        (None, Some(index)) => format!("{NAMED}{index}"),
        (None, None) => String::new(),
    };
    let mut document = Map::new();
    document.insert("id".into(), id.as_str().into());
    if let Some(title) = word("title").or_else(|| word("document_title")) {
        document.insert("title".into(), title.into());
    }
    document.insert("text".into(), word("cited_text").unwrap_or_default().into());
    json!({"type": "document", "id": id, "document": document})
}
