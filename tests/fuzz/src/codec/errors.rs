//! Error answers: whatever an upstream says, the client's error is well formed.

use gatewright_core::{Codec, Error};
use gatewright_dialects::of;
use gatewright_dialects::sse::Splitter;
use http::StatusCode;

use super::{ALL, is_json, show};

/// Checks one input.
pub(super) fn check(codec: &dyn Codec, data: &[u8]) {
    for status in [StatusCode::BAD_REQUEST, StatusCode::TOO_MANY_REQUESTS, StatusCode::BAD_GATEWAY, StatusCode::OK] {
        let fault = codec.decode_error(status, data);
        let mut error = Error::new(fault.kind, fault.message).with_status(status);
        if let Some(word) = fault.wire_type {
            error = error.with_type(word);
        }
        if let Some(code) = fault.code {
            error = error.with_code(code);
        }
        if let Some(param) = fault.param {
            error = error.with_param(param);
        }
        ALL.into_iter().for_each(|dialect| write(of(dialect), &error));
    }
}

fn write(codec: &dyn Codec, error: &Error) {
    let body = codec.encode_error(error);
    assert!(is_json(&body), "{}", show(&body));
    let told = codec.encode_error_event(error);
    let mut splitter = Splitter::new(usize::MAX >> 1);
    let mut count = 0;
    let fed = splitter.feed(&told, &mut |event| {
        assert!(is_json(event.data) || event.data == b"[DONE]", "{}", show(&told));
        count += 1;
        Ok(())
    });
    assert!(fed.is_ok() && count > 0, "{}", show(&told));
}
