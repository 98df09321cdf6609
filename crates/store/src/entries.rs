//! Entries as rows: written once an attempt, with numbers in place of names.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{AttemptId, Usage};
use gatewright_spend::{Begin, Certainty, Ending, Entry, State};
use sea_orm::Value;
use uuid::Uuid;

use crate::database::Transaction;
use crate::insert::Rows;
use crate::names::NOBODY;
use crate::{Result, Store};

/// The columns, in the order of [`values`].
pub(crate) const COLUMNS: [&str; 37] = [
    "attempt",
    "call",
    "started",
    "caller",
    "model_group",
    "deployment",
    "provider",
    "model",
    "team",
    "user_name",
    "organization",
    "project",
    "customer",
    "tags",
    "error",
    "status",
    "ending",
    "estimated",
    "cache_in_input",
    "first_content",
    "duration",
    "input",
    "output",
    "cost",
    "bound",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
    "image_output",
    "web_searches",
    "reported_cost",
    "trace",
    "response",
];

/// An entry with the numbers of its names; [`NOBODY`] where it has none.
pub(crate) struct Numbered<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) caller: i64,
    pub(crate) group: i64,
    pub(crate) deployment: i64,
    pub(crate) provider: i64,
    pub(crate) model: i64,
    pub(crate) team: i64,
    pub(crate) user: i64,
    pub(crate) organization: i64,
    pub(crate) project: i64,
    pub(crate) customer: i64,
    pub(crate) tags: i64,
    pub(crate) error: i64,
}

/// Finds the numbers of all names, most of which are known.
pub(crate) async fn numbered<'a>(store: &Store, entries: &[&'a Entry]) -> Result<Vec<Numbered<'a>>> {
    let mut asked: HashMap<Arc<str>, i64> = HashMap::new();
    loop {
        let mut missing = HashSet::new();
        let numbered = store.names().with(|known| {
            let mut number = |name: Arc<str>| {
                let number = known.get(&name).or_else(|| asked.get(&name)).copied();
                number.unwrap_or_else(|| {
                    missing.insert(name);
                    NOBODY
                })
            };
            entries.iter().map(|entry| Numbered::new(entry, &mut number)).collect()
        });
        if missing.is_empty() {
            return Ok(numbered);
        }
        asked.extend(store.numbers(missing.into_iter().collect()).await?);
    }
}

/// The names in an entry, in the order of [`Numbered`].
fn names(entry: &Entry) -> [Option<Arc<str>>; 12] {
    let (begin, tenant) = (&entry.begin, &entry.begin.tenant);
    let error = match &entry.state {
        State::Ended(Ending::Failed { kind, .. }) => Some(kind),
        State::Running | State::Ended(Ending::Complete | Ending::Abandoned | Ending::Interrupted) => None,
    };
    let tags = (!tenant.tags.is_empty()).then(|| {
        let list: Vec<Arc<str>> = tenant.tags.iter().map(clean).collect();
        Arc::from(serde_json::json!(list.iter().map(|tag| &**tag).collect::<Vec<_>>()).to_string())
    });
    let name = |text: &Arc<str>| Some(clean(text));
    let maybe = |text: &Option<Arc<str>>| text.as_ref().map(clean);
    [
        name(&begin.caller),
        name(&begin.group),
        name(&begin.deployment),
        name(&begin.provider),
        name(&begin.model),
        maybe(&tenant.team),
        maybe(&tenant.user),
        maybe(&tenant.organization),
        maybe(&tenant.project),
        maybe(&tenant.customer),
        tags,
        error.map(clean),
    ]
}

/// Inserts entries where none of them is there yet, which is nearly always so; else some may be in now, and the
/// transaction is of no use any more.
pub(crate) async fn insert(transaction: &Transaction, entries: &[Numbered<'_>]) -> Result<bool> {
    let inserted = transaction.insert(rows(entries, "ON CONFLICT (attempt) DO NOTHING")).await?;
    Ok(inserted == entries.len() as u64)
}

/// Inserts entries of which some may be there already, answers those that were not. It costs more.
pub(crate) async fn insert_new<'a>(
    transaction: &Transaction,
    mut entries: Vec<Numbered<'a>>,
) -> Result<Vec<Numbered<'a>>> {
    let tail = "ON CONFLICT (attempt) DO NOTHING RETURNING attempt";
    let inserted = transaction.insert_returning(rows(&entries, tail)).await?;
    let inserted: HashSet<Uuid> = inserted.iter().map(|row| row.at(0)).collect::<Result<_>>()?;
    entries.retain(|numbered| inserted.contains(&uuid(numbered.entry.begin.attempt)));
    Ok(entries)
}

fn rows<'a>(entries: &'a [Numbered<'_>], tail: &'a str) -> Rows<'a, { COLUMNS.len() }> {
    Rows { table: "entries", columns: &COLUMNS, rows: Box::new(entries.iter().map(values)), tail }
}

// === impl Numbered ===

impl<'a> Numbered<'a> {
    fn new(entry: &'a Entry, mut number: impl FnMut(Arc<str>) -> i64) -> Self {
        let [
            caller,
            group,
            deployment,
            provider,
            model,
            team,
            user,
            organization,
            project,
            customer,
            tags,
            error,
        ] = names(entry).map(|name| name.map_or(NOBODY, &mut number));
        Self {
            entry,
            caller,
            group,
            deployment,
            provider,
            model,
            team,
            user,
            organization,
            project,
            customer,
            tags,
            error,
        }
    }

    /// Everybody that it is booked to, and for which model group.
    pub(crate) fn whose(&self) -> [i64; 8] {
        let Self { caller, group, team, user, organization, project, customer, tags, .. } = *self;
        [caller, group, team, user, organization, project, customer, tags]
    }
}

/// What PostgreSQL cannot keep in a text is replaced.
pub(crate) fn clean(text: &Arc<str>) -> Arc<str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { Arc::clone(text) }
}

/// The id as the databases keep it.
pub(crate) fn uuid(attempt: AttemptId) -> Uuid {
    Uuid::from_bytes(attempt.to_bytes())
}

/// The code of an ending.
pub(crate) fn code(state: &State) -> i64 {
    match state {
        State::Ended(Ending::Complete) => 0,
        State::Ended(Ending::Failed { .. }) => 1,
        State::Ended(Ending::Abandoned) => 2,
        State::Ended(Ending::Interrupted) => 3,
        State::Running => 4,
    }
}

/// A row is short because what is zero or nobody is not in it.
fn values(numbered: &Numbered<'_>) -> [Value; COLUMNS.len()] {
    let Numbered { entry, .. } = numbered;
    let (begin, tenant) = (&entry.begin, &entry.begin.tenant);
    let somebody = |number: i64| Value::from((number != NOBODY).then_some(number));
    let status = match &entry.state {
        State::Ended(Ending::Failed { status, .. }) => Some(i64::from(*status)),
        State::Running | State::Ended(Ending::Complete | Ending::Abandoned | Ending::Interrupted) => None,
    };
    let text = |text: &Option<Arc<str>>| {
        Value::from(text.as_ref().map(|text| Cow::from(&*clean(text)).into_owned()))
    };
    let Usage {
        input,
        output,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        reasoning,
        audio_input,
        audio_output,
        image_input,
        image_output,
        web_searches,
        cache_in_input,
        reported_cost,
    } = entry.usage;
    [
        uuid(begin.attempt).into(),
        Uuid::from_bytes(begin.call.to_bytes()).into(),
        behind(begin).into(),
        numbered.caller.into(),
        numbered.group.into(),
        numbered.deployment.into(),
        numbered.provider.into(),
        numbered.model.into(),
        somebody(numbered.team),
        somebody(numbered.user),
        somebody(numbered.organization),
        somebody(numbered.project),
        somebody(numbered.customer),
        somebody(numbered.tags),
        somebody(numbered.error),
        status.into(),
        code(&entry.state).into(),
        (entry.certainty == Certainty::Estimated).into(),
        cache_in_input.into(),
        entry.first_content.map(millis).into(),
        entry.duration.map(millis).into(),
        short(input),
        short(output),
        entry.cost.0.into(),
        (entry.bound != entry.cost).then_some(entry.bound.0).into(),
        some(cache_read),
        some(cache_write_5m),
        some(cache_write_1h),
        some(reasoning),
        some(audio_input),
        some(audio_output),
        some(image_input),
        some(image_output),
        some(web_searches),
        reported_cost.map(|cost| cost.0).into(),
        text(&tenant.trace),
        text(&entry.response),
    ]
}

/// As much of a number as the databases can keep.
pub(crate) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Microseconds from the moment that the id names to the start. They are few, unless the clock was set in between.
fn behind(begin: &Begin) -> i64 {
    let named = whole(begin.attempt.unix_millis()).saturating_mul(1000);
    let behind = whole(begin.started).saturating_sub(named);
    behind.clamp(i64::from(i32::MIN), i64::from(i32::MAX))
}

fn some(number: u64) -> Value {
    (number != 0).then(|| whole(number)).into()
}

/// Four bytes are enough for the tokens and the milliseconds of one attempt.
fn short(number: u64) -> Value {
    (number != 0).then(|| i64::from(i32::try_from(number).unwrap_or(i32::MAX))).into()
}

fn millis(duration: Duration) -> i64 {
    i64::from(i32::try_from(duration.as_millis()).unwrap_or(i32::MAX))
}
