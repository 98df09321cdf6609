//! One unary call of gRPC as one HTTP exchange: the message framed, its status read from behind the answer.

use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, TE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};

use crate::wire::fields;

/// The method that takes spans.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// A message has a byte in front that says whether it is compressed, and four with its length.
const PREFIX: usize = 5;

/// Senders may leave the padding out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The URL of the method at a receiver.
pub(crate) fn method_at(endpoint: &Uri) -> String {
    format!("{}{EXPORT}", endpoint.to_string().trim_end_matches('/'))
}

/// What stands in front of a message of so many bytes, and the headers that make the request one of gRPC.
pub(crate) fn request(
    (length, is_packed): (usize, bool),
    headers: &mut HeaderMap,
    timeout: Duration,
) -> Bytes {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    if is_packed {
        headers.insert(ENCODING, HeaderValue::from_static("gzip"));
    }
    // No more than eight digits.
    let millis = timeout.as_millis().min(99_999_999);
    headers.extend(HeaderValue::try_from(format!("{millis}m")).ok().map(|value| (TIMEOUT, value)));
    let mut front = vec![u8::from(is_packed)];
    front.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    front.into()
}

/// The answer as OTLP over HTTP would give it: the message, or a status that says whether it may be tried again.
pub(crate) fn response(
    status: StatusCode,
    (headers, trailers): (&HeaderMap, &HeaderMap),
    body: &Bytes,
) -> http::Response<Bytes> {
    // What is no answer of gRPC comes from something in between, which speaks HTTP.
    if status != StatusCode::OK {
        return plain(status, Bytes::new());
    }
    let field = |name: &HeaderName| trailers.get(name).or_else(|| headers.get(name));
    let code = field(&STATUS).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    let delay = || field(&DETAILS).and_then(|value| retry_delay(&LENIENT.decode(value.as_bytes()).ok()?));
    match code {
        Some(0) => plain(StatusCode::OK, message(body)),
        // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
        Some(1 | 4 | 10 | 11 | 14 | 15) => again(delay()),
        // Exhausted, which passes only where the receiver says when.
        Some(8) => {
            delay().map_or_else(|| plain(StatusCode::BAD_REQUEST, Bytes::new()), |delay| again(Some(delay)))
        }
        Some(_) | None => plain(StatusCode::BAD_REQUEST, Bytes::new()),
    }
}

fn plain(status: StatusCode, body: Bytes) -> http::Response<Bytes> {
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    response
}

fn again(delay: Option<Duration>) -> http::Response<Bytes> {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, Bytes::new());
    if let Some(delay) = delay {
        let seconds = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The message of a body that has one; an empty message is a success that says nothing.
fn message(body: &Bytes) -> Bytes {
    let length = body.get(1..PREFIX).and_then(|bytes| Some(u32::from_be_bytes(bytes.try_into().ok()?)));
    let end = PREFIX + length.map_or(0, |length| length as usize);
    match body.first() {
        Some(0) if body.len() >= end => body.slice(PREFIX..end),
        _ => Bytes::new(),
    }
}

/// What `google.rpc.RetryInfo` among the details of a `google.rpc.Status` says.
fn retry_delay(status: &[u8]) -> Option<Duration> {
    const RETRY_INFO: &[u8] = b"google.rpc.RetryInfo";
    let detail = fields(status).filter(|field| field.number == 3).find(|detail| {
        fields(detail.bytes).any(|field| field.number == 1 && field.bytes.ends_with(RETRY_INFO))
    })?;
    let info = fields(detail.bytes).find(|field| field.number == 2)?;
    let Some(delay) = fields(info.bytes).find(|field| field.number == 1) else {
        return Some(Duration::ZERO);
    };
    let part =
        |number| fields(delay.bytes).find(|field| field.number == number).map_or(0, |field| field.value);
    let nanos = u32::try_from(part(2)).ok().filter(|nanos| *nanos < 1_000_000_000).unwrap_or(0);
    Some(Duration::new(part(1).min(u64::from(u32::MAX)), nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields_of(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    /// `Status { code: 8, details: [Any(RetryInfo { 2.5 s })] }`.
    fn details() -> String {
        let delay = [0x08, 0x02, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01];
        let info = [&[0x0a, u8::try_from(delay.len()).unwrap()], &delay[..]].concat();
        let url = b"type.googleapis.com/google.rpc.RetryInfo";
        let any = [
            &[0x0a, u8::try_from(url.len()).unwrap()],
            &url[..],
            &[0x12, u8::try_from(info.len()).unwrap()],
            &info,
        ];
        let any = any.concat();
        let status = [&[0x08, 0x08, 0x1a, u8::try_from(any.len()).unwrap()], &any[..]].concat();
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(status)
    }

    #[test]
    fn a_message_is_framed_and_unframed() {
        let mut headers = HeaderMap::new();
        let front = request((3, false), &mut headers, Duration::from_secs(10));
        let body = Bytes::from([&front[..], b"abc"].concat());
        assert_eq!(body, &b"\0\0\0\0\x03abc"[..]);
        assert_eq!(
            (&headers["te"], &headers["grpc-timeout"]),
            (&"trailers".parse().unwrap(), &"10000m".parse().unwrap())
        );
        assert!(!headers.contains_key("grpc-encoding"));
        assert_eq!(request((3, true), &mut headers, Duration::ZERO), &b"\x01\0\0\0\x03"[..]);
        assert_eq!(headers["grpc-encoding"], "gzip");
        let trailers = fields_of(&[(STATUS, "0")]);
        let answer = response(StatusCode::OK, (&HeaderMap::new(), &trailers), &body);
        assert_eq!((answer.status(), &answer.body()[..]), (StatusCode::OK, &b"abc"[..]));
        for broken in [&b"\0\0\0\0\x04abc"[..], b"\x01\0\0\0\x03abc", b"\0\0", b""] {
            assert!(message(&Bytes::from_static(broken)).is_empty());
        }
    }

    #[test]
    fn a_status_says_whether_to_try_again_and_when() {
        let details = details();
        for (code, details, status, after) in [
            ("0", None, 200, None),
            ("14", None, 503, None),
            ("14", Some(&*details), 503, Some("3")),
            ("4", None, 503, None),
            ("8", None, 400, None),
            ("8", Some(&*details), 503, Some("3")),
            ("8", Some("!!"), 400, None),
            ("3", Some(&*details), 400, None),
            ("16", None, 400, None),
            ("many", None, 400, None),
        ] {
            let mut pairs = vec![(STATUS, code)];
            pairs.extend(details.map(|details| (DETAILS, details)));
            let fields = fields_of(&pairs);
            for place in [(&fields, &HeaderMap::new()), (&HeaderMap::new(), &fields)] {
                let answer = response(StatusCode::OK, place, &Bytes::new());
                assert_eq!(answer.status(), status, "{code}");
                let told = answer.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap());
                assert_eq!(told, after, "{code}");
            }
        }
        let none = (&HeaderMap::new(), &HeaderMap::new());
        assert_eq!(response(StatusCode::OK, none, &Bytes::new()).status(), 400);
        assert_eq!(response(StatusCode::BAD_GATEWAY, none, &Bytes::new()).status(), 502);
    }
}
