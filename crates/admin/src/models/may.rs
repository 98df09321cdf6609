//! What somebody may do with a model who does not administer the proxy.
//!
//! A model of a team is its administrators' to make. It calls where they say, so it must not carry there what is the
//! operator's: variables of the environment, stored credentials, keys that an administrator gave.

use gatewright_store::{Draft, Parents};
use http::StatusCode;
use serde_json::{Map, Value};

use super::refused;
use crate::ask::Ask;
use crate::failure::{Failure, Result};
use crate::tables::TEAM;

/// Marks a row that the proxy's administrators made, whose parameters may name what is the operator's.
pub(super) const BY_ADMIN: &str = "by_admin";

/// What a team's administrators may change of a model that was given to them: how it is used, not what it is.
const HARMLESS: [&str; 10] = [
    "rpm",
    "tpm",
    "weight",
    "order",
    "timeout",
    "stream_timeout",
    "num_retries",
    "max_retries",
    "max_parallel_requests",
    "cooldown_time",
];

/// Refuses whoever administers neither the team that a model is of nor what is above it; a model of nobody is the proxy
/// administrators'.
pub(super) async fn manage(ask: &Ask, team: Option<&str>) -> Result<()> {
    if ask.actor.is_admin() {
        return Ok(());
    }
    let Some(team) = team else { return Err(Failure::no_models(ask.actor.role())) };
    let row = ask.rows(&TEAM).find(team).await?;
    let organization = row.and_then(|row| row.draft.parents.organization);
    let parents = Parents { team: Some(team.to_owned()), organization, ..Parents::default() };
    if ask.actor.may(ask.access, &parents) {
        return Ok(());
    }
    let words = format!(
        "Team ID={team} does not match the API key's team ID, OR you are not the admin for this team. Check \
         `/user/info` to verify your team admin status."
    );
    Err(refused(StatusCode::FORBIDDEN, &words))
}

/// Refuses parameters of a new model that only the proxy's administrators may give.
pub(super) fn give(ask: &Ask, params: &Map<String, Value>) -> Result<()> {
    if ask.actor.is_admin() {
        return Ok(());
    }
    if params.get("litellm_credential_name").is_some_and(|name| !name.is_null()) {
        let words = "Only a proxy admin can attach a stored credential (litellm_credential_name) on a model.";
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "auth_error",
            Some("litellm_credential_name"),
            words,
        ));
    }
    match params.iter().find(|(_, value)| names_the_environment(value)) {
        None => Ok(()),
        Some((name, _)) => {
            let words = "Only a proxy admin can name variables of the environment (os.environ/…) in a model.";
            Err(Failure::new(StatusCode::FORBIDDEN, "auth_error", Some(name), words))
        }
    }
}

/// Refuses a change of a model that a proxy administrator made to whoever only leads its team.
pub(super) fn alter(ask: &Ask, before: &Draft, said: &Map<String, Value>) -> Result<()> {
    let given = before.fields.get(BY_ADMIN).and_then(Value::as_bool).unwrap_or(false);
    if ask.actor.is_admin() || !given {
        return give(ask, said);
    }
    match said.keys().find(|name| !HARMLESS.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let words =
                format!("Only a proxy admin can change {name} of a model that was given to the team.");
            Err(Failure::new(StatusCode::FORBIDDEN, "auth_error", Some(name), &words))
        }
    }
}

fn names_the_environment(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with("os.environ/"),
        Value::Array(items) => items.iter().any(names_the_environment),
        Value::Object(map) => map.values().any(names_the_environment),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
