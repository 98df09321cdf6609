//! What an operator says about the parameters of a deployment's requests.

use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment, model};
use gatewright_tests::upstream::Upstream;
use serde_json::{Value, json};

#[test]
fn a_field_that_the_operator_insists_on_is_sent_whatever_is_known_of_the_provider() {
    let upstream = Upstream::start();
    let insists =
        deployment("insists", "groq/llama-3.3-70b-versatile", &upstream, "allowed_openai_params: [top_k]");
    let translated =
        deployment("claude", "anthropic/claude-sonnet-4-5", &upstream, "allowed_openai_params: [seed]");
    let list = model("plain", "groq/llama-3.3-70b-versatile", &upstream) + &insists + &translated;
    let gateway = Gateway::start(&list);
    let client = Client::of(&gateway);
    for (name, dropped, sent) in
        [("plain", "top_k", json!([null, 7])), ("insists", "", json!([5, 7])), ("claude", "", json!([5, 7]))]
    {
        let response = client.post("/v1/chat/completions", &chat(name, "hi", json!({"top_k": 5, "seed": 7})));
        assert_eq!(response.status, 200, "{name}: {}", response.text());
        assert_eq!(response.header("x-gatewright-dropped-params"), dropped, "{name}");
        let body = upstream.last().json();
        assert_eq!(json!([body["top_k"], body["seed"]]), sent, "{name}");
    }
}

/// What these providers' own pages say they do not take, with a value for each field.
fn refused() -> Vec<(&'static str, Value)> {
    let bias = json!({"1": 1});
    vec![
        ("openai/gpt-4o", json!({"top_k": 5, "reasoning_effort": "low"})),
        ("openai/gpt-5", json!({"temperature": 0.5, "top_p": 0.9, "stop": "X"})),
        ("mistral/mistral-large-latest", json!({"user": "u", "logit_bias": bias, "store": true})),
        ("codestral/codestral-latest", json!({"n": 2, "presence_penalty": 1, "user": "u"})),
        ("groq/llama-3.3-70b-versatile", json!({"logprobs": true, "store": true, "top_k": 5})),
        ("fireworks_ai/accounts/fireworks/models/gpt-oss-120b", json!({"store": true, "verbosity": "low"})),
        ("xai/grok-4", json!({"presence_penalty": 1, "stop": "X", "reasoning_effort": "low"})),
        (
            "cerebras/llama-3.3-70b",
            json!({"frequency_penalty": 1, "logit_bias": bias, "parallel_tool_calls": false}),
        ),
        ("sambanova/DeepSeek-V3.1", json!({"seed": 1, "n": 2, "logprobs": true, "user": "u"})),
        ("nvidia_nim/meta/llama-3.3-70b-instruct", json!({"user": "u", "logit_bias": bias})),
        ("ai21_chat/jamba-large", json!({"user": "u", "logprobs": true, "presence_penalty": 1})),
        ("databricks/dbrx", json!({"seed": 1, "logit_bias": bias, "parallel_tool_calls": false})),
        ("anthropic/claude-sonnet-4-5", json!({"seed": 1, "logit_bias": bias, "frequency_penalty": 1})),
        ("bedrock/amazon.nova-pro-v1:0", json!({"seed": 1, "user": "u", "reasoning_effort": "low"})),
        ("gemini/gemini-2.5-flash", json!({"logit_bias": bias, "user": "u", "store": true})),
        ("cohere/command-a-03-2025", json!({"logit_bias": bias, "user": "u", "n": 2})),
        ("ollama/llama3.2", json!({"logit_bias": bias, "user": "u", "n": 2})),
    ]
}

#[test]
fn what_a_provider_does_not_take_is_dropped_and_told_or_the_call_is_refused() {
    let upstream = Upstream::start();
    let all = refused();
    let names = |fields: &Value| fields.as_object().unwrap().keys().cloned().collect::<Vec<String>>();
    let entry = |suffix: &str, model: &str, more: Value| {
        let mut params = json!({"model": model, "api_base": upstream.base(), "api_key": "sk-upstream"});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"model_name": format!("{suffix}:{model}"), "litellm_params": params})
    };
    let mut list = Vec::new();
    for (model, fields) in &all {
        let strict = |field: &str| json!({"drop_params": false, field: names(fields)});
        list.push(entry("drops", model, json!({"drop_params": true})));
        list.push(entry("strict", model, json!({"drop_params": false})));
        list.push(entry("insists", model, strict("allowed_openai_params")));
        list.push(entry("omits", model, strict("additional_drop_params")));
    }
    let file = json!({
        "general_settings": {"master_key": MASTER_KEY}, "router_settings": {"num_retries": 0}, "model_list": list,
    });
    let gateway = Setup::new(file.to_string()).start();
    let client = Client::of(&gateway);
    for (model, fields) in &all {
        let ask = |deployment: &str, more: Value| {
            let mut body = chat(&format!("{deployment}:{model}"), "n=1", fields.clone());
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            client.post("/v1/chat/completions", &body)
        };
        let dropped = |deployment: &str, more: Value, told: &[String]| {
            let answer = ask(deployment, more);
            assert_eq!(answer.status, 200, "{deployment} {model}: {}", answer.text());
            let header = answer.header("x-gatewright-dropped-params").to_owned();
            let mut lost: Vec<String> =
                header.split(", ").map(str::to_owned).filter(|name| !name.is_empty()).collect();
            lost.sort();
            assert_eq!(lost, told, "{deployment} {model}");
            let sent = upstream.last().json();
            names(fields)
                .into_iter()
                .for_each(|name| assert_eq!(sent.get(&name), None, "{deployment} {model} {sent}"));
        };
        let insisted = |deployment: &str, more: Value| {
            let answer = ask(deployment, more);
            assert_eq!(answer.status, 200, "{deployment} {model}: {}", answer.text());
            assert_eq!(answer.header("x-gatewright-dropped-params"), "", "{deployment} {model}");
            let sent = upstream.last().json();
            names(fields)
                .into_iter()
                .for_each(|name| assert_eq!(sent[&name], fields[&name], "{deployment} {model}"));
        };
        let mut all_names = names(fields);
        all_names.sort();
        dropped("drops", json!({}), &all_names);
        dropped("strict", json!({"drop_params": true}), &all_names);
        for (deployment, more) in [("strict", json!({})), ("drops", json!({"drop_params": false}))] {
            let before = upstream.seen().len();
            let answer = ask(deployment, more);
            assert_eq!((answer.status, upstream.seen().len()), (400, before), "{model}: {}", answer.text());
            let told = answer.json()["error"].clone();
            let words = told["message"].as_str().unwrap();
            let (_, at_the_provider) = model.split_once('/').unwrap();
            for name in names(fields).iter().map(String::as_str).chain([at_the_provider]) {
                assert!(words.contains(name), "{model} {name}: {words}");
            }
            assert!(all_names.iter().any(|name| told["param"] == **name), "{told}");
        }
        insisted("insists", json!({}));
        insisted("strict", json!({"allowed_openai_params": names(fields)}));
        dropped("omits", json!({}), &[]);
        dropped("strict", json!({"additional_drop_params": names(fields)}), &[]);
        // Who names a field in both lists does not want it.
        dropped("insists", json!({"additional_drop_params": names(fields)}), &[]);
    }
}

#[test]
fn fields_inside_of_others_are_left_out_by_their_paths() {
    let upstream = Upstream::start();
    let paths =
        "additional_drop_params: ['tools[*].function.strict'; 'messages[0].name'; response_format; stop]";
    let omits = |name: &str, model: &str| {
        deployment(name, model, &upstream, "") + &format!("      {}\n", paths.replace(';', ","))
    };
    let list = [omits("gpt", "openai/gpt-4o"), omits("claude", "anthropic/claude-sonnet-4-5")].concat();
    let gateway = Gateway::start(&format!("model_list:\n{list}"));
    let client = Client::of(&gateway);
    let look = json!({"type": "function", "function": {
        "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": true,
    }});
    let more = json!({
        "tools": [look, look], "response_format": {"type": "json_object"}, "stop": ["X"],
        "messages": [{"role": "user", "name": "ann", "content": "hi"}],
        "additional_drop_params": ["tools[1]"],
    });
    let [gpt, claude] = ["gpt", "claude"].map(|name| {
        let answer = client.post("/v1/chat/completions", &chat(name, "", more.clone()));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-gatewright-dropped-params"), "", "{name}");
        upstream.last().json()
    });
    let function = json!({"name": "look", "parameters": {"type": "object", "properties": {}}});
    assert_eq!(gpt["tools"], json!([{"type": "function", "function": function}]));
    assert_eq!(gpt["messages"], json!([{"role": "user", "content": "hi"}]));
    let tool = json!({"name": "look", "input_schema": {"type": "object", "properties": {}}});
    assert_eq!(claude["tools"], json!([tool]));
    // What OpenAI's clients call `stop` has another name there.
    for (sent, field) in
        [(&gpt, "response_format"), (&gpt, "stop"), (&claude, "stop_sequences"), (&claude, "system")]
    {
        assert_eq!(sent.get(field), None, "{field}: {sent}");
    }
}

/// A conversation that Anthropic's API refuses in every way that can be mended.
fn broken() -> Value {
    let call =
        |id: &str| json!({"id": id, "type": "function", "function": {"name": "look", "arguments": "{}"}});
    json!([
        {"role": "assistant", "content": "How can I help?"},
        {"role": "user", "content": "look"},
        {"role": "assistant", "tool_calls": [call("a"), call("b")]},
        {"role": "tool", "tool_call_id": "a", "content": "fine"},
        {"role": "tool", "tool_call_id": "z", "content": "whose?"},
        {"role": "assistant", "content": "done"},
        {"role": "user", "content": "  "},
    ])
}

#[test]
fn a_conversation_that_would_be_refused_is_repaired_where_somebody_says_so() {
    let upstream = Upstream::start();
    let deployments = |more: &str| {
        deployment("claude", "anthropic/claude-3-haiku-20240307", &upstream, more)
            + &deployment("nova", "bedrock/amazon.nova-pro-v1:0", &upstream, more)
            + &deployment("gpt", "openai/gpt-4o", &upstream, more)
    };
    let settings = [
        ("litellm_settings: {modify_params: true}\n", "", None, json!({}), true),
        ("", "modify_params: true", None, json!({}), true),
        ("", "", Some("True"), json!({}), true),
        ("", "", None, json!({"modify_params": true}), true),
        ("", "", None, json!({}), false),
        ("litellm_settings: {modify_params: true}\n", "modify_params: false", Some("True"), json!({}), false),
    ];
    for (global, own, env, asked, repaired) in settings {
        let config = format!(
            "{global}general_settings: {{master_key: {MASTER_KEY}}}\nmodel_list:\n{}",
            deployments(own)
        );
        let setup = env
            .into_iter()
            .fold(Setup::new(config), |setup, value| setup.env("LITELLM_MODIFY_PARAMS", value));
        let gateway = setup.start();
        assert!(!gateway.log().contains("modify_params"), "{}", gateway.log());
        let client = Client::of(&gateway);
        let ask = |model: &str| {
            let mut body = json!({"model": model, "messages": broken(), "max_tokens": 999_999});
            body.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
            let answer = client.post("/v1/chat/completions", &body);
            assert_eq!(answer.status, 200, "{}", answer.text());
            upstream.last().json()
        };
        let claude = ask("claude");
        let roles: Vec<&str> = claude["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|said| said["role"].as_str().unwrap())
            .collect();
        let results = |sent: &Value| sent.to_string().matches("whose?").count();
        if !repaired {
            assert_eq!(
                (roles[0], results(&claude), &claude["max_tokens"]),
                ("assistant", 1, &json!(999_999))
            );
            assert_eq!((results(&ask("nova")), &ask("gpt")["messages"]), (1, &broken()));
            continue;
        }
        assert_eq!(roles, ["user", "assistant", "user", "assistant", "user", "assistant", "user"]);
        let answered: Vec<&Value> = claude["messages"][4]["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(|block| &block["tool_use_id"])
            .collect();
        assert_eq!(answered, ["b", "a"], "{claude}");
        assert_eq!((results(&claude), &claude["messages"][6]["content"]), (0, &json!(".")));
        assert_eq!(claude["max_tokens"], 4096);
        let nova = ask("nova");
        assert_eq!((results(&nova), &nova["messages"][0]["role"]), (0, &json!("user")), "{nova}");
        let gpt = ask("gpt");
        assert_eq!(
            (&gpt["messages"], &gpt["max_tokens"]),
            (&broken(), &json!(16_384)),
            "OpenAI's own form stays"
        );
    }
}

#[test]
fn tools_that_were_called_are_named_where_the_request_has_none() {
    let upstream = Upstream::start();
    let list = deployment("claude", "anthropic/claude-sonnet-4-5", &upstream, "")
        + &deployment("nova", "bedrock/amazon.nova-pro-v1:0", &upstream, "");
    let gateway = Gateway::start(&format!("model_list:\n{list}"));
    let client = Client::of(&gateway);
    let call = json!({"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}});
    let messages = json!([
        {"role": "user", "content": "look"}, {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "fine"},
    ]);
    let [claude, nova] = ["claude", "nova"].map(|model| {
        let answer = client.post("/v1/chat/completions", &json!({"model": model, "messages": messages}));
        assert_eq!(answer.status, 200, "{}", answer.text());
        upstream.last().json()
    });
    assert_eq!(claude["tools"], json!([{"name": "look", "input_schema": {"type": "object"}}]));
    assert_eq!(claude["tool_choice"], json!({"type": "none"}));
    let spec = json!({"name": "look", "inputSchema": {"json": {"type": "object"}}});
    assert_eq!(nova["toolConfig"], json!({"tools": [{"toolSpec": spec}]}));
}

#[test]
fn cache_marks_are_set_where_the_operator_says() {
    let upstream = Upstream::start();
    let points =
        "cache_control_injection_points: [{location: message; role: system}, {location: message; index: -1}]";
    let claude = |name: &str, more: &str| {
        deployment(name, "anthropic/claude-sonnet-4-5", &upstream, "")
            + &more.replace("; ", ", ").replace(": [", ":\n        [")
    };
    let list = String::from("model_list:\n")
        + &claude("marked", &format!("      {points}\n"))
        + &claude("plain", "");
    let gateway = Gateway::start(&list);
    let client = Client::of(&gateway);
    let control = json!({"type": "ephemeral"});
    let messages = json!([
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"},
    ]);
    for (name, mark) in [("marked", &control), ("plain", &Value::Null)] {
        let response = client.post("/v1/chat/completions", &json!({"model": name, "messages": messages}));
        assert_eq!(response.status, 200, "{}", response.text());
        let body = upstream.last().json();
        assert_eq!(&body["system"][0]["cache_control"], mark, "{body}");
        let last = body["messages"].as_array().unwrap().last().unwrap();
        assert_eq!(&last["content"][0]["cache_control"], mark, "{body}");
    }
    let own = json!({"model": "marked", "max_tokens": 9, "system": "S", "messages": [{"role": "user", "content": "a"}]});
    assert_eq!(client.post("/v1/messages", &own).status, 200);
    let body = upstream.last().json();
    assert_eq!(
        (&body["system"][0]["cache_control"], &body["messages"][0]["content"][0]["cache_control"]),
        (&control, &control)
    );
}

#[test]
fn tokens_are_counted_by_whoever_counts_them_best() {
    let upstream = Upstream::start();
    let other = |name: &str, model: &str| deployment(name, model, &upstream, "");
    let list = model("gpt", "openai/gpt-4o", &upstream)
        + &other("claude", "anthropic/claude-sonnet-4-5")
        + &other("llama", "groq/llama-3.3-70b-versatile");
    let gateway = Gateway::start(&list);
    let client = Client::of(&gateway);
    let ask = |body: Value| client.post("/utils/token_counter", &body);
    let messages = json!([{"role": "user", "content": "hi"}]);
    let told = ask(json!({"model": "gpt", "messages": messages})).json();
    assert_eq!(
        told,
        json!({
            "total_tokens": 8, "request_model": "gpt", "model_used": "gpt-4o", "tokenizer_type": "openai_tokenizer",
            "count_source": "local_estimate", "original_response": null, "error": false, "error_message": null,
            "status_code": null,
        })
    );
    assert_eq!(ask(json!({"model": "gpt", "prompt": "hi"})).json()["total_tokens"], 8);
    let told = ask(json!({"model": "claude", "messages": messages})).json();
    assert_eq!(
        (&told["total_tokens"], &told["tokenizer_type"]),
        (&json!(10), &json!("anthropic_api")),
        "{told}"
    );
    assert_eq!(upstream.last().path, "/v1/messages/count_tokens");
    let told = ask(json!({"model": "llama", "messages": messages})).json();
    assert_eq!(told["tokenizer_type"], "estimate", "{told}");
    for (body, words) in [(json!({"model": "gpt"}), "must be provided"), (json!({"prompt": "hi"}), "model")] {
        let response = ask(body);
        assert_eq!(response.status, 400, "{}", response.text());
        assert!(response.text().contains(words), "{}", response.text());
    }
}

#[test]
fn long_instructions_are_marked_for_all_where_the_operator_switches_that_on() {
    let upstream = Upstream::start();
    let list = model("claude", "anthropic/claude-sonnet-4-5", &upstream)
        + &deployment("gpt", "openai/gpt-4o", &upstream, "");
    let config = format!(
        "litellm_settings: {{enable_anthropic_prompt_caching: 1h}}\n{list}{}",
        gatewright_tests::gateway::MASTER
    );
    let gateway = Setup::new(config).start();
    let client = Client::of(&gateway);
    let long = "word ".repeat(1000);
    for (name, instructions, marked) in
        [("claude", &*long, true), ("claude", "short", false), ("gpt", &*long, false)]
    {
        let messages = json!([{"role": "system", "content": instructions}, {"role": "user", "content": "a"}]);
        assert_eq!(
            client.post("/v1/chat/completions", &json!({"model": name, "messages": messages})).status,
            200
        );
        let body = upstream.last().json();
        assert_eq!(body.to_string().contains("\"ttl\":\"1h\""), marked, "{name}: {body}");
    }
}

#[test]
fn no_list_of_a_clients_lengthens_an_answer_beyond_what_its_budget_holds() {
    let upstream = Upstream::start();
    let list = deployment("gpt", "openai/gpt-4o", &upstream, "")
        + &deployment("llama", "groq/llama-3.3-70b-versatile", &upstream, "output_cost_per_token: 0.00001");
    let gateway = Gateway::start(&format!("model_list:\n{list}"));
    let client = Client::of(&gateway);
    // Two cents are 2,000 tokens of either.
    let key = client.made("/key/generate", json!({"max_budget": 0.02}))["key"].as_str().unwrap().to_owned();
    let client = Client::with_key(&gateway, &key);
    let dropped =
        json!({"max_tokens": 10, "additional_drop_params": ["max_tokens", "max_completion_tokens"]});
    let insisted = json!({"max_tokens": 10, "max_completion_tokens": 90_000,
        "allowed_openai_params": ["max_tokens", "max_completion_tokens"]});
    for (model, fields) in [("gpt", &dropped), ("llama", &dropped)] {
        let answer = client.post("/v1/chat/completions", &chat(model, "n=1 out=1", fields.clone()));
        assert_eq!(answer.status, 200, "{model} {fields}: {}", answer.text());
        let sent = upstream.last().json();
        let caps = ["max_tokens", "max_completion_tokens"].map(|field| sent[field].as_u64());
        let longest = caps.iter().flatten().max().unwrap_or_else(|| panic!("{model} {fields}: {sent}"));
        assert!(*longest <= 2_000, "{model} {fields}: {sent}");
    }
    let before = upstream.count();
    let refused = client.post("/v1/chat/completions", &chat("llama", "hi", insisted));
    assert_eq!((refused.status, upstream.count()), (422, before), "{}", refused.text());
}
