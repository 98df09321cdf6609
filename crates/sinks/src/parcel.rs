//! A record as it is sent: LiteLLM's standard logging payload.

use serde_json::{Map, Value};

/// A record as it is sent: the fields of LiteLLM's standard logging payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Parcel {
    fields: Map<String, Value>,
    bytes: usize,
}

// === impl Parcel ===

impl Parcel {
    /// One with these fields.
    pub fn new(fields: Map<String, Value>) -> Self {
        let bytes = serde_json::to_string(&fields).unwrap_or_default().len();
        Self { fields, bytes }
    }

    /// Reads what [`Self::to_line`] wrote; `None` where it is something else.
    pub fn from_line(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().map(|fields| Self { fields, bytes: line.len() })
    }

    /// It as JSON on one line, without its end.
    pub fn to_line(&self) -> String {
        serde_json::to_string(&self.fields).unwrap_or_default()
    }

    /// How long its JSON is.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All its fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// Names the call. It is the same however often the parcel comes.
    pub fn id(&self) -> &str {
        self.text("litellm_call_id").unwrap_or_default()
    }

    /// Whether the call succeeded.
    pub fn succeeded(&self) -> bool {
        self.text("status") == Some("success")
    }

    /// A field that holds a text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str()
    }

    /// A field that is there and not `null`.
    pub fn value(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// A field of its `metadata` that is there and not `null`.
    pub fn metadata(&self, field: &str) -> Option<&Value> {
        self.fields.get("metadata")?.get(field).filter(|value| !value.is_null())
    }

    /// What the client noted with its request, where it is there and not `null`.
    pub fn noted(&self, field: &str) -> Option<&Value> {
        self.metadata("requester_metadata")?.get(field).filter(|value| !value.is_null())
    }

    /// A field that holds seconds since the Unix epoch.
    pub fn seconds(&self, field: &str) -> f64 {
        self.fields.get(field).and_then(Value::as_f64).unwrap_or_default()
    }
}
