//! Canonical events into a client's stream.
//!
//! Each event is an answer with what is new in it. A call is whole in one event: its arguments are held until they are.
//! The last event waits for [`Event::End`], because usage may come after the reason to stop and clients read both in it.

use bytes::{BufMut as _, BytesMut};
use gatewright_core::chat::{Delta, Event, Finish, PartKind, ToolCall};
use gatewright_core::{Encode, ReplyStyle, Usage};
use serde_json::Value;

use super::part_out::PartOut;
use super::reply_encode::{Candidate, Response, grounding, response_id};
use super::turns::{Content, MODEL, is_own};
use super::usage::UsageOut;
use super::{logprobs, words};
use crate::json::put_json;
use crate::signature;

/// Writes one stream.
pub(super) struct Encoder {
    style: ReplyStyle,
    id: String,
    tier: Option<String>,
    parts: Vec<Open>,
    usage: Usage,
    finishes: Vec<(u32, Finish)>,
    citations: Vec<(u32, Value)>,
    /// A signature without a text, which the next call of its choice carries.
    pending: Option<(u32, String)>,
    ended: bool,
}

/// A part that is not whole yet.
struct Open {
    choice: u32,
    index: u32,
    kind: Kind,
}

enum Kind {
    Text,
    Reasoning { said: bool },
    Call(ToolCall),
    Other,
}

impl Encode for Encoder {
    fn event(&mut self, event: &Event, out: &mut BytesMut) {
        if self.ended {
            return;
        }
        match event {
            Event::Start { id, extra, .. } => {
                self.id = response_id(id, &self.style).into_owned();
                self.tier = extra.get("service_tier").and_then(Value::as_str).map(str::to_owned);
            }
            Event::PartStart { choice, index, kind } => self.start(*choice, *index, kind, out),
            Event::PartDelta { choice, index, delta } => self.delta(*choice, *index, delta, out),
            Event::PartEnd { choice, index } => self.part_end(*choice, *index, out),
            Event::Logprobs { choice, value } => {
                if let Some(result) = logprobs::written(value) {
                    let candidate = Candidate { logprobs_result: Some(result), ..said(*choice, Vec::new()) };
                    self.write(vec![candidate], false, out);
                }
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::Finish { choice, reason, .. } => self.finishes.push((*choice, *reason)),
            Event::Ping => {}
            Event::End => self.end(out),
        }
    }
}

// === impl Encoder ===

impl Encoder {
    /// An encoder for one stream.
    pub(super) fn new(style: &ReplyStyle) -> Self {
        Self {
            style: style.clone(),
            id: style.attempt.to_string(),
            tier: None,
            parts: Vec::new(),
            usage: Usage::default(),
            finishes: Vec::new(),
            citations: Vec::new(),
            pending: None,
            ended: false,
        }
    }

    fn start(&mut self, choice: u32, index: u32, kind: &PartKind, out: &mut BytesMut) {
        if !matches!(kind, PartKind::ToolCall { .. }) {
            self.flush(out);
        }
        let kind = match kind {
            PartKind::Text | PartKind::Refusal => Kind::Text,
            PartKind::Reasoning => Kind::Reasoning { said: false },
            PartKind::ToolCall { id, name } => Kind::Call(ToolCall {
                id: id.clone(),
                name: name.clone(),
                arguments: String::new(),
                cache: None,
            }),
            PartKind::Other(value) => {
                if is_own(value) {
                    self.say(choice, PartOut::Own(value), out);
                }
                Kind::Other
            }
            PartKind::RedactedReasoning { .. } => Kind::Other,
        };
        self.parts.push(Open { choice, index, kind });
    }

    fn delta(&mut self, choice: u32, index: u32, delta: &Delta, out: &mut BytesMut) {
        match delta {
            Delta::Text(text) => self.say(choice, PartOut::text(text.as_str()), out),
            Delta::Reasoning(text) => {
                if let Some(Kind::Reasoning { said }) = self.part(choice, index) {
                    *said = true;
                }
                self.say(choice, PartOut::thought(text, None), out);
            }
            Delta::Signature(signature) => {
                let signature = signature::for_gemini_client(signature);
                match self.part(choice, index) {
                    Some(Kind::Reasoning { said: true }) => {
                        self.say(choice, PartOut::thought("", Some(signature.into())), out);
                    }
                    _ => self.pending = Some((choice, signature)),
                }
            }
            Delta::Arguments(more) => {
                if let Some(Kind::Call(call)) = self.part(choice, index) {
                    call.arguments.push_str(more);
                }
            }
            Delta::Citation(citation) => self.citations.push((choice, citation.clone())),
            Delta::Other(_) => {}
        }
    }

    fn part_end(&mut self, choice: u32, index: u32, out: &mut BytesMut) {
        let place = self.parts.iter().position(|part| part.choice == choice && part.index == index);
        let Some(open) = place.map(|at| self.parts.remove(at)) else { return };
        if let Kind::Call(call) = open.kind {
            let pending = self.pending.take_if(|(of, _)| *of == choice).map(|(_, signature)| signature);
            self.say(choice, PartOut::call(&call, pending.map(Into::into)), out);
        }
    }

    /// A signature that no call took belongs to what was said before.
    fn flush(&mut self, out: &mut BytesMut) {
        if let Some((choice, signature)) = self.pending.take() {
            self.say(choice, PartOut::signature(signature), out);
        }
    }

    fn end(&mut self, out: &mut BytesMut) {
        // Calls whose end was not told are whole with the answer's.
        let open: Vec<_> = self.parts.iter().map(|part| (part.choice, part.index)).collect();
        open.into_iter().for_each(|(choice, index)| self.part_end(choice, index, out));
        self.flush(out);
        let finishes = std::mem::take(&mut self.finishes);
        let last = finishes.into_iter().map(|(choice, finish)| {
            let cited = self.citations.iter().filter(|(of, _)| *of == choice).map(|(_, citation)| citation);
            Candidate {
                finish_reason: Some(words::finish_reason(finish)),
                grounding_metadata: grounding(cited),
                ..said(choice, vec![PartOut::text("")])
            }
        });
        let last = last.collect();
        self.write(last, true, out);
        self.ended = true;
    }

    fn part(&mut self, choice: u32, index: u32) -> Option<&mut Kind> {
        self.parts
            .iter_mut()
            .find(|part| part.choice == choice && part.index == index)
            .map(|part| &mut part.kind)
    }

    fn say(&self, choice: u32, part: PartOut<'_>, out: &mut BytesMut) {
        self.write(vec![said(choice, vec![part])], false, out);
    }

    fn write(&self, candidates: Vec<Candidate<'_>>, last: bool, out: &mut BytesMut) {
        let response = Response {
            candidates,
            usage_metadata: last.then(|| UsageOut::new(&self.usage, self.tier.as_deref())),
            model_version: &self.style.model,
            response_id: self.id.as_str().into(),
        };
        out.put_slice(b"data: ");
        put_json(out, &response);
        out.put_slice(b"\n\n");
    }
}

fn said(choice: u32, parts: Vec<PartOut<'_>>) -> Candidate<'_> {
    Candidate {
        content: Content { role: MODEL, parts },
        finish_reason: None,
        index: choice,
        logprobs_result: None,
        grounding_metadata: None,
    }
}
