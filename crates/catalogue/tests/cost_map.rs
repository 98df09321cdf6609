//! Price maps: a good one wins over what is shipped, a bad one changes nothing.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::sync::OnceLock;

use gatewright_catalogue::{Catalogue, CostMap, Overrides, Refused, Terms};
use gatewright_core::Usage;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A map of `models` models of OpenAI, and these.
fn map(models: usize, more: Value) -> Map<String, Value> {
    let row = json!({"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6});
    let mut map: Map<String, Value> =
        (0..models).map(|number| (format!("some-{number}"), row.clone())).collect();
    map.extend(more.as_object().unwrap().clone());
    map
}

fn read(map: &Map<String, Value>) -> Result<CostMap, Refused> {
    CostMap::read(&serde_json::to_vec(map).unwrap(), 0, Catalogue::builtin())
}

/// What a thousand tokens of input and of output cost.
fn cost(catalogue: &Catalogue, provider: &str, model: &str) -> String {
    let usage = Usage { input: 1000, output: 1000, ..Usage::default() };
    let prices = catalogue.prices(provider, model, &Overrides::default());
    if prices.is_empty() { "none".to_owned() } else { prices.cost(&usage, Terms::default()).to_string() }
}

#[test]
fn a_map_replaces_rows_of_its_names_whole_and_adds_others() {
    let catalogue = Catalogue::builtin().apart();
    let shipped = catalogue.count();
    let before = (cost(&catalogue, "openai", "gpt-4o"), cost(&catalogue, "anthropic", "claude-sonnet-4-5"));
    let new = map(
        50,
        json!({
            "sample_spec": {"litellm_provider": "one of the list", "max_tokens": "LEGACY", "input_cost_per_token": -1},
            "gpt-4o": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-3, "max_tokens": 7},
            "mistral/mistral-next": {
                "litellm_provider": "mistral", "mode": "chat", "max_output_tokens": 900.0,
                "input_cost_per_token": "0.002", "output_cost_per_token": 1e-3, "cost_per_minute_of_tomorrow": 0.5,
                "supports_vision": true, "supports_reasoning": false, "supports_odd": "partly",
                "source": "https://mistral.ai/pricing", "supported_endpoints": ["/v1/chat/completions"],
                "search_context_cost_per_query": {"search_context_size_low": 0.01},
                "tiered_pricing": [{"range": [0, 1e6], "input_cost_per_token": 0.002}]
            }
        }),
    );
    let new = read(&new).unwrap();
    assert_eq!((new.models(), new.of_known_providers()), (52, 52));
    catalogue.put(&new).unwrap();
    assert_eq!(catalogue.count(), shipped + 51);
    assert_eq!(cost(&catalogue, "openai", "gpt-4o"), "1.0", "its price of output is gone with its row");
    assert_eq!(cost(&catalogue, "mistral", "mistral-next"), "3.0");
    assert_eq!(cost(&catalogue, "anthropic", "claude-sonnet-4-5"), before.1, "not in the map");
    assert_eq!(cost(Catalogue::builtin(), "openai", "gpt-4o"), before.0, "nobody else is touched");
    assert_eq!(catalogue.model("openai", "gpt-4o").unwrap().limits.max_output, Some(7));
    let row = catalogue.model("mistral", "mistral-next").unwrap();
    assert_eq!(row.limits.max_output, Some(900));
    assert_eq!((row.supports("vision"), row.supports("reasoning")), (Some(true), Some(false)));
    assert_eq!(
        row.prices.field("cost_per_minute_of_tomorrow").map(|price| price.0),
        Some(500_000_000_000_000)
    );
    let other: Value = serde_json::from_str(&row.other.unwrap()).unwrap();
    assert_eq!(other, json!({"source": "https://mistral.ai/pricing", "supports_odd": "partly"}));

    catalogue.put(&read(&map(50, json!({}))).unwrap()).unwrap();
    assert_eq!(cost(&catalogue, "openai", "gpt-4o"), before.0, "a map without it gives the shipped row back");
    assert_eq!(cost(&catalogue, "mistral", "mistral-next"), "none");
}

#[test]
fn a_map_is_refused_whole_with_its_reasons() {
    let row = |more: Value| {
        let mut row = json!({"litellm_provider": "openai", "input_cost_per_token": 1e-6});
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        map(50, json!({"odd": row}))
    };
    for (bad, reason) in [
        (
            row(json!({"input_cost_per_token": -1e-6})),
            "odd: input_cost_per_token is not a price in dollars: -1e-6",
        ),
        (row(json!({"output_cost_per_token": 1e300})), "output_cost_per_token"),
        (row(json!({"output_cost_per_token": "NaN"})), "output_cost_per_token"),
        (row(json!({"output_cost_per_token": true})), "output_cost_per_token"),
        (row(json!({"cache_read_input_token_cost_flex": -1})), "cache_read_input_token_cost_flex"),
        (row(json!({"a_new_cost_per_whatever": -1})), "a_new_cost_per_whatever"),
        (row(json!({"regional_processing_uplift_multiplier_us": -1})), "uplift"),
        (
            row(json!({"search_context_cost_per_query": {"search_context_size_low": -1}})),
            "search_context_size_low",
        ),
        (
            row(json!({"tiered_pricing": [{"range": [0, 1], "output_cost_per_token": -1}]})),
            "output_cost_per_token",
        ),
        (row(json!({"off_peak_pricing": {"input_cost_per_token": "free"}})), "input_cost_per_token"),
        (row(json!({"guardrail_cost_per_unit": {"topic": -1}})), "guardrail_cost_per_unit"),
        (row(json!({"litellm_provider": "open ai"})), "not one word"),
        (row(json!({"litellm_provider": null})), "not one word"),
        (map(50, json!({"odd": []})), "\"odd\" is no object"),
        (map(50, json!({"o\ndd": {"litellm_provider": "openai"}})), "no name"),
        (map(49, json!({})), "fewer than 50"),
        (Map::new(), "fewer than 50"),
    ] {
        let refused = read(&bad).unwrap_err().to_string();
        assert!(refused.contains(reason), "{reason}: {refused}");
    }
    let mut many = map(50, json!({}));
    many.values_mut().for_each(|row| row["input_cost_per_token"] = json!(-1));
    let refused = read(&many).unwrap_err();
    assert_eq!((refused.reasons.len(), refused.more), (10, 41));
    assert!(refused.to_string().ends_with("and 41 more reasons"));
    let mut strange = map(50, json!({}));
    strange.values_mut().skip(20).for_each(|row| row["litellm_provider"] = json!("somebody_new"));
    assert!(read(&strange).unwrap_err().to_string().contains("only 20 of its 50 models"));
}

#[test]
fn what_was_cut_off_is_refused() {
    let bytes = |models| serde_json::to_vec(&map(models, json!({}))).unwrap();
    let catalogue = Catalogue::builtin();
    let cut = &bytes(60)[..2000];
    let refused = CostMap::read(cut, 0, catalogue).unwrap_err();
    assert!(refused.to_string().starts_with("it is no JSON object"), "{refused}");
    for (json, reason) in
        [(&b"[]"[..], "no JSON object"), (b"", "no JSON object"), (b"{\"a\": NaN}", "no JSON")]
    {
        assert!(CostMap::read(json, 0, catalogue).unwrap_err().to_string().contains(reason));
    }
    let refused = CostMap::read(&bytes(60), 130, catalogue).unwrap_err();
    assert!(refused.to_string().contains("less than half of the 130 before"), "{refused}");
    assert!(CostMap::read(&bytes(65), 130, catalogue).is_ok());
    let large = vec![b' '; CostMap::MOST_BYTES + 1];
    assert!(CostMap::read(&large, 0, catalogue).unwrap_err().to_string().contains("bytes"));
    let words: Map<String, Value> = (0..5000)
        .map(|n| (format!("m{n}"), json!({"litellm_provider": "openai", format!("cost_per_{n}"): 1})))
        .collect();
    assert!(read(&words).unwrap_err().to_string().contains("different words"));
}

/// Values that lists have, and some that none should.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "\\PC{0,8}|[\\t\\n \u{0}]{0,3}|1e-6|-1|NaN|1e400".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(field(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "litellm_provider",
            "mode",
            "max_tokens",
            "max_output_tokens",
            "input_cost_per_token",
            "output_cost_per_token_above_200k_tokens_flex",
            "search_context_cost_per_query",
            "tiered_pricing",
            "off_peak_pricing",
            "supports_vision",
            "supported_endpoints",
            "deprecation_date",
            "source",
        ])
        .prop_map(str::to_owned),
        "[a-z_.\\t ]{0,12}(cost_per_)?[a-z\\n]{0,6}",
    ]
}

/// One that has taken a good map.
fn good() -> &'static Catalogue {
    static GOOD: OnceLock<Catalogue> = OnceLock::new();
    GOOD.get_or_init(|| {
        let catalogue = Catalogue::builtin().apart();
        let dear = json!({"gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 1e-3}});
        catalogue.put(&read(&map(50, dear)).unwrap()).unwrap();
        catalogue
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// A map that is taken gives every one of its models as it is there, and every other shipped one.
    #[test]
    fn no_map_however_broken_replaces_a_good_one(
        rows in prop::collection::hash_map("\\PC{0,12}|[a-z\\t\\n/]{0,6}", prop::collection::hash_map(field(), value(), 0..6), 0..4),
        cut in prop::option::of(0usize..6000),
        flip in prop::option::of((0usize..6000, any::<u8>())),
    ) {
        let rows = rows.into_iter().map(|(name, fields)| {
            let mut row: Map<String, Value> = fields.into_iter().collect();
            row.entry("litellm_provider").or_insert_with(|| "openai".into());
            (name, Value::Object(row))
        });
        let mut bytes = serde_json::to_vec(&map(52, Value::Object(rows.collect()))).unwrap();
        bytes.truncate(cut.unwrap_or(usize::MAX));
        if let Some((at, byte)) = flip && let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        let catalogue = good().apart();
        match CostMap::read(&bytes, 51, &catalogue) {
            Err(refused) => {
                prop_assert!(!refused.reasons.is_empty());
                prop_assert_eq!(cost(&catalogue, "openai", "gpt-4o"), "1.0");
            }
            Ok(new) => {
                catalogue.put(&new).unwrap();
                // A byte that is changed may be one of a name, or of a price.
                let said: Value = serde_json::from_slice(&bytes).unwrap();
                let good = map(52, json!({}));
                if said["some-1"] == good["some-1"] {
                    prop_assert_eq!(cost(&catalogue, "openai", "some-1"), "0.001");
                }
                prop_assert!(catalogue.count() >= Catalogue::builtin().count() + 50);
            }
        }
    }
}
