//! Which routes a key may call.

use std::sync::Arc;

use gatewright_core::{Error, ErrorKind, Result};

/// The routes of one key; all of them where nothing is said.
#[derive(Debug)]
pub(crate) struct Routes(Vec<Arc<str>>);

/// Names that stand for several routes, by how their paths begin.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "llm_api_routes",
        &[
            "/v1/",
            "/v1beta/",
            "/chat/",
            "/completions",
            "/embeddings",
            "/engines/",
            "/openai/",
            "/bedrock/",
            "/models",
            "/responses",
            "/moderations",
            "/images/",
            "/audio/",
            "/rerank",
            "/v2/rerank",
            "/v2/chat",
            "/v2/embed",
            "/api/chat",
            "/api/embed",
            "/utils/token_counter",
        ],
    ),
    (
        "openai_routes",
        &[
            "/v1/chat/",
            "/chat/",
            "/engines/",
            "/openai/",
            "/v1/completions",
            "/completions",
            "/v1/embeddings",
            "/embeddings",
            "/v1/moderations",
            "/moderations",
            "/v1/images/",
            "/images/",
            "/v1/audio/",
            "/audio/",
            "/v1/responses",
            "/responses",
            "/v1/models",
            "/models",
        ],
    ),
    ("anthropic_routes", &["/v1/messages"]),
    ("google_routes", &["/v1beta/models/", "/models/"]),
    (
        "management_routes",
        &[
            "/key/",
            "/user/",
            "/team/",
            "/organization/",
            "/project/",
            "/customer/",
            "/end_user/",
            "/budget/",
            "/tag/",
            "/model/",
            "/credentials",
        ],
    ),
    (
        "info_routes",
        &[
            "/key/info",
            "/team/info",
            "/team/list",
            "/user/info",
            "/model/info",
            "/v1/model/info",
            "/v2/model/info",
            "/model_group/info",
            "/v1/models",
            "/models",
            "/health",
        ],
    ),
    ("global_spend_tracking_routes", &["/global/"]),
    ("mcp_routes", &["/mcp"]),
    ("spend_tracking_routes", &["/spend/", "/global/spend", "/global/activity"]),
];

/// The parts of `management_routes` that begin like routes for models.
const NOT_FOR_MODELS: &[&str] = &["/v1/model/info"];

// === impl Routes ===

impl Routes {
    /// What `allowed_routes` and `key_type` say.
    pub(crate) fn new(allowed: &[Arc<str>], key_type: Option<&str>) -> Self {
        let by_type = match key_type {
            _ if !allowed.is_empty() => None,
            Some("llm_api") => Some("llm_api_routes"),
            Some("management") => Some("management_routes"),
            Some("read_only") => Some("info_routes"),
            _ => None,
        };
        Self(allowed.iter().cloned().chain(by_type.map(Into::into)).collect())
    }

    /// Lets a path pass, or says in LiteLLM's words what the key may call.
    pub(crate) fn admit(&self, path: &str) -> Result<()> {
        if self.0.is_empty() || self.0.iter().any(|route| covers(route, path)) {
            return Ok(());
        }
        let names: Vec<String> = self.0.iter().map(|name| format!("'{name}'")).collect();
        let words = format!(
            "Virtual key is not allowed to call this route. Only allowed to call routes: [{}]. Tried to call route: {path}",
            names.join(", ")
        );
        Err(Error::new(ErrorKind::Forbidden, words))
    }
}

fn covers(route: &str, path: &str) -> bool {
    if let Some((_, starts)) = GROUPS.iter().find(|(name, _)| *name == route) {
        return starts.iter().any(|start| path.starts_with(start)) && !NOT_FOR_MODELS.contains(&path);
    }
    match route.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        // `/chat/completions` opens `/v1/chat/completions` too, as the same route.
        None => path == route || path.strip_prefix("/v1").is_some_and(|rest| rest == route),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_calls_what_its_routes_cover() {
        for (allowed, key_type, path, may) in [
            (vec![], None, "/key/generate", true),
            (vec!["/v1/embeddings"], None, "/v1/chat/completions", false),
            (vec!["/chat/completions"], None, "/v1/chat/completions", true),
            (vec!["/v1/*"], None, "/v1/messages", true),
            (vec!["/v1/*"], None, "/key/info", false),
            (vec!["llm_api_routes"], None, "/v1/chat/completions", true),
            (vec!["llm_api_routes"], None, "/key/info", false),
            (vec![], Some("llm_api"), "/v1/messages", true),
            (vec![], Some("llm_api"), "/bedrock/model/m/converse", true),
            (vec![], Some("llm_api"), "/key/generate", false),
            (vec![], Some("management"), "/v1/chat/completions", false),
            (vec![], Some("management"), "/key/generate", true),
            (vec![], Some("read_only"), "/key/info", true),
            (vec![], Some("read_only"), "/key/delete", false),
            (vec![], Some("default"), "/key/delete", true),
        ] {
            let list: Vec<Arc<str>> = allowed.iter().map(|route| (*route).into()).collect();
            let admitted = Routes::new(&list, key_type).admit(path);
            assert_eq!(admitted.is_ok(), may, "{allowed:?} {key_type:?} {path}: {admitted:?}");
        }
    }
}
