//! The wait for capacity, where every deployment that may serve the call is full.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{Decision, Error, Result, Tenant, Turn};
use tokio::time::{Instant, timeout_at};

use super::Visit;
use crate::Seen;
use crate::queue::{Listening, Place, Standing};
use crate::table::Member;

/// The least time until a refused attempt is made again for its time alone.
const LEAST: Duration = Duration::from_millis(100);

/// What a limit asks for that does not know when it has room again.
const MOMENT: Duration = Duration::from_secs(1);

/// A call that waits for capacity, or may come to.
#[derive(Default)]
pub(super) struct Queued {
    /// Its place in the line.
    place: Option<Arc<Place>>,
    /// The deployments that refused it, as far as they may still be full.
    full: Vec<Full>,
    /// How often the deployment of the next attempt had got capacity back when it was chosen.
    mark: u64,
    /// When its wait is over; one time for all waits at the group.
    until: Option<Instant>,
}

/// A deployment that was full.
struct Full {
    at: usize,
    /// How often it had got capacity back when it was asked.
    mark: u64,
    /// When it has capacity again by itself.
    due: Option<Instant>,
}

// === impl Queued ===

impl Queued {
    /// Looks before an attempt, so that what is given back while it is refused is not missed.
    pub(super) fn mark(&mut self, member: &Member) {
        self.mark = if member.deployment.limited { member.seen.room.freed() } else { 0 };
    }

    /// The last attempt was let in: whatever became of it, the next wait is another one.
    pub(super) fn let_in(&mut self) {
        self.place = None;
    }

    /// What an attempt is to tell when it was let in.
    pub(super) fn turn(&self) -> Option<Arc<dyn Turn>> {
        self.place.clone().map(|place| place as Arc<dyn Turn>)
    }
}

impl Visit<'_> {
    /// Where the first attempt goes: a call does not overtake those that wait.
    pub(super) async fn come(&mut self) -> Result<usize> {
        let refusal = match self.trip.may_wait_at(self.route) {
            true => self.refusal_before(),
            false => None,
        };
        match refusal {
            None => Ok(self.first(Instant::now())),
            Some(refusal) => self.stand(&refusal).await.ok_or(refusal),
        }
    }

    /// Keeps what a refusal at this place says.
    pub(super) fn refused(&mut self, err: &Error, at: usize) {
        self.queued.full.push(Full { at, mark: self.queued.mark, due: due(err) });
        if let Some(place) = &self.queued.place {
            place.refused(err);
        }
    }

    /// Waits for its turn and for capacity, and answers where to go then. A call that has somewhere else to go does not
    /// wait, nor does one that will wait where it came first.
    pub(super) async fn stand(&mut self, refusal: &Error) -> Option<usize> {
        let begun = Instant::now();
        if self.leads_on || self.trip.full.is_some() || !self.trip.may_wait_at(self.route) {
            return None;
        }
        let until = self.trip.wait_until(begun);
        let until = *self.queued.until.get_or_insert(until);
        // Where it came to a line it was not refused itself yet.
        let in_time = match self.stay.tried.is_empty() {
            true => is_in_time(due(refusal), until),
            false => self.has_hope(until),
        };
        if begun >= until || !in_time {
            return None;
        }
        let found = self.stand_until(refusal, until).await;
        if found.is_none() {
            self.queued.place = None;
        }
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.trip.note(|| Decision::Waited { millis, what: "for capacity" });
        found
    }

    async fn stand_until(&mut self, refusal: &Error, until: Instant) -> Option<usize> {
        let place = match &self.queued.place {
            Some(place) => place.clone(),
            None => self.queued.place.insert(self.join(refusal)?).clone(),
        };
        loop {
            let (now, standing) = (Instant::now(), place.standing());
            let found = if standing == Standing::First { self.ready(now) } else { None };
            if found.is_some() || now >= until {
                return found;
            }
            match standing {
                Standing::First if self.has_hope(until) => self.listen(&place, until).await,
                Standing::First | Standing::Gone => return None,
                Standing::Behind => drop(timeout_at(until, place.bell.notified()).await),
            }
        }
    }

    fn join(&self, refusal: &Error) -> Option<Arc<Place>> {
        let call = self.trip.call.as_ref()?;
        let who = (self.priority(), Tenant::of(&call.caller));
        Place::join(self.seen_here().cloned().collect(), who, self.trip.table.settings.queue.length, refusal)
    }

    /// Where to try, if any deployment may have capacity since it was tried.
    fn ready(&mut self, now: Instant) -> Option<usize> {
        let (members, tried) = (&self.route.group.members, &mut self.stay.tried);
        let may_have = |full: &Full| {
            let freed = members.get(full.at).is_some_and(|member| member.seen.room.freed() != full.mark);
            freed || full.due.is_some_and(|due| due <= now)
        };
        self.queued.full.retain(|full| {
            let still = !may_have(full);
            if !still {
                tried.retain(|at| *at != full.at);
            }
            still
        });
        self.with_room(now)
    }

    /// Until one of the full deployments may have capacity, or something changed in the line.
    async fn listen(&self, place: &Place, until: Instant) {
        let members = &self.route.group.members;
        let full = || self.queued.full.iter().filter_map(|full| Some((full, &*members.get(full.at)?.seen)));
        let listening = Listening::to(full().map(|(_, seen)| seen).collect(), &place.bell);
        if full().all(|(full, seen)| seen.room.freed() == full.mark) {
            let due = self.queued.full.iter().filter_map(|full| full.due).min();
            drop(timeout_at(due.unwrap_or(until).min(until), listening.rung()).await);
        }
    }

    /// Whether any of the full deployments may have capacity in time.
    fn has_hope(&self, until: Instant) -> bool {
        self.queued.full.iter().any(|full| is_in_time(full.due, until))
    }

    /// Why the first one waits here, where this call stands behind somebody.
    fn refusal_before(&self) -> Option<Error> {
        self.seen_here().next()?.lines.before(self.seen_here(), self.priority())
    }

    fn priority(&self) -> i64 {
        let asked = self.trip.call.as_ref().and_then(|call| call.controls.priority);
        asked.unwrap_or(self.trip.table.settings.queue.priority)
    }

    /// What was seen of the deployments that may serve the call.
    fn seen_here(&self) -> impl Iterator<Item = &Arc<Seen>> {
        let seen = self.route.group.seen.iter().enumerate();
        seen.filter(|(at, _)| self.stay.list.has(*at)).map(|(_, seen)| seen)
    }
}

/// When a deployment that was refused has capacity again by itself.
fn due(refusal: &Error) -> Option<Instant> {
    refusal.retry_after().map(|wait| Instant::now() + wait.max(LEAST))
}

/// Whether capacity comes back in time. A refusal that asks for a moment only says that nobody knows when.
fn is_in_time(due: Option<Instant>, until: Instant) -> bool {
    due.is_some_and(|due| due <= until.max(Instant::now() + MOMENT))
}
