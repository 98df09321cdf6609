//! W3C trace context: `traceparent` and `tracestate`, read from a client and written for an upstream.

use std::sync::Arc;

use gatewright_core::{TraceContext, write_hex};
use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) const PARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const STATE: HeaderName = HeaderName::from_static("tracestate");
const SAMPLED: u8 = 1;

/// What the specification asks everybody to carry; a longer list is not carried.
const MOST_BYTES: usize = 512;
const MOST_MEMBERS: usize = 32;

/// What the client says; `None` where it says nothing or nothing valid, which starts a trace of our own.
pub(crate) fn read(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all(PARENT).iter();
    let (parent, None) = (parents.next()?.to_str().ok()?, parents.next()) else {
        return None;
    };
    let (trace, span, flags) = parse(parent.trim())?;
    Some(TraceContext::new(trace, span, flags & SAMPLED == SAMPLED, state(headers)))
}

/// Writes it, in place of whatever the headers said before.
pub(crate) fn write(context: &TraceContext, headers: &mut HeaderMap) {
    let Ok(parent) = HeaderValue::from_bytes(&parent(context)) else { return };
    headers.insert(PARENT, parent);
    match context.state.as_deref().map(HeaderValue::from_str) {
        Some(Ok(state)) => headers.insert(STATE, state),
        Some(Err(_)) | None => headers.remove(STATE),
    };
}

/// `00-{trace}-{span}-{flags}` in hexadecimal digits.
fn parent(context: &TraceContext) -> [u8; 55] {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    let (trace, rest) = text.split_at_mut(36);
    write_hex(&context.trace, trace.get_mut(3..).unwrap_or_default());
    write_hex(&context.span, rest);
    if let (true, Some(flag)) = (context.sampled, rest.last_mut()) {
        *flag = b'1';
    }
    text
}

/// A later version may append fields; the first four stay as they are. Version `ff` is forbidden.
fn parse(text: &str) -> Option<([u8; 16], [u8; 8], u8)> {
    let mut fields = text.split('-');
    let version = hex::<1>(fields.next()?)?;
    let trace = hex::<16>(fields.next()?)?;
    let span = hex::<8>(fields.next()?)?;
    let [flags] = hex::<1>(fields.next()?)?;
    let more = fields.next().is_some();
    let valid = version != [0xff] && !(version == [0] && more) && trace != [0; 16] && span != [0; 8];
    valid.then_some((trace, span, flags))
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Several headers are one list. A list that breaks the grammar is dropped; the trace itself goes on.
fn state(headers: &HeaderMap) -> Option<Arc<str>> {
    let lists: Vec<_> =
        headers.get_all(STATE).iter().map(HeaderValue::to_str).collect::<Result<_, _>>().ok()?;
    let list = lists.join(",");
    let mut members = list.split(',').map(|member| member.trim_matches([' ', '\t']));
    let valid = !list.is_empty()
        && list.len() <= MOST_BYTES
        && members.clone().count() <= MOST_MEMBERS
        && members.all(|member| member.is_empty() || is_member(member));
    valid.then(|| list.into())
}

/// `key=value`, where a key may be a tenant's at a system: `tenant@system`.
fn is_member(text: &str) -> bool {
    let Some((key, value)) = text.split_once('=') else { return false };
    let (tenant, system) = key.split_once('@').unwrap_or((key, "a"));
    let begins =
        |name: &str| name.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    let is_letter =
        |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || b"_-*/".contains(&letter);
    let is_visible = |letter: u8| matches!(letter, b' '..=b'~') && !matches!(letter, b',' | b'=');
    key.len() <= 256
        && value.len() <= 256
        && [tenant, system].into_iter().all(|name| begins(name) && name.bytes().all(is_letter))
        && value.bytes().all(is_visible)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn what_was_read_is_written_again() {
        let unsampled = VALID.replace("-01", "-00");
        for parent in [VALID, &unsampled] {
            for said in [headers(&[(PARENT, parent), (STATE, "a=1,b=2")]), headers(&[(PARENT, parent)])] {
                let mut written = headers(&[(PARENT, "stale"), (STATE, "stale=1")]);
                write(&read(&said).unwrap(), &mut written);
                assert_eq!(written, said);
            }
        }
    }

    #[test]
    fn only_a_valid_parent_is_believed() {
        for (parent, valid) in [
            (VALID.to_owned(), true),
            (VALID.replace("00-", "01-"), true),
            (format!("{}-more", VALID.replace("00-", "01-")), true),
            (format!("{VALID}-more"), false),
            (VALID.replace("00-", "ff-"), false),
            (VALID.to_uppercase(), false),
            (VALID.replace("b7ad6b7169203331", "0000000000000000"), false),
            (VALID.replace("0af7651916cd43dd8448eb211c80319c", "00000000000000000000000000000000"), false),
            (VALID.replace("-01", ""), false),
            (VALID.replace("b7ad6b71", ""), false),
            (VALID.replace("b7", "+7"), false),
            (String::new(), false),
        ] {
            assert_eq!(read(&headers(&[(PARENT, &parent)])).is_some(), valid, "{parent}");
        }
        let mut twice = headers(&[(PARENT, VALID)]);
        twice.append(PARENT, HeaderValue::from_static(VALID));
        assert!(read(&twice).is_none());
    }

    #[test]
    fn a_broken_state_is_dropped_and_the_trace_goes_on() {
        let mut said = headers(&[(PARENT, VALID), (STATE, "a=1")]);
        said.append(STATE, HeaderValue::from_static("b=2"));
        assert_eq!(read(&said).unwrap().state.as_deref(), Some("a=1,b=2"));
        said.append(STATE, HeaderValue::from_static("no pair"));
        assert_eq!(read(&said).unwrap().state, None);
        let many = vec!["a=1"; MOST_MEMBERS + 1].join(",");
        let long = format!("a={}", "x".repeat(257));
        for (list, valid) in [
            ("a=1, b=2 ,", true),
            ("tenant@system=x;y", true),
            ("0a_-*/=", true),
            ("A=1", false),
            ("_a=1", false),
            ("a@b@c=1", false),
            ("a=1=2", false),
            ("=1", false),
            (&many, false),
            (&long, false),
        ] {
            let said = headers(&[(PARENT, VALID), (STATE, list)]);
            assert_eq!(read(&said).unwrap().state.is_some(), valid, "{list}");
        }
    }
}
