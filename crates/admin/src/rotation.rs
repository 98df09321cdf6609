//! Keys that are replaced by themselves (`auto_rotate`) when their `rotation_interval` is over.
//!
//! A new key is told to nobody who asked for it, so there must be somewhere to put it: whoever runs this says where.

use std::time::SystemTime;

use gatewright_core::Secret;
use gatewright_store::{Column, Draft, Filter, Kind, Object, Query, Result as StoreResult, Step, Store};
use serde_json::{Map, Value};

use crate::ask::Ask;
use crate::calendar::{self, Period};
use crate::failure::{Failure, Result};
use crate::giver;
use crate::tables::KEY;

const ON: &str = "auto_rotate";
const INTERVAL: &str = "rotation_interval";
const NEXT: &str = "key_rotation_at";
const LAST: &str = "last_rotation_at";
const COUNT: &str = "rotation_count";

/// A key that takes the place of another one, not in force yet.
pub struct Successor {
    /// The new key.
    pub key: Secret,
    /// Names the old key and all that come after it: the hash of the first of them.
    pub lineage: String,
    steps: Vec<Step>,
}

// === impl Successor ===

impl Successor {
    /// Of a key that goes on for `grace`, or ends when its successor begins.
    pub fn of(old: Object, grace: Option<Period>, now: SystemTime) -> Self {
        let key = giver::fresh();
        let lineage = old.draft.fields.get("counts_as").and_then(Value::as_str).unwrap_or(&old.id);
        let (lineage, draft) = (lineage.to_owned(), succeeded(&old, &key, now));
        let made = Step::Make { kind: KEY.kind, id: giver::hash(&key).to_string(), draft };
        // The old one first: no two keys have the same alias.
        let steps = vec![retired(old, grace.map(|grace| grace.after(now))), made];
        Self { key: Secret::from(key), lineage, steps }
    }

    /// Puts it into force, with its line in the audit log. Of replicas that do this at the same time one does, and the
    /// others are told that the old key is another one by now.
    pub async fn install(self, store: &Store, by: &str) -> StoreResult<()> {
        store.together(self.steps, by).await.map(drop)
    }
}

/// Keys that are due.
pub async fn due(store: &Store, now: SystemTime) -> StoreResult<Vec<Object>> {
    let marked = format!("\"{ON}\":true");
    let filters =
        vec![Filter::Contains(Column::Fields, marked), Filter::Blocked(false), Filter::LivesAt(now)];
    let (rows, mut query) = (store.objects(Kind::Key), Query::of(filters));
    let mut due = Vec::new();
    loop {
        let page = rows.list(&query).await?;
        let Some(last) = page.last().map(Object::cursor) else { return Ok(due) };
        query.after = Some(last);
        due.extend(page.into_iter().filter(|key| is_due(&key.draft, now)));
    }
}

/// One that was never planned, because another program turned it on, is due at once, as there.
fn is_due(draft: &Draft, now: SystemTime) -> bool {
    let next = draft.fields.get(NEXT).and_then(Value::as_str).and_then(calendar::read);
    interval(draft).is_some() && next.is_none_or(|next| next <= now)
}

/// Plans the next replacement where a body says something of it, or refuses to.
pub(crate) fn plan(ask: &Ask, draft: &mut Draft, wishes: &Map<String, Value>) -> Result<()> {
    if [ON, INTERVAL].into_iter().all(|name| !wishes.contains_key(name)) {
        return Ok(());
    }
    schedule(draft, ask.now());
    match (is_on(draft), interval(draft)) {
        (false, _) => Ok(()),
        (true, _) if !ask.actor.is_admin() => {
            Err(Failure::forbidden("new keys go to the operator: only proxy admins turn auto_rotate on"))
        }
        (true, _) if !ask.admin.rotates => Err(Failure::bad(
            ON,
            "auto_rotate would lose the new key: nobody says where it goes. Set general_settings.rotated_keys_dir, or \
             replace the key with /key/regenerate.",
        )),
        (true, None) => Err(Failure::bad(INTERVAL, "auto_rotate needs a rotation_interval, as `30d`")),
        (true, Some(_)) => Ok(()),
    }
}

/// The old key's row for the new one, which goes on counting where the old one stopped: a new key is no new budget.
pub(crate) fn succeeded(old: &Object, key: &str, now: SystemTime) -> Draft {
    let mut draft = old.draft.clone();
    let count = draft.fields.get(COUNT).and_then(Value::as_u64).unwrap_or_default();
    draft.fields.insert(COUNT.into(), (count + 1).into());
    draft.fields.insert(LAST.into(), calendar::printed(now).into());
    draft.fields.insert("key_name".into(), giver::name(key).into());
    draft.fields.entry("counts_as").or_insert_with(|| old.id.clone().into());
    schedule(&mut draft, now);
    draft
}

/// The old key ends now, or at `ends`. Its version says that nobody changed what its successor goes on with.
pub(crate) fn retired(old: Object, ends: Option<SystemTime>) -> Step {
    let Object { id, version, mut draft, .. } = old;
    let Some(end) = ends else { return Step::Remove { kind: KEY.kind, id, version } };
    draft.alias = None;
    draft.expires_at = Some(draft.expires_at.map_or(end, |already| already.min(end)));
    [ON, INTERVAL, NEXT].into_iter().for_each(|name| drop(draft.fields.remove(name)));
    Step::Change { kind: KEY.kind, id, version, draft }
}

fn schedule(draft: &mut Draft, now: SystemTime) {
    match interval(draft).filter(|_| is_on(draft)) {
        Some(interval) => {
            let next = calendar::printed(interval.after(now));
            draft.fields.insert(NEXT.into(), next.into());
        }
        None => drop(draft.fields.remove(NEXT)),
    }
}

fn is_on(draft: &Draft) -> bool {
    draft.fields.get(ON) == Some(&Value::Bool(true))
}

fn interval(draft: &Draft) -> Option<Period> {
    draft.fields.get(INTERVAL).and_then(Value::as_str).and_then(Period::parse)
}
