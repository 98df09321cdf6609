//! Errors, read from an upstream and written for a client.

use gatewright_core::{Error, ErrorKind};
use http::StatusCode;
use serde_json::{Value, json};

use super::codec;

fn body(kind: &str, message: &str) -> String {
    json!({ "type": "error", "error": { "type": kind, "message": message } }).to_string()
}

#[test]
fn every_failure_of_an_upstream_has_its_kind() {
    let invalid = |message: &str| body("invalid_request_error", message);
    for (status, body, kind) in [
        (400, invalid("bad"), ErrorKind::InvalidRequest),
        (400, invalid("prompt is too long: 200001 tokens > 200000 maximum"), ErrorKind::ContextWindow),
        (
            400,
            invalid("input length and `max_tokens` exceed context limit: 1 + 2 > 2"),
            ErrorKind::ContextWindow,
        ),
        (400, invalid("Output blocked by content filtering policy"), ErrorKind::ContentPolicy),
        (400, invalid("Your credit balance is too low to access the API"), ErrorKind::PaymentRequired),
        (401, body("authentication_error", "invalid x-api-key"), ErrorKind::UpstreamAuth),
        (402, body("billing_error", "pay"), ErrorKind::PaymentRequired),
        (403, body("permission_error", "no"), ErrorKind::UpstreamForbidden),
        (404, body("not_found_error", "model: x"), ErrorKind::NotFound),
        (413, body("request_too_large", "big"), ErrorKind::TooLarge),
        (413, body("request_too_large", "Prompt is too long"), ErrorKind::ContextWindow),
        (422, invalid("odd"), ErrorKind::Unprocessable),
        (429, body("rate_limit_error", "slow"), ErrorKind::RateLimited),
        (429, body("rate_limit_error", "this would exceed context limit"), ErrorKind::RateLimited),
        (500, body("api_error", "oops"), ErrorKind::Upstream),
        (500, body("overloaded_error", "Overloaded"), ErrorKind::Unavailable),
        (502, body("api_error", "oops"), ErrorKind::BadGateway),
        (503, String::new(), ErrorKind::Unavailable),
        (504, body("timeout_error", "late"), ErrorKind::Timeout),
        (408, String::new(), ErrorKind::Timeout),
        (504, String::new(), ErrorKind::Timeout),
        (529, body("overloaded_error", "Overloaded"), ErrorKind::Unavailable),
        (529, "<html>busy</html>".to_owned(), ErrorKind::Unavailable),
        (418, String::new(), ErrorKind::InvalidRequest),
        (599, String::new(), ErrorKind::Upstream),
    ] {
        let fault = codec().decode_error(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert_eq!(fault.kind, kind, "{status} {body}");
    }
}

#[test]
fn the_providers_words_are_found_whatever_the_body_is() {
    let page = "<html>".to_owned() + &"x".repeat(10_000);
    for (body, message, wire_type) in [
        (body("api_error", "oops").as_str(), "oops", Some("api_error")),
        (r#"{"error":"plain"}"#, "plain", None),
        (r#"{"message":"gateway"}"#, "gateway", None),
        (r#"{"detail":"fast"}"#, "fast", None),
        ("", "the provider answered 500 without a message", None),
        (&page, &page[..500], None),
    ] {
        let fault = codec().decode_error(StatusCode::INTERNAL_SERVER_ERROR, body.as_bytes());
        assert_eq!((fault.message.as_str(), fault.wire_type.as_deref()), (message, wire_type), "{body}");
    }
    let body = br#"{"error":{"type":"t","message":"m","code":5,"param":"p"}}"#;
    let fault = codec().decode_error(StatusCode::BAD_REQUEST, body);
    assert_eq!((fault.code.as_deref(), fault.param.as_deref()), (Some("5"), Some("p")));
}

#[test]
fn a_client_reads_errors_in_its_own_words() {
    for kind in ErrorKind::ALL {
        let error = Error::new(*kind, "why \"so\"").with_type("of_another_dialect");
        let body: Value = serde_json::from_slice(&codec().encode_error(&error)).unwrap();
        let want = json!({ "type": "error",
                           "error": { "type": kind.anthropic_type(), "message": "why \"so\"" } });
        assert_eq!(body, want);
    }
    let error = Error::new(ErrorKind::Upstream, "busy").with_type("overloaded_error");
    let event = codec().encode_error_event(&error);
    let want = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n";
    assert_eq!(event, want);
}

#[test]
fn the_providers_request_id_is_passed_on() {
    let headers = [("request-id".parse().unwrap(), "req_1".parse().unwrap())].into_iter().collect();
    let error = Error::new(ErrorKind::Upstream, "busy").with_headers(headers);
    let body: Value = serde_json::from_slice(&codec().encode_error(&error)).unwrap();
    assert_eq!(body["request_id"], "req_1");
}
