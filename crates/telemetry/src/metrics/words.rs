//! The values of all labels for one series, as they are at hand: nothing is copied to look it up.

use std::hash::{BuildHasher, Hash, Hasher};

use gatewright_core::{Caller, Controls, Error, ServedBy};
use http::{HeaderMap, StatusCode, header};

use super::label::Label;
use super::settings::MetricSettings;

/// One place for each label, and one for each tag that is a label.
const PLACES: usize = Label::ALL.len() + MetricSettings::MOST_TAGS;

/// The longest value that can be kept, whatever is set.
const LONGEST: usize = u16::MAX as usize;

/// What LiteLLM's Python client writes for what is not known; its dashboards look for it.
pub(super) const NONE: &str = "None";

/// What stands for everything that would be one series too many.
pub(super) const OTHER: &str = "other";

/// Values by label.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    values: [&'a str; PLACES],
    longest: usize,
}

/// The same, kept: all in a row, for they are compared at every call.
pub(super) struct KeptWords {
    lengths: [u16; PLACES],
    text: Box<str>,
}

/// What tells most series apart; the others are compared.
const TELLING: [Label; 7] = [
    Label::StatusCode,
    Label::HashedApiKey,
    Label::RequestedModel,
    Label::ModelId,
    Label::UserAgent,
    Label::EndUser,
    Label::ExceptionStatus,
];

// === impl Words ===

impl<'a> Words<'a> {
    /// Nothing known; values are cut at so many bytes.
    pub(super) fn new(longest: usize) -> Self {
        Self { values: [""; PLACES], longest: longest.min(LONGEST) }
    }

    pub(super) fn put(&mut self, label: Label, value: &'a str) {
        self.at(label as usize, value);
    }

    /// Whether a call has the tag of this place.
    pub(super) fn tag(&mut self, place: usize, is: bool) {
        self.at(Label::ALL.len() + place, if is { "true" } else { "false" });
    }

    /// Who called.
    pub(super) fn caller(&mut self, caller: &'a Caller) {
        let names = &*caller.known_as;
        self.put(Label::HashedApiKey, &caller.id);
        let known = [
            (Label::ApiKeyAlias, &names.key),
            (Label::Team, &caller.team),
            (Label::TeamAlias, &names.team),
            (Label::User, &caller.user),
            (Label::UserEmail, &names.email),
            (Label::OrgId, &caller.organization),
            (Label::OrgAlias, &names.organization),
        ];
        for (label, value) in known {
            self.put(label, value.as_deref().unwrap_or_default());
        }
    }

    /// What the client said of itself and its call.
    pub(super) fn client(&mut self, headers: &'a HeaderMap) {
        let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        self.put(Label::UserAgent, agent.unwrap_or_default());
    }

    /// The end user and the tags of a call, where they are told.
    pub(super) fn controls(&mut self, caller: &Caller, controls: &'a Controls, settings: &MetricSettings) {
        if let (true, Some(user)) = (settings.end_users, &controls.end_user) {
            self.put(Label::EndUser, user);
        }
        for (place, tag) in settings.tags.iter().enumerate() {
            let is = |other: &std::sync::Arc<str>| **other == **tag;
            self.tag(place, caller.tags.iter().any(is) || controls.tags.iter().any(is));
        }
    }

    /// Who answers, or was to.
    pub(super) fn served_by(&mut self, by: &'a ServedBy) {
        let model = by.model.split_once('/').map_or(&*by.model, |(_, model)| model);
        self.put(Label::ModelGroup, &by.group);
        self.put(Label::Model, model);
        self.put(Label::LitellmModelName, model);
        self.put(Label::ModelId, &by.deployment);
        self.put(Label::ApiBase, &by.api_base);
        self.put(Label::ApiProvider, &by.provider);
    }

    /// What failed.
    pub(super) fn exception(&mut self, status: &'a StatusCode, class: &'a str) {
        self.put(Label::ExceptionStatus, status.as_str());
        self.put(Label::ExceptionClass, class);
    }

    pub(super) fn value(&self, place: usize) -> &'a str {
        self.values.get(place).copied().unwrap_or_default()
    }

    pub(super) fn kept(&self) -> KeptWords {
        KeptWords { lengths: self.lengths(), text: self.values.concat().into() }
    }

    fn lengths(&self) -> [u16; PLACES] {
        // No value is longer: they were cut.
        self.values.map(|value| u16::try_from(value.len()).unwrap_or(u16::MAX))
    }

    pub(super) fn hash(&self, hasher: &impl BuildHasher) -> u64 {
        let mut state = hasher.build_hasher();
        TELLING.iter().for_each(|label| self.value(*label as usize).hash(&mut state));
        state.finish()
    }

    fn at(&mut self, place: usize, value: &'a str) {
        let value = match value.len() > self.longest {
            true => &value[..value.floor_char_boundary(self.longest)],
            false => value,
        };
        if let Some(known) = self.values.get_mut(place) {
            *known = value;
        }
    }
}

// === impl KeptWords ===

impl KeptWords {
    pub(super) fn are(&self, words: &Words<'_>) -> bool {
        if self.lengths != words.lengths() {
            return false;
        }
        let mut rest = self.text.as_bytes();
        words.values.iter().filter(|value| !value.is_empty()).all(|value| {
            let Some((kept, after)) = rest.split_at_checked(value.len()) else { return false };
            rest = after;
            kept == value.as_bytes()
        })
    }

    pub(super) fn value(&self, place: usize) -> &str {
        let (before, from) = self.lengths.split_at_checked(place).unwrap_or_default();
        let begin = before.iter().map(|length| usize::from(*length)).sum();
        let length = from.first().copied().map_or(0, usize::from);
        self.text.get(begin..begin + length).unwrap_or_default()
    }
}

/// LiteLLM's class for a failure: `Openai.RateLimitError`.
pub(super) fn exception_class(err: &Error) -> String {
    let class = err.kind().class();
    let Some(provider) = err.provider() else { return class.to_owned() };
    let mut letters = provider.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    first.chain(letters).chain(['.']).chain(class.chars()).collect()
}
