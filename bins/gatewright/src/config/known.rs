//! The keys that LiteLLM's configuration and ours know, to tell a misspelt or misplaced key from a good one.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use gatewright_catalogue::PriceField;
use serde_json::{Map, Value};

use super::problem::Problems;

/// One key a line under the section it belongs to.
const LIST: &str = include_str!("known_keys.txt");

/// How alike two keys must be for one to be offered in place of the other.
const ALIKE: f64 = 0.82;

/// Reports every key of `map` that `section` does not know: with the section it belongs to, or the key it resembles.
pub(super) fn check(section: &str, path: &str, map: &Map<String, Value>, problems: &mut Problems) {
    for key in map.keys().filter(|key| !knows(section, key)) {
        let at = join(path, key);
        match (home_of(section, key), resembling(section, key)) {
            (Some(home), _) => {
                problems.warn(at, format!("this key belongs under `{home}`; here it has no effect"))
            }
            (None, Some(other)) => problems.warn(at, format!("unknown key; did you mean `{other}`?")),
            (None, None) => problems.warn(at, "unknown key; it has no effect"),
        }
    }
}

/// Reports keys of `litellm_params` that look like misspellings and that no provider reads. Others are parameters for the provider.
pub(super) fn check_params(
    path: &str,
    map: &Map<String, Value>,
    read: &dyn Fn(&str) -> bool,
    problems: &mut Problems,
) {
    for key in map.keys().filter(|key| !knows("litellm_params", key) && !is_known_price(key) && !read(key)) {
        if let Some(other) = resembling("litellm_params", key) {
            let fate = if is_price(key) {
                "price, without effect"
            } else {
                "parameter, sent to the provider as it is"
            };
            problems.warn(join(path, key), format!("unknown {fate}; did you mean `{other}`?"));
        }
    }
}

/// Reports keys that look like misspellings, in a section where others are allowed.
pub(super) fn check_similar(section: &str, path: &str, map: &Map<String, Value>, problems: &mut Problems) {
    for key in map.keys().filter(|key| !knows(section, key)) {
        if let Some(other) = resembling(section, key) {
            problems.warn(join(path, key), format!("unknown key; did you mean `{other}`?"));
        }
    }
}

/// Whether a parameter is a provider's credential or place, which never travels in a body.
pub(super) fn is_credential(key: &str) -> bool {
    const PREFIXES: [&str; 6] = ["aws_", "vertex_", "azure_", "s3_", "gcs_", "watsonx_"];
    const NAMES: [&str; 4] = ["tenant_id", "client_id", "client_secret", "project_id"];
    PREFIXES.iter().any(|prefix| key.starts_with(prefix)) || NAMES.contains(&key)
}

/// Whether it says what a model costs, be it by a name that no price list has.
pub(super) fn is_price(key: &str) -> bool {
    key.contains("cost") || key.ends_with("_pricing")
}

fn is_known_price(key: &str) -> bool {
    key.ends_with("_pricing")
        || key == "search_context_cost_per_query"
        || matches!(PriceField::parse(key.to_owned()), PriceField::Rate { .. })
}

/// Whether the section knows the key.
pub(super) fn knows(section: &str, key: &str) -> bool {
    sections().get(section).is_some_and(|keys| keys.binary_search(&key).is_ok())
}

fn home_of(section: &str, key: &str) -> Option<&'static str> {
    let fits = |(name, keys): (&&'static str, &Vec<&str>)| {
        (*name != section && *name != "litellm_params" && keys.binary_search(&key).is_ok()).then_some(*name)
    };
    sections().iter().find_map(fits)
}

fn resembling(section: &str, key: &str) -> Option<&'static str> {
    let keys = sections().get(section)?;
    let scored = keys.iter().map(|known| (strsim::jaro_winkler(known, key), *known));
    scored.filter(|(score, _)| *score >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}

fn sections() -> &'static BTreeMap<&'static str, Vec<&'static str>> {
    static SECTIONS: OnceLock<BTreeMap<&'static str, Vec<&'static str>>> = OnceLock::new();
    SECTIONS.get_or_init(|| {
        let mut sections: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut current = "";
        for line in LIST.lines() {
            match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                Some(name) => current = name,
                None => sections.entry(current).or_default().push(line),
            }
        }
        sections.values_mut().for_each(|keys| keys.sort_unstable());
        sections
    })
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_and_misplaced_keys_are_told_apart() {
        for (section, key, want) in [
            ("general_settings", "master_kye", "did you mean `master_key`?"),
            ("general_settings", "num_retries", "belongs under"),
            ("router_settings", "zzz", "unknown key; it has no effect"),
        ] {
            let mut problems = Problems::default();
            let map = Map::from_iter([(key.to_owned(), Value::Null)]);
            check(section, section, &map, &mut problems);
            let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
            assert!(text.len() == 1 && text[0].contains(want), "{key}: {text:?}");
        }
    }

    #[test]
    fn every_price_that_costs_are_made_from_is_known() {
        let told = |key: &str| {
            let mut problems = Problems::default();
            let map = Map::from_iter([(key.to_owned(), Value::Null)]);
            check_params("p", &map, &|_| false, &mut problems);
            problems.iter().map(ToString::to_string).collect::<String>()
        };
        for key in ["output_cost_per_image", "input_cost_per_token_above_200k_tokens", "tiered_pricing"] {
            assert_eq!(told(key), "", "{key}");
        }
        assert!(told("input_cost_per_tokens").contains("price, without effect"), "a misspelt price");
        assert!(told("max_parallel_request").contains("sent to the provider"), "a misspelt parameter");
    }
}
