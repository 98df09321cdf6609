//! The frames of a reply: the one stream wrapper that drives the observers, and the few ways to compose it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::share::Reader;
pub use crate::share::{Missed, Sharing, share};
use crate::watch::Watchers;
use crate::{End, Error, Frame, Result};

/// The frames of one reply. Settles its observers before the last frame leaves, on an error, and when dropped.
///
/// In a box: every layer hands a reply on by value, and this was the larger part of it.
pub struct Frames(Box<Watched>);

/// Where frames come from and who sees them.
struct Watched {
    source: Source,
    watchers: Watchers,
    ended: bool,
}

enum Source {
    One(Option<Frame>),
    Many(Pin<Box<dyn Stream<Item = Result<Frame>> + Send>>),
    Held(VecDeque<Frame>, Frames),
    Shared(Reader),
}

// === impl Frames ===

impl Frames {
    /// A reply that is one whole body.
    pub fn one(frame: Frame) -> Self {
        Self::from_source(Source::One(Some(Frame { last: true, ..frame })))
    }

    /// A reply that comes in pieces. The stream marks its last frame, or just ends.
    pub fn many(stream: impl Stream<Item = Result<Frame>> + Send + 'static) -> Self {
        Self::from_source(Source::Many(Box::pin(stream)))
    }

    /// The next frame; `None` after the last one or after an error.
    pub async fn next(&mut self) -> Option<Result<Frame>> {
        poll_fn(|cx| self.poll_frame(cx)).await
    }

    /// Whether this is one whole body, which is there already.
    pub fn is_one(&self) -> bool {
        matches!(self.0.source, Source::One(_))
    }

    /// The whole body, where it is one and was not taken yet.
    pub fn peek_one(&self) -> Option<&Frame> {
        match &self.0.source {
            Source::One(frame) => frame.as_ref(),
            Source::Many(_) | Source::Held(..) | Source::Shared(_) => None,
        }
    }

    /// What [`Frames::next`] waits for.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let watched = &mut *self.0;
        if watched.ended {
            return Poll::Ready(None);
        }
        let next = match &mut watched.source {
            Source::One(frame) => frame.take().map(Ok),
            Source::Many(stream) => match stream.as_mut().poll_next(cx) {
                Poll::Ready(next) => next,
                Poll::Pending => return Poll::Pending,
            },
            Source::Held(held, rest) => match held.pop_front() {
                Some(frame) => Some(Ok(frame)),
                None => match rest.poll_frame(cx) {
                    Poll::Ready(next) => next,
                    Poll::Pending => return Poll::Pending,
                },
            },
            Source::Shared(reader) => match reader.poll_frame(cx) {
                Poll::Ready(next) => next,
                Poll::Pending => return Poll::Pending,
            },
        };
        Poll::Ready(watched.observe(next))
    }

    /// One reader's view of frames that several read.
    pub(crate) fn shared(reader: Reader) -> Self {
        Self::from_source(Source::Shared(reader))
    }

    /// Those who see them.
    pub(crate) fn watchers(&mut self) -> &mut Watchers {
        &mut self.0.watchers
    }

    fn from_source(source: Source) -> Self {
        Self(Box::new(Watched { source, watchers: Watchers::default(), ended: false }))
    }
}

// === impl Watched ===

impl Watched {
    fn observe(&mut self, next: Option<Result<Frame>>) -> Option<Result<Frame>> {
        let seen = match next {
            Some(Ok(frame)) => self.watchers.frame(&frame).map(|()| frame),
            Some(Err(err)) => Err(err),
            None => {
                self.ended = true;
                self.watchers.settle(End::Complete);
                return None;
            }
        };
        match &seen {
            Ok(frame) if frame.last => {
                self.ended = true;
                self.watchers.settle(End::Complete);
            }
            Ok(_) => {}
            Err(err) => {
                self.ended = true;
                self.watchers.settle(End::Failed(err));
            }
        }
        Some(seen)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let (Source::Shared(reader), false) = (&mut self.source, self.ended) {
            reader.leave(&mut self.watchers);
        }
    }
}

impl Stream for Frames {
    type Item = Result<Frame>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_frame(cx)
    }
}

/// Waits for the first content, so that whatever fails before it can still be tried elsewhere. The frames seen until
/// then are replayed; observers that are already attached do not see them twice.
pub async fn hold_until_content(mut frames: Frames) -> Result<Frames> {
    if frames.is_one() {
        return Ok(frames);
    }
    let mut held = VecDeque::new();
    while let Some(next) = frames.next().await {
        let frame = next?;
        let committed = frame.content > 0 || frame.last;
        held.push_back(frame);
        if committed {
            break;
        }
    }
    Ok(Frames::from_source(Source::Held(held, frames)))
}

/// Continues with other frames where these fail: `next` gets the error and answers the continuation, or the error
/// that ends the reply.
pub fn then<F>(frames: Frames, next: F) -> Frames
where
    F: FnOnce(Error) -> Result<Frames> + Send + 'static,
{
    Frames::many(Then { current: frames, next: Some(next) })
}

/// Changes every frame on its way.
pub fn map(frames: Frames, change: impl FnMut(Frame) -> Result<Frame> + Send + Unpin + 'static) -> Frames {
    Frames::many(Map { frames, change })
}

/// Does something with the last frame before it goes on.
pub fn before_last<F, W>(frames: Frames, act: F) -> Frames
where
    F: FnOnce(Frame) -> W + Send + 'static,
    W: Future<Output = Frame> + Send + 'static,
{
    Frames::many(BeforeLast { frames, act: Some(act), acting: None })
}

struct BeforeLast<F, W> {
    frames: Frames,
    act: Option<F>,
    acting: Option<Pin<Box<W>>>,
}

impl<F, W> Unpin for BeforeLast<F, W> {}

impl<F: FnOnce(Frame) -> W, W: Future<Output = Frame>> Stream for BeforeLast<F, W> {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.acting.is_none() {
            match self.frames.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) if frame.last && self.act.is_some() => {
                    self.acting = self.act.take().map(|act| Box::pin(act(frame)));
                }
                other => return other,
            }
        }
        match &mut self.acting {
            Some(acting) => acting.as_mut().poll(cx).map(|frame| {
                self.acting = None;
                Some(Ok(frame))
            }),
            None => Poll::Ready(None),
        }
    }
}

struct Then<F> {
    current: Frames,
    next: Option<F>,
}

impl<F> Unpin for Then<F> {}

impl<F: FnOnce(Error) -> Result<Frames>> Stream for Then<F> {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let err = match self.current.poll_frame(cx) {
                Poll::Ready(Some(Err(err))) => err,
                other => return other,
            };
            match self.next.take() {
                Some(next) => self.current = next(err)?,
                None => return Poll::Ready(Some(Err(err))),
            }
        }
    }
}

struct Map<F> {
    frames: Frames,
    change: F,
}

impl<F: FnMut(Frame) -> Result<Frame> + Unpin> Stream for Map<F> {
    type Item = Result<Frame>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        this.frames.poll_frame(cx).map(|next| next.map(|frame| frame.and_then(&mut this.change)))
    }
}
