//! Virtual keys, from the request that makes one to the calls that it opens.

use std::fs;
use std::thread;
use std::time::Duration;

use gatewright_tests::books::Database;
use gatewright_tests::client::{Client, Response, chat};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment, model, poll};
use gatewright_tests::upstream::{Gate, Pause, Script, Upstream};
use serde_json::{Value, json};

/// How long what is shipped to the database may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A gateway with two models, whose administrator asks.
fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    let models = model("smart", "openai/gpt-4o", &upstream);
    let gateway = Gateway::start(&(models + &deployment("other", "openai/gpt-4o-mini", &upstream, "")));
    (upstream, gateway)
}

fn text(told: &Value, name: &str) -> String {
    told[name].as_str().unwrap_or_else(|| panic!("{name} in {told}")).to_owned()
}

fn error(response: &Response) -> (u16, String) {
    (response.status, response.json()["error"]["type"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_key_opens_what_it_is_for_until_it_is_taken_away() {
    let (_upstream, mut gateway) = start();
    let admin = Client::of(&gateway);
    let told = admin.made("/key/generate", json!({"models": ["smart"], "duration": "1h", "key_alias": "ci"}));
    let (key, hash) = (text(&told, "key"), text(&told, "token"));
    let client = Client::with_key(&gateway, &key);
    assert_eq!(client.chat("smart", "hi").status, 200);
    assert_eq!(error(&client.chat("other", "hi")), (403, "key_model_access_denied".into()));
    assert_eq!(error(&client.post("/key/generate", &json!({}))), (401, "auth_error".into()));
    assert_eq!(client.get("/v1/models").json()["data"].as_array().map(Vec::len), Some(1));
    let own = client.get("/key/info").json();
    assert_eq!((&own["info"]["key_alias"], &own["info"]["models"]), (&json!("ci"), &json!(["smart"])));

    // Each change is obeyed by the next call.
    admin.made("/key/update", json!({"key": key, "models": ["other"]}));
    assert_eq!(client.chat("other", "hi").status, 200);
    admin.made("/key/block", json!({"key": key}));
    assert_eq!(error(&client.chat("other", "hi")), (401, "auth_error".into()));
    admin.made("/key/unblock", json!({"key": hash}));
    assert_eq!(client.chat("other", "hi").status, 200);

    // Keys outlive the process; what is kept of one is not the key.
    gateway.terminate();
    gateway.wait_for_exit();
    let kept = fs::read(gateway.dir().join("gatewright-data/gatewright.db")).unwrap();
    let holds = |text: &str| kept.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(&hash) && !holds(&key));
    gateway.restart();
    assert_eq!(Client::with_key(&gateway, &key).chat("other", "hi").status, 200);
    assert!(!gateway.log().contains(&key), "no key is logged");

    let admin = Client::of(&gateway);
    admin.made("/key/delete", json!({"keys": [key]}));
    assert_eq!(
        error(&Client::with_key(&gateway, &key).chat("other", "hi")),
        (401, "token_not_found_in_db".into())
    );
    let audit = admin.get("/audit?page_size=2").json();
    assert_eq!(audit["audit_logs"][0]["action"], "deleted", "{audit}");
    assert!(!audit.to_string().contains(&key));
}

#[test]
fn a_name_of_a_keys_own_stands_for_a_model_and_opens_no_other() {
    let (upstream, gateway) = start();
    let admin = Client::of(&gateway);
    let aliases = json!({"mine": "other", "theirs": "smart"});
    let told = admin.made("/key/generate", json!({"models": ["other"], "aliases": aliases}));
    let client = Client::with_key(&gateway, &text(&told, "key"));
    let answer = client.chat("mine", "hi");
    assert_eq!((answer.status, answer.json()["model"].as_str()), (200, Some("other")), "{}", answer.text());
    assert_eq!(error(&client.chat("theirs", "hi")), (403, "key_model_access_denied".into()));
    assert_eq!(upstream.seen().len(), 1);
    assert_eq!(error(&admin.chat("mine", "hi")).0, 400, "nobody else's");
}

#[test]
fn what_stands_above_a_key_is_obeyed_at_once() {
    let (_upstream, gateway) = start();
    let admin = Client::of(&gateway);
    let team = text(&admin.made("/team/new", json!({"team_alias": "eng", "models": ["smart"]})), "team_id");
    let key = text(&admin.made("/key/generate", json!({"team_id": team})), "key");
    let client = Client::with_key(&gateway, &key);
    assert_eq!(client.chat("smart", "hi").status, 200);
    assert_eq!(client.chat("other", "hi").status, 403);
    admin.made("/team/model/add", json!({"team_id": team, "models": ["other"]}));
    assert_eq!(client.chat("other", "hi").status, 200);
    admin.made("/team/block", json!({"team_id": team}));
    assert_eq!(error(&client.chat("other", "hi")), (401, "auth_error".into()));
    admin.made("/team/unblock", json!({"team_id": team}));
    // A member has what the team has, and at most what the member may.
    let ann =
        json!({"team_id": team, "member": {"user_id": "ann", "role": "user"}, "allowed_models": ["smart"]});
    admin.made("/team/member_add", ann);
    let anns = text(&admin.made("/key/generate", json!({"team_id": team, "user_id": "ann"})), "key");
    assert_eq!(Client::with_key(&gateway, &anns).chat("smart", "hi").status, 200);
    assert_eq!(Client::with_key(&gateway, &anns).chat("other", "hi").status, 403);
    admin.made("/team/delete", json!({"team_ids": [team]}));
    assert_eq!(error(&client.chat("smart", "hi")), (401, "token_not_found_in_db".into()));
}

#[test]
fn limits_of_a_shared_budget_hold_for_a_key_that_names_it() {
    let (_upstream, gateway) = start();
    let admin = Client::of(&gateway);
    admin.made("/budget/new", json!({"budget_id": "small", "allowed_models": ["smart"]}));
    let key = text(&admin.made("/key/generate", json!({"budget_id": "small", "models": []})), "key");
    let client = Client::with_key(&gateway, &key);
    assert_eq!((client.chat("smart", "hi").status, client.chat("other", "hi").status), (200, 403));
    admin.made("/budget/update", json!({"budget_id": "small", "allowed_models": ["other"]}));
    assert_eq!((client.chat("smart", "hi").status, client.chat("other", "hi").status), (403, 200));
}

#[test]
fn a_key_in_place_of_another_leaves_it_the_grace_that_was_asked_for() {
    let (_upstream, gateway) = start();
    let admin = Client::of(&gateway);
    let old = text(&admin.made("/key/generate", json!({"key_alias": "ci", "models": ["smart"]})), "key");
    let with_grace = admin.made(&format!("/key/{old}/regenerate"), json!({"grace_period": "1h"}));
    let new = text(&with_grace, "key");
    assert_eq!((&with_grace["key_alias"], &with_grace["models"]), (&json!("ci"), &json!(["smart"])));
    for key in [&old, &new] {
        assert_eq!(Client::with_key(&gateway, key).chat("smart", "hi").status, 200);
    }
    let newest = text(&admin.made("/key/regenerate", json!({"key": new})), "key");
    assert_eq!(Client::with_key(&gateway, &newest).chat("smart", "hi").status, 200);
    assert_eq!(Client::with_key(&gateway, &new).chat("smart", "hi").status, 401);
    let journal = gateway.journal_when("has all calls", |entries| entries.len() == 3);
    let callers: std::collections::HashSet<&str> = journal.iter().map(|entry| entry.caller()).collect();
    assert_eq!(callers.len(), 1, "they count as one: {callers:?}");
}

#[test]
fn what_a_body_gets_wrong_is_told_in_the_words_of_litellms_validator() {
    let (_upstream, gateway) = start();
    let admin = Client::of(&gateway);
    let told = admin.post("/key/generate", &json!({"rpm_limit": "many"}));
    assert_eq!(told.status, 422);
    assert_eq!(told.json()["detail"][0]["loc"], json!(["body", "rpm_limit"]));
    let told = admin.post("/key/generate", &json!({"colour": "green"}));
    assert_eq!((told.status, told.header("x-gatewright-ignored-fields")), (200, "colour"));
    assert_eq!(told.header("x-frame-options"), "DENY", "the headers of every answer");
    assert_eq!(admin.get("/key/generate").status, 405);
    assert_eq!(admin.post("/key/none", &chat("smart", "hi", json!({}))).status, 404);
}

#[test]
fn a_budget_that_cannot_be_counted_is_refused_and_none_is_made() {
    let (_upstream, gateway) = start();
    let admin = Client::of(&gateway);
    for body in [
        json!({"max_budget": 1e308}),
        json!({"max_budget": "inf"}),
        json!({"soft_budget": 1e11}),
        json!({"model_max_budget": {"smart": {"budget_limit": 1e300}}}),
        json!({"budget_limits": [{"budget_duration": "1d", "max_budget": 1e300}]}),
    ] {
        let told = admin.post("/key/generate", &body);
        assert_eq!(told.status, 400, "{body}: {}", told.text());
        assert!(told.text().contains("must be a finite amount"), "{body}: {}", told.text());
    }
    assert_eq!(admin.get("/key/list").json()["total_count"], 0);
}

#[test]
fn a_call_takes_one_permit_where_the_key_and_the_proxy_limit_the_key() {
    let (upstream, gate) = (Upstream::start(), Gate::default());
    let config = format!(
        "{}general_settings: {{master_key: {MASTER_KEY}, max_parallel_requests: 3}}\n",
        model("smart", "openai/gpt-4o", &upstream)
    );
    let gateway = Setup::new(config).start();
    let admin = Client::of(&gateway);
    upstream.choose({
        let gate = gate.clone();
        move |_| Some(Script { before_head: Pause::Gate(gate.clone()), ..Script::default() })
    });
    for (own, together) in [(2, 2), (9, 3)] {
        let before = upstream.seen().len();
        let key = text(&admin.made("/key/generate", json!({"max_parallel_requests": own})), "key");
        let client = Client::with_key(&gateway, &key);
        let body = chat("smart", "hi", json!({})).to_string();
        let running: Vec<_> =
            (0..together).map(|_| client.send("POST", "/v1/chat/completions", body.as_bytes())).collect();
        upstream.wait_for_requests(before + together);
        assert_eq!(client.chat("smart", "hi").status, 429, "{together} run, and no more");
        drop(running);
    }
    gate.open();
}

/// LiteLLM's recorded answers to keys with limits have these headers, also where they refuse.
#[test]
fn every_answer_tells_the_holder_of_a_key_its_spend_and_limits() {
    let (_upstream, gateway) = start();
    let admin = Client::of(&gateway);
    let limits = json!({"max_budget": 0.5, "rpm_limit": 3, "tpm_limit": 100_000});
    let key = text(&admin.made("/key/generate", limits), "key");
    let client = Client::with_key(&gateway, &key);
    let told = |answer: &Response| {
        let names = ["spend", "max-budget", "rpm-limit", "tpm-limit"];
        names.map(|name| answer.header(&format!("x-litellm-key-{name}")).to_owned())
    };
    let nanos = |dollars: &str| (dollars.parse::<f64>().unwrap() * 1e9).round() as i64;
    let first = client.chat("smart", "hi");
    let cost = nanos(first.header("x-litellm-response-cost"));
    assert!(cost > 0);
    assert_eq!(told(&first)[1..], ["0.5", "3", "100000"]);
    let streamed = client.post("/v1/chat/completions", &chat("smart", "hi", json!({"stream": true})));
    let third = client.chat("smart", "hi");
    let full = client.chat("smart", "hi");
    let wrong = client.post("/v1/chat/completions", &json!({"model": "smart"}));
    assert_eq!([&full, &wrong].map(|answer| answer.status), [429, 400]);
    let [first, streamed, third, full, wrong] =
        [&first, &streamed, &third, &full, &wrong].map(|answer| nanos(&told(answer)[0]));
    let whole = third - cost;
    assert!(first == cost && whole > cost && full == third && wrong == third, "each call counts once");
    assert!(
        (cost..=whole).contains(&streamed),
        "a head may leave before anybody knows what its stream costs"
    );
    let open = Client::with_key(&gateway, &text(&admin.made("/key/generate", json!({})), "key"));
    assert_eq!(told(&open.chat("smart", "hi"))[1..], ["", "", ""], "what is not limited is not told");
    assert_eq!(told(&admin.chat("smart", "hi"))[0], "", "the master key is no virtual one");
}

#[test]
fn a_spend_that_is_set_while_others_change_the_key_is_that_of_a_change_that_was_made() {
    let (_upstream, gateway) = start();
    let admin = Client::of(&gateway);
    let key = text(&admin.made("/key/generate", json!({"key_alias": "busy"})), "key");
    let statuses: Vec<u16> = thread::scope(|scope| {
        let asked = (0..8).map(|n| {
            let (admin, key) = (&admin, &key);
            scope.spawn(move || {
                let set =
                    |turn: u32| admin.post("/key/update", &json!({"key": key, "spend": n * 100 + turn}));
                (0..12).map(|turn| set(turn).status).collect::<Vec<_>>()
            })
        });
        asked.collect::<Vec<_>>().into_iter().flat_map(|all| all.join().unwrap()).collect()
    });
    assert!(statuses.contains(&409), "nobody was in anybody's way");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 409)), "{statuses:?}");
    let data = gateway.dir().join("gatewright-data");
    let one = |sql: &str| Database::Sqlite.rows(&data, sql)[0][0].clone();
    let set: f64 = one("SELECT json_extract(fields, '$.spend_set_to') FROM keys").parse().unwrap();
    let told = "SELECT json_extract(after, '$.fields.spend_set_to') FROM audit ORDER BY id DESC LIMIT 1";
    let spent: f64 = one("SELECT spent / 1000000000 FROM balances WHERE scope = 'api_key'").parse().unwrap();
    assert_eq!((spent, one(told).parse().unwrap()), (set, set));
}

#[test]
fn a_key_that_would_be_lost_when_it_is_replaced_is_not_replaced_by_itself() {
    let (_upstream, gateway) = start();
    let admin = Client::of(&gateway);
    let wish = json!({"auto_rotate": true, "rotation_interval": "30d"});
    let told = admin.post("/key/generate", &wish);
    assert!(told.status == 400 && told.text().contains("rotated_keys_dir"), "{}", told.text());
    let key = text(&admin.made("/key/generate", json!({"auto_rotate": false})), "key");
    let told =
        admin.post("/key/update", &json!({"key": key, "auto_rotate": true, "rotation_interval": "30d"}));
    assert_eq!(told.status, 400, "{}", told.text());
    let info = admin.get(&format!("/key/info?key={key}")).json()["info"].clone();
    assert_eq!((&info["auto_rotate"], &info["key_rotation_at"]), (&json!(false), &Value::Null));
}

#[test]
fn a_key_is_told_when_it_was_active_last() {
    let (_upstream, gateway) = start();
    let admin = Client::of(&gateway);
    let key = text(&admin.made("/key/generate", json!({})), "key");
    let active = || {
        let info = admin.get(&format!("/key/info?key={key}")).json()["info"]["last_active"].clone();
        info.as_str().map(str::to_owned)
    };
    assert_eq!(active(), None);
    let client = Client::with_key(&gateway, &key);
    let mut last = String::new();
    for _ in 0..2 {
        assert_eq!(client.chat("smart", "hi").status, 200);
        // It is shipped with the entry, not with the answer.
        let later = poll(PATIENCE, || active().filter(|at| *at > last));
        last = later.unwrap_or_else(|| panic!("still {last}"));
    }
    let told = admin.get(&format!("/key/info?key={key}")).json()["info"].clone();
    let list = admin.get("/key/list?return_full_object=true").json();
    assert_eq!((&told["last_active"], &list["keys"][0]["last_active"]), (&json!(last), &json!(last)));
    assert!(told["updated_at"].as_str() < Some(&last), "nothing was written to the key's row: {told}");
}
