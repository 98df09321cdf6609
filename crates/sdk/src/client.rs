//! The client: questions in, answers out.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use gatewright_core::chat::Chat;
use gatewright_core::{
    Body, Call, CallService, Codec, Controls, Dialect, Embedding, EmbeddingInput, Error, ErrorKind, Frames,
    Json, JsonLimits, Layered, Losses, ModelFacts, Operation, Origin, ReasoningControl, Reply, Result, Usage,
};
use gatewright_providers::Upstream;
use gatewright_routing::Router;

use crate::attempt::Told;
use crate::builder::Prices;
use crate::{Answered, Ask, Builder, Stream, Vectors};

/// The layers that answer: the router, the program's listener, the providers.
type Stack = Layered<Router, Layered<Told, Upstream>>;

/// Asks models. Clones share everything.
#[derive(Clone)]
pub struct Client {
    stack: Arc<Stack>,
    prices: Arc<Prices>,
}

/// A client over these layers.
pub(crate) fn over(stack: Stack, prices: Arc<Prices>) -> Client {
    Client { stack: Arc::new(stack), prices }
}

impl Client {
    /// What it is made of comes first.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A client of every provider whose key is in the environment: `completion("openai/gpt-4o", …)`.
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// The whole answer of a model.
    pub async fn completion(&self, model: &str, ask: impl Into<Ask>) -> Result<Answered> {
        let Reply { head, frames } = self.answer(model, ask.into().into_chat(false)).await?;
        let (body, usage) = collect(frames).await?;
        let answer = codec().decode_reply(&body)?;
        let served_by = head.served_by;
        let cost = head.cost.or_else(|| self.cost(served_by.as_deref(), usage?));
        Ok(Answered { answer, usage, cost, served_by })
    }

    /// The answer as it is written.
    pub async fn stream(&self, model: &str, ask: impl Into<Ask>) -> Result<Stream> {
        let Reply { head, frames } = self.answer(model, ask.into().into_chat(true)).await?;
        Ok(Stream::new(frames, self.clone(), head.served_by))
    }

    /// A vector for each text.
    pub async fn embedding<T: Into<String>>(
        &self,
        model: &str,
        texts: impl IntoIterator<Item = T>,
    ) -> Result<Vectors> {
        let inputs = texts.into_iter().map(|text| EmbeddingInput::Text(text.into())).collect();
        let embeddings = codec().embeddings().ok_or_else(unspoken)?;
        let asked = Embedding { inputs, ..Embedding::default() };
        let body = embeddings.encode_request(&asked, &facts(model), &mut Losses::default())?;
        let call = call(Operation::Embeddings, model, body)?;
        let Reply { head, frames } = self.stack.answer(call).await?;
        let (body, usage) = collect(frames).await?;
        let vectors = embeddings.decode_reply(&body)?.vectors;
        let cost = usage.and_then(|usage| self.cost(head.served_by.as_deref(), usage));
        Ok(Vectors { vectors, usage, cost })
    }

    async fn answer(&self, model: &str, chat: Chat) -> Result<Reply> {
        let body = codec().encode_request(&chat, &facts(model), &mut Losses::default())?;
        let mut call = call(Operation::Chat, model, body)?;
        call.stream = chat.stream;
        // What OpenAI's words cannot say reaches the providers that know it all the same.
        self.stack.answer(call.with_chat(chat)).await
    }

    pub(crate) fn cost(
        &self,
        served_by: Option<&gatewright_core::ServedBy>,
        usage: Usage,
    ) -> Option<gatewright_core::Money> {
        let served_by = served_by?;
        self.prices.cost(&served_by.deployment, Some(&served_by.model), &usage)
    }
}

/// The dialect in which this side of the layers speaks.
pub(crate) fn codec() -> &'static dyn Codec {
    gatewright_dialects::of(Dialect::OpenAiChat)
}

/// A model that can do all that can be said: what one cannot do is seen where it is called.
fn facts(model: &str) -> ModelFacts {
    ModelFacts {
        name: model.into(),
        reasoning: ReasoningControl::Effort,
        structured_output: true,
        ..ModelFacts::default()
    }
}

fn call(operation: Operation, model: &str, body: Bytes) -> Result<Call> {
    let body = Body::Json(Json::parse(body, JsonLimits::default())?);
    let controls = Controls { include_usage: true, ..Controls::default() };
    Ok(Call::by(Origin { controls, ..Origin::default() }, operation, codec(), model.into(), body))
}

async fn collect(mut frames: Frames) -> Result<(Bytes, Option<Usage>)> {
    let (mut body, mut usage) = (BytesMut::new(), None);
    while let Some(frame) = frames.next().await {
        let frame = frame?;
        usage = frame.usage.or(usage);
        body.extend_from_slice(&frame.data);
    }
    Ok((body.freeze(), usage))
}

fn unspoken() -> Error {
    Error::new(ErrorKind::Internal, "the dialect has no embeddings")
}
