//! One question to Redis, and what its answer means.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use redis::{Cmd, RedisWrite, Script, ToRedisArgs, Value};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::hold::Taken;
use super::ours::{Amend, Books, Known, Ours, Said};
use super::rates::Seen;
use super::server::{ALIVE, AMEND, HOLD, RESET, TELL};
use super::up::Up;
use super::{Replica, SharedSettings};
use crate::attempt::ASK_AGAIN;
use crate::budget::Mode;
use crate::counters::{Grant, Refused, Reset};
use crate::need::Need;
use crate::rule::{Counter, Rule, Window, nano};
use crate::shard::{Key, Name, Span, index};

/// Whether all that a call needs is there.
pub(super) enum Answer {
    Granted {
        taken: Vec<Taken>,
        grant: Grant,
    },
    Refused(Refused),
    /// Others hold it.
    Later {
        rule: usize,
        refused: Refused,
    },
    /// The server was started anew and does not know yet what it has lost.
    Early,
    Away,
}

/// What was asked.
pub(super) struct Question {
    pub(super) up: Arc<Up>,
    pub(super) command: Cmd,
    sent: Instant,
    asked: SmallVec<[Asked; 4]>,
}

/// What a call needs, and what it has already.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) rules: &'a [Rule],
    pub(super) need: &'a Need,
    /// The budget that it is the first to wait for here.
    pub(super) first: Option<&'a Key>,
    /// What a call that runs has, and what its attempts have cost.
    pub(super) had: Option<(&'a [Taken], u64)>,
}

struct Asked {
    key: Key,
    limit: u64,
    lent: u64,
    said: Said,
    had: Option<Taken>,
    /// What the call had spent.
    spent: u64,
}

/// Numbers of Redis that are counted here.
fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Milliseconds of Redis, where it knows any.
fn natural_time(millis: i64) -> Option<Duration> {
    u64::try_from(millis).ok().map(Duration::from_millis)
}

// === impl Question ===

impl Question {
    /// Asks for all that a call needs.
    pub(super) fn of_call(replica: &Replica, up: Arc<Up>, wish: Wish<'_>) -> Self {
        let Wish { rules, need, had, .. } = wish;
        let now = Instant::now();
        let mut command = begin(&HOLD, rules.len());
        let asked: SmallVec<[Asked; 4]> = rules.iter().map(|rule| wish.asks(rule)).collect();
        for asked in &asked {
            command.arg(replica.name(&asked.key));
        }
        introduce(replica, &up, &mut command, now);
        command.arg(i32::from(had.is_some())).arg(i32::from(need.is_free())).arg(nano(need.input));
        command.arg(need.of_all_answers(need.output.0)).arg(need.output_cap).arg(need.least_output);
        let mut question = Self { up, command, sent: now, asked };
        question.ask_rules(replica, wish);
        question
    }

    fn ask_rules(&mut self, replica: &Replica, wish: Wish<'_>) {
        let Wish { rules, need, first, .. } = wish;
        let (command, now) = (&mut self.command, self.sent);
        let mut books = replica.books.lock();
        for (rule, asked) in rules.iter().zip(&mut self.asked) {
            command.arg(letter(rule.counter)).arg(rule.limit).arg(rule.takes(need.tokens));
            command.arg(i32::from(asked.had.is_some()));
            let (span, ends) = window(&rule.window);
            if let Counter::Requests | Counter::Tokens = rule.counter {
                command.arg(span).arg(ends);
                continue;
            }
            let ours = books.of(&asked.key, || replica.new_life(), now);
            ours.ruled(ends, nano(rule.spent));
            // Said before the loan: it is part of what is held.
            let statement = ours.statement(rule.counter);
            asked.said = statement.said;
            if rule.counter == Counter::Money && !need.is_free() {
                asked.lent = ours.lend();
            }
            let (held, since) = asked.had.as_ref().map_or((0, asked.spent), |had| (had.amount, had.since));
            command.arg(replica.index(&asked.key)).arg(&statement.numbers[..]).arg(asked.lent);
            command.arg(held).arg(asked.spent.saturating_sub(since));
            let high = ours.recent.high();
            let expected = high.filter(|_| replica.settings.mode == Mode::Expected);
            command.arg(expected.map_or(-1, |tokens| i64::try_from(tokens).unwrap_or(i64::MAX)));
            command.arg(high.map_or(0, |tokens| tokens.saturating_mul(2)));
            command.arg(i32::from(first == Some(&asked.key)));
        }
    }

    /// Books the answer. One of a connection that was given up says nothing: what it took is told away again.
    pub(super) fn hear(self, replica: &Replica, answer: Option<Value>) -> Answer {
        let answer = answer.and_then(|answer| redis::from_redis_value::<Vec<i64>>(answer).ok());
        let mut books = replica.books.lock();
        let answer = answer.filter(|_| replica.link.is_current(&self.up)).unwrap_or_default();
        match answer.as_slice() {
            [1, output, figures @ ..] => {
                self.see_all(replica, &mut books, figures);
                let (taken, remaining) = self.granted(&mut books, figures);
                Answer::Granted { taken, grant: Grant { output: natural(*output), remaining } }
            }
            [code, rule, taken, resets] => {
                self.denied(&mut books, *code);
                if *code == REFUSED
                    && let Some(asked) = usize::try_from(*rule).ok().and_then(|place| self.asked.get(place))
                {
                    books.rates.see(&asked.key, Seen::until(natural(*taken), 0, natural_time(*resets)));
                }
                refusal([*code, *rule, *taken, *resets])
            }
            _ => {
                self.denied(&mut books, STALE);
                Answer::Away
            }
        }
    }

    fn granted(self, books: &mut Books, figures: &[i64]) -> (Vec<Taken>, SmallVec<[u64; 8]>) {
        let (mut taken, mut remaining) = (Vec::new(), SmallVec::new());
        for (asked, figures) in self.asked.into_iter().zip(figures.chunks_exact(FIGURES)) {
            let [left, amount, ends, born, base, extra] = *figures else { continue };
            let amount = natural(amount);
            remaining.push(natural(left));
            let had = asked.had.as_ref();
            match (asked.key.counter, books.known(&asked.key)) {
                (Counter::Money, Some(ours)) => {
                    ours.learn(Known { born, base, ends });
                    let named_before = taken.iter().any(|one: &Taken| one.key == asked.key);
                    if !named_before {
                        let before = had.map_or(0, |had| had.amount);
                        ours.granted(asked.lent, [before, amount], natural(extra));
                    }
                    ours.heard(asked.said, self.sent);
                }
                (Counter::Parallel, Some(ours)) => {
                    if had.is_none() {
                        ours.permitted();
                    }
                    ours.heard(asked.said, self.sent);
                }
                _ => {}
            }
            let fresh = Taken { key: asked.key, amount, ends, since: asked.spent };
            let kept = asked.had.map(|had| match had.key.counter {
                Counter::Money => Taken { amount, ..had },
                Counter::Requests | Counter::Tokens | Counter::Parallel => had,
            });
            push_distinct(&mut taken, kept.unwrap_or(fresh));
        }
        (taken, remaining)
    }

    /// Remembers how far rates were used, for the time when Redis does not tell.
    fn see_all(&self, replica: &Replica, books: &mut Books, figures: &[i64]) {
        for (asked, figures) in self.asked.iter().zip(figures.chunks_exact(FIGURES)) {
            if let (Counter::Requests | Counter::Tokens, [left, _, ends, ..]) = (asked.key.counter, figures) {
                let used = asked.limit.saturating_sub(natural(*left));
                books.rates.see(&asked.key, Seen::until(used, *ends, replica.link.ahead(*ends)));
            }
        }
    }

    /// It took nothing.
    fn denied(&self, books: &mut Books, code: i64) {
        for asked in &self.asked {
            let Some(ours) = books.known(&asked.key) else { continue };
            ours.return_loan(asked.lent);
            if code != STALE {
                ours.heard(asked.said, self.sent);
            }
            // What did not suffice here may be what somebody else waits for.
            if code == LATER && asked.lent > 0 {
                ours.give_reserve();
            }
        }
    }
}

// === impl Wish ===

impl Wish<'_> {
    fn asks(&self, rule: &Rule) -> Asked {
        let key = Key::of(rule);
        let (had, spent) = self.had.unwrap_or_default();
        let had = had.iter().find(|had| had.key == key).cloned();
        Asked { key, limit: rule.limit, lent: 0, said: Said::default(), had, spent }
    }
}

/// What the script answers where it does not grant: see there.
const REFUSED: i64 = 0;
const LATER: i64 = 2;
const STALE: i64 = 3;
const EARLY: i64 = 4;

fn refusal([code, rule, taken, resets]: [i64; 4]) -> Answer {
    let rule = usize::try_from(rule).unwrap_or(usize::MAX);
    let resets_in = natural_time(resets);
    let full = |resets_in| Refused::Full { rule, taken: natural(taken), resets_in };
    match code {
        REFUSED => Answer::Refused(full(resets_in)),
        LATER => Answer::Later { rule, refused: full(Some(ASK_AGAIN)) },
        EARLY => Answer::Early,
        _ => Answer::Away,
    }
}

/// So many numbers of a granted question are about each rule.
const FIGURES: usize = 6;

/// Tells what this replica holds of one count; answers what is told.
pub(super) fn telling(replica: &Replica, up: &Up, key: &Key, ours: &mut Ours) -> (Cmd, Said) {
    let mut command = begin(&TELL, 1);
    command.arg(replica.name(key));
    introduce(replica, up, &mut command, Instant::now());
    let statement = ours.statement(key.counter);
    command.arg(replica.index(key)).arg(&statement.numbers[..]);
    (command, statement.said)
}

/// Says that this replica lives.
pub(super) fn living(replica: &Replica) -> Cmd {
    let mut command = begin(&ALIVE, 1);
    let SharedSettings { namespace, replica, lease, .. } = &replica.settings;
    command.arg(format!("{namespace}:replicas")).arg(replica).arg(millis(*lease));
    command
}

/// Puts right what was counted in windows.
pub(super) fn amending(replica: &Replica, up: &Up, key: &Key, batch: u64, amends: &[Amend]) -> Cmd {
    let mut command = begin(&AMEND, 1);
    command.arg(replica.name(key));
    introduce(replica, up, &mut command, Instant::now());
    let (span, ends) = key.span.length().map_or_else(
        || (0, amends.iter().map(|amend| amend.taken_in).max().unwrap_or(0)),
        |length| (millis(length), 0),
    );
    command.arg(batch).arg(span).arg(ends).arg(amends.len());
    for Amend { taken_in, difference, excess } in amends {
        command.arg(*taken_in).arg(*difference).arg(*excess);
    }
    command
}

/// Sets what is spent of the budgets of one thing.
pub(super) fn resetting(replica: &Replica, up: &Up, reset: &Reset) -> Cmd {
    let Reset { scope, id, period, spent, .. } = reset;
    let mut command = begin(&RESET, 1);
    command.arg(index(&replica.settings.namespace, scope, id));
    introduce(replica, up, &mut command, Instant::now());
    let span = period.as_ref().map_or(Span::Forever, |name| Span::Period(Arc::clone(name)));
    let own = Key { scope, id: Arc::clone(id), counter: Counter::Money, span };
    command.arg(nano(*spent)).arg(replica.name(&own));
    command
}

fn begin(script: &Script, keys: usize) -> Cmd {
    // What a rule of a budget takes, roughly.
    let mut command = Cmd::with_capacity(16 + 32 * keys, 128 + 384 * keys);
    command.arg("EVALSHA").arg(script.get_hash()).arg(keys);
    command
}

impl ToRedisArgs for Name<'_> {
    fn write_redis_args<W: RedisWrite + ?Sized>(&self, out: &mut W) {
        out.write_arg_fmt(self);
    }
}

/// Who asks.
fn introduce(replica: &Replica, up: &Up, command: &mut Cmd, now: Instant) {
    let lease = replica.settings.lease;
    let steady = now.duration_since(up.since) >= lease;
    command
        .arg(&replica.settings.replica)
        .arg(up.epoch)
        .arg(millis(lease))
        .arg(i32::from(steady))
        .arg(up.ready);
}

fn letter(counter: Counter) -> &'static str {
    match counter {
        Counter::Requests => "r",
        Counter::Tokens => "t",
        Counter::Parallel => "p",
        Counter::Money => "m",
    }
}

/// How long it rolls, and when it ends, in milliseconds.
fn window(window: &Window) -> (i64, i64) {
    match window {
        Window::Rolling(length) => (millis(*length), 0),
        Window::Period { ends, .. } => (0, millis(ends.duration_since(UNIX_EPOCH).unwrap_or_default())),
        Window::Forever => (0, 0),
    }
}

pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// A budget that is named twice was taken from once, and books what the call costs once.
pub(super) fn push_distinct(taken: &mut Vec<Taken>, one: Taken) {
    if one.key.counter != Counter::Money || taken.iter().all(|other| other.key != one.key) {
        taken.push(one);
    }
}
