//! An upstream's answer as a reply in the client's dialect.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use gatewright_core::{
    Call, Clock, Codec, Dialect, Error, Frame, Frames, Framing, Head, Json, Notes, Operation, Peek, Relay,
    Reply, ReplyStyle, Result, ServedBy, SystemClock, Target, Translate, chat,
};
use gatewright_dialects::check_depth;
use gatewright_telemetry::UpstreamSpan;
use gatewright_transport::{Request, Response};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{StatusCode, Uri};
use tokio::time::timeout_at;

use crate::custom::Asked;
use crate::endpoint::Endpoint;
use crate::ordered::ordered;
use crate::stream::{Exchange, Flow, UpstreamStream};
use crate::upstream::Bounds;
use crate::{asked, fault, forced_tool, going_on, retell};

/// One attempt that has been sent.
pub(crate) struct Sent<'a> {
    pub(crate) call: &'a Call,
    pub(crate) target: &'a Target,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) served_by: Arc<ServedBy>,
    pub(crate) dropped: Vec<Cow<'static, str>>,
    pub(crate) bounds: &'a Bounds,
    pub(crate) at: Instant,
    pub(crate) span: UpstreamSpan,
    /// Where the answer's facts are noted, if anybody will read them.
    pub(crate) notes: Option<Notes>,
}

/// How an answer becomes the client's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Path {
    /// Its bytes are edited.
    Same,
    /// It is decoded and encoded.
    Translated,
    /// So it is, and a forced tool's arguments become its text.
    Unforced,
}

/// What the client must find in its answer.
pub(crate) fn style(call: &Call, target: &Target, upstream_model: &Arc<str>) -> ReplyStyle {
    let model = if call.controls.upstream_name { upstream_model } else { &target.shown };
    // Nothing but the dialects of this API repeats what was asked.
    let repeats = matches!(call.codec.dialect(), Dialect::OpenAiResponses | Dialect::OpenAiCompletions);
    ReplyStyle {
        asked: call.body.json().filter(|_| repeats).map(|json| repeated(json, call)),
        model: model.clone(),
        include_usage: call.controls.include_usage,
        created: SystemClock.unix_seconds(),
        attempt: target.attempt,
        older_functions: older_functions(call),
    }
}

fn older_functions(call: &Call) -> bool {
    call.body.json().is_some_and(|json| json.has("functions") && !json.has("tools"))
}

/// The request as the client sent it: a conversation that the gateway itself knows was put into its place.
fn repeated(json: &Json, call: &Call) -> Json {
    let mut asked = json.clone();
    if let Some(previous) = &call.controls.previous_response {
        asked.set_string("previous_response_id", previous);
    }
    asked
}

// === impl Sent ===

impl Sent<'_> {
    /// Reads the answer: an error, a stream, or a whole body.
    pub(crate) async fn reply(self, response: Response) -> Result<Reply> {
        if !response.status.is_success() {
            return Err(self.refused(response).await);
        }
        let response = response.plain().map_err(|failure| fault::broken(self.provider(), &failure))?;
        let wants_stream = self.call.stream && self.call.operation.streams();
        if wants_stream && self.comes_as_stream(&response) {
            return self.streamed(response);
        }
        let Response { status, headers, body } = response;
        let body = self.whole(body.collect(self.bounds.settings.max_reply_bytes)).await?;
        self.told((status, headers), body)
    }

    /// Reads a whole answer.
    pub(crate) fn told(self, (status, headers): (StatusCode, HeaderMap), body: Bytes) -> Result<Reply> {
        let wants_stream = self.call.stream && self.call.operation.streams();
        let read = self.endpoint.read(body, self.asked());
        let body = read.map_err(|err| fault::inside(self.provider(), err))?;
        if self.call.operation == Operation::Chat {
            check_depth(&body).map_err(|err| fault::inside(self.provider(), err))?;
        }
        let call = self.call;
        if call.operation != Operation::Chat || wants_stream || self.path() != Path::Same {
            self.note(&body);
        }
        let frame = match call.operation {
            Operation::CountTokens => Frame { data: self.counted(body)?, ..Frame::default() },
            Operation::Chat if wants_stream => self.retold(&body)?,
            Operation::Chat => self.relayed(body)?,
            _ => asked::answer(call, &self.endpoint, body, &self.style())
                .map_err(|err| fault::inside(self.provider(), err))?,
        };
        let content_type = headers.get(CONTENT_TYPE).filter(|kind| is_text(kind)).cloned();
        let drawn = matches!(call.operation, Operation::ImageGenerations | Operation::ImageEdits)
            && self.path() == Path::Translated;
        let streams = wants_stream && (drawn || call.operation == Operation::Chat);
        let head = Head { status, headers, streams, content_type, ..self.head() };
        Ok(Reply { head: head.into(), frames: Frames::one(frame) })
    }

    /// The request for what an answer led to, authorized as the one before.
    pub(crate) fn onward(&self, uri: Uri, streams: bool) -> Result<Request> {
        let mut request = Request::fetch(uri);
        if streams {
            request.headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        }
        if let Some(authorize) = &self.endpoint.authorize {
            authorize.authorize(&mut request)?;
        }
        Ok(request)
    }

    /// Whether the answer is the stream that was asked for. One that is neither a stream nor JSON would be passed on as
    /// garbage.
    fn comes_as_stream(&self, response: &Response) -> bool {
        let kind =
            response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match (self.call.operation, self.endpoint.framing()) {
            (Operation::Speech, _) => !kind.starts_with("application/json"),
            (_, Framing::Sse | Framing::Bytes) => {
                kind.is_empty() || kind.contains("event-stream") || kind.starts_with("text/plain")
            }
            // One line of it is JSON too.
            (_, Framing::Ndjson) => true,
            (_, Framing::AwsEvents) => kind.contains("amazon.eventstream"),
        }
    }

    /// A count in the client's words.
    fn counted(&self, body: Bytes) -> Result<Bytes> {
        let (ours, theirs) = (self.call.codec, self.endpoint.codec);
        if ours.dialect() == theirs.dialect() {
            return Ok(body);
        }
        let tokens = theirs.decode_count(&body).map_err(|err| fault::inside(self.provider(), err))?;
        Ok(ours.encode_count(tokens))
    }

    async fn refused(&self, response: Response) -> Error {
        let (status, headers) = (response.status, response.headers.clone());
        let body = response.decoded(self.bounds.settings.max_error_bytes);
        let body = self.whole(body).await.unwrap_or_default();
        let (status, body) = self.endpoint.refusal(status, &headers, body);
        fault::refused(self.endpoint.codec, self.provider(), (status, headers), &body)
    }

    fn streamed(self, response: Response) -> Result<Reply> {
        let Response { status, headers, body } = response;
        let (ours, theirs) = (self.call.codec, self.endpoint.codec);
        let style = self.style();
        let is_sound = self.call.operation == Operation::Speech && !is_events(&headers);
        let framing = if is_sound { Framing::Bytes } else { self.endpoint.framing() };
        let relay: Box<dyn Relay> = match self.path() {
            _ if is_sound => Box::new(Flow { usage: ordered(self.call) }),
            _ if self.call.operation != Operation::Chat => theirs.relay_events(&style),
            Path::Same => going_on::edited(self.call, theirs, &style),
            Path::Translated => going_on::translated(self.call, theirs, &style)?,
            Path::Unforced => {
                let decoder = Box::new(forced_tool::Unforced::new(theirs.decoder()));
                Box::new(Translate::new(decoder, ours.encoder(&style)))
            }
        };
        let relay = self.endpoint.relay(relay, self.asked());
        let content_type = headers.get(CONTENT_TYPE).filter(|_| is_sound).cloned();
        let head = Head { status, headers, streams: true, content_type, ..self.head() };
        let provider = self.served_by.provider.clone();
        let exchange =
            Exchange { provider, at: self.at, span: self.span, endpoint: self.endpoint, notes: self.notes };
        let stream = UpstreamStream::new(body, (framing, relay), exchange, (self.target, self.bounds));
        Ok(Reply { head: head.into(), frames: Frames::many(stream) })
    }

    /// A whole answer for a client that wants it whole.
    fn relayed(&self, body: Bytes) -> Result<Frame> {
        let ours = self.call.codec;
        let frame = match self.path() {
            Path::Same => self.edited(body),
            Path::Translated | Path::Unforced => {
                self.decoded(&body).map(|answer| whole_frame(ours, &answer, &self.style()))
            }
        };
        let billed =
            |frame: Frame| Frame { usage: frame.usage.map(|usage| self.endpoint.billed(usage)), ..frame };
        frame.map(billed).map_err(|err| fault::inside(self.provider(), err))
    }

    /// Whoever notes what it says about itself reads it in the same walk.
    fn edited(&self, body: Bytes) -> Result<Frame> {
        let (codec, style) = (self.endpoint.codec, self.style());
        let Some(notes) = &self.notes else { return codec.relay_reply(body, &style) };
        let (frame, facts) = codec.relay_told(body, &style)?;
        notes.note(facts);
        Ok(frame)
    }

    fn note(&self, body: &[u8]) {
        if let Some(notes) = &self.notes {
            notes.note(self.endpoint.codec.facts(body));
        }
    }

    fn decoded(&self, body: &[u8]) -> Result<chat::Answer> {
        let answer = self.endpoint.codec.decode_reply(body)?;
        Ok(if self.path() == Path::Unforced { forced_tool::unforced(answer) } else { answer })
    }

    fn path(&self) -> Path {
        match self.call.codec.dialect() == self.endpoint.codec.dialect() {
            _ if forced_tool::applies(self.call, &self.endpoint) => Path::Unforced,
            _ if going_on::is_begun(self.call) => Path::Translated,
            true => Path::Same,
            false => Path::Translated,
        }
    }

    /// A whole answer for a client that wants a stream.
    fn retold(&self, body: &[u8]) -> Result<Frame> {
        let answer = self.decoded(body).map_err(|err| fault::inside(self.provider(), err))?;
        if going_on::is_begun(self.call) {
            return going_on::told(self.call, &answer);
        }
        Ok(told_frame(self.call.codec, &answer, &self.style()))
    }

    pub(crate) async fn whole(
        &self,
        body: impl Future<Output = Result<Bytes, gatewright_transport::Failure>>,
    ) -> Result<Bytes> {
        match timeout_at(self.target.deadline.into(), body).await {
            Ok(Ok(bytes)) => Ok(bytes),
            // The answer was on its way: the provider has made it, and bills it.
            Ok(Err(failure)) => Err(fault::broken(self.provider(), &failure).with_bill()),
            Err(_) => Err(fault::timed_out(self.provider(), "the whole answer")),
        }
    }

    fn style(&self) -> ReplyStyle {
        style(self.call, self.target, &self.endpoint.model)
    }

    fn asked(&self) -> Asked {
        Asked { operation: self.call.operation, older_functions: older_functions(self.call) }
    }

    fn provider(&self) -> &str {
        &self.served_by.provider
    }

    fn head(&self) -> Head {
        Head {
            served_by: Some(self.served_by.clone()),
            relayed: self.path() == Path::Same,
            dropped: self.dropped.clone(),
            waited: self.at.elapsed(),
            notes: self.notes.clone(),
            ..Head::default()
        }
    }
}

/// A whole answer in the client's dialect.
pub(crate) fn whole_frame(codec: &dyn Codec, answer: &chat::Answer, style: &ReplyStyle) -> Frame {
    let data = codec.encode_reply(answer, style);
    let content = u32::try_from(data.len()).unwrap_or(u32::MAX);
    Frame { data, usage: answer.usage, content, last: true }
}

/// A whole answer as the events of a stream in the client's dialect.
pub(crate) fn told_frame(codec: &dyn Codec, answer: &chat::Answer, style: &ReplyStyle) -> Frame {
    let mut encoder = codec.encoder(style);
    let mut out = BytesMut::new();
    let mut seen = Peek::default();
    for event in retell::events(answer) {
        if let chat::Event::PartDelta { delta, .. } = &event {
            seen.content = seen.content.saturating_add(delta.weight());
        }
        encoder.event(&event, &mut out);
    }
    Frame { data: out.freeze(), usage: answer.usage, content: seen.content.max(1), last: true }
}

fn is_events(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

/// Whether a whole answer is text that is not JSON, as subtitles are.
fn is_text(kind: &HeaderValue) -> bool {
    kind.as_bytes().starts_with(b"text/") || kind.as_bytes().starts_with(b"application/x-subrip")
}
