//! Who is calling, what they may use, and how much of it.

use std::sync::Arc;
use std::time::SystemTime;

use crate::{Money, Recording, Tab};

/// Who is calling, and what they may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// A stable name for limits and the ledger: the key's hash, or a role's name. Never the key.
    pub id: Arc<str>,
    /// What people are shown of the key (`sk-...1tsQ`); empty where there is none.
    pub name: Arc<str>,
    /// What people call it and what it belongs to.
    pub known_as: Arc<Names>,
    /// May use everything.
    pub admin: bool,
    /// Lists of model names, patterns (`openai/*`) and access groups, of the key, its team and so on: each of them must
    /// have a model. None means all.
    pub models: Vec<Vec<Arc<str>>>,
    /// Model names that mean another one for this caller.
    pub aliases: Vec<(Arc<str>, Arc<str>)>,
    /// The team that the key belongs to.
    pub team: Option<Arc<str>>,
    /// The user that the key belongs to.
    pub user: Option<Arc<str>>,
    /// The organization of the key or of its team.
    pub organization: Option<Arc<str>>,
    /// The project of the key.
    pub project: Option<Arc<str>>,
    /// The end user, where the credential itself names one.
    pub end_user: Option<Arc<str>>,
    /// The budget that end users have who have none of their own.
    pub end_user_budget: Option<Arc<str>>,
    /// The only region that its calls may be served in.
    pub region: Option<Arc<str>>,
    /// Tags of every call, for routing and the ledger.
    pub tags: Vec<Arc<str>>,
    /// The only wishes that it may have of the cache; none means any.
    pub cache_controls: Vec<Arc<str>>,
    /// Cheaper models in place of one that no budget covers any more, in their order.
    pub budget_fallbacks: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// How much may be used: of the key, its team, its user and so on.
    pub allowances: Vec<Allowance>,
    /// What becomes of the records of its calls; nothing where it says nothing of its own.
    pub recording: Option<Arc<Recording>>,
    /// Where it stands with its virtual key; nothing where it has none.
    pub key: Option<Arc<KeyStanding>>,
}

/// What people call a caller and what it belongs to. It is shown, and decides nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The key's alias.
    pub key: Option<Arc<str>>,
    /// The team's alias.
    pub team: Option<Arc<str>>,
    /// The organization's alias.
    pub organization: Option<Arc<str>>,
    /// The project's alias.
    pub project: Option<Arc<str>>,
    /// The user's e-mail address.
    pub email: Option<Arc<str>>,
    /// What the key's metadata and its team's say under the paths that the operator wants shown, in their order.
    pub metadata: Vec<Option<Arc<str>>>,
}

/// What every answer tells the holder of a virtual key of it.
#[derive(Debug, Default)]
pub struct KeyStanding {
    /// The key's digest, by which it is looked up again.
    pub digest: Option<[u8; 32]>,
    /// What was spent with it: what was known when it was looked up, and what its calls have cost here since.
    pub spent: Arc<Tab>,
    /// The most that may be spent.
    pub most: Option<Money>,
    /// Calls a minute.
    pub requests: Option<u64>,
    /// Tokens a minute.
    pub tokens: Option<u64>,
}

/// How much one of those may use that a caller stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// What kind of thing it is, by LiteLLM's name: `api_key`, `team`, `user`, `organization`, `model_per_key`.
    pub scope: &'static str,
    /// Which one.
    pub id: Arc<str>,
    /// The only model that it is about.
    pub model: Option<Arc<str>>,
    /// Calls a minute.
    pub requests: Option<u64>,
    /// Tokens a minute.
    pub tokens: Option<u64>,
    /// Tokens a day.
    pub tokens_a_day: Option<u64>,
    /// Calls at the same time.
    pub parallel: Option<u64>,
    /// Money.
    pub budgets: Vec<Budget>,
    /// Money whose spending refuses nothing, but is told.
    pub soft: Option<Budget>,
}

/// How much money may be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The most.
    pub most: Money,
    /// What was spent of it when it was looked up.
    pub spent: Money,
    /// How long it is for (`30d`, `monthly`); for ever where there is none.
    pub duration: Option<Arc<str>>,
    /// When the time that runs ends.
    pub ends: Option<SystemTime>,
    /// Grows each time that an administrator sets what is spent.
    pub turn: u64,
}

/// The id of whoever calls without a key.
const ANONYMOUS: &str = "anonymous";

// === impl Caller ===

impl Caller {
    /// A caller that may use every model without a limit, and is no administrator.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self {
            id: id.into(),
            name: Arc::default(),
            known_as: Arc::default(),
            admin: false,
            models: Vec::new(),
            aliases: Vec::new(),
            team: None,
            user: None,
            organization: None,
            project: None,
            end_user: None,
            end_user_budget: None,
            region: None,
            tags: Vec::new(),
            cache_controls: Vec::new(),
            budget_fallbacks: Vec::new(),
            allowances: Vec::new(),
            recording: None,
            key: None,
        }
    }

    /// Whoever calls a gateway that asks for no key.
    pub fn anonymous() -> Self {
        Self { admin: true, ..Self::new(ANONYMOUS) }
    }

    /// Whether nobody is known apart.
    pub fn is_anonymous(&self) -> bool {
        &*self.id == ANONYMOUS
    }

    /// The holder of the master key.
    pub fn master() -> Self {
        Self { admin: true, ..Self::new("master") }
    }

    /// The model that a name of this caller's own stands for.
    pub fn meant_by(&self, name: &str) -> Option<&Arc<str>> {
        self.aliases.iter().find(|(alias, _)| &**alias == name).map(|(_, model)| model)
    }

    /// The models that take the place of this one where no budget covers it.
    pub fn instead_of(&self, model: &str) -> impl Iterator<Item = &Arc<str>> {
        let listed = self.budget_fallbacks.iter().filter(move |(dear, _)| &**dear == model);
        listed.flat_map(|(_, cheaper)| cheaper)
    }

    /// Whether this model may be used by its name.
    pub fn may_use(&self, model: &str) -> bool {
        self.may_use_of(model, &[])
    }

    /// Whether this model may be used, by its name or by an access group that it is in.
    pub fn may_use_of(&self, model: &str, groups: &[Arc<str>]) -> bool {
        let opens = |name: &Arc<str>| covers(name, model) || groups.contains(name);
        self.admin || self.models.iter().all(|list| list.iter().any(opens))
    }

    /// Whether all of an access group may be used, whatever will be in it: a pattern that its name fits does not say so.
    pub fn may_use_all_of(&self, group: &str) -> bool {
        let opens = |name: &Arc<str>| matches!(&**name, "*") || &**name == group;
        self.admin || self.models.iter().all(|list| list.iter().any(opens))
    }
}

// === impl KeyStanding ===

impl PartialEq for KeyStanding {
    fn eq(&self, other: &Self) -> bool {
        let told = |this: &Self| (this.digest, this.spent.total(), this.most, this.requests, this.tokens);
        told(self) == told(other)
    }
}

impl Eq for KeyStanding {}

// === impl Allowance ===

impl Allowance {
    /// Whether it limits anything.
    pub fn says_anything(&self) -> bool {
        let counts = [self.requests, self.tokens, self.tokens_a_day, self.parallel];
        counts.iter().any(Option::is_some) || !self.budgets.is_empty() || self.soft.is_some()
    }
}

/// Whether a name or a pattern of a list stands for this model. `*` stands for any text, as in a model group's name.
fn covers(allowed: &str, model: &str) -> bool {
    let Some((start, rest)) = allowed.split_once('*') else { return allowed == model };
    let Some(mut left) = model.strip_prefix(start) else { return false };
    let mut pieces = rest.split('*');
    let last = pieces.next_back().unwrap_or_default();
    for piece in pieces {
        let Some(at) = left.find(piece) else { return false };
        left = left.get(at + piece.len()..).unwrap_or_default();
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_must_have_the_model() {
        let lists = |lists: &[&[&str]]| Caller {
            models: lists.iter().map(|list| list.iter().map(|name| (*name).into()).collect()).collect(),
            ..Caller::new("k")
        };
        for (models, model, may) in [
            (&[] as &[&[&str]], "a", true),
            (&[&["a", "b"]], "b", true),
            (&[&["a", "b"]], "ab", false),
            (&[&["a"], &["a", "b"]], "a", true),
            (&[&["a"], &["b"]], "a", false),
            (&[&[]], "a", false),
            (&[&["openai/*"]], "openai/gpt-4o", true),
            (&[&["openai/*"]], "xopenai/gpt-4o", false),
            (&[&["*-mini*4o"]], "gpt-mini-4o", true),
            (&[&["*-mini*4o"]], "gpt-4o-mini", false),
            (&[&["a*a"]], "a", false),
            (&[&["*"]], "", true),
        ] {
            assert_eq!(lists(models).may_use(model), may, "{models:?} {model}");
        }
        for (models, may, all) in [
            (&[] as &[&[&str]], true, true),
            (&[&["beta"]], true, true),
            (&[&["be*"]], false, false),
            (&[&["beta"], &["m"]], true, false),
            (&[&["beta"], &["other"]], false, false),
            (&[&["*"]], true, true),
        ] {
            let caller = lists(models);
            let found = (caller.may_use_of("m", &["beta".into()]), caller.may_use_all_of("beta"));
            assert_eq!(found, (may, all), "{models:?}");
        }
    }
}
