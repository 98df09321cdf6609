//! Helicone, by its logging API: <https://docs.helicone.ai/getting-started/integration-method/manual-logger-curl>.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gatewright_core::Secret;
use http::Uri;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::post::{Line, address, secret};
use super::when::split;
use crate::{Delivered, Parcel, Sink, Undelivered};

/// Logs every record in a request of its own: the API takes no batches.
pub struct Helicone {
    name: String,
    uri: Uri,
    authorization: (HeaderName, HeaderValue),
    line: Line,
}

/// What the API wants to be told in place of the provider's address.
const CUSTOM: &str = "custom-model-nopath";

// === impl Helicone ===

impl Helicone {
    /// `https://api.helicone.ai`, LiteLLM's default.
    pub const BASE: &str = "https://api.helicone.ai";

    /// Logs there, with this key.
    pub fn new(name: impl Into<String>, base: &str, key: &Secret, line: Line) -> Result<Self, String> {
        let authorization = secret(AUTHORIZATION, &format!("Bearer {}", key.reveal()).into())?;
        Ok(Self { name: name.into(), uri: address(base, "/custom/v1/log")?, authorization, line })
    }
}

impl Sink for Helicone {
    fn name(&self) -> &str {
        &self.name
    }

    fn most_parcels(&self) -> usize {
        1
    }

    fn deliver<'a>(&'a self, parcels: &'a [Parcel]) -> BoxFuture<'a, Result<Delivered, Undelivered>> {
        let body: String = parcels.iter().map(|parcel| logged(parcel).to_string()).collect();
        let request = self.line.post(&self.uri, std::slice::from_ref(&self.authorization), body);
        self.line.send(request).map(|answer| answer.map(|_| Delivered::default())).boxed()
    }
}

fn logged(parcel: &Parcel) -> Value {
    let mut request =
        parcel.value("model_parameters").and_then(Value::as_object).cloned().unwrap_or_default();
    request.insert("model".into(), parcel.value("model").cloned().unwrap_or_default());
    request.insert("messages".into(), parcel.value("messages").cloned().unwrap_or_default());
    let error = |name: &str| parcel.value("error_information").and_then(|error| error.get(name)?.as_str());
    let status: u16 = error("error_code").and_then(|code| code.parse().ok()).unwrap_or(200);
    let response = match parcel.succeeded() {
        true => parcel.value("response").cloned().unwrap_or_else(|| json!({})),
        false => json!({"error": {"message": parcel.value("error_str"), "type": error("error_class")}}),
    };
    json!({
        "providerRequest": {"url": CUSTOM, "json": request, "meta": meta(parcel)},
        "providerResponse": {"json": response, "status": status, "headers": {}},
        "timing": {"startTime": time(parcel, "startTime"), "endTime": time(parcel, "endTime")},
    })
}

/// Headers that a request through Helicone would have: who it is for, its id, so that one that comes twice can be told,
/// and what the client notes for Helicone.
fn meta(parcel: &Parcel) -> Value {
    let mut meta = Map::new();
    meta.insert("Helicone-Request-Id".into(), parcel.id().into());
    let user = parcel.value("end_user").or_else(|| parcel.metadata("user_api_key_user_id"));
    meta.extend(user.map(|user| ("Helicone-User-Id".to_owned(), user.clone())));
    let noted = parcel.metadata("requester_metadata").and_then(Value::as_object).into_iter().flatten();
    let for_helicone =
        noted.filter(|(name, value)| name.to_ascii_lowercase().starts_with("helicone-") && value.is_string());
    meta.extend(for_helicone.map(|(name, value)| (name.clone(), value.clone())));
    Value::Object(meta)
}

fn time(parcel: &Parcel, field: &str) -> Value {
    let (seconds, micros) = split(parcel.seconds(field));
    json!({"seconds": seconds, "milliseconds": micros / 1000})
}
