//! `/model/*`: deployments that are kept in the database.

mod change;
pub(crate) mod groups;
mod make;
mod may;
mod names;

pub(crate) use change::{block, delete, patch, unblock, update};
pub(crate) use make::new;
pub use names::public_name;

use gatewright_store::{Draft, Kind, Object};
use http::StatusCode;
use serde_json::{Map, Value};

use crate::ask::Ask;
use crate::deployments::Change;
use crate::failure::{Failure, Result};
use crate::secrets::{masked, opened, sealed};
use crate::table::View;
use crate::tables::MODEL;
use crate::vault::{Unreadable, Vault};

/// Where the secrets of a row are sealed for.
pub fn place(kind: Kind, id: &str) -> String {
    format!("{}/{id}", kind.name())
}

/// Refuses where no models are kept in the database.
fn enter(ask: &Ask) -> Result<()> {
    match ask.admin.deployments.are_stored() {
        true => Ok(()),
        false => Err(refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Set `'STORE_MODEL_IN_DB='True'` in your env to enable this feature.",
        )),
    }
}

/// The vault, without which no secret is kept.
pub(crate) fn vault(ask: &Ask) -> Result<&Vault> {
    ask.admin.vault.as_ref().ok_or_else(|| {
        let words = "Secrets are encrypted with LITELLM_SALT_KEY, or with the master key: set one of them.";
        refused(StatusCode::INTERNAL_SERVER_ERROR, words)
    })
}

/// Refuses a change with which a model would not build; nothing is stored then.
pub(crate) async fn check(ask: &Ask, changes: &[Change]) -> Result<()> {
    let refusal = |why: String| Failure::bad("litellm_params", &why);
    ask.admin.deployments.check(changes).await.map_err(refusal)
}

/// Parameters as they were given.
fn params(ask: &Ask, id: &str, draft: &Draft) -> Result<Map<String, Value>> {
    let kept = draft.fields.get("litellm_params").and_then(Value::as_object).cloned().unwrap_or_default();
    opened(vault(ask)?, &place(Kind::Model, id), &kept).map_err(unreadable)
}

fn set_params(ask: &Ask, id: &str, draft: &mut Draft, params: &Map<String, Value>) -> Result<()> {
    let kept = sealed(vault(ask)?, &place(Kind::Model, id), params).map_err(unreadable)?;
    draft.fields.insert("litellm_params".into(), kept.into());
    Ok(())
}

/// A text of `model_info`.
fn told<'a>(draft: &'a Draft, name: &str) -> Option<&'a str> {
    draft.fields.get("model_info")?.get(name)?.as_str()
}

/// A model as LiteLLM answers it, with its secrets masked.
fn shown(ask: &Ask, model: &Object) -> Result<Value> {
    let mut told = MODEL.show(model, View::Told, ask.times());
    told.insert("litellm_params".into(), masked(&params(ask, &model.id, &model.draft)?).into());
    if let Some(Value::Object(info)) = told.get_mut("model_info") {
        info.insert("db_model".into(), true.into());
    }
    Ok(told.into())
}

/// LiteLLM puts the words of these refusals into a Python dictionary.
fn refused(status: StatusCode, words: &str) -> Failure {
    let quote = if words.contains('\'') { '"' } else { '\'' };
    Failure::new(status, "auth_error", None, &format!("{{'error': {quote}{words}{quote}}}"))
}

pub(crate) fn unreadable(err: Unreadable) -> Failure {
    Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", None, &err.to_string())
}
