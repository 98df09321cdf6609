//! What spans tell and where they go: the environment's variables, and what the file says besides.

use gatewright_telemetry::{Format, Otlp, Protocol, Settings};
use serde_json::{Map, Value};

use super::file::{self, Env};
use super::known;
use super::problem::Problems;
use super::read::Section;

/// The place of LiteLLM's settings of this callback.
const OTEL: &str = "callback_settings.otel";

/// Lists of callbacks; the one that is meant here may stand in any of them.
const LISTS: [&str; 3] = ["callbacks", "success_callback", "failure_callback"];

/// Logs and traces.
pub(super) fn settings(
    tree: &Map<String, Value>,
    litellm: &Section<'_>,
    env: Env<'_>,
    problems: &mut Problems,
) -> Settings {
    let mut settings = Settings::from_env(env).unwrap_or_else(|faults| {
        faults.iter().for_each(|fault| problems.error("environment", fault.to_string()));
        Settings::default()
    });
    if litellm.flag("json_logs", problems) == Some(true) {
        settings.logs.format = Format::Json;
    }
    let is_named = LISTS.iter().any(|list| names_otel(litellm.value(list)));
    if is_named && settings.traces.is_none() && env("OTEL_SDK_DISABLED").is_none() && !is_none(env) {
        // As in LiteLLM, whose spans are printed where nobody says where they go.
        settings.traces = Some(Otlp { protocol: Protocol::Console, ..Otlp::new(http::Uri::default()) });
        settings.propagate |= env("OTEL_PROPAGATORS").is_none();
    }
    let forward = litellm.flag("forward_traceparent_to_llm_provider", problems);
    settings.propagate = forward.unwrap_or(settings.propagate);
    if litellm.flag("redact_user_api_key_info", problems) == Some(true) {
        settings.detail.identities = false;
    }
    read_own(tree, env, &mut settings, problems);
    if litellm.flag("turn_off_message_logging", problems) == Some(true) {
        settings.detail.content = false;
    }
    settings
}

fn read_own(tree: &Map<String, Value>, env: Env<'_>, settings: &mut Settings, problems: &mut Problems) {
    let said = tree.get("callback_settings").and_then(|callbacks| callbacks.get("otel"));
    let mut said = match said {
        None | Some(Value::Null) => return,
        Some(Value::Object(said)) => said.clone(),
        Some(_) => return problems.error(OTEL, "expected keys and values"),
    };
    known::check(OTEL, OTEL, &said, problems);
    said.iter_mut().for_each(|(key, value)| file::resolve(value, &format!("{OTEL}.{key}"), env, problems));
    let (section, detail) = (Section::new(OTEL, &said), &mut settings.detail);
    detail.content = section.flag("message_logging", problems).unwrap_or(detail.content);
    if let Some(bytes) = section.count("max_message_bytes", problems) {
        detail.content_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    detail.open_inference = section.flag("openinference", problems).unwrap_or(false);
    detail.baggage = section.texts("baggage_attributes", problems).into_iter().map(Into::into).collect();
    if let (Some(otlp), Some(bytes)) = (&mut settings.traces, section.count("max_queue_bytes", problems)) {
        otlp.batch.queue_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
}

/// A list of names, or one name; what else stands in it is somebody else's.
fn names_otel(list: Option<&Value>) -> bool {
    match list {
        Some(Value::String(name)) => name == "otel",
        Some(Value::Array(names)) => names.iter().any(|name| name.as_str() == Some("otel")),
        _ => false,
    }
}

fn is_none(env: Env<'_>) -> bool {
    env("OTEL_TRACES_EXPORTER").is_some_and(|name| name.trim() == "none")
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Said};
    use super::*;

    fn load(text: &str, variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let config = Config::load(&Said { text: Some(text), ..Said::default() }, &|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        (config.telemetry, config.problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn content_is_told_only_where_it_is_switched_on_and_nobody_switches_it_off() {
        const CAPTURE: (&str, &str) = ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true");
        let on = "callback_settings: {otel: {message_logging: true}}\n";
        for (text, variables, content) in [
            ("", &[][..], false),
            (on, &[], true),
            ("", &[CAPTURE], true),
            ("callback_settings: {otel: {message_logging: false}}\n", &[CAPTURE], false),
            (&format!("{on}litellm_settings: {{turn_off_message_logging: true}}\n"), &[CAPTURE], false),
        ] {
            assert_eq!(load(text, variables).0.detail.content, content, "{text}");
        }
    }

    #[test]
    fn what_spans_tell_can_be_set() {
        let (settings, problems) = load(
            "callback_settings: {otel: {openinference: true, max_message_bytes: 9, baggage_attributes: [tenant], \
             max_queue_bytes: 1000}}\nlitellm_settings: {redact_user_api_key_info: true}\n",
            &[("OTEL_EXPORTER", "otlp_grpc")],
        );
        let detail = settings.detail;
        assert!(detail.open_inference && !detail.identities && problems.is_empty(), "{problems:?}");
        assert_eq!((detail.content_bytes, &*detail.baggage), (9, &["tenant".into()][..]));
        let otlp = settings.traces.unwrap();
        assert_eq!((otlp.protocol, otlp.batch.queue_bytes), (Protocol::Grpc, 1000));
        let (_, problems) = load("callback_settings: {otel: {mesage_logging: true}}\n", &[]);
        assert!(problems.iter().any(|told| told.contains("did you mean `message_logging`")), "{problems:?}");
    }

    #[test]
    fn a_callback_without_a_receiver_prints() {
        let protocol =
            |text: &str, variables: &[(&str, &str)]| load(text, variables).0.traces.map(|otlp| otlp.protocol);
        let callbacks = "litellm_settings: {callbacks: [otel]}\n";
        assert_eq!(protocol(callbacks, &[]), Some(Protocol::Console));
        assert_eq!(protocol("litellm_settings: {success_callback: otel}\n", &[]), Some(Protocol::Console));
        assert_eq!(protocol(callbacks, &[("OTEL_ENDPOINT", "http://c")]), Some(Protocol::Http));
        assert_eq!(protocol(callbacks, &[("OTEL_TRACES_EXPORTER", "none")]), None);
        assert_eq!(protocol("litellm_settings: {callbacks: [prometheus]}\n", &[]), None);
    }
}
