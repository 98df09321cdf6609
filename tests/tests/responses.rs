//! OpenAI Responses over every kind of upstream, and conversations that go on.

use gatewright_tests::answer::events;
use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, MASTER, Setup, deployment};
use gatewright_tests::upstream::{Said, Script, Upstream};
use serde_json::{Value, json};

/// One deployment that speaks Responses itself, one that chats, one of Anthropic's, and one that is asked in Responses
/// whatever its clients speak.
fn serving(upstream: &Upstream, more: &str) -> Gateway {
    Setup::new(format!("{more}{}{MASTER}", models(upstream))).start()
}

fn models(upstream: &Upstream) -> String {
    let list = [
        deployment("native", "openai/gpt-4o", upstream, ""),
        deployment("chat", "groq/llama-3.3-70b-versatile", upstream, ""),
        deployment("claude", "anthropic/claude-sonnet-4-5", upstream, ""),
        deployment("bridged", "openai/responses/gpt-4o", upstream, ""),
    ];
    format!("model_list:\n{}", list.concat())
}

fn text(response: &Value) -> String {
    let items = response["output"].as_array().into_iter().flatten();
    let parts = items.flat_map(|item| item["content"].as_array().into_iter().flatten());
    parts.filter_map(|part| part["text"].as_str()).collect()
}

/// The whole response at the end of a stream whose events are numbered without a gap.
fn streamed(body: &[u8]) -> Value {
    let events = events(body);
    let told: Vec<Value> = events.iter().map(|(_, data)| serde_json::from_str(data).unwrap()).collect();
    for (at, ((name, _), event)) in events.iter().zip(&told).enumerate() {
        assert_eq!((&event["type"], &event["sequence_number"]), (&json!(name), &json!(at)));
    }
    told.last().unwrap()["response"].clone()
}

#[test]
fn every_upstream_answers_a_client_of_responses() {
    let upstream = Upstream::start();
    let gateway = serving(&upstream, "");
    let client = Client::of(&gateway);
    for (model, path) in [
        ("native", "/v1/responses"),
        ("chat", "/v1/chat/completions"),
        ("claude", "/v1/messages"),
        ("bridged", "/v1/responses"),
    ] {
        for at in ["/v1/responses", "/responses", "/openai/v1/responses"] {
            let response = client.post(at, &json!({"model": model, "input": "n=3 in=7 out=4"}));
            assert_eq!(response.status, 200, "{model}: {}", response.text());
            let told = response.json();
            assert_eq!((text(&told).as_str(), &told["model"]), ("w0 w1 w2 ", &json!(model)));
            assert_eq!(told["usage"]["input_tokens"], 7, "{model}");
            assert_eq!(upstream.last().path, path, "{model}");
        }
        let asked =
            json!({"model": model, "input": "n=3 in=7 out=4", "stream": true, "metadata": {"a": "b"}});
        let told = streamed(&client.post("/v1/responses", &asked).body);
        assert_eq!((text(&told).as_str(), &told["status"]), ("w0 w1 w2 ", &json!("completed")), "{model}");
        assert_eq!(told["usage"]["output_tokens"], 4, "{model}");
    }
}

#[test]
fn an_address_that_ends_as_the_chats_does_is_no_other_place() {
    let upstream = Upstream::start();
    let params = json!({"model": "openai/gpt-4o", "api_base": format!("{}/v1/chat/completions", upstream.base()), "api_key": "k"});
    let entry = json!({"model_name": "m", "litellm_params": params});
    let gateway = Gateway::start(&format!("model_list:\n  - {entry}\n"));
    let client = Client::of(&gateway);
    assert_eq!(client.post("/v1/responses", &json!({"model": "m", "input": "hi"})).status, 200);
    assert_eq!(upstream.last().path, "/v1/responses");
    assert_eq!(client.chat("m", "hi").status, 200);
    assert_eq!(upstream.last().path, "/v1/chat/completions");
}

#[test]
fn tools_are_called_over_every_upstream() {
    let upstream = Upstream::start();
    let gateway = serving(&upstream, "");
    let client = Client::of(&gateway);
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tools = json!([{"type": "function", "name": "look", "parameters": schema, "strict": false}]);
    for model in ["native", "chat", "claude", "bridged"] {
        for stream in [false, true] {
            let asked = json!({"model": model, "input": "tool=1 n=0", "tools": tools, "stream": stream});
            let response = client.post("/v1/responses", &asked);
            let told = if stream { streamed(&response.body) } else { response.json() };
            let items: Vec<&Value> = told["output"].as_array().unwrap().iter().collect();
            let call = items.iter().find(|item| item["type"] == "function_call").unwrap();
            assert_eq!((&call["call_id"], &call["name"]), (&json!("call_0"), &json!("look")), "{model}");
            let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
            assert_eq!(arguments["city"], "Paris", "{model} {stream}");
        }
    }
}

#[test]
fn a_client_of_chats_is_served_through_responses_where_the_model_says_so() {
    let upstream = Upstream::start();
    let gateway = serving(&upstream, "");
    let client = Client::of(&gateway);
    let asked = json!({"model": "bridged", "messages": [{"role": "user", "content": "n=2"}]});
    let response = client.post("/v1/chat/completions", &asked);
    assert_eq!(response.json()["choices"][0]["message"]["content"], "w0 w1 ", "{}", response.text());
    let sent = upstream.last();
    assert_eq!((sent.path.as_str(), &sent.json()["model"]), ("/v1/responses", &json!("gpt-4o")));
    // The price is that of the model, whatever it is asked through.
    assert_eq!(response.header("x-litellm-response-cost").parse::<f64>().ok(), Some(7.5e-5));
}

#[test]
fn an_upstreams_error_is_told_in_a_stream_too() {
    let upstream = Upstream::start();
    let gateway = serving(&upstream, "router_settings: {num_retries: 0, disable_cooldowns: true}\n");
    let client = Client::of(&gateway);
    for model in ["native", "chat", "claude"] {
        let response = client.post("/v1/responses", &json!({"model": model, "input": "status=400"}));
        assert_eq!(
            (response.status, response.json()["error"]["message"].is_string()),
            (400, true),
            "{model}"
        );
        let response =
            client.post("/v1/responses", &json!({"model": model, "input": "error=6 n=9", "stream": true}));
        let told = events(&response.body);
        assert_eq!(told.last().unwrap().0, "error", "{model}: {}", response.text());
    }
}

#[test]
fn a_conversation_goes_on_over_upstreams_that_keep_nothing() {
    let upstream = Upstream::start();
    let gateway = serving(&upstream, "");
    let client = Client::of(&gateway);
    for model in ["chat", "claude"] {
        for stream in [false, true] {
            let ask = |input: Value, previous: &Value| {
                let asked = json!({"model": model, "input": input, "previous_response_id": previous, "stream": stream,
                                   "instructions": "be brief"});
                let response = client.post("/v1/responses", &asked);
                assert_eq!(response.status, 200, "{}", response.text());
                if stream { streamed(&response.body) } else { response.json() }
            };
            let first = ask(json!("first n=1"), &Value::Null);
            let second = ask(json!([{"role": "user", "content": "second n=2"}]), &first["id"]);
            assert_eq!(second["previous_response_id"], first["id"]);
            ask(json!("third"), &second["id"]);
            let sent = upstream.last().json();
            let turns: Vec<String> = sent["messages"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|turn| turn["role"] != "system")
                .map(|turn| match &turn["content"] {
                    Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
                    other => other.as_str().unwrap_or_default().to_owned(),
                })
                .map(|text| text.trim_end().to_owned())
                .collect();
            assert_eq!(turns, ["first n=1", "w0", "second n=2", "w0 w1", "third"], "{model} {stream}");
            assert!(sent.get("previous_response_id").is_none());
            // From an earlier answer it may go on in another way, and over another model.
            let asked = json!({"model": "native", "input": "other", "previous_response_id": first["id"]});
            assert_eq!(client.post("/v1/responses", &asked).status, 200);
            assert_eq!(upstream.last().json()["input"].as_array().unwrap().len(), 3);
        }
    }
}

#[test]
fn an_answer_that_is_not_stored_is_not_found() {
    let upstream = Upstream::start();
    let gateway = serving(&upstream, "");
    let client = Client::of(&gateway);
    let first =
        client.post("/v1/responses", &json!({"model": "claude", "input": "hi", "store": false})).json();
    for id in [first["id"].clone(), json!("resp_nobody")] {
        let asked = json!({"model": "claude", "input": "on", "previous_response_id": id});
        let response = client.post("/v1/responses", &asked);
        let error = &response.json()["error"];
        assert_eq!((response.status, &error["code"]), (400, &json!("previous_response_not_found")));
        assert_eq!(error["param"], "previous_response_id");
        assert_eq!(client.get(&format!("/v1/responses/{}", id.as_str().unwrap())).status, 404);
    }
}

#[test]
fn another_tenants_answer_is_not_found() {
    let upstream = Upstream::start();
    let gateway = serving(&upstream, "");
    let admin = Client::of(&gateway);
    let made = |body: Value| admin.post("/key/generate", &body).json()["key"].as_str().unwrap().to_owned();
    let team = admin.post("/team/new", &json!({})).json()["team_id"].clone();
    let [mine, mates] = [(); 2].map(|()| Client::with_key(&gateway, &made(json!({"team_id": team}))));
    let other = Client::with_key(&gateway, &made(json!({})));
    for model in ["claude", "native"] {
        let first = mine.post("/v1/responses", &json!({"model": model, "input": "secret"})).json();
        let path = format!("/v1/responses/{}", first["id"].as_str().unwrap());
        let on = json!({"model": model, "input": "on", "previous_response_id": first["id"]});
        for (client, status) in [(&mine, 200), (&mates, 200), (&other, 400)] {
            assert_eq!(client.post("/v1/responses", &on).status, status, "{model}");
        }
        let before = upstream.seen().len();
        assert_eq!(other.get(&path).status, 404);
        assert_eq!(other.get(&format!("{path}/input_items")).status, 404);
        assert_eq!(other.delete(&path).status, 404);
        assert_eq!(upstream.seen().len(), before, "and nobody was asked");
        assert_eq!(mates.get(&path).status, 200);
    }
}

#[test]
fn a_kept_answer_can_be_read_and_forgotten() {
    let upstream = Upstream::start();
    let gateway = serving(&upstream, "");
    let client = Client::of(&gateway);
    let first = client.post("/v1/responses", &json!({"model": "claude", "input": "hi"})).json();
    let path = format!("/v1/responses/{}", first["id"].as_str().unwrap());
    assert_eq!(client.get(&path).json(), first);
    let items = client.get(&format!("{path}/input_items")).json();
    assert_eq!(items["data"][0]["content"][0]["text"], "hi");
    assert_eq!(client.post(&format!("{path}/cancel"), &json!({})).status, 400);
    assert_eq!(client.delete(&path).json()["deleted"], true);
    assert_eq!(client.get(&path).status, 404);
}

#[test]
fn what_an_upstream_keeps_is_asked_of_the_deployment_that_has_it() {
    let (one, two) = (Upstream::start(), Upstream::start());
    let list = [deployment("m", "openai/gpt-4o", &one, ""), deployment("m", "openai/gpt-4o", &two, "")];
    let gateway = Gateway::start(&format!("model_list:\n{}", list.concat()));
    let client = Client::of(&gateway);
    let ids = |upstream: &Upstream| upstream.seen().len();
    for _ in 0..6 {
        let before = (ids(&one), ids(&two));
        let first = client.post("/v1/responses", &json!({"model": "m", "input": "hi"})).json();
        let has = if ids(&one) > before.0 { &one } else { &two };
        // Both number their answers alike, so that only the last of an id is remembered.
        let on = json!({"model": "m", "input": "on", "previous_response_id": first["id"]});
        assert_eq!(client.post("/v1/responses", &on).status, 200);
        assert_eq!(has.last().json()["previous_response_id"], first["id"]);
        let path = format!("/v1/responses/{}", first["id"].as_str().unwrap());
        has.push(Script::says(Said::words(1)));
        assert_eq!(client.get(&format!("{path}?include[]=x")).status, 200);
        let asked = has.last();
        assert_eq!(
            (asked.method.as_str(), asked.path.as_str()),
            ("GET", format!("{path}?include[]=x").as_str())
        );
        assert_eq!(asked.header("authorization"), "Bearer sk-upstream");
    }
}

#[test]
fn answers_in_the_database_outlive_a_restart() {
    let upstream = Upstream::start();
    for (store, status) in [("database", 200), ("memory", 400)] {
        let config = format!("{}{MASTER}  response_store: {store}\n", models(&upstream));
        let mut gateway = Setup::new(config).start();
        let client = Client::of(&gateway);
        let first = client.post("/v1/responses", &json!({"model": "claude", "input": "hi"})).json();
        gateway.kill();
        gateway.restart();
        let on = json!({"model": "claude", "input": "on", "previous_response_id": first["id"]});
        let client = Client::of(&gateway);
        assert_eq!(client.post("/v1/responses", &on).status, status, "{store}");
        let path = format!("/v1/responses/{}", first["id"].as_str().unwrap());
        if status == 200 {
            assert_eq!(client.delete(&path).status, 200);
        }
        assert_eq!(client.get(&path).status, 404);
    }
}

#[test]
fn the_background_needs_an_upstream_that_has_one() {
    let upstream = Upstream::start();
    let gateway = serving(&upstream, "");
    let client = Client::of(&gateway);
    let asked = |model: &str| json!({"model": model, "input": "hi", "background": true});
    assert_eq!(client.post("/v1/responses", &asked("native")).status, 200);
    assert_eq!(upstream.last().json()["background"], true);
    let response = client.post("/v1/responses", &asked("claude"));
    assert_eq!((response.status, &response.json()["error"]["param"]), (400, &json!("background")));
}
