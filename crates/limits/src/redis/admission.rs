//! How a call is let in where counts are shared, and how what it holds is fitted to its attempts.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Replica;
use super::gate::{Gate, Turn};
use super::hold::{SharedHold, Stock};
use super::question::{Answer, Question, Wish};
use super::server::HOLD;
use crate::counters::{Grant, Refused};
use crate::need::Need;
use crate::rule::{Counter, Rule};
use crate::shard::Key;

/// So often the first that waits looks whether other replicas gave something back.
const LOOK: Duration = Duration::from_millis(50);

impl Replica {
    /// Takes all that a call needs. Where others hold it, waits for them: behind those that wait here already.
    pub(super) async fn admit(
        self: &Arc<Self>,
        rules: &[Rule],
        need: &Need,
        wait: Duration,
    ) -> Result<(SharedHold, Grant), Refused> {
        let mut turn: Option<Turn> = None;
        let admitted = self.admit_in_turn(rules, need, Instant::now() + wait, &mut turn).await;
        if turn.is_some() {
            drop(turn);
            // Others may go first now.
            self.news.notify_one();
        }
        admitted
    }

    async fn admit_in_turn(
        self: &Arc<Self>,
        rules: &[Rule],
        need: &Need,
        until: Instant,
        turn: &mut Option<Turn>,
    ) -> Result<(SharedHold, Grant), Refused> {
        let waits = Instant::now() < until && !need.is_free();
        if let Some((key, gate)) = waits.then(|| self.crowded(rules)).flatten() {
            *turn = self.queue(key, &gate, until).await;
        }
        loop {
            let over = Instant::now() >= until;
            let denied = match self.ask(rules, need, turn.as_ref().map(Turn::budget)).await {
                Ok(held) => return Ok(held),
                Err(denied) => denied,
            };
            let (key, gate) = match denied {
                Answer::Refused(refused) => return Err(refused),
                Answer::Early => match self.set_aside(rules, need) {
                    Err(Refused::Away(_)) if !over => {
                        tokio::time::sleep(LOOK).await;
                        continue;
                    }
                    done => return done,
                },
                Answer::Later { refused, .. } if over => return Err(refused),
                Answer::Later { rule, refused } => self.gate(rules.get(rule)).ok_or(refused)?,
                Answer::Granted { .. } | Answer::Away => return self.set_aside(rules, need),
            };
            if turn.as_ref().is_none_or(|turn| !turn.is_at(&gate)) {
                drop(turn.take());
                *turn = self.queue(key, &gate, until).await;
            }
            // Who had to wait for its turn asks at once: the one before it may have found more than it needed.
            if let Some(turn) = turn.as_mut()
                && !turn.is_new()
            {
                turn.news(LOOK.min(until.saturating_duration_since(Instant::now()))).await;
            }
        }
    }

    /// Fits a hold to one more attempt of its call.
    pub(super) async fn fit(
        self: &Arc<Self>,
        stock: &Arc<Stock>,
        rules: &[Rule],
        need: &Need,
        spent: u64,
    ) -> Result<u64, Refused> {
        let before = stock.taken();
        let Some(up) = self.up() else { return self.fit_aside(stock, rules, need, spent) };
        let had = Some((&before[..], spent));
        let question = Question::of_call(self, up, Wish { rules, need, first: None, had });
        let (replica, own) = (Arc::clone(self), Arc::clone(stock));
        let asked = self.tasks.spawn(async move {
            let answer = replica.link.ask(&question.up, &HOLD, &question.command).await;
            match question.hear(&replica, answer) {
                Answer::Granted { taken, grant } => {
                    own.turn(&before, taken, spent);
                    Ok(grant.output)
                }
                denied => Err(denied),
            }
        });
        match asked.await.unwrap_or(Err(Answer::Away)) {
            Ok(output) => Ok(output),
            Err(Answer::Refused(refused) | Answer::Later { refused, .. }) => Err(refused),
            Err(Answer::Granted { .. } | Answer::Early | Answer::Away) => {
                self.fit_aside(stock, rules, need, spent)
            }
        }
    }

    /// One question. It goes on when the call is gone meanwhile: what it takes then comes back by itself.
    async fn ask(
        self: &Arc<Self>,
        rules: &[Rule],
        need: &Need,
        first: Option<&Key>,
    ) -> Result<(SharedHold, Grant), Answer> {
        let Some(up) = self.up() else { return Err(Answer::Away) };
        let question = Question::of_call(self, up, Wish { rules, need, first, had: None });
        let replica = Arc::clone(self);
        let asked = self.tasks.spawn(async move {
            let answer = replica.link.ask(&question.up, &HOLD, &question.command).await;
            match question.hear(&replica, answer) {
                Answer::Granted { taken, grant } => Ok((SharedHold::new(&replica, taken, None), grant)),
                denied => Err(denied),
            }
        });
        asked.await.unwrap_or(Err(Answer::Away))
    }

    /// A budget of the call that others of this replica wait for.
    fn crowded(&self, rules: &[Rule]) -> Option<(Key, Arc<Gate>)> {
        let money = rules.iter().filter(|rule| rule.counter == Counter::Money);
        money.filter_map(|rule| self.gate(Some(rule))).find(|(_, gate)| gate.waiting() > 0)
    }

    fn gate(&self, rule: Option<&Rule>) -> Option<(Key, Arc<Gate>)> {
        let key = Key::of(rule?);
        let gate = Arc::clone(&self.books.lock().known(&key)?.gate);
        Some((key, gate))
    }

    /// Waits for its turn. Whoever leaves is told of, for others may go first then.
    async fn queue(&self, key: Key, gate: &Arc<Gate>, until: Instant) -> Option<Turn> {
        let turn = gate.enter(key, until).await;
        if turn.is_none() {
            self.news.notify_one();
        }
        turn
    }
}
