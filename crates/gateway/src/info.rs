//! `/model/info` and `/model_group/info`: what is known of the models that a caller may use.

use axum::extract::Query;
use axum::response::Response;
use gatewright_core::{Caller, Error, ErrorKind, Result};
use http::request::Parts;
use serde_json::{Value, json};

use crate::Ports;
use crate::models::{Described, with_caller};

/// How many deployments a page has where nothing is said, and at most.
const PAGE: usize = 50;
const LARGEST_PAGE: usize = 1000;

/// `GET /model/info`: the deployments that the caller may use.
pub(crate) async fn deployments(ports: &Ports, request: &Parts) -> Response {
    let asked = Asked::of(request);
    with_caller(ports, request, |caller| {
        let mut found = visible(ports, caller);
        if let Some(id) = asked.text("litellm_model_id") {
            found.retain(|one| one.facts["model_info"]["id"] == id);
            if found.is_empty() {
                let words = format!("Model id = {id} not found on litellm proxy");
                return Err(Error::new(ErrorKind::InvalidRequest, words));
            }
        }
        Ok(json!({"data": told(found)}))
    })
    .await
}

/// `GET /v2/model/info`: the same in pages.
pub(crate) async fn pages(ports: &Ports, request: &Parts) -> Response {
    let asked = Asked::of(request);
    with_caller(ports, request, |caller| {
        let (page, size) = (asked.count("page", 1)?, asked.count("size", PAGE)?.min(LARGEST_PAGE));
        let mut found = visible(ports, caller);
        found.retain(|one| asked.wants(one));
        let total = found.len();
        let shown: Vec<_> = found.into_iter().skip((page - 1).saturating_mul(size)).take(size).collect();
        Ok(json!({
            "data": told(shown), "total_count": total, "current_page": page,
            "total_pages": total.div_ceil(size), "size": size,
        }))
    })
    .await
}

/// `GET /model_group/info`: the groups that the caller may use.
pub(crate) async fn groups(ports: &Ports, request: &Parts) -> Response {
    let asked = Asked::of(request);
    with_caller(ports, request, |caller| {
        let mut found = ports.directory.groups(caller.team.as_deref());
        found.retain(|group| ports.permits(caller, &group.name));
        if let Some(name) = asked.text("model_group") {
            found.retain(|group| group.name == name);
        }
        Ok(json!({"data": told(found)}))
    })
    .await
}

/// The parameters of a request.
pub(crate) struct Asked(Vec<(String, String)>);

impl Asked {
    pub(crate) fn of(request: &Parts) -> Self {
        Self(Query::try_from_uri(&request.uri).map(|pairs| pairs.0).unwrap_or_default())
    }

    /// A parameter; an empty one counts as absent.
    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        matches!(self.text(name), Some("true" | "True" | "1"))
    }

    fn count(&self, name: &'static str, default: usize) -> Result<usize> {
        match self.text(name).map(str::parse::<usize>) {
            None => Ok(default),
            Some(Ok(number)) if number > 0 => Ok(number),
            Some(_) => {
                let words = format!("'{name}' must be a whole number of at least 1");
                Err(Error::new(ErrorKind::InvalidRequest, words).with_param(name))
            }
        }
    }

    fn wants(&self, one: &Described) -> bool {
        let name = || &one.facts["model_name"];
        let has = |part: &str| {
            name().as_str().is_some_and(|name| name.to_lowercase().contains(&part.to_lowercase()))
        };
        self.text("model").is_none_or(|wanted| name() == wanted || one.name == wanted)
            && self.text("modelId").is_none_or(|id| one.facts["model_info"]["id"] == id)
            && self.text("teamId").is_none_or(|team| one.team.as_deref().is_none_or(|own| own == team))
            && self.text("search").is_none_or(has)
    }
}

/// The deployments that a caller may use; administrators see all of them.
fn visible(ports: &Ports, caller: &Caller) -> Vec<Described> {
    let mut found = ports.directory.deployments();
    if !caller.admin {
        let reaches = |one: &Described| one.team.is_none() || one.team.as_deref() == caller.team.as_deref();
        found.retain(|one| reaches(one) && ports.permits(caller, &one.name));
        for one in &mut found {
            // Where a model is called is the operator's business.
            if let Some(params) = one.facts["litellm_params"].as_object_mut() {
                params.remove("api_base");
            }
        }
    }
    found
}

fn told(found: Vec<Described>) -> Vec<Value> {
    found.into_iter().map(|one| one.facts).collect()
}
