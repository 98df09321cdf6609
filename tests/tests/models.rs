//! Models and credentials that are kept in the database, from the request that makes one to the calls that it serves.
#![cfg(test)]

use std::fs;
use std::time::Duration;

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment, poll};
use gatewright_tests::postgres::Postgres;
use gatewright_tests::upstream::{Script, Upstream};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(20);
const SECRET: &str = "sk-a-secret-of-the-provider";

fn config(upstream: &Upstream, more: &str) -> String {
    format!(
        "model_list:\n{}general_settings: {{master_key: {MASTER_KEY}, store_model_in_db: true{more}}}\n",
        deployment("smart", "openai/gpt-4o", upstream, "")
    )
}

fn start(upstream: &Upstream) -> Gateway {
    Setup::new(config(upstream, "")).start()
}

fn ask(client: &Client, method: &str, path: &str, body: &Value) -> Response {
    client.open(method, path, body.to_string().as_bytes()).unwrap().finish()
}

fn text(told: &Value, name: &str) -> String {
    told[name].as_str().unwrap_or_else(|| panic!("{name} in {told}")).to_owned()
}

fn base(upstream: &Upstream) -> String {
    format!("{}/v1", upstream.base())
}

fn params(upstream: &Upstream) -> Value {
    json!({"model": "openai/gpt-4o-mini", "api_base": base(upstream), "api_key": SECRET})
}

fn new(name: &str, upstream: &Upstream) -> Value {
    json!({"model_name": name, "litellm_params": params(upstream)})
}

/// Who was shown which key upstream, last.
fn shown_key(upstream: &Upstream) -> String {
    upstream.last().header("authorization").to_owned()
}

#[test]
fn a_model_serves_from_the_next_call_on_until_it_is_taken_away() {
    let upstream = Upstream::start();
    let mut gateway = start(&upstream);
    let admin = Client::of(&gateway);
    assert_eq!(admin.chat("dyn", "hi").status, 400);
    let told = admin.made("/model/new", new("dyn", &upstream));
    let id = text(&told, "model_id");
    assert_eq!(told["litellm_params"]["api_key"], "sk****er", "masked in the answer");
    assert_eq!(admin.chat("dyn", "hi").status, 200);
    assert_eq!(shown_key(&upstream), format!("Bearer {SECRET}"));
    let listed = admin.get("/v1/models").text();
    assert!(listed.contains("\"dyn\"") && listed.contains("\"smart\""), "{listed}");
    let info = admin.get(&format!("/model/info?litellm_model_id={id}")).json();
    assert_eq!(
        (&info["data"][0]["model_name"], &info["data"][0]["model_info"]["db_model"]),
        (&json!("dyn"), &json!(true))
    );

    // What is changed is merged, and in force at once.
    let said =
        json!({"model_name": "dyn2", "litellm_params": {"model": "openai/gpt-4o"}, "model_info": {"id": id}});
    admin.made("/model/update", said);
    assert_eq!((admin.chat("dyn", "hi").status, admin.chat("dyn2", "hi").status), (400, 200));
    assert_eq!(
        (upstream.last().json()["model"].clone(), shown_key(&upstream)),
        (json!("gpt-4o"), format!("Bearer {SECRET}"))
    );
    let said = json!({"litellm_params": {"temperature": 0.5}, "model_info": {"note": "mine"}});
    let patched = ask(&admin, "PATCH", &format!("/model/{id}/update"), &said);
    assert_eq!(
        (patched.status, &patched.json()["model_info"]["note"]),
        (200, &json!("mine")),
        "{}",
        patched.text()
    );
    assert_eq!(admin.chat("dyn2", "hi").status, 200);
    assert_eq!(upstream.last().json()["temperature"], 0.5);
    for (path, status) in [("/model/block", 400), ("/model/unblock", 200)] {
        admin.made(path, json!({"model_id": id}));
        assert_eq!(admin.chat("dyn2", "hi").status, status, "{path}");
    }

    // It outlives the process; its secret is nowhere in clear.
    gateway.terminate();
    gateway.wait_for_exit();
    let kept = fs::read(gateway.dir().join("gatewright-data/gatewright.db")).unwrap();
    let holds = |text: &str| kept.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(&id) && !holds(SECRET));
    gateway.restart();
    let admin = Client::of(&gateway);
    assert_eq!(admin.chat("dyn2", "hi").status, 200);
    assert_eq!(shown_key(&upstream), format!("Bearer {SECRET}"));
    let audit = admin.get("/audit?table_name=LiteLLM_ProxyModelTable").json();
    assert_eq!((&audit["total"], &audit["audit_logs"][0]["object_id"]), (&json!(5), &json!(id)), "{audit}");
    for told in [audit.to_string(), admin.get("/model/info").text(), gateway.log()] {
        assert!(!told.contains(SECRET), "{told}");
    }

    let gone = admin.made("/model/delete", json!({"id": id}));
    assert_eq!(gone["message"], format!("Model: {id} deleted successfully"));
    assert_eq!(admin.chat("dyn2", "hi").status, 400);
    let again = admin.post("/model/delete", &json!({"id": id}));
    assert_eq!(again.status, 400);
    assert!(again.text().contains(&format!("Model with id={id} not found in db")), "{}", again.text());
}

#[test]
fn a_model_that_does_not_build_is_told_and_changes_nothing() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let admin = Client::of(&gateway);
    let id = text(&admin.made("/model/new", new("dyn", &upstream)), "model_id");
    for (params, words) in [
        (json!({"model": "openai/x", "rpm": "many"}), "expected a number"),
        (json!({"model": "openai/x", "api_base": "nowhere"}), "is not a URL"),
        (json!({"model": "no-such-provider-or-model"}), "no-such-provider-or-model"),
        (json!({"model": "openai/*"}), "wildcards"),
        (
            json!({"model": "openai/x", "litellm_credential_name": "none"}),
            "there is no credential named 'none'",
        ),
    ] {
        let body = json!({"model_name": "broken", "litellm_params": params});
        let told = admin.post("/model/new", &body);
        assert_eq!(told.status, 400, "{body}: {}", told.text());
        assert!(told.text().contains(words), "{words} in {}", told.text());
        let told = ask(&admin, "PATCH", &format!("/model/{id}/update"), &json!({"litellm_params": params}));
        assert_eq!(told.status, 400, "{params}: {}", told.text());
    }
    let missing = admin.post("/model/new", &json!({"model_name": "x", "litellm_params": {"api_key": "k"}}));
    assert_eq!(
        (missing.status, &missing.json()["detail"][0]["loc"]),
        (422, &json!(["body", "litellm_params", "model"]))
    );
    assert_eq!(admin.chat("dyn", "hi").status, 200);
    let info = admin.get("/model/info").json();
    assert_eq!(info["data"].as_array().unwrap().len(), 2, "{info}");
    let of_file = text(&info["data"][0]["model_info"], "id");
    for (path, body) in [
        ("/model/update", json!({"litellm_params": {"rpm": 1}, "model_info": {"id": of_file}})),
        (
            "/model/new",
            json!({"model_name": "x", "litellm_params": params(&upstream), "model_info": {"id": of_file}}),
        ),
    ] {
        assert_eq!(admin.post(path, &body).status, 400, "a deployment of the file stays the file's: {path}");
    }
}

#[test]
fn without_the_setting_no_model_is_kept() {
    let upstream = Upstream::start();
    let gateway =
        Gateway::start(&format!("model_list:\n{}", deployment("smart", "openai/gpt-4o", &upstream, "")));
    let told = Client::of(&gateway).post("/model/new", &new("dyn", &upstream));
    assert_eq!(told.status, 500);
    assert!(told.text().contains("STORE_MODEL_IN_DB"), "{}", told.text());
}

#[test]
fn a_change_of_models_leaves_counts_and_rests_alone() {
    let upstream = Upstream::start();
    let text = format!(
        "model_list:\n{}{}router_settings: {{optional_pre_call_checks: [enforce_model_rate_limits], num_retries: 0, cooldown_time: 60}}\n\
         general_settings: {{master_key: {MASTER_KEY}, store_model_in_db: true}}\n",
        deployment("few", "openai/gpt-4o", &upstream, "rpm: 2, order: 1"),
        deployment("few", "openai/gpt-4o-mini", &upstream, "order: 2"),
    );
    let gateway = Setup::new(text).start();
    let admin = Client::of(&gateway);
    let asked = |model: &str| {
        assert_eq!(admin.chat("few", "hi").status, 200);
        assert_eq!(upstream.last().json()["model"], model);
    };
    asked("gpt-4o");
    admin.made("/model/new", new("dyn", &upstream));
    asked("gpt-4o");
    admin.made("/model/new", new("dyn", &upstream));
    asked("gpt-4o-mini");
    upstream.push(Script::fails(429, "slow down"));
    assert_eq!(admin.chat("few", "hi").status, 429, "both are full now");
    admin.made("/model/new", new("dyn", &upstream));
    let told = admin.get("/health").text();
    assert!(told.contains("cooling"), "the rest goes on: {told}");
}

#[test]
fn another_replica_has_a_change_within_seconds() {
    let (upstream, server) = (Upstream::start(), Postgres::start());
    let config = config(&upstream, &format!(", database_url: \"{}\"", server.url()));
    let (one, other) = (Setup::new(config.clone()).start(), Setup::new(config).start());
    let (here, there) = (Client::of(&one), Client::of(&other));
    let until = |status: u16| {
        let seen = poll(PATIENCE, || (there.chat("dyn", "hi").status == status).then_some(()));
        assert!(seen.is_some(), "not {status} in time");
    };
    let id = text(&here.made("/model/new", new("dyn", &upstream)), "model_id");
    until(200);
    there.made("/model/delete", json!({"id": id}));
    let gone = poll(PATIENCE, || (here.chat("dyn", "hi").status == 400).then_some(()));
    assert!(gone.is_some());
}

#[test]
fn a_credential_is_changed_in_one_place_for_all_models_that_name_it() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let admin = Client::of(&gateway);
    let credential = json!({
        "credential_name": "acme/eu", "credential_info": {"custom_llm_provider": "openai"},
        "credential_values": {"api_key": SECRET, "api_base": base(&upstream)},
    });
    let told = admin.made("/credentials", credential.clone());
    assert_eq!(told, json!({"success": true, "message": "Credential created successfully"}));
    assert_eq!(admin.post("/credentials", &credential).status, 400, "the name is taken");
    let model = json!({"model_name": "dyn", "litellm_params": {"model": "openai/gpt-4o", "litellm_credential_name": "acme/eu"}});
    let id = text(&admin.made("/model/new", model), "model_id");
    assert_eq!(admin.chat("dyn", "hi").status, 200);
    assert_eq!(shown_key(&upstream), format!("Bearer {SECRET}"));

    let said =
        json!({"credential_info": {"owner": "me"}, "credential_values": {"api_key": "sk-the-next-secret"}});
    assert_eq!(ask(&admin, "PATCH", "/credentials/acme/eu", &said).status, 200);
    assert_eq!(admin.chat("dyn", "hi").status, 200);
    assert_eq!(shown_key(&upstream), "Bearer sk-the-next-secret");
    let told = admin.get("/credentials/by_name/acme/eu").json();
    assert_eq!(told["credential_info"], json!({"custom_llm_provider": "openai", "owner": "me"}));
    assert_eq!(told["credential_values"], json!({"api_key": "sk****et", "api_base": base(&upstream)}));
    let told = admin.get(&format!("/credentials/by_model/{id}")).json();
    assert_eq!(
        (&told["credential_name"], &told["credential_values"]["api_key"]),
        (&json!(format!("dyn-credential-{id}")), &json!("sk****et"))
    );
    let list = admin.get("/credentials").json();
    assert_eq!((&list["success"], &list["credentials"][0]["source"]), (&json!(true), &json!("db")), "{list}");

    // One that is in use is not taken away, nor renamed, from under a model.
    let told = ask(&admin, "DELETE", "/credentials/acme/eu", &json!({}));
    assert_eq!(told.status, 400, "{}", told.text());
    assert!(told.text().contains(&id), "{}", told.text());
    assert_eq!(
        ask(&admin, "PATCH", "/credentials/acme/eu", &json!({"credential_name": "b", "credential_info": {}}))
            .status,
        400
    );
    assert_eq!(admin.chat("dyn", "hi").status, 200);
    admin.made("/credentials", json!({"credential_name": "copy", "credential_info": {}, "model_id": id}));
    admin.made("/model/delete", json!({"id": id}));
    let renamed = json!({"credential_name": "acme/us", "credential_info": {}});
    assert_eq!(ask(&admin, "PATCH", "/credentials/acme/eu", &renamed).status, 200);
    assert_eq!(admin.get("/credentials/by_name/acme/eu").status, 404);
    for name in ["acme/us", "copy"] {
        let model = json!({"model_name": "dyn", "litellm_params": {"model": "openai/gpt-4o", "litellm_credential_name": name}});
        let id = text(&admin.made("/model/new", model), "model_id");
        assert_eq!(admin.chat("dyn", "hi").status, 200);
        assert_eq!(shown_key(&upstream), "Bearer sk-the-next-secret", "{name}");
        admin.made("/model/delete", json!({"id": id}));
        assert_eq!(ask(&admin, "DELETE", &format!("/credentials/{name}"), &json!({})).status, 200);
    }
    assert!(!gateway.log().contains(SECRET) && !admin.get("/audit?page_size=100").text().contains(SECRET));
}

/// A team with a list of models, the key of its administrator, and a key of a member.
fn team(admin: &Client, gateway: &Gateway) -> (Client, Client) {
    admin.made("/team/new", json!({"team_id": "red", "models": ["smart"]}));
    let lead = json!({"team_id": "red", "member": {"user_id": "lead", "role": "admin"}});
    admin.made("/user/new", json!({"user_id": "lead", "user_role": "internal_user"}));
    admin.made("/team/member_add", lead);
    let leads = text(&admin.made("/key/generate", json!({"user_id": "lead"})), "key");
    let members = text(&admin.made("/key/generate", json!({"team_id": "red"})), "key");
    (Client::with_key(gateway, &leads), Client::with_key(gateway, &members))
}

#[test]
fn a_teams_own_model_is_the_teams_alone_under_its_public_name() {
    let (upstream, own) = (Upstream::start(), Upstream::start());
    let gateway = start(&upstream);
    let admin = Client::of(&gateway);
    let (_, member) = team(&admin, &gateway);
    let stranger = Client::with_key(&gateway, &text(&admin.made("/key/generate", json!({})), "key"));
    let body = |name: &str| {
        let mut body = new(name, &own);
        body["model_info"] = json!({"team_id": "red"});
        body
    };
    let told = admin.made("/model/new", body("fast"));
    assert!(text(&told, "model_name").starts_with("model_name_red_"), "{told}");
    assert_eq!(told["model_info"]["team_public_model_name"], "fast");
    let ids = [text(&told, "model_id"), text(&admin.made("/model/new", body("fast")), "model_id")];
    let answer = member.chat("fast", "hi");
    assert_eq!((answer.status, &answer.json()["model"]), (200, &json!("fast")), "{}", answer.text());
    assert_eq!(own.seen().len(), 1);
    for name in ["fast", &ids[0], "openai/gpt-4o-mini", &text(&told, "model_name")] {
        assert!(stranger.chat(name, "hi").status >= 400, "{name}");
    }
    let names = |client: &Client| client.get("/v1/models").text().contains("\"fast\"");
    assert!(names(&member) && !names(&stranger));
    let seen = |client: &Client| client.get("/model/info").text().contains(&ids[0]);
    assert!(seen(&member) && !seen(&stranger) && seen(&admin));
    let groups = member.get("/model_group/info?model_group=fast").json();
    assert_eq!(groups["data"][0]["providers"], json!(["openai"]), "{groups}");
    let models = || admin.get("/team/info?team_id=red").json()["team_info"]["models"].clone();
    assert_eq!(models(), json!(["smart", "fast"]));

    // Its name follows, and goes with the last model that has it.
    let path = format!("/model/{}/update", ids[0]);
    assert_eq!(ask(&admin, "PATCH", &path, &json!({"model_name": "faster"})).status, 200);
    assert_eq!(models(), json!(["smart", "fast", "faster"]));
    assert_eq!(member.chat("faster", "hi").status, 200);
    admin.made("/model/delete", json!({"id": ids[1]}));
    assert_eq!(models(), json!(["smart", "faster"]));
    assert_eq!(member.chat("fast", "hi").status, 403);
    admin.made("/team/delete", json!({"team_ids": ["red"]}));
    assert!(!admin.get("/model/info").text().contains(&ids[0]), "it goes with its team");
}

#[test]
fn whoever_leads_a_team_makes_models_for_it_and_takes_nothing_of_the_operators() {
    let upstream = Upstream::start();
    let gateway = Setup::new(config(&upstream, "")).env("OPENAI_API_KEY", "sk-of-the-operator").start();
    let admin = Client::of(&gateway);
    let (lead, member) = team(&admin, &gateway);
    admin.made("/team/new", json!({"team_id": "blue"}));
    admin.made(
        "/credentials",
        json!({"credential_name": "c", "credential_info": {}, "credential_values": {"api_key": "x"}}),
    );
    let body = |team: &str, name: &str, params: Value| json!({"model_name": name, "litellm_params": params, "model_info": {"team_id": team}});
    let mock = json!({"model": "openai/gpt-4o", "mock_response": "own"});
    for (body, status) in [
        (json!({"model_name": "x", "litellm_params": mock}), 403),
        (body("blue", "x", mock.clone()), 403),
        (body("nobody", "x", mock.clone()), 403),
        (body("red", "x", json!({"model": "openai/x", "api_key": "os.environ/OPENAI_API_KEY"})), 403),
        (body("red", "x", json!({"model": "openai/x", "extra_headers": {"k": "os.environ/HOME"}})), 403),
        (body("red", "x", json!({"model": "openai/x", "litellm_credential_name": "c"})), 403),
        (body("red", "own", mock.clone()), 200),
    ] {
        let told = lead.post("/model/new", &body);
        assert_eq!(told.status, status, "{body}: {}", told.text());
    }
    assert_eq!(member.chat("own", "hi").json()["choices"][0]["message"]["content"], "own");
    let told = Client::with_key(&gateway, &text(&admin.made("/key/generate", json!({})), "key"))
        .post("/model/new", &json!({}));
    assert_eq!(told.status, 403);
    assert!(told.text().contains("User does not have permission to make this model call"), "{}", told.text());

    // Where it says itself is not inside of the operator's network, and the operator's key does not go there.
    let inside = lead
        .made("/model/new", body("red", "inside", json!({"model": "openai/x", "api_base": base(&upstream)})));
    assert!(member.chat("inside", "hi").status >= 400);
    assert!(upstream.seen().is_empty());
    lead.made("/model/delete", json!({"id": inside["model_id"]}));

    // What was given to the team is used as it was given.
    let given = admin.made("/model/new", body("red", "given", params(&upstream)));
    let path = format!("/model/{}/update", text(&given, "model_id"));
    for (said, status) in [
        (json!({"litellm_params": {"api_base": "https://elsewhere.example"}}), 403),
        (json!({"litellm_params": {"model": "openai/gpt-5"}}), 403),
        (json!({"model_info": {"input_cost_per_token": 0}}), 403),
        (json!({"model_info": {"team_id": "blue"}}), 403),
        (json!({"litellm_params": {"rpm": 5}}), 200),
    ] {
        let told = ask(&lead, "PATCH", &path, &said);
        assert_eq!(told.status, status, "{said}: {}", told.text());
    }
    assert_eq!(member.chat("given", "hi").status, 200);
    assert_eq!(shown_key(&upstream), format!("Bearer {SECRET}"));
    assert_eq!(ask(&lead, "POST", "/credentials", &json!({})).status, 401);
}
