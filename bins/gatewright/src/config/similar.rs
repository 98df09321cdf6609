//! The semantic cache: LiteLLM's keys of `cache_params` for it, and what we add to them.

use std::sync::Arc;
use std::time::Duration;

use gatewright_cache::Scope;
use gatewright_cache::similar::{LocalLimits, QdrantSettings, Quantization, SimilarSettings};
use gatewright_core::Secret;

use super::file::Env;
use super::problem::Problems;
use super::read::Section;
use super::redis::RedisSettings;

/// How questions are compared, who shares their answers, and where they are kept.
#[derive(Clone)]
pub struct SimilarCache {
    /// How they are compared.
    pub questions: SimilarSettings,
    /// Who shares an answer.
    pub scope: Scope,
    /// Where they are kept.
    pub place: SimilarPlace,
}

/// Where questions are kept.
#[derive(Clone)]
pub enum SimilarPlace {
    /// In this process.
    Local(LocalLimits),
    /// In Qdrant.
    Qdrant(QdrantSettings),
    /// In a Redis or Valkey with a search module.
    Redis {
        /// Where it is.
        server: Box<RedisSettings>,
        /// What the names of indexes and keys begin with.
        index: String,
        /// How long an answer is kept where nothing else is said.
        usual: Duration,
    },
}

/// The types of caches that compare what questions mean.
pub(super) const LOCAL: &str = "local-semantic";
pub(super) const QDRANT: &str = "qdrant-semantic";
pub(super) const REDIS: &str = "redis-semantic";
pub(super) const VALKEY: &str = "valkey-semantic";

const INDEX: &str = "litellm_semantic_cache_index";

/// What is kept elsewhere where nothing is said of it.
const TTL: Duration = Duration::from_secs(600);

/// Nothing where the type is another one, or where it cannot be.
pub(super) fn read(
    params: &Section<'_>,
    redis: Option<&RedisSettings>,
    largest_entry: usize,
    env: Env<'_>,
    problems: &mut Problems,
) -> Option<SimilarCache> {
    let kind = params.text("type", &mut Problems::default())?;
    let usual = |key: &str, problems: &mut Problems| {
        params.seconds(key, problems).filter(|time| !time.is_zero()).unwrap_or(TTL)
    };
    let (place, theirs) = match kind.as_str() {
        LOCAL => {
            let usual = usual("default_in_memory_ttl", problems);
            (SimilarPlace::Local(limits(params, usual, problems)), "semantic_cache_embedding_model")
        }
        QDRANT => {
            let usual = usual("default_in_redis_ttl", problems);
            let settings = qdrant(params, (largest_entry, usual), env, problems)?;
            (SimilarPlace::Qdrant(settings), "qdrant_semantic_cache_embedding_model")
        }
        REDIS | VALKEY => {
            let index = params.text("redis_semantic_cache_index_name", problems);
            let place = SimilarPlace::Redis {
                server: Box::new(redis?.clone()),
                index: index.unwrap_or_else(|| INDEX.to_owned()),
                usual: usual("default_in_redis_ttl", problems),
            };
            (place, "redis_semantic_cache_embedding_model")
        }
        _ => return None,
    };
    let questions = questions(params, theirs, problems);
    let (scope, by_end_user) = scope(params, problems);
    Some(SimilarCache { questions: SimilarSettings { by_end_user, ..questions }, scope, place })
}

fn questions(params: &Section<'_>, theirs: &str, problems: &mut Problems) -> SimilarSettings {
    let defaults = SimilarSettings::default();
    let whole = |key: &str, problems: &mut Problems| {
        params.count(key, problems).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0)
    };
    let least = params.number("similarity_threshold", problems).filter(|least| {
        let fits = (0.0..=1.0).contains(least);
        if !fits {
            problems.error(params.at("similarity_threshold"), "expected a number from 0 to 1");
        }
        fits
    });
    let model = params.text("semantic_cache_embedding_model", problems);
    let model = model.or_else(|| params.text(theirs, problems));
    #[expect(clippy::cast_possible_truncation, reason = "from 0 to 1")]
    let least = least.map_or(defaults.least, |least| least as f32);
    SimilarSettings {
        least,
        model: model.map_or(defaults.model, Arc::from),
        messages: whole("max_messages", problems).unwrap_or(defaults.messages),
        longest_text: whole("semantic_cache_max_text_bytes", problems).unwrap_or(defaults.longest_text),
        embedding_patience: params
            .deadline("semantic_cache_embedding_timeout", problems)
            .unwrap_or(defaults.embedding_patience),
        patience: params.deadline("semantic_cache_timeout", problems).unwrap_or(defaults.patience),
        rest: defaults.rest,
        by_end_user: false,
    }
}

/// Who shares an answer, and whether each end user has answers of their own in it.
fn scope(params: &Section<'_>, problems: &mut Problems) -> (Scope, bool) {
    let key = "semantic_cache_scope";
    match params.text(key, problems).as_deref() {
        None => (Scope::Key, false),
        Some("end_user") => (Scope::Key, true),
        Some(word) => {
            let scope = Scope::parse(word);
            if scope.is_none() {
                let words = "expected `key`, `team`, `organization`, `global` or `end_user`";
                problems.error(params.at(key), words);
            }
            (scope.unwrap_or(Scope::Key), false)
        }
    }
}

fn limits(params: &Section<'_>, usual: Duration, problems: &mut Problems) -> LocalLimits {
    let defaults = LocalLimits::default();
    let mut whole = |key: &str| params.count(key, problems).and_then(|n| usize::try_from(n).ok());
    LocalLimits {
        items: whole("semantic_cache_max_items").unwrap_or(defaults.items),
        bytes: whole("semantic_cache_max_bytes").unwrap_or(defaults.bytes),
        usual,
    }
}

fn qdrant(
    params: &Section<'_>,
    (largest_entry, usual): (usize, Duration),
    env: Env<'_>,
    problems: &mut Problems,
) -> Option<QdrantSettings> {
    let base = params.text("qdrant_api_base", problems);
    let base = base.or_else(|| env("QDRANT_URL")).or_else(|| env("QDRANT_API_BASE"));
    let collection = params.text("qdrant_collection_name", problems);
    let api_key = params.text("qdrant_api_key", problems).or_else(|| env("QDRANT_API_KEY"));
    let quantization = match params.text("qdrant_quantization_config", problems).as_deref() {
        None | Some("binary") => Quantization::Binary,
        Some("scalar") => Quantization::Scalar,
        Some("product") => Quantization::Product,
        Some(_) => {
            problems
                .error(params.at("qdrant_quantization_config"), "expected `binary`, `scalar` or `product`");
            Quantization::Binary
        }
    };
    let dimensions = params.count("qdrant_semantic_cache_vector_size", problems);
    if base.is_none() {
        let words = "no Qdrant is named: set it here, or QDRANT_URL or QDRANT_API_BASE";
        problems.error(params.at("qdrant_api_base"), words);
    }
    if collection.is_none() {
        problems.error(params.at("qdrant_collection_name"), "name the collection that questions are kept in");
    }
    Some(QdrantSettings {
        base: base?,
        api_key: api_key.map(Secret::from),
        collection: collection?,
        quantization,
        dimensions: dimensions.and_then(|n| usize::try_from(n).ok()),
        largest_entry,
        usual,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Said};

    /// Reads `cache_params`; answers what it says and how many problems it has.
    fn read(params: &str) -> (Option<SimilarCache>, usize) {
        let text = format!("litellm_settings: {{cache: true, cache_params: {{{params}}}}}");
        let config = Config::load(&Said { text: Some(&text), ..Said::default() }, &|_| None);
        let problems = config.problems.iter().filter(|problem| problem.path.contains("cache")).count();
        (config.cache.and_then(|cache| cache.similar), problems)
    }

    fn well(params: &str) -> SimilarCache {
        let (read, problems) = read(params);
        assert_eq!(problems, 0, "{params}");
        read.unwrap_or_else(|| panic!("{params}"))
    }

    #[test]
    fn questions_are_compared_as_it_says() {
        let defaults = SimilarSettings::default();
        let said = well("type: local-semantic");
        assert_eq!((said.questions, said.scope), (defaults.clone(), Scope::Key));
        let said = well(
            "type: local-semantic, similarity_threshold: '0.8', semantic_cache_embedding_model: e, max_messages: 2, \
             semantic_cache_embedding_timeout: 1, semantic_cache_timeout: 0.1, semantic_cache_max_text_bytes: 9, \
             semantic_cache_scope: end_user, semantic_cache_max_items: 7, semantic_cache_max_bytes: 8, \
             default_in_memory_ttl: 5",
        );
        let want = SimilarSettings {
            least: 0.8,
            model: "e".into(),
            messages: 2,
            longest_text: 9,
            embedding_patience: Duration::from_secs(1),
            patience: Duration::from_millis(100),
            by_end_user: true,
            ..defaults
        };
        assert_eq!(said.questions, want);
        let SimilarPlace::Local(limits) = said.place else { panic!("elsewhere") };
        assert_eq!(limits, LocalLimits { items: 7, bytes: 8, usual: Duration::from_secs(5) });
        assert_eq!(well("type: local-semantic, semantic_cache_scope: team").scope, Scope::Team);
    }

    #[test]
    fn questions_are_kept_where_it_says() {
        let said = well(
            "type: qdrant-semantic, qdrant_api_base: 'http://q', qdrant_api_key: k, qdrant_collection_name: c, \
             qdrant_quantization_config: scalar, qdrant_semantic_cache_vector_size: 3, \
             qdrant_semantic_cache_embedding_model: e",
        );
        assert_eq!(&*said.questions.model, "e");
        let SimilarPlace::Qdrant(place) = said.place else { panic!("elsewhere") };
        assert_eq!((&*place.base, &*place.collection, place.dimensions), ("http://q", "c", Some(3)));
        assert_eq!(place.quantization, Quantization::Scalar);
        for kind in ["redis-semantic", "valkey-semantic"] {
            let said = well(&format!(
                "type: {kind}, host: h, redis_semantic_cache_index_name: i, redis_semantic_cache_embedding_model: e"
            ));
            let SimilarPlace::Redis { server, index, .. } = said.place else { panic!("elsewhere") };
            assert_eq!((server.servers.len(), &*index, &*said.questions.model), (1, "i", "e"));
        }
    }

    #[test]
    fn what_cannot_be_is_told() {
        for params in [
            "type: local-semantic, similarity_threshold: 2",
            "type: local-semantic, semantic_cache_scope: nobody",
            "type: redis-semantic",
            "type: qdrant-semantic, qdrant_collection_name: c",
            "type: qdrant-semantic, qdrant_api_base: 'http://q'",
            "type: qdrant-semantic, qdrant_api_base: 'http://q', qdrant_collection_name: c, qdrant_quantization_config: x",
        ] {
            assert_eq!(read(params).1, 1, "{params}");
        }
        let (said, problems) = read("type: local, similarity_threshold: 0.5");
        assert!(said.is_none() && problems == 0);
    }
}
