//! An answer as it is written.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream as FuturesStream;
use gatewright_core::chat::{Delta, Event};
use gatewright_core::{Decode, Frames, Framing, Money, RawEvent, Result, ServedBy, Usage};
use gatewright_dialects::Splitter;

use crate::Client;
use crate::client::codec;

/// The largest event; the layers below hand out no larger one.
const MAX_EVENT: usize = 64 << 20;

/// The events of an answer. Dropping it closes the upstream.
pub struct Stream {
    frames: Frames,
    splitter: Splitter,
    decoder: Box<dyn Decode>,
    events: VecDeque<Event>,
    usage: Option<Usage>,
    client: Client,
    served_by: Option<Arc<ServedBy>>,
    done: bool,
}

impl Stream {
    pub(crate) fn new(frames: Frames, client: Client, served_by: Option<Arc<ServedBy>>) -> Self {
        Self {
            frames,
            splitter: Splitter::new(Framing::Sse, MAX_EVENT),
            decoder: codec().decoder(),
            events: VecDeque::new(),
            usage: None,
            client,
            served_by,
            done: false,
        }
    }

    /// The next event; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        std::future::poll_fn(|cx| self.poll(cx)).await.transpose()
    }

    /// The next piece of text; `None` after the last one. Other events are passed over.
    pub async fn next_text(&mut self) -> Result<Option<String>> {
        while let Some(event) = self.next().await? {
            if let Event::PartDelta { delta: Delta::Text(text), .. } = event {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    /// What it used, once the provider said so.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// What that costs; `None` where no price is known.
    pub fn cost(&self) -> Option<Money> {
        self.client.cost(self.served_by.as_deref(), self.usage?)
    }

    /// The deployment that answers.
    pub fn served_by(&self) -> Option<&ServedBy> {
        self.served_by.as_deref()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if self.done {
                return Poll::Ready(None);
            }
            let taken = match self.frames.poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => {
                    self.usage = frame.usage.or(self.usage);
                    self.take(Some(&frame.data))
                }
                Poll::Ready(Some(Err(err))) => Err(err),
                Poll::Ready(None) => self.take(None),
            };
            if let Err(err) = taken {
                self.done = true;
                return Poll::Ready(Some(Err(err)));
            }
        }
    }

    fn take(&mut self, chunk: Option<&[u8]>) -> Result<()> {
        let mut found = Vec::new();
        let decoder = &mut self.decoder;
        let mut each = |event: RawEvent<'_>| decoder.event(event, &mut found);
        match chunk {
            Some(chunk) => self.splitter.feed(chunk, &mut each)?,
            None => {
                self.done = true;
                self.splitter.close(&mut each)?;
            }
        }
        self.done |= found.contains(&Event::End);
        self.events.extend(found);
        Ok(())
    }
}

impl FuturesStream for Stream {
    type Item = Result<Event>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll(cx)
    }
}
