//! An answer as bytes, for those who keep it elsewhere: what is known of it, and then its body.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use gatewright_core::{Money, ServedBy, Usage};
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::entry::{Border, Entry, EntryHead};

#[derive(Serialize, Deserialize)]
struct Head {
    made: u64,
    streams: bool,
    content_type: Option<String>,
    /// Deployment, group, model, base URL and provider.
    served_by: Option<[Arc<str>; 5]>,
    cost: i64,
    usage: Option<Usage>,
    borders: Vec<(usize, u32)>,
}

/// What stands before the head: how long it is.
const LENGTH: usize = 4;

/// An answer as bytes.
pub(super) fn write(entry: &Entry) -> Bytes {
    let EntryHead { streams, content_type, served_by } = &entry.head;
    let head = Head {
        made: entry.made,
        streams: *streams,
        content_type: content_type.as_ref().and_then(|kind| kind.to_str().ok()).map(str::to_owned),
        served_by: served_by
            .as_deref()
            .map(|by| [&by.deployment, &by.group, &by.model, &by.api_base, &by.provider].map(Arc::clone)),
        cost: entry.cost.0,
        usage: entry.usage,
        borders: entry.borders.iter().map(|border| (border.end, border.content)).collect(),
    };
    let head = serde_json::to_vec(&head).unwrap_or_default();
    let mut out = BytesMut::with_capacity(LENGTH + head.len() + entry.body.len());
    out.put_u32(u32::try_from(head.len()).unwrap_or(u32::MAX));
    out.put_slice(&head);
    out.put_slice(&entry.body);
    out.freeze()
}

/// The answer that was written; nothing where these bytes are none.
pub(super) fn read(mut bytes: Bytes) -> Option<Entry> {
    let length = u32::from_be_bytes(bytes.first_chunk().copied()?);
    let length = usize::try_from(length).ok()?.checked_add(LENGTH)?;
    let body = (length <= bytes.len()).then(|| bytes.split_off(length))?;
    let head: Head = serde_json::from_slice(bytes.get(LENGTH..)?).ok()?;
    let borders: Vec<_> = head.borders.into_iter().map(|(end, content)| Border { end, content }).collect();
    // The frames are cut out of the body there.
    let grow = borders.is_sorted_by_key(|border| border.end);
    if !grow || borders.last().map_or(0, |border| border.end) != body.len() {
        return None;
    }
    let served_by = |[deployment, group, model, api_base, provider]: [Arc<str>; 5]| {
        Arc::new(ServedBy { deployment, group, model, api_base, provider })
    };
    let content_type = head.content_type.map(|kind| HeaderValue::from_str(&kind)).transpose().ok()?;
    let kept = EntryHead { streams: head.streams, content_type, served_by: head.served_by.map(served_by) };
    Some(Entry { made: head.made, head: kept, cost: Money(head.cost), usage: head.usage, body, borders })
}
