//! The name of an answer: a digest of everything that decides what a caller may get.

use std::sync::Arc;

use gatewright_core::{Body, Call, Caller, Dialect, Form, Json, Operation, write_hex};
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

/// Parts of this length are digested from where they lie.
const LONG: usize = 4096;

/// Writes each part behind its length, so that no two lists of parts are the same bytes.
struct Parts {
    digest: Sha256,
    /// What is to be digested next: a digest takes many bytes at once for less than a few at a time.
    bytes: Vec<u8>,
}

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
        let digest = parts.digest();
        let mut digits = [0; DIGITS];
        write_hex(&digest, &mut digits);
        let digits = std::str::from_utf8(&digits).unwrap_or_default();
        let text = match call.controls.cache.namespace.as_ref().or(settings.namespace.as_ref()) {
            Some(namespace) => format!("{namespace}:{digits}").into(),
            None => digits.into(),
        };
        Self { text, digest }
    }
}

// === impl Parts ===

impl Parts {
    /// All that matters of a call besides its body.
    fn of(call: &Call, settings: &Settings) -> Self {
        let room = call.body.json().map_or(0, Json::source_len);
        let mut parts = Self { digest: Sha256::new(), bytes: Vec::with_capacity(room + 512) };
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

    fn digest(mut self) -> [u8; 32] {
        self.digest.update(&self.bytes);
        self.digest.finalize().into()
    }

    fn add(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(&length(part.len()));
        if part.len() < LONG {
            self.bytes.extend_from_slice(part);
        } else {
            self.digest.update(&self.bytes);
            self.bytes.clear();
            self.digest.update(part);
        }
    }

    /// The one form of a JSON text, which is not made twice.
    fn add_json(&mut self, text: &[u8]) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(&length(0));
        let start = self.bytes.len();
        canonical::write(text, &mut self.bytes);
        let written = length(self.bytes.len() - start);
        if let Some(head) = self.bytes.get_mut(begin..start) {
            head.copy_from_slice(&written);
        }
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
        for field in fields {
            self.add(field.key.as_bytes());
            self.add_json(field.raw);
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

/// How long a part is, in front of it.
fn length(bytes: usize) -> [u8; 8] {
    (bytes as u64).to_le_bytes()
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
