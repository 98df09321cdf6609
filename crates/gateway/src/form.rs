//! A client's multipart form: read whole, within limits, and what is asked of the gateway lifted out of it.

use bytes::Bytes;
use futures_util::stream;
use gatewright_core::{Error, ErrorKind, Form, FormField, Json, JsonLimits, Result};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

/// The most fields of one form.
const MOST_FIELDS: usize = 256;

/// The form that a body is.
pub(crate) async fn read(body: Bytes, headers: &HeaderMap) -> Result<Form> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let boundary =
        multer::parse_boundary(kind).map_err(|_| broken("the request's body must be a multipart form"))?;
    let whole = stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut parts = multer::Multipart::new(whole, boundary);
    let mut form = Form::default();
    while let Some(part) = parts.next_field().await.map_err(unreadable)? {
        if form.fields.len() == MOST_FIELDS {
            return Err(broken("the form has too many fields"));
        }
        let Some(name) = part.name().map(str::to_owned) else {
            return Err(broken("a field of the form has no name"));
        };
        let file_name = part.file_name().map(str::to_owned);
        let content_type = part.content_type().map(ToString::to_string);
        let data = part.bytes().await.map_err(unreadable)?;
        form.fields.push(FormField { name, file_name, content_type, data });
    }
    Ok(form)
}

/// The fields that are no files as a JSON object, so that they are read as every request is. What is no JSON is a text,
/// and of several fields of one name the first counts.
pub(crate) fn as_json(form: &Form) -> Result<Json> {
    let mut object: Map<String, Value> = Map::new();
    for field in form.fields.iter().filter(|field| field.file_name.is_none()) {
        let Ok(text) = std::str::from_utf8(&field.data) else { continue };
        let value = match field.name.as_str() {
            // Names stay names, whatever they look like.
            "model" | "user" | "prompt" => Value::from(text),
            _ => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        };
        object.entry(field.name.clone()).or_insert(value);
    }
    Json::parse(Value::Object(object).to_string().into(), JsonLimits::default())
}

fn unreadable(err: multer::Error) -> Error {
    broken("the request's multipart form cannot be read").with_detail(err.to_string())
}

fn broken(words: &'static str) -> Error {
    Error::new(ErrorKind::InvalidRequest, words)
}
