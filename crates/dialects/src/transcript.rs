//! What a client was told, collected as it leaves and read later: for records and traces.

use bytes::Bytes;
use gatewright_core::chat::{Answer, Event};
use gatewright_core::{Codec, Frame, Operation, RawEvent, Result};
use serde_json::Value;
use smallvec::SmallVec;

use crate::Splitter;
use crate::gathered::Gathered;

/// The frames of a reply, as its client got them. To collect one costs a clone of its bytes, which are shared; nothing is
/// read until somebody asks.
#[derive(Clone, Debug)]
pub struct Transcript {
    frames: SmallVec<[Bytes; 1]>,
    held: usize,
    most: usize,
    truncated: bool,
}

/// What a transcript says.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// What was said.
    pub said: Said,
    /// Whether that is all: nothing was too much to be collected, and the stream was not cut off.
    pub whole: bool,
}

/// What was said.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// A model's answer.
    Answer(Box<Answer>),
    /// The answer to another operation, as it stands; of a stream the list of its events.
    Json(Value),
    /// Nothing that could be read.
    Nothing,
}

/// What a frame takes besides its bytes.
const FRAME: usize = 64;

// === impl Transcript ===

impl Transcript {
    /// One that collects at most `most` bytes; what comes beyond them is left out, and told.
    pub fn new(most: usize) -> Self {
        Self { frames: SmallVec::new(), held: 0, most, truncated: false }
    }

    /// Collects a frame.
    pub fn take(&mut self, frame: &Frame) {
        if frame.data.is_empty() || self.truncated {
            return;
        }
        let held = self.held.saturating_add(frame.data.len() + FRAME);
        // Nothing is collected behind a gap: an answer with a hole in it reads as if it were whole.
        self.truncated = held > self.most;
        if !self.truncated {
            self.held = held;
            self.frames.push(frame.data.clone());
        }
    }

    /// The memory that it holds, in bytes.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Whether something was too much to be collected.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Reads what was collected of an answer in this dialect to this operation; `streams` as the reply's head says.
    pub fn read(&self, codec: &dyn Codec, operation: Operation, streams: bool) -> Told {
        match (operation, streams) {
            (Operation::Chat, true) => self.read_stream(codec),
            (Operation::Chat, false) => self
                .told(codec.decode_reply(&self.joined()).map(|answer| Said::Answer(Box::new(answer))).ok()),
            (_, true) => self.read_events(codec),
            (_, false) => self.told(serde_json::from_slice(&self.joined()).map(Said::Json).ok()),
        }
    }

    fn read_stream(&self, codec: &dyn Codec) -> Told {
        let (mut decoder, mut gathered) = (codec.decoder(), Gathered::default());
        let mut events: Vec<Event> = Vec::new();
        let fed = self.each_event(codec, &mut |event| {
            let read = decoder.event(event, &mut events);
            events.drain(..).for_each(|event| gathered.take(event));
            read
        });
        let whole = fed.and_then(|()| decoder.close(&mut events)).is_ok();
        events.into_iter().for_each(|event| gathered.take(event));
        Told { said: Said::Answer(Box::new(gathered.into_answer())), whole: whole && !self.truncated }
    }

    fn read_events(&self, codec: &dyn Codec) -> Told {
        let mut list = Vec::new();
        let fed = self.each_event(codec, &mut |event| {
            list.extend(serde_json::from_slice::<Value>(event.data));
            Ok(())
        });
        let said = if list.is_empty() { Said::Nothing } else { Said::Json(Value::Array(list)) };
        Told { said, whole: fed.is_ok() && !self.truncated }
    }

    fn each_event(&self, codec: &dyn Codec, each: &mut dyn FnMut(RawEvent<'_>) -> Result<()>) -> Result<()> {
        let mut splitter = Splitter::new(codec.framing(), self.most);
        self.frames.iter().try_for_each(|frame| splitter.feed(frame, each))?;
        splitter.close(each)
    }

    fn told(&self, said: Option<Said>) -> Told {
        let whole = said.is_some() && !self.truncated;
        Told { said: said.unwrap_or(Said::Nothing), whole }
    }

    /// All of it; mostly it is one frame, which is not copied.
    fn joined(&self) -> Bytes {
        match &*self.frames {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => many.concat().into(),
        }
    }
}
