//! `/key/regenerate`: a new key in place of an old one, which may go on for a while.

use gatewright_store::{Draft, Object};
use serde_json::{Map, Value};

use super::change::find;
use super::{generate, scope};
use crate::ask::Ask;
use crate::calendar::{self, Period};
use crate::failure::{Failure, Result};
use crate::form;
use crate::giver;
use crate::objects;
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
    let alias = draft.alias.take();
    generate::free_alias(ask, alias.as_deref(), Some(&old.id)).await?;
    let new = objects::insert(ask, &KEY, &giver::hash(&key), draft).await?;
    retire(ask, &old, grace).await?;
    let named =
        objects::edit(ask, &KEY, &new.id, |new| Ok(Draft { alias: alias.clone(), ..new.draft.clone() }));
    let new = resets::with_spend(ask, &KEY, &new, spend, named).await?;
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

/// The old key ends now, or when the grace is over.
async fn retire(ask: &Ask, old: &Object, grace: Option<Period>) -> Result<()> {
    match grace {
        None => {
            ask.rows(&KEY).delete(&old.id, &ask.actor.name()).await?;
        }
        Some(grace) => {
            let end = grace.after(ask.now());
            objects::edit(ask, &KEY, &old.id, |old| {
                let ends = old.draft.expires_at.map_or(end, |already| already.min(end));
                Ok(Draft { alias: None, expires_at: Some(ends), ..old.draft.clone() })
            })
            .await?;
        }
    }
    Ok(())
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
