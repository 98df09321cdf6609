//! A request for an upstream.

use bytes::Bytes;
use gatewright_core::chat::{Chat, Effort, Output, Reasoning, Sampling, Tool, ToolChoice};
use gatewright_core::{Losses, ModelFacts, ReasoningControl};
use serde_json::{Map, Value, json};

use super::mark;
use super::message::{Messages, is_custom, takes_marks};
use crate::json::object;
use crate::openai::relay::cap_field;
use crate::sampling::numbers;

/// Fields of other dialects that this one has no place for.
const FOREIGN: &[&str] = &[
    "context_management",
    "mcp_servers",
    "container",
    "betas",
    "anthropic_beta",
    "anthropic_version",
    "output_config",
    "output_format",
    "system",
    "cache_control",
    "inference_geo",
    "speed",
    "stop_sequences",
    "generationConfig",
    "toolConfig",
    "safetySettings",
    "cachedContent",
    "citation_options",
    "priority",
    "raw_prompting",
    "safety_mode",
    "keep_alive",
    "options",
    "shift",
    "truncate",
    "max_tool_calls",
    "truncation",
    "suffix",
    "best_of",
];

/// Tools that OpenAI runs in its Responses API alone.
const HOSTED_ELSEWHERE: &[&str] = &[
    "file_search",
    "code_interpreter",
    "computer",
    "computer_use_preview",
    "image_generation",
    "local_shell",
    "shell",
    "apply_patch",
    "mcp",
    "tool_search",
    "namespace",
];

/// Budgets up to which thinking counts as minimal, low and medium.
const BUDGETS: [(u64, Effort); 3] = [(1023, Effort::Minimal), (4095, Effort::Low), (9999, Effort::Medium)];

/// Writes a request.
pub(in crate::openai) fn write(chat: &Chat, model: &ModelFacts, losses: &mut Losses) -> Bytes {
    let mut body = Map::new();
    body.insert("model".into(), (&*model.name).into());
    body.insert("messages".into(), Messages::new(&chat.tools, model, losses).write(&chat.turns).into());
    write_tools(chat, model, &mut body, losses);
    write_output(&chat.output, &mut body);
    if let Some(reasoning) = &chat.reasoning {
        write_reasoning(reasoning, model, &mut body, losses);
    }
    write_sampling(&chat.sampling, &mut body);
    write_limits(chat, model, &mut body);
    let mut put = |key: &str, value: Option<Value>| body.extend(value.map(|value| (key.to_owned(), value)));
    put("n", chat.n.map(Value::from));
    put("user", chat.user.as_deref().map(Value::from));
    put("service_tier", chat.service_tier.as_deref().map(Value::from));
    write_stream(chat, &mut body);
    for (key, value) in &chat.extra {
        if FOREIGN.contains(&key.as_str()) {
            losses.add(key.clone());
        } else {
            body.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    object(&body)
}

fn write_tools(chat: &Chat, model: &ModelFacts, body: &mut Map<String, Value>, losses: &mut Losses) {
    let marks = takes_marks(model);
    let tools: Vec<Value> =
        chat.tools.iter().filter_map(|tool| write_tool(tool, marks, body, losses)).collect();
    if tools.is_empty() {
        // A choice among no tools is refused by OpenAI.
        losses.add_if(chat.tool_choice.is_some() && !chat.tools.is_empty(), "tool_choice");
        return;
    }
    body.insert("tools".into(), tools.into());
    let choice = chat.tool_choice.as_ref().map(|choice| write_choice(choice, &chat.tools));
    body.extend(choice.map(|choice| ("tool_choice".to_owned(), choice)));
    body.extend(chat.parallel_tool_calls.map(|many| ("parallel_tool_calls".to_owned(), many.into())));
}

fn write_tool(tool: &Tool, marks: bool, body: &mut Map<String, Value>, losses: &mut Losses) -> Option<Value> {
    let (name, description, parameters, strict, cache, extra) = match tool {
        Tool::Function { name, description, parameters, strict, cache, extra } => {
            (name, description, parameters, strict, cache, extra)
        }
        Tool::Hosted(value) => return hosted(value, body, losses),
    };
    let mut function = Map::new();
    function.insert("name".into(), name.as_str().into());
    function.extend(description.as_deref().map(|text| ("description".to_owned(), text.into())));
    function.extend(parameters.clone().map(|schema| ("parameters".to_owned(), schema)));
    function.extend(strict.map(|strict| ("strict".to_owned(), strict.into())));
    let mut wire = Map::new();
    wire.insert("type".into(), "function".into());
    wire.insert("function".into(), Value::Object(function));
    losses.add_if(cache.is_some() && !marks, "tools.cache_control");
    if let Some(cache) = cache.filter(|_| marks) {
        wire.insert("cache_control".into(), mark(cache));
    }
    for key in extra.keys() {
        losses.add(format!("tools.{key}"));
    }
    Some(Value::Object(wire))
}

/// Tools that a provider runs: of Anthropic's, most of which carry a date in their type, only the search of the web has
/// a counterpart here.
fn hosted(value: &Value, body: &mut Map<String, Value>, losses: &mut Losses) -> Option<Value> {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    let dated = kind
        .rsplit_once('_')
        .is_some_and(|(_, date)| date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()));
    let foreign = dated || kind == "mcp_toolset" || kind.starts_with("tool_search_tool_");
    if !foreign && !HOSTED_ELSEWHERE.contains(&kind) {
        return Some(value.clone());
    }
    if kind.starts_with("web_search_") {
        body.insert("web_search_options".into(), search_options(value, losses));
    } else {
        losses.add(format!("tools.{kind}"));
    }
    None
}

/// Where the user is; the dialect has no word for what else Anthropic's search can be told.
fn search_options(tool: &Value, losses: &mut Losses) -> Value {
    for key in ["allowed_domains", "blocked_domains", "max_uses", "cache_control"] {
        if tool.get(key).is_some_and(|value| !value.is_null()) {
            losses.add(format!("tools.web_search.{key}"));
        }
    }
    let mut options = Map::new();
    if let Some(Value::Object(place)) = tool.get("user_location") {
        let mut place = place.clone();
        place.shift_remove("type");
        place.retain(|_, value| !value.is_null());
        options.insert("user_location".into(), json!({"type": "approximate", "approximate": place}));
    }
    Value::Object(options)
}

fn write_choice(choice: &ToolChoice, tools: &[Tool]) -> Value {
    let named = |name: &String| match is_custom(tools, name) {
        true => json!({"type": "custom", "custom": {"name": name}}),
        false => json!({"type": "function", "function": {"name": name}}),
    };
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Function(name) => named(name),
        ToolChoice::Allowed { names, required } => {
            let mode = if *required { "required" } else { "auto" };
            let tools: Vec<Value> = names.iter().map(named).collect();
            json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}})
        }
    }
}

fn write_output(output: &Output, body: &mut Map<String, Value>) {
    let format = match output {
        Output::Text => return,
        Output::JsonObject => json!({"type": "json_object"}),
        Output::JsonSchema { name, description, schema, strict } => {
            let mut inner = Map::new();
            inner.insert("name".into(), if name.is_empty() { "answer" } else { name.as_str() }.into());
            inner.extend(description.as_deref().map(|text| ("description".to_owned(), text.into())));
            inner.insert("schema".into(), schema.clone());
            inner.extend(strict.map(|strict| ("strict".to_owned(), strict.into())));
            json!({"type": "json_schema", "json_schema": inner})
        }
    };
    body.insert("response_format".into(), format);
}

fn write_reasoning(
    wanted: &Reasoning,
    model: &ModelFacts,
    body: &mut Map<String, Value>,
    losses: &mut Losses,
) {
    if wanted.off {
        return;
    }
    if model.reasoning == ReasoningControl::None {
        losses.add("reasoning_effort");
        return;
    }
    losses.add_if(wanted.effort.is_none() && wanted.budget.is_some(), "thinking.budget_tokens");
    losses.add_if(wanted.display.is_some(), "thinking.display");
    // Adaptive thinking leaves the measure to the model, as a request without the field does.
    if let Some(effort) = effort(wanted) {
        body.insert("reasoning_effort".into(), effort.as_str().into());
    }
}

/// How much is to be thought, in words, where anything says it.
pub(in crate::openai) fn effort(wanted: &Reasoning) -> Option<Effort> {
    let of_budget = |budget: u64| {
        let fits = BUDGETS.iter().find(|(most, _)| budget <= *most);
        fits.map_or(Effort::High, |(_, effort)| *effort)
    };
    wanted.effort.or(wanted.budget.map(of_budget))
}

fn write_sampling(sampling: &Sampling, body: &mut Map<String, Value>) {
    let more = [
        ("logprobs", sampling.logprobs.map(Value::from)),
        ("top_logprobs", sampling.top_logprobs.map(Value::from)),
        ("logit_bias", sampling.logit_bias.clone()),
    ];
    let fields = numbers(sampling).into_iter().chain(more);
    body.extend(fields.filter_map(|(key, value)| Some((key.to_owned(), value?))));
}

fn write_limits(chat: &Chat, model: &ModelFacts, body: &mut Map<String, Value>) {
    if let Some(most) = chat.max_output {
        body.insert(cap_field(model).into(), most.into());
    }
    match chat.stop.as_slice() {
        [] => {}
        stop => drop(body.insert("stop".into(), stop.into())),
    }
}

/// Usage is always wanted of a stream, because it is metered.
fn write_stream(chat: &Chat, body: &mut Map<String, Value>) {
    if !chat.stream {
        return;
    }
    body.insert("stream".into(), true.into());
    let mut options = match chat.extra.get("stream_options") {
        Some(Value::Object(options)) => options.clone(),
        _ => Map::new(),
    };
    options.insert("include_usage".into(), true.into());
    body.insert("stream_options".into(), Value::Object(options));
}
