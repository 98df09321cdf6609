//! Sees an answer pass, and keeps it when it is whole.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{Clock, End, Error, Frame, Head, Observer, Outcome, Tab};

use crate::entry::{Entry, EntryHead};
use crate::figures::Figures;
use crate::flight::{Landing, Lead};
use crate::key::Key;
use crate::shelf::Shelf;

/// Sees one answer pass.
pub(crate) struct Fill<S: Shelf> {
    pub(crate) shelf: Arc<S>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) key: Key,
    /// What it is kept with; `None` where it is not to be kept.
    pub(crate) place: Option<S::Place>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) most: usize,
    /// Those who wait for the same.
    pub(crate) lead: Option<Arc<Lead>>,
    /// What its attempts cost.
    pub(crate) tab: Arc<Tab>,
    /// The cap on its output that its caller's budget set.
    pub(crate) output_cap: Option<u64>,
    /// Whether something is held that may have lowered the cap of a further attempt.
    pub(crate) held: bool,
    pub(crate) told: Option<Told>,
    pub(crate) seen: Seen,
}

/// What an answer's head says.
pub(crate) struct Told {
    head: EntryHead,
    /// Whether the first attempt at the group that was asked for gave it.
    first: bool,
    fallback: bool,
}

/// The frames so far.
#[derive(Default)]
pub(crate) struct Seen {
    frames: Vec<Frame>,
    bytes: usize,
    whole: bool,
}

// === impl Told ===

impl Told {
    fn of(head: &Head) -> Self {
        Self { head: EntryHead::of(head), first: head.retries == 0, fallback: head.fallbacks > 0 }
    }
}

// === impl Fill ===

impl<S: Shelf> Observer for Fill<S> {
    fn head(&mut self, head: &Head) {
        self.told = Some(Told::of(head));
    }

    fn frame(&mut self, frame: &Frame) -> ControlFlow<Error> {
        let seen = &mut self.seen;
        seen.bytes = seen.bytes.saturating_add(frame.data.len());
        seen.whole |= frame.last;
        // A whole body is there already, and those who follow get it.
        match seen.bytes <= self.most
            || (frame.last && seen.frames.is_empty() && seen.bytes == frame.data.len())
        {
            true => seen.frames.push(frame.clone()),
            false => seen.frames.clear(),
        }
        ControlFlow::Continue(())
    }

    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        match (outcome.end, self.told.as_ref()) {
            (End::Complete, Some(told)) if self.seen.whole => self.land(told, outcome),
            // Whoever follows a stream sees its end there.
            (End::Failed(_) | End::Abandoned, Some(told)) if told.head.streams => self.end(),
            (End::Failed(err), _) => self.lead.iter().for_each(|lead| lead.fail(err)),
            (End::Abandoned, _) => {}
            (End::Complete, _) => self.end(),
        }
    }
}

impl<S: Shelf> Fill<S> {
    fn land(&self, told: &Told, outcome: &Outcome<'_>) {
        if self.seen.frames.is_empty() {
            Figures::one_more(&self.figures.too_large);
            return self.end();
        }
        let made = (self.clock.unix_seconds(), self.tab.total());
        let entry = Arc::new(Entry::of(told.head.clone(), &self.seen.frames, made));
        if let Some(place) = self.place.as_ref().filter(|_| self.is_for_all(told, outcome)) {
            match entry.body.len() <= self.most {
                true => {
                    Figures::one_more(&self.figures.kept);
                    self.shelf.put(place, &self.key, Arc::clone(&entry), self.ttl);
                }
                false => Figures::one_more(&self.figures.too_large),
            }
        }
        if let Some(lead) = &self.lead {
            lead.land(Landing::Whole(entry));
        }
        // After it is kept: whoever comes in between finds it there or here.
        self.end();
    }

    /// Whether any caller would have got this: no fallback, which answers for a time only, and not cut short by what its
    /// caller can pay.
    fn is_for_all(&self, told: &Told, outcome: &Outcome<'_>) -> bool {
        let output = outcome.usage.map(|usage| usage.output);
        let cut = self.output_cap.is_some_and(|cap| output.is_none_or(|output| output >= cap));
        !told.fallback && !cut && (told.first || !self.held)
    }

    fn end(&self) {
        if let Some(lead) = &self.lead {
            lead.end();
        }
    }
}
