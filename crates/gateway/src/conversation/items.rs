//! A conversation's items as JSON text.

use bytes::{BufMut as _, Bytes, BytesMut};
use gatewright_core::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// The output of a response.
#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    output: Vec<&'a RawValue>,
}

/// Joins what was said before, what was answered, and what is asked now: a string, or a list of items.
pub(super) fn joined(before: &[u8], response: &[u8], now: &[u8]) -> Result<Bytes> {
    let mut items: Vec<&RawValue> = read(before)?;
    let Output { output } = serde_json::from_slice(response).map_err(|err| unreadable(&err))?;
    items.extend(output);
    let asked = listed(now)?;
    items.extend(read::<&RawValue>(&asked)?);
    Ok(written(&items))
}

/// An `input` as a list of items.
pub(super) fn listed(input: &[u8]) -> Result<Bytes> {
    let text = input.trim_ascii();
    if text.first() != Some(&b'"') {
        return Ok(Bytes::copy_from_slice(if text.is_empty() || text == b"null" { b"[]" } else { text }));
    }
    let text: Value = serde_json::from_slice(text).map_err(|err| unreadable(&err))?;
    let content = json!([{"type": "input_text", "text": text}]);
    Ok(json!([{"type": "message", "role": "user", "content": content}]).to_string().into())
}

/// The items of a list, one by one.
pub(super) fn read<'a, T: Deserialize<'a>>(list: &'a [u8]) -> Result<Vec<T>> {
    serde_json::from_slice(list).map_err(|err| unreadable(&err))
}

fn written(items: &[&RawValue]) -> Bytes {
    let length = items.iter().map(|item| item.get().len() + 1).sum::<usize>() + 2;
    let mut list = BytesMut::with_capacity(length);
    list.put_u8(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            list.put_u8(b',');
        }
        list.put_slice(item.get().as_bytes());
    }
    list.put_u8(b']');
    list.freeze()
}

fn unreadable(err: &serde_json::Error) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("invalid value for 'input': {err}")).with_param("input")
}
