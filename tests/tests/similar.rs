//! The semantic cache, through the whole gateway: who is answered with what was said to others, and what that costs.

use std::time::{Duration, Instant};

use gatewright_tests::client::{Client, Response, chat, message};
use gatewright_tests::gateway::{Gateway, deployment, poll};
use gatewright_tests::upstream::{Pause, Said, Script, Seen, Upstream};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);

const QUESTION: &str = "how do I change my password";
const PARAPHRASE: &str = "please tell me how to set another password";
const OTHER: &str = "what is the weather like";

/// A gateway whose `m` answers in words, and whose `embedder` knows two topics.
fn start(more: &str) -> (Upstream, Gateway) {
    start_with(more, embeds)
}

fn start_with(more: &str, embed: fn(&Seen) -> Script) -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    upstream.choose(move |seen| match seen.path.as_str() {
        "/v1/embeddings" => Some(embed(seen)),
        _ => Some(Script::says(Said::text([format!("answer {} ", seen.number), "to it".to_owned()]))),
    });
    let models = deployment("m", "openai/gpt-4o", &upstream, "")
        + &deployment("n", "openai/gpt-4o", &upstream, "")
        + &deployment("embedder", "openai/text-embedding-3-small", &upstream, "");
    let gateway = Gateway::start(&format!(
        "litellm_settings:\n  cache: true\n  cache_params: {{type: local-semantic, similarity_threshold: 0.9, \
         semantic_cache_embedding_model: embedder{more}}}\nmodel_list:\n{models}"
    ));
    (upstream, gateway)
}

/// A direction that the topics of a text make; its length turns it a little.
fn embeds(seen: &Seen) -> Script {
    let asked = seen.json();
    let text = asked["input"][0].as_str().unwrap().to_owned();
    let about = |topic: &str| text.matches(topic).count();
    let vector = json!([about("password"), about("weather"), text.len() as f64 / 1000.0]);
    let data = json!([{"object": "embedding", "index": 0, "embedding": vector}]);
    let used = json!({"prompt_tokens": 1000, "total_tokens": 1000});
    let body = json!({"object": "list", "model": asked["model"], "data": data, "usage": used});
    Script::replay(200, &[], body.to_string())
}

fn embedded(upstream: &Upstream) -> usize {
    upstream.seen().iter().filter(|seen| seen.path == "/v1/embeddings").count()
}

fn asked(upstream: &Upstream) -> usize {
    upstream.count() - embedded(upstream)
}

fn ask(client: &Client, text: &str, more: Value) -> Response {
    let response = client.post("/v1/chat/completions", &chat("m", text, more));
    assert_eq!(response.status, 200, "{}", response.text());
    response
}

fn is_hit(response: &Response) -> bool {
    response.header("x-gatewright-cache") == "hit"
}

/// Asks and keeps nothing, until it is answered from what was kept: that happens beside the call that it was kept for.
fn hit(client: &Client, text: &str, more: &Value) -> Response {
    let mut more = more.clone();
    more["cache"] = json!({"no-store": true});
    let hit = poll(PATIENCE, || Some(ask(client, text, more.clone())).filter(is_hit));
    hit.unwrap_or_else(|| panic!("never a hit: {text} {more}"))
}

fn miss(client: &Client, text: &str, more: Value) {
    let response = ask(client, text, more.clone());
    assert!(!is_hit(&response), "{text} {more}: {}", response.header("x-litellm-semantic-similarity"));
}

#[test]
fn a_paraphrase_is_answered_with_what_was_kept() {
    let (upstream, gateway) = start("");
    let client = Client::of(&gateway);
    let first = ask(&client, QUESTION, json!({}));
    assert!(!is_hit(&first));
    let again = hit(&client, PARAPHRASE, &json!({}));
    assert_eq!(again.json()["choices"], first.json()["choices"]);
    let similarity: f32 = again.header("x-litellm-semantic-similarity").parse().unwrap();
    assert!((0.9..1.0).contains(&similarity), "{similarity}");
    assert_eq!(again.header("x-litellm-response-cost"), "0.0");
    miss(&client, OTHER, json!({}));
    // What is the same needs no embedding.
    let before = embedded(&upstream);
    let same = ask(&client, QUESTION, json!({}));
    assert!(is_hit(&same));
    assert_eq!(same.header("x-litellm-semantic-similarity"), "");
    assert_eq!(embedded(&upstream), before);
}

#[test]
fn a_question_is_embedded_once_to_be_looked_for_and_kept() {
    let (upstream, gateway) = start("");
    let client = Client::of(&gateway);
    ask(&client, QUESTION, json!({}));
    hit(&client, QUESTION, &json!({}));
    assert_eq!((embedded(&upstream), asked(&upstream)), (1, 1));
}

#[test]
fn a_stream_is_answered_with_a_stream_and_only_with_one() {
    let (_upstream, gateway) = start("");
    let client = Client::of(&gateway);
    let stream = json!({"stream": true});
    let first = ask(&client, QUESTION, stream.clone()).text();
    let again = hit(&client, PARAPHRASE, &stream);
    assert_eq!(again.text(), first);
    miss(&client, PARAPHRASE, json!({}));
}

#[test]
fn other_parameters_want_other_answers() {
    let (_upstream, gateway) = start("");
    let client = Client::of(&gateway);
    ask(&client, QUESTION, json!({"temperature": 0.1}));
    hit(&client, PARAPHRASE, &json!({"temperature": 0.1}));
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {}}});
    for more in [
        json!({}),
        json!({"temperature": 0.2}),
        json!({"temperature": 0.1, "tools": [tool]}),
        json!({"temperature": 0.1, "response_format": {"type": "json_object"}}),
        json!({"temperature": 0.1, "max_tokens": 7}),
        json!({"temperature": 0.1, "seed": 7}),
        json!({"temperature": 0.1, "model": "n"}),
        json!({"temperature": 0.1, "cache": {"namespace": "another"}}),
        json!({"temperature": 0.1, "messages": [
            {"role": "system", "content": "speak French"}, {"role": "user", "content": PARAPHRASE}]}),
    ] {
        miss(&client, PARAPHRASE, more);
    }
    let other = client.post("/v1/messages", &message("m", PARAPHRASE, json!({"temperature": 0.1})));
    assert_eq!(other.status, 200, "{}", other.text());
    assert!(!is_hit(&other));
}

#[test]
fn answers_stay_with_the_key_or_the_team_that_asked() {
    for (scope, shared) in [("", false), (", semantic_cache_scope: team", true)] {
        let (_upstream, gateway) = start(scope);
        let admin = Client::of(&gateway);
        let key = |team: &str| {
            let made = admin.made("/key/generate", json!({"team_id": team}));
            Client::with_key(&gateway, made["key"].as_str().unwrap())
        };
        for team in ["a", "b"] {
            admin.made("/team/new", json!({"team_id": team}));
        }
        let (own, mate, stranger) = (key("a"), key("a"), key("b"));
        ask(&own, QUESTION, json!({}));
        hit(&own, PARAPHRASE, &json!({}));
        miss(&stranger, PARAPHRASE, json!({}));
        miss(&admin, PARAPHRASE, json!({}));
        let asked = ask(&mate, &format!("{PARAPHRASE} now"), json!({}));
        assert_eq!(is_hit(&asked), shared, "{scope}");
    }
}

#[test]
fn an_embedding_is_an_attempt_on_the_account_of_whoever_asks() {
    let (_upstream, gateway) = start("");
    let admin = Client::of(&gateway);
    let made = admin.made("/key/generate", json!({"max_budget": 1}));
    let key = made["key"].as_str().unwrap();
    let client = Client::with_key(&gateway, key);
    ask(&client, QUESTION, json!({}));
    hit(&client, PARAPHRASE, &json!({}));
    let entries = gateway.journal_when("two kinds of attempts and a hit", |entries| {
        entries.iter().any(|entry| entry.group() == "m")
            && entries.iter().filter(|entry| entry.group() == "embedder").count() >= 2
            && entries.iter().any(|entry| entry.cache() == Some("hit"))
    });
    let given = entries.iter().find(|entry| entry.cache() == Some("hit")).unwrap();
    assert_eq!((given.group(), given.0["cost"].as_f64()), ("m", Some(0.0)), "the answer to the paraphrase");
    let of = |group: &str| entries.iter().find(|entry| entry.group() == group).unwrap();
    assert_eq!(given.caller(), of("embedder").caller());
    assert_eq!(of("embedder").caller(), of("m").caller());
    assert!(of("embedder").is_exact());
    assert_eq!(of("embedder").input(), 1000);
    let embeddings = entries.iter().filter(|entry| entry.group() == "embedder").count();
    // 1000 tokens at $0.02 a million each, and one answer of 10 and 5 tokens at $2.5 and $10 a million.
    let want = 0.00002 * embeddings as f64 + 0.000075;
    let path = format!("/key/info?key={key}");
    let spent = poll(PATIENCE, || {
        admin.get(&path).json()["info"]["spend"].as_f64().filter(|spent| (spent - want).abs() < 1e-9)
    });
    assert!(spent.is_some(), "{} and not {want}", admin.get(&path).text());
    // What was held for the call has room for it too.
    let told: f64 = ask(&client, OTHER, json!({})).header("x-litellm-key-spend").parse().unwrap();
    assert!(told >= want, "{told} {want}");
}

#[test]
fn an_embedding_model_that_fails_costs_only_the_hit() {
    let (upstream, gateway) = start_with("", |_| Script::fails(500, "no"));
    let client = Client::of(&gateway);
    for number in 0..6 {
        miss(&client, &format!("{QUESTION} {number}"), json!({}));
    }
    // After three failures in a row it is let alone.
    assert_eq!((embedded(&upstream), asked(&upstream)), (3, 6));
    assert!(is_hit(&ask(&client, &format!("{QUESTION} 1"), json!({}))), "the same question");
}

#[test]
fn an_embedding_model_that_hangs_costs_a_little_time_and_then_none() {
    let hangs = |_: &Seen| Script { before_head: Pause::Forever, ..Script::default() };
    let (upstream, gateway) = start_with(", semantic_cache_embedding_timeout: 0.2", hangs);
    let client = Client::of(&gateway);
    let began = Instant::now();
    for number in 0..6 {
        miss(&client, &format!("{QUESTION} {number}"), json!({}));
    }
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    assert_eq!((embedded(&upstream), asked(&upstream)), (3, 6));
}

#[test]
fn a_store_that_is_away_costs_only_the_hit() {
    let (upstream, gateway) = start("");
    drop(gateway);
    let models = deployment("m", "openai/gpt-4o", &upstream, "")
        + &deployment("embedder", "openai/text-embedding-3-small", &upstream, "");
    for place in [
        "type: qdrant-semantic, qdrant_api_base: 'http://127.0.0.1:1', qdrant_collection_name: c, qdrant_semantic_cache_embedding_model: embedder",
        "type: redis-semantic, url: 'redis://127.0.0.1:1', redis_semantic_cache_embedding_model: embedder",
    ] {
        let gateway = Gateway::start(&format!(
            "litellm_settings:\n  cache: true\n  cache_params: {{{place}, similarity_threshold: 0.9}}\nmodel_list:\n{models}"
        ));
        let client = Client::of(&gateway);
        miss(&client, QUESTION, json!({}));
        miss(&client, PARAPHRASE, json!({}));
        assert!(is_hit(&ask(&client, QUESTION, json!({}))), "{place}: the same question");
    }
}

#[test]
fn what_has_a_picture_in_it_is_not_compared() {
    let (upstream, gateway) = start("");
    let client = Client::of(&gateway);
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}});
    let content = json!([{"type": "text", "text": QUESTION}, picture]);
    miss(&client, "", json!({"messages": [{"role": "user", "content": content}]}));
    assert_eq!((embedded(&upstream), asked(&upstream)), (0, 1));
}
