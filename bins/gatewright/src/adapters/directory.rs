//! `/v1/models` and `/model/info` from the routing table, the configuration and the catalogue.

use std::collections::HashMap;
use std::sync::Arc;

use gatewright_catalogue::{Catalogue, ModelRow};
use gatewright_gateway::{Directory, ModelEntry};
use gatewright_routing::LiveTable;
use serde_json::{Map, Value, json};

use crate::config::Deployment;

/// The models that there are.
pub(crate) struct Models {
    table: LiveTable,
    by_id: HashMap<Arc<str>, Deployment>,
    order: Vec<Arc<str>>,
    catalogue: &'static Catalogue,
}

/// What a model is for, where a wildcard is expanded.
const CHAT: &str = "chat";

// === impl Models ===

impl Models {
    pub(crate) fn new(table: LiveTable, deployments: &[Deployment], catalogue: &'static Catalogue) -> Self {
        let by_id = deployments.iter().map(|d| (d.routing.id.clone(), d.clone())).collect();
        let order = deployments.iter().map(|d| d.routing.id.clone()).collect();
        Self { table, by_id, order, catalogue }
    }

    fn row(&self, name: &str) -> Option<ModelRow> {
        let table = self.table.load();
        let route = table.resolve(name)?;
        let deployment = route.deployments().next()?;
        let label = route.model_for(deployment).unwrap_or_else(|| deployment.target.clone());
        let configured = self.by_id.get(&deployment.id)?;
        let overrides = &configured.params.overrides;
        let (provider, model) = self.catalogue.split(&label, configured.params.provider.as_deref()).ok()?;
        match &overrides.base_model {
            Some(base) => self.catalogue.base_model(provider.name(), base),
            None => self.catalogue.model(provider.name(), model),
        }
    }

    /// `openai/*` stands for all of OpenAI's models; other patterns are shown as they are.
    fn expanded(&self, pattern: &str) -> Vec<String> {
        let provider = pattern.strip_suffix("/*").and_then(|name| self.catalogue.provider(name));
        match provider {
            Some(row) => {
                let names = self.catalogue.models_of(&row.id, CHAT);
                names.into_iter().map(|name| format!("{}/{name}", row.id)).collect()
            }
            None => vec![pattern.to_owned()],
        }
    }
}

impl Directory for Models {
    fn models(&self) -> Vec<ModelEntry> {
        let table = self.table.load();
        let mut names: Vec<String> = Vec::new();
        for name in table.names() {
            let more = if name.contains('*') { self.expanded(name) } else { vec![name.to_string()] };
            names.extend(more);
        }
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names.into_iter().map(|name| entry(self.row(&name), name)).collect()
    }

    fn model(&self, name: &str) -> Option<ModelEntry> {
        self.table.load().resolve(name)?;
        Some(entry(self.row(name), name.to_owned()))
    }

    fn alias(&self, name: &str) -> Option<String> {
        self.table.load().alias(name).map(ToString::to_string)
    }

    fn deployments(&self) -> Vec<Value> {
        self.order.iter().filter_map(|id| self.by_id.get(id)).map(|d| self.described(d)).collect()
    }
}

impl Models {
    /// One deployment as LiteLLM describes it. Only what is listed here is shown: no credential can slip in.
    fn described(&self, deployment: &Deployment) -> Value {
        let routing = &deployment.routing;
        let mut params = Map::new();
        params.insert("model".into(), (&*routing.target).into());
        let mut known = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                params.insert(key.into(), value);
            }
        };
        known("api_base", deployment.params.api_base.clone().map(Value::from));
        known("rpm", routing.rpm.map(Value::from));
        known("tpm", routing.tpm.map(Value::from));
        known("weight", routing.weight.map(Value::from));
        known("order", routing.order.map(Value::from));
        known("timeout", routing.timeout.map(|t| t.as_secs_f64().into()));
        let mut info = self.facts(deployment);
        info.extend(deployment.model_info.clone());
        info.insert("id".into(), (&*routing.id).into());
        json!({"model_name": &*routing.group, "litellm_params": params, "model_info": info})
    }

    fn facts(&self, deployment: &Deployment) -> Map<String, Value> {
        let mut facts = Map::new();
        let target = &deployment.routing.target;
        let Ok((provider, model)) = self.catalogue.split(target, deployment.params.provider.as_deref())
        else {
            return facts;
        };
        facts.insert("litellm_provider".into(), provider.name().into());
        facts.insert("db_model".into(), false.into());
        if let Some(row) = self.catalogue.model(provider.name(), model) {
            facts.insert("mode".into(), row.mode.into());
            facts.insert("max_input_tokens".into(), row.limits.max_input.into());
            facts.insert("max_output_tokens".into(), row.limits.max_output.into());
        }
        let prices = self.catalogue.prices(provider.name(), model, &deployment.params.overrides);
        for (name, price) in prices.fields() {
            facts.insert(name.into_owned(), dollars(price.0));
        }
        facts
    }
}

/// A price in dollars for a reader; sums are never made of these.
#[expect(clippy::cast_precision_loss, reason = "a JSON number is a double, and this is the JSON border")]
fn dollars(femto: u64) -> Value {
    json!(femto as f64 / 1e15)
}

fn entry(row: Option<ModelRow>, name: String) -> ModelEntry {
    let Some(row) = row else { return ModelEntry { name, ..ModelEntry::default() } };
    ModelEntry {
        name,
        max_input_tokens: row.limits.max_input,
        max_output_tokens: row.limits.max_output,
        mode: Some(row.mode.to_string()),
    }
}
