//! The policy that journals every attempt before and after.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_core::{
    AttemptId, Auditor, Booking, Cached, Call, CallService, Caller, Clock, Controls, CostParts, Error,
    ErrorKind, Frame, Head, Middleware, Money, Notes, Observer, Origin, Outcome, Reply, Result, Tab, Target,
    TraceContext, Usage, arm,
};

use serde_json::json;

use crate::bill::{Bill, believable, believable_cost, bill, so_far};
use crate::journal::{Journal, Ticket};
use crate::record::{Begin, Certainty, Checkpoint, Ending, MOST_TAGS, Settle, Spared, Tenant};
use crate::wire::LONGEST_TEXT;

/// A stream is noted again after so much output.
const CHECKPOINT_BYTES: u64 = 32 << 10;

/// And after so long.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(10);

/// Bytes of all tags of an attempt as a list in JSON. What is beyond is left out: a record takes 4,608 bytes with all that it
/// names, and PostgreSQL's indexes take 2,700.
const MOST_TAG_BYTES: usize = 2_000;

/// Whose account attempts of mirrored calls go on, and what marks them.
const MIRROR: &str = "mirror";
const MIRROR_TAG: &str = "is_silent_experiment";

/// Knows what an attempt may cost, and what it did cost.
pub trait Tariff: Send + Sync + 'static {
    /// The prices for the deployment that the call was routed to.
    fn quote(&self, call: &Call) -> Quote;
}

/// What an attempt may cost.
#[derive(Clone)]
pub struct Quote {
    /// The provider's name.
    pub provider: Arc<str>,
    /// The model's name at the provider.
    pub model: Arc<str>,
    /// Input tokens as counted here.
    pub input_estimate: u64,
    /// What is billed by the piece, as far as the request says it.
    pub pieces: Usage,
    /// The most output tokens that the upstream is allowed.
    pub output_cap: u64,
    /// The most that it can cost.
    pub bound: Money,
    /// What a usage costs.
    pub charge: Arc<dyn Charge>,
}

/// Tells what a usage costs.
pub trait Charge: Send + Sync {
    /// All of it.
    fn cost(&self, usage: &Usage) -> Money;

    /// What that is made of.
    fn parts(&self, usage: &Usage) -> CostParts;
}

/// Journals every attempt: stands below the router, right above the upstream.
#[derive(Clone)]
pub struct Ledgered {
    books: Arc<Books>,
    tariff: Arc<dyn Tariff>,
}

/// Where attempts are booked.
struct Books {
    journal: Journal,
    clock: Arc<dyn Clock>,
    auditor: Option<Arc<dyn Auditor>>,
}

/// One attempt on its way.
struct Attempt {
    books: Arc<Books>,
    ticket: Ticket,
    charge: Arc<dyn Charge>,
    tab: Option<Arc<Tab>>,
    /// What an auditor wants to know of it, where there is one.
    audited: Option<Audited>,
    attempt: AttemptId,
    /// What it uses where the provider says nothing.
    foreseen: Usage,
    started: Instant,
    usage: Option<Usage>,
    content: u64,
    noted_content: u64,
    noted_at: Instant,
    notes: Option<Notes>,
}

/// Whose attempt it is, and where it went.
struct Audited {
    origin: Arc<Origin>,
    model: Arc<str>,
    target: Arc<Target>,
    stream: bool,
    mirrored: bool,
}

// === impl Ledgered ===

impl Ledgered {
    /// Writes to `journal` what `tariff` says.
    pub fn new(journal: Journal, tariff: Arc<dyn Tariff>, clock: Arc<dyn Clock>) -> Self {
        Self { books: Arc::new(Books { journal, clock, auditor: None }), tariff }
    }

    /// Shows what is booked to this one, where there is one.
    pub fn audited_by(self, auditor: Option<Arc<dyn Auditor>>) -> Self {
        let Books { journal, clock, .. } = &*self.books;
        let (journal, clock) = (journal.clone(), Arc::clone(clock));
        Self { books: Arc::new(Books { journal, clock, auditor }), ..self }
    }

    fn begin(&self, call: &Call, quote: &Quote) -> Result<Attempt> {
        let target = call.target()?;
        let foreseen = Usage { input: quote.input_estimate, ..quote.pieces };
        let floor = quote.charge.cost(&foreseen);
        let begin = Begin {
            attempt: target.attempt,
            call: call.id,
            caller: if call.mirror_of.is_some() { MIRROR.into() } else { Arc::clone(&call.caller.id) },
            tenant: tenant(call),
            group: Arc::clone(&target.group),
            deployment: Arc::clone(&target.deployment),
            provider: Arc::clone(&quote.provider),
            model: Arc::clone(&quote.model),
            started: 0,
            input_estimate: quote.input_estimate,
            output_cap: quote.output_cap,
            floor,
            bound: quote.bound.max(floor),
            spared: call.spared.as_deref().map(spared),
        };
        let ticket = self.books.journal.begin(&begin).map_err(|err| {
            Error::new(ErrorKind::Unavailable, "the spend journal takes no more calls")
                .with_detail(err.to_string())
        })?;
        let now = self.books.clock.now();
        Ok(Attempt {
            audited: self.books.auditor.as_ref().and_then(|_| Audited::of(call)),
            books: Arc::clone(&self.books),
            ticket,
            charge: Arc::clone(&quote.charge),
            tab: call.tab.clone(),
            attempt: target.attempt,
            foreseen,
            started: now,
            usage: None,
            content: 0,
            noted_content: 0,
            noted_at: now,
            notes: None,
        })
    }
}

impl Middleware for Ledgered {
    async fn handle(&self, call: Call, next: &impl CallService) -> Result<Reply> {
        if !call.operation.is_billed() {
            return next.answer(call).await;
        }
        if call.is_left() {
            return Err(Error::new(ErrorKind::ClientGone, "the client left"));
        }
        let quote = self.tariff.quote(&call);
        let attempt = self.begin(&call, &quote)?;
        let mut reply = arm(attempt).follow(next.answer(call).await)?;
        if let Some(usage) = reply.frames.peek_one().and_then(|frame| frame.usage) {
            reply.head.cost = Some(quote.charge.cost(&usage));
        }
        Ok(reply)
    }
}

// === impl Attempt ===

impl Attempt {
    fn priced(&self, usage: Usage, certainty: Certainty) -> (Usage, Money, Certainty) {
        let usage = believable(usage);
        (usage, believable_cost(self.charge.cost(&usage)), certainty)
    }

    /// Notes how far the stream is. The last frame is not worth it: the end follows at once.
    fn note(&mut self, now: Instant) {
        let so_far = so_far(self.usage, self.content, self.foreseen);
        let (usage, cost, _) = self.priced(so_far, Certainty::Estimated);
        let checkpoint = Checkpoint { attempt: self.attempt, usage, cost };
        self.books.journal.checkpoint(&self.ticket, &checkpoint);
        (self.noted_content, self.noted_at) = (self.content, now);
    }
}

impl Observer for Attempt {
    fn head(&mut self, head: &Head) {
        self.notes.clone_from(&head.notes);
    }

    fn frame(&mut self, frame: &Frame) -> ControlFlow<Error> {
        self.usage = frame.usage.or(self.usage);
        self.content += u64::from(frame.content);
        if !frame.last && frame.content > 0 {
            let now = self.books.clock.now();
            let much = self.content - self.noted_content >= CHECKPOINT_BYTES;
            if much || now.saturating_duration_since(self.noted_at) >= CHECKPOINT_AFTER {
                self.note(now);
            }
        }
        ControlFlow::Continue(())
    }

    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let bill = bill(outcome, self.foreseen);
        let billed = bill != Bill::Nothing;
        let (usage, cost, certainty) = match bill {
            Bill::Nothing => (Usage::default(), Money::ZERO, Certainty::Exact),
            Bill::Exact(usage) => self.priced(usage, Certainty::Exact),
            Bill::Estimated(usage) => self.priced(usage, Certainty::Estimated),
        };
        let settle = Settle {
            attempt: self.attempt,
            ending: Ending::at(outcome.end),
            certainty,
            usage,
            cost,
            first_content: outcome.first_content.map(|at| at.saturating_duration_since(self.started)),
            duration: self.books.clock.now().saturating_duration_since(self.started),
            response: self
                .notes
                .as_ref()
                .and_then(|notes| notes.look(|facts| facts.id.as_deref().map(Into::into))),
        };
        if let Some(tab) = &self.tab {
            let parts = || if billed { self.charge.parts(&usage) } else { CostParts::default() };
            tab.book(cost, parts);
        }
        self.books.journal.settle(self.ticket, &settle);
        if let (Some(auditor), Some(audited)) = (&self.books.auditor, &self.audited) {
            auditor.booked(&audited.booking(&settle, outcome));
        }
    }
}

// === impl Audited ===

impl Audited {
    fn of(call: &Call) -> Option<Self> {
        Some(Self {
            origin: Arc::clone(&call.origin),
            model: Arc::clone(&call.model),
            target: call.target.clone()?,
            stream: call.stream,
            mirrored: call.mirror_of.is_some(),
        })
    }

    fn booking<'a>(&'a self, settle: &Settle, outcome: &'a Outcome<'a>) -> Booking<'a> {
        Booking {
            origin: &self.origin,
            model: &self.model,
            target: &self.target,
            stream: self.stream,
            mirrored: self.mirrored,
            usage: settle.usage,
            cost: settle.cost,
            took: settle.duration,
            first_content: settle.first_content,
            outcome,
        }
    }
}

/// What the cache gave of an answer whose rest is asked for.
fn spared(cached: &Cached) -> Spared {
    let saved = believable_cost(cached.saved.unwrap_or(Money::ZERO));
    Spared { key: Arc::clone(&cached.key), saved, whole: false }
}

/// On whose account the call goes.
fn tenant(call: &Call) -> Tenant {
    let (controls, traced) = (&call.controls, call.trace.as_deref());
    if let Some(copied) = call.mirror_of {
        let trace = trace(controls, traced).or_else(|| Some(copied.to_string().into()));
        return Tenant { trace, tags: vec![MIRROR_TAG.into()], ..Tenant::default() };
    }
    account(&call.caller, controls, traced)
}

/// On whose account a call of this caller goes.
pub(crate) fn account(caller: &Caller, controls: &Controls, traced: Option<&TraceContext>) -> Tenant {
    let own = controls.tags.iter().filter(|tag| !caller.tags.contains(tag));
    Tenant {
        team: caller.team.clone(),
        user: caller.user.clone(),
        organization: caller.organization.clone(),
        project: caller.project.clone(),
        customer: controls.end_user.clone(),
        trace: trace(controls, traced),
        tags: kept_tags(caller.tags.iter().chain(own)),
    }
}

/// The client's name for the trace, else its own.
fn trace(controls: &Controls, traced: Option<&TraceContext>) -> Option<Arc<str>> {
    let own = || traced.map(TraceContext::trace_text);
    controls.trace_id.clone().or_else(own)
}

/// As many tags as a database can keep together in an index.
fn kept_tags<'a>(tags: impl Iterator<Item = &'a Arc<str>>) -> Vec<Arc<str>> {
    let mut room = MOST_TAG_BYTES;
    let fits = |tag: &&Arc<str>| {
        let length = json!(&tag[..tag.floor_char_boundary(LONGEST_TEXT)]).to_string().len();
        let fits = length <= room;
        room -= if fits { length } else { 0 };
        fits
    };
    tags.filter(fits).take(MOST_TAGS).cloned().collect()
}

#[cfg(test)]
mod tests {
    use gatewright_core::CallId;

    use super::*;
    use crate::record::Hit;
    use crate::segment::LONGEST_PAYLOAD;
    use crate::wire::{Writer, usage_fields_mut};

    #[test]
    fn the_longest_record_of_an_attempt_can_be_read() {
        let text: Arc<str> = "x".repeat(LONGEST_TEXT).into();
        for length in [1, 95, 97, 98, 120, LONGEST_TEXT] {
            let tags: Vec<Arc<str>> = (0..100).map(|n| format!("{n:x>length$}").into()).collect();
            let tenant = Tenant {
                team: Some(text.clone()),
                user: Some(text.clone()),
                organization: Some(text.clone()),
                project: Some(text.clone()),
                customer: Some(text.clone()),
                trace: Some(text.clone()),
                tags: kept_tags(tags.iter()),
            };
            let begin = Begin {
                attempt: AttemptId::fresh(),
                call: CallId::fresh(),
                caller: text.clone(),
                tenant,
                group: text.clone(),
                deployment: text.clone(),
                provider: text.clone(),
                model: text.clone(),
                started: u64::MAX,
                input_estimate: u64::MAX,
                output_cap: u64::MAX,
                floor: Money::MAX,
                bound: Money::MAX,
                spared: Some(Spared { key: text.clone(), saved: Money::MAX, whole: true }),
            };
            let most = u64::MAX;
            let mut usage = Usage { reported_cost: Some(Money::MAX), ..Usage::default() };
            usage_fields_mut(&mut usage).into_iter().for_each(|count| *count = most);
            let settle = Settle {
                attempt: begin.attempt,
                ending: Ending::Failed { kind: text.clone(), status: u16::MAX },
                certainty: Certainty::Exact,
                usage,
                cost: Money::ZERO,
                first_content: Some(Duration::MAX),
                duration: Duration::MAX,
                response: None,
            };
            for encode in [|hit: &Hit, out: &mut Writer| hit.begin.encode(out), Hit::encode] {
                let mut out = Writer::default();
                encode(&Hit { begin: begin.clone(), settle: settle.clone() }, &mut out);
                let written = out.as_mut_slice().len();
                assert!(written <= LONGEST_PAYLOAD, "{length}: {written}");
            }
        }
    }
}
