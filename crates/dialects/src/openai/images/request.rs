//! Requests for pictures: JSON, or a form with files.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gatewright_core::chat::Extra;
use gatewright_core::{Body, Error, ErrorKind, Form, FormField, ImageRequest, InputImage, Result};
use serde_json::Value;

/// How many pictures one call may want, as OpenAI has it.
const MOST: u64 = 10;

/// What the gateway reads itself.
const OF_THE_GATEWAY: [&str; 2] = ["model", "stream"];

/// Reads a client's request.
pub(super) fn read(body: &Body) -> Result<ImageRequest> {
    let mut fields = match body {
        Body::Json(json) => serde_json::from_slice(&json.to_bytes())
            .map_err(|err| wrong("prompt", &gatewright_core::body::in_words(&err)))?,
        Body::Form(form) => texts(form),
        Body::Opaque(_) => Extra::new(),
    };
    let form = body.form();
    let files = |wanted: &'static str| {
        let fields = form.into_iter().flat_map(|form| &form.fields);
        fields.filter(move |field| {
            field.file_name.is_some() && field.name.strip_suffix("[]").unwrap_or(&field.name) == wanted
        })
    };
    for name in OF_THE_GATEWAY {
        fields.remove(name);
    }
    let mut fields = Fields(fields);
    let asked = ImageRequest {
        prompt: fields.text("prompt")?.unwrap_or_default(),
        images: files("image").map(uploaded).collect(),
        mask: files("mask").next().map(uploaded),
        n: fields.number("n")?,
        size: fields.text("size")?,
        quality: fields.text("quality")?,
        style: fields.text("style")?,
        background: fields.text("background")?,
        output_format: fields.text("output_format")?,
        output_compression: fields.number("output_compression")?,
        response_format: fields.text("response_format")?,
        user: fields.text("user")?,
        extra: fields.rest(form.is_some()),
    };
    match asked.n {
        Some(n) if !(1..=MOST).contains(&n) => Err(wrong("n", &format!("must be from 1 to {MOST}"))),
        _ => Ok(asked),
    }
}

/// Fields as they are taken one by one.
struct Fields(Extra);

// === impl Fields ===

impl Fields {
    fn text(&mut self, name: &'static str) -> Result<Option<String>> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "must be a string")),
        }
    }

    /// Forms have no numbers: theirs are texts.
    fn number(&mut self, name: &'static str) -> Result<Option<u64>> {
        let number = match self.0.remove(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(value) => value.as_u64(),
        };
        number.map(Some).ok_or_else(|| wrong(name, "must be a whole number"))
    }

    /// What is left, each of a form's texts as the JSON that it may be.
    fn rest(self, of_form: bool) -> Extra {
        let read = |value: Value| match &value {
            Value::String(text) if of_form => serde_json::from_str(text).unwrap_or(value),
            _ => value,
        };
        let told = self.0.into_iter().filter(|(_, value)| !value.is_null());
        told.map(|(name, value)| (name, read(value))).collect()
    }
}

/// The fields of a form that are no files; of several of one name the first counts.
fn texts(form: &Form) -> Extra {
    let mut fields = Extra::new();
    for field in form.fields.iter().filter(|field| field.file_name.is_none()) {
        let text = String::from_utf8_lossy(&field.data).into_owned();
        fields.entry(field.name.clone()).or_insert(Value::String(text));
    }
    fields
}

fn uploaded(file: &FormField) -> InputImage {
    let told = file.content_type.as_deref().filter(|kind| kind.starts_with("image/"));
    InputImage {
        media_type: told.unwrap_or_else(|| looks_like(&file.data)).to_owned(),
        data: STANDARD.encode(&file.data),
    }
}

/// What kind of picture begins like this, where the client does not say: OpenAI takes these three.
fn looks_like(data: &[u8]) -> &'static str {
    match data {
        [0xff, 0xd8, ..] => "image/jpeg",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ => "image/png",
    }
}

fn wrong(field: &'static str, why: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("invalid value for '{field}': {why}")).with_param(field)
}
