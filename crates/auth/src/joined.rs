//! The policy that joins a call's caller with those it is made for: its end user and its tags.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use gatewright_core::{
    Allowance, Call, CallService, Caller, Clock, Error, ErrorKind, Middleware, Reply, Result,
};
use moka::future::Cache;

use crate::Record;
use crate::grant;

/// Somebody or something that a call names beside its caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    /// The end user of a client.
    Customer(Arc<str>),
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

/// Adds what an end user and tags may use to what their caller may use, and refuses those that are blocked: stands above
/// the limits. Whom nobody can be asked about passes, for a while unasked: calls do not depend on the database.
#[derive(Clone)]
pub struct Joined {
    parties: Arc<dyn Parties>,
    known: Cache<Party, Option<Arc<Terms>>>,
    unanswered: Cache<Party, ()>,
    clock: Arc<dyn Clock>,
    /// How often something was changed: what was looked up before is not kept.
    changes: Arc<AtomicU64>,
}

/// What holds for one of them.
struct Terms {
    refusal: Option<String>,
    models: Vec<Arc<str>>,
    allowance: Option<Allowance>,
}

/// How many are remembered, and for how long.
const REMEMBERED: u64 = 100_000;
const FOR: Duration = Duration::from_secs(60);

/// How long a call waits for an answer about one, and how long nobody asks again where none came.
const PATIENCE: Duration = Duration::from_millis(500);
const UNASKED_FOR: Duration = Duration::from_secs(5);

// === impl Joined ===

impl Joined {
    /// Asks `parties`.
    pub fn new(parties: Arc<dyn Parties>, clock: Arc<dyn Clock>) -> Self {
        let known = Cache::builder().max_capacity(REMEMBERED).time_to_live(FOR).build();
        let unanswered = Cache::builder().max_capacity(REMEMBERED).time_to_live(UNASKED_FOR).build();
        Self { parties, known, unanswered, clock, changes: Arc::default() }
    }

    /// Forgets what is remembered, because something was changed.
    pub fn forget_all(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.known.invalidate_all();
    }

    async fn find(&self, party: Party) -> Option<Arc<Terms>> {
        if let Some(known) = self.known.get(&party).await {
            return known;
        }
        if self.unanswered.contains_key(&party) {
            return None;
        }
        let before = self.changes.load(Ordering::SeqCst);
        let look = async {
            let record = self.parties.find(party.clone()).await?;
            let now = self.clock.wall();
            Ok::<_, Error>(record.map(|record| Arc::new(Terms::of(&party, &record, now))))
        };
        let asked = self.known.try_get_with(party.clone(), look);
        if let Ok(Ok(terms)) = tokio::time::timeout(PATIENCE, asked).await {
            if self.changes.load(Ordering::SeqCst) != before {
                self.known.invalidate(&party).await;
            }
            return terms;
        }
        self.unanswered.insert(party, ()).await;
        None
    }
}

impl Middleware for Joined {
    async fn handle(&self, mut call: Call, next: &impl CallService) -> Result<Reply> {
        let parties = named_by(&call);
        let mut joined: Option<Caller> = None;
        for party in parties {
            let Some(terms) = self.find(party).await else { continue };
            terms.admit(&call)?;
            let caller = joined.get_or_insert_with(|| (*call.caller).clone());
            caller.allowances.extend(terms.allowance.clone());
            caller.models.extend(Some(terms.models.clone()).filter(|models| !models.is_empty()));
        }
        if let Some(caller) = joined {
            call.caller = Arc::new(caller);
        }
        next.answer(call).await
    }
}

/// Each once, however often it is named.
fn named_by(call: &Call) -> BTreeSet<Party> {
    let customer = call.controls.end_user.iter().cloned().map(Party::Customer);
    let tags = call.caller.tags.iter().chain(&call.controls.tags).cloned().map(Party::Tag);
    customer.chain(tags).collect()
}

// === impl Terms ===

impl Terms {
    fn of(party: &Party, record: &Record, now: SystemTime) -> Self {
        let (scope, refusal) = match party {
            Party::Customer(id) => {
                let blocked = grant::is_blocked(record);
                ("end_user", blocked.then(|| format!("User blocked from making LLM API Calls. User={id}")))
            }
            Party::Tag(_) => ("tag", None),
        };
        let allowance = grant::allowance(scope, record, now);
        let models = match party {
            Party::Customer(_) => grant::list(&record.fields, "models"),
            // A tag's models say where its calls go.
            Party::Tag(_) => Vec::new(),
        };
        Self { refusal, models, allowance: Some(allowance).filter(Allowance::says_anything) }
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
