//! Entries on their way into the database: written once an attempt, with numbers in place of names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gatewright_spend::{Ending, Entry, State};
use uuid::Uuid;

use crate::database::Transaction;
use crate::line::{self, Line};
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

/// How many names an entry may have, besides its tags.
const NAMES: usize = 11;

/// Names that stood lately in one place of an entry, each with its number. Entries share the names that they were read with,
/// so that most are known by where they are, without a look at their letters.
#[derive(Clone, Copy)]
struct Lately<'a>([Option<(&'a Arc<str>, i64)>; 16]);

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
            let mut lately = [Lately([None; 16]); NAMES];
            entries.iter().map(|entry| Numbered::new(entry, &mut lately, &mut number)).collect()
        });
        if missing.is_empty() {
            return Ok(numbered);
        }
        asked.extend(store.numbers(missing.into_iter().collect()).await?);
    }
}

/// The names in an entry besides its tags, in the order of [`Numbered`].
fn names(entry: &Entry) -> [Option<&Arc<str>>; NAMES] {
    let (begin, tenant) = (&entry.begin, &entry.begin.tenant);
    let error = match &entry.state {
        State::Ended(Ending::Failed { kind, .. }) => Some(kind),
        State::Running | State::Ended(Ending::Complete | Ending::Abandoned | Ending::Interrupted) => None,
    };
    [
        Some(&begin.caller),
        Some(&begin.group),
        Some(&begin.deployment),
        Some(&begin.provider),
        Some(&begin.model),
        tenant.team.as_ref(),
        tenant.user.as_ref(),
        tenant.organization.as_ref(),
        tenant.project.as_ref(),
        tenant.customer.as_ref(),
        error,
    ]
}

/// The tags of an entry as one name.
fn tags(entry: &Entry) -> Option<Arc<str>> {
    let tags = &entry.begin.tenant.tags;
    (!tags.is_empty()).then(|| {
        let list: Vec<Arc<str>> = tags.iter().map(clean).collect();
        serde_json::json!(list.iter().map(|tag| &**tag).collect::<Vec<_>>()).to_string().into()
    })
}

/// Inserts entries where none of them is there yet, which is nearly always so; else some may be in now, and the
/// transaction is of no use any more.
pub(crate) async fn insert(transaction: &Transaction, entries: &[Numbered<'_>]) -> Result<bool> {
    let inserted = transaction.insert_lines(Box::new(entries.iter().map(Line::of))).await?;
    Ok(inserted == entries.len() as u64)
}

/// Inserts entries of which some may be there already, answers those that were not. It costs more.
pub(crate) async fn insert_new<'a>(
    transaction: &Transaction,
    mut entries: Vec<Numbered<'a>>,
) -> Result<Vec<Numbered<'a>>> {
    let tail = "ON CONFLICT (attempt) DO NOTHING RETURNING attempt";
    let inserted = transaction.insert_returning(line::rows(entries.iter().map(Line::of), tail)).await?;
    let inserted: HashSet<Uuid> = inserted.iter().map(|row| row.at(0)).collect::<Result<_>>()?;
    entries.retain(|numbered| inserted.contains(&uuid(numbered.entry.begin.attempt)));
    Ok(entries)
}

// === impl Lately ===

impl<'a> Lately<'a> {
    /// The number of a name, asked for where it is not known.
    fn number(&mut self, name: &'a Arc<str>, ask: &mut impl FnMut(Arc<str>) -> i64) -> i64 {
        // Names lie at least so far apart.
        let place = Arc::as_ptr(name).addr() / 32 % self.0.len();
        let Some(known) = self.0.get_mut(place) else { return ask(clean(name)) };
        match known {
            Some((same, number)) if Arc::ptr_eq(same, name) => *number,
            Some(_) | None => {
                let number = ask(clean(name));
                *known = Some((name, number));
                number
            }
        }
    }
}

// === impl Numbered ===

impl<'a> Numbered<'a> {
    fn new(
        entry: &'a Entry,
        lately: &mut [Lately<'a>; NAMES],
        mut number: impl FnMut(Arc<str>) -> i64,
    ) -> Self {
        let mut numbers = [NOBODY; NAMES];
        for ((name, lately), into) in names(entry).into_iter().zip(lately).zip(&mut numbers) {
            let Some(name) = name else { continue };
            *into = lately.number(name, &mut number);
        }
        let [caller, group, deployment, provider, model, team, user, organization, project, customer, error] =
            numbers;
        let tags = tags(entry).map_or(NOBODY, number);
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

    /// Everybody and everything that it is booked to, and for which model group.
    pub(crate) fn whose(&self) -> [i64; 10] {
        let Self { caller, group, deployment, provider, team, user, .. } = *self;
        let Self { organization, project, customer, tags, .. } = *self;
        [caller, group, deployment, provider, team, user, organization, project, customer, tags]
    }
}
