//! The policy that joins a call's caller with those it is made for: its end user and its tags.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use gatewright_core::{
    Allowance, Call, CallService, Caller, Clock, Error, ErrorKind, Middleware, Reply, Result,
};
use moka::future::Cache;
use serde_json::Value;
use tokio::time::timeout;

use crate::Record;
use crate::grant;

/// Somebody or something that a call names beside its caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    /// The end user of a client.
    Customer {
        /// Who.
        id: Arc<str>,
        /// The budget that the caller's key has for end users without one of their own.
        budget: Option<Arc<str>>,
    },
    /// A tag.
    Tag(Arc<str>),
}

/// Knows what was set for end users and tags.
pub trait Parties: Send + Sync + 'static {
    /// What was set for this one; `None` where nothing was. An error means that nobody can say now.
    fn find(&self, party: Party) -> Finding<'_>;
}

/// What [`Parties::find`] answers.
pub type Finding<'a> = Pin<Box<dyn Future<Output = Result<Option<Record>>> + Send + 'a>>;

/// How end users and tags are dealt with.
#[derive(Clone, Debug)]
pub struct JoinedSettings {
    /// How long what was known last of one is used while nobody can say.
    pub keep: Duration,
    /// Lets calls pass for whom nobody can say anything, and nothing was known.
    pub fail_open: bool,
    /// Refuses end users for whom nothing was set.
    pub known_only: bool,
}

/// Adds what an end user and tags may use to what their caller may use, and refuses those that are blocked: stands above
/// the limits. Where nobody can be asked, what was known last holds, for a while unasked; where nothing was, the call is
/// refused, for nobody knows its limits.
#[derive(Clone)]
pub struct Joined {
    parties: Arc<dyn Parties>,
    settings: JoinedSettings,
    known: Cache<Party, Option<Arc<Terms>>>,
    last: Cache<Party, Option<Arc<Terms>>>,
    unanswered: Cache<Party, ()>,
    clock: Arc<dyn Clock>,
    /// How often something was changed: what was looked up before is not kept.
    changes: Arc<AtomicU64>,
}

/// What holds for one of them.
struct Terms {
    refusal: Option<String>,
    models: Vec<Arc<str>>,
    /// The only region that calls for it may be served in.
    region: Option<Arc<str>>,
    allowances: Vec<Allowance>,
}

/// How many are remembered, and for how long without being asked about again.
const REMEMBERED: u64 = 100_000;
const FOR: Duration = Duration::from_secs(60);

/// How long a call waits for an answer about one, also where it could do without, and how long nobody asks again where
/// none came.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_WITH_ANSWER: Duration = Duration::from_millis(500);
const UNASKED_FOR: Duration = Duration::from_secs(5);

// === impl JoinedSettings ===

impl Default for JoinedSettings {
    fn default() -> Self {
        Self { keep: crate::Settings::default().keep, fail_open: false, known_only: false }
    }
}

// === impl Joined ===

impl Joined {
    /// Asks `parties`.
    pub fn new(parties: Arc<dyn Parties>, settings: JoinedSettings, clock: Arc<dyn Clock>) -> Self {
        let cache = || Cache::builder().max_capacity(REMEMBERED);
        Self {
            parties,
            known: cache().time_to_live(FOR).build(),
            last: cache().time_to_live(settings.keep).build(),
            unanswered: Cache::builder().max_capacity(REMEMBERED).time_to_live(UNASKED_FOR).build(),
            settings,
            clock,
            changes: Arc::default(),
        }
    }

    /// Forgets what is remembered, because something was changed.
    pub fn forget_all(&self) {
        self.last.invalidate_all();
        self.doubt();
    }

    /// Asks about all of them again, because anything may have been changed; where nobody can say, what was known holds.
    pub fn doubt(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.known.invalidate_all();
        self.unanswered.invalidate_all();
    }

    /// Joins the caller of a call with those that the call names, or says why it may not.
    pub async fn join(&self, call: &mut Call) -> Result<()> {
        let parties = named_by(call);
        if parties.is_empty() {
            return Ok(());
        }
        // All at once: where nobody answers, a call waits for all of them no longer than for one.
        let found = join_all(parties.iter().map(|party| self.find(party.clone()))).await;
        let mut joined: Option<Caller> = None;
        for (party, terms) in parties.into_iter().zip(found) {
            let Some(terms) = terms? else {
                self.unset(&party)?;
                continue;
            };
            terms.admit(call)?;
            let caller = joined.get_or_insert_with(|| (*call.caller).clone());
            caller.region = terms.region.clone().or(caller.region.take());
            caller.allowances.extend(terms.allowances.iter().cloned());
            caller.models.extend(Some(terms.models.clone()).filter(|models| !models.is_empty()));
        }
        if let Some(caller) = joined {
            call.caller = Arc::new(caller);
        }
        Ok(())
    }

    async fn find(&self, party: Party) -> Result<Option<Arc<Terms>>> {
        if let Some(known) = self.known.get(&party).await {
            return Ok(known);
        }
        let last = self.last.get(&party).await.or(self.settings.fail_open.then_some(None));
        if !self.unanswered.contains_key(&party) {
            let patience = if last.is_some() { PATIENCE_WITH_ANSWER } else { PATIENCE };
            if let Ok(Some(terms)) = timeout(patience, self.look(&party)).await {
                return Ok(terms);
            }
            self.unanswered.insert(party.clone(), ()).await;
        }
        last.ok_or_else(|| party.away())
    }

    /// `None` where nobody can say.
    async fn look(&self, party: &Party) -> Option<Option<Arc<Terms>>> {
        let before = self.changes.load(Ordering::SeqCst);
        let look = async {
            let record = self.parties.find(party.clone()).await?;
            let now = self.clock.wall();
            Ok::<_, Error>(record.map(|record| Arc::new(Terms::of(party, &record, now))))
        };
        let terms = self.known.try_get_with(party.clone(), look).await.ok()?;
        if self.changes.load(Ordering::SeqCst) == before {
            self.last.insert(party.clone(), terms.clone()).await;
        } else {
            self.known.invalidate(party).await;
        }
        Some(terms)
    }

    /// Where nothing was set for one, it passes, unless only end users that are known do.
    fn unset(&self, party: &Party) -> Result<()> {
        match party {
            Party::Customer { id, .. } if self.settings.known_only => {
                let words =
                    format!("User not found. User={id} is not known here. Create it via `/customer/new`.");
                Err(Error::new(ErrorKind::InvalidRequest, words).with_param("user"))
            }
            Party::Customer { .. } | Party::Tag(_) => Ok(()),
        }
    }
}

impl Middleware for Joined {
    async fn handle(&self, mut call: Call, next: &impl CallService) -> Result<Reply> {
        self.join(&mut call).await?;
        next.answer(call).await
    }
}

/// Each once, however often it is named.
fn named_by(call: &Call) -> BTreeSet<Party> {
    let budget = &call.caller.end_user_budget;
    let customer =
        call.controls.end_user.iter().map(|id| Party::Customer { id: id.clone(), budget: budget.clone() });
    let tags = call.caller.tags.iter().chain(&call.controls.tags).cloned().map(Party::Tag);
    customer.chain(tags).collect()
}

// === impl Party ===

impl Party {
    fn away(&self) -> Error {
        let whose = match self {
            Self::Customer { .. } => "end user",
            Self::Tag(_) => "tags",
        };
        let words = format!("The limits of this call's {whose} cannot be looked up now. Try again shortly.");
        Error::new(ErrorKind::Unavailable, words).with_retry_after(Duration::from_secs(1))
    }
}

// === impl Terms ===

impl Terms {
    fn of(party: &Party, record: &Record, now: SystemTime) -> Self {
        let (scope, refusal) = match party {
            Party::Customer { id, .. } => {
                let blocked = grant::is_blocked(record);
                ("end_user", blocked.then(|| format!("User blocked from making LLM API Calls. User={id}")))
            }
            Party::Tag(_) => ("tag", None),
        };
        let mut allowances = vec![grant::allowance(scope, record, now)];
        allowances.retain(Allowance::says_anything);
        let models = match party {
            Party::Customer { .. } => {
                allowances.extend(grant::model_allowances("model_per_end_user", record));
                grant::list(&record.fields, "models")
            }
            // A tag's models say where its calls go.
            Party::Tag(_) => Vec::new(),
        };
        let region = record.fields.get("allowed_model_region").and_then(Value::as_str).map(Arc::from);
        Self { refusal, models, region, allowances }
    }

    fn admit(&self, call: &Call) -> Result<()> {
        if let Some(words) = &self.refusal {
            return Err(Error::new(ErrorKind::InvalidRequest, words.clone()));
        }
        let only = Caller { models: vec![self.models.clone()], ..Caller::new("") };
        if self.models.is_empty() || only.may_use(&call.model) {
            return Ok(());
        }
        let words = format!(
            "The requested model '{}' is not available for this end user, or the model name is invalid.",
            call.model
        );
        Err(Error::new(ErrorKind::Forbidden, words)
            .with_type("customer_model_access_denied")
            .with_param("model"))
    }
}
