//! `/v1/models`: what there is to call.

use axum::response::Response;
use gatewright_core::{CallId, Caller, Dialect, Error, ErrorKind};
use http::StatusCode;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::gateway::peer;
use crate::info::Asked;
use crate::{Ports, call_name, respond};

/// Which models there are.
pub trait Directory: Send + Sync + 'static {
    /// The public names, wildcards expanded, in the order of the configuration; then those that only this team has.
    fn models(&self, team: Option<&str>) -> Vec<ModelEntry>;

    /// One of them; also a name that only a wildcard covers.
    fn model(&self, team: Option<&str>, name: &str) -> Option<ModelEntry>;

    /// The access groups of its models.
    fn access_groups(&self, team: Option<&str>) -> Vec<String>;

    /// Whether a caller may use what a name leads to: also an alias of what it may use, and what is in one of its access
    /// groups.
    fn permits(&self, caller: &Caller, name: &str) -> bool;

    /// The deployments with their settings and facts, without secrets.
    fn deployments(&self) -> Vec<Described>;

    /// The model groups with the facts of their deployments: everybody's, then those of this team.
    fn groups(&self, team: Option<&str>) -> Vec<Described>;
}

/// A deployment or a group as LiteLLM's clients read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// The public name that a caller must be allowed to use.
    pub name: String,
    /// The only team that has it.
    pub team: Option<String>,
    /// What is told of it.
    pub facts: Value,
}

/// One public model name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelEntry {
    /// The name.
    pub name: String,
    /// What it is for (`chat`), where known.
    pub mode: Option<String>,
    /// The most input tokens, where known.
    pub max_input_tokens: Option<u64>,
    /// The most output tokens, where known.
    pub max_output_tokens: Option<u64>,
}

/// LiteLLM gives every model this birthday and owner.
const CREATED: u64 = 1_677_610_602;
const OWNER: &str = "openai";

/// `GET /v1/models`: the models that the caller may use, and the access groups where they are asked for.
pub(crate) async fn list(ports: &Ports, request: &Parts) -> Response {
    let asked = Asked::of(request);
    with_caller(ports, request, |caller| {
        let (team, only) = (caller.team.as_deref(), asked.is_set("only_model_access_groups"));
        let mut found = if only { Vec::new() } else { ports.directory.models(team) };
        found.retain(|model| ports.permits(caller, &model.name));
        if only || asked.is_set("include_model_access_groups") {
            let groups = ports.directory.access_groups(team).into_iter();
            let groups = groups.filter(|group| caller.may_use_all_of(group));
            found.extend(groups.map(|name| ModelEntry { name, ..ModelEntry::default() }));
        }
        let data: Vec<Value> = found.iter().map(entry).collect();
        Ok(json!({"data": data, "object": "list"}))
    })
    .await
}

/// `GET /v1/models/{id}`.
pub(crate) async fn one(ports: &Ports, request: &Parts) -> Response {
    with_caller(ports, request, |caller| {
        let path = request.uri.path();
        let name = path.split_once("/models/").map(|(_, name)| name).unwrap_or_default();
        // `%2F` in a model's name is a slash of it.
        let name = percent_decode_str(name).decode_utf8_lossy();
        match ports.directory.model(caller.team.as_deref(), &name) {
            Some(model) if ports.permits(caller, &model.name) => Ok(entry(&model)),
            _ => Err(Error::new(ErrorKind::NotFound, format!("The model '{name}' does not exist"))
                .with_param("model")
                .with_code("model_not_found")),
        }
    })
    .await
}

/// Answers a known caller, or refuses.
pub(crate) async fn with_caller(
    ports: &Ports,
    request: &Parts,
    answer: impl FnOnce(&Caller) -> Result<Value, Error>,
) -> Response {
    let caller = ports.caller(&request.headers, &request.uri, peer(request)).await;
    match caller.and_then(|caller| answer(&caller)) {
        Ok(value) => respond::json(StatusCode::OK, &value),
        Err(err) => refused(&err, request),
    }
}

/// A refusal in OpenAI's words.
pub(crate) fn refused(err: &Error, request: &Parts) -> Response {
    let name = call_name::told(call_name::said(&request.headers), CallId::fresh());
    respond::error(err, gatewright_dialects::of(Dialect::OpenAiChat), name)
}

fn entry(model: &ModelEntry) -> Value {
    let mut fields = Map::new();
    fields.insert("id".into(), model.name.clone().into());
    fields.insert("object".into(), "model".into());
    fields.insert("created".into(), CREATED.into());
    fields.insert("owned_by".into(), OWNER.into());
    let mut known = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(key.into(), value);
        }
    };
    known("mode", model.mode.clone().map(Value::from));
    known("max_input_tokens", model.max_input_tokens.map(Value::from));
    known("max_output_tokens", model.max_output_tokens.map(Value::from));
    Value::Object(fields)
}
