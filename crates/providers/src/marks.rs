//! Prompt-cache marks that the operator sets and the client did not: at places of the conversation, or after long
//! instructions.

use gatewright_core::chat::{CacheMark, Chat, Part, Role, Turn};
use gatewright_core::{Json, Result};
use serde_json::{Value, json};

/// The most marks that Anthropic takes in one request (its page on prompt caching).
const MOST: usize = 4;

/// Where a mark goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkAt {
    /// The turns.
    pub place: Place,
    /// How long it holds.
    pub mark: CacheMark,
}

/// Which turns are marked, each at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Those of this role.
    Role(Role),
    /// One by its number; negative ones count from the end.
    Turn(i64),
    /// The instructions, where they have so many bytes and the client marked nothing itself.
    LongInstructions(usize),
}

/// Marks a conversation that is about to be written in another dialect.
pub(crate) fn mark(chat: &mut Chat, points: &[MarkAt]) {
    let turns: Vec<Spoken> = chat.turns.iter().map(spoken).collect();
    let marked = chat.turns.iter().flat_map(|turn| &turn.parts).filter(|part| is_marked(part)).count();
    let mut left = MOST.saturating_sub(marked);
    for point in points {
        for at in chosen(&turns, &point.place, marked > 0) {
            let last = chat.turns.get_mut(at).and_then(|turn| turn.parts.last_mut());
            if let Some(cache) = last.and_then(mark_of).filter(|cache| cache.is_none() && left > 0) {
                *cache = Some(point.mark);
                left -= 1;
            }
        }
    }
}

/// Marks a body that stays in its dialect: OpenAI's and Anthropic's parts have the same field for it.
pub(crate) fn mark_body(body: &mut Json, points: &[MarkAt]) -> Result<()> {
    let mut messages: Vec<Value> = body.get("messages")?.unwrap_or_default();
    let mut system: Option<Value> = body.get("system")?;
    // Anthropic's instructions stand before the messages.
    let mut contents: Vec<(Spoken, &mut Value)> = Vec::new();
    if let Some(system) = &mut system {
        contents.push((Spoken { role: Role::System, text: said(system) }, system));
    }
    for message in &mut messages {
        let role = role_of(&message["role"]);
        let content = &mut message["content"];
        contents.push((Spoken { role, text: said(content) }, content));
    }
    let spoken: Vec<Spoken> = contents.iter().map(|(spoken, _)| *spoken).collect();
    let marked: usize = contents.iter().map(|(_, content)| marks_in(content)).sum();
    let mut left = MOST.saturating_sub(marked);
    for point in points {
        for at in chosen(&spoken, &point.place, marked > 0) {
            let content = contents.get_mut(at).map(|(_, content)| content);
            if content.is_some_and(|content| left > 0 && mark_content(content, point.mark)) {
                left -= 1;
            }
        }
    }
    drop(contents);
    body.set("messages", Value::Array(messages).to_string());
    if let Some(system) = system {
        body.set("system", system.to_string());
    }
    Ok(())
}

/// What decides whether a turn is marked.
#[derive(Clone, Copy)]
struct Spoken {
    role: Role,
    /// Bytes of text.
    text: usize,
}

fn chosen(turns: &[Spoken], place: &Place, has_marks: bool) -> Vec<usize> {
    let instructs = |turn: &Spoken| matches!(turn.role, Role::System | Role::Developer);
    let all = |fits: &dyn Fn(&Spoken) -> bool| {
        (0..turns.len()).filter(|at| turns.get(*at).is_some_and(fits)).collect()
    };
    match place {
        Place::Role(Role::System | Role::Developer) => all(&instructs),
        Place::Role(role) => all(&|turn| turn.role == *role),
        Place::Turn(number) => {
            let behind = i64::try_from(turns.len()).unwrap_or(i64::MAX);
            let number = if *number < 0 { behind.saturating_add(*number) } else { *number };
            usize::try_from(number).ok().filter(|at| *at < turns.len()).into_iter().collect()
        }
        Place::LongInstructions(bytes) => {
            let length: usize = turns.iter().filter(|turn| instructs(turn)).map(|turn| turn.text).sum();
            let last = turns.iter().rposition(instructs);
            last.filter(|_| !has_marks && length >= *bytes).into_iter().collect()
        }
    }
}

fn spoken(turn: &Turn) -> Spoken {
    let text = |part: &Part| if let Part::Text { text, .. } = part { text.len() } else { 0 };
    Spoken { role: turn.role, text: turn.parts.iter().map(text).sum() }
}

fn role_of(role: &Value) -> Role {
    match role.as_str() {
        Some("system") => Role::System,
        Some("developer") => Role::Developer,
        Some("assistant") => Role::Assistant,
        _ => Role::User,
    }
}

/// Bytes of text in a content.
fn said(content: &Value) -> usize {
    match content {
        Value::String(text) => text.len(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).map(str::len).sum(),
        _ => 0,
    }
}

fn marks_in(content: &Value) -> usize {
    let parts = content.as_array().map(Vec::as_slice).unwrap_or_default();
    parts.iter().filter(|part| !part["cache_control"].is_null()).count()
}

fn is_marked(part: &Part) -> bool {
    match part {
        Part::Text { cache, .. } => cache.is_some(),
        Part::Media(media) => media.cache.is_some(),
        Part::ToolCall(call) => call.cache.is_some(),
        Part::ToolResult(result) => result.cache.is_some(),
        _ => false,
    }
}

fn mark_of(part: &mut Part) -> Option<&mut Option<CacheMark>> {
    match part {
        Part::Text { cache, .. } => Some(cache),
        Part::Media(media) => Some(&mut media.cache),
        Part::ToolCall(call) => Some(&mut call.cache),
        Part::ToolResult(result) => Some(&mut result.cache),
        _ => None,
    }
}

/// Marks the last part; a text becomes a part for that. Answers whether it did.
fn mark_content(content: &mut Value, mark: CacheMark) -> bool {
    if let Value::String(text) = content {
        if text.is_empty() {
            return false;
        }
        *content = json!([{"type": "text", "text": text}]);
    }
    let Some(last) = content.as_array_mut().and_then(|parts| parts.last_mut()).and_then(Value::as_object_mut)
    else {
        return false;
    };
    if last.contains_key("cache_control") {
        return false;
    }
    let control = match mark {
        CacheMark::FiveMinutes => json!({"type": "ephemeral"}),
        CacheMark::OneHour => json!({"type": "ephemeral", "ttl": "1h"}),
    };
    last.insert("cache_control".to_owned(), control);
    true
}

#[cfg(test)]
mod tests {
    use gatewright_core::JsonLimits;

    use super::*;

    fn turns() -> Vec<Turn> {
        let turn = |role, text: &str| Turn::new(role, vec![Part::text(text)]);
        vec![
            turn(Role::System, "Be brief."),
            turn(Role::User, "a"),
            turn(Role::Assistant, "b"),
            turn(Role::User, "c"),
        ]
    }

    fn at(place: Place) -> MarkAt {
        MarkAt { place, mark: CacheMark::FiveMinutes }
    }

    #[test]
    fn turns_are_marked_by_role_number_and_length() {
        for (place, expected) in [
            (Place::Role(Role::System), vec![0]),
            (Place::Role(Role::User), vec![1, 3]),
            (Place::Turn(-1), vec![3]),
            (Place::Turn(1), vec![1]),
            (Place::Turn(9), vec![]),
            (Place::Turn(-9), vec![]),
            (Place::LongInstructions(9), vec![0]),
            (Place::LongInstructions(10), vec![]),
        ] {
            let mut chat = Chat { turns: turns(), ..Chat::default() };
            mark(&mut chat, &[at(place.clone())]);
            let marked: Vec<usize> =
                (0..4).filter(|turn| chat.turns[*turn].parts.iter().any(is_marked)).collect();
            assert_eq!(marked, expected, "{place:?}");
        }
    }

    #[test]
    fn no_more_marks_are_set_than_the_provider_takes() {
        let many = (0..9).map(|n| Turn::new(Role::User, vec![Part::text(n.to_string())])).collect();
        let mut chat = Chat { turns: many, ..Chat::default() };
        mark(&mut chat, &[at(Place::Role(Role::User)), at(Place::Turn(8))]);
        assert_eq!(chat.turns.iter().filter(|turn| turn.parts.iter().any(is_marked)).count(), MOST);
    }

    #[test]
    fn a_body_is_marked_where_its_conversation_would_be() {
        let marked = |body: &str, place: Place| {
            let mut json = Json::parse(body.to_owned().into(), JsonLimits::default()).unwrap();
            mark_body(&mut json, &[at(place)]).unwrap();
            serde_json::from_slice::<Value>(&json.to_bytes()).unwrap()
        };
        let control = json!({"type": "ephemeral"});
        let anthropic = r#"{"system":"Be brief.","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":[{"type":"text","text":"c"}]}]}"#;
        let body = marked(anthropic, Place::Role(Role::System));
        assert_eq!(body["system"][0], json!({"type": "text", "text": "Be brief.", "cache_control": control}));
        let body = marked(anthropic, Place::Turn(-1));
        assert_eq!(body["messages"][2]["content"][0]["cache_control"], control);
        let openai =
            r#"{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"a"}]}"#;
        let body = marked(openai, Place::Role(Role::System));
        assert_eq!(body["messages"][0]["content"][0]["cache_control"], control);
        assert_eq!(body["messages"][1]["content"], "a");
    }
}
