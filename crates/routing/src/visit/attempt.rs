//! One attempt, and what it says about its deployment.

use std::sync::Arc;

use gatewright_core::{AttemptId, Call, CallService, Error, ErrorKind, Reply, Result, Target, arm, frames};
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::Visit;
use super::ending::{Ending, Judge};
use crate::queue::Freeing;
use crate::seen::{Busy, Trial};
use crate::table::Member;
use crate::trip::Trip;

impl Visit<'_> {
    pub(super) async fn attempt(
        &self,
        member: &Arc<Member>,
        mut call: Call,
        next: &impl CallService,
    ) -> Result<Reply> {
        let begun = Instant::now();
        // What it has of the deployment's limits is given back below, and only then this tells of it.
        let mut freeing = member.deployment.limited.then(|| Freeing::begin(member.seen.clone()));
        let busy = Busy::begin(member.seen.clone(), begun);
        call.turn = self.queued.turn();
        call.target = Some(Arc::new(self.target(member)));
        let stream = call.stream;
        // In a box: a future that is made here and moved into another one would be kept twice.
        let answer = Box::pin(async {
            let Reply { head, frames } = next.answer(call).await?;
            Ok(Reply { head, frames: frames::hold_until_content(frames).await? })
        });
        // The layers below keep the attempt's own times; this is the stop behind them.
        let result = match timeout_at(self.trip.patience.content_by, answer).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(ErrorKind::Timeout, "litellm.Timeout: Request timed out.")),
        };
        let now = Instant::now();
        let trial = |err: Option<&Error>| Trial {
            first_content: now - begun,
            whole: now - begun,
            stream,
            output: None,
            failed: err.is_some(),
            timed_out: err.is_some_and(|err| err.kind() == ErrorKind::Timeout),
        };
        match result {
            Ok(reply) => {
                member.seen.health.succeeded(now);
                let ending = Ending { judge: self.judge(member), busy, begun, first_content: now, stream };
                match reply.frames.peek_one().map(|frame| frame.usage) {
                    Some(usage) => {
                        ending.ended(usage, None, now);
                        match freeing {
                            Some(freeing) => arm(freeing).follow(Ok(reply)),
                            None => Ok(reply),
                        }
                    }
                    // What fails before the first content is told below; the observer sees what comes after it.
                    None => match freeing {
                        Some(freeing) => arm(freeing).follow(arm(ending).follow(Ok(reply))),
                        None => arm(ending).follow(Ok(reply)),
                    },
                }
            }
            Err(err) => {
                if err.kind() == ErrorKind::LimitReached {
                    freeing.iter_mut().for_each(Freeing::refused);
                    busy.refused(begun);
                }
                if self.says_something(&err) {
                    let trial = trial(Some(&err));
                    self.failed_at(member, &err, now);
                    self.route.group.pick.learn(&member.seen, &trial, now);
                    if let Some(witness) = &self.trip.table.settings.witness {
                        witness.ended(&member.deployment, &trial, Some(&err));
                    }
                }
                Err(err)
            }
        }
    }

    fn target(&self, member: &Member) -> Target {
        let Trip { table, patience, .. } = &*self.trip;
        let times = patience.times(&member.deployment, &table.settings, Instant::now());
        Target {
            attempt: AttemptId::fresh(),
            deployment: member.deployment.id.clone(),
            group: self.route.name.clone(),
            shown: self.trip.shown(self.route),
            model: self.route.model_for(&member.deployment),
            first_content: times.first_content,
            idle: times.idle,
            deadline: times.deadline.into_std(),
        }
    }

    /// Whether a failure says something about the deployment.
    fn says_something(&self, err: &Error) -> bool {
        match err.kind() {
            // A client in a hurry says nothing about it.
            ErrorKind::Timeout => self.trip.patience.asked.is_none(),
            // Nor does one that makes up a model's name.
            ErrorKind::NotFound if self.route.is_wildcard() => false,
            // Nor does a refusal of the gateway's own: nothing was sent.
            _ => err.provider().is_some(),
        }
    }

    fn failed_at(&self, member: &Arc<Member>, err: &Error, now: Instant) {
        debug!(deployment = %member.deployment.id, group = %self.route.name, kind = ?err.kind(), "attempt failed");
        let judge = self.judge(member);
        let rest = member.seen.health.failed(err, now, judge.judgement(err, now));
        judge.tell_of(rest, err);
    }

    fn judge(&self, member: &Arc<Member>) -> Judge {
        let settings = &self.trip.table.settings;
        Judge {
            group: self.route.group.clone(),
            member: member.clone(),
            rest: settings.cooldown_time,
            allowed: settings.allowed_fails.clone(),
            end: self.trip.patience.end,
            witness: settings.witness.clone(),
        }
    }
}
