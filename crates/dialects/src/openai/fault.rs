//! Errors: what a provider's answer means, and how a client of this dialect reads ours.

use bytes::Bytes;
use gatewright_core::{Error, ErrorKind, UpstreamFault};
use http::StatusCode;
use serde_json::{Value, json};

/// Words that mean a conversation longer than the model takes, in lower case.
const TOO_LONG: &[&str] = &[
    "context_length_exceeded",
    "exceed_context_size",
    "too_many_prompt_tokens",
    "exceed context limit",
    "maximum context length",
    "maximum context limit",
    "max context length",
    "context length exceeded",
    "exceeds the context window",
    "exceeds the model's maximum context",
    "longer than the model's context length",
    "expected a string with maximum length",
    "input tokens exceed the configured limit",
    "`inputs` tokens + `max_new_tokens` must be",
    "exceeds the available context size",
    "exceeds the maximum number of tokens allowed",
    "prompt is too long",
    "maximum input length is",
    "input is too long",
    "input too long",
];

/// Words that look like the above and are not.
const NOT_TOO_LONG: &[&str] = &["string_above_max_length", "invalid 'user'"];

/// Words that mean that the provider refuses the content.
const POLICY: &[&str] = &[
    "content_policy_violation",
    "content_filter",
    "responsibleaipolicyviolation",
    "violating our usage policy",
    "rejected as a result of our safety system",
    "rejected as a result of the safety system",
    "failed as a result of our safety system",
    "the model produced invalid content",
    "content filtering policy",
    "content management policy",
];

/// How much of a body that is not JSON a client is told.
const LONGEST_TEXT: usize = 2000;

/// Reads an error answer, whatever its body is.
pub(super) fn read(status: StatusCode, body: &[u8]) -> UpstreamFault {
    let parsed = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Array(mut items)) if !items.is_empty() => items.swap_remove(0),
        Ok(value) => value,
        Err(_) => Value::Null,
    };
    let inner = match parsed.get("error") {
        Some(error) if !error.is_null() => error,
        // IBM lists what is wrong.
        _ => parsed.get("errors").and_then(|errors| errors.get(0)).unwrap_or(&parsed),
    };
    let message = words(inner).unwrap_or_else(|| plain(status, body));
    let text = String::from_utf8_lossy(body).to_lowercase();
    UpstreamFault {
        kind: kind(status, &text),
        message,
        wire_type: name(inner.get("type")),
        code: name(inner.get("code")),
        param: inner.get("param").and_then(Value::as_str).map(str::to_owned),
    }
}

/// An error that came inside a 200 answer: an object, or a whole event.
pub(super) fn inside(body: &[u8]) -> Error {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let status = stated_status(parsed.get("error").filter(|e| e.is_object()).unwrap_or(&parsed));
    let fault = read(status, body);
    let mut error = Error::new(fault.kind, fault.message);
    if let Some(wire_type) = fault.wire_type {
        error = error.with_type(wire_type);
    }
    if let Some(code) = fault.code {
        error = error.with_code(code);
    }
    if let Some(param) = fault.param {
        error = error.with_param(param);
    }
    error
}

/// The body of an error answer.
pub(super) fn write(error: &Error) -> Bytes {
    let kind = error.kind();
    let code = error.code().map_or_else(|| error.status().as_str().to_owned(), str::to_owned);
    let body = json!({"error": {
        "message": error.message(),
        "type": error.wire_type().unwrap_or(kind.openai_type()),
        "param": error.param(),
        "code": code,
    }});
    body.to_string().into()
}

/// The status that an error inside a 200 answer gives itself, or the one that its words stand for.
fn stated_status(error: &Value) -> StatusCode {
    let number = |key: &str| {
        let value = error.get(key)?;
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    };
    let stated = ["status_code", "code", "raw_status_code", "status"]
        .into_iter()
        .filter_map(number)
        .filter_map(|n| StatusCode::from_u16(u16::try_from(n).ok()?).ok())
        .find(|status| status.as_u16() >= 400);
    let by_name = || {
        let names = [error.get("type"), error.get("code")];
        let has = |word: &str| names.iter().flatten().filter_map(|v| v.as_str()).any(|n| n.contains(word));
        match () {
            () if has("rate_limit") || has("insufficient_quota") => StatusCode::TOO_MANY_REQUESTS,
            () if has("overloaded") || has("unavailable") => StatusCode::SERVICE_UNAVAILABLE,
            () if has("authentication") => StatusCode::UNAUTHORIZED,
            () if has("invalid_request") || has("BadRequest") => StatusCode::BAD_REQUEST,
            () => StatusCode::INTERNAL_SERVER_ERROR,
        }
    };
    stated.unwrap_or_else(by_name)
}

fn kind(status: StatusCode, text: &str) -> ErrorKind {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let at_fault = !matches!(status.as_u16(), 401..=404 | 408 | 429);
    if at_fault && says(TOO_LONG) && !says(NOT_TOO_LONG) {
        return ErrorKind::ContextWindow;
    }
    if matches!(status.as_u16(), 400 | 403 | 422) && says(POLICY) {
        return ErrorKind::ContentPolicy;
    }
    if status == StatusCode::BAD_REQUEST && says(&["model_not_found", "deploymentnotfound"]) {
        return ErrorKind::NotFound;
    }
    if at_fault && says(&["rate_limit_exceeded", "service tier capacity exceeded", "token_quota_reached"]) {
        return ErrorKind::RateLimited;
    }
    if status == StatusCode::TOO_MANY_REQUESTS && says(&["insufficient_quota"]) {
        return ErrorKind::QuotaExhausted;
    }
    by_status(status)
}

fn by_status(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        401 => ErrorKind::UpstreamAuth,
        402 => ErrorKind::PaymentRequired,
        403 => ErrorKind::UpstreamForbidden,
        404 => ErrorKind::NotFound,
        408 | 504 | 524 => ErrorKind::Timeout,
        413 => ErrorKind::TooLarge,
        422 => ErrorKind::Unprocessable,
        429 => ErrorKind::RateLimited,
        502 => ErrorKind::BadGateway,
        503 | 529 => ErrorKind::Unavailable,
        400..=499 => ErrorKind::InvalidRequest,
        500.. => ErrorKind::Upstream,
        _ => ErrorKind::BadGateway,
    }
}

fn words(error: &Value) -> Option<String> {
    if let Value::String(text) = error {
        return Some(text.clone());
    }
    ["message", "detail", "error_message", "msg"].into_iter().filter_map(|key| error.get(key)).find_map(
        |value| match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        },
    )
}

/// The message of an answer that says nothing in JSON. A page for a browser is no message.
fn plain(status: StatusCode, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() || text.starts_with('<') {
        return status.canonical_reason().unwrap_or("the upstream failed").to_owned();
    }
    text.chars().take(LONGEST_TEXT).collect()
}

fn name(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_body_is_read() {
        use ErrorKind::*;
        let context = r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","code":"context_length_exceeded"}}"#;
        let azure = r#"{"error":{"message":"The response was filtered","code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#;
        for (status, body, want, message) in [
            (400, context, ContextWindow, "This model's maximum context length is 8192 tokens."),
            (400, azure, ContentPolicy, "The response was filtered"),
            (400, r#"{"error":{"message":"bad","code":"content_policy_violation"}}"#, ContentPolicy, "bad"),
            (
                400,
                r#"{"error":{"message":"Invalid 'user': string too long. Expected a string with maximum length 64","code":"string_above_max_length"}}"#,
                InvalidRequest,
                "Invalid 'user': string too long. Expected a string with maximum length 64",
            ),
            (
                400,
                r#"{"error":{"code":400,"message":"request (9 tokens) exceeds the available context size (5 tokens)"}}"#,
                ContextWindow,
                "request (9 tokens) exceeds the available context size (5 tokens)",
            ),
            (400, r#"{"object":"error","message":"no","code":"3051"}"#, InvalidRequest, "no"),
            (
                400,
                r#"{"errors":[{"code":"json_validation_error","message":"not so"}],"trace":"f9","status_code":400}"#,
                InvalidRequest,
                "not so",
            ),
            (
                401,
                r#"{"error":{"message":"Incorrect API key","type":"invalid_request_error"}}"#,
                UpstreamAuth,
                "Incorrect API key",
            ),
            (402, r#"{"error":{"message":"Insufficient Balance"}}"#, PaymentRequired, "Insufficient Balance"),
            (403, r#"{"error":"forbidden"}"#, UpstreamForbidden, "forbidden"),
            (404, r#"{"detail":"Not Found"}"#, NotFound, "Not Found"),
            (413, "", TooLarge, "Payload Too Large"),
            (
                422,
                r#"{"detail":[{"loc":["body"],"msg":"x"}]}"#,
                Unprocessable,
                r#"[{"loc":["body"],"msg":"x"}]"#,
            ),
            (429, r#"[{"error":{"message":"slow down"}}]"#, RateLimited, "slow down"),
            (
                429,
                r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                QuotaExhausted,
                "You exceeded your current quota",
            ),
            (500, "<html><h1>oops</h1></html>", Upstream, "Internal Server Error"),
            (502, "<!DOCTYPE html>", BadGateway, "Bad Gateway"),
            (503, "upstream connect error", Unavailable, "upstream connect error"),
            (504, "{", Timeout, "{"),
            (529, r#"{"error":{"message":"busy"}}"#, Unavailable, "busy"),
        ] {
            let fault = read(StatusCode::from_u16(status).unwrap(), body.as_bytes());
            assert_eq!((fault.kind, fault.message.as_str()), (want, message), "{status} {body}");
        }
    }

    #[test]
    fn an_error_inside_a_good_answer_keeps_what_it_says() {
        let error = inside(
            br#"{"error":{"message":"no tool","type":"invalid_request_error","code":"tool_use_failed","status_code":400,"param":"x"}}"#,
        );
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert_eq!((error.code(), error.param()), (Some("tool_use_failed"), Some("x")));
        for (body, want) in [
            (r#"{"error":{"message":"x","type":"server_error"}}"#, ErrorKind::Upstream),
            (r#"{"error":{"message":"x","code":429}}"#, ErrorKind::RateLimited),
            (r#"{"error":{"message":"x","type":"insufficient_quota"}}"#, ErrorKind::QuotaExhausted),
            (r#"{"error":{"message":"x","code":"502"}}"#, ErrorKind::BadGateway),
            (r#"{"error":{"message":"x","type":"overloaded_error"}}"#, ErrorKind::Unavailable),
            (r#"{"error":{"message":"x","code":"rate_limit_exceeded"}}"#, ErrorKind::RateLimited),
        ] {
            assert_eq!(inside(body.as_bytes()).kind(), want, "{body}");
        }
    }

    #[test]
    fn a_client_reads_the_code_as_text() {
        let error = Error::new(ErrorKind::RateLimited, "slow \"down\"");
        assert_eq!(
            write(&error),
            r#"{"error":{"message":"slow \"down\"","type":"throttling_error","param":null,"code":"429"}}"#
        );
        let error =
            Error::new(ErrorKind::InvalidRequest, "x").with_param("messages").with_code("own").with_type("t");
        assert_eq!(write(&error), r#"{"error":{"message":"x","type":"t","param":"messages","code":"own"}}"#);
    }
}
