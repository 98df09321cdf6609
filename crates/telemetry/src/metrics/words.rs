//! The values of all labels for one series, as they are at hand.

use gatewright_core::{Caller, ServedBy};

use super::label::Label;
use super::settings::MetricSettings;

/// One place for each label, then one for each tag that is a label, then one for each path in metadata that is.
const PLACES: usize = METADATA + MetricSettings::MOST_METADATA;

/// The first place of tags.
pub(super) const TAGS: usize = Label::ALL.len();

/// The first place of metadata.
pub(super) const METADATA: usize = TAGS + MetricSettings::MOST_TAGS;

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

// === impl Words ===

impl<'a> Words<'a> {
    /// Nothing known; values are cut at so many bytes.
    pub(super) fn new(longest: usize) -> Self {
        Self { values: [""; PLACES], longest }
    }

    pub(super) fn put(&mut self, label: Label, value: &'a str) {
        self.at(label as usize, value);
    }

    /// Whether a call has the tag of this place.
    pub(super) fn tag(&mut self, place: usize, is: bool) {
        self.at(TAGS + place, if is { "true" } else { "false" });
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
        for (place, value) in names.metadata.iter().take(MetricSettings::MOST_METADATA).enumerate() {
            self.at(METADATA + place, value.as_deref().unwrap_or_default());
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

    pub(super) fn value(&self, place: usize) -> &'a str {
        self.values.get(place).copied().unwrap_or_default()
    }

    fn at(&mut self, place: usize, value: &'a str) {
        if let Some(known) = self.values.get_mut(place) {
            *known = cut(value, self.longest);
        }
    }
}

/// At most so many bytes of it, and whole letters.
pub(super) fn cut(value: &str, longest: usize) -> &str {
    match value.len() > longest {
        true => &value[..value.floor_char_boundary(longest)],
        false => value,
    }
}
