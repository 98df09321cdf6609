//! What is said to Qdrant and what it answers, after its REST reference (version 1.10 and later).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Quantization;
use crate::key::Key;
use crate::similar::{Answered, Fault, Neighbour, Place};
use crate::wire;

/// Packed vectors are compared first, so many times more of them than are asked for, and those again unpacked.
const OVERSAMPLING: f32 = 3.0;

/// The share of numbers that a byte each stands for; the rest is cut off at both ends.
const QUANTILE: f32 = 0.99;

#[derive(Deserialize)]
struct Answer<T> {
    result: T,
}

#[derive(Deserialize)]
struct Exists {
    exists: bool,
}

#[derive(Deserialize)]
struct Points {
    points: Vec<Point>,
}

#[derive(Deserialize)]
struct Point {
    score: f32,
    #[serde(default)]
    payload: Value,
}

/// What is kept with a vector. The question's text is not.
#[derive(Deserialize)]
struct Payload {
    class: String,
    key: String,
    entry: String,
    /// A second since the epoch.
    until: u64,
}

/// Asks for the nearest point.
pub(super) fn query(place: &Place, least: f32, now: u64) -> Value {
    let same = json!({"key": "class", "match": {"value": &*place.class.name()}});
    let alive = json!({"key": "until", "range": {"gt": now}});
    json!({
        "query": place.vector.numbers(),
        "filter": {"must": [same, alive]},
        "params": {"quantization": {"ignore": false, "rescore": true, "oversampling": OVERSAMPLING}},
        "score_threshold": least,
        "limit": 1,
        "with_payload": true,
    })
}

/// The nearest point of an answer to a query. Nobody's word is taken for what was asked: a point that is not of this class
/// is another tenant's or another program's.
pub(super) fn nearest(
    answer: &[u8],
    place: &Place,
    least: f32,
    now: u64,
) -> Result<Option<Neighbour>, Fault> {
    let Points { points } = read(answer)?;
    let Some(Point { score, payload }) = points.into_iter().next() else { return Ok(None) };
    let Ok(Payload { class, key, entry, until }) = serde_json::from_value(payload) else { return Ok(None) };
    if *class != *place.class.name() || score < least || until <= now {
        return Ok(None);
    }
    let key = Key::parse(&key).ok_or_else(unread)?;
    let entry = STANDARD.decode(entry).ok().and_then(|bytes| wire::decode(&key, bytes.into()));
    let entry = entry.ok_or_else(unread)?.0.into();
    Ok(Some(Neighbour { class: place.class, key, similarity: score, entry }))
}

/// Puts a point. One of the same name is replaced.
pub(super) fn point(place: &Place, kept: &Answered, until: u64) -> Value {
    let payload = json!({
        "class": &*place.class.name(),
        "key": &*kept.key.text,
        "entry": STANDARD.encode(wire::encode(&kept.key, &kept.entry, until)),
        "until": until,
    });
    json!({"points": [{"id": id(&kept.key.text), "vector": place.vector.numbers(), "payload": payload}]})
}

/// The points of these names.
pub(super) fn named(keys: &[Arc<str>]) -> Value {
    json!({"points": keys.iter().map(|key| id(key)).collect::<Vec<_>>()})
}

/// All points that are ours: only those know until when they are kept.
pub(super) fn ours() -> Value {
    json!({"filter": {"must": [{"key": "until", "range": {"gte": 0}}]}})
}

/// The points whose time is over.
pub(super) fn over(now: u64) -> Value {
    json!({"filter": {"must": [{"key": "until", "range": {"lte": now}}]}})
}

/// A collection for vectors of this length.
pub(super) fn collection(dimensions: usize, quantization: Quantization) -> Value {
    let packed = match quantization {
        Quantization::Binary => json!({"binary": {"always_ram": false}}),
        Quantization::Scalar => {
            json!({"scalar": {"type": "int8", "quantile": QUANTILE, "always_ram": false}})
        }
        Quantization::Product => json!({"product": {"compression": "x16", "always_ram": false}}),
    };
    json!({"vectors": {"size": dimensions, "distance": "Cosine"}, "quantization_config": packed})
}

/// The fields that points are found by.
pub(super) fn indexes() -> [Value; 2] {
    [("class", "keyword"), ("until", "integer")]
        .map(|(field, kind)| json!({"field_name": field, "field_schema": kind}))
}

/// Whether a collection is there.
pub(super) fn exists(answer: &[u8]) -> Result<bool, Fault> {
    read(answer).map(|Exists { exists }| exists)
}

fn read<T: for<'a> Deserialize<'a>>(answer: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(answer).map(|Answer { result }| result).map_err(|_| unread())
}

fn unread() -> Fault {
    Fault::away("an answer that could not be read")
}

/// Ids are numbers or UUIDs: a name's is made of its digest.
fn id(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    let mut id: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    for dash in [8, 13, 18, 23] {
        id.insert(dash, '-');
    }
    id
}
