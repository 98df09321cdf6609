//! Events out of chunks of bytes, in whatever way the dialect frames them.

use gatewright_core::{Error, ErrorKind, Framing, RawEvent, Result};

use crate::{aws_events, ndjson, sse};

/// Splits a stream of bytes into events, wherever the chunks are cut.
pub enum Splitter {
    /// Server-sent events.
    Sse(sse::Splitter),
    /// A JSON object a line.
    Ndjson(ndjson::Splitter),
    /// Every piece is an event.
    Bytes,
    /// Amazon's binary event stream.
    AwsEvents(aws_events::Splitter),
}

impl Splitter {
    /// A splitter that refuses events of more than `max_event` bytes.
    pub fn new(framing: Framing, max_event: usize) -> Self {
        match framing {
            Framing::Sse => Self::Sse(sse::Splitter::new(max_event)),
            Framing::Bytes => Self::Bytes,
            Framing::Ndjson => Self::Ndjson(ndjson::Splitter::new(max_event)),
            Framing::AwsEvents => Self::AwsEvents(aws_events::Splitter::new(max_event)),
        }
    }

    /// Takes the next bytes and calls `each` for every event that is whole with them.
    pub fn feed(&mut self, chunk: &[u8], each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>) -> Result<()> {
        match self {
            Self::Sse(splitter) => splitter.feed(chunk, each),
            Self::Ndjson(splitter) => splitter.feed(chunk, each),
            Self::Bytes => each(RawEvent { name: "", data: chunk }),
            Self::AwsEvents(splitter) => splitter.feed(chunk, each),
        }
    }

    /// How many bytes of an unfinished event are held.
    pub fn held(&self) -> usize {
        match self {
            Self::Sse(splitter) => splitter.held(),
            Self::Ndjson(splitter) => splitter.held(),
            Self::Bytes => 0,
            Self::AwsEvents(splitter) => splitter.held(),
        }
    }

    /// The stream ended: what is left is an event where the framing lets it be one.
    pub fn close(&mut self, each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>) -> Result<()> {
        match self {
            Self::Sse(splitter) => splitter.close(each),
            Self::Ndjson(splitter) => splitter.close(each),
            Self::Bytes => Ok(()),
            Self::AwsEvents(splitter) => splitter.close(each),
        }
    }
}

/// An event of more bytes than are taken.
pub(crate) fn too_large(max_event: usize) -> Error {
    Error::new(ErrorKind::BadGateway, "an event of the upstream's stream is too large")
        .with_detail(format!("the limit is {max_event} bytes"))
}
