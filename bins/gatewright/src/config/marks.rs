//! Prompt-cache marks: `cache_control_injection_points` of a deployment, and marks after long instructions for all.

use gatewright_core::chat::{CacheMark, Role};
use gatewright_providers::{MarkAt, Place};
use serde_json::Value;

use super::problem::Problems;
use super::read::Section;

/// Instructions of fewer bytes are not worth a mark: Anthropic's least is 1,024 tokens, for some of its models more.
const LONG: usize = 4096;

/// Providers whose caches need marks.
const MARKED: [&str; 4] = ["anthropic", "bedrock", "vertex_ai", "azure_ai"];

/// The places of a deployment.
pub(super) fn read(section: &Section<'_>, problems: &mut Problems) -> Vec<MarkAt> {
    let key = "cache_control_injection_points";
    let list = match section.value(key) {
        None => return Vec::new(),
        Some(Value::Array(list)) => list,
        Some(_) => return section.wrong(key, "a list of places", problems).unwrap_or_default(),
    };
    let read = |point: &Value| -> Option<MarkAt> {
        if point["location"] != "message" {
            return None;
        }
        let place = match (&point["role"], &point["index"]) {
            (Value::String(role), Value::Null) => Place::Role(role_of(role)?),
            (_, Value::Number(number)) => Place::Turn(number.as_i64()?),
            (_, Value::String(number)) => Place::Turn(number.parse().ok()?),
            _ => return None,
        };
        let long = point["control"]["ttl"] == "1h";
        Some(MarkAt { place, mark: if long { CacheMark::OneHour } else { CacheMark::FiveMinutes } })
    };
    let places: Option<Vec<MarkAt>> = list.iter().map(read).collect();
    let words = "places like {location: message, role: system} or {location: message, index: -1}";
    places.or_else(|| section.wrong(key, words, problems)).unwrap_or_default()
}

/// `enable_anthropic_prompt_caching`: true, false, or for how long.
pub(super) fn automatic(litellm: &Section<'_>, problems: &mut Problems) -> Option<CacheMark> {
    let key = "enable_anthropic_prompt_caching";
    match litellm.value(key)?.as_str() {
        Some("1h") => Some(CacheMark::OneHour),
        Some("5m") => Some(CacheMark::FiveMinutes),
        _ => litellm.flag(key, problems)?.then_some(CacheMark::FiveMinutes),
    }
}

/// Where long instructions are marked for this provider.
pub(super) fn instructions(provider: &str, mark: CacheMark) -> Vec<MarkAt> {
    let marked = MARKED.contains(&provider);
    let at = MarkAt { place: Place::LongInstructions(LONG), mark };
    marked.then_some(at).into_iter().collect()
}

fn role_of(word: &str) -> Option<Role> {
    match word {
        "system" | "developer" => Some(Role::System),
        "user" => Some(Role::User),
        "assistant" => Some(Role::Assistant),
        _ => None,
    }
}
