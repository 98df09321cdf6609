//! Keeps questions in Redis or Valkey, where their search module is loaded.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gatewright_core::Clock;
use parking_lot::Mutex;
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, Value, cmd};

use super::{Answered, Asking, Fault, Neighbour, Neighbours, Place};
use crate::key::Key;
use crate::redis::{Line, Link, Miss};
use crate::wire;

/// Keeps questions as hashes in Redis, each with its lifetime, and finds them through an index.
pub struct RedisSearch {
    link: Link,
    /// How long an answer is waited for.
    patience: Duration,
    /// What all names begin with.
    index: String,
    /// How long an answer is kept where nothing else is said.
    usual: Duration,
    clock: Arc<dyn Clock>,
    /// The lengths of vectors whose index is there, as far as is known.
    made: Mutex<BTreeSet<usize>>,
}

/// So many keys are looked at in a step.
const STEP: usize = 500;

/// What a nearest question tells of itself.
const DISTANCE: &str = "distance";
const CLASS: &str = "class";
const KEY: &str = "key";
const ENTRY: &str = "entry";

// === impl RedisSearch ===

impl RedisSearch {
    /// Keeps them where `link` leads, and waits for it for `patience`. All keys and indexes have names that begin with `index`;
    /// `usual` is how long an answer is kept where nothing else is said.
    pub fn new(
        link: Link,
        index: &str,
        (usual, patience): (Duration, Duration),
        clock: Arc<dyn Clock>,
    ) -> Self {
        let index = format!("{index}:gatewright");
        Self { link, patience, index, usual, clock, made: Mutex::default() }
    }

    async fn find(&self, place: &Place, least: f32) -> Result<Option<Neighbour>, Fault> {
        let search = self.search(place);
        let found = self.ask_made(place, async |line: Line| line.ask::<Value>(&search).await).await?;
        let Some(fields) = first_of(found) else { return Ok(None) };
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let (Some(distance), Some(class), Some(key), Some(entry)) =
            (field(DISTANCE), field(CLASS), field(KEY), field(ENTRY))
        else {
            // It ended in this moment.
            return Ok(None);
        };
        let distance: f32 =
            text(&distance).parse().map_err(|_| Fault::away("a distance that is no number"))?;
        let similarity = 1.0 - distance;
        // A server that does not heed its filter gives nothing away.
        if *text(&class) != *place.class.name() || similarity < least {
            return Ok(None);
        }
        let key = Key::parse(text(&key)).ok_or_else(unread)?;
        let entry = wire::decode(&key, entry).ok_or_else(unread)?.0.into();
        Ok(Some(Neighbour { class: place.class, key, similarity, entry }))
    }

    async fn put(&self, place: Place, kept: Answered) -> Result<(), Fault> {
        let ttl = kept.ttl.unwrap_or(self.usual);
        let until = self.clock.unix_seconds().saturating_add(ttl.as_secs());
        let name = self.name(&kept.key.text);
        let mut commands = Pipeline::new();
        commands.atomic();
        let put = commands.cmd("HSET").arg(&name);
        put.arg(CLASS).arg(&*place.class.name()).arg(KEY).arg(&*kept.key.text);
        put.arg("vector").arg(place.vector.to_bytes()).arg(ENTRY).arg(wire::encode(
            &kept.key,
            &kept.entry,
            until,
        ));
        commands.cmd("PEXPIRE").arg(&name).arg(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        self.ask_made(&place, async |line: Line| line.ask_as_one(&commands).await).await
    }

    async fn remove(&self, keys: &[Arc<str>]) -> Result<(), Fault> {
        if keys.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = keys.iter().map(|key| self.name(key)).collect();
        self.ask::<u64>(cmd("UNLINK").arg(names)).await.map(drop)
    }

    async fn remove_all(&self) -> Result<(), Fault> {
        let mut cursor = 0;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{}*", self.name(""))).arg("COUNT").arg(STEP);
            let (next, names): (u64, Vec<Vec<u8>>) = self.ask(&scan).await?;
            if !names.is_empty() {
                self.ask::<u64>(cmd("UNLINK").arg(names)).await?;
            }
            match next {
                0 => return Ok(()),
                next => cursor = next,
            }
        }
    }

    /// Asks where there is an index for the place. What a server refuses may be for want of it: it is made anew next time.
    async fn ask_made<T>(
        &self,
        place: &Place,
        ask: impl AsyncFnOnce(Line) -> RedisResult<T>,
    ) -> Result<T, Fault> {
        let dimensions = place.vector.dimensions();
        let asked = self.link.ask(self.patience, async |line: Line| {
            self.make(&line, dimensions).await?;
            ask(line).await
        });
        asked.await.map_err(|miss| {
            self.made.lock().remove(&dimensions);
            fault(&miss)
        })
    }

    /// Makes the index for vectors of this length. Where the server has it already it says so, and where it can have none
    /// the next command fails.
    async fn make(&self, line: &Line, dimensions: usize) -> RedisResult<()> {
        if self.made.lock().contains(&dimensions) {
            return Ok(());
        }
        let mut create = cmd("FT.CREATE");
        create.arg(self.index_of(dimensions)).arg("ON").arg("HASH").arg("PREFIX").arg(1).arg(self.name(""));
        create.arg("SCHEMA").arg(CLASS).arg("TAG");
        create.arg("vector").arg("VECTOR").arg("FLAT").arg(6).arg("TYPE").arg("FLOAT32");
        create.arg("DIM").arg(dimensions).arg("DISTANCE_METRIC").arg("COSINE");
        match line.ask::<Value>(&create).await {
            Err(err) if !is_refusal(&err) => return Err(err),
            _ => {}
        }
        self.made.lock().insert(dimensions);
        Ok(())
    }

    /// Without `SORTBY`, which Valkey does not know there: one neighbour is asked for, and that is the nearest.
    fn search(&self, place: &Place) -> Cmd {
        let query = format!("(@{CLASS}:{{{}}})=>[KNN 1 @vector $vector AS {DISTANCE}]", place.class);
        let mut search = cmd("FT.SEARCH");
        search.arg(self.index_of(place.vector.dimensions())).arg(query);
        search.arg("PARAMS").arg(2).arg("vector").arg(place.vector.to_bytes());
        search.arg("RETURN").arg(4).arg(DISTANCE).arg(CLASS).arg(KEY).arg(ENTRY);
        search.arg("LIMIT").arg(0).arg(1).arg("DIALECT").arg(2);
        search
    }

    fn index_of(&self, dimensions: usize) -> String {
        format!("{}:{dimensions}", self.index)
    }

    fn name(&self, key: &str) -> String {
        format!("{}:kept:{key}", self.index)
    }

    /// Asks for something that stands nowhere in particular.
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Fault> {
        self.link
            .ask(self.patience, async |line: Line| line.ask(command).await)
            .await
            .map_err(|miss| fault(&miss))
    }
}

impl Neighbours for RedisSearch {
    fn nearest<'a>(&'a self, place: &'a Place, least: f32) -> Asking<'a, Option<Neighbour>> {
        Box::pin(self.find(place, least))
    }

    fn keep(&self, place: Place, kept: Answered) -> Asking<'_, ()> {
        Box::pin(self.put(place, kept))
    }

    fn forget<'a>(&'a self, keys: &'a [Arc<str>]) -> Asking<'a, ()> {
        Box::pin(self.remove(keys))
    }

    fn forget_all(&self) -> Asking<'_, ()> {
        Box::pin(self.remove_all())
    }
}

/// The fields of the first hash of an answer, in either version of the protocol: the count, a name, its fields; or a map
/// whose `results` have their fields as `extra_attributes`.
fn first_of(answer: Value) -> Option<Vec<(String, Bytes)>> {
    let fields = match answer {
        Value::Array(items) => items.into_iter().nth(2)?,
        Value::Map(parts) => {
            let results = named(parts, "results")?;
            let Value::Array(results) = results else { return None };
            let Value::Map(first) = results.into_iter().next()? else { return None };
            named(first, "extra_attributes")?
        }
        _ => return None,
    };
    let pairs: Vec<(Value, Value)> = match fields {
        Value::Map(pairs) => pairs,
        Value::Array(flat) => {
            let mut flat = flat.into_iter();
            std::iter::from_fn(|| Some((flat.next()?, flat.next()?))).collect()
        }
        _ => return None,
    };
    Some(
        pairs
            .into_iter()
            .filter_map(|(key, value)| Some((text(&bytes(key)?).into(), bytes(value)?)))
            .collect(),
    )
}

fn named(parts: Vec<(Value, Value)>, name: &str) -> Option<Value> {
    let is = |key: &Value| match key {
        Value::BulkString(key) => key == name.as_bytes(),
        Value::SimpleString(key) => key == name,
        _ => false,
    };
    parts.into_iter().find(|(key, _)| is(key)).map(|(_, value)| value)
}

fn bytes(value: Value) -> Option<Bytes> {
    match value {
        Value::BulkString(bytes) => Some(bytes.into()),
        Value::SimpleString(text) => Some(text.into_bytes().into()),
        Value::Double(number) => Some(number.to_string().into_bytes().into()),
        _ => None,
    }
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Whether the server answered, and said no.
fn is_refusal(err: &RedisError) -> bool {
    matches!(err.kind(), redis::ErrorKind::Server(_) | redis::ErrorKind::Extension)
}

/// One that is there and refuses is let alone. One that is away is so by its link already, and asked as soon as that does.
fn fault(miss: &Miss) -> Fault {
    match miss {
        Miss::Refused(_) => Fault::away(miss.to_string()),
        Miss::Resting | Miss::Away(_) => Fault::refused(miss.to_string()),
    }
}

fn unread() -> Fault {
    Fault::away("an answer that could not be read")
}
