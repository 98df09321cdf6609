//! The models that the matrix asks: one or more of every row.

use std::fs;
use std::path::{Path, PathBuf};

use gatewright_catalogue::{Auth, Catalogue, ProviderRow, Quirk, StreamUsage};
use gatewright_core::Dialect;
use gatewright_tests::upstream::{Answer, Guise, Script, UNBILLED, Upstream, UsageForm, Used};
use http::Uri;
use serde_json::{Value, json};

/// The host of a provider that only the operator knows.
const SOMEWHERE: &str = "http://somewhere/v1";

/// The folders that hold all of what their dialect's providers are asked; the others hold what differs from that.
const WHOLE: [(Dialect, &str); 8] = [
    (Dialect::OpenAiChat, "compatible"),
    (Dialect::OpenAiCompletions, "text-completion-openai"),
    (Dialect::OpenAiResponses, "openai"),
    (Dialect::AnthropicMessages, "anthropic"),
    (Dialect::Gemini, "gemini"),
    (Dialect::BedrockConverse, "bedrock"),
    (Dialect::CohereChat, "cohere"),
    (Dialect::OllamaChat, "ollama_chat"),
];

/// One model of one row.
pub struct Seat {
    pub row: &'static ProviderRow,
    /// Its name behind the provider's.
    pub model: String,
    /// The operations that it is asked for; all where none is named, and none that stands behind a `-`.
    operations: Vec<String>,
    first: bool,
}

// === impl Seat ===

impl Seat {
    /// Those of every row. Endpoints of which no more is known than their dialect share a folder.
    pub fn all() -> Vec<Self> {
        Catalogue::builtin().providers().iter().flat_map(Self::of).collect()
    }

    fn of(row: &'static ProviderRow) -> Vec<Self> {
        let lines = read(&folder(row).join("models"));
        let seat = |(at, line): (usize, &str)| {
            let mut words = line.split(' ').map(str::to_owned);
            let model = words.next().unwrap_or_default();
            Self { row, model, operations: words.collect(), first: at == 0 }
        };
        lines.lines().enumerate().map(seat).collect()
    }

    /// The name that the provider knows it by.
    pub fn bare(&self) -> &str {
        let bare = self.row.bare(&self.model);
        bare.strip_prefix("invoke/").unwrap_or(bare)
    }

    /// The group that clients ask.
    pub fn name(&self) -> String {
        format!("{}/{}", self.row.id, self.model)
    }

    /// The same with prices by the unit.
    pub fn by_unit(&self) -> String {
        format!("{} by unit", self.name())
    }

    pub fn is_asked_for(&self, operation: &str) -> bool {
        let (none, only): (Vec<&String>, Vec<&String>) =
            self.operations.iter().partition(|word| word.starts_with('-'));
        let names = |words: &[&String]| words.iter().any(|word| word.trim_start_matches('-') == operation);
        !names(&none) && (only.is_empty() || names(&only))
    }

    pub fn dialect(&self) -> Dialect {
        self.row.dialect_of(&self.model)
    }

    /// Whether its file holds all that its dialect's providers are asked.
    pub fn is_whole(&self) -> bool {
        let folder = folder(self.row);
        self.first_of_its_dialect()
            && WHOLE.contains(&(self.dialect(), &folder.file_name().unwrap().to_string_lossy()))
    }

    fn first_of_its_dialect(&self) -> bool {
        let same = |seat: &Self| seat.dialect() == self.dialect();
        Self::of(self.row).iter().find(|seat| same(seat)).is_some_and(|seat| seat.model == self.model)
    }

    /// The file of what it is asked.
    pub fn file(&self) -> PathBuf {
        let name = match self.first {
            true => "out.json".to_owned(),
            false => format!("out.{}.json", self.model.replace(['/', ':'], "_")),
        };
        folder(self.row).join(name)
    }

    /// Two deployments whose address is the row's own on the fake provider's host.
    pub fn deployments(&self, upstream: &Upstream) -> String {
        let path = self.base().path().trim_end_matches('/').to_owned();
        let mut params = json!({
            "model": self.name(), "api_base": format!("{}{path}", upstream.base()), "api_key": "sk-fake",
        });
        let row = self.row;
        if matches!(row.auth, Auth::Aws(_)) {
            // Some of its models take no key.
            params["aws_access_key_id"] = json!("AKIDTEST");
            params["aws_secret_access_key"] = json!("s3cret");
        }
        // What nobody says by default is said by its own name.
        let paths = || row.paths.values().chain(row.models.iter().flat_map(|models| models.paths.values()));
        let used = |name: &str| paths().any(|path| path.contains(&format!("{{{name}}}")));
        let unsaid = row.variables.iter().filter(|(name, variable)| variable.default.is_none() && used(name));
        for (name, _) in unsaid {
            params[name] = json!(name);
        }
        // What its folder says besides; `null` says nothing.
        if let Ok(more) = fs::read_to_string(folder(row).join("params.json")) {
            let more: Value = serde_json::from_str(&more.replace("{upstream}", &upstream.base())).unwrap();
            params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
        let priced = |name: String, prices: Value| {
            let mut params = params.clone();
            params.as_object_mut().unwrap().extend(prices.as_object().unwrap().clone());
            format!("  - {}\n", json!({"model_name": name, "litellm_params": params}))
        };
        let tokens = json!({
            "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6,
            "cache_read_input_token_cost": 5e-7, "cache_creation_input_token_cost": 1.25e-6,
        });
        let units = json!({
            "input_cost_per_query": 0.001, "output_cost_per_image": 0.02, "input_cost_per_character": 1e-5,
            "input_cost_per_second": 1e-4,
        });
        priced(self.name(), tokens) + &priced(self.by_unit(), units)
    }

    /// What this usage costs by the token, in nano-dollars.
    pub fn cost(&self, used: &Used) -> u64 {
        let free = if self.dialect() == Dialect::CohereChat { UNBILLED } else { 0 };
        let plain = used.input - used.cached - used.cache_write - free;
        plain * 1000 + used.cached * 500 + used.cache_write * 1250 + used.output * 2000
    }

    /// The clothes that its provider puts around OpenAI's dialect.
    pub fn guise(&self) -> Option<Guise> {
        Some(match &*self.row.id {
            "gigachat" => Guise::GigaChat,
            "replicate" => Guise::Replicate,
            "sagemaker" => Guise::Tgi,
            "sagemaker_chat" | "sagemaker_nova" => Guise::Sagemaker,
            "sap" => Guise::Sap,
            "text-completion-codestral" => Guise::Fim,
            "watsonx" => Guise::Watsonx,
            _ => return None,
        })
    }

    /// Whether its provider tells what a whole answer, or a stream, used.
    pub fn tells_usage(&self, stream: bool) -> bool {
        let in_streams = self.row.stream_usage() != StreamUsage::Never;
        !matches!(self.guise(), Some(Guise::Tgi | Guise::Replicate)) && (in_streams || !stream)
    }

    /// The usage as this provider tells it.
    pub fn tells(&self, used: Used) -> Used {
        match self.row.quirks.contains(&Quirk::ReasoningBesideOutput) {
            true => Used { output: used.output - used.reasoning, ..used },
            false => used,
        }
    }

    /// The answer as this provider writes it, where its row says that it differs.
    pub fn writes(&self, mut script: Script) -> Script {
        if let Answer::Said(said) = &mut script.answer {
            said.used = self.tells(said.used);
        }
        script.guise = self.guise();
        script.usage = match self.row.stream_usage() {
            StreamUsage::Ask => UsageForm::Asked,
            StreamUsage::Always => UsageForm::Always,
            StreamUsage::Never => UsageForm::Never,
        };
        for quirk in self.row.quirks_for(&self.model, None) {
            if let Quirk::ReasoningField(field) = quirk {
                script.reasoning_field.clone_from(field);
            }
        }
        script
    }

    /// The address of the row, with a name for every value that a deployment gives.
    pub fn base(&self) -> Uri {
        let template = self.row.base_of(&self.model).unwrap_or(SOMEWHERE);
        template.replace('{', "the-").replace(['}', '_'], "").parse().unwrap()
    }
}

/// The file of all that the providers of a dialect are asked.
pub fn whole_of(dialect: Dialect) -> PathBuf {
    let seats = Seat::all();
    seats
        .iter()
        .find(|seat| seat.dialect() == dialect && seat.is_whole())
        .expect("every dialect has one")
        .file()
}

/// The folder of a row.
pub fn folder(row: &ProviderRow) -> PathBuf {
    let plain = row.models.is_empty() && row.paths.is_empty() && row.ranking.is_none();
    let alike = plain && row.quirks == Catalogue::builtin().compatible();
    folders().join(if alike { "compatible" } else { &row.id })
}

/// The folder of folders.
pub fn folders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/providers")
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}
