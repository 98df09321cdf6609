//! What callers may spend, through the whole gateway: keys and what stands above and beside them.

use std::thread;
use std::time::Duration;

use gatewright_tests::client::{Client, Response, chat};
use gatewright_tests::gateway::{Gateway, deployment, poll};
use gatewright_tests::upstream::{Gate, Pause, Said, Script, Upstream, Used};
use serde_json::{Value, json};

/// An answer of gpt-4o's that used so many tokens: $2.5 and $10 a million.
fn used(input: u64, output: u64) -> Script {
    Script::says(Said { used: Used { input, output, ..Used::default() }, ..Said::words(3) })
}

/// A gateway whose `m` is gpt-4o, and every answer of it 500 tokens: half a cent.
fn start(more: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start();
    upstream.choose(|_| Some(used(10, 500)));
    let models = deployment("m", "openai/gpt-4o", &upstream, "");
    let gateway = Gateway::start(&format!("{more}model_list:\n{models}"));
    (upstream, gateway)
}

fn text(told: &Value, name: &str) -> String {
    told[name].as_str().unwrap_or_else(|| panic!("{name} in {told}")).to_owned()
}

/// Asks for as many tokens as the answer will have.
fn ask(client: &Client, more: Value) -> Response {
    let mut body = chat("m", "hi", json!({"max_tokens": 500}));
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post("/v1/chat/completions", &body)
}

/// Waits until the database knows what a key has spent.
fn booked(admin: &Client, key: &str) {
    let told = poll(Duration::from_secs(20), || {
        let told = admin.get(&format!("/key/info?key={key}")).json();
        (told["info"]["spend"].as_f64()? > 0.0).then_some(())
    });
    assert!(told.is_some(), "nothing was booked");
}

#[test]
fn budgets_begin_anew_by_the_zone_and_hour_that_are_configured() {
    let (_upstream, gateway) =
        start("litellm_settings: {timezone: Asia/Tokyo, budget_reset_time: '06:30'}\n");
    let admin = Client::of(&gateway);
    let key = text(&admin.made("/key/generate", json!({"max_budget": 1, "budget_duration": "1d"})), "key");
    admin.made("/team/new", json!({"team_id": "t", "max_budget": 1, "budget_duration": "30d"}));
    admin.made("/user/new", json!({"user_id": "u", "max_budget": 1, "budget_duration": "7d"}));
    for path in [&format!("/key/info?key={key}"), "/team/info?team_id=t", "/user/info?user_id=u"] {
        // 06:30 in Tokyo is 21:30 in UTC.
        let told = admin.get(path).text();
        assert!(told.contains("T21:30:00"), "{path}: {told}");
    }
}

/// The words of a refusal.
fn refused(answer: &Response) -> String {
    let error = &answer.json()["error"];
    assert_eq!((answer.status, &error["type"]), (422, &json!("budget_exceeded")), "{}", answer.text());
    error["message"].as_str().unwrap().to_owned()
}

#[test]
fn every_kind_of_budget_refuses_the_call_that_does_not_fit() {
    let (upstream, gateway) = start("");
    let admin = Client::of(&gateway);
    let small = json!({"max_budget": 0.0051});
    let window = json!([{"budget_duration": "1d", "max_budget": 0.0051}]);
    let past = json!({"max_budget": 0.0051, "temp_budget_increase": 9, "temp_budget_expiry": "2026-01-01T00:00:00Z"});
    admin.made("/budget/new", json!({"budget_id": "shared", "max_budget": 0.0051}));
    for (key, words) in [
        (small.clone(), "Budget has been exceeded! Key=key (sk-..."),
        (json!({"max_budget": 1, "budget_limits": window}), "Budget has been exceeded! Key=key (sk-..."),
        (past, "Budget has been exceeded! Key=key (sk-..."),
        (json!({"budget_id": "shared"}), "Budget has been exceeded! Key=key (sk-..."),
        (
            json!({"model_max_budget": {"m": {"budget_limit": 0.0051, "time_period": "1d"}}}),
            "Budget has been exceeded! ",
        ),
    ] {
        let client = Client::with_key(&gateway, &text(&admin.made("/key/generate", key.clone()), "key"));
        assert_eq!(ask(&client, json!({})).status, 200, "{key}");
        let told = refused(&ask(&client, json!({})));
        assert!(told.starts_with(words) && told.ends_with("Max budget: 0.0051"), "{key}: {told}");
    }
    let future = json!({"max_budget": 0.0051, "temp_budget_increase": 9, "temp_budget_expiry": "2099-01-01T00:00:00Z"});
    let client = Client::with_key(&gateway, &text(&admin.made("/key/generate", future), "key"));
    assert_eq!([ask(&client, json!({})).status, ask(&client, json!({})).status], [200, 200]);
    assert_eq!(upstream.seen().len(), 7);
}

#[test]
fn a_budget_above_or_beside_a_key_refuses_in_its_own_words() {
    let (_upstream, gateway) = start("");
    let admin = Client::of(&gateway);
    let small = 0.0051;
    let key = |body: Value| Client::with_key(&gateway, &text(&admin.made("/key/generate", body), "key"));
    let none = json!({});
    admin.made("/team/new", json!({"team_id": "t", "max_budget": small}));
    admin.made("/user/new", json!({"user_id": "u", "max_budget": small, "auto_create_key": false}));
    let organization =
        admin.made("/organization/new", json!({"organization_alias": "o", "max_budget": small}));
    let organization = text(&organization, "organization_id");
    admin.made("/team/new", json!({"team_id": "of-o", "organization_id": organization}));
    admin.made("/team/new", json!({"team_id": "with-m"}));
    let member =
        json!({"team_id": "with-m", "member": {"user_id": "m", "role": "user"}, "max_budget_in_team": small});
    admin.made("/team/member_add", member);
    let project =
        admin.made("/project/new", json!({"project_alias": "p", "team_id": "with-m", "max_budget": small}));
    let project = text(&project, "project_id");
    admin.made("/customer/new", json!({"user_id": "c", "max_budget": small}));
    admin.made("/tag/new", json!({"name": "g", "max_budget": small}));
    for (client, more, words) in [
        (key(json!({"team_id": "t"})), &none, "Budget has been exceeded! Team=t Current cost: "),
        (key(json!({"user_id": "u"})), &none, "ExceededBudget: User=u over budget. Spend="),
        (
            key(json!({"team_id": "of-o"})),
            &none,
            &format!("Budget has been exceeded! Organization={organization}"),
        ),
        (
            key(json!({"team_id": "with-m", "user_id": "m"})),
            &none,
            "Budget has been exceeded! Team Member=m:with-m",
        ),
        (
            key(json!({"team_id": "with-m", "project_id": project})),
            &none,
            "Budget has been exceeded! Project=",
        ),
        (key(json!({})), &json!({"user": "c"}), "ExceededBudget: End User=c over budget. Spend="),
        (key(json!({"tags": ["g"]})), &none, "Budget has been exceeded! Tag=g Current cost: "),
    ] {
        assert_eq!(ask(&client, more.clone()).status, 200, "{words}");
        let told = refused(&ask(&client, more.clone()));
        assert!(told.starts_with(words), "{words}: {told}");
    }
    // Whoever calls: the master key is no way around.
    for more in [json!({"user": "c"}), json!({"tags": ["g"]}), json!({"metadata": {"tags": ["g"]}})] {
        refused(&ask(&admin, more));
    }
    assert_eq!(ask(&admin, json!({"user": "d", "tags": ["h"]})).status, 200);
}

#[test]
fn end_users_have_limits_blocks_and_a_budget_that_all_of_them_have() {
    let (upstream, gateway) = start("litellm_settings: {max_end_user_budget: 0.0051}\n");
    let admin = Client::of(&gateway);
    for user in ["one", "two"] {
        assert_eq!(ask(&admin, json!({"user": user})).status, 200);
        let told = refused(&ask(&admin, json!({"user": user})));
        assert!(told.starts_with(&format!("ExceededBudget: End User={user} over budget.")), "{told}");
    }
    assert_eq!(ask(&admin, json!({})).status, 200, "nobody's");
    // One with a budget of its own.
    admin.made("/customer/new", json!({"user_id": "rich", "max_budget": 5, "rpm_limit": 2}));
    let answers = [1, 2, 3].map(|_| ask(&admin, json!({"user": "rich"})).status);
    assert_eq!(answers, [200, 200, 429]);
    let before = upstream.seen().len();
    admin.made("/customer/block", json!({"user_ids": ["rich", "new"]}));
    for user in ["rich", "new"] {
        let told = ask(&admin, json!({"user": user}));
        assert_eq!(told.status, 400, "{}", told.text());
        assert!(told.text().contains(&format!("User blocked from making LLM API Calls. User={user}")));
    }
    assert_eq!(upstream.seen().len(), before);
    admin.made("/customer/unblock", json!({"user_ids": ["new"]}));
    assert_eq!(ask(&admin, json!({"user": "new"})).status, 200);
}

#[test]
fn all_end_users_may_share_the_terms_of_a_named_budget() {
    let (_upstream, gateway) = start("litellm_settings: {max_end_user_budget_id: every}\n");
    let admin = Client::of(&gateway);
    let key = text(&admin.made("/key/generate", json!({})), "key");
    assert_eq!(
        ask(&Client::with_key(&gateway, &key), json!({"user": "one"})).status,
        200,
        "nobody made it yet"
    );
    admin.made("/budget/new", json!({"budget_id": "every", "max_budget": 0.0101, "budget_duration": "1d"}));
    booked(&admin, &key);
    assert_eq!(ask(&admin, json!({"user": "one"})).status, 200);
    refused(&ask(&admin, json!({"user": "one"})));
    assert_eq!(ask(&admin, json!({"user": "two"})).status, 200);
    admin.made("/budget/update", json!({"budget_id": "every", "max_budget": 1}));
    assert_eq!(ask(&admin, json!({"user": "one"})).status, 200, "a higher one is obeyed at once");
}

#[test]
fn cheaper_models_take_the_place_of_one_that_no_budget_covers() {
    let upstream = Upstream::start();
    upstream.choose(|_| Some(used(10, 500)));
    let models = [
        deployment("m", "openai/gpt-4o", &upstream, ""),
        deployment("hidden", "openai/gpt-4o-mini", &upstream, ""),
        deployment("cheap", "openai/gpt-4o-mini", &upstream, ""),
    ];
    let gateway = Gateway::start(&format!("model_list:\n{}", models.concat()));
    let admin = Client::of(&gateway);
    let key = json!({
        "models": ["m", "cheap"], "budget_fallbacks": {"m": ["hidden", "cheap"]},
        "model_max_budget": {"m": {"budget_limit": 0.0051, "time_period": "1d"}, "cheap": {"budget_limit": 0.0007}},
    });
    let client = Client::with_key(&gateway, &text(&admin.made("/key/generate", key), "key"));
    let answered: Vec<(u16, String, Value)> = (0..4)
        .map(|_| ask(&client, json!({})))
        .map(|told| (told.status, told.json()["model"].as_str().unwrap_or_default().into(), told.json()))
        .collect();
    let names: Vec<(u16, &str)> = answered.iter().map(|(status, name, _)| (*status, &**name)).collect();
    assert_eq!(names, [(200, "m"), (200, "cheap"), (200, "cheap"), (422, "")]);
    assert!(
        answered[3].2.to_string().contains("Model Per Key"),
        "the refusal is the first model's: {answered:?}"
    );
    let sent: Vec<Value> = upstream.seen().iter().map(|seen| seen.json()["model"].clone()).collect();
    assert_eq!(
        sent,
        ["gpt-4o", "gpt-4o-mini", "gpt-4o-mini"],
        "a model that the key may not use is no way out"
    );
}

#[test]
fn an_administrator_sets_anew_what_counts_as_spent_and_the_next_call_obeys() {
    let (_upstream, gateway) = start("");
    let admin = Client::of(&gateway);
    admin.made("/team/new", json!({"team_id": "t", "max_budget": 0.0051}));
    let own = text(&admin.made("/key/generate", json!({"max_budget": 0.0051})), "key");
    let teams = text(&admin.made("/key/generate", json!({"team_id": "t"})), "key");
    for (key, path) in [(&own, format!("/key/{own}/reset_spend")), (&teams, "/team/t/reset_spend".to_owned())]
    {
        let client = Client::with_key(&gateway, key);
        assert_eq!(ask(&client, json!({})).status, 200);
        refused(&ask(&client, json!({})));
        booked(&admin, key);
        let more = admin.post(&path, &json!({"reset_to": 9}));
        assert_eq!(more.status, 400, "nothing is spent by hand: {}", more.text());
        assert_eq!(
            Client::with_key(&gateway, &own).post(&path, &json!({"reset_to": 0})).status,
            401,
            "not by its holder"
        );
        let told = admin.made(&path, json!({"reset_to": 0}));
        assert_eq!((&told["spend"], &told["previous_spend"]), (&json!(0.0), &json!(0.005025)), "{told}");
        assert_eq!(ask(&client, json!({})).status, 200, "{path}");
        refused(&ask(&client, json!({})));
    }
    // A budget that is raised or lowered is obeyed too.
    admin.made("/key/update", json!({"key": own, "max_budget": 0.0102}));
    assert_eq!(ask(&Client::with_key(&gateway, &own), json!({})).status, 200);
    admin.made("/key/update", json!({"key": own, "max_budget": 0.001}));
    refused(&ask(&Client::with_key(&gateway, &own), json!({})));
}

/// How often the gateway's log says this.
fn logged(gateway: &Gateway, words: &str) -> usize {
    gateway.log().lines().filter(|line| line.contains(words)).count()
}

#[test]
fn a_soft_budget_refuses_nobody_and_is_told_once_when_it_is_crossed() {
    const CROSSED: &str = "a soft budget was crossed";
    let (_upstream, gateway) = start("");
    let admin = Client::of(&gateway);
    let soft = json!({"soft_budget": 0.0101, "budget_duration": "1d"});
    admin.made("/budget/new", json!({"budget_id": "shared", "soft_budget": 0.0101}));
    admin.made("/team/new", json!({"team_id": "t", "soft_budget": 0.0101, "max_budget": 9}));
    let mut crossed = 0;
    for (body, scope) in
        [(soft, "api_key"), (json!({"budget_id": "shared"}), "api_key"), (json!({"team_id": "t"}), "team")]
    {
        let key = text(&admin.made("/key/generate", body), "key");
        let client = Client::with_key(&gateway, &key);
        assert_eq!([1, 2].map(|_| ask(&client, json!({})).status), [200, 200]);
        assert_eq!(logged(&gateway, CROSSED), crossed, "{scope}: not yet");
        assert_eq!([1, 2, 3].map(|_| ask(&client, json!({})).status), [200; 3], "{scope}: calls go on");
        crossed += 1;
        assert_eq!(logged(&gateway, CROSSED), crossed, "{scope}: once");
        assert_eq!(logged(&gateway, &key), 0, "no key is logged");
        let metrics = admin.get("/metrics").text();
        let count = if scope == "team" { 1 } else { crossed };
        let line = format!("gatewright_budgets_soft_crossed_total{{scope=\"{scope}\"}} {count}");
        assert!(metrics.contains(&line), "{line} is missing in {metrics}");
        if scope == "api_key" {
            let told = poll(Duration::from_secs(20), || {
                let told = admin.get(&format!("/key/info?key={key}")).json()["info"].clone();
                (told["soft_budget_cooldown"] == true).then_some(told)
            });
            assert_eq!(told.expect("it is over it")["soft_budget"], 0.0101);
        }
    }
    assert_eq!(admin.get("/team/info?team_id=t").json()["team_info"]["soft_budget"], 0.0101);
}

#[test]
fn an_update_says_what_counts_as_spent_and_the_next_call_obeys() {
    let (_upstream, gateway) = start("");
    let admin = Client::of(&gateway);
    let small = 0.0051;
    admin.made("/team/new", json!({"team_id": "t", "max_budget": small}));
    admin.made("/user/new", json!({"user_id": "u", "max_budget": small, "auto_create_key": false}));
    admin.made("/customer/new", json!({"user_id": "c", "max_budget": small}));
    let window = json!([{"budget_duration": "1d", "max_budget": 1}]);
    let own = json!({"max_budget": small, "budget_duration": "30d", "budget_limits": window});
    for (body, more, path, named, table) in [
        (own, json!({}), "/key/update", "key", "LiteLLM_VerificationToken"),
        (json!({"team_id": "t"}), json!({}), "/team/update", "team_id", "LiteLLM_TeamTable"),
        (json!({"user_id": "u"}), json!({}), "/user/update", "user_id", "LiteLLM_UserTable"),
        (json!({}), json!({"user": "c"}), "/customer/update", "user_id", "LiteLLM_EndUserTable"),
    ] {
        let key = text(&admin.made("/key/generate", body), "key");
        let client = Client::with_key(&gateway, &key);
        let id = ["/key/update", "/team/update", "/user/update", "/customer/update"]
            .iter()
            .zip([&*key, "t", "u", "c"])
            .find_map(|(other, id)| (*other == path).then_some(id))
            .unwrap();
        assert_eq!(ask(&client, more.clone()).status, 200, "{path}");
        refused(&ask(&client, more.clone()));
        booked(&admin, &key);
        let sum = || admin.get("/global/spend").json()["spend"].clone();
        let before = sum();
        let set = |spend: f64| admin.made(path, json!({named: id, "spend": spend}));
        set(0.0);
        assert_eq!(ask(&client, more.clone()).status, 200, "{path}: nothing counts as spent");
        set(3.5);
        refused(&ask(&client, more.clone()));
        let told = admin.get(&format!("/audit?table_name={table}")).text();
        assert!(told.contains("spend_set_to") && told.contains("3.5"), "{path}: {told}");
        let by_holder = client.post(path, &json!({named: id, "spend": 0}));
        assert!([401, 403].contains(&by_holder.status), "{path}: {}", by_holder.text());
        let grown = poll(Duration::from_secs(20), || (sum() != before).then(sum)).unwrap();
        let difference = grown.as_f64().unwrap() - before.as_f64().unwrap();
        assert!((difference - 0.005025).abs() < 1e-9, "{path}: the ledger knows calls only, {difference}");
    }
}

#[test]
fn what_a_member_has_spent_and_may_spend_is_set_back() {
    let (_upstream, gateway) = start("");
    let admin = Client::of(&gateway);
    admin.made("/team/new", json!({"team_id": "t", "team_member_budget": 0.0102}));
    let member = json!({"user_id": "m", "role": "user"});
    admin.made("/team/member_add", json!({"team_id": "t", "member": member, "max_budget_in_team": 0.0051}));
    let key = text(&admin.made("/key/generate", json!({"team_id": "t", "user_id": "m"})), "key");
    let client = Client::with_key(&gateway, &key);
    assert_eq!(ask(&client, json!({})).status, 200);
    refused(&ask(&client, json!({})));
    booked(&admin, &key);
    let path = "/team/t/member/m/reset_spend";
    assert_eq!(admin.post(path, &json!({"reset_to": 9})).status, 400, "nothing is spent by hand");
    assert_eq!(client.post(path, &json!({"reset_to": 0})).status, 401, "not by the member");
    let told = admin.made(path, json!({"reset_to": 0}));
    assert_eq!((&told["spend"], &told["previous_spend"]), (&json!(0.0), &json!(0.005025)), "{told}");
    assert_eq!(ask(&client, json!({})).status, 200);
    refused(&ask(&client, json!({})));
    let told = admin.made("/team/t/member/m/reset_budget", json!({}));
    assert_eq!(told["budget_source"], "team_default", "{told}");
    assert_eq!(ask(&client, json!({})).status, 200, "the team's members may spend more");
    refused(&ask(&client, json!({})));
    assert_eq!(admin.post("/team/t/member/nobody/reset_budget", &json!({})).status, 404);
}

#[test]
fn a_keys_budget_for_end_users_comes_before_that_of_all() {
    let (_upstream, gateway) = start("litellm_settings: {max_end_user_budget_id: every}\n");
    let admin = Client::of(&gateway);
    admin.made("/budget/new", json!({"budget_id": "every", "max_budget": 9}));
    admin.made("/budget/new", json!({"budget_id": "small", "max_budget": 0.0051}));
    admin.made("/customer/new", json!({"user_id": "rich", "max_budget": 9}));
    let key = text(&admin.made("/key/generate", json!({"end_user_budget_id": "small"})), "key");
    let client = Client::with_key(&gateway, &key);
    assert_eq!(ask(&client, json!({"user": "one"})).status, 200);
    refused(&ask(&client, json!({"user": "one"})));
    assert_eq!(ask(&admin, json!({"user": "one"})).status, 200, "with another key");
    let rich = [1, 2].map(|_| ask(&client, json!({"user": "rich"})).status);
    assert_eq!(rich, [200, 200], "one with a budget of its own");
    let made = admin.made("/user/new", json!({"user_id": "u", "user_role": "internal_user"}));
    let user = Client::with_key(&gateway, &text(&made, "key"));
    let told = user.post("/key/generate", &json!({"end_user_budget_id": "every"}));
    assert_eq!(told.status, 403, "only administrators give it: {}", told.text());
}

#[test]
fn users_and_end_users_have_budgets_for_single_models() {
    let upstream = Upstream::start();
    upstream.choose(|_| Some(used(10, 500)));
    let models = ["m", "n"].map(|name| deployment(name, "openai/gpt-4o", &upstream, ""));
    let gateway = Gateway::start(&format!("model_list:\n{}", models.concat()));
    let admin = Client::of(&gateway);
    let small = json!({"m": {"budget_limit": 0.0051, "time_period": "1d"}});
    let user = json!({"user_id": "u", "model_max_budget": small, "auto_create_key": false});
    admin.made("/user/new", user);
    admin.made("/customer/new", json!({"user_id": "c", "model_max_budget": small}));
    let told = admin.get("/customer/info?end_user_id=c").json();
    assert_eq!(told["litellm_budget_table"]["model_max_budget"], small, "{told}");
    for (body, more, words) in [
        (json!({"user_id": "u"}), json!({}), "Model Per User=u:m"),
        (json!({}), json!({"user": "c"}), "Model Per End User=c:m"),
    ] {
        let client = Client::with_key(&gateway, &text(&admin.made("/key/generate", body), "key"));
        assert_eq!(ask(&client, more.clone()).status, 200, "{words}");
        let told = refused(&ask(&client, more.clone()));
        assert!(told.contains(words), "{words}: {told}");
        let mut other = more;
        other["model"] = "n".into();
        assert_eq!([1, 2].map(|_| ask(&client, other.clone()).status), [200, 200], "{words}: another model");
    }
}

#[test]
fn end_users_whom_nobody_made_may_be_refused() {
    let more = "litellm_settings: {validate_end_user_id_in_db: true, max_end_user_budget: 9}\n";
    let (upstream, gateway) = start(more);
    let admin = Client::of(&gateway);
    let told = ask(&admin, json!({"user": "c"}));
    assert_eq!((told.status, &told.json()["error"]["param"]), (400, &json!("user")), "{}", told.text());
    assert!(told.text().contains("User=c is not known here"), "{}", told.text());
    assert_eq!(upstream.seen().len(), 0);
    assert_eq!(ask(&admin, json!({"tags": ["t"]})).status, 200, "nobody's");
    admin.made("/customer/new", json!({"user_id": "c"}));
    assert_eq!(ask(&admin, json!({"user": "c"})).status, 200);
}

#[test]
fn a_call_has_as_many_tags_as_are_counted_and_booked() {
    let (upstream, gateway) = start("");
    let client = Client::of(&gateway);
    let tags = |count: usize| (0..count).map(|n| format!("tag-{n}")).collect::<Vec<_>>();
    let twice = [tags(20), tags(20)].concat();
    assert_eq!(ask(&client, json!({"tags": tags(20), "metadata": {"tags": twice}})).status, 200);
    let seen = upstream.seen().len();
    let refused = ask(&client, json!({"tags": tags(21)}));
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("tags")));
    let words = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(words.contains("at most 20 tags"), "{words}");
    let body = json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}], "tags": tags(21)});
    let refused = client.post("/v1/messages", &body);
    assert_eq!((refused.status, &refused.json()["type"]), (400, &json!("error")), "{}", refused.text());
    assert_eq!(upstream.seen().len(), seen, "what is refused is not sent");
    let booked = poll(Duration::from_secs(20), || {
        let told = client.get("/spend/tags").json();
        let count = told.as_array()?.iter().filter(|row| row.to_string().contains("tag-")).count();
        (count == 20).then_some(())
    });
    assert!(booked.is_some(), "{}", client.get("/spend/tags").text());
}

#[test]
fn a_call_that_waits_for_money_sees_that_its_budget_was_raised() {
    let (upstream, gateway) = start("");
    let admin = Client::of(&gateway);
    let gate = Gate::default();
    upstream.push(Script { before_head: Pause::Gate(gate.clone()), ..used(10, 500) });
    let key = text(&admin.made("/key/generate", json!({"max_budget": 0.008})), "key");
    let client = Client::with_key(&gateway, &key);
    thread::scope(|scope| {
        let first = scope.spawn(|| ask(&client, json!({})));
        upstream.wait_for_requests(1);
        let second = scope.spawn(|| ask(&client, json!({})));
        assert!(poll(Duration::from_millis(300), || (upstream.seen().len() > 1).then_some(())).is_none());
        admin.made("/key/update", json!({"key": key, "max_budget": 0.02}));
        assert_eq!(second.join().unwrap().status, 200, "while the first still holds what it needs");
        gate.open();
        assert_eq!(first.join().unwrap().status, 200);
    });
}
