//! `/key/regenerate`: a new key in place of an old one, which may go on for a while.

use std::time::SystemTime;

use gatewright_store::{Draft, Object, Step};
use serde_json::{Map, Value};

use super::change::find;
use super::{generate, scope};
use crate::ask::Ask;
use crate::calendar::{self, Period};
use crate::failure::{Failure, Result};
use crate::form;
use crate::giver;
use crate::resets;
use crate::tables::KEY;

/// What a body may say that is no field of a key.
const BESIDE: [&str; 3] = ["key", "new_key", "grace_period"];

/// `POST /key/regenerate` and `POST /key/{key}/regenerate`.
pub(crate) async fn regenerate(ask: &mut Ask) -> Result<Value> {
    let mut wishes = ask.read(&KEY, &BESIDE)?;
    let old = match ask.param("key") {
        Some(key) => find(ask, key).await?,
        None => find(ask, form::required(&ask.body, "key")?).await?,
    };
    scope::allowed(ask, &old.draft.parents).await?;
    scope::untouched(ask, &old.draft.parents, &wishes)?;
    generate::routes_of_type(&mut wishes)?;
    let grace = grace(ask)?;
    let key = match ask.body.get("new_key").and_then(Value::as_str) {
        Some(key) if key.starts_with("sk-") && key.len() >= 16 => key.to_owned(),
        Some(_) => {
            return Err(Failure::bad("new_key", "A key starts with 'sk-' and has at least 16 characters."));
        }
        None => giver::fresh(),
    };
    let mut draft = successor(ask, &old, &wishes);
    let spend = resets::wished(&wishes);
    resets::note(ask, &mut draft, spend);
    scope::settle(ask, &mut draft, None).await?;
    draft.fields.insert("key_name".into(), giver::name(&key).into());
    generate::free_alias(ask, draft.alias.as_deref(), Some(&old.id)).await?;
    let made = Step::Make { kind: KEY.kind, id: giver::hash(&key).to_string(), draft };
    // The old one first: no two keys have the same alias.
    let steps = vec![retired(old, grace.map(|grace| grace.after(ask.now()))), made];
    let new = resets::write(ask, steps, spend).await?;
    Ok(generate::shown(ask, &new, &key).await?.into())
}

/// The old key's row with what is wished; the new one goes on counting where the old one stopped, so that a new key is
/// no new budget.
fn successor(ask: &Ask, old: &Object, wishes: &Map<String, Value>) -> Draft {
    let mut draft = old.draft.clone();
    KEY.write(&mut draft, wishes, ask.times());
    let count = old.draft.fields.get("rotation_count").and_then(Value::as_u64).unwrap_or_default();
    draft.fields.insert("rotation_count".into(), (count + 1).into());
    draft.fields.insert("last_rotation_at".into(), calendar::printed(ask.now()).into());
    draft.fields.entry("counts_as").or_insert_with(|| old.id.clone().into());
    draft
}

/// The old key ends now, or when the grace is over. Its version says that nobody changed what its successor goes on with.
pub(crate) fn retired(old: Object, ends: Option<SystemTime>) -> Step {
    let Object { id, version, draft, .. } = old;
    match ends {
        None => Step::Remove { kind: KEY.kind, id, version },
        Some(end) => {
            let ends = draft.expires_at.map_or(end, |already| already.min(end));
            let draft = Draft { alias: None, expires_at: Some(ends), ..draft };
            Step::Change { kind: KEY.kind, id, version, draft }
        }
    }
}

fn grace(ask: &Ask) -> Result<Option<Period>> {
    let Some(text) = ask.body.get("grace_period").filter(|value| !value.is_null()) else { return Ok(None) };
    match text.as_str().filter(|text| !text.is_empty()) {
        None if text == "" => Ok(None),
        None => Err(Failure::form(
            &["grace_period".into()],
            ("string_type", "Input should be a valid string"),
            text,
        )),
        Some(said) => match Period::parse(said) {
            Some(period) => Ok(Some(period)),
            None => {
                Err(Failure::bad("grace_period", "grace_period is a number and one of s, m, h, d, w, mo"))
            }
        },
    }
}
