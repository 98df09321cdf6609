//! `callbacks`, `success_callback` and `failure_callback`: where the records of calls go.

mod known;
mod settings;
mod target;

use std::time::Duration;

use gatewright_sinks::Pace;
use serde_json::{Map, Value};

use super::file::{self, Env};
use super::problem::Problems;
use super::read::Section;

pub use target::Target;

use known::{Kind, Name};
use target::Words;

/// Where records go, and how.
#[derive(Clone, Default)]
pub struct SinkSettings {
    /// The operator's sinks.
    pub sinks: Vec<SinkEntry>,
    /// How records are kept and sent, and what is left out of them.
    pub delivery: gatewright_sinks::Settings,
}

/// One of the operator's sinks.
#[derive(Clone)]
pub struct SinkEntry {
    /// What it is called.
    pub name: String,
    /// What and where it is.
    pub target: Target,
    /// Whether it gets calls that succeeded.
    pub success: bool,
    /// Whether it gets calls that failed.
    pub failure: bool,
    /// Whether it gets what was asked and answered.
    pub content: bool,
    /// How many records are sent together, and how long the first of them waits.
    pub pace: Pace,
}

/// The lists that name sinks, and which calls those get.
const LISTS: [(&str, bool, bool); 3] =
    [("callbacks", true, true), ("success_callback", true, false), ("failure_callback", false, true)];

/// What is said of sinks besides their names.
const SECTION: &str = "callback_settings";

/// Reads all of it.
pub(super) fn read(
    tree: &Map<String, Value>,
    (litellm, general): (&Section<'_>, &Section<'_>),
    env: Env<'_>,
    problems: &mut Problems,
) -> SinkSettings {
    let mut said = tree.get(SECTION).cloned().unwrap_or_default();
    file::resolve(&mut said, SECTION, env, problems);
    let empty = Map::new();
    let said = match &said {
        Value::Object(map) => map,
        Value::Null => &empty,
        _ => {
            problems.error(SECTION, "expected keys and values");
            &empty
        }
    };
    let said = Section::new(SECTION, said);
    let delivery = settings::delivery((litellm, general), problems);
    let named = named(litellm, &said, problems);
    let sinks = named.into_iter().filter_map(|named| entry(named, (litellm, &said), env, problems)).collect();
    SinkSettings { sinks, delivery }
}

/// A sink that some lists name.
struct Named {
    name: String,
    kind: Kind,
    success: bool,
    failure: bool,
}

fn named(litellm: &Section<'_>, said: &Section<'_>, problems: &mut Problems) -> Vec<Named> {
    let mut all: Vec<Named> = Vec::new();
    for (list, success, failure) in LISTS {
        for name in litellm.texts(list, problems) {
            let kind = match known::of(&name, said) {
                Name::Sink(kind) => kind,
                Name::Elsewhere => continue,
                Name::Unknown(why) => {
                    problems.warn(litellm.at(list), why);
                    continue;
                }
            };
            match all.iter_mut().find(|one| one.name == name) {
                Some(one) => {
                    one.success |= success;
                    one.failure |= failure;
                }
                None => all.push(Named { name, kind, success, failure }),
            }
        }
    }
    all
}

fn entry(
    named: Named,
    (litellm, said): (&Section<'_>, &Section<'_>),
    env: Env<'_>,
    problems: &mut Problems,
) -> Option<SinkEntry> {
    let Named { name, kind, mut success, mut failure } = named;
    let empty = Map::new();
    let own = match said.value(&name) {
        Some(Value::Object(map)) => map,
        Some(_) => return said.wrong(&name, "keys and values", problems),
        None => &empty,
    };
    let own = Section::new(said.at(&name), own);
    // LiteLLM's oldest place for it; what stands beside the name counts more.
    let shared = match (kind, litellm.value("s3_callback_params")) {
        (Kind::S3, Some(Value::Object(map))) => map,
        _ => &empty,
    };
    let shared = Section::new("litellm_settings.s3_callback_params", shared);
    let headers = match kind {
        Kind::Webhook => settings::headers(&own, litellm, env, problems),
        _ => Vec::new(),
    };
    let events = own.texts("event_types", problems);
    if !events.is_empty() {
        success &= events.iter().any(|event| event == "llm_api_success");
        failure &= events.iter().any(|event| event == "llm_api_failure");
    }
    let word = |word: &str| {
        let said = own.value(word).or_else(|| shared.value(word)).and_then(settings::plain);
        said.or_else(|| env(&word.to_ascii_uppercase()).filter(|text| !text.is_empty()))
    };
    let words = Words { word: &word, headers, env };
    let target = match Target::read(kind, &words) {
        Ok(target) => target,
        Err(why) => {
            problems.error(said.at(&name), why);
            return None;
        }
    };
    let defaults = settings::pace(kind, env, problems);
    let pace = Pace {
        batch: own.count("batch_size", problems).map_or(defaults.batch, settings::whole),
        every: own.deadline("flush_interval", problems).unwrap_or(defaults.every).max(LEAST_EVERY),
    };
    let redact = own.flag("turn_off_message_logging", problems).unwrap_or(false);
    let content = own.flag("message_logging", problems).unwrap_or(true) && !redact;
    Some(SinkEntry { name, target, success, failure, content, pace })
}

/// What waits less is work without end.
const LEAST_EVERY: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::super::{Config, Said};
    use super::*;

    fn load(text: &str, env: &[(&str, &str)]) -> Config {
        let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Config::load(&Said { text: Some(text), ..Said::default() }, &env)
    }

    fn told(config: &Config) -> Vec<String> {
        config.problems.iter().map(ToString::to_string).collect()
    }

    const LANGFUSE: [(&str, &str); 2] =
        [("LANGFUSE_PUBLIC_KEY", "pk-lf-1"), ("LANGFUSE_SECRET_KEY", "sk-lf-secret")];

    #[test]
    fn lists_say_who_gets_which_calls() {
        let config = load(
            "litellm_settings:\n  callbacks: [generic_api, prometheus, otel]\n  success_callback: [langfuse]\n  failure_callback: [langfuse, lunary]\n",
            &[
                LANGFUSE[0],
                LANGFUSE[1],
                ("LUNARY_PUBLIC_KEY", "k"),
                ("GENERIC_LOGGER_ENDPOINT", "https://x/y"),
            ],
        );
        assert_eq!(told(&config), [""; 0]);
        let all: Vec<_> = config
            .sinks
            .sinks
            .iter()
            .map(|one| (&*one.name, one.success, one.failure, one.content))
            .collect();
        assert_eq!(
            all,
            [
                ("generic_api", true, true, true),
                ("langfuse", true, true, true),
                ("lunary", false, true, true)
            ]
        );
        assert_eq!(config.sinks.sinks[0].pace, Pace::default());
    }

    #[test]
    fn a_sink_of_ones_own_name_is_what_its_settings_say() {
        let config = load(
            "litellm_settings:\n  callbacks: [mine]\n  turn_off_message_logging: true\n\
             callback_settings:\n  mine:\n    callback_type: generic_api\n    endpoint: https://x/y\n    headers: {Authorization: os.environ/TOKEN}\n    \
             event_types: [llm_api_failure]\n    log_format: ndjson\n    message_logging: false\n    batch_size: 7\n    flush_interval: 0.5\n",
            &[("TOKEN", "Bearer t"), ("GENERIC_LOGGER_HEADERS", "X-A=1, X-B=2=3")],
        );
        assert_eq!(told(&config), [""; 0]);
        let [mine] = &*config.sinks.sinks else { panic!("{}", config.sinks.sinks.len()) };
        assert_eq!((mine.success, mine.failure, mine.content), (false, true, false));
        assert_eq!(mine.pace, Pace { batch: 7, every: Duration::from_millis(500) });
        let Target::Webhook { headers, .. } = &mine.target else { panic!("no webhook") };
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
        assert_eq!(headers, [("X-A", "1"), ("X-B", "2=3"), ("Authorization", "Bearer t")]);
        assert!(config.sinks.delivery.privacy.redact);
    }

    #[test]
    fn what_is_not_built_in_or_wrong_is_told() {
        let config = load(
            "litellm_settings:\n  callbacks: [langfusee, datadog, custom_callbacks.proxy_handler_instance, langfuse, generic_api, nobody]\n\
             callback_settings: {generic_api: {endpoint: 'ftp://sk-in-it', log_format: xml}}\n",
            &[],
        );
        let told = told(&config);
        for want in [
            "did you mean `langfuse`",
            "`datadog`, which LiteLLM has, is not built in",
            "Python is not run",
            "callback_settings.langfuse: expected `langfuse_public_key`",
            "callback_settings.generic_api: `endpoint`: expected an http or https address",
            "there is no sink `nobody`",
        ] {
            assert!(told.iter().any(|line| line.contains(want)), "{want} is missing in {told:#?}");
        }
        assert!(!told.iter().any(|line| line.contains("sk-in-it")), "{told:#?}");
        assert!(config.sinks.sinks.is_empty());
    }

    #[test]
    fn an_object_store_is_where_litellms_parameters_say() {
        let config = load(
            "litellm_settings:\n  success_callback: [s3_v2]\n  s3_callback_params: {s3_bucket_name: logs, s3_region_name: us-west-2, \
             s3_aws_access_key_id: os.environ/ID, s3_aws_secret_access_key: secret, s3_path: a/b, s3_endpoint_url: 'http://minio:9000', s3_use_team_prefix: true}\n",
            &[("ID", "AKIA1")],
        );
        assert_eq!(told(&config), [""; 0]);
        let Target::S3 { settings, access } = &config.sinks.sinks[0].target else { panic!("no store") };
        assert_eq!((&*settings.bucket, &*settings.path, settings.team_prefix), ("logs", "a/b", true));
        assert_eq!(access.params["aws_access_key_id"].reveal(), "AKIA1");
        assert_eq!(config.sinks.sinks[0].pace.every, Duration::from_secs(10));
    }
}
