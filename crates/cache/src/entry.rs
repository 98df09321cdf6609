//! An answer as it is kept: what its client got, byte for byte, and what was known of it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use gatewright_core::{Cached, Frame, Frames, Head, Money, Reply, ServedBy, Usage};
use http::{HeaderValue, StatusCode};

use crate::key::Key;

/// An answer that was kept. A copy of it shares the bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When it was made, in Unix seconds.
    pub made: u64,
    /// What is known before the first byte.
    pub head: EntryHead,
    /// What it cost.
    pub cost: Money,
    /// The usage that it ended with.
    pub usage: Option<Usage>,
    /// All that the client got, in one piece.
    pub body: Bytes,
    /// Where each frame ends in it, and the bytes of model output in the frame.
    pub borders: Vec<Border>,
}

/// What is kept of a head. An upstream's headers are not: they tell of its state at that time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EntryHead {
    /// Whether the frames are a stream of events.
    pub streams: bool,
    /// What the answer is, where it is neither JSON nor events.
    pub content_type: Option<HeaderValue>,
    /// Who served it.
    pub served_by: Option<Arc<ServedBy>>,
    /// What the upstream's dialect could not carry.
    pub dropped: Vec<Cow<'static, str>>,
}

/// The end of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Border {
    /// Where in the body.
    pub end: usize,
    /// Bytes of model output in the frame.
    pub content: u32,
}

/// Frames are replayed together up to so many bytes: all of them are there, so they leave in few writes.
const TOGETHER: usize = 16 << 10;

// === impl Entry ===

impl Entry {
    /// An answer of these frames. Several are copied into one piece: each may hold on to much more than its own bytes.
    pub fn of(head: EntryHead, frames: &[Frame], (made, cost): (u64, Money)) -> Self {
        let mut end = 0;
        let borders = frames.iter().map(|frame| {
            end += frame.data.len();
            Border { end, content: frame.content }
        });
        let borders = borders.collect();
        let body = match frames {
            [one] => one.data.clone(),
            many => many.iter().flat_map(|frame| frame.data.iter().copied()).collect(),
        };
        let usage = frames.iter().rev().find_map(|frame| frame.usage);
        Self { made, head, cost, usage, body, borders }
    }

    /// The room that it takes, in bytes.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.body.len() + self.borders.len() * size_of::<Border>()
    }

    /// Whether it was made so short a time ago.
    pub fn is_fresh(&self, now: u64, max_age: Option<Duration>) -> bool {
        max_age.is_none_or(|age| now.saturating_sub(self.made) <= age.as_secs())
    }

    /// The answer, once more. It costs nothing.
    pub fn reply(&self, key: &Key, similarity: Option<f32>) -> Reply {
        let head = self.head.again(key, similarity, Some(self.cost));
        Reply { head: head.into(), frames: self.frames() }
    }

    fn frames(&self) -> Frames {
        if !self.head.streams {
            let content = self.borders.iter().map(|border| border.content).sum();
            return Frames::one(Frame { data: self.body.clone(), usage: self.usage, content, last: true });
        }
        Frames::many(stream::iter(self.together().map(Ok)))
    }

    /// The frames of a stream, as many at once as fit together.
    fn together(&self) -> impl Iterator<Item = Frame> + Send + use<> {
        let (body, usage) = (self.body.clone(), self.usage);
        let mut rest = self.borders.clone().into_iter().peekable();
        let mut begin = 0;
        std::iter::from_fn(move || {
            let mut border = rest.next()?;
            let mut content = border.content;
            while let Some(next) = rest.next_if(|next| next.end - begin <= TOGETHER) {
                content = content.saturating_add(next.content);
                border = next;
            }
            let data = body.slice(begin..border.end);
            begin = border.end;
            let last = rest.peek().is_none();
            Some(Frame { data, usage: usage.filter(|_| last), content, last })
        })
    }
}

// === impl EntryHead ===

impl EntryHead {
    /// What is kept of this one.
    pub fn of(head: &Head) -> Self {
        Self {
            streams: head.streams,
            content_type: head.content_type.clone(),
            served_by: head.served_by.clone(),
            dropped: head.dropped.clone(),
        }
    }

    /// The head of the same answer for somebody else.
    pub(crate) fn again(&self, key: &Key, similarity: Option<f32>, saved: Option<Money>) -> Head {
        Head {
            status: StatusCode::OK,
            streams: self.streams,
            content_type: self.content_type.clone(),
            served_by: self.served_by.clone(),
            dropped: self.dropped.clone(),
            cost: Some(Money::ZERO),
            cached: Some(Arc::new(Cached { key: key.text.clone(), hit: true, similarity, saved })),
            ..Head::default()
        }
    }
}
