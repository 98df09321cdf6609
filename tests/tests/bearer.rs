//! Tokens of an identity provider in place of keys: whom they stand for, and which are none.
#![cfg(test)]

use std::time::Duration;

use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, model, poll};
use gatewright_tests::issuer::{Issuer, SigningKey, nobodys, seconds_from_now};
use gatewright_tests::upstream::Upstream;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(25);

struct World {
    upstream: Upstream,
    issuer: Issuer,
    rsa: SigningKey,
    ec: SigningKey,
    gateway: Gateway,
}

// === impl World ===

impl World {
    fn start() -> Self {
        let (upstream, rsa, ec) = (Upstream::start(), SigningKey::rsa("r1"), SigningKey::ec("e1"));
        let issuer = Issuer::start(&[&rsa, &ec]);
        let config = format!(
            "{}general_settings:\n  master_key: {MASTER_KEY}\n  enable_jwt_auth: true\n  litellm_jwtauth:\n    \
            user_id_jwt_field: sub\n    team_ids_jwt_field: resource.groups\n    user_id_upsert: true\n    \
            end_user_id_jwt_field: customer\n    admin_jwt_scope: gateway-admin\n",
            model("fast", "openai/gpt-4o-mini", &upstream)
        );
        let gateway = Setup::new(config)
            .env("JWT_PUBLIC_KEY_URL", &issuer.discovery())
            .env("JWT_AUDIENCE", "gateway, other")
            .env("JWT_ISSUER", &issuer.name())
            .start();
        Self { upstream, issuer, rsa, ec, gateway }
    }

    /// Claims that open, changed by `more`; `null` takes one away.
    fn claims(&self, more: Value) -> Value {
        let mut claims = json!({
            "iss": self.issuer.name(), "aud": ["gateway"], "sub": "ann", "resource": {"groups": ["none", "red"]},
            "exp": seconds_from_now(300), "iat": seconds_from_now(0),
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    fn with(&self, credential: &str) -> Client {
        Client::with_key(&self.gateway, credential)
    }

    fn status(&self, token: &str) -> u16 {
        self.with(token).chat("fast", "hi").status
    }

    fn made(&self, path: &str, body: Value) -> Value {
        Client::of(&self.gateway).made(path, body)
    }
}

#[test]
fn a_token_stands_for_its_user_and_team_with_their_models_limits_and_ledger() {
    let world = World::start();
    let token = world.rsa.sign(&world.claims(json!({"customer": "shop"})));
    assert_eq!(world.status(&token), 403, "nobody knows the team");
    world.made("/team/new", json!({"team_id": "red", "models": ["fast"], "rpm_limit": 2}));
    let answer = world.with(&token).chat("fast", "hi");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(world.with(&token).chat("other", "hi").status, 403);
    let again = world.ec.sign(&world.claims(json!({"jti": "another"})));
    assert_eq!((world.status(&again), world.status(&again)), (200, 429), "a new token is no new caller");
    let user = world.with(MASTER_KEY).get("/user/info?user_id=ann").json();
    assert_eq!(user["user_info"]["user_id"], "ann", "{user}");
    let journal = world.gateway.journal_when("has both calls", |entries| entries.len() == 2);
    for entry in &journal {
        let told = &entry.0;
        assert_eq!(
            (entry.caller(), &told["team"], &told["user"]),
            ("jwt:red:ann", &json!("red"), &json!("ann"))
        );
    }
    assert_eq!(journal[0].0["customer"], "shop", "{:?}", journal[0]);
    world.made("/team/block", json!({"team_id": "red"}));
    assert_eq!(world.status(&token), 401);
    assert!(!world.gateway.log().contains(&token), "no token is logged");
}

#[test]
fn an_administrators_token_manages_and_calls_no_model_and_others_manage_nothing() {
    let world = World::start();
    world.made("/team/new", json!({"team_id": "red"}));
    let admin = world.rsa.sign(&world.claims(json!({"scope": "openid gateway-admin"})));
    let made = world.with(&admin).post("/key/generate", &json!({"team_id": "red"}));
    assert_eq!((made.status, &made.json()["created_by"]), (200, &json!("ann")), "{}", made.text());
    assert_eq!(world.status(&admin), 403);
    let plain = world.rsa.sign(&world.claims(json!({})));
    assert_eq!(world.status(&plain), 200);
    assert_eq!(world.with(&plain).post("/key/generate", &json!({})).status, 403);
    assert_eq!(world.with(&plain).get("/v1/models").status, 200);
}

#[test]
fn of_several_teams_the_first_counts_that_may_use_the_model() {
    let world = World::start();
    for (team, models) in
        [("red", json!(["other"])), ("blue", json!(["fast"])), ("green", json!(["fast", "other"]))]
    {
        world.made("/team/new", json!({"team_id": team, "models": models}));
    }
    let of = |groups: Value| world.rsa.sign(&world.claims(json!({"resource": {"groups": groups}})));
    for (groups, status, team) in [
        (json!(["red", "blue", "green"]), 200, "blue"),
        (json!(["green", "blue"]), 200, "green"),
        (json!(["none", "red", "green"]), 200, "green"),
        (json!(["red"]), 403, ""),
        (json!(["red", "none"]), 403, ""),
    ] {
        let before = world.upstream.seen().len();
        let answer = world.with(&of(groups.clone())).chat("fast", "hi");
        assert_eq!(answer.status, status, "{groups}: {}", answer.text());
        if status == 200 {
            let journal = world.gateway.journal_when("has the call", |entries| entries.len() == before + 1);
            assert_eq!(journal[before].0["team"], team, "{groups}");
        }
    }
    world.made("/team/block", json!({"team_id": "blue"}));
    assert_eq!(world.status(&of(json!(["red", "blue"]))), 403, "a blocked team opens nothing");
    assert_eq!(
        world.with(MASTER_KEY).get("/team/info?team_id=none").status,
        404,
        "and none is made by looking"
    );
}

#[test]
fn a_token_of_a_user_manages_what_a_key_of_that_user_would() {
    let world = World::start();
    let token = |user: &str| world.rsa.sign(&world.claims(json!({"sub": user, "resource": null})));
    let ann = token("ann");
    assert_eq!(world.status(&ann), 200, "and ann is made");
    world.made("/user/new", json!({"user_id": "bob", "auto_create_key": false}));
    world.made(
        "/user/new",
        json!({"user_id": "vic", "user_role": "internal_user_viewer", "auto_create_key": false}),
    );
    world.made("/user/new", json!({"user_id": "eve", "models": ["other"], "auto_create_key": false}));
    let bobs = world.made("/key/generate", json!({"user_id": "bob"}));
    let ask = |token: &str, path: &str, body: Value| world.with(token).post(path, &body);
    let made = ask(&ann, "/key/generate", json!({"user_id": "ann"}));
    assert_eq!((made.status, &made.json()["user_id"]), (200, &json!("ann")), "{}", made.text());
    assert_eq!(world.status(made.json()["key"].as_str().unwrap()), 200);
    for (token, path, body, status) in [
        (&ann, "/key/generate", json!({"user_id": "bob"}), 403),
        (&ann, "/key/delete", json!({"keys": [bobs["key"]]}), 403),
        (&ann, "/user/new", json!({"user_id": "new"}), 401),
        (&ann, "/team/new", json!({}), 401),
        (&token("vic"), "/key/generate", json!({"user_id": "vic"}), 401),
        (&token("eve"), "/key/generate", json!({"user_id": "eve", "models": ["fast"]}), 403),
    ] {
        let answer = ask(token, path, body.clone());
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text());
    }
    let eves = ask(&token("eve"), "/key/generate", json!({"user_id": "eve"})).json();
    assert_eq!(world.status(eves["key"].as_str().unwrap()), 403, "nor with no models named");
    let listed = world.with(&ann).get("/key/list").json();
    assert_eq!(listed["total_count"], 1, "{listed}");
    world.made("/user/update", json!({"user_id": "ann", "user_role": "proxy_admin"}));
    assert_eq!(ask(&ann, "/team/new", json!({})).status, 200, "a role is obeyed at once");
}

#[test]
fn a_key_of_the_settings_that_does_nothing_stops_the_start_by_its_name() {
    let upstream = Upstream::start();
    for (key, starts) in [
        ("enforce_team_based_model_access: true", true),
        ("oidc_userinfo_enabled: false", true),
        ("oidc_userinfo_enabled: true", false),
        ("team_alias_jwt_field: team", false),
        ("user_id_jwt_feild: sub", false),
    ] {
        let config = format!(
            "{}general_settings:\n  master_key: {MASTER_KEY}\n  enable_jwt_auth: true\n  litellm_jwtauth: {{{key}}}\n",
            model("fast", "openai/gpt-4o-mini", &upstream)
        );
        let setup = Setup::new(config).env("JWT_PUBLIC_KEY_URL", "http://127.0.0.1:9/");
        let (good, told) = setup.arg("--config").arg("config.yaml").arg("--check").run();
        let name = key.split(':').next().unwrap();
        assert_eq!((good, told.contains(&format!("litellm_jwtauth.{name}"))), (starts, !starts), "{told}");
    }
}

#[test]
fn no_token_opens_that_is_not_genuine_not_for_us_or_not_of_now() {
    let world = World::start();
    world.made("/team/new", json!({"team_id": "red"}));
    let good = world.claims(json!({}));
    let (stranger, genuine) = (SigningKey::rsa("r1"), world.rsa.sign(&good));
    let parts: Vec<&str> = genuine.split('.').collect();
    let richer = world.rsa.sign(&world.claims(json!({"scope": "gateway-admin"})));
    let payload = richer.split('.').nth(1).unwrap();
    let claims = |more: Value| world.rsa.sign(&world.claims(more));
    for (why, token) in [
        ("another's key", stranger.sign(&good)),
        ("a key that is not published", stranger.sign_as("r9", &good)),
        ("another key than it says", world.rsa.sign_as("e1", &good)),
        ("no signature", nobodys(&good)),
        ("no signature, with the old name", format!("{}x", nobodys(&good))),
        ("signed with the public key", world.rsa.sign_with_public_key(&good)),
        ("signed with the public point", world.ec.sign_with_public_key(&good)),
        ("other claims than signed", format!("{}.{payload}.{}", parts[0], parts[2])),
        ("expired", claims(json!({"exp": seconds_from_now(-1)}))),
        ("never expires", claims(json!({"exp": null}))),
        ("not yet", claims(json!({"nbf": seconds_from_now(60)}))),
        ("no time", claims(json!({"nbf": "soon"}))),
        ("another audience", claims(json!({"aud": "elsewhere"}))),
        ("no audience", claims(json!({"aud": null}))),
        ("another issuer", claims(json!({"iss": "http://elsewhere"}))),
        ("no token", "ey.ey.ey".to_owned()),
    ] {
        let answer = world.with(&token).chat("fast", "hi");
        assert_eq!(answer.status, 401, "{why}: {}", answer.text());
    }
    assert!(world.upstream.seen().is_empty());
    assert_eq!(world.status(&genuine), 200);
    let short = claims(json!({"exp": seconds_from_now(3)}));
    assert_eq!(world.status(&short), 200);
    let over = poll(PATIENCE, || (world.status(&short) == 401).then_some(()));
    assert!(over.is_some(), "what is remembered of a token ends with it");
}

#[test]
fn keys_that_nobody_knows_are_asked_for_now_and_then_and_new_ones_are_found() {
    let world = World::start();
    world.made("/team/new", json!({"team_id": "red"}));
    assert_eq!(world.status(&world.rsa.sign(&world.claims(json!({})))), 200);
    let stranger = SigningKey::ec("s");
    for n in 0..200 {
        let token = stranger.sign_as(&format!("made-up-{n}"), &world.claims(json!({})));
        assert_eq!(world.status(&token), 401);
    }
    assert!(world.issuer.fetched() <= 3, "fetched {} times", world.issuer.fetched());
    let fresh = SigningKey::ec("e2");
    world.issuer.publish(&fresh);
    let token = fresh.sign(&world.claims(json!({})));
    let found = poll(PATIENCE, || (world.status(&token) == 200).then_some(()));
    assert!(found.is_some(), "the new key is not found");
}
