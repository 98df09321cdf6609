//! `/utils/token_counter`: how many tokens a conversation has for a model, by whoever counts it best.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use gatewright_auth::Peer;
use gatewright_core::{CallService, Dialect, Error, ErrorKind, Operation, Result};
use http::header::CONTENT_LENGTH;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Map, Value, json};

use crate::llm::{Streams, Way};
use crate::{Gateway, intake, llm, respond};

/// How the answer was counted, in a header of the inner answer.
const COUNTED: &str = "x-gatewright-token-count";

/// Answers one request.
pub(crate) async fn answer<S: CallService>(
    gateway: &Arc<Gateway<S>>,
    peer: Peer,
    request: Request<Body>,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let settings = &gateway.settings;
    let asked = intake::read(body, &parts.headers, settings.max_body_bytes, settings.body_idle).await;
    let (model, conversation) = match asked.and_then(|bytes| conversation(&bytes)) {
        Ok(asked) => asked,
        Err(err) => {
            let codec = gatewright_dialects::of(Dialect::OpenAiChat);
            let name = crate::call_name::told(None, gatewright_core::CallId::fresh());
            return respond::error(&err, codec, name);
        }
    };
    parts.headers.remove(CONTENT_LENGTH);
    let way = Way {
        operation: Operation::CountTokens,
        dialect: Dialect::OpenAiChat,
        model: None,
        streams: Streams::Never,
        peer,
    };
    let inner = Request::from_parts(parts, Full::new(conversation));
    told(llm::answer(gateway, way, inner).await, &model).await
}

/// The model, and the request as a conversation: LiteLLM takes messages, a prompt, or Gemini's contents.
fn conversation(bytes: &Bytes) -> Result<(String, Bytes)> {
    let mut asked: Map<String, Value> = serde_json::from_slice(bytes)
        .map_err(|err| Error::new(ErrorKind::InvalidRequest, format!("invalid JSON body: {err}")))?;
    let model = asked.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
    let text = |text: String| json!([{"role": "user", "content": text}]);
    let messages = match (asked.remove("messages"), asked.remove("prompt"), asked.remove("contents")) {
        (Some(messages @ Value::Array(_)), _, _) => messages,
        (_, Some(Value::String(prompt)), _) => text(prompt),
        (_, _, Some(contents)) => text(said(&contents)),
        _ => {
            return Err(Error::new(
                ErrorKind::InvalidRequest,
                "prompt or messages or contents must be provided",
            ));
        }
    };
    asked.insert("messages".to_owned(), messages);
    Ok((model, Value::Object(asked).to_string().into()))
}

/// All texts of Gemini's contents.
fn said(contents: &Value) -> String {
    let parts =
        contents.as_array().into_iter().flatten().filter_map(|content| content["parts"].as_array()).flatten();
    parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
}

/// The count in LiteLLM's form.
async fn told(inner: Response, model: &str) -> Response {
    if inner.status() != StatusCode::OK {
        return inner;
    }
    let (parts, body) = inner.into_parts();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let used = header("x-litellm-model-name").unwrap_or(model).to_owned();
    let tokenizer = match header(COUNTED) {
        Some("exact") => "openai_tokenizer".to_owned(),
        Some(_) => "estimate".to_owned(),
        None => format!("{}_api", used.split('/').next().unwrap_or_default()),
    };
    let source = if header(COUNTED).is_some() { "local_estimate" } else { "provider_api" };
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let counted: Value = serde_json::from_slice(&body).unwrap_or_default();
    let total =
        ["input_tokens", "totalTokens", "inputTokens"].iter().find_map(|field| counted[field].as_u64());
    let used = used.split_once('/').map_or(used.as_str(), |(_, model)| model);
    respond::json(
        StatusCode::OK,
        &json!({
            "total_tokens": total, "request_model": model, "model_used": used, "tokenizer_type": tokenizer,
            "count_source": source, "original_response": (source == "provider_api").then_some(&counted),
            "error": false, "error_message": null, "status_code": null,
        }),
    )
}
