//! Entries on their way into the database: written once an attempt, with numbers in place of names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gatewright_spend::{Ending, Entry, State};
use uuid::Uuid;

use crate::database::Transaction;
use crate::insert::Rows;
use crate::line::{COLUMNS, Line};
use crate::names::NOBODY;
use crate::value::{clean, uuid};
use crate::{Result, Store};

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
    let rows = Box::new(entries.iter().map(|numbered| Line::of(numbered).values()));
    Rows { table: "entries", columns: &COLUMNS, rows, tail }
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
