//! Embeddings of more inputs than an upstream takes at once, and more pictures than it makes at once: several requests, one
//! answer.

use gatewright_core::{
    Body, Call, Codec, Embedded, Embedding, EmbeddingCodec, Error, ErrorKind, Frame, Frames, Head,
    ImageClient, Images, Json, JsonLimits, Losses, ModelFacts, Operation, Reply, ReplyStyle, Result, Usage,
};

use crate::asked;
use crate::ordered::ordered;

/// Requests of one call that are under way at the same time.
pub(crate) const AT_ONCE: usize = 8;

/// A call that needs several requests.
pub(crate) struct Batches {
    of: Wanted,
    whole: Call,
    /// The same call for some of what it wants each.
    pub(crate) calls: Vec<Call>,
}

/// What is wanted more of than one request gives.
enum Wanted {
    Vectors(&'static dyn EmbeddingCodec, Embedding),
    Pictures(&'static dyn ImageClient),
}

/// What the requests came to.
#[derive(Default)]
pub(crate) struct Joined {
    head: Option<Head>,
    usage: Option<Usage>,
    vectors: Embedded,
    pictures: Images,
    failed: Option<Error>,
}

// === impl Batches ===

impl Batches {
    /// The batches of a call; `None` where one request does.
    pub(crate) fn of(call: &Call, theirs: &dyn Codec, model: &str) -> Result<Option<Self>> {
        if let (Operation::ImageGenerations | Operation::ImageEdits, Some(ours), Some(theirs)) =
            (call.operation, call.codec.image_client(), theirs.images())
        {
            return Self::of_pictures(call, ours, theirs.most_images(model));
        }
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
        Ok(Some(Self { of: Wanted::Vectors(ours, asked), whole: call.clone(), calls }))
    }

    fn of_pictures(call: &Call, ours: &'static dyn ImageClient, most: u64) -> Result<Option<Self>> {
        // Seen without a look at the pictures that the request brings.
        if ordered(call).images <= most {
            return Ok(None);
        }
        let wanted = ours.decode_request(&call.body)?.n.unwrap_or(1);
        let part = |n: u64| {
            let mut body = call.body.clone();
            match &mut body {
                Body::Json(json) => json.set("n", n.to_string()),
                Body::Form(form) => form.set_text("n", &n.to_string()),
                Body::Opaque(_) => {}
            }
            let mut part = call.with_body(body);
            // The parts are joined, and the whole is told as the client wants it.
            part.stream = false;
            part
        };
        let full = std::iter::repeat_n(most, usize::try_from(wanted / most).unwrap_or_default());
        let rest = Some(wanted % most).filter(|rest| *rest > 0);
        let calls = full.chain(rest).map(part).collect();
        Ok(Some(Self { of: Wanted::Pictures(ours), whole: call.clone(), calls }))
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
        joined.head.get_or_insert(*head);
        while let Some(frame) = frames.next().await {
            let frame = frame?;
            joined.usage = sum(joined.usage, frame.usage);
            match &self.of {
                Wanted::Vectors(ours, _) => {
                    joined.vectors.vectors.extend(ours.decode_reply(&frame.data)?.vectors)
                }
                Wanted::Pictures(ours) => {
                    joined.pictures.images.extend(ours.decode_reply(&frame.data)?.images)
                }
            }
        }
        Ok(())
    }

    /// The answer to the whole call. Where a batch failed, the use of the others is told before the error, for it is
    /// billed. Pictures that a filter left are answered all the same.
    pub(crate) fn reply(&self, joined: Joined, style: &ReplyStyle) -> Result<Reply> {
        let Joined { head, usage, vectors, pictures, failed } = joined;
        let filtered = |err: &Error| err.kind() == ErrorKind::ContentPolicy && !pictures.images.is_empty();
        let failed = failed.filter(|err| !filtered(err));
        let frames = match (failed, &head) {
            (Some(err), None) => return Err(err),
            (Some(err), Some(_)) => {
                let used = Frame { usage, ..Frame::default() };
                Frames::many(futures_util::stream::iter([Ok(used), Err(err)]))
            }
            (None, _) => Frames::one(match &self.of {
                Wanted::Vectors(ours, asked) => {
                    let data = ours.encode_reply(&Embedded { usage, ..vectors }, asked.encoding, style);
                    let content = u32::try_from(data.len()).unwrap_or(u32::MAX);
                    Frame { data, usage, content, last: true }
                }
                Wanted::Pictures(_) => asked::drawn(&self.whole, &Images { usage, ..pictures }, style)?,
            }),
        };
        let head = head.ok_or_else(|| Error::new(ErrorKind::Internal, "there was no batch"))?;
        let streams = head.streams || (self.whole.stream && matches!(self.of, Wanted::Pictures(_)));
        Ok(Reply { head: Box::new(Head { streams, ..head }), frames })
    }
}

fn sum(so_far: Option<Usage>, more: Option<Usage>) -> Option<Usage> {
    let (Some(a), Some(b)) = (so_far, more) else { return so_far.or(more) };
    Some(Usage {
        input: a.input.saturating_add(b.input),
        output: a.output.saturating_add(b.output),
        reasoning: a.reasoning.saturating_add(b.reasoning),
        image_input: a.image_input.saturating_add(b.image_input),
        image_output: a.image_output.saturating_add(b.image_output),
        images: a.images.saturating_add(b.images),
        ..a
    })
}
