//! A grant never exceeds its giver: what a key gets that was made, or changed, with another one.

use std::sync::Arc;
use std::time::SystemTime;

use gatewright_auth::KeyHash;
use gatewright_core::Caller;
use gatewright_store::Draft;
use serde_json::{Map, Value, json};

use crate::deployments::Deployments;
use crate::failure::{Failure, Result};

/// What a giver has: the fields of its key, with those of the key's budget, and when it ends.
pub(crate) struct Giver<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) deployments: &'a dyn Deployments,
    pub(crate) fields: &'a Map<String, Value>,
    pub(crate) expires_at: Option<SystemTime>,
}

/// Amounts that must not be greater.
const AMOUNTS: [&str; 5] = ["max_budget", "tpm_limit", "rpm_limit", "tpd_limit", "max_parallel_requests"];

/// Amounts by model that must not be greater, and lists of windows that must stay.
const BY_MODEL: [&str; 4] = ["model_rpm_limit", "model_tpm_limit", "model_max_budget", "budget_limits"];

/// Stands for what the team has.
const OF_TEAM: &str = "all-team-models";

/// Stands for no model.
const NOTHING: &str = "no-default-models";

// === impl Giver ===

impl Giver<'_> {
    /// Fills in what was left open, and refuses what is more than the giver has.
    pub(crate) fn fit(&self, draft: &mut Draft) -> Result<()> {
        self.fit_models(draft)?;
        self.fit_routes(draft)?;
        self.fit_end(draft)?;
        for name in AMOUNTS {
            let Some(most) = self.fields.get(name).and_then(Value::as_f64) else { continue };
            match draft.fields.get(name).and_then(Value::as_f64) {
                Some(wished) if wished > most => return Err(exceeds(name)),
                Some(_) => {}
                None => {
                    draft.fields.insert(name.into(), self.fields[name].clone());
                }
            }
        }
        // A budget for a month under a budget for a day would be more each day.
        for name in ["budget_duration", "budget_reset_at"] {
            if let (Some(value), true) = (self.fields.get(name), self.fields.contains_key("max_budget")) {
                draft.fields.insert(name.into(), value.clone());
            }
        }
        BY_MODEL.into_iter().try_for_each(|name| self.fit_by_model(draft, name))
    }

    fn fit_models(&self, draft: &mut Draft) -> Result<()> {
        let own = self.fields.get("models").and_then(Value::as_array).filter(|list| !list.is_empty());
        let wished = draft.fields.get("models").and_then(Value::as_array).filter(|list| !list.is_empty());
        match (wished, own) {
            (None, Some(own)) => {
                draft.fields.insert("models".into(), own.clone().into());
            }
            (None, None) => {}
            (Some(wished), _) => {
                let names = wished.iter().filter_map(Value::as_str);
                if let Some(name) = names.into_iter().find(|name| !self.may_give(name, own.is_some())) {
                    return Err(Failure::forbidden(&format!(
                        "your key may not use the model '{name}' itself"
                    )));
                }
            }
        }
        // An alias is resolved before models are looked at, so it opens nothing.
        Ok(())
    }

    /// Whether a name in a list of models opens nothing that the giver may not use.
    fn may_give(&self, name: &str, has_own: bool) -> bool {
        match name {
            NOTHING => true,
            OF_TEAM if !has_own => true,
            group if self.deployments.has_access_group(group) => self.caller.may_use_all_of(group),
            // What fits a pattern need not be in the access groups of what it is the name of.
            pattern if pattern.contains('*') => self.caller.may_use(pattern),
            model => self.deployments.permits(self.caller, model),
        }
    }

    fn fit_routes(&self, draft: &mut Draft) -> Result<()> {
        let list = |fields: &Map<String, Value>, name: &str| {
            fields.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        for name in ["allowed_routes", "allowed_ips"] {
            let own = list(self.fields, name);
            let wished = list(&draft.fields, name);
            if own.is_empty() {
                continue;
            }
            if wished.iter().any(|route| !own.contains(route)) {
                return Err(exceeds(name));
            }
            if wished.is_empty() {
                draft.fields.insert(name.into(), own.into());
            }
        }
        Ok(())
    }

    fn fit_end(&self, draft: &mut Draft) -> Result<()> {
        match (self.expires_at, draft.expires_at) {
            (Some(end), Some(wished)) if wished > end => return Err(exceeds("duration")),
            (Some(end), None) => draft.expires_at = Some(end),
            _ => {}
        }
        Ok(())
    }

    fn fit_by_model(&self, draft: &mut Draft, name: &str) -> Result<()> {
        let inside =
            |fields: &Map<String, Value>| fields.get("metadata").and_then(|all| all.get(name)).cloned();
        let Some(own) = self.fields.get(name).cloned().or_else(|| inside(self.fields)) else { return Ok(()) };
        let wished = draft.fields.get(name).cloned().or_else(|| inside(&draft.fields));
        let kept = match (own, wished) {
            (own, None) => own,
            (Value::Object(own), Some(Value::Object(mut wished))) => {
                for (model, most) in own {
                    let said = wished.entry(model).or_insert_with(|| most.clone());
                    let less = said.as_f64().zip(most.as_f64()).is_some_and(|(said, most)| said <= most);
                    if *said != most && !less {
                        return Err(exceeds(name));
                    }
                }
                wished.into()
            }
            (own, Some(wished)) if own == wished => own,
            _ => return Err(exceeds(name)),
        };
        let inner = matches!(name, "model_rpm_limit" | "model_tpm_limit");
        match draft.fields.entry("metadata").or_insert_with(|| json!({})) {
            Value::Object(metadata) if inner => metadata.insert(name.into(), kept),
            _ => draft.fields.insert(name.into(), kept),
        };
        Ok(())
    }
}

/// A new key: 16 random bytes, so nobody finds one by trying.
pub(crate) fn fresh() -> String {
    use base64::Engine;
    let bytes: [u8; 16] = rand::random();
    format!("sk-{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

/// What people are shown of a key.
pub(crate) fn name(key: &str) -> String {
    let end: String = key.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
    format!("sk-...{end}")
}

/// The id of a key, which may be given itself or by its hash.
pub(crate) fn hash(key: &str) -> Arc<str> {
    match KeyHash::parse(key) {
        Some(_) => key.to_ascii_lowercase().into(),
        None => KeyHash::of(key).to_string().into(),
    }
}

fn exceeds(name: &str) -> Failure {
    Failure::forbidden(&format!("{name} must not be more than your own key has"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::deployments::{Change, Configured, Deployed, Waiting};

    /// Models of their names, and `c` in the access group `beta`.
    struct Grouped;

    impl Deployments for Grouped {
        fn are_stored(&self) -> bool {
            false
        }

        fn check<'a>(&'a self, _: &'a [Change]) -> Waiting<'a, std::result::Result<(), String>> {
            Box::pin(std::future::ready(Ok(())))
        }

        fn find(&self, _: &str) -> Option<Deployed> {
            None
        }

        fn permits(&self, caller: &Caller, model: &str) -> bool {
            let beta = ["beta".into()];
            caller.may_use_of(model, if model == "c" { &beta } else { &[] })
        }

        fn has_access_group(&self, name: &str) -> bool {
            name == "beta"
        }

        fn credentials(&self) -> Vec<Configured> {
            Vec::new()
        }
    }

    #[test]
    fn an_access_group_is_given_by_whoever_has_it_and_its_models_one_by_one() {
        let nothing = Map::new();
        for (own, wished, fits) in [
            (vec!["beta"], "beta", true),
            (vec!["beta"], "c", true),
            (vec!["beta"], "d", false),
            (vec!["beta"], "no-default-models", true),
            (vec!["c"], "beta", false),
            (vec!["be*"], "beta", false),
            (vec!["be*"], "best", true),
            (vec!["beta"], "c*", false),
            (vec!["beta"], "all-proxy-models", false),
        ] {
            let models = vec![own.iter().map(|name| Arc::from(*name)).collect()];
            let caller = Caller { models, ..Caller::new("k") };
            let giver = Giver { caller: &caller, deployments: &Grouped, fields: &nothing, expires_at: None };
            assert_eq!(giver.may_give(wished, true), fits, "{own:?} {wished}");
        }
    }

    #[test]
    fn a_key_gets_at_most_what_its_giver_has() {
        let caller = Caller { models: vec![vec!["a".into(), "b".into()]], ..Caller::new("k") };
        let own = json!({
            "models": ["a", "b"], "max_budget": 5.0, "budget_duration": "1d", "rpm_limit": 10,
            "allowed_routes": ["llm_api_routes", "/key/generate"], "metadata": {"model_rpm_limit": {"a": 3}},
        });
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        let own = own.as_object().unwrap();
        let giver = Giver { caller: &caller, deployments: &Grouped, fields: own, expires_at: Some(end) };
        for (wished, fits) in [
            (json!({}), true),
            (json!({"models": ["b"], "max_budget": 4.0}), true),
            (json!({"models": ["c"]}), false),
            (json!({"models": ["all-proxy-models"]}), false),
            (json!({"models": ["all-team-models"]}), false),
            (json!({"models": ["*"]}), false),
            (json!({"max_budget": 5.5}), false),
            (json!({"rpm_limit": 11}), false),
            (json!({"allowed_routes": ["/key/delete"]}), false),
            (json!({"metadata": {"model_rpm_limit": {"a": 4}}}), false),
            (json!({"metadata": {"model_rpm_limit": {"a": 2, "b": 9}}}), true),
        ] {
            let fields = wished.as_object().cloned().unwrap();
            let mut draft = Draft { fields, ..Draft::default() };
            assert_eq!(giver.fit(&mut draft).is_ok(), fits, "{wished}");
            if wished == json!({}) {
                assert_eq!(draft.expires_at, Some(end));
                for name in
                    ["models", "max_budget", "rpm_limit", "allowed_routes", "metadata", "budget_duration"]
                {
                    assert_eq!(draft.fields.get(name), own.get(name), "{name} is the giver's");
                }
            }
        }
        let mut late = Draft { expires_at: Some(end + Duration::from_secs(1)), ..Draft::default() };
        assert!(giver.fit(&mut late).is_err(), "it would outlive its giver");
    }

    #[test]
    fn keys_are_long_different_and_shown_by_their_end() {
        let (one, other) = (fresh(), fresh());
        assert_eq!((one.len(), one == other), (25, false));
        assert_eq!(name("sk-abcd1tsQ"), "sk-...1tsQ");
        assert_eq!(hash("sk-1234"), hash(&hash("sk-1234")), "a hash stands for itself");
    }
}
