//! What a client asks of the gateway itself: fields and headers that are lifted out of a request.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{Codec, Controls, Detour, Dialect, Error, ErrorKind, Json, Result};
use http::HeaderMap;
use serde_json::Value;

use crate::{Settings, cache_wishes};

/// What happens to a top-level field of a body.
enum Field {
    /// It is the provider's business.
    Pass,
    /// It is lifted into the controls.
    Lift,
    /// It would let a body choose host, headers or credentials: it is taken out, and the client is told.
    Forbidden,
    /// It is LiteLLM's own and means nothing here: it is taken out.
    Own,
    /// It is only for tests of LiteLLM's: the request is refused.
    Refused,
}

/// How many fields a client's list may name: each is looked for in the body.
const MOST_NAMED: usize = 64;

/// How long an answer may be is what its budget holds: no client's list sends it past that.
const CAPS: [&str; 3] = ["max_tokens", "max_completion_tokens", "max_output_tokens"];

/// Lifts the controls out of `body`. Answers what was taken out against the client's expectation.
pub(crate) fn lift(
    body: &mut Json,
    headers: &HeaderMap,
    codec: &dyn Codec,
    settings: &Settings,
) -> Result<(Controls, Vec<Cow<'static, str>>)> {
    let dialect = codec.dialect();
    let mut controls = Controls::default();
    let mut told = Vec::new();
    // Gone before anything is foreseen from the body: what an answer may cost is held by what is left of it.
    let unwanted = named(body, "additional_drop_params")?;
    unwanted.iter().try_for_each(|path| body.omit(path))?;
    let taken: Vec<String> =
        body.keys().filter(|key| !matches!(field(key, dialect), Field::Pass)).map(Cow::into_owned).collect();
    // OpenAI keeps `metadata` with stored answers only; it is a note to the gateway always.
    let stored = dialect == Dialect::OpenAiChat && body.raw("store") == Some(b"true");
    for key in taken {
        match field(&key, dialect) {
            Field::Lift if key == "metadata" && stored => lift_field(&key, body, &mut controls, settings)?,
            Field::Lift => {
                lift_field(&key, body, &mut controls, settings)?;
                body.remove(&key);
            }
            Field::Forbidden => {
                body.remove(&key);
                told.push(Cow::Owned(key));
            }
            Field::Own => drop(body.remove(&key)),
            Field::Refused => {
                let words = format!("'{key}' is not accepted in a request");
                return Err(Error::new(ErrorKind::InvalidRequest, words).with_param(key));
            }
            Field::Pass => {}
        }
    }
    read_headers(headers, &mut controls, settings);
    cache_wishes::read_header(headers, &mut controls.cache);
    limit_tags(&mut controls.tags, settings.max_tags)?;
    if controls.end_user.is_none() {
        // What is no text is the provider's to refuse.
        controls.end_user = codec.end_user(body).filter(|name| !name.is_empty());
    }
    controls.include_usage = settings.always_usage;
    let may_ask = matches!(dialect, Dialect::OpenAiChat | Dialect::OpenAiCompletions);
    if may_ask && body.raw("stream_options").is_some() {
        let options: Option<Value> = body.get("stream_options")?;
        controls.include_usage |= options.is_some_and(|o| o.get("include_usage") == Some(&Value::Bool(true)));
    }
    Ok((controls, told))
}

/// Each tag is looked up, counted and booked, so there must not be any number of them. One that is named twice is one.
fn limit_tags(tags: &mut Vec<Arc<str>>, most: usize) -> Result<()> {
    let mut seen = HashSet::new();
    tags.retain(|tag| !tag.is_empty() && seen.insert(Arc::clone(tag)));
    if tags.len() <= most {
        return Ok(());
    }
    let words = format!("a call has at most {most} tags; this one has {}", tags.len());
    Err(Error::new(ErrorKind::InvalidRequest, words).with_param("tags"))
}

fn field(key: &str, dialect: Dialect) -> Field {
    match key {
        // An Anthropic request's `metadata` names the end user to the provider; a response's is kept with it.
        "metadata" if matches!(dialect, Dialect::AnthropicMessages | Dialect::OpenAiResponses) => Field::Pass,
        "metadata"
        | "litellm_metadata"
        | "tags"
        | "fallbacks"
        | "context_window_fallbacks"
        | "content_policy_fallbacks"
        | "priority"
        | "num_retries"
        | "timeout"
        | "stream_timeout"
        | "mock_response"
        | "disable_fallbacks"
        | "litellm_trace_id"
        | "litellm_session_id"
        | "drop_params"
        | "modify_params"
        | "allowed_openai_params"
        | "cache"
        | "no-log"
        | "additional_drop_params" => Field::Lift,
        "api_key"
        | "api_base"
        | "base_url"
        | "api_version"
        | "extra_headers"
        | "headers"
        | "extra_query"
        | "organization"
        | "custom_llm_provider"
        | "user_config"
        | "proxy_server_request"
        | "client"
        | "vertex_credentials"
        | "vertex_project"
        | "vertex_location"
        | "azure_ad_token" => Field::Forbidden,
        "caching"
        | "guardrails"
        | "disable_global_guardrails"
        | "policies"
        | "prompt_id"
        | "prompt_variables"
        | "prompt_label"
        | "prompt_version"
        | "cache_control_injection_points"
        | "max_retries"
        | "litellm_call_id"
        | "model_info" => Field::Own,
        // Who pays, where, and in which role.
        _ if key.starts_with("aws_") => Field::Forbidden,
        _ if key.starts_with("mock_testing_") || key == "mock_timeout" => Field::Refused,
        _ => Field::Pass,
    }
}

fn lift_field(key: &str, body: &Json, controls: &mut Controls, settings: &Settings) -> Result<()> {
    match key {
        "num_retries" => controls.num_retries = body.get::<u32>(key)?.map(|n| n.min(settings.max_retries)),
        "priority" => controls.priority = body.get(key)?,
        "timeout" => controls.timeout = body.get::<f64>(key)?.and_then(seconds),
        "stream_timeout" => controls.stream_timeout = body.get::<f64>(key)?.and_then(seconds),
        "disable_fallbacks" => controls.disable_fallbacks = body.flag(key)?,
        "fallbacks" => controls.fallbacks = fallbacks(&body.get::<Vec<Value>>(key)?.unwrap_or_default())?,
        "context_window_fallbacks" => controls.detours.extend(detours(body, key, ErrorKind::ContextWindow)?),
        "content_policy_fallbacks" => controls.detours.extend(detours(body, key, ErrorKind::ContentPolicy)?),
        "tags" => controls.tags.extend(body.get::<Vec<Arc<str>>>(key)?.unwrap_or_default()),
        "litellm_trace_id" => controls.trace_id = body.string(key)?.map(Into::into),
        // LiteLLM keeps both in one place: a session is a trace that many calls belong to.
        "litellm_session_id" if controls.trace_id.is_none() => {
            controls.trace_id = body.string(key)?.map(Into::into)
        }
        "mock_response" if settings.client_mock_response => {
            controls.mock_response = body.string(key)?.map(Into::into)
        }
        "cache" => cache_wishes::lift(body, controls)?,
        "drop_params" => controls.fields.drop_unknown = body.get(key)?,
        "modify_params" => controls.fields.repair = body.get(key)?,
        "allowed_openai_params" => {
            controls.fields.always_send = named(body, "allowed_openai_params")?;
            controls.fields.always_send.retain(|field| !CAPS.contains(&field.as_str()));
        }
        "no-log" => controls.record.skip = body.flag(key)?,
        "metadata" | "litellm_metadata" => {
            read_metadata(body.get::<Value>(key)?.unwrap_or_default(), controls)
        }
        _ => {}
    }
    Ok(())
}

/// The fields that a client's list names.
fn named(body: &Json, list: &'static str) -> Result<Vec<String>> {
    let fields: Vec<String> = body.get(list)?.unwrap_or_default();
    match fields.len() > MOST_NAMED {
        true => {
            let words = format!("'{list}' names at most {MOST_NAMED} fields");
            Err(Error::new(ErrorKind::InvalidRequest, words).with_param(list))
        }
        false => Ok(fields),
    }
}

/// LiteLLM takes names, and objects with the model and fields to change; the latter are refused, not half obeyed.
fn fallbacks(list: &[Value]) -> Result<Vec<Arc<str>>> {
    let wrong = || {
        Error::new(ErrorKind::InvalidRequest, "'fallbacks' must be a list of model names")
            .with_param("fallbacks")
    };
    let name = |value: &Value| match value {
        Value::String(name) => Some(Arc::from(name.as_str())),
        Value::Object(map) if map.len() == 1 => map.get("model").and_then(Value::as_str).map(Arc::from),
        _ => None,
    };
    list.iter().map(|value| name(value).ok_or_else(wrong)).collect()
}

/// `[{group: [name, …]}, …]` as in the configuration; plain names are for whatever group fails in this way.
fn detours(body: &Json, key: &str, kind: ErrorKind) -> Result<Vec<Detour>> {
    let wrong = || {
        let words = format!("'{key}' must be a list like [{{\"model\": [\"fallback\"]}}]");
        Error::new(ErrorKind::InvalidRequest, words).with_param(key.to_owned())
    };
    let detour = |group: &str, names: &Value| {
        let names = names.as_array().map_or(std::slice::from_ref(names), Vec::as_slice);
        let fallbacks = names.iter().map(|name| name.as_str().map(Arc::from)).collect::<Option<_>>()?;
        Some(Detour { kind, group: group.into(), fallbacks })
    };
    let mut found = Vec::new();
    for entry in body.get::<Vec<Value>>(key)?.unwrap_or_default() {
        match &entry {
            Value::String(_) => found.extend(detour("*", &entry)),
            Value::Object(map) => {
                for (group, names) in map {
                    found.push(detour(group, names).ok_or_else(wrong)?);
                }
            }
            _ => return Err(wrong()),
        }
    }
    match found.len() > MOST_NAMED {
        true => Err(wrong()),
        false => Ok(found),
    }
}

fn read_metadata(metadata: Value, controls: &mut Controls) {
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).map(Arc::from);
    if let Some(tags) = metadata.get("tags").and_then(Value::as_array) {
        controls.tags.extend(tags.iter().filter_map(Value::as_str).map(Arc::from));
    }
    controls.trace_id = text("trace_id").or(controls.trace_id.take()).or_else(|| text("session_id"));
    controls.end_user = text("user_api_key_end_user_id").or(controls.end_user.take());
    if metadata.as_object().is_some_and(|notes| !notes.is_empty()) {
        controls.record.metadata = Some(Arc::new(metadata));
    }
}

fn read_headers(headers: &HeaderMap, controls: &mut Controls, settings: &Settings) {
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("x-litellm-") else { continue };
        let Ok(value) = value.to_str() else { continue };
        match name {
            "timeout" => controls.timeout = value.parse().ok().and_then(seconds).or(controls.timeout),
            "stream-timeout" => {
                controls.stream_timeout = value.parse().ok().and_then(seconds).or(controls.stream_timeout)
            }
            "num-retries" => {
                let retries = value.parse().ok().map(|n: u32| n.min(settings.max_retries));
                controls.num_retries = retries.or(controls.num_retries);
            }
            "priority" => controls.priority = value.trim().parse().ok().or(controls.priority),
            "tags" => controls.tags.extend(value.split(',').map(|tag| Arc::from(tag.trim()))),
            "trace-id" => controls.trace_id = Some(value.into()),
            "session-id" if controls.trace_id.is_none() => controls.trace_id = Some(value.into()),
            "customer-id" | "end-user-id" => controls.end_user = Some(value.into()),
            "enable-message-redaction" => controls.record.redact = value.trim().eq_ignore_ascii_case("true"),
            "disable-callbacks" => {
                let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
                controls.record.without = names.take(MOST_NAMED).map(Arc::from).collect();
            }
            _ => {}
        }
    }
}

/// A positive number of seconds; anything else asks for nothing.
pub(crate) fn seconds(number: f64) -> Option<Duration> {
    (number > 0.0).then(|| Duration::try_from_secs_f64(number).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use gatewright_core::JsonLimits;

    use super::*;

    fn lifted(text: &str) -> (Json, Controls, Vec<Cow<'static, str>>) {
        let mut body = Json::parse(text.to_owned().into(), JsonLimits::default()).unwrap();
        let (controls, told) = lift(
            &mut body,
            &HeaderMap::new(),
            gatewright_dialects::of(Dialect::OpenAiChat),
            &Settings::default(),
        )
        .unwrap();
        (body, controls, told)
    }

    #[test]
    fn controls_leave_the_body_and_the_rest_stays() {
        let (body, controls, told) = lifted(
            r#"{"model":"m","num_retries":99,"timeout":2.5,"fallbacks":["a",{"model":"b"}],"metadata":{"tags":["t"]},"new":1.50}"#,
        );
        assert_eq!(body.to_bytes(), r#"{"model":"m","new":1.50}"#);
        assert_eq!(controls.num_retries, Some(10), "bounded by the setting");
        assert_eq!(controls.timeout, Some(Duration::from_millis(2500)));
        assert_eq!(controls.fallbacks, [Arc::from("a"), Arc::from("b")]);
        assert_eq!(controls.tags, [Arc::from("t")]);
        assert!(told.is_empty());
    }

    #[test]
    fn where_a_call_goes_after_some_failures_is_said_by_group_or_for_all() {
        let (body, controls, _) = lifted(
            r#"{"model":"m","context_window_fallbacks":[{"m":["a","b"]},{"n":"c"}],"content_policy_fallbacks":["d"]}"#,
        );
        assert_eq!(body.to_bytes(), r#"{"model":"m"}"#);
        let detour = |kind, group: &str, names: &[&str]| Detour {
            kind,
            group: group.into(),
            fallbacks: names.iter().map(|name| Arc::from(*name)).collect(),
        };
        let (long, unwanted) = (ErrorKind::ContextWindow, ErrorKind::ContentPolicy);
        let all = [detour(long, "m", &["a", "b"]), detour(long, "n", &["c"]), detour(unwanted, "*", &["d"])];
        let mut found = controls.detours;
        found.sort_by_key(|detour| detour.kind == unwanted);
        assert_eq!(found, all);
        for wrong in ["[3]", "[{\"m\":[3]}]", "{\"m\":[\"a\"]}"] {
            let text = format!(r#"{{"model":"m","context_window_fallbacks":{wrong}}}"#);
            let mut body = Json::parse(text.into(), JsonLimits::default()).unwrap();
            let codec = gatewright_dialects::of(Dialect::OpenAiChat);
            let lifted = lift(&mut body, &HeaderMap::new(), codec, &Settings::default());
            assert_eq!(lifted.err().map(|err| err.status().as_u16()), Some(400), "{wrong}");
        }
    }

    #[test]
    fn a_priority_stands_in_the_body_or_in_a_header_which_counts_more() {
        let (body, controls, _) = lifted(r#"{"model":"m","priority":-3}"#);
        assert_eq!((body.to_bytes(), controls.priority), (r#"{"model":"m"}"#.into(), Some(-3)));
        for (value, priority) in [("7", 7), ("soon", -3)] {
            let mut controls = controls.clone();
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static("x-litellm-priority"),
                http::HeaderValue::from_static(value),
            )]);
            read_headers(&headers, &mut controls, &Settings::default());
            assert_eq!(controls.priority, Some(priority), "{value}");
        }
    }

    #[test]
    fn a_client_says_what_becomes_of_its_fields() {
        let (body, controls, told) = lifted(
            r#"{"model":"m","b":1,"drop_params":false,"modify_params":true,"allowed_openai_params":["a","max_tokens"],"additional_drop_params":["b"]}"#,
        );
        assert_eq!((body.to_bytes(), told.len()), (r#"{"model":"m"}"#.into(), 0));
        let fields = controls.fields;
        assert_eq!((fields.drop_unknown, fields.repair), (Some(false), Some(true)));
        assert_eq!(fields.always_send, ["a"]);
    }

    #[test]
    fn a_body_cannot_choose_host_headers_or_credentials() {
        let (body, _, told) = lifted(
            r#"{"model":"m","api_base":"http://x","api_key":"k","extra_headers":{"authorization":"x"},"aws_role_name":"r"}"#,
        );
        assert_eq!(body.to_bytes(), r#"{"model":"m"}"#);
        assert_eq!(told, ["api_base", "api_key", "extra_headers", "aws_role_name"]);
    }

    #[test]
    fn the_end_user_is_whom_the_provider_is_told_unless_the_gateway_is_told_another() {
        let (body, controls, _) = lifted(r#"{"model":"m","user":"u"}"#);
        assert!(body.has("user"));
        assert_eq!(controls.end_user.as_deref(), Some("u"));
        let (_, controls, _) =
            lifted(r#"{"model":"m","user":"u","metadata":{"user_api_key_end_user_id":"v"}}"#);
        assert_eq!(controls.end_user.as_deref(), Some("v"));
        let (_, controls, _) = lifted(r#"{"model":"m","user":3}"#);
        assert_eq!(controls.end_user, None);
    }

    #[test]
    fn a_session_is_a_trace_unless_a_trace_is_named() {
        let trace = |text: &str| lifted(text).1.trace_id;
        assert_eq!(trace(r#"{"litellm_session_id":"s"}"#).as_deref(), Some("s"));
        assert_eq!(trace(r#"{"metadata":{"session_id":"s"}}"#).as_deref(), Some("s"));
        assert_eq!(trace(r#"{"metadata":{"session_id":"s","trace_id":"t"}}"#).as_deref(), Some("t"));
        assert_eq!(trace(r#"{"litellm_trace_id":"t","litellm_session_id":"s"}"#).as_deref(), Some("t"));
    }

    #[test]
    fn an_operator_may_show_usage_to_every_stream() {
        let mut body = Json::parse(r#"{"model":"m"}"#.to_owned().into(), JsonLimits::default()).unwrap();
        let settings = Settings { always_usage: true, ..Settings::default() };
        let (controls, _) =
            lift(&mut body, &HeaderMap::new(), gatewright_dialects::of(Dialect::OpenAiChat), &settings)
                .unwrap();
        assert!(controls.include_usage);
    }

    #[test]
    fn a_client_says_what_becomes_of_its_record() {
        let (body, controls, _) = lifted(r#"{"model":"m","no-log":true,"metadata":{"a":1}}"#);
        assert_eq!(body.to_bytes(), r#"{"model":"m"}"#);
        assert!(controls.record.skip);
        assert_eq!(controls.record.metadata.as_deref(), Some(&serde_json::json!({"a": 1})));
        let mut controls = controls;
        let header =
            |name, value| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value));
        let headers = HeaderMap::from_iter([
            header("x-litellm-enable-message-redaction", "True"),
            header("x-litellm-disable-callbacks", "langfuse, webhook,"),
        ]);
        read_headers(&headers, &mut controls, &Settings::default());
        assert!(controls.record.redact);
        assert_eq!(controls.record.without, [Arc::from("langfuse"), Arc::from("webhook")]);
    }

    #[test]
    fn stored_metadata_is_the_providers_too() {
        let (body, controls, _) = lifted(r#"{"model":"m","store":true,"metadata":{"a":"b"}}"#);
        assert!(body.has("metadata"));
        assert_eq!(controls.record.metadata.as_deref(), Some(&serde_json::json!({"a": "b"})), "and a note");
    }
}
