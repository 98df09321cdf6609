//! What a call or an attempt is told apart by, as it lies there: nothing is copied or written to look its series up.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;
use gatewright_core::{Caller, Dialect, End, Error, ErrorKind, Operation, Origin, ServedBy};
use http::{HeaderMap, StatusCode, header};

use super::label::Label;
use super::route::route;
use super::settings::MetricSettings;
use super::words::{Words, cut};

/// Whose account attempts of mirrored calls are on.
const MIRROR: &str = "mirror";

/// What series are told apart by.
#[derive(Clone, Copy)]
pub(super) struct Marks<'a> {
    pub(super) caller: Option<&'a Arc<Caller>>,
    pub(super) served_by: Option<&'a Arc<ServedBy>>,
    /// The model that was asked for.
    pub(super) model: &'a str,
    /// The group that answered in its place.
    pub(super) fallback: &'a str,
    pub(super) agent: &'a str,
    pub(super) end_user: &'a str,
    pub(super) rest: Rest,
    longest: usize,
}

/// What of it lies nowhere, or is small.
#[derive(Clone, Copy, Default)]
pub(super) struct Rest {
    pub(super) route: Option<(Operation, Dialect)>,
    pub(super) status: Option<StatusCode>,
    pub(super) failed: Option<Failed>,
    /// Why something cost nothing.
    pub(super) reason: &'static str,
    /// Whether it is on nobody's account because it is a copy of a call.
    pub(super) mirrored: bool,
    /// One bit for each tag that is a label; nothing where no call is known.
    tags: Option<u8>,
}

/// What failed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) status: StatusCode,
    class: &'static str,
    provider: &'static str,
}

/// The same, kept. Names that callers chose are cut: they could be as long as a request.
pub(super) struct KeptMarks {
    caller: Option<Arc<Caller>>,
    served_by: Option<Arc<ServedBy>>,
    model: Box<str>,
    fallback: Box<str>,
    agent: Box<str>,
    end_user: Box<str>,
    rest: Rest,
    /// LiteLLM's class for what failed: `Openai.RateLimitError`.
    class: String,
    longest: usize,
}

// === impl Marks ===

impl<'a> Marks<'a> {
    /// Nothing known; values are cut at so many bytes.
    pub(super) fn new(longest: usize) -> Self {
        Self {
            caller: None,
            served_by: None,
            model: "",
            fallback: "",
            agent: "",
            end_user: "",
            rest: Rest::default(),
            longest,
        }
    }

    /// The model that was asked for.
    pub(super) fn asked(&mut self, model: &'a str) {
        self.model = cut(model, self.longest);
    }

    /// The group that answers in its place.
    pub(super) fn fell_back(&mut self, group: &'a str) {
        self.fallback = cut(group, self.longest);
    }

    /// The client's `User-Agent`.
    pub(super) fn agent(&mut self, headers: &'a HeaderMap) {
        let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        self.agent = cut(agent.unwrap_or_default(), self.longest);
    }

    /// Who called, what the client said of itself, and its end user and tags where they are told.
    pub(super) fn origin(&mut self, origin: &'a Origin, settings: &MetricSettings) {
        let Origin { caller, headers, controls, .. } = origin;
        self.caller = Some(caller);
        self.agent(headers);
        if let (true, Some(user)) = (settings.end_users, &controls.end_user) {
            self.end_user = cut(user, self.longest);
        }
        let has = |(place, tag): (usize, &String)| {
            let is = |other: &Arc<str>| **other == **tag;
            u8::from(caller.tags.iter().any(is) || controls.tags.iter().any(is)) << place
        };
        let tags = settings.tags.iter().take(MetricSettings::MOST_TAGS).enumerate();
        self.rest.tags = Some(tags.map(has).fold(0, |all, tag| all | tag));
    }

    pub(super) fn hash(&self, hasher: &RandomState) -> u64 {
        let mut state = hasher.build_hasher();
        let id = self.caller.map_or("", |caller| &caller.id);
        for text in [id, self.model, self.agent, self.end_user] {
            state.write(text.as_bytes());
        }
        let status = |status: Option<StatusCode>| u32::from(status.map_or(0, |status| status.as_u16()));
        state
            .write_u32(status(self.rest.status) << 16 | status(self.rest.failed.map(|failed| failed.status)));
        state.finish()
    }

    pub(super) fn kept(&self) -> KeptMarks {
        KeptMarks {
            caller: self.caller.cloned(),
            served_by: self.served_by.map(|by| short(by, self.longest)),
            model: self.model.into(),
            fallback: self.fallback.into(),
            agent: self.agent.into(),
            end_user: self.end_user.into(),
            rest: self.rest,
            class: self.rest.failed.map(Failed::class).unwrap_or_default(),
            longest: self.longest,
        }
    }
}

// === impl Rest ===

impl Rest {
    fn is(&self, other: &Self) -> bool {
        let Self { route, status, failed, reason, mirrored, tags } = self;
        (*route == other.route
            && *status == other.status
            && *mirrored == other.mirrored
            && *tags == other.tags)
            && *failed == other.failed
            && same(reason, other.reason)
    }
}

// === impl Failed ===

impl Failed {
    /// What an error says.
    pub(super) fn of(err: &Error) -> Self {
        Self { status: err.status(), class: err.kind().class(), provider: err.provider().unwrap_or_default() }
    }

    /// What this end says, where it is no good one.
    pub(super) fn at(end: End<'_>) -> Option<Self> {
        match end {
            End::Complete => None,
            End::Failed(err) => Some(Self::of(err)),
            End::Abandoned => {
                let status = ErrorKind::ClientGone.status();
                Some(Self { status, class: "CancelledError", provider: "" })
            }
        }
    }

    fn class(self) -> String {
        let mut letters = self.provider.chars();
        let first = letters.next().map(char::to_uppercase).into_iter().flatten();
        let dot = (!self.provider.is_empty()).then_some('.');
        first.chain(letters).chain(dot).chain(self.class.chars()).collect()
    }
}

// === impl KeptMarks ===

impl KeptMarks {
    pub(super) fn are(&self, marks: &Marks<'_>) -> bool {
        self.rest.is(&marks.rest)
            && same(&self.model, marks.model)
            && same(&self.agent, marks.agent)
            && same(&self.fallback, marks.fallback)
            && same(&self.end_user, marks.end_user)
            && both(self.caller.as_ref(), marks.caller, is_known_alike)
            && both(self.served_by.as_ref(), marks.served_by, |kept, by| *kept == *short(by, self.longest))
    }

    /// The values of all labels.
    pub(super) fn words(&self) -> Words<'_> {
        let mut words = Words::new(self.longest);
        match (&self.caller, self.rest.mirrored) {
            (_, true) => words.put(Label::HashedApiKey, MIRROR),
            (Some(caller), false) => words.caller(caller),
            (None, false) => {}
        }
        if let Some(by) = &self.served_by {
            words.served_by(by);
        }
        let Rest { route: path, status, failed, reason, tags, .. } = &self.rest;
        let path = path.map_or("", |(operation, dialect)| route(operation, dialect));
        for (label, value) in [
            (Label::RequestedModel, &*self.model),
            (Label::FallbackModel, &self.fallback),
            (Label::UserAgent, &self.agent),
            (Label::EndUser, &self.end_user),
            (Label::Route, path),
            (Label::StatusCode, status.as_ref().map_or("", StatusCode::as_str)),
            (Label::ExceptionStatus, failed.as_ref().map_or("", |failed| failed.status.as_str())),
            (Label::ExceptionClass, &self.class),
            (Label::Reason, reason),
        ] {
            words.put(label, value);
        }
        if let Some(tags) = tags {
            (0..MetricSettings::MOST_TAGS).for_each(|place| words.tag(place, tags >> place & 1 == 1));
        }
        words
    }
}

/// Most are empty on both sides. They lie nowhere, and the C library's comparison reads there all the same, under a mask: that
/// takes the processor longer than everything else that is compared.
fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && (one.is_empty() || one == other)
}

/// Most are the very same: who asks again is not looked at.
#[inline]
fn both<T>(kept: Option<&Arc<T>>, other: Option<&Arc<T>>, alike: impl Fn(&T, &Arc<T>) -> bool) -> bool {
    match (kept, other) {
        (Some(kept), Some(other)) => Arc::ptr_eq(kept, other) || alike(kept, other),
        (kept, other) => kept.is_none() && other.is_none(),
    }
}

/// Whether labels tell them as one.
fn is_known_alike(one: &Caller, other: &Arc<Caller>) -> bool {
    one.id == other.id
        && one.team == other.team
        && one.user == other.user
        && one.organization == other.organization
        && one.known_as == other.known_as
}

/// With a model's name that is not much longer than a label may be: a client may have chosen it.
fn short(by: &Arc<ServedBy>, longest: usize) -> Arc<ServedBy> {
    let most = longest.saturating_mul(2);
    match by.model.len() > most {
        true => Arc::new(ServedBy { model: cut(&by.model, most).into(), ..(**by).clone() }),
        false => by.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_tells_marks_apart() {
        let marks = Marks { model: "aa", agent: "aa", ..Marks::new(8) };
        let kept = marks.kept();
        assert!(kept.are(&marks));
        for (place, other) in [
            Marks { model: "ab", ..marks },
            Marks { model: "", ..marks },
            Marks { agent: "ab", ..marks },
            Marks { fallback: "b", ..marks },
            Marks { end_user: "b", ..marks },
            Marks { rest: Rest { reason: "why", ..marks.rest }, ..marks },
            Marks { rest: Rest { mirrored: true, ..marks.rest }, ..marks },
        ]
        .iter()
        .enumerate()
        {
            assert!(!kept.are(other), "{place}");
        }
    }
}
