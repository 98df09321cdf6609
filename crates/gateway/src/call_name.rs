//! What a call is called in headers and logs: as its client says, else by its id.

use std::str;

use gatewright_core::CallId;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

pub(crate) const CALL_ID: HeaderName = HeaderName::from_static("x-litellm-call-id");

/// The longest name that is taken.
const LONGEST: usize = 256;

/// The client's own name for its call, where it can be told: a longer one, and one with spaces or control characters, is
/// none.
pub(crate) fn said(headers: &HeaderMap) -> Option<HeaderValue> {
    let name = headers.get(CALL_ID)?;
    let bytes = name.as_bytes();
    ((1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)).then(|| name.clone())
}

/// The name that is told of a call.
pub(crate) fn told(said: Option<HeaderValue>, id: CallId) -> HeaderValue {
    said.or_else(|| HeaderValue::from_str(&id.to_string()).ok())
        .unwrap_or_else(|| HeaderValue::from_static("-"))
}

/// The id that a name is, where it has the form of one. Entries of the ledger have ids of their own.
pub(crate) fn id(said: Option<&HeaderValue>) -> Option<CallId> {
    str::from_utf8(said?.as_bytes()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_that_can_stand_in_a_header_and_a_line_of_a_log() {
        let long = "x".repeat(257);
        for (name, taken) in
            [("mine-1", true), (&long[1..], true), (&long, false), ("two words", false), ("ü", false)]
        {
            let headers =
                HeaderMap::from_iter([(CALL_ID, HeaderValue::from_bytes(name.as_bytes()).unwrap())]);
            assert_eq!(said(&headers).is_some(), taken, "{name}");
        }
        assert_eq!(said(&HeaderMap::new()), None);
        let uuid = HeaderValue::from_static("0198c0de-0000-4000-8000-00000000c0de");
        assert_eq!(id(Some(&uuid)).unwrap().to_string(), uuid);
        assert_eq!((id(None), id(Some(&HeaderValue::from_static("mine")))), (None, None));
    }
}
