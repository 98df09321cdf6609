//! The price map through the whole gateway: what calls cost before and after it, and what a bad one changes.
#![cfg(test)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread;

use gatewright_tests::client::{Client, Response, chat};
use gatewright_tests::gateway::{Gateway, MASTER, Setup, deployment, poll};
use gatewright_tests::upstream::{Answer, Ends, Gate, MOMENT, Pause, Said, Script, Stop, Upstream, Used};
use serde_json::{Map, Value, json};

/// Where the map is.
const URL: &str = "LITELLM_MODEL_COST_MAP_URL";

/// A web server with one file, and what it answers for it now.
struct Shop {
    server: Upstream,
    now: Arc<Mutex<Script>>,
}

impl Shop {
    fn open(first: Script) -> Self {
        let (server, now) = (Upstream::start(), Arc::new(Mutex::new(first)));
        let told = now.clone();
        server.choose(move |_| Some(told.lock().unwrap().clone()));
        Self { server, now }
    }

    fn url(&self) -> String {
        format!("{}/prices.json?token=hush", self.server.base())
    }

    fn answer(&self, script: Script) {
        *self.now.lock().unwrap() = script;
    }
}

fn file(body: impl Into<Vec<u8>>) -> Script {
    let answer = Answer::Raw { content_type: "text/plain".into(), body: body.into().into() };
    Script { answer, ..Script::default() }
}

/// A map in which a token of `gpt-4o` costs so much, whether it is read or written.
fn map(price: Value) -> Vec<u8> {
    let row = |price: &Value| {
        json!({
            "litellm_provider": "openai", "mode": "chat", "input_cost_per_token": price,
            "output_cost_per_token": price, "source": "https://prices.test"
        })
    };
    let mut map: Map<String, Value> = (0..60).map(|n| (format!("some-{n}"), row(&json!(1e-9)))).collect();
    map.insert("gpt-4o".into(), row(&price));
    map.insert("gpt-99".into(), row(&price));
    map.insert("nameless".into(), row(&price));
    serde_json::to_vec(&map).unwrap()
}

/// Ten tokens read and ten written by every answer.
fn upstream() -> Upstream {
    let upstream = Upstream::start();
    let used = Used { input: 10, output: 10, ..Used::default() };
    upstream.choose(move |_| Some(Script::says(Said { used, ..Said::words(2) })));
    upstream
}

fn models(upstream: &Upstream) -> String {
    let own = "input_cost_per_token: 0.5, output_cost_per_token: 0.5";
    let list = [
        deployment("mapped", "openai/gpt-4o", upstream, ""),
        deployment("new", "openai/gpt-99", upstream, ""),
        deployment("other", "openai/gpt-4o-mini", upstream, ""),
        deployment("own", "openai/gpt-4o", upstream, own),
        deployment("openai/*", "openai/*", upstream, ""),
    ];
    format!("model_list:\n{}", list.concat())
}

fn costs(client: &Client) -> HashMap<&'static str, String> {
    ["mapped", "new", "other", "own", "openai/gpt-4o"]
        .into_iter()
        .map(|model| {
            let answer = client.chat(model, "hi");
            assert_eq!(answer.status, 200, "{model}: {}", answer.text());
            (model, answer.header("x-litellm-response-cost").to_owned())
        })
        .collect()
}

/// What each costs by the shipped prices; of `new` nobody knows.
fn shipped() -> HashMap<&'static str, String> {
    let costs = [
        ("mapped", "0.000125"),
        ("new", "0.0"),
        ("other", "0.0000075"),
        ("own", "10.0"),
        ("openai/gpt-4o", "0.000125"),
    ];
    costs.map(|(model, cost)| (model, cost.to_owned())).into()
}

/// The same with a map in which `gpt-4o` and `gpt-99` cost this.
fn with(cost: &str) -> HashMap<&'static str, String> {
    let mut costs = shipped();
    costs.extend(["mapped", "new", "openai/gpt-4o"].map(|model| (model, cost.to_owned())));
    costs
}

fn reload(client: &Client) -> Response {
    client.post("/reload/model_cost_map", &json!({}))
}

#[test]
fn a_good_map_prices_calls_and_a_bad_one_changes_nothing() {
    let (upstream, shop) = (upstream(), Shop::open(file(map(json!(1e-3)))));
    let config = format!("{}{MASTER}", models(&upstream));
    let gateway = Setup::new(config).env(URL, &shop.url()).start();
    let client = Client::of(&gateway);
    assert_eq!(costs(&client), with("0.02"));
    shop.answer(file(map(json!(2e-3))));
    let told = reload(&client);
    assert_eq!(told.status, 200, "{}", told.text());
    assert_eq!(
        (told.json()["status"].as_str(), told.json()["models_count"].as_u64()),
        (Some("success"), Some(63))
    );
    assert_eq!(costs(&client), with("0.04"));
    let info = client.get("/model/info").json();
    let new = info["data"].as_array().unwrap().iter().find(|model| model["model_name"] == "new").unwrap();
    assert_eq!(new["model_info"]["input_cost_per_token"], json!(2e-3));
    assert_eq!(new["model_info"]["source"], "https://prices.test");

    let whole = map(json!(3e-3));
    let cut = Stop { after: 0, how: Ends::CutInside(1000) };
    for (bad, why) in [
        (file(&whole[..whole.len() / 2]), "it is no JSON object"),
        (Script { stop: Some(cut), ..file(whole.clone()) }, ""),
        (file(map(json!(-1e-3))), "cost_per_token is not a price in dollars: -0.001"),
        (file("{}"), "fewer than 50 are no price map"),
        (Script { status: 404, ..file(whole.clone()) }, "the status 404"),
        (Script { status: 302, ..file(whole.clone()) }, "the status 302"),
        (Script { cut_before_head: true, ..Script::default() }, ""),
    ] {
        shop.answer(bad.clone());
        let told = reload(&client);
        assert_eq!(told.status, 502, "{bad:?}: {}", told.text());
        let detail = told.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(why) && detail.contains("Current pricing data was kept"), "{detail}");
        assert!(gateway.log().contains(why), "{why}: {}", gateway.log());
        assert_eq!(costs(&client), with("0.04"), "{bad:?}");
        let source = client.get("/model/cost_map/source").json();
        assert!(source["source"] == "remote" && source["fallback_reason"].is_string(), "{source}");
        assert_eq!(source["url"], format!("{}/prices.json", shop.server.base()), "no secret is shown");
    }
    assert!(!gateway.log().contains("hush"), "{}", gateway.log());
    shop.answer(file(whole));
    assert_eq!(reload(&client).status, 200);
    assert_eq!(costs(&client), with("0.06"));
    assert_eq!(client.get("/model/cost_map/source").json()["fallback_reason"], Value::Null);
}

#[test]
fn a_reload_drops_no_call_and_what_is_under_way_keeps_its_price() {
    let (upstream, gate) = (upstream(), Gate::default());
    let shop = Shop::open(file(map(json!(1e-3))));
    let gateway = Setup::new(format!("{}{MASTER}", models(&upstream))).env(URL, &shop.url()).start();
    let client = Client::of(&gateway);
    let held = gate.clone();
    upstream.choose(move |_| {
        let used = Used { input: 10, output: 10, ..Used::default() };
        let script = Script::says(Said { used, ..Said::words(2) });
        Some(Script { before_head: Pause::Gate(held.clone()), ..script })
    });
    thread::scope(|scope| {
        let running = scope.spawn(|| client.chat("mapped", "hi"));
        upstream.wait_for_requests(1);
        shop.answer(file(map(json!(2e-3))));
        assert_eq!(reload(&client).status, 200);
        gate.open();
        let answer = running.join().unwrap();
        assert_eq!((answer.status, answer.header("x-litellm-response-cost")), (200, "0.02"));
    });
    assert_eq!(client.chat("mapped", "hi").header("x-litellm-response-cost"), "0.04");
}

#[test]
fn a_map_that_does_not_come_delays_nobody_and_counts_when_it_does() {
    let (upstream, gate) = (upstream(), Gate::default());
    let late = Script { before_head: Pause::Gate(gate.clone()), ..file(map(json!(1e-3))) };
    let shop = Shop::open(late);
    let gateway = Setup::new(format!("{}{MASTER}", models(&upstream))).env(URL, &shop.url()).start();
    let client = Client::of(&gateway);
    assert_eq!(costs(&client), shipped());
    gate.open();
    let come = || (client.get("/model/cost_map/source").json()["source"] == "remote").then_some(());
    assert!(poll(MOMENT, come).is_some(), "{}", gateway.log());
    assert_eq!(costs(&client), with("0.02"));
}

#[test]
fn a_file_is_a_map_too_and_the_environment_can_keep_what_is_shipped() {
    let upstream = upstream();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.json");
    let named =
        format!("general_settings:\n  store_model_in_db: true\n  model_cost_map: \"{}\"\n", path.display());
    let config = format!("{}{}", models(&upstream), MASTER.replace("general_settings:\n", &named));
    let gateway = Setup::new(config.clone()).env(URL, "http://127.0.0.1:1/never").start();
    let client = Client::of(&gateway);
    assert_eq!(costs(&client), shipped(), "there is no such file yet");
    std::fs::write(&path, map(json!(1e-3))).unwrap();
    assert_eq!(reload(&client).status, 200);
    assert_eq!(costs(&client), with("0.02"));
    assert_eq!(client.get("/model/cost_map/source").json()["source"], "file");
    gateway.reread(&config.replace("model_name: new", "model_name: newer"));
    assert!(poll(MOMENT, || (client.chat("newer", "hi").status == 200).then_some(())).is_some());
    assert_eq!(
        client.chat("newer", "hi").header("x-litellm-response-cost"),
        "0.02",
        "the map outlives a reread"
    );
    let params =
        json!({"model": "nameless", "api_base": format!("{}/v1", upstream.base()), "api_key": "sk-x"});
    client.made("/model/new", json!({"model_name": "stored", "litellm_params": params}));
    let groups = client.get("/model_group/info").json();
    let stored = groups["data"].as_array().unwrap().iter().find(|group| group["model_group"] == "stored");
    assert_eq!(stored.unwrap()["providers"], json!(["openai"]), "only the map knows whose model that is");

    let gateway = Setup::new(config).env("LITELLM_LOCAL_MODEL_COST_MAP", "True").start();
    let client = Client::of(&gateway);
    assert_eq!(costs(&client), shipped());
    assert_eq!(reload(&client).status, 400);
    assert_eq!(client.get("/model/cost_map/source").json()["is_env_forced"], true);
}

#[test]
fn administrators_alone_load_it_and_say_how_often() {
    let (upstream, shop) = (upstream(), Shop::open(file(map(json!(1e-3)))));
    let gateway = Setup::new(format!("{}{MASTER}", models(&upstream))).env(URL, &shop.url()).start();
    let client = Client::of(&gateway);
    let key = client.made("/key/generate", json!({}))["key"].as_str().unwrap().to_owned();
    let other = Client::with_key(&gateway, &key);
    assert_eq!(other.post("/v1/chat/completions", &chat("mapped", "hi", json!({}))).status, 200);
    assert_eq!(reload(&other).status, 401);
    assert_eq!(other.get("/schedule/model_cost_map_reload/status").status, 401);
    assert_eq!(other.get("/model/cost_map/source").status, 403);
    let status = || client.get("/schedule/model_cost_map_reload/status").json();
    assert_eq!((&status()["scheduled"], &status()["next_run"]), (&json!(false), &Value::Null));
    assert!(status()["last_run"].is_string(), "{}", status());
    for bad in ["?hours=0", "?hours=-1", "?hours=many"] {
        assert_eq!(
            client.post(&format!("/schedule/model_cost_map_reload{bad}"), &json!({})).status,
            400,
            "{bad}"
        );
    }
    assert_eq!(client.post("/schedule/model_cost_map_reload", &json!({})).status, 422);
    assert_eq!(client.made("/schedule/model_cost_map_reload?hours=6", json!({}))["interval_hours"], 6);
    assert_eq!((&status()["scheduled"], &status()["interval_hours"]), (&json!(true), &json!(6)));
    assert!(status()["next_run"].is_string(), "{}", status());
    let gone = client.open("DELETE", "/schedule/model_cost_map_reload", b"").unwrap().finish();
    assert_eq!((gone.status, &status()["scheduled"]), (200, &json!(false)));

    let gateway = Gateway::start(&models(&upstream));
    let client = Client::of(&gateway);
    let told = reload(&client);
    assert!(told.status == 400 && told.text().contains(URL), "{}", told.text());
    assert_eq!(client.get("/model/cost_map/source").json()["source"], "local");
}
