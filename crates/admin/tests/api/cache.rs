//! `/cache/settings`, as a form reads and writes it.

use crate::world::{MASTER, World};
use serde_json::{Value, json};

#[tokio::test]
async fn a_form_is_told_each_setting_with_what_it_is() {
    let world = World::new().await;
    let settings =
        json!({"type": "redis", "sentinel_nodes": [["a", 26379]], "service_name": "m", "password": "hush"});
    world.told("POST", "/cache/settings", json!({"cache_settings": settings})).await;
    let told = world.told("GET", "/cache/settings", Value::Null).await;
    assert_eq!(
        told["current_values"],
        json!({"type": "redis", "sentinel_nodes": [["a", 26379]], "service_name": "m",
            "password": "***REDACTED***", "redis_type": "sentinel"})
    );
    let mut types: Vec<&String> = told["redis_type_descriptions"].as_object().unwrap().keys().collect();
    types.sort();
    assert_eq!(types, ["cluster", "node", "sentinel"]);
    let fields = told["fields"].as_array().unwrap();
    // Those that LiteLLM has too, in its order, with its types.
    let of_litellm = [
        ("redis_type", "String", json!("node")),
        ("url", "String", Value::Null),
        ("host", "String", Value::Null),
        ("port", "String", json!("6379")),
        ("db", "Integer", Value::Null),
        ("password", "String", Value::Null),
        ("username", "String", Value::Null),
        ("ssl", "Boolean", json!(false)),
        ("namespace", "String", Value::Null),
        ("ttl", "Float", Value::Null),
        ("redis_startup_nodes", "List", Value::Null),
        ("sentinel_nodes", "List", Value::Null),
        ("service_name", "String", Value::Null),
        ("sentinel_password", "String", Value::Null),
    ];
    for (field, (name, kind, default)) in fields.iter().zip(of_litellm) {
        assert_eq!((&field["field_name"], &field["field_type"]), (&json!(name), &json!(kind)));
        assert_eq!(field["field_default"], default, "{name}");
    }
    let names = [
        "field_default",
        "field_description",
        "field_name",
        "field_type",
        "field_value",
        "link",
        "options",
        "redis_type",
        "ui_field_name",
    ];
    for field in fields {
        let mut known: Vec<&String> = field.as_object().unwrap().keys().collect();
        known.sort();
        assert_eq!(known, names);
    }
    let field = |name: &str| fields.iter().find(|field| field["field_name"] == name).unwrap();
    assert_eq!(field("password")["field_value"], "***REDACTED***");
    assert_eq!(field("redis_type")["options"], json!(["node", "cluster", "sentinel"]));
    assert_eq!(
        (&field("service_name")["redis_type"], &field("host")["redis_type"]),
        (&json!("sentinel"), &Value::Null)
    );
}

#[tokio::test]
async fn a_body_has_settings_in_it() {
    let world = World::new().await;
    for path in ["/cache/settings", "/cache/settings/test"] {
        for body in [
            json!({}),
            json!({"cache_settings": []}),
            json!({"cache_settings": {"namespace": "x".repeat(70_000)}}),
        ] {
            assert_eq!(world.ask(MASTER, "POST", path, body.clone()).await.0, 422, "{path} {body:.40}");
        }
    }
    let told = world.told("POST", "/cache/settings/test", json!({"cache_settings": {"host": "a"}})).await;
    assert_eq!(
        told,
        json!({"status": "failed", "error": "nobody is there", "message": "Cache connection test failed: nobody is there"})
    );
    let told = world.told("GET", "/cache/settings", Value::Null).await;
    assert_eq!(told["current_values"], json!({}), "a test keeps nothing");
}
