//! `/key/regenerate`: a new key in place of an old one, which may go on for a while.

use gatewright_store::Step;
use serde_json::Value;

use super::change::find;
use super::{generate, scope};
use crate::ask::Ask;
use crate::calendar::Period;
use crate::failure::{Failure, Result};
use crate::form;
use crate::giver;
use crate::resets;
use crate::rotation;
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
    let mut draft = rotation::succeeded(&old, &key, ask.now());
    KEY.write(&mut draft, &wishes, ask.times());
    rotation::plan(ask, &mut draft, &wishes)?;
    let spend = resets::wished(&wishes);
    resets::note(ask, &mut draft, spend);
    scope::settle(ask, &mut draft, None).await?;
    generate::free_alias(ask, draft.alias.as_deref(), Some(&old.id)).await?;
    let made = Step::Make { kind: KEY.kind, id: giver::hash(&key).to_string(), draft };
    // The old one first: no two keys have the same alias.
    let steps = vec![rotation::retired(old, grace.map(|grace| grace.after(ask.now()))), made];
    let new = resets::write(ask, steps, spend).await?;
    Ok(generate::shown(ask, &new, &key).await?.into())
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
