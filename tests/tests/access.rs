//! What callers may use: access groups, and names in lists of models that stand for others.
#![cfg(test)]

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment};
use gatewright_tests::upstream::Upstream;
use serde_json::{Value, json};

/// `old` and `new` are in the access group `beta`, as is whatever begins with `lab/`; `plain` is in none.
fn start(upstream: &Upstream) -> Gateway {
    let in_beta = |name: &str, model: &str| {
        deployment(name, model, upstream, "") + "    model_info: {access_groups: [beta]}\n"
    };
    let models = [
        in_beta("old", "openai/gpt-4o"),
        in_beta("new", "openai/gpt-4o-mini"),
        in_beta("lab/*", "openai/*"),
        deployment("plain", "openai/gpt-4o", upstream, ""),
        deployment("failing", "openai/gpt-4o", upstream, "mock_response: litellm.InternalServerError"),
    ];
    Setup::new(format!(
        "model_list:\n{}router_settings: {{fallbacks: [{{failing: [plain, new]}}], num_retries: 0}}\n\
         general_settings: {{master_key: {MASTER_KEY}, store_model_in_db: true}}\n",
        models.concat()
    ))
    .start()
}

fn ask(client: &Client, method: &str, path: &str, body: &Value) -> Response {
    client.open(method, path, body.to_string().as_bytes()).unwrap().finish()
}

fn key(gateway: &Gateway, body: Value) -> Client {
    let told = Client::of(gateway).made("/key/generate", body);
    Client::with_key(gateway, told["key"].as_str().unwrap())
}

fn statuses(client: &Client, models: &[&str]) -> Vec<u16> {
    models.iter().map(|model| client.chat(model, "hi").status).collect()
}

/// The names of `/v1/models`, of `/model/info` and of `/model_group/info`.
fn listed(client: &Client, path: &str) -> Vec<String> {
    let told = client.get(path).json();
    let name = |one: &Value| {
        ["id", "model_name", "model_group"].iter().find_map(|key| one[key].as_str()).map(str::to_owned)
    };
    told["data"].as_array().unwrap_or_else(|| panic!("{told}")).iter().filter_map(name).collect()
}

#[test]
fn an_access_group_opens_its_models_at_calls_and_lists_and_to_keys_that_are_made_with_it() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let holder = key(&gateway, json!({"models": ["beta"], "user_id": "ann"}));
    assert_eq!(statuses(&holder, &["old", "new", "lab/x", "plain"]), [200, 200, 200, 403]);
    for path in ["/v1/models", "/model/info", "/v2/model/info", "/model_group/info"] {
        assert_eq!(listed(&holder, path), ["old", "new", "lab/*"], "{path}");
    }
    assert_eq!(
        listed(&holder, "/v1/models?include_model_access_groups=true"),
        ["old", "new", "lab/*", "beta"]
    );
    assert_eq!(listed(&holder, "/v1/models?only_model_access_groups=true"), ["beta"]);
    assert_eq!((holder.get("/v1/models/old").status, holder.get("/v1/models/plain").status), (200, 404));
    // The group is no model.
    assert_eq!(statuses(&holder, &["beta"]), [400]);

    // A list above narrows it, and a group above widens nothing.
    let team = json!({"team_id": "red", "models": ["old", "plain"]});
    Client::of(&gateway).made("/team/new", team);
    let member = key(&gateway, json!({"models": ["beta"], "team_id": "red"}));
    assert_eq!(statuses(&member, &["old", "new", "plain"]), [200, 403, 403]);
    let all_of_team = key(&gateway, json!({"models": ["all-team-models"], "team_id": "red"}));
    assert_eq!(statuses(&all_of_team, &["old", "new", "plain"]), [200, 403, 200]);
    let all = key(&gateway, json!({"models": ["all-proxy-models"]}));
    assert_eq!(statuses(&all, &["old", "new", "plain"]), [200, 200, 200]);
}

#[test]
fn what_takes_the_place_of_a_model_must_be_open_too_by_name_or_by_group() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let answered = |client: &Client, model: &str| client.chat(model, "hi").json()["model"].clone();
    let fallen = key(&gateway, json!({"models": ["failing", "beta"]}));
    assert_eq!(answered(&fallen, "failing"), "new", "not the first one, which is not open");
    let poor = key(
        &gateway,
        json!({
            "models": ["plain", "beta"], "budget_fallbacks": {"plain": ["failing", "new"]},
            "model_max_budget": {"plain": {"budget_limit": 1e-9, "time_period": "1d"}},
        }),
    );
    assert_eq!(answered(&poor, "plain"), "new");
}

#[test]
fn whoever_makes_a_key_gives_no_group_and_no_model_that_its_own_key_does_not_have() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let admin = Client::of(&gateway);
    admin.made("/user/new", json!({"user_id": "ann", "auto_create_key": false}));
    let make = |own: &[&str], wished: &str| {
        let giver = key(&gateway, json!({"models": own, "user_id": "ann"}));
        giver.post("/key/generate", &json!({"models": [wished], "user_id": "ann"})).status
    };
    for (own, wished, status) in [
        (&["beta"][..], "beta", 200),
        (&["beta"], "old", 200),
        (&["beta"], "plain", 403),
        (&["old", "new"], "beta", 403),
        (&["be*"], "beta", 403),
        (&["beta"], "all-proxy-models", 403),
        (&["old"], "no-default-models", 200),
        (&[], "beta", 200),
    ] {
        assert_eq!(make(own, wished), status, "{own:?} {wished}");
    }
}

#[test]
fn no_default_models_closes_a_user_a_key_and_a_team_for_all_but_what_their_teams_have() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let admin = Client::of(&gateway);
    let of_key = key(&gateway, json!({"models": ["no-default-models"]}));
    assert_eq!(statuses(&of_key, &["old", "plain"]), [403, 403]);
    assert!(listed(&of_key, "/v1/models").is_empty() && listed(&of_key, "/model/info").is_empty());
    let user = json!({"user_id": "bob", "models": ["no-default-models", "plain"], "auto_create_key": false});
    admin.made("/user/new", user);
    let own = key(&gateway, json!({"user_id": "bob", "models": ["plain"]}));
    assert_eq!(statuses(&own, &["plain"]), [403]);
    assert!(listed(&own, "/v1/models").is_empty());
    admin.made("/team/new", json!({"team_id": "red", "models": ["plain"]}));
    let in_team = key(&gateway, json!({"user_id": "bob", "team_id": "red"}));
    assert_eq!(statuses(&in_team, &["plain", "old"]), [200, 403]);
    admin.made("/team/new", json!({"team_id": "blue", "models": ["no-default-models"]}));
    assert_eq!(statuses(&key(&gateway, json!({"team_id": "blue"})), &["plain"]), [403]);
}

#[test]
fn groups_of_stored_models_are_made_changed_and_taken_away_and_the_next_call_obeys() {
    let upstream = Upstream::start();
    let gateway = start(&upstream);
    let admin = Client::of(&gateway);
    let params =
        json!({"model": "openai/gpt-4o", "api_base": format!("{}/v1", upstream.base()), "api_key": "sk-up"});
    for name in ["one", "two"] {
        admin.made("/model/new", json!({"model_name": name, "litellm_params": params}));
    }
    let holder = key(&gateway, json!({"models": ["prod"]}));
    assert_eq!(statuses(&holder, &["one", "two"]), [403, 403]);
    let made = admin.made("/access_group/new", json!({"access_group": "prod", "model_names": ["one"]}));
    assert_eq!(
        made,
        json!({"access_group": "prod", "model_names": ["one"], "model_ids": null, "models_updated": 1})
    );
    assert_eq!(statuses(&holder, &["one", "two"]), [200, 403]);
    let shown = json!({
        "access_group": "prod", "model_names": ["one"], "deployment_count": 1, "spend": 0.0, "budget": null,
    });
    assert_eq!(admin.get("/access_group/prod/info").json(), shown);
    assert_eq!(admin.get("/access_group/list").json(), json!({"access_groups": [shown]}));
    let info = admin.get("/model/info").json();
    let one = info["data"].as_array().unwrap().iter().find(|one| one["model_name"] == "one").unwrap();
    assert_eq!(one["model_info"]["access_groups"], json!(["prod"]));

    let changed = ask(&admin, "PUT", "/access_group/prod/update", &json!({"model_names": ["two"]}));
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(statuses(&holder, &["one", "two"]), [403, 200]);
    for (method, path, body, status, words) in [
        (
            "POST",
            "/access_group/new",
            json!({"access_group": "prod", "model_names": ["one"]}),
            409,
            "already exists",
        ),
        (
            "POST",
            "/access_group/new",
            json!({"access_group": "x", "model_names": ["plain"]}),
            400,
            "Can't find model 'plain' in Database",
        ),
        (
            "POST",
            "/access_group/new",
            json!({"access_group": "x", "model_names": ["none"]}),
            400,
            "Model(s) not found: none",
        ),
        ("POST", "/access_group/new", json!({"access_group": "x"}), 400, "must be provided"),
        ("PUT", "/access_group/none/update", json!({"model_names": ["one"]}), 404, "'none' not found"),
        ("DELETE", "/access_group/none/delete", json!({}), 404, "'none' not found"),
    ] {
        let told = ask(&admin, method, path, &body);
        assert_eq!(told.status, status, "{method} {path} {body}: {}", told.text());
        assert!(told.json()["detail"]["error"].as_str().unwrap().contains(words), "{}", told.text());
    }
    assert_eq!(holder.get("/access_group/list").status, 401, "not for everybody");
    let gone = ask(&admin, "DELETE", "/access_group/prod/delete", &json!({}));
    assert_eq!((gone.status, &gone.json()["models_updated"]), (200, &json!(1)), "{}", gone.text());
    assert_eq!(statuses(&holder, &["one", "two"]), [403, 403]);
}
