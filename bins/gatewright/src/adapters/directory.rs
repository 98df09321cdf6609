//! `/v1/models`, `/model/info` and `/model_group/info` from the routing table, the deployments and the catalogue.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use gatewright_catalogue::{Catalogue, ModelRow, Prices};
use gatewright_core::{Caller, ServedBy, shown_address};
use gatewright_gateway::{Described, Directory, ModelEntry};
use gatewright_routing::LiveTable;
use gatewright_sinks::Describe;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::config::Deployment;

/// The models that there are.
pub(crate) struct Models {
    table: LiveTable,
    known: ArcSwap<Known>,
    /// What the catalogue says of the models that answered, by deployment and model.
    listed: Mutex<Listed>,
    catalogue: &'static Catalogue,
}

/// What is said of a model, by the deployment that it is at and its name there.
type Listed = HashMap<(Arc<str>, Arc<str>), Option<Value>>;

/// The deployments; replaced whole when they change.
#[derive(Default)]
struct Known {
    by_id: HashMap<Arc<str>, Deployment>,
    /// Those in force.
    order: Vec<Arc<str>>,
}

/// Models of which it is kept what the catalogue says: clients name those of wildcards.
const MOST_LISTED: usize = 1000;

/// What a model is for, where a wildcard is expanded.
const CHAT: &str = "chat";

/// Abilities that are told of a group, whether its deployments have them or not.
const TOLD: [&str; 7] = [
    "parallel_function_calling",
    "vision",
    "web_search",
    "url_context",
    "reasoning",
    "function_calling",
    "fast_mode",
];

// === impl Models ===

impl Models {
    pub(crate) fn new(table: LiveTable, catalogue: &'static Catalogue) -> Self {
        Self { table, known: ArcSwap::default(), listed: Mutex::default(), catalogue }
    }

    /// Knows these from now on, of which the first ones are in force.
    pub(crate) fn replace(&self, deployments: &[Deployment], in_force: usize) {
        let by_id = deployments.iter().map(|d| (d.routing.id.clone(), d.clone())).collect();
        let order = deployments.iter().take(in_force).map(|d| d.routing.id.clone()).collect();
        self.known.store(Arc::new(Known { by_id, order }));
        self.anew();
    }

    /// What the catalogue says may be another thing from now on.
    pub(crate) fn anew(&self) {
        self.listed.lock().clear();
    }

    /// What a deployment shows its provider, in clear.
    pub(crate) fn credential_of(&self, id: &str) -> Map<String, Value> {
        let known = self.known.load();
        let Some(deployment) = known.by_id.get(id) else { return Map::new() };
        let params = &deployment.params;
        let key = params.api_key.as_ref().map(|key| ("api_key".to_owned(), key.reveal().into()));
        let base = params.api_base.as_ref().map(|base| ("api_base".to_owned(), base.as_str().into()));
        key.into_iter().chain(base).collect()
    }

    fn row(&self, team: Option<&str>, name: &str) -> Option<ModelRow> {
        let table = self.table.load();
        let route = table.resolve_for(team, name)?;
        let deployment = route.deployments().next()?;
        let label = route.model_for(deployment).unwrap_or_else(|| deployment.target.clone());
        let known = self.known.load();
        self.row_of(known.by_id.get(&deployment.id)?, &label)
    }

    fn row_of(&self, deployment: &Deployment, label: &str) -> Option<ModelRow> {
        let (provider, model) = self.catalogue.split(label, deployment.params.provider.as_deref()).ok()?;
        match &deployment.params.overrides.base_model {
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

    /// The public names, then those that only this team has.
    fn names(&self, team: Option<&str>) -> Vec<Arc<str>> {
        let table = self.table.load();
        let own = team.map(|team| table.names_of(team)).unwrap_or_default();
        let mut seen = HashSet::new();
        table.names().iter().chain(own).filter(|name| seen.insert(Arc::clone(name))).cloned().collect()
    }
}

impl Directory for Models {
    fn models(&self, team: Option<&str>) -> Vec<ModelEntry> {
        let mut names: Vec<String> = Vec::new();
        for name in self.names(team) {
            let more = if name.contains('*') { self.expanded(&name) } else { vec![name.to_string()] };
            names.extend(more);
        }
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names.into_iter().map(|name| entry(self.row(team, &name), name)).collect()
    }

    fn model(&self, team: Option<&str>, name: &str) -> Option<ModelEntry> {
        self.table.load().resolve_for(team, name)?;
        Some(entry(self.row(team, name), name.to_owned()))
    }

    fn access_groups(&self, team: Option<&str>) -> Vec<String> {
        self.table.load().access_groups(team).into_iter().map(ToString::to_string).collect()
    }

    fn permits(&self, caller: &Caller, name: &str) -> bool {
        self.table.load().permits(caller, name)
    }

    fn deployments(&self) -> Vec<Described> {
        let known = self.known.load();
        known.order.iter().filter_map(|id| known.by_id.get(id)).map(|d| self.described(d)).collect()
    }

    fn groups(&self, team: Option<&str>) -> Vec<Described> {
        let table = self.table.load();
        let described = |name: Arc<str>| {
            let route = table.resolve_for(team, &name)?;
            let known = self.known.load();
            let members: Vec<&Deployment> =
                route.deployments().filter_map(|deployment| known.by_id.get(&deployment.id)).collect();
            let facts = self.group(&name, &members);
            Some(Described { name: name.to_string(), team: team.map(str::to_owned), facts })
        };
        self.names(team).into_iter().filter_map(described).collect()
    }
}

impl Models {
    /// One deployment as LiteLLM describes it. Only what is listed here is shown: no credential can slip in.
    fn described(&self, deployment: &Deployment) -> Described {
        let routing = &deployment.routing;
        let mut params = Map::new();
        params.insert("model".into(), (&*routing.target).into());
        let mut known = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                params.insert(key.into(), value);
            }
        };
        known("api_base", deployment.params.api_base.as_deref().map(shown_address).map(Value::from));
        known("custom_llm_provider", deployment.params.provider.clone().map(Value::from));
        known("rpm", routing.rpm.map(Value::from));
        known("tpm", routing.tpm.map(Value::from));
        known("weight", routing.weight.map(Value::from));
        known("order", routing.order.map(Value::from));
        known("timeout", routing.timeout.map(|t| t.as_secs_f64().into()));
        let mut info = self.facts(deployment, &routing.target);
        info.extend(deployment.model_info.clone());
        info.insert("id".into(), (&*routing.id).into());
        info.insert("db_model".into(), deployment.stored.into());
        let facts = json!({"model_name": &*routing.group, "litellm_params": params, "model_info": info});
        Described { name: routing.group.to_string(), team: routing.team.as_deref().map(str::to_owned), facts }
    }

    /// What the catalogue says of the model that this is the name of, at a deployment.
    fn facts(&self, deployment: &Deployment, label: &str) -> Map<String, Value> {
        let Ok((provider, model)) = self.catalogue.split(label, deployment.params.provider.as_deref()) else {
            return Map::new();
        };
        let row = self.row_of(deployment, label);
        let other = row.as_ref().and_then(|row| serde_json::from_str(row.other.as_deref()?).ok());
        let mut facts: Map<String, Value> = other.unwrap_or_default();
        facts.insert("key".into(), model.into());
        facts.insert("litellm_provider".into(), provider.name().into());
        facts.insert("rpm".into(), deployment.routing.rpm.into());
        facts.insert("tpm".into(), deployment.routing.tpm.into());
        if let Some(row) = row {
            facts.insert("mode".into(), row.mode.into());
            facts.insert("max_tokens".into(), row.limits.max_output.or(row.limits.max_input).into());
            facts.insert("max_input_tokens".into(), row.limits.max_input.into());
            facts.insert("max_output_tokens".into(), row.limits.max_output.into());
            let can = row.supports.iter().map(|what| (what, true));
            for (what, can) in can.chain(row.supports_not.iter().map(|what| (what, false))) {
                facts.insert(format!("supports_{what}"), can.into());
            }
        }
        let prices = self.catalogue.prices(provider.name(), model, &deployment.params.overrides);
        for (name, price) in prices.fields() {
            facts.insert(name.into_owned(), dollars(price.0));
        }
        facts
    }

    /// A group as LiteLLM describes it: what any of its deployments takes, can, or costs at most.
    fn group(&self, name: &str, members: &[&Deployment]) -> Value {
        let rows: Vec<ModelRow> =
            members.iter().filter_map(|member| self.row_of(member, &member.routing.target)).collect();
        let providers: BTreeSet<&str> = members.iter().map(|member| &*member.routing.provider).collect();
        let most = |of: fn(&ModelRow) -> Option<u64>| rows.iter().filter_map(of).max();
        let sum = |of: fn(&Deployment) -> Option<u64>| {
            members.iter().filter_map(|member| of(member)).reduce(|a, b| a + b)
        };
        let dearest = |field: &str| {
            let prices = members.iter().filter_map(|member| self.prices(member));
            let found = prices.filter_map(|prices| {
                prices.fields().into_iter().find(|(name, _)| name == field).map(|(_, price)| price.0)
            });
            found.max().map(dollars)
        };
        let mut told = json!({
            "model_group": name,
            "providers": providers,
            "max_input_tokens": most(|row| row.limits.max_input),
            "max_output_tokens": most(|row| row.limits.max_output),
            "input_cost_per_token": dearest("input_cost_per_token"),
            "output_cost_per_token": dearest("output_cost_per_token"),
            "mode": rows.first().map(|row| &row.mode),
            "tpm": sum(|member| member.routing.tpm),
            "rpm": sum(|member| member.routing.rpm),
        });
        for what in TOLD {
            told[format!("supports_{what}")] = rows.iter().any(|row| row.supports(what) == Some(true)).into();
        }
        told
    }

    fn prices(&self, deployment: &Deployment) -> Option<Prices> {
        let label = &deployment.routing.target;
        let (provider, model) = self.catalogue.split(label, deployment.params.provider.as_deref()).ok()?;
        Some(self.catalogue.prices(provider.name(), model, &deployment.params.overrides))
    }
}

impl Describe for Models {
    fn model(&self, by: &ServedBy) -> Option<Value> {
        let name = (by.deployment.clone(), by.model.clone());
        let mut listed = self.listed.lock();
        if let Some(listed) = listed.get(&name) {
            return listed.clone();
        }
        // Under the lock: what was read of the catalogue before a change is not kept after it.
        let known = self.known.load();
        let deployment = known.by_id.get(&by.deployment)?;
        let facts = self.row_of(deployment, &by.model).map(|_| self.facts(deployment, &by.model));
        let facts = facts.map(Value::Object);
        if listed.len() < MOST_LISTED {
            listed.insert(name, facts.clone());
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
