//! Entries as bytes: what leaves this process, and what comes back from where anybody may have written.

use std::sync::Arc;

use bytes::{BufMut, Bytes};
use gatewright_core::{Money, ServedBy, Usage};
use http::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::entry::{Border, Entry, EntryHead};
use crate::key::Key;

/// The first bytes, with the version of what follows.
const MARK: &[u8; 4] = b"GWA1";

/// The mark, the checksum of all that follows, the key's digest, and the length of the head.
const PRELUDE: usize = 4 + 4 + 32 + 4;

#[derive(Serialize, Deserialize)]
struct Head {
    made: u64,
    /// When it is to be forgotten, in Unix seconds.
    until: u64,
    cost: i64,
    usage: Option<Usage>,
    streams: bool,
    content_type: Option<String>,
    by: Option<By>,
    dropped: Vec<String>,
    /// The length of each frame, and the model output in it.
    frames: Vec<(usize, u32)>,
}

#[derive(Serialize, Deserialize)]
struct By {
    deployment: Arc<str>,
    group: Arc<str>,
    model: Arc<str>,
    api_base: Arc<str>,
    provider: Arc<str>,
}

/// Writes an entry that is to be forgotten at this second.
pub(crate) fn encode(key: &Key, entry: &Entry, until: u64) -> Vec<u8> {
    let mut begin = 0;
    let frames = entry
        .borders
        .iter()
        .map(|border| (border.end - std::mem::replace(&mut begin, border.end), border.content));
    let by = entry.head.served_by.as_deref().map(|by| By {
        deployment: by.deployment.clone(),
        group: by.group.clone(),
        model: by.model.clone(),
        api_base: by.api_base.clone(),
        provider: by.provider.clone(),
    });
    let head = Head {
        made: entry.made,
        until,
        cost: entry.cost.0,
        usage: entry.usage,
        streams: entry.head.streams,
        content_type: entry.head.content_type.as_ref().and_then(|kind| kind.to_str().ok()).map(str::to_owned),
        by,
        dropped: entry.head.dropped.iter().map(|field| field.to_string()).collect(),
        frames: frames.collect(),
    };
    // Numbers and texts can always be written.
    let head = serde_json::to_vec(&head).unwrap_or_default();
    let mut out = Vec::with_capacity(PRELUDE + head.len() + entry.body.len());
    out.put_slice(MARK);
    out.put_u32_le(0);
    out.put_slice(&key.digest);
    out.put_u32_le(u32::try_from(head.len()).unwrap_or(u32::MAX));
    out.put_slice(&head);
    out.put_slice(&entry.body);
    let sum = crc32fast::hash(out.get(8..).unwrap_or_default()).to_le_bytes();
    if let Some(place) = out.get_mut(4..8) {
        place.copy_from_slice(&sum);
    }
    out
}

/// Reads an entry and when it is to be forgotten; `None` where it is none, or another key's.
pub(crate) fn decode(key: &Key, bytes: Bytes) -> Option<(Entry, u64)> {
    let (mark, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, summed) = rest.split_first_chunk::<4>()?;
    if mark != MARK || crc32fast::hash(summed) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (digest, rest) = summed.split_first_chunk::<32>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if *digest != key.digest {
        return None;
    }
    let head: Head = serde_json::from_slice(rest.get(..length)?).ok()?;
    let body = bytes.slice(PRELUDE + length..);
    let mut end = 0_usize;
    let borders = head.frames.into_iter().map(|(length, content)| {
        end = end.checked_add(length)?;
        Some(Border { end, content })
    });
    let borders: Vec<Border> = borders.collect::<Option<_>>()?;
    if end != body.len() || borders.is_empty() {
        return None;
    }
    let content_type = head.content_type.map(|kind| HeaderValue::try_from(kind).ok());
    let served_by = head.by.map(|By { deployment, group, model, api_base, provider }| {
        Arc::new(ServedBy { deployment, group, model, api_base, provider })
    });
    let dropped = head.dropped.into_iter().map(Into::into).collect();
    let entry = Entry {
        made: head.made,
        head: EntryHead { streams: head.streams, content_type: content_type.flatten(), served_by, dropped },
        cost: Money(head.cost),
        usage: head.usage,
        body,
        borders,
    };
    Some((entry, head.until))
}

#[cfg(test)]
mod tests {
    use gatewright_core::Frame;
    use proptest::prelude::*;

    use super::*;

    fn key(digest: u8) -> Key {
        Key { text: "k".into(), digest: [digest; 32] }
    }

    fn entry(pieces: &[Vec<u8>]) -> Entry {
        let last = pieces.len() - 1;
        let frames: Vec<Frame> = pieces
            .iter()
            .enumerate()
            .map(|(at, data)| Frame {
                data: data.clone().into(),
                content: 3,
                last: at == last,
                ..Frame::default()
            })
            .collect();
        let by = ServedBy {
            deployment: "d".into(),
            group: "g".into(),
            model: "openai/m".into(),
            api_base: "https://a".into(),
            provider: "openai".into(),
        };
        let head = EntryHead {
            streams: true,
            content_type: Some(HeaderValue::from_static("text/plain")),
            served_by: Some(Arc::new(by)),
            dropped: vec!["seed".into()],
        };
        let usage = Usage { input: 3, output: 4, ..Usage::default() };
        Entry { usage: Some(usage), ..Entry::of(head, &frames, (7, Money(9))) }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_what_was_damaged_is_not(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 1..6),
            place in any::<prop::sample::Index>(),
            damage in 1..=u8::MAX,
        ) {
            let entry = entry(&pieces);
            let written = encode(&key(1), &entry, 50);
            prop_assert_eq!(decode(&key(1), written.clone().into()), Some((entry, 50)));
            prop_assert_eq!(decode(&key(2), written.clone().into()), None, "another key's");
            let mut damaged = written.clone();
            damaged[place.index(written.len())] ^= damage;
            prop_assert_eq!(decode(&key(1), damaged.into()), None);
            let cut = place.index(written.len());
            prop_assert_eq!(decode(&key(1), Bytes::from(written).slice(..cut)), None);
        }

        #[test]
        fn garbage_is_no_entry(garbage in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(&key(1), garbage.into()), None);
        }

        /// Whoever can write to Redis can also write a checksum.
        #[test]
        fn garbage_with_a_true_checksum_is_no_entry(
            garbage in prop::collection::vec(any::<u8>(), 0..200),
            length in any::<u32>(),
        ) {
            let mut bytes = MARK.to_vec();
            bytes.put_u32_le(0);
            bytes.put_slice(&key(1).digest);
            bytes.put_u32_le(length % 250);
            bytes.put_slice(&garbage);
            let sum = crc32fast::hash(&bytes[8..]).to_le_bytes();
            bytes[4..8].copy_from_slice(&sum);
            prop_assert_eq!(decode(&key(1), bytes.into()), None);
        }
    }
}
