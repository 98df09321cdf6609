//! The fake provider's HTTP side.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::net::{Shutdown, shutdown, sockopt::set_socket_linger};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::media::Medium;
use super::{
    Answer, Chunks, End, Ends, Guise, Said, Script, Seen, State, anthropic, cohere, completions, converse,
    gemini, ollama, openai, pictures, ranking, responses, vectors,
};

type Reply = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// Accepts connections for as long as its runtime lives.
pub(super) async fn accept(listener: TcpListener, state: Arc<State>) -> Result<Infallible, io::Error> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let state = state.clone();
        // For what hyper never does to a connection.
        let line = Arc::new(rustix::io::dup(&socket)?);
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, state.clone(), line.clone()));
            // A connection that breaks is part of the play.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

/// Answers one request; an error cuts the connection before the head.
async fn answer(request: Request<Incoming>, state: Arc<State>, line: Arc<OwnedFd>) -> io::Result<Reply> {
    let (parts, body) = request.into_parts();
    let seen = Seen {
        number: 0,
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: parts.headers,
        body: body.collect().await.map_err(io::Error::other)?.to_bytes(),
    };
    let (seen, script) = state.arrive(seen);
    // Dropped unset where the other side leaves while this waits.
    let mut guard = Guard { state, number: seen.number, end: End::Left };
    script.before_head.wait().await;
    if script.cut_before_head {
        guard.end = End::Cut;
        return Err(io::Error::other("cut before the head"));
    }
    let wire = script.guise.map_or_else(|| Wire::of(&seen), Wire::Dressed);
    let id = format!("{}{}", wire.id_prefix(), seen.number);
    let (content_type, events) = wire.write(&id, &seen, &script);
    guard.state.note(seen.number, |bill| {
        bill.status = script.status;
        bill.id = id;
        if let Answer::Said(said) = &script.answer {
            bill.input = said.used.input;
        }
    });
    let output = match &script.answer {
        Answer::Said(said) => said.used.output,
        Answer::Error(_) | Answer::Raw { .. } => 0,
    };
    let mut head = Response::builder().status(script.status).header("content-type", content_type);
    if let (Wire::Converse | Wire::Claude | Wire::Invoked, Answer::Error(_)) = (wire, &script.answer) {
        head = head.header("x-amzn-errortype", converse::error_name(script.status));
    }
    for (name, value) in &script.headers {
        head = head.header(name, value);
    }
    let (total, queue) = (events.len(), events.into());
    let play = Play { output, total, queue, sent: 0, wire, script, guard, line, after: None };
    let frames = play.frames();
    head.body(BodyExt::boxed_unsync(StreamBody::new(frames))).map_err(io::Error::other)
}

/// Tells the bill how an answer ended, also where its future or body is dropped.
struct Guard {
    state: Arc<State>,
    number: usize,
    end: End,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let end = self.end;
        self.state.note(self.number, |bill| bill.end = end);
    }
}

/// An answer under way.
struct Play {
    queue: VecDeque<Bytes>,
    total: usize,
    sent: usize,
    output: u64,
    wire: Wire,
    script: Script,
    guard: Guard,
    line: Arc<OwnedFd>,
    after: Option<After>,
}

enum After {
    End,
    Break,
}

impl Play {
    fn frames(mut self) -> impl Stream<Item = io::Result<Frame<Bytes>>> {
        if self.script.chunks != Chunks::Events && self.script.stop.is_none() {
            self.cut_into_pieces();
        }
        stream::unfold(self, |mut play| async move {
            let next = play.next().await?;
            Some((next.map(Frame::data), play))
        })
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        match self.after {
            None => {}
            Some(After::End) => {
                self.guard.end = End::Sent;
                return None;
            }
            Some(After::Break) => {
                // A pending poll makes hyper flush what it has before the connection breaks.
                tokio::task::yield_now().await;
                self.guard.end = End::Cut;
                return Some(Err(io::Error::other("cut")));
            }
        }
        if let Some(stop) = self.script.stop.clone()
            && self.sent == stop.after
        {
            match stop.how {
                Ends::Hold(gate) => {
                    self.script.stop = None;
                    super::Pause::Gate(gate).wait().await;
                }
                Ends::Insert(bytes) => {
                    self.script.stop = None;
                    return Some(Ok(bytes));
                }
                how => return self.end_early(how).await,
            }
        }
        if self.sent > 0 {
            self.script.between.wait().await;
        }
        let event = self.queue.pop_front();
        match event {
            Some(event) => {
                self.sent += 1;
                let output = self.output * self.sent as u64 / self.total.max(1) as u64;
                self.guard.state.note(self.guard.number, |bill| bill.output = output);
                // Known before the last byte is: whoever has read the whole answer finds it on the bill.
                if self.queue.is_empty() {
                    self.guard.end = End::Sent;
                    self.after = Some(After::End);
                }
                Some(Ok(event))
            }
            None => {
                self.guard.end = End::Sent;
                None
            }
        }
    }

    async fn end_early(&mut self, how: Ends) -> Option<io::Result<Bytes>> {
        self.after = Some(After::End);
        match how {
            Ends::Cut | Ends::Hold(_) | Ends::Insert(_) => {
                tokio::task::yield_now().await;
                self.guard.end = End::Cut;
                Some(Err(io::Error::other("cut")))
            }
            Ends::Reset => {
                tokio::task::yield_now().await;
                self.guard.end = End::Cut;
                // Closed without waiting for what is on its way, a connection is reset.
                set_socket_linger(&*self.line, Some(Duration::ZERO)).ok()?;
                Some(Err(io::Error::other("reset")))
            }
            Ends::HalfClose => {
                tokio::task::yield_now().await;
                shutdown(&*self.line, Shutdown::Write).ok()?;
                std::future::pending().await
            }
            Ends::CutInside(bytes) => {
                self.after = Some(After::Break);
                let event = self.queue.pop_front().unwrap_or_default();
                Some(Ok(event.slice(..bytes.min(event.len()))))
            }
            Ends::Close => {
                self.guard.end = End::Sent;
                None
            }
            Ends::Stall => std::future::pending().await,
            Ends::Error(message) => Some(Ok(self.wire.error_event(&message))),
            Ends::Bytes(bytes) => Some(Ok(bytes)),
        }
    }

    fn cut_into_pieces(&mut self) {
        let mut whole = BytesMut::new();
        self.queue.drain(..).for_each(|event| whole.extend_from_slice(&event));
        let whole = whole.freeze();
        let size = match self.script.chunks {
            Chunks::Bytes(size) => size.max(1),
            Chunks::Events | Chunks::Whole => whole.len().max(1),
        };
        self.queue =
            (0..whole.len()).step_by(size).map(|at| whole.slice(at..whole.len().min(at + size))).collect();
        self.total = self.queue.len();
    }
}

/// The dialect that a path speaks.
#[derive(Clone, Copy)]
enum Wire {
    OpenAi,
    Responses,
    Completions,
    Anthropic,
    CountTokens,
    Embeddings,
    Gemini,
    GeminiCount,
    ConverseCount,
    Cohere,
    Ollama,
    /// Vectors in Cohere's form.
    Embed,
    /// A ranking in Cohere's form.
    CohereRanking,
    /// One in Jina's.
    Ranking,
    Converse,
    /// Claude's own words behind Amazon's `invoke`.
    Claude,
    /// Vectors and pictures of Amazon's `invoke`.
    Invoked,
    /// Vectors in Google's form, in Vertex AI's, which Imagen's pictures have too, and in Ollama's.
    Batch,
    Predictions,
    OllamaEmbed,
    Media(Medium),
    /// OpenAI's in clothes of a provider's own.
    Dressed(Guise),
}

impl Wire {
    fn of(seen: &Seen) -> Self {
        let path = seen.path.split('?').next().unwrap_or_default();
        let at_claude = path.contains("/publishers/anthropic/");
        if path.ends_with("/v2/rerank") {
            return Self::CohereRanking;
        }
        if let Some(medium) = Medium::of(path) {
            return Self::Media(medium);
        }
        match path.rsplit(['/', ':']).next() {
            Some("chat") if path.ends_with("/v2/chat") => Self::Cohere,
            Some("chat") if path.ends_with("/api/chat") => Self::Ollama,
            Some("embed") if path.ends_with("/v2/embed") => Self::Embed,
            Some("embed") if path.ends_with("/api/embed") => Self::OllamaEmbed,
            Some("batchEmbedContents") => Self::Batch,
            Some("predict") => Self::Predictions,
            Some("invoke" | "invoke-with-response-stream") => match path.contains("anthropic") {
                true => Self::Claude,
                false => Self::Invoked,
            },
            Some("rerank" | "reranking" | "ranking" | "rank") => Self::Ranking,
            Some("count_tokens") => Self::CountTokens,
            Some("messages") => Self::Anthropic,
            Some("completions") if !path.ends_with("/chat/completions") => Self::Completions,
            _ if path.contains("/responses") => Self::Responses,
            Some("embeddings") => Self::Embeddings,
            Some("rawPredict") if path.contains("/count-tokens:") => Self::CountTokens,
            Some("rawPredict" | "streamRawPredict") if at_claude => Self::Anthropic,
            Some("generateContent" | "streamGenerateContent") => Self::Gemini,
            Some("countTokens") => Self::GeminiCount,
            Some("count-tokens") => Self::ConverseCount,
            Some("converse" | "converse-stream") => Self::Converse,
            _ => Self::OpenAi,
        }
    }

    fn id_prefix(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Embeddings | Self::Ollama | Self::Converse => "chatcmpl-fake",
            Self::Responses => "resp_fake",
            Self::Completions => "cmpl-fake",
            Self::Anthropic | Self::CountTokens | Self::Claude => "msg_fake",
            Self::Gemini | Self::GeminiCount | Self::Batch | Self::Predictions => "fake",
            _ => "fake-",
        }
    }

    /// The content type and the events.
    fn write(self, id: &str, seen: &Seen, script: &Script) -> (String, Vec<Bytes>) {
        let json_type = "application/json".to_owned();
        match &script.answer {
            Answer::Raw { content_type, body } => (content_type.clone(), vec![body.clone()]),
            Answer::Error(message) => (json_type, vec![self.error(script.status, message)]),
            Answer::Said(said) => {
                let body = seen.json();
                if let Self::Dressed(guise) = self {
                    return guise.write(id, seen, script, said);
                }
                if let Self::Media(medium) = self {
                    return (medium.content_type().to_owned(), vec![medium.whole()]);
                }
                if seen.path.ends_with("-stream") {
                    let events = match self {
                        Self::Claude => converse::chunks(anthropic::stream(id, "", said)),
                        _ => converse::stream(said),
                    };
                    return ("application/vnd.amazon.eventstream".to_owned(), events);
                }
                let named = seen.path.contains(":streamGenerateContent");
                if named || body["stream"] == Value::Bool(true) {
                    let ndjson = matches!(self, Self::Ollama);
                    return (
                        if ndjson { "application/x-ndjson" } else { "text/event-stream; charset=utf-8" }
                            .to_owned(),
                        self.stream(id, (seen, &body), said, script),
                    );
                }
                (json_type, vec![self.whole(id, (seen, &body), said, script)])
            }
        }
    }

    fn whole(self, id: &str, (seen, body): (&Seen, &Value), said: &Said, script: &Script) -> Bytes {
        let model = body["model"].as_str().unwrap_or_default();
        match self {
            Self::OpenAi => openai::whole(id, model, said, script),
            Self::Responses => responses::whole(id, body, said),
            Self::Completions => completions::whole(id, body, said),
            Self::Anthropic | Self::Claude => anthropic::whole(id, model, said),
            Self::Converse => converse::whole(said),
            Self::Invoked => pictures::invoked(body).unwrap_or_else(|| vectors::invoked(body, &said.used)),
            Self::Batch => vectors::batch(body),
            Self::Predictions => pictures::predictions(body).unwrap_or_else(|| vectors::predictions(body)),
            Self::OllamaEmbed => vectors::embed(body, &said.used),
            Self::Media(medium) => medium.whole(),
            Self::CountTokens => json!({"input_tokens": said.used.input}).to_string().into(),
            Self::Embeddings => openai::embeddings(body),
            Self::Gemini => gemini::whole(id, gemini::model(&seen.path), said, pictures::wanted(body)),
            Self::GeminiCount => gemini::count(said),
            Self::ConverseCount => json!({"inputTokens": said.used.input}).to_string().into(),
            Self::Cohere => cohere::whole(id, said),
            Self::Ollama => ollama::whole(model, said),
            Self::Embed => cohere::vectors(id, body, &said.used),
            Self::CohereRanking => cohere::ranking(id, body),
            Self::Ranking => ranking::whole(model, body, &said.used),
            Self::Dressed(_) => unreachable!("it writes its answers itself"),
        }
    }

    fn stream(self, id: &str, (seen, body): (&Seen, &Value), said: &Said, script: &Script) -> Vec<Bytes> {
        let model = body["model"].as_str().unwrap_or_default();
        let asked = body["stream_options"]["include_usage"] == Value::Bool(true);
        match self {
            Self::OpenAi => openai::stream(id, model, said, script, asked),
            Self::Responses => responses::stream(id, body, said),
            Self::Completions => completions::stream(id, body, said, asked),
            Self::Anthropic => anthropic::stream(id, model, said),
            Self::Gemini => gemini::stream(id, gemini::model(&seen.path), said),
            Self::Cohere => cohere::stream(id, said),
            Self::Ollama => ollama::stream(model, said),
            Self::Converse => converse::stream(said),
            _ => vec![self.whole(id, (seen, body), said, script)],
        }
    }

    fn error(self, status: u16, message: &str) -> Bytes {
        match self {
            Self::OpenAi
            | Self::Responses
            | Self::Completions
            | Self::Embeddings
            | Self::Ranking
            | Self::Media(_) => openai::error(status, message),
            Self::Anthropic | Self::CountTokens => anthropic::error(status, message),
            Self::Gemini | Self::GeminiCount | Self::Batch | Self::Predictions => {
                gemini::error(status, message)
            }
            Self::Cohere | Self::Embed | Self::CohereRanking => cohere::error(message),
            Self::Ollama | Self::OllamaEmbed => ollama::error(message),
            Self::Converse | Self::ConverseCount | Self::Claude | Self::Invoked => converse::error(message),
            Self::Dressed(guise) => guise.error(status, message),
        }
    }

    fn error_event(self, message: &str) -> Bytes {
        match self {
            Self::Responses => responses::error_event(message),
            Self::Anthropic | Self::CountTokens => anthropic::error_event(message),
            Self::Gemini | Self::GeminiCount => gemini::error_event(message),
            Self::Cohere | Self::Embed | Self::CohereRanking => cohere::error_event(message),
            Self::Ollama => ollama::error(message),
            Self::Converse | Self::Claude => converse::error_event(message),
            Self::Dressed(guise) => guise.error_event(message),
            _ => openai::error_event(message),
        }
    }
}
