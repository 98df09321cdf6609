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
