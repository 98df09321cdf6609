//! `contents` and `systemInstruction` into turns.

use std::borrow::Cow;

use gatewright_core::chat::{Part, Role, ToolCall, ToolResult, Turn};
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::value::RawValue;
use serde_json::{Result, Value};

use super::piece::{self, Kind};
use super::wire::Responded;
use super::words::UNSIGNED;
use crate::signature;

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default)]
    role: Cow<'a, str>,
    #[serde(borrow, default)]
    parts: Pieces<'a>,
}

/// A list of parts; a lone one may stand without its list.
#[derive(Default, Deserialize)]
#[serde(transparent)]
struct Pieces<'a>(#[serde(borrow)] Option<&'a RawValue>);

/// Reads turns; remembers the calls, because results need not name the call that they answer.
#[derive(Default)]
pub(super) struct Turns {
    /// Calls without a result so far: the tool's name and the call's.
    waiting: Vec<(String, String)>,
    calls: usize,
}

// === impl Pieces ===

impl<'a> Pieces<'a> {
    fn list(self) -> Result<Vec<&'a RawValue>> {
        let Some(raw) = self.0 else { return Ok(Vec::new()) };
        match raw.get().as_bytes().first() {
            Some(b'[') => serde_json::from_str(raw.get()),
            Some(b'{') => Ok(vec![raw]),
            _ => Err(serde_json::Error::custom("expected a list of parts")),
        }
    }
}

// === impl Turns ===

impl Turns {
    /// All turns.
    pub(super) fn read(mut self, contents: &RawValue, out: &mut Vec<Turn>) -> Result<()> {
        let contents: Vec<Content<'_>> = match contents.get().as_bytes().first() {
            Some(b'{') => vec![serde_json::from_str(contents.get())?],
            _ => serde_json::from_str(contents.get())?,
        };
        for content in contents {
            let role = match &*content.role {
                "user" | "function" | "tool" | "" => Role::User,
                "model" => Role::Assistant,
                "system" => Role::System,
                other => return Err(serde_json::Error::custom(format_args!("unknown role '{other}'"))),
            };
            let parts = self.parts(content.parts)?;
            out.push(Turn::new(role, parts));
        }
        Ok(())
    }

    /// The instruction: a content, or a bare text.
    pub(super) fn instruction(mut self, raw: &RawValue) -> Result<Vec<Part>> {
        match raw.get().as_bytes().first() {
            Some(b'"') => Ok(vec![Part::text(serde_json::from_str::<String>(raw.get())?)]),
            _ => self.parts(serde_json::from_str::<Content<'_>>(raw.get())?.parts),
        }
    }

    fn parts(&mut self, pieces: Pieces<'_>) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for raw in pieces.list()? {
            let (kind, signature) = piece::read(raw)?;
            // The one that stands for none says nothing.
            let signature = signature.filter(|signature| signature != UNSIGNED);
            let signature = signature.as_deref().map(signature::from_gemini_client);
            self.part(kind, signature, &mut parts)?;
        }
        Ok(parts)
    }

    fn part(&mut self, kind: Kind<'_>, signature: Option<String>, parts: &mut Vec<Part>) -> Result<()> {
        let alone = |signature| Part::Reasoning { text: String::new(), signature: Some(signature) };
        match kind {
            Kind::Thought(text) => parts.push(Part::Reasoning { text: text.into_owned(), signature }),
            Kind::Text(text) => {
                if !text.is_empty() {
                    parts.push(Part::text(text));
                }
                parts.extend(signature.map(alone));
            }
            Kind::Call(call) => {
                parts.extend(signature.map(alone));
                let arguments = call.arguments();
                let name = call.name.unwrap_or_default().into_owned();
                let own = call.id.filter(|id| !id.is_empty()).map(Cow::into_owned);
                let id = own.unwrap_or_else(|| format!("call_{}", self.calls));
                self.calls += 1;
                self.waiting.push((name.clone(), id.clone()));
                parts.push(Part::ToolCall(ToolCall { id, name, arguments, cache: None }));
            }
            Kind::Result(result) => parts.push(Part::ToolResult(self.result(result)?)),
            Kind::Media(media) => parts.push(Part::Media(media)),
            Kind::Other(value) => parts.push(Part::Other(value)),
        }
        Ok(())
    }

    /// A result answers the call that it names, else the first call of its tool that waits.
    fn result(&mut self, result: Responded<'_>) -> Result<ToolResult> {
        let name = result.name.unwrap_or_default();
        let own = result.id.filter(|id| !id.is_empty());
        let at = self.waiting.iter().position(|(tool, id)| match &own {
            Some(own) => id == own,
            None => *tool == name,
        });
        let waited = at.map(|at| self.waiting.remove(at).1);
        let id = own.map(Cow::into_owned).or(waited).unwrap_or_else(|| name.clone().into_owned());
        let (text, is_error) = told(result.response)?;
        let mut parts = Vec::new();
        if !text.is_empty() {
            parts.push(Part::text(text));
        }
        for raw in result.parts {
            if let (Kind::Media(media), _) = piece::read(raw)? {
                parts.push(Part::Media(media));
            }
        }
        Ok(ToolResult { id, parts, is_error, cache: None })
    }
}

/// What a tool told: the words under the names that the API documents for them, else the whole object.
fn told(response: Option<&RawValue>) -> Result<(String, bool)> {
    let Some(raw) = response else { return Ok((String::new(), false)) };
    let object: Value = serde_json::from_str(raw.get())?;
    let alone = object.as_object().filter(|fields| fields.len() == 1);
    let field = |key: &str| match alone?.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Null => Some(String::new()),
        other => Some(other.to_string()),
    };
    Ok(match (field("error"), field("output").or_else(|| field("result"))) {
        (Some(error), _) => (error, true),
        (None, Some(output)) => (output, false),
        (None, None) => (raw.get().to_owned(), false),
    })
}
