//! The cache of answers: LiteLLM's `cache` and `cache_params`, and what we add to them.

use std::sync::Arc;
use std::time::Duration;

use gatewright_cache::{Kind, Scope, Settings};
use serde_json::{Map, Value};

use super::file::Env;
use super::known;
use super::problem::{Problem, Problems};
use super::read::Section;
use super::redis::{RedisSettings, nested};
use super::settings::Sections;
use super::similar::{self, SimilarCache};

/// What answers are kept in, and what is kept.
#[derive(Clone)]
pub struct CacheSettings {
    /// What is kept, for how long, and who shares it.
    pub answers: Settings,
    /// The most bytes in memory.
    pub memory_bytes: u64,
    /// How long memory keeps what nobody says more of.
    pub memory_ttl: Duration,
    /// The Redis behind memory, where there is one.
    pub redis: Option<CacheRedis>,
    /// How questions are compared by what they mean, where they are.
    pub similar: Option<SimilarCache>,
}

/// A Redis that keeps answers.
#[derive(Clone, Debug)]
pub struct CacheRedis {
    /// Where it is.
    pub place: RedisSettings,
    /// How long it keeps what nobody says more of.
    pub ttl: Duration,
    /// How long a call waits for it.
    pub deadline: Duration,
    /// Whether memory stands in front of it.
    pub memory: bool,
}

/// Reads settings of the cache that are said while the gateway runs, as `cache_params` of the file are.
#[derive(Clone, Default)]
pub struct CacheReader {
    /// The other settings that they are read with.
    router: Map<String, Value>,
    litellm: Map<String, Value>,
    /// What the file and the environment say themselves, for who asks.
    configured: Map<String, Value>,
}

const MEMORY_BYTES: u64 = 256 << 20;

const TTL: Duration = Duration::from_secs(600);

/// Others may have forgotten an answer that is kept in front of Redis: for that long it is given all the same.
const FRONT_TTL: Duration = Duration::from_secs(60);

const DEADLINE: Duration = Duration::from_millis(75);

const PARAMS: &str = "cache_params";

/// What LiteLLM keeps answers in besides, and we do not.
const OTHERS: [&str; 4] = ["s3", "gcs", "azure-blob", "disk"];

/// What names a place of its own in `cache_params`.
const PLACES: [&str; 6] =
    ["url", "host", "redis_startup_nodes", "startup_nodes", "sentinel_nodes", "qdrant_api_base"];

/// What the environment says of a Redis: first where it is, then how it is entered.
const PLACES_OF_ENV: [(&str, &str); 4] = [
    ("url", "REDIS_URL"),
    ("host", "REDIS_HOST"),
    ("redis_startup_nodes", "REDIS_CLUSTER_NODES"),
    ("sentinel_nodes", "REDIS_SENTINEL_NODES"),
];
const ACCESS_OF_ENV: [(&str, &str); 7] = [
    ("port", "REDIS_PORT"),
    ("db", "REDIS_DB"),
    ("username", "REDIS_USERNAME"),
    ("password", "REDIS_PASSWORD"),
    ("ssl", "REDIS_SSL"),
    ("service_name", "REDIS_SERVICE_NAME"),
    ("sentinel_password", "REDIS_SENTINEL_PASSWORD"),
];

// === impl CacheReader ===

impl CacheReader {
    pub(super) fn new(router: &Map<String, Value>, litellm: &Map<String, Value>, env: Env<'_>) -> Self {
        let said = litellm.get(PARAMS).and_then(Value::as_object).cloned().unwrap_or_default();
        Self { router: router.clone(), litellm: litellm.clone(), configured: completed(said, env) }
    }

    /// The settings of the file, completed by the environment; secrets in clear.
    pub fn configured(&self) -> &Map<String, Value> {
        &self.configured
    }

    /// The names among these that no setting has.
    pub fn unknown(params: &Map<String, Value>) -> Vec<String> {
        params.keys().filter(|name| !known::knows(PARAMS, name)).cloned().collect()
    }

    /// The settings that `params` say, or in words why there are none such. What names a place of its own is entered with
    /// what it says itself: a password of the environment is sent only where the environment says.
    pub fn read(&self, params: &Map<String, Value>, env: Env<'_>) -> Result<CacheSettings, String> {
        let mut litellm = self.litellm.clone();
        litellm.insert("cache".into(), true.into());
        litellm.insert(PARAMS.into(), params.clone().into());
        let (mut router, general) = (self.router.clone(), Map::new());
        router.remove("cache_responses");
        let sections = Sections {
            router: Section::new("router_settings", &router),
            litellm: Section::new("litellm_settings", &litellm),
            general: Section::new("general_settings", &general),
        };
        let mut problems = Problems::default();
        let nothing = |_: &str| None;
        let own = PLACES.iter().any(|name| params.contains_key(*name));
        let read = sections.cache(true, if own { &nothing } else { env }, &mut problems);
        match (read, problems.are_fatal()) {
            (Some(settings), false) => Ok(settings),
            _ => Err(problems.errors().map(Problem::told).collect::<Vec<_>>().join("; ")),
        }
    }
}

/// What the environment says besides: how the Redis is entered, and where it is, if nobody says that before.
fn completed(mut said: Map<String, Value>, env: Env<'_>) -> Map<String, Value> {
    if !matches!(
        said.get("type").and_then(Value::as_str),
        None | Some("redis" | similar::REDIS | similar::VALKEY)
    ) {
        return said;
    }
    let text = |name: &str| env(name).filter(|value| !value.is_empty());
    let is_somewhere = |said: &Map<String, Value>| PLACES.iter().any(|name| said.contains_key(*name));
    if !is_somewhere(&said) {
        for (field, name) in PLACES_OF_ENV {
            let value = text(name).map(|text| match field {
                "url" | "host" => Value::String(text),
                _ => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            });
            said.extend(value.map(|value| (field.to_owned(), value)));
        }
    }
    if is_somewhere(&said) {
        said.entry("type").or_insert_with(|| "redis".into());
        for (field, name) in ACCESS_OF_ENV.into_iter().filter(|(_, name)| is_access(name, text(name))) {
            if let Some(value) = text(name) {
                said.entry(field).or_insert_with(|| value.into());
            }
        }
    }
    said
}

/// Kubernetes sets `REDIS_PORT` to an address for a service of that name.
fn is_access(name: &str, value: Option<String>) -> bool {
    name != "REDIS_PORT" || value.is_some_and(|port| port.parse::<u16>().is_ok())
}

impl Sections<'_> {
    /// Nothing where no answers are kept.
    pub(super) fn cache(
        &self,
        has_file: bool,
        env: Env<'_>,
        problems: &mut Problems,
    ) -> Option<CacheSettings> {
        let on = self.litellm.flag("cache", problems);
        let on = self.router.flag("cache_responses", problems).or(on);
        let params = nested(&self.litellm, PARAMS, problems);
        if on == Some(false) || (on.is_none() && has_file) {
            return None;
        }
        let empty = serde_json::Map::new();
        let said = params.is_some();
        let params = params.unwrap_or_else(|| Section::new(self.litellm.at(PARAMS), &empty));
        if let Some(Value::Object(map)) = self.litellm.value(PARAMS) {
            known::check(PARAMS, &self.litellm.at(PARAMS), map, problems);
        }
        let redis = self.cache_redis(&params, (on.is_some(), said), env, problems)?;
        let mut answers = self.answers(&params, problems);
        // Nobody asked for it: it answers whoever does.
        answers.default_on &= on.is_some();
        let seconds =
            |key: &str, problems: &mut Problems| params.seconds(key, problems).filter(|time| !time.is_zero());
        let memory_ttl = seconds("default_in_memory_ttl", problems);
        let redis_ttl = seconds("default_in_redis_ttl", problems);
        let memory_ttl = memory_ttl.or_else(|| self.litellm.deadline("default_in_memory_ttl", problems));
        let redis_ttl = redis_ttl.or_else(|| self.litellm.deadline("default_redis_ttl", problems));
        let usual = if redis.is_some() { FRONT_TTL } else { TTL };
        let most = params.count("max_bytes", problems).filter(|bytes| *bytes > 0);
        let most_entry = answers.max_entry_bytes;
        let similar = similar::read(&params, redis.as_ref(), most_entry, env, problems);
        let redis = redis.map(|place| CacheRedis {
            place,
            ttl: redis_ttl.unwrap_or(TTL),
            deadline: seconds("deadline", problems).unwrap_or(DEADLINE),
            memory: params.flag("memory_in_front", problems).unwrap_or(true),
        });
        Some(CacheSettings {
            answers,
            memory_bytes: most.unwrap_or(MEMORY_BYTES),
            memory_ttl: memory_ttl.unwrap_or(usual),
            redis,
            similar,
        })
    }

    /// The Redis that is named, or found; `None` inside where memory alone keeps answers, outside where nothing can.
    fn cache_redis(
        &self,
        params: &Section<'_>,
        (on, said): (bool, bool),
        env: Env<'_>,
        problems: &mut Problems,
    ) -> Option<Option<RedisSettings>> {
        let kind = params.text("type", problems);
        match kind.as_deref() {
            Some("local" | similar::LOCAL | similar::QDRANT) => Some(None),
            None if !on => Some(None),
            kind @ (None | Some("redis")) | kind @ Some(similar::REDIS | similar::VALKEY) => {
                let redis = self.redis_of(said.then_some(params), env, problems);
                if redis.is_none() && kind.is_some() {
                    let words = "no Redis is named: set `host` or `url` here, or REDIS_HOST or REDIS_URL";
                    problems.error(params.at("type"), words);
                } else if redis.is_none() {
                    let words = "no Redis is named here or in the environment, so each replica keeps answers in its own \
                        memory; `cache_params: {type: local}` says that this is meant";
                    problems.warn(self.litellm.at("cache"), words);
                }
                Some(redis)
            }
            Some(other) => {
                let words = match OTHERS.contains(&other) {
                    true => format!("answers are not kept in `{other}`; `local` and `redis` can be named"),
                    false => format!("there is no cache `{other}`; `local` and `redis` can be named"),
                };
                problems.error(params.at("type"), words);
                None
            }
        }
    }

    fn answers(&self, params: &Section<'_>, problems: &mut Problems) -> Settings {
        let defaults = Settings::default();
        let default_on = match params.text("mode", problems).as_deref() {
            None | Some("default_on") => true,
            Some("default_off") => false,
            Some(_) => {
                problems.error(params.at("mode"), "expected `default_on` or `default_off`");
                true
            }
        };
        let scope = params.text("scope", problems).map(|word| {
            Scope::parse(&word).unwrap_or_else(|| {
                problems.error(params.at("scope"), "expected `key`, `team`, `organization` or `global`");
                Scope::default()
            })
        });
        let most = params.count("max_entry_bytes", problems).and_then(|bytes| usize::try_from(bytes).ok());
        Settings {
            default_on,
            kinds: kinds(params, problems),
            namespace: params.text("namespace", problems).filter(|name| !name.is_empty()).map(Arc::from),
            ttl: params.seconds("ttl", problems).filter(|ttl| !ttl.is_zero()),
            scope: scope.unwrap_or(defaults.scope),
            max_entry_bytes: most.filter(|bytes| *bytes > 0).unwrap_or(defaults.max_entry_bytes),
            groups: groups(&self.router, problems),
            by_tags: self.router.flag("enable_tag_filtering", problems).unwrap_or(false),
        }
    }
}

/// The kinds of calls that are answered; all where none is named.
fn kinds(params: &Section<'_>, problems: &mut Problems) -> Vec<Kind> {
    let key = "supported_call_types";
    if params.value(key).is_none() {
        return Kind::ALL.to_vec();
    }
    let words = params.texts(key, problems);
    let read = words.into_iter().filter_map(|word| {
        let kind = Kind::parse(&word);
        if kind.is_none() {
            problems.warn(params.at(key), format!("answers to `{word}` are never kept"));
        }
        kind
    });
    read.collect()
}

/// Models whose answers are the same: `[[a, b], [c, d]]`.
fn groups(router: &Section<'_>, problems: &mut Problems) -> Vec<Vec<Arc<str>>> {
    let key = "caching_groups";
    let Some(value) = router.value(key) else { return Vec::new() };
    let names = |group: &Value| {
        group.as_array()?.iter().map(|name| name.as_str().map(Arc::from)).collect::<Option<Vec<Arc<str>>>>()
    };
    let groups = value.as_array().and_then(|groups| groups.iter().map(names).collect());
    groups
        .unwrap_or_else(|| router.wrong(key, "a list of lists of model names", problems).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    fn env(name: &str) -> Option<String> {
        let set = [("REDIS_HOST", "e"), ("REDIS_PORT", "7000"), ("REDIS_PASSWORD", "of-the-environment")];
        set.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
    }

    fn reader(params: Value, env: Env<'_>) -> CacheReader {
        CacheReader::new(&Map::new(), &map(json!({"cache": false, "cache_params": params})), env)
    }

    #[test]
    fn a_form_shows_what_the_file_and_the_environment_say() {
        let shown = |params: Value, env: Env<'_>| Value::Object(reader(params, env).configured().clone());
        let of_env = json!({"host": "e", "type": "redis", "port": "7000", "password": "of-the-environment"});
        assert_eq!(shown(Value::Null, &env), of_env);
        assert_eq!(shown(json!({"type": "local"}), &env), json!({"type": "local"}));
        let said = shown(json!({"host": "c", "password": "p"}), &env);
        assert_eq!(said, json!({"host": "c", "password": "p", "type": "redis", "port": "7000"}));
        let nodes = |name: &str| (name == "REDIS_SENTINEL_NODES").then(|| "[[\"s\", 1]]".to_owned());
        assert_eq!(shown(Value::Null, &nodes), json!({"sentinel_nodes": [["s", 1]], "type": "redis"}));
        let kubernetes = |name: &str| match name {
            "REDIS_HOST" => Some("e".to_owned()),
            "REDIS_PORT" => Some("tcp://10.0.0.1:6379".to_owned()),
            _ => None,
        };
        assert_eq!(shown(Value::Null, &kubernetes), json!({"host": "e", "type": "redis"}));
    }

    #[test]
    fn a_password_of_the_environment_goes_only_where_the_environment_says() {
        let place = |params: Value| {
            let read = reader(Value::Null, &env).read(&map(params), &env).ok()?;
            let place = read.redis?.place;
            let server = place.servers.first()?.clone();
            Some((server.addr().to_string(), server.redis_settings().password().map(str::to_owned)))
        };
        let own = |place: &str, password: Option<&str>| Some((place.to_owned(), password.map(str::to_owned)));
        assert_eq!(place(json!({})), own("e:7000", Some("of-the-environment")));
        assert_eq!(place(json!({"type": "redis", "ttl": 5})), own("e:7000", Some("of-the-environment")));
        assert_eq!(place(json!({"host": "b"})), own("b:6379", None));
        assert_eq!(place(json!({"url": "redis://b:1"})), own("b:1", None));
        let sentinels = json!({"sentinel_nodes": [["b", 1]], "service_name": "m"});
        assert_eq!(place(sentinels), own("b:1", None));
        assert_eq!(place(json!({"type": "local"})), None);
    }

    #[test]
    fn what_cannot_be_is_told_in_words() {
        let told = |params: Value| reader(Value::Null, &|_| None).read(&map(params), &|_| None).err();
        let says = |params: Value, words: &str| told(params).is_some_and(|told| told.contains(words));
        assert!(says(json!({"type": "s3"}), "answers are not kept in `s3`"));
        assert!(says(json!({"type": "redis"}), "no Redis is named"));
        assert!(says(json!({"type": "local", "mode": "x"}), "expected `default_on`"));
        assert!(says(json!({"sentinel_nodes": [["a", 1]]}), "set `service_name`"));
        assert_eq!(told(json!({"type": "local", "mode": "default_off"})), None);
    }
}
