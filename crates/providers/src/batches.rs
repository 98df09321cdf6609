//! Embeddings of more inputs than an upstream takes at once: several requests, one answer.

use gatewright_core::{
    Body, Call, Codec, Embedded, Embedding, EmbeddingCodec, Error, ErrorKind, Frame, Frames, Head, Json,
    JsonLimits, Losses, ModelFacts, Operation, Reply, ReplyStyle, Result, Usage,
};

/// Requests of one call that are under way at the same time.
pub(crate) const AT_ONCE: usize = 8;

/// A call that needs several requests.
pub(crate) struct Batches {
    ours: &'static dyn EmbeddingCodec,
    asked: Embedding,
    /// The same call for some of its inputs each.
    pub(crate) calls: Vec<Call>,
}

/// What the requests came to.
#[derive(Default)]
pub(crate) struct Joined {
    head: Option<Head>,
    answer: Embedded,
    failed: Option<Error>,
}

// === impl Batches ===

impl Batches {
    /// The batches of a call; `None` where one request does.
    pub(crate) fn of(call: &Call, theirs: &dyn Codec, model: &str) -> Result<Option<Self>> {
        let (Operation::Embeddings, Some(ours), Some(theirs), Some(json)) =
            (call.operation, call.codec.embeddings(), theirs.embeddings(), call.body.json())
        else {
            return Ok(None);
        };
        let most = theirs.most_inputs(model).max(1);
        // An input takes two bytes at least: most calls are seen to be small without being read.
        if json.raw("input").is_some_and(|raw| raw.len() <= most.saturating_mul(2)) {
            return Ok(None);
        }
        let mut asked = ours.decode_request(json)?;
        if asked.inputs.len() <= most {
            return Ok(None);
        }
        let inputs = std::mem::take(&mut asked.inputs);
        let facts = ModelFacts { name: call.model.clone(), ..ModelFacts::default() };
        let batch = |inputs: &[_]| -> Result<Call> {
            let part = Embedding { inputs: inputs.to_vec(), ..asked.clone() };
            let body = ours.encode_request(&part, &facts, &mut Losses::default())?;
            let mut json = json.clone();
            let small = Json::parse(body, JsonLimits::default())?;
            for field in small.fields() {
                json.set(&field.key, field.raw.to_vec());
            }
            Ok(call.with_body(Body::Json(json)))
        };
        let calls = inputs.chunks(most).map(batch).collect::<Result<_>>()?;
        Ok(Some(Self { ours, asked, calls }))
    }

    /// Takes the answer to the next batch, in order.
    pub(crate) async fn join(&self, joined: &mut Joined, reply: Result<Reply>) {
        let taken = match reply {
            Ok(reply) => self.take(joined, reply).await,
            Err(err) => Err(err),
        };
        if let Err(err) = taken {
            joined.failed.get_or_insert(err);
        }
    }

    async fn take(&self, joined: &mut Joined, reply: Reply) -> Result<()> {
        let Reply { head, mut frames } = reply;
        joined.head.get_or_insert(head);
        while let Some(frame) = frames.next().await {
            let frame = frame?;
            joined.answer.usage = sum(joined.answer.usage, frame.usage);
            let part = self.ours.decode_reply(&frame.data)?;
            joined.answer.vectors.extend(part.vectors);
        }
        Ok(())
    }

    /// The answer to the whole call. Where a batch failed, the use of the others is told before the error, for it is
    /// billed.
    pub(crate) fn reply(&self, joined: Joined, style: &ReplyStyle) -> Result<Reply> {
        let Joined { head, answer, failed } = joined;
        let usage = answer.usage;
        let frames = match (failed, &head) {
            (Some(err), None) => return Err(err),
            (Some(err), Some(_)) => {
                let used = Frame { usage, ..Frame::default() };
                Frames::many(futures_util::stream::iter([Ok(used), Err(err)]))
            }
            (None, _) => {
                let data = self.ours.encode_reply(&answer, self.asked.encoding, style);
                let content = u32::try_from(data.len()).unwrap_or(u32::MAX);
                Frames::one(Frame { data, usage, content, last: true })
            }
        };
        let head = head.ok_or_else(|| Error::new(ErrorKind::Internal, "there was no batch"))?;
        Ok(Reply { head, frames })
    }
}

fn sum(so_far: Option<Usage>, more: Option<Usage>) -> Option<Usage> {
    let (Some(a), Some(b)) = (so_far, more) else { return so_far.or(more) };
    Some(Usage {
        input: a.input.saturating_add(b.input),
        output: a.output.saturating_add(b.output),
        image_input: a.image_input.saturating_add(b.image_input),
        images: a.images.saturating_add(b.images),
        ..a
    })
}
