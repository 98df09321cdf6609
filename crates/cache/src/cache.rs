//! The policy that answers repeated calls.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use gatewright_core::frames::{Missed, share};
use gatewright_core::{Cached, Call, CallService, Clock, Middleware, Reply, Result, Tab, arm};
use tokio::task::yield_now;

use crate::entry::Entry;
use crate::figures::Figures;
use crate::fill::{Fill, Seen};
use crate::flight::{FlightName, Flights, Landing, Lead, Seat};
use crate::key::{Key, refers_to_state};
use crate::settings::{Kind, Settings};
use crate::shelf::{Found, Search, Shelf};
use crate::vectors::Inputs;

/// Answers repeated calls, and identical ones that are on their way with one answer. Clones are of the same: what one is
/// replaced by answers the calls of all.
pub struct Cache<S>(Arc<ArcSwapOption<Kept<S>>>);

/// What all clones share.
pub(crate) struct Kept<S> {
    pub(crate) shelf: Arc<S>,
    pub(crate) settings: Settings,
    flights: Flights,
    pub(crate) figures: Arc<Figures>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// One call that may be answered.
pub(crate) struct Question {
    pub(crate) key: Key,
    /// Whether it takes what is kept, and whether its answer is kept.
    pub(crate) reads: bool,
    pub(crate) keeps: bool,
    pub(crate) ttl: Option<Duration>,
    max_age: Option<Duration>,
    /// What it asks for one by one.
    inputs: Option<Inputs>,
}

/// No client's answer is kept for longer, whatever it says.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

// === impl Cache ===

impl<S: Shelf> Cache<S> {
    /// Keeps answers in `shelf`.
    pub fn new(shelf: S, settings: Settings, figures: Arc<Figures>, clock: Arc<dyn Clock>) -> Self {
        let (shelf, flights) = (Arc::new(shelf), Flights::default());
        let kept = Kept { shelf, settings, flights, figures, clock };
        Self(Arc::new(ArcSwapOption::from_pointee(kept)))
    }

    /// Answers nothing: every call passes.
    pub fn off() -> Self {
        Self(Arc::default())
    }

    /// Answers from now on as the other one does. A call that is on its way ends with what it began with.
    pub fn replace(&self, by: &Self) {
        self.0.store(by.0.load_full());
    }

    /// The call as a question, and what it is asked of; nothing where the cache has no part in it.
    fn question(&self, call: &Call) -> Option<(Arc<Kept<S>>, Question)> {
        let kept = self.0.load();
        let question = kept.as_ref()?.question(call)?;
        Some((Arc::clone(kept.as_ref()?), question))
    }
}

impl<S> Clone for Cache<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Shelf> Middleware for Cache<S> {
    async fn handle(&self, call: Call, next: &impl CallService) -> Result<Reply> {
        match self.question(&call) {
            None => next.answer(call).await,
            // In a box of its own: a call that no cache answers does not pay for the room.
            Some((kept, question)) => Box::pin(async move { kept.answer(question, call, next).await }).await,
        }
    }
}

// === impl Kept ===

impl<S: Shelf> Kept<S> {
    /// Nothing where the cache has no part in the call.
    fn question(&self, call: &Call) -> Option<Question> {
        let wishes = &call.controls.cache;
        let kind = Kind::of(call.operation, call.codec.dialect())?;
        let asked = self.settings.default_on || wishes.use_cache;
        let (reads, keeps) = (!wishes.no_cache, !wishes.no_store);
        if !asked || !(reads || keeps) || !self.settings.kinds.contains(&kind) {
            return None;
        }
        if call.mirror_of.is_some() || refers_to_state(call) {
            return None;
        }
        let ttl = wishes.ttl.map(|ttl| ttl.min(LONGEST)).or(self.settings.ttl);
        let (key, inputs) = (Key::of(call, &self.settings), Inputs::of(call, &self.settings));
        Some(Question { key, reads, keeps, ttl, max_age: wishes.max_age, inputs })
    }

    async fn answer(&self, question: Question, call: Call, next: &impl CallService) -> Result<Reply> {
        if let Some(inputs) = &question.inputs {
            let reply = self.all_vectors(&question, inputs, &call).await;
            return match reply {
                Some(reply) => Ok(reply),
                None => self.without(question, None, call, next).await,
            };
        }
        let Search { found, place } = self.shelf.look_up(&call, &question.key).await;
        let found = found.filter(|found| question.reads && self.is_fresh(&found.entry, &question));
        if let Some(Found { entry, similarity }) = found {
            return Ok(self.give(&entry, &question.key, similarity));
        }
        self.without(question, Some(place), call, next).await
    }

    /// Nothing is kept for it.
    async fn without(
        &self,
        question: Question,
        place: Option<S::Place>,
        call: Call,
        next: &impl CallService,
    ) -> Result<Reply> {
        match question.reads && question.keeps {
            true => self.fly(question, place, call, next).await,
            // Whoever wants an answer of its own neither gives nor takes one on the way.
            false => self.ask(question, place, None, (call, next)).await,
        }
    }

    /// Asks for itself and for all who ask the same meanwhile, or waits for the one that does.
    async fn fly(
        &self,
        question: Question,
        place: Option<S::Place>,
        call: Call,
        next: &impl CallService,
    ) -> Result<Reply> {
        let name = FlightName::of(&call, &question.key);
        loop {
            let landing = match self.flights.board(&name) {
                Seat::Lead(lead) => Err(lead),
                Seat::Follow(follower) => follower.wait().await,
            };
            match landing {
                Err(lead) => {
                    // The one before may have landed since this call looked.
                    let kept = self.shelf.exact().at_hand(&question.key);
                    if let Some(entry) = kept.filter(|entry| self.is_fresh(entry, &question)) {
                        lead.land(Landing::Whole(Arc::clone(&entry)));
                        lead.end();
                        return Ok(self.give(&entry, &question.key, None));
                    }
                    return self.ask(question, place, Some(lead), (call, next)).await;
                }
                Ok(Landing::Whole(entry)) => {
                    Figures::one_more(&self.figures.joined);
                    return Ok(self.give(&entry, &question.key, None));
                }
                Ok(Landing::Streams(head, sharing)) => match sharing.join() {
                    Ok(frames) => {
                        Figures::one_more(&self.figures.hits);
                        Figures::one_more(&self.figures.joined);
                        return Ok(Reply { head: head.again(&question.key, None, None).into(), frames });
                    }
                    Err(Missed::Large) => return self.ask(question, place, None, (call, next)).await,
                    // The flight ends in this moment.
                    Err(Missed::Over) => yield_now().await,
                },
                Ok(Landing::Failed(err)) => {
                    let key = Arc::clone(&question.key.text);
                    let cached = Cached { key, hit: false, similarity: None, saved: None };
                    return Err(err.with_cached(Arc::new(cached)));
                }
            }
        }
    }

    async fn ask(
        &self,
        question: Question,
        place: Option<S::Place>,
        lead: Option<Arc<Lead>>,
        (mut call, next): (Call, &impl CallService),
    ) -> Result<Reply> {
        if let Some(inputs) = &question.inputs {
            return self.ask_vectors(&question, inputs, lead, (call, next)).await;
        }
        if question.reads {
            Figures::one_more(&self.figures.misses);
        }
        let tab = Tab::under(call.tab.take());
        call.tab = Some(Arc::clone(&tab));
        let fill = Fill {
            shelf: Arc::clone(&self.shelf),
            clock: Arc::clone(&self.clock),
            figures: Arc::clone(&self.figures),
            key: question.key.clone(),
            place: place.filter(|_| question.keeps),
            ttl: question.ttl,
            most: self.settings.max_entry_bytes,
            lead: lead.clone(),
            tab,
            output_cap: call.output_cap,
            held: call.hold.is_some(),
            told: None,
            seen: Seen::default(),
        };
        let Reply { mut head, mut frames } = arm(fill).follow(next.answer(call).await)?;
        if let Some(lead) = lead.filter(|_| head.streams && !frames.is_one()) {
            let (own, sharing) = share(frames, self.settings.max_entry_bytes);
            lead.land(Landing::Streams(crate::EntryHead::of(&head), sharing));
            frames = own;
        }
        let key = question.key.text;
        head.cached = Some(Arc::new(Cached { key, hit: false, similarity: None, saved: None }));
        Ok(Reply { head, frames })
    }

    pub(crate) fn is_fresh(&self, entry: &Entry, question: &Question) -> bool {
        question.max_age.is_none() || entry.is_fresh(self.clock.unix_seconds(), question.max_age)
    }

    fn give(&self, entry: &Entry, key: &Key, similarity: Option<f32>) -> Reply {
        Figures::one_more(&self.figures.hits);
        self.figures.save(entry.cost);
        entry.reply(key, similarity)
    }
}
