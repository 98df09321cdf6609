//! Traffic that stays in the dialect: bytes are spliced, never written anew.

use bytes::{BufMut, Bytes, BytesMut};
use gatewright_core::{
    AttemptId, Error, ErrorKind, Frame, Json, ModelFacts, Peek, RawEvent, ReasoningControl, Relay,
    ReplyFacts, ReplyStyle, Result, Usage,
};
use serde_json::{Map, Value};

use super::splice::{Face, Form, Splice};
use super::{fault, usage};

/// The last event of a stream.
pub(super) const DONE: &[u8] = b"data: [DONE]\n\n";

/// Edits a stream on its way to the client.
pub(super) struct Passage {
    face: Face,
    include_usage: bool,
    splice: Splice,
    /// Whether the stream's id is settled: the upstream's, else ours.
    has_id: bool,
    done: bool,
}

/// Addresses a request to an upstream; its usage is always wanted, because it is metered.
pub(super) fn readdress(body: &mut Json, model: &str) {
    body.set_string("model", model);
    if !body.flag("stream").unwrap_or_default() {
        return;
    }
    let Ok(options) = body.get::<Map<String, Value>>("stream_options") else { return };
    let mut options = options.unwrap_or_default();
    if options.get("include_usage") == Some(&Value::Bool(true)) {
        return;
    }
    options.insert("include_usage".into(), true.into());
    body.set("stream_options", Value::Object(options).to_string());
}

/// Caps the answer in whichever field the client has chosen; models that think count that in the newer one.
pub(super) fn cap_output(body: &mut Json, cap: u64, model: &ModelFacts) {
    const FIELDS: [&str; 2] = ["max_tokens", "max_completion_tokens"];
    for field in FIELDS.into_iter().filter(|field| body.has(field)).collect::<Vec<_>>() {
        body.lower(field, cap);
    }
    if !FIELDS.into_iter().any(|field| body.has(field)) {
        body.lower(cap_field(model), cap);
    }
}

/// The field that caps a model's answer.
pub(super) fn cap_field(model: &ModelFacts) -> &'static str {
    match model.reasoning {
        ReasoningControl::None => "max_tokens",
        ReasoningControl::Effort | ReasoningControl::Budget | ReasoningControl::Adaptive => {
            "max_completion_tokens"
        }
    }
}

/// Edits a whole answer.
pub(super) fn whole(body: &Bytes, style: &ReplyStyle) -> Result<Frame> {
    edited(&mut Splice::default(), body, style)
}

/// The same, and what the answer says about itself.
pub(super) fn told(body: &Bytes, style: &ReplyStyle) -> Result<(Frame, ReplyFacts)> {
    let mut splice = Splice::noting();
    let frame = edited(&mut splice, body, style)?;
    Ok((frame, splice.facts(body)))
}

fn edited(splice: &mut Splice, body: &Bytes, style: &ReplyStyle) -> Result<Frame> {
    if splice.read(body, Form::Whole).is_none() {
        return Err(unreadable());
    }
    if splice.is_error {
        return Err(fault::inside(body));
    }
    if splice.choices.is_none() {
        return Err(without_choices(body));
    }
    let mut data = BytesMut::with_capacity(body.len() + 128);
    splice.write(body, &face(style), &mut data);
    Ok(Frame { data: data.freeze(), usage: peek_usage(splice, body), content: splice.weight, last: true })
}

/// What an answer without choices means: mostly an error that does not call itself one.
pub(super) fn without_choices(body: &[u8]) -> Error {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    match said.get("message").or_else(|| said.get("detail")) {
        Some(_) => fault::inside(body),
        None => Error::new(ErrorKind::BadGateway, "the upstream's answer has no choices"),
    }
}

/// What a stream means that is over before its answer is whole.
pub(super) fn cut_short() -> Error {
    Error::new(ErrorKind::Connection, "the upstream's stream ended before the answer was whole")
}

pub(super) fn unreadable() -> Error {
    Error::new(ErrorKind::BadGateway, "the upstream's answer is not valid JSON")
}

// === impl Passage ===

impl Passage {
    pub(super) fn new(style: &ReplyStyle) -> Self {
        Self {
            face: face(style),
            include_usage: style.include_usage,
            splice: Splice::default(),
            has_id: false,
            done: false,
        }
    }

    fn finish(&mut self, out: &mut BytesMut) -> Peek {
        self.done = true;
        out.put_slice(DONE);
        Peek { last: true, ..Peek::default() }
    }

    /// The first id of a stream is the id of all its events.
    fn settle_id(&mut self, data: &[u8]) {
        self.has_id = true;
        if self.splice.needs_id() {
            self.splice.names_itself = true;
            return;
        }
        let id = self.splice.id.clone().and_then(|at| std::str::from_utf8(data.get(at)?).ok());
        if let Some(id) = id {
            self.face.id = Some(id.to_owned());
        }
    }

    fn is_for_client(&self) -> bool {
        match self.splice.choices {
            Some(0) | None if self.splice.usage.is_some() => self.include_usage,
            Some(_) => true,
            None => false,
        }
    }
}

impl Relay for Passage {
    fn event(&mut self, event: RawEvent<'_>, out: &mut BytesMut) -> Result<Peek> {
        let data = event.data.trim_ascii();
        if data == b"[DONE]" {
            return Ok(self.finish(out));
        }
        if data.is_empty() || self.done {
            return Ok(Peek::default());
        }
        if event.name == "error" {
            return Err(fault::inside(data));
        }
        if self.splice.read(data, Form::Chunk).is_none() {
            return Err(unreadable());
        }
        if self.splice.is_error {
            return Err(fault::inside(data));
        }
        let peek = Peek { usage: peek_usage(&self.splice, data), content: self.splice.weight, last: false };
        if !self.is_for_client() {
            return Ok(peek);
        }
        if !self.has_id {
            self.settle_id(data);
        }
        if !self.include_usage {
            self.splice.drop_usage();
        }
        let start = out.len();
        out.reserve(data.len() + self.face.model.len() + 128);
        out.put_slice(b"data: ");
        self.splice.write(data, &self.face, out);
        join_lines(data, out.get_mut(start..).unwrap_or_default());
        out.put_slice(b"\n\n");
        Ok(peek)
    }

    fn close(&mut self, out: &mut BytesMut) -> Result<Peek> {
        if self.done {
            return Ok(Peek { last: true, ..Peek::default() });
        }
        if self.splice.is_whole() {
            return Ok(self.finish(out));
        }
        Err(cut_short())
    }
}

fn peek_usage(splice: &Splice, text: &[u8]) -> Option<Usage> {
    usage::read(text.get(splice.usage.clone()?)?)
}

/// An event of several data lines leaves as one: a line break in JSON is only a blank.
fn join_lines(data: &[u8], written: &mut [u8]) {
    if memchr::memchr(b'\n', data).is_none() {
        return;
    }
    written.iter_mut().filter(|b| **b == b'\n').for_each(|b| *b = b' ');
}

fn face(style: &ReplyStyle) -> Face {
    let model = Value::String(style.model.to_string()).to_string();
    Face { model, id: None, attempt: style.attempt, created: style.created }
}

/// An id for an answer whose upstream gives none.
pub(super) fn answer_id(attempt: AttemptId) -> String {
    format!("chatcmpl-{attempt}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gatewright_core::JsonLimits;

    fn style(include_usage: bool) -> ReplyStyle {
        ReplyStyle {
            model: "alias".into(),
            include_usage,
            created: 7,
            attempt: gatewright_core::AttemptId::from_bytes([0; 16]),
            older_functions: false,
            asked: None,
        }
    }

    /// The event with the fields that every chunk of OpenAI's has.
    fn completed(event: &str) -> String {
        let Some(rest) = event.strip_prefix('{') else { return event.to_owned() };
        let fields = [r#""id":"x","#, r#""object":"chat.completion.chunk","#, r#""created":7,"#];
        let missing = fields.iter().filter(|field| !event.contains(field.split(':').next().unwrap()));
        format!("{{{}{rest}", missing.copied().collect::<String>())
    }

    fn relay(events: &[&str], include_usage: bool) -> Result<(String, Vec<Peek>)> {
        let events: Vec<String> = events.iter().map(|event| completed(event)).collect();
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        relay_as_it_is(&events, include_usage)
    }

    fn relay_as_it_is(events: &[&str], include_usage: bool) -> Result<(String, Vec<Peek>)> {
        let mut passage = Passage::new(&style(include_usage));
        let mut out = BytesMut::new();
        let mut peeks = Vec::new();
        for data in events {
            peeks.push(passage.event(RawEvent { name: "", data: data.as_bytes() }, &mut out)?);
        }
        peeks.push(passage.close(&mut out)?);
        Ok((String::from_utf8(out.to_vec()).unwrap(), peeks))
    }

    const END: &str = r#"{"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

    #[test]
    fn a_chunk_is_spliced_and_otherwise_left_alone() {
        let plain = |delta: &str| format!(r#"{{"model":"m","choices":[{{"index":0,"delta":{delta}}}]}}"#);
        let ours = |delta: &str| format!(r#"{{"model":"alias","choices":[{{"index":0,"delta":{delta}}}]}}"#);
        let case = |(from, to, content): (&str, &str, u32)| (plain(from), ours(to), content);
        let mut cases: Vec<(String, String, u32)> = [
            (r#"{ "content" : "h\"i", "n":1.50 }"#, r#"{ "content" : "h\"i", "n":1.50 }"#, 4),
            (r#"{"reasoning":"abc","channel":"x"}"#, r#"{"reasoning_content":"abc","channel":"x"}"#, 3),
            (
                r#"{"reasoning":"abc","reasoning_content":null}"#,
                r#"{"reasoning":"abc","reasoning_content":"abc"}"#,
                3,
            ),
            (
                r#"{"reasoning":"abc","reasoning_content":"abc"}"#,
                r#"{"reasoning":"abc","reasoning_content":"abc"}"#,
                6,
            ),
            (r#"{"reasoning":null,"content":"a"}"#, r#"{"reasoning":null,"content":"a"}"#, 1),
            (
                r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"th"}]}]}"#,
                r#"{"content":null,"reasoning_content":"th"}"#,
                2,
            ),
            (
                r#"{"content":[{"type":"text","text":"a\n"},{"type":"text","text":"b"}]}"#,
                r#"{"content":"a\nb"}"#,
                3,
            ),
            (
                r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}"#,
                r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}"#,
                3,
            ),
            (r#"{"role":"assistant","content":""}"#, r#"{"role":"assistant","content":""}"#, 0),
        ]
        .map(case)
        .into();
        let bare = r#"{"id":"x","object":"chat.completion.chunk","created":7,"choices":[]}"#;
        cases.push((bare.into(), bare.replacen('{', r#"{"model":"alias","#, 1), 0));
        cases.push((
            r#"{"object":"chat.completion","model":"m","choices":[{"finish_reason":"eos"}]}"#.into(),
            r#"{"object":"chat.completion.chunk","model":"alias","choices":[{"finish_reason":"stop"}]}"#
                .into(),
            0,
        ));
        cases.push((
            r#"{"model":"m","choices":[{"index":0,"finish_reason":""}]}"#.into(),
            r#"{"model":"alias","choices":[{"index":0,"finish_reason":null}]}"#.into(),
            0,
        ));
        for (from, to, content) in cases {
            let (text, peeks) = relay(&[&from, END], true).unwrap();
            assert_eq!(text.split("\n\n").next().unwrap(), format!("data: {}", completed(&to)), "{from}");
            assert_eq!(peeks[0].content, content, "{from}");
        }
    }

    #[test]
    fn events_that_begin_alike_are_edited_alike() {
        let events = [
            r#"{"id":"x","object":"o","model":"m","choices":[{"index":0,"delta":{"content":"a"}}],"usage":null}"#,
            r#"{"id":"x","object":"o","model":"m","choices":[{"index":0,"delta":{"reasoning":"b"}}]}"#,
            r#"{"id":"y","object":"o","model":"m","choices":[{"index":0,"delta":{"content":"c"}}],"usage":{}}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"d"}}],"model":"m"}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"e"}}],"model":"m"}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"f"}}]}"#,
            r#"{"usage":{"prompt_tokens":1},"choices":[{"index":0,"delta":{"content":"g"}}]}"#,
            r#"{"id":"x","object":"o","model":"m","choices":[{"index":0,"delta":{"content":"i"}}]}"#,
            r#"{"id":"x","object":"o","model":"m","usage":null,"choices":[{"index":0,"delta":{"content":"j"}}]}"#,
            r#"{"usage":{"prompt_tokens":2},"choices":[{"index":0,"delta":{"content":"h"}}]}"#,
            END,
        ];
        let alone =
            |event: &&str| relay(&[event, END], false).unwrap().0.split("\n\n").next().unwrap().to_owned();
        let (text, peeks) = relay(&events, false).unwrap();
        let together: Vec<_> = text.split("\n\n").take(events.len()).map(str::to_owned).collect();
        assert_eq!(together, events.iter().map(alone).collect::<Vec<_>>());
        assert_eq!(peeks[9].usage.map(|u| u.input), Some(2));
    }

    #[test]
    fn usage_is_peeked_and_shown_only_to_who_asked() {
        let alone = r#"{"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
        let riding =
            r#"{"usage":{"prompt_tokens":3},"model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}"#;
        let null = r#"{"model":"m","choices":[{"index":0,"delta":{"content":"a"}}],"usage":null}"#;
        let bare = r#"{"model":"alias","choices":[{"index":0,"delta":{"content":"a"}}]}"#;
        for (event, asked, want, input) in [
            (alone, false, String::new(), Some(3)),
            (alone, true, alone.replace("\"m\"", "\"alias\""), Some(3)),
            (riding, false, bare.to_owned(), Some(3)),
            (riding, true, riding.replace("\"m\"", "\"alias\""), Some(3)),
            (null, false, bare.to_owned(), None),
        ] {
            let (text, peeks) = relay(&[event, END], asked).unwrap();
            let got = text.split("\n\n").next().unwrap().strip_prefix("data: ").unwrap();
            let want = if want.is_empty() { END.replace("\"m\"", "\"alias\"") } else { want };
            assert_eq!(got, completed(&want));
            assert_eq!(peeks[0].usage.map(|u| u.input), input, "{event}");
        }
    }

    #[test]
    fn what_typed_clients_need_is_added_where_a_provider_leaves_it_out() {
        let event = r#"{"model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}"#;
        let (text, _) = relay_as_it_is(&[event, event, END], false).unwrap();
        let head = r#"{"id":"chatcmpl-00000000-0000-0000-0000-000000000000","object":"chat.completion.chunk","created":7,"model":"alias","#;
        assert_eq!(text.matches(head).count(), 3, "{text}");
        // An id that is no text is none, and never comes to stand in another event.
        let odd = r#"{"id":0;5,"object":"chat.completion.chunk","created":7,"model":"m","choices":[]}"#;
        let (text, _) = relay_as_it_is(&[odd, event, END], false).unwrap();
        assert_eq!(text.matches(head).count(), 3, "{text}");
        let body =
            r#"{"model":"m","choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}"#;
        let frame = whole(&Bytes::from_static(body.as_bytes()), &style(false)).unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&frame.data).unwrap();
        assert_eq!((&answer["object"], &answer["created"]), (&"chat.completion".into(), &7.into()));
        assert!(answer["id"].as_str().is_some_and(|id| id.starts_with("chatcmpl-")), "{answer}");
    }

    #[test]
    fn a_stream_is_whole_with_its_finish_or_its_last_event() {
        let text = r#"{"model":"m","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}"#;
        let other = r#"{"model":"m","choices":[{"index":1,"delta":{"content":"a"}}]}"#;
        for (events, whole) in [
            (vec![text, END], true),
            (vec![text, "[DONE]"], true),
            (vec![text, END, "[DONE]"], true),
            (vec![text], false),
            (vec![], false),
            (vec![text, other, END], false),
        ] {
            match relay(&events, false) {
                Ok((text, peeks)) => {
                    assert!(
                        whole && text.ends_with("data: [DONE]\n\n") && peeks.last().unwrap().last,
                        "{events:?}"
                    );
                    assert_eq!(text.matches("[DONE]").count(), 1);
                }
                Err(err) => assert!(!whole && err.kind() == ErrorKind::Connection, "{events:?}: {err}"),
            }
        }
    }

    #[test]
    fn errors_in_a_good_stream_fail_it() {
        for (event, kind) in [
            (r#"{"error":{"message":"x","code":429}}"#, ErrorKind::RateLimited),
            (
                r#"{"model":"m","choices":[{"delta":{}}],"error":{"message":"x","code":502}}"#,
                ErrorKind::BadGateway,
            ),
            (r#"{"object":"error","message":"x","code":400}"#, ErrorKind::InvalidRequest),
            ("<html>", ErrorKind::BadGateway),
        ] {
            assert_eq!(relay(&[event], false).unwrap_err().kind(), kind, "{event}");
        }
        let named = RawEvent { name: "error", data: b"it broke" };
        let err = Passage::new(&style(false)).event(named, &mut BytesMut::new()).unwrap_err();
        assert_eq!((err.kind(), err.message()), (ErrorKind::Upstream, "it broke"));
        assert!(relay(&[r#"{"error":null,"model":"m","choices":[]}"#, END], false).is_ok());
    }

    #[test]
    fn several_data_lines_leave_as_one() {
        let (text, _) = relay(&["{\"model\":\"m\",\n\"choices\":[]}", END], false).unwrap();
        let want = completed("{\"model\":\"alias\", \"choices\":[]}");
        assert!(text.starts_with(&format!("data: {want}\n\n")), "{text}");
    }

    #[test]
    fn a_whole_answer_is_spliced() {
        let body = r#"{"id":"x","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi","reasoning":"r"},"finish_reason":"eos"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
        let frame = whole(&Bytes::from_static(body.as_bytes()), &style(false)).unwrap();
        let want = body
            .replace(r#""m""#, r#""alias""#)
            .replace(r#""reasoning""#, r#""reasoning_content""#)
            .replace("eos", "stop");
        assert_eq!(frame.data, want);
        assert_eq!((frame.usage.unwrap().input, frame.content, frame.last), (3, 3, true));
        for (body, kind) in [
            (r#"{"error":{"message":"x"}}"#, ErrorKind::Upstream),
            (r#"{"id":"x"}"#, ErrorKind::BadGateway),
            ("nope", ErrorKind::BadGateway),
        ] {
            assert_eq!(whole(&Bytes::from_static(body.as_bytes()), &style(false)).unwrap_err().kind(), kind);
        }
    }

    #[test]
    fn a_streamed_request_asks_for_usage() {
        for (body, want) in [
            (
                r#"{"model":"a","stream":true}"#,
                r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream":true,"stream_options":{"x":1,"include_usage":false},"model":"a"}"#,
                r#"{"stream":true,"stream_options":{"x":1,"include_usage":true},"model":"m"}"#,
            ),
            (r#"{"model":"a","stream":false}"#, r#"{"model":"m","stream":false}"#),
            (
                r#"{"model":"a","stream":true,"stream_options":{"include_usage": true}}"#,
                r#"{"model":"m","stream":true,"stream_options":{"include_usage": true}}"#,
            ),
        ] {
            let mut json =
                Json::parse(Bytes::copy_from_slice(body.as_bytes()), JsonLimits::default()).unwrap();
            readdress(&mut json, "m");
            assert_eq!(json.to_bytes(), want);
        }
    }
}
