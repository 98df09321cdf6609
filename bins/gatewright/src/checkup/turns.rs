//! Replicas that check in turns: through Redis one of them checks at a time, and tells the others what it found.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gatewright_limits::Shared;
use redis::{Pipeline, Value, from_redis_value};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use super::Verdict;

/// A turn ends by itself after so long without a word of who has it.
const TURN: Duration = Duration::from_secs(60);

/// How long a start waits for Redis, and how often it looks.
const FIRST_CONTACT: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// What was found is kept for so long at least.
const KEPT: Duration = Duration::from_secs(300);

/// Makes a turn longer, or ends it, where it is still that of who asks.
const LENGTHEN: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end";
const END: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end";

/// Whose turn it is.
pub(super) struct Turns<'a> {
    shared: &'a Shared,
    every: Duration,
    turn: String,
    found: String,
}

/// What there is to do.
pub(super) enum Turn {
    /// To check: it is this replica's turn.
    Ours,
    /// To wait: another one checks.
    Others,
    /// To take what another one found, so long ago.
    Found(HashMap<Arc<str>, Verdict>, Duration),
    /// To check for oneself: Redis is away.
    Away,
}

/// What a replica found.
#[derive(Serialize, Deserialize)]
struct Told {
    /// For how long it was to be kept, in milliseconds: what is left of that tells how old it is.
    kept: u64,
    verdicts: HashMap<Arc<str>, Verdict>,
}

// === impl Turns ===

impl<'a> Turns<'a> {
    /// Through this Redis, where each deployment is checked so often.
    pub(super) fn new(shared: &'a Shared, every: Duration) -> Self {
        Self { shared, every, turn: shared.key("checkup:turn"), found: shared.key("checkup:found") }
    }

    /// Waits for the first contact, but not long: whoever begins without one checks for itself.
    pub(super) async fn begin(&self) {
        let met = async {
            while !self.shared.sharing().connected {
                sleep(LOOK).await;
            }
        };
        let _ = timeout(FIRST_CONTACT, met).await;
    }

    /// Asks for a turn, and in the same step what was found last.
    pub(super) async fn ask(&self) -> Turn {
        let mut commands = Pipeline::new();
        let turn = commands.cmd("SET").arg(&self.turn).arg(self.shared.replica());
        turn.arg("NX").arg("PX").arg(millis(TURN));
        commands.get(&self.found).cmd("PTTL").arg(&self.found);
        let answers = self.shared.ask(&commands).await.map(<[Value; 3]>::try_from);
        let Some(Ok([taken, told, left])) = answers else { return Turn::Away };
        if let Value::ServerError(_) = taken {
            return Turn::Away;
        }
        let ours = matches!(taken, Value::Okay);
        match read(told, left).filter(|(_, age)| *age < self.every) {
            Some((verdicts, age)) => {
                if ours {
                    self.shared.ask(Pipeline::new().add_command(self.script(END))).await;
                }
                Turn::Found(verdicts, age)
            }
            None if ours => Turn::Ours,
            None => Turn::Others,
        }
    }

    /// Keeps the turn, for as long as it is let.
    pub(super) async fn keep(&self) {
        loop {
            sleep(TURN / 3).await;
            let mut lengthen = self.script(LENGTHEN);
            lengthen.arg(millis(TURN));
            self.shared.ask(Pipeline::new().add_command(lengthen)).await;
        }
    }

    /// Tells what was found, and ends the turn.
    pub(super) async fn end(&self, verdicts: HashMap<Arc<str>, Verdict>) {
        let told = Told { kept: millis(self.every.max(KEPT)), verdicts };
        let mut commands = Pipeline::new();
        if let Ok(text) = serde_json::to_string(&told) {
            commands.cmd("SET").arg(&self.found).arg(text).arg("PX").arg(told.kept);
        }
        commands.add_command(self.script(END));
        self.shared.ask(&commands).await;
    }

    fn script(&self, script: &str) -> redis::Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(script).arg(1).arg(&self.turn).arg(self.shared.replica());
        command
    }
}

fn read(told: Value, left: Value) -> Option<(HashMap<Arc<str>, Verdict>, Duration)> {
    let text: String = from_redis_value(told).ok()?;
    let Told { kept, verdicts } = serde_json::from_str(&text).ok()?;
    let left: i64 = from_redis_value(left).ok()?;
    let left = u64::try_from(left).ok()?;
    Some((verdicts, Duration::from_millis(kept.saturating_sub(left))))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_its_time_tells_how_old_a_result_is() {
        let told = r#"{"kept": 300000, "verdicts": {"a": "Well", "b": {"Sick": "no"}}}"#;
        let text = || Value::BulkString(told.as_bytes().to_vec());
        let verdicts =
            HashMap::from([("a".into(), Verdict::Well), ("b".into(), Verdict::Sick("no".to_owned()))]);
        assert_eq!(read(text(), Value::Int(299_000)), Some((verdicts, Duration::from_secs(1))));
        // It was gone in between.
        assert_eq!(read(text(), Value::Int(-2)), None);
        assert_eq!(read(Value::Nil, Value::Int(-2)), None);
        assert_eq!(read(Value::BulkString(b"{".to_vec()), Value::Int(1)), None);
    }
}
