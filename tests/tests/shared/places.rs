//! Where Redis may be: behind TLS with authorities of one's own, or in a cluster of which one node is named.

use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment, poll};
use gatewright_tests::redis::{Redis, RedisCluster};
use gatewright_tests::upstream::Upstream;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::scene::PATIENCE;

/// An authority, and what it signed for the server and the gateway, as files.
fn authority() -> TempDir {
    let dir = TempDir::with_prefix("gatewright-ca-").unwrap();
    let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).unwrap();
    let mut params = CertificateParams::new([]).unwrap();
    // Of another name than what it signs.
    params.distinguished_name.push(DnType::CommonName, "authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    write("ca.pem", params.self_signed(&key).unwrap().pem());
    let issuer = Issuer::new(params, key);
    for name in ["server", "gateway"] {
        let key = KeyPair::generate().unwrap();
        let signed =
            CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        write(&format!("{name}.pem"), signed.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
    dir
}

fn config(upstream: &Upstream, router: &Value) -> String {
    format!(
        "model_list:\n{}router_settings: {router}\ngeneral_settings: {{master_key: {MASTER_KEY}}}\n",
        deployment("m", "openai/gpt-4o", upstream, "")
    )
}

fn ready(gateway: &Gateway) -> Value {
    Client::new(gateway.addr()).get("/health/readiness").json()
}

/// Waits until the gateway says that it shares its counts, and that it is ready whatever Redis does.
fn shares(gateway: &Gateway, whether: &str) {
    let told = poll(PATIENCE, || (ready(gateway)["redis"] == whether).then_some(()));
    assert!(told.is_some(), "{}\n{}", ready(gateway), gateway.log());
    assert_eq!((&ready(gateway)["status"], &ready(gateway)["cache"]), (&json!("healthy"), &json!("redis")));
}

#[test]
fn tls_trusts_the_authorities_that_are_named_and_shows_its_own_certificate() {
    let (upstream, files) = (Upstream::start(), authority());
    let file = |name: &str| files.path().join(name).display().to_string();
    let redis = Redis::start_with_tls(files.path());
    let url = format!("rediss://127.0.0.1:{}", redis.port());
    let own = json!({"redis_url": url, "redis_ssl_ca_certs": file("ca.pem"),
        "redis_ssl_certfile": file("gateway.pem"), "redis_ssl_keyfile": file("gateway.key")});
    let gateway = Setup::new(config(&upstream, &own)).start();
    shares(&gateway, "connected");
    let key = Client::of(&gateway).made("/key/generate", json!({"rpm_limit": 1}))["key"].clone();
    let calls = || Client::with_key(&gateway, key.as_str().unwrap()).chat("m", "hi").status;
    assert_eq!((calls(), calls()), (200, 429));
    // In parts, as LiteLLM's environment names them.
    let parts = json!({"redis_host": "127.0.0.1", "redis_port": redis.port(), "redis_ssl": true});
    let environment = Setup::new(config(&upstream, &parts))
        .env("REDIS_SSL_CA_CERTS", &file("ca.pem"))
        .env("REDIS_SSL_CERTFILE", &file("gateway.pem"))
        .env("REDIS_SSL_KEYFILE", &file("gateway.key"))
        .start();
    shares(&environment, "connected");
    assert_eq!(Client::of(&environment).get("/health").json()["redis"], "connected");
    for stranger in
        [json!({"redis_url": url}), json!({"redis_url": url, "redis_ssl_ca_certs": file("ca.pem")})]
    {
        let gateway = Setup::new(config(&upstream, &stranger)).start();
        shares(&gateway, "Not connected");
        assert_eq!(Client::of(&gateway).chat("m", "hi").status, 200, "calls go on");
    }
}

#[test]
fn a_gateway_without_redis_says_nothing_of_it() {
    let upstream = Upstream::start();
    let gateway = Setup::new(config(&upstream, &json!({}))).start();
    let told = ready(&gateway);
    assert_eq!((told.get("cache"), told.get("redis")), (Some(&Value::Null), None));
    assert!(!Client::of(&gateway).get("/metrics").text().contains("redis"));
}

#[test]
fn each_node_of_a_cluster_leads_to_the_one_that_keeps_the_counts() {
    let (upstream, cluster) = (Upstream::start(), RedisCluster::start());
    for node in &cluster.nodes {
        let router = json!({"redis_host": "127.0.0.1", "redis_port": node.port()});
        let gateway = Setup::new(config(&upstream, &router)).start();
        shares(&gateway, "connected");
    }
    let nodes =
        cluster.nodes.iter().map(|node| json!({"host": "127.0.0.1", "port": node.port().to_string()}));
    // One that is gone is passed over.
    let gone = json!({"host": "127.0.0.1", "port": 1});
    let nodes = Value::Array([gone].into_iter().chain(nodes).collect());
    let gateway =
        Setup::new(config(&upstream, &json!({}))).env("REDIS_CLUSTER_NODES", &nodes.to_string()).start();
    shares(&gateway, "connected");
    let homes = cluster.nodes.iter().filter(|node| node.ask(&["DBSIZE"]) != "0").count();
    assert_eq!(homes, 1);
}
