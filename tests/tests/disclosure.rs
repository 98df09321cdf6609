//! What is told to whom: addresses without their passwords, figures to holders of keys, calls by their clients' names.
#![cfg(test)]

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::{Gateway, MASTER, MASTER_KEY, Setup, model, poll};
use gatewright_tests::upstream::{Script, Upstream};
use serde_json::{Value, json};

const PASSWORD: &str = "pa55%2Fword";
/// `me:pa55/word`.
const BASIC: &str = "Basic bWU6cGE1NS93b3Jk";

/// An address with a password in it.
fn secret_base(upstream: &Upstream) -> String {
    format!("http://me:{PASSWORD}@{}/v1", upstream.addr())
}

#[test]
fn a_password_in_an_address_reaches_its_provider_and_nobody_else() {
    let upstream = Upstream::start();
    let base = secret_base(&upstream);
    let gone = format!("http://me:{PASSWORD}@127.0.0.1:9/v1");
    let entry = |name: &str, model: &str, base: &str| {
        format!(
            "- {{model_name: '{name}', litellm_params: {{model: '{model}', api_base: '{base}', api_key: sk-up}}}}\n"
        )
    };
    let models = [
        entry("one", "openai/gpt-4o", &base),
        entry("wild/*", "openai/*", &base),
        entry("gone", "openai/gpt-4o", &gone),
        entry("broken", "openai/gpt-4o", &base.replace("http", "ftp")),
    ];
    let general = format!("general_settings: {{master_key: {MASTER_KEY}, store_model_in_db: true}}\n");
    let retries = "router_settings: {num_retries: 0}\n";
    let gateway = Setup::new(format!("model_list:\n{}{general}{retries}", models.concat())).start();
    let admin = Client::of(&gateway);
    let stored =
        json!({"model_name": "kept", "litellm_params": {"model": "openai/gpt-4o", "api_base": base}});
    let mut told = vec![admin.made("/model/new", stored).to_string()];
    for model in ["one", "wild/gpt-4o", "kept"] {
        let answer = admin.chat(model, "hi");
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        assert_eq!(upstream.last().header("authorization"), BASIC, "{model}");
        assert!(
            answer.header("x-litellm-model-api-base").ends_with(&format!("{}/v1", upstream.addr())),
            "{answer:?}"
        );
        told.push(format!("{answer:?}"));
    }
    upstream.push(Script::fails(500, "broken"));
    for model in ["one", "gone", "broken"] {
        let answer = admin.chat(model, "hi");
        assert!(answer.status >= 400, "{model}");
        told.push(format!("{answer:?}{}", answer.text()));
    }
    for path in
        ["/model/info", "/v2/model/info", "/model_group/info", "/health", "/audit", "/spend/logs", "/metrics"]
    {
        told.push(admin.get(path).text());
    }
    told.push(gateway.log());
    let journal = gateway.journal();
    told.push(format!("{journal:?}"));
    for told in told {
        assert!(!told.contains("pa55") && !told.contains("bWU6"), "{told}");
    }
}

#[test]
fn figures_are_for_holders_of_keys_unless_the_file_opens_them() {
    let upstream = Upstream::start();
    let models = model("one", "openai/gpt-4o", &upstream);
    let gateway = Gateway::start(&models);
    let nobody = |gateway: &Gateway| Client::new(gateway.addr()).get("/metrics").status;
    assert_eq!((nobody(&gateway), Client::with_key(&gateway, "sk-wrong").get("/metrics").status), (401, 401));
    let admin = Client::of(&gateway);
    assert_eq!(admin.get("/metrics").status, 200);
    let key = |routes: Value| admin.made("/key/generate", json!({"allowed_routes": routes}))["key"].clone();
    for (routes, status) in [(json!([]), 200), (json!(["/metrics"]), 200), (json!(["llm_api_routes"]), 403)] {
        let client = Client::with_key(&gateway, key(routes.clone()).as_str().unwrap());
        assert_eq!(client.get("/metrics").status, status, "{routes}");
    }
    let open = "litellm_settings: {require_auth_for_metrics_endpoint: false}\n";
    assert_eq!(nobody(&Gateway::start(&format!("{models}{open}"))), 200);
}

#[test]
fn a_call_goes_by_its_clients_name_and_its_entries_by_their_own() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&format!(
        "{}router_settings: {{num_retries: 0}}\n",
        model("one", "openai/gpt-4o", &upstream)
    ));
    let named = |name: &str| Client::of(&gateway).header("x-litellm-call-id", name);
    let shown = |answer: &Response| answer.header("x-litellm-call-id").to_owned();
    assert_eq!(shown(&named("mine-42").chat("one", "hi")), "mine-42");
    assert_eq!(shown(&named("mine-42").chat("unknown", "hi")), "mine-42", "of an error too");
    let nobody = Client::new(gateway.addr()).header("x-litellm-call-id", "mine-43");
    assert_eq!(shown(&nobody.chat("one", "hi")), "mine-43");
    for refused in ["two words", &"x".repeat(257)] {
        let own = shown(&named(refused).chat("one", "hi"));
        assert_eq!((own.len(), own.contains(' ')), (36, false), "{own}");
    }
    upstream.push(Script::fails(400, "no"));
    assert_eq!(shown(&named("mine-44").chat("one", "hi")), "mine-44");
    let line =
        poll(std::time::Duration::from_secs(10), || gateway.log().contains("call=\"mine-44\"").then_some(()));
    assert!(line.is_some(), "{}", gateway.log());

    // A name that is a UUID is what the books have of the call; two calls of one name are two entries.
    let uuid = "0198c0de-0000-4000-8000-00000000c0de";
    for _ in 0..2 {
        assert_eq!(shown(&named(uuid).chat("one", "hi")), uuid);
    }
    let of_name = |entries: &[gatewright_tests::journal::Entry]| {
        entries.iter().filter(|one| one.call() == uuid).count()
    };
    let journal = gateway.journal_when("has both", |entries| of_name(entries) == 2);
    let mut attempts: Vec<&str> = journal.iter().map(|entry| entry.attempt()).collect();
    attempts.sort_unstable();
    attempts.dedup();
    assert_eq!(attempts.len(), journal.len(), "no two entries are one");
    let logged = poll(std::time::Duration::from_secs(20), || {
        let logs = Client::of(&gateway).get("/spend/logs").json();
        let logs = logs.as_array()?.iter().filter(|one| one["litellm_call_id"] == uuid).count();
        (logs == 2).then_some(())
    });
    assert!(logged.is_some(), "the spend log has both");
}

#[test]
fn a_proxy_that_is_trusted_says_whose_address_a_key_must_be_for() {
    let upstream = Upstream::start();
    let models = model("one", "openai/gpt-4o", &upstream);
    let start = |more: &str| Setup::new(format!("{models}{MASTER}{more}")).start();
    let trusting = start("  use_x_forwarded_for: true\n  trusted_proxy_ranges: [127.0.0.0/8]\n");
    let (switched, ranged) =
        (start("  use_x_forwarded_for: true\n"), start("  trusted_proxy_ranges: [127.0.0.1]\n"));
    assert!(switched.log().contains("no effect without `trusted_proxy_ranges`"), "{}", switched.log());
    for (gateway, address, forwarded, status) in [
        (&trusting, "203.0.113.0/24", Some("203.0.113.7"), 200),
        (&trusting, "203.0.113.0/24", Some("203.0.113.7, 198.51.100.1"), 403),
        (&trusting, "203.0.113.0/24", Some("198.51.100.1, 203.0.113.7"), 200),
        (&trusting, "203.0.113.0/24", None, 403),
        (&trusting, "127.0.0.1", Some("203.0.113.7"), 403),
        (&trusting, "127.0.0.1", None, 200),
        (&switched, "203.0.113.0/24", Some("203.0.113.7"), 403),
        (&switched, "127.0.0.1", Some("203.0.113.7"), 200),
        (&ranged, "203.0.113.0/24", Some("203.0.113.7"), 403),
    ] {
        let made = Client::of(gateway).made("/key/generate", json!({"allowed_ips": [address]}));
        let mut client = Client::with_key(gateway, made["key"].as_str().unwrap());
        if let Some(forwarded) = forwarded {
            client = client.header("x-forwarded-for", forwarded);
        }
        assert_eq!(client.chat("one", "hi").status, status, "{address} {forwarded:?}");
        // Management asks the same.
        let managed = client.get("/key/info").status;
        assert_eq!(managed, status, "{address} {forwarded:?}");
    }
}
