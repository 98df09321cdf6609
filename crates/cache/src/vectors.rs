//! Vectors, kept one by one: of a list that was asked for in part before, only the rest goes upstream.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use gatewright_core::{
    Body, Cached, Call, CallService, Dialect, Frame, Frames, Head, Json, Money, Operation, Reply, Result,
    Tab, Usage,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cache::{Kept, Question};
use crate::entry::{Entry, EntryHead};
use crate::figures::Figures;
use crate::flight::{Landing, Lead};
use crate::key::Key;
use crate::settings::Settings;
use crate::shelf::{Shelf, Tier};

/// The field that has what is asked for.
const INPUT: &str = "input";

/// Longer lists go upstream whole: no provider takes more at once.
const MOST: usize = 2048;

/// The texts of a list, each with the name of its vector.
pub(crate) struct Inputs {
    raw: Vec<Bytes>,
    keys: Vec<Key>,
}

/// What is known of each text.
type Vectors = Vec<Option<Arc<Entry>>>;

/// An answer, as far as it is taken apart.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    data: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    index: Option<usize>,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// An answer of an upstream that was taken apart.
struct Fresh {
    head: Head,
    frame: Frame,
    cost: Money,
    vectors: Vec<Bytes>,
}

// === impl Inputs ===

impl Inputs {
    /// The texts of a call; `None` where its dialect has no list of them, and its answer is kept whole.
    pub(crate) fn of(call: &Call, settings: &Settings) -> Option<Self> {
        let plain = call.operation == Operation::Embeddings && call.codec.dialect() == Dialect::OpenAiChat;
        if !plain || call.controls.upstream_name {
            return None;
        }
        let input = call.body.json()?.raw(INPUT)?;
        let raw: Vec<Bytes> = match input.first()? {
            b'"' => vec![Bytes::copy_from_slice(input)],
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_slice(input).ok()?;
                items.iter().map(|item| Bytes::copy_from_slice(item.get().as_bytes())).collect()
            }
            _ => return None,
        };
        // A list of numbers is one text in tokens.
        let lists = raw.iter().all(|item| matches!(item.first(), Some(b'"' | b'[')));
        if !lists || raw.is_empty() || raw.len() > MOST {
            return None;
        }
        let keys = raw.iter().map(|item| Key::of_item(call, INPUT, item, settings)).collect();
        Some(Self { raw, keys })
    }

    /// The same call for those that are missing. It falls back to nothing: another model's vectors do not belong among these.
    fn rest(&self, call: &Call, known: &Vectors) -> Option<Call> {
        let missing = self.raw.iter().zip(known).filter(|(_, known)| known.is_none()).map(|(raw, _)| raw);
        let mut list = BytesMut::from(&b"["[..]);
        for (at, raw) in missing.enumerate() {
            list.put_slice(if at == 0 { b"" } else { b"," });
            list.put_slice(raw);
        }
        list.put_u8(b']');
        let mut json: Json = call.body.json()?.clone();
        json.set(INPUT, list.freeze());
        let mut rest = call.with_body(Body::Json(json));
        rest.controls.fallbacks.clear();
        rest.controls.disable_fallbacks = true;
        Some(rest)
    }
}

// === impl Kept ===

impl<S: Shelf> Kept<S> {
    /// The answer, where all of it is kept.
    pub(crate) async fn all_vectors(
        &self,
        question: &Question,
        inputs: &Inputs,
        call: &Call,
    ) -> Option<Reply> {
        let known: Option<Vec<_>> = self.vectors(question, inputs).await.into_iter().collect();
        let known = known?;
        let saved = known.iter().map(|entry| entry.cost.0).sum::<i64>();
        let usage = known.iter().fold(Usage::default(), |sum, entry| plus(sum, entry.usage));
        let vectors = known.iter().map(|entry| &entry.body);
        let data = written(vectors, &call.model, &usage);
        let head = &known.first()?.head;
        let content = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let frame = Frame { data, usage: Some(usage), content, last: true };
        Figures::one_more(&self.figures.hits);
        self.figures.save(Money(saved));
        let head = head.again(&question.key, None, Some(Money(saved)));
        Some(Reply { head: head.into(), frames: Frames::one(frame) })
    }

    async fn vectors(&self, question: &Question, inputs: &Inputs) -> Vectors {
        if !question.reads {
            return vec![None; inputs.keys.len()];
        }
        let found = self.shelf.exact().find(&inputs.keys).await;
        let fresh = |kept: crate::Kept| Some(kept.entry).filter(|entry| self.is_fresh(entry, question));
        found.into_iter().map(|kept| kept.and_then(fresh)).collect()
    }

    /// Asks for those that are missing, and tells those who wait for the same.
    pub(crate) async fn ask_vectors(
        &self,
        question: &Question,
        inputs: &Inputs,
        lead: Option<Arc<Lead>>,
        (call, next): (Call, &impl CallService),
    ) -> Result<Reply> {
        let known = self.vectors(question, inputs).await;
        let answer = match known.iter().all(Option::is_none) {
            true => None,
            false => self.joined(question, inputs, &known, (&call, next)).await,
        };
        let answer = match answer {
            Some(reply) => Ok(reply),
            None => self.whole(question, inputs, (call, next)).await,
        };
        match (&answer, lead) {
            (Ok(reply), Some(lead)) => {
                if let Some(frame) = reply.frames.peek_one() {
                    let frames = std::slice::from_ref(frame);
                    let entry = Entry::of(EntryHead::of(&reply.head), frames, (0, Money::ZERO));
                    lead.land(Landing::Whole(Arc::new(entry)));
                }
                lead.end();
            }
            (Err(err), Some(lead)) => lead.fail(err),
            (_, None) => {}
        }
        answer
    }

    /// Nothing where the rest could not be had by itself.
    async fn joined(
        &self,
        question: &Question,
        inputs: &Inputs,
        known: &Vectors,
        (call, next): (&Call, &impl CallService),
    ) -> Option<Reply> {
        let old = known.iter().flatten();
        let saved = Money(old.clone().map(|entry| entry.cost.0).sum());
        let cached =
            Cached { key: question.key.text.clone(), hit: false, similarity: None, saved: Some(saved) };
        let mut rest = inputs.rest(call, known)?;
        rest.spared = Some(Arc::new(cached));
        let missing: Vec<usize> =
            (0..known.len()).filter(|at| known.get(*at).is_some_and(Option::is_none)).collect();
        let Ok((fresh, None)) = taken(rest, next, missing.len()).await else { return None };
        let mut new = self.keep_vectors(question, inputs, &missing, &fresh).into_iter();
        let all: Vec<Arc<Entry>> =
            known.iter().filter_map(|entry| entry.clone().or_else(|| new.next())).collect();
        self.figures.save(saved);
        let usage = old.fold(fresh.frame.usage.unwrap_or_default(), |sum, entry| plus(sum, entry.usage));
        let data = written(all.iter().map(|entry| &entry.body), &call.model, &usage);
        // The body tells what all of it takes; what is counted is what was asked for.
        let frame = Frame { data, ..fresh.frame };
        Some(self.miss(question, (fresh.head, frame), Some(saved)))
    }

    async fn whole(
        &self,
        question: &Question,
        inputs: &Inputs,
        (call, next): (Call, &impl CallService),
    ) -> Result<Reply> {
        let (fresh, unread) = taken(call, next, inputs.keys.len()).await?;
        if let Some(reply) = unread {
            return Ok(reply);
        }
        if fresh.head.fallbacks == 0 {
            let all: Vec<usize> = (0..inputs.keys.len()).collect();
            self.keep_vectors(question, inputs, &all, &fresh);
        }
        Ok(self.miss(question, (fresh.head, fresh.frame), None))
    }

    /// An answer of an upstream, or one that was kept in part.
    fn miss(&self, question: &Question, (mut head, frame): (Head, Frame), saved: Option<Money>) -> Reply {
        if question.reads {
            Figures::one_more(&self.figures.misses);
        }
        let key = question.key.text.clone();
        head.cached = Some(Arc::new(Cached { key, hit: false, similarity: None, saved }));
        Reply { head: head.into(), frames: Frames::one(frame) }
    }

    /// Keeps each vector with its part of what all of them took.
    fn keep_vectors(
        &self,
        question: &Question,
        inputs: &Inputs,
        places: &[usize],
        fresh: &Fresh,
    ) -> Vec<Arc<Entry>> {
        let lengths: Vec<u64> =
            places.iter().map(|at| inputs.raw.get(*at).map_or(0, |raw| raw.len() as u64)).collect();
        let used = fresh.frame.usage.unwrap_or_default().total_input();
        let tokens = shares(used, &lengths);
        let costs = shares(u64::try_from(fresh.cost.0).unwrap_or(0), &lengths);
        let head = EntryHead::of(&fresh.head);
        let made = self.clock.unix_seconds();
        let each = places.iter().zip(&fresh.vectors).zip(tokens.into_iter().zip(costs));
        let entries = each.map(|((at, vector), (tokens, cost))| {
            let usage =
                fresh.frame.usage.map(|_| Usage { input: tokens, cache_in_input: true, ..Usage::default() });
            let frame = Frame { data: vector.clone(), usage, content: 1, last: true };
            let cost = Money(i64::try_from(cost).unwrap_or(i64::MAX));
            let entry = Arc::new(Entry::of(head.clone(), &[frame], (made, cost)));
            if let Some(key) = inputs.keys.get(*at).filter(|_| question.keeps) {
                match entry.body.len() <= self.settings.max_entry_bytes {
                    true => {
                        Figures::one_more(&self.figures.kept);
                        self.shelf.exact().keep(key, &entry, question.ttl);
                    }
                    false => Figures::one_more(&self.figures.too_large),
                }
            }
            entry
        });
        entries.collect()
    }
}

/// Asks for so many vectors and takes the answer apart. One that cannot be is answered as it is.
async fn taken(mut call: Call, next: &impl CallService, count: usize) -> Result<(Fresh, Option<Reply>)> {
    let tab = Tab::under(call.tab.take());
    call.tab = Some(Arc::clone(&tab));
    let Reply { head, mut frames } = next.answer(call).await?;
    let head = *head;
    let frame = match frames.is_one() {
        true => frames.next().await.transpose()?.unwrap_or_default(),
        false => {
            let fresh =
                Fresh { head: head.clone(), frame: Frame::default(), cost: Money::ZERO, vectors: Vec::new() };
            return Ok((fresh, Some(Reply { head: head.into(), frames })));
        }
    };
    // What is below has settled with the frame.
    let cost = tab.total();
    match apart(&frame.data, count) {
        Some(vectors) => Ok((Fresh { head, frame, cost, vectors }, None)),
        None => {
            let reply = Reply { head: Box::new(head.clone()), frames: Frames::one(frame.clone()) };
            Ok((Fresh { head, frame, cost, vectors: Vec::new() }, Some(reply)))
        }
    }
}

/// The vectors of an answer in the order of their texts, where there are so many.
fn apart(body: &Bytes, count: usize) -> Option<Vec<Bytes>> {
    let wire: Wire<'_> = serde_json::from_slice(body).ok()?;
    let mut vectors = vec![None; count];
    if wire.data.len() != count {
        return None;
    }
    for (at, item) in wire.data.into_iter().enumerate() {
        let place = vectors.get_mut(item.index.unwrap_or(at))?;
        *place = Some(Bytes::copy_from_slice(item.embedding.get().as_bytes()));
    }
    vectors.into_iter().collect()
}

/// An answer of these vectors, as OpenAI writes it.
fn written<'a>(vectors: impl Iterator<Item = &'a Bytes> + Clone, model: &str, usage: &Usage) -> Bytes {
    let size: usize = vectors.clone().map(|vector| vector.len() + 64).sum();
    let mut out = BytesMut::with_capacity(size + model.len() + 128);
    out.put_slice(br#"{"object":"list","data":["#);
    for (index, vector) in vectors.enumerate() {
        out.put_slice(if index == 0 { b"" } else { b"," });
        out.put_slice(br#"{"object":"embedding","index":"#);
        out.put_slice(index.to_string().as_bytes());
        out.put_slice(br#","embedding":"#);
        out.put_slice(vector);
        out.put_u8(b'}');
    }
    let tail = serde_json::json!({
        "model": model,
        "usage": {"prompt_tokens": usage.total_input(), "total_tokens": usage.total()},
    });
    out.put_slice(b"],");
    out.put_slice(tail.to_string().as_bytes().get(1..).unwrap_or_default());
    out.freeze()
}

/// So much in parts as long as these, together exactly so much.
fn shares(all: u64, lengths: &[u64]) -> Vec<u64> {
    let whole: u128 = lengths.iter().map(|length| u128::from(*length)).sum::<u128>().max(1);
    let mut so_far = 0_u128;
    let mut given = 0_u64;
    let share = |length: &u64| {
        so_far += u128::from(*length);
        let until = u64::try_from(u128::from(all) * so_far / whole).unwrap_or(u64::MAX);
        until - std::mem::replace(&mut given, until)
    };
    lengths.iter().map(share).collect()
}

fn plus(sum: Usage, more: Option<Usage>) -> Usage {
    let more = more.unwrap_or_default();
    Usage { input: sum.total_input().saturating_add(more.total_input()), cache_in_input: true, ..sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_fair_and_lose_nothing() {
        for (all, lengths, want) in [
            (10, &[1, 1][..], &[5, 5][..]),
            (10, &[1, 1, 1], &[3, 3, 4]),
            (1, &[1, 1, 1], &[0, 0, 1]),
            (0, &[5, 5], &[0, 0]),
            (7, &[0, 0], &[0, 0]),
            (u64::MAX, &[1, 1], &[u64::MAX / 2, u64::MAX / 2 + 1]),
        ] {
            assert_eq!(shares(all, lengths), want);
        }
    }

    #[test]
    fn an_answer_is_taken_apart_by_the_numbers_of_its_vectors() {
        let body = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let turned = body(r#"{"data":[{"index":1,"embedding":[1.50]},{"index":0,"embedding":"AA=="}]}"#);
        assert_eq!(apart(&turned, 2), Some(vec![body("\"AA==\""), body("[1.50]")]));
        for wrong in [
            r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}"#,
            r#"{"data":[{"index":0,"embedding":[1]},{"index":7,"embedding":[1]}]}"#,
            r#"{"data":[{"embedding":[1]}]}"#,
            "{}",
        ] {
            assert_eq!(apart(&body(wrong), 2), None, "{wrong}");
        }
    }
}
