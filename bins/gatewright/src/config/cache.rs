//! The cache of answers: LiteLLM's `cache` and `cache_params`, and what we add to them.

use std::sync::Arc;
use std::time::Duration;

use gatewright_cache::{Kind, Scope, Settings};
use serde_json::Value;

use super::file::Env;
use super::known;
use super::problem::Problems;
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

const MEMORY_BYTES: u64 = 256 << 20;

const TTL: Duration = Duration::from_secs(600);

/// Others may have forgotten an answer that is kept in front of Redis: for that long it is given all the same.
const FRONT_TTL: Duration = Duration::from_secs(60);

const DEADLINE: Duration = Duration::from_millis(75);

const PARAMS: &str = "cache_params";

/// What LiteLLM keeps answers in besides, and we do not.
const OTHERS: [&str; 4] = ["s3", "gcs", "azure-blob", "disk"];

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
