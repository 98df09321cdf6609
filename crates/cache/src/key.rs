//! The name of an answer: a digest of everything that decides what a caller may get.

use std::fmt::Write as _;
use std::sync::Arc;

use gatewright_core::{Body, Call, Caller, Dialect, Form, Json, Operation};
use http::header::USER_AGENT;
use sha2::{Digest, Sha256};

use crate::canonical;
use crate::settings::{Scope, Settings};

/// Names what is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// `namespace:digest` as clients are told it, or the digest alone.
    pub text: Arc<str>,
    /// What makes it one of its own.
    pub digest: [u8; 32],
}

/// Headers of a client that go upstream.
const FORWARDED: [&str; 2] = ["anthropic-beta", "anthropic-version"];

/// Fields that are in the key themselves.
const SAID: [&str; 2] = ["stream", "model"];

/// Fields that say who asks or how, not what: the answer is the same.
const BESIDE: [&str; 5] =
    ["user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"];

/// The digits of a digest as text.
const DIGITS: usize = 64;

/// Writes each part with its length, so that no two lists of parts are the same bytes.
struct Parts(Sha256);

// === impl Key ===

impl Key {
    /// Names the answer to a call.
    pub fn of(call: &Call, settings: &Settings) -> Self {
        let mut parts = Parts::of(call, settings);
        match &call.body {
            Body::Json(json) => parts.json(json, call.codec.dialect(), None),
            Body::Form(form) => parts.form(form),
            Body::Opaque(bytes) => parts.add(bytes),
        }
        Self::named(parts, call, settings)
    }

    /// Names one of several things that a call asks for in the field `list`: what is asked for besides it, and the thing.
    pub fn of_item(call: &Call, list: &str, item: &[u8], settings: &Settings) -> Self {
        let mut parts = Parts::of(call, settings);
        parts.add(b"item");
        if let Body::Json(json) = &call.body {
            parts.json(json, call.codec.dialect(), Some(list));
        }
        parts.add(item);
        Self::named(parts, call, settings)
    }

    /// The key that was told as this text; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.rsplit(':').next().filter(|hex| hex.len() == DIGITS)?;
        let mut digest = [0; 32];
        for (byte, digits) in digest.iter_mut().zip(hex.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self { text: text.into(), digest })
    }

    fn named(parts: Parts, call: &Call, settings: &Settings) -> Self {
        let digest: [u8; 32] = parts.0.finalize().into();
        let namespace = call.controls.cache.namespace.as_ref().or(settings.namespace.as_ref());
        let length = namespace.map_or(0, |namespace| namespace.len() + 1);
        let mut text = String::with_capacity(length + DIGITS);
        if let Some(namespace) = namespace {
            let _ = write!(text, "{namespace}:");
        }
        const HEX: [char; 16] =
            ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        for byte in digest {
            text.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        Self { text: text.into(), digest }
    }
}

// === impl Parts ===

impl Parts {
    /// All that matters of a call besides its body.
    fn of(call: &Call, settings: &Settings) -> Self {
        let mut parts = Self(Sha256::new());
        parts.tenant(&call.caller, settings.scope);
        parts.add(call.operation.as_str().as_bytes());
        parts.add(call.codec.dialect().as_str().as_bytes());
        parts.model(&call.model, &settings.groups);
        let controls = &call.controls;
        let flags = [
            call.stream,
            controls.include_usage,
            controls.upstream_name,
            controls.disable_fallbacks,
            controls.mock_response.is_some(),
        ];
        parts.add(&flags.map(u8::from));
        // Only from there may its calls be served.
        parts.text(call.caller.region.as_deref());
        parts.text(controls.mock_response.as_deref());
        parts.text(controls.previous_response.as_deref());
        parts.text(controls.deployment.as_deref());
        parts.list(controls.fallbacks.iter().map(|group| &**group));
        let fields = &controls.fields;
        parts.add(&[fields.drop_unknown, fields.repair].map(|wish| wish.map_or(2, u8::from)));
        parts.list(fields.always_send.iter().map(String::as_str));
        for name in FORWARDED {
            parts.list(call.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()));
        }
        if settings.by_tags {
            parts.list(controls.tags.iter().chain(&call.caller.tags).map(|tag| &**tag));
            parts.text(call.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()));
        }
        parts
    }

    fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn text(&mut self, text: Option<&str>) {
        self.add(if text.is_some() { b"some" } else { b"none" });
        self.add(text.unwrap_or_default().as_bytes());
    }

    fn list<'a>(&mut self, items: impl Iterator<Item = &'a str>) {
        for item in items {
            self.add(item.as_bytes());
            self.add(b"next");
        }
        self.add(b"end");
    }

    /// Who shares the answer. The word before the name keeps a team and a key of one name apart.
    fn tenant(&mut self, caller: &Caller, scope: Scope) {
        let team = || caller.team.as_deref().map(|team| ("team", team));
        let organization =
            || caller.organization.as_deref().map(|organization| ("organization", organization));
        let shared = match scope {
            Scope::Key => None,
            Scope::Team => team(),
            Scope::Organization => organization().or_else(team),
            Scope::Global => Some(("everybody", "")),
        };
        let (kind, name) = shared.unwrap_or(("key", &caller.id));
        self.add(kind.as_bytes());
        self.add(name.as_bytes());
    }

    fn model(&mut self, model: &str, groups: &[Vec<Arc<str>>]) {
        match groups.iter().find(|group| group.iter().any(|name| &**name == model)) {
            Some(group) => {
                self.add(b"group");
                self.list(group.iter().map(|name| &**name));
            }
            None => {
                self.add(b"model");
                self.add(model.as_bytes());
            }
        }
    }

    fn json(&mut self, json: &Json, dialect: Dialect, but: Option<&str>) {
        // Its answers repeat what they were asked with.
        let repeats = dialect == Dialect::OpenAiResponses;
        let beside = |key: &str| {
            let beside = !repeats && (BESIDE.contains(&key) || key.starts_with("litellm_"));
            beside || SAID.contains(&key) || but == Some(key)
        };
        let mut fields: Vec<_> = json.fields().filter(|field| !beside(&field.key)).collect();
        fields.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let mut form = Vec::with_capacity(json.source_len());
        for field in fields {
            form.clear();
            canonical::write(field.raw, &mut form);
            self.add(field.key.as_bytes());
            self.add(&form);
        }
    }

    /// Files count by their bytes. Of their names only the ending: upstreams take the format from it.
    fn form(&mut self, form: &Form) {
        let beside = |name: &str| SAID.contains(&name) || BESIDE.contains(&name);
        let mut fields: Vec<_> = form.fields.iter().filter(|field| !beside(&field.name)).collect();
        fields.sort_by(|one, other| one.name.cmp(&other.name));
        for field in fields {
            self.add(field.name.as_bytes());
            let ending = field.file_name.as_deref().map(|name| name.rsplit('.').next().unwrap_or_default());
            self.text(ending);
            self.text(field.content_type.as_deref());
            self.add(&field.data);
        }
    }
}

/// Whether the answer refers to state that an upstream or the gateway keeps for one conversation: whoever got it from the
/// cache would go on from another's, or find it gone.
pub(crate) fn refers_to_state(call: &Call) -> bool {
    if call.operation != Operation::Chat {
        return false;
    }
    let Some(json) = call.body.json() else { return true };
    let says = |field: &str, word: &[u8]| json.raw(field) == Some(word);
    match call.codec.dialect() {
        Dialect::OpenAiResponses => {
            !says("store", b"false")
                || says("background", b"true")
                || ["previous_response_id", "conversation", "prompt"].iter().any(|field| json.has(field))
                || call.controls.previous_response.is_some()
        }
        Dialect::OpenAiChat => says("store", b"true"),
        Dialect::AnthropicMessages => json.has("container"),
        _ => false,
    }
}
