//! Whatever stands in a field of the management API: it is kept as it is, or refused in clear words, and never a 500.
#![cfg(test)]

use std::fmt::Write as _;
use std::thread;

use gatewright_tests::books::Database;
use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::{Gateway, Setup, model};
use gatewright_tests::postgres::Postgres;
use gatewright_tests::upstream::Upstream;
use serde_json::{Value, json};

/// Where odd values are sent.
const KINDS: [&str; 7] = ["/key/", "/team/", "/user/", "/customer/", "/tag/", "/budget/", "/organization/"];

/// What bodies have besides the fields of their kind.
const BESIDE: &[(&str, &[&str])] = &[
    ("/key/", &["key", "new_key", "grace_period", "reset_to"]),
    ("/team/", &["team_id", "member", "members_with_roles", "permissions", "role"]),
    ("/user/", &["user_id", "teams", "auto_create_key"]),
    ("/customer/", &["user_id"]),
    ("/tag/", &["name"]),
    ("/budget/", &["budget_id", "id"]),
    ("/organization/", &["organization_id", "member", "user_id", "role"]),
];

/// Lists that name what a body is about.
const LISTS: [&str; 10] = [
    "keys",
    "key_aliases",
    "team_ids",
    "user_ids",
    "budgets",
    "names",
    "organization_ids",
    "models",
    "permissions",
    "team_member_permissions",
];

/// Names of what is asked about, as parameters of a query.
const ASKED: &[(&str, &str)] = &[
    ("/key/info", "key"),
    ("/key/list", "key_alias"),
    ("/key/list", "user_id"),
    ("/key/list", "key_hash"),
    ("/key/list", "page"),
    ("/key/list", "sort_by"),
    ("/key/aliases", "search"),
    ("/team/info", "team_id"),
    ("/team/list", "user_id"),
    ("/user/info", "user_id"),
    ("/user/list", "user_email"),
    ("/customer/info", "end_user_id"),
    ("/budget/settings", "budget_id"),
    ("/organization/info", "organization_id"),
];

/// As JSON, for not all of them are what a program would write.
fn odd() -> Vec<String> {
    let mut all: Vec<String> = [
        r#""\u0000""#,
        r#""a\u0000b""#,
        r#""\ud800""#,
        r#""\udc00\ud800x""#,
        r#""\u202e\u0007\u001b[31m'\";--""#,
        r#""%_\\""#,
        r#""..""#,
        r#""a/b?c#d""#,
        r#""NaN""#,
        r#""-Infinity""#,
        r#""""#,
        r#"" ""#,
        "1e308",
        "-1e308",
        "1e999",
        "-1",
        "0.1",
        "9223372036854775808",
        "18446744073709551616",
        "true",
        "[]",
        "{}",
        r#"[null]"#,
        r#"["\u0000"]"#,
        r#"[["a"]]"#,
        r#"{"\u0000": "\u0000"}"#,
        r#"{"a": {"budget_limit": -1, "time_period": "\u0000"}}"#,
        r#"[{"budget_duration": "\u0000", "max_budget": 1e308}]"#,
        "NaN",
    ]
    .map(str::to_owned)
    .to_vec();
    all.push(format!("\"{}\"", "x".repeat(64 << 10)));
    all.push(format!("{}{}", "[".repeat(100), "]".repeat(100)));
    all
}

/// The routes with a body, and the fields of each by the document of the API.
fn bodies(client: &Client) -> Vec<(String, Vec<String>)> {
    let document = client.get("/openapi.json").json();
    let mut bodies = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let Some(kind) = KINDS.iter().find(|kind| path.starts_with(**kind)) else { continue };
        let Some(post) = methods.get("post").filter(|_| !path.contains('{')) else { continue };
        let schema = &post["requestBody"]["content"]["application/json"]["schema"];
        let named = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next());
        let schema = named.map_or(schema, |name| &document["components"]["schemas"][name]);
        let known = schema["properties"].as_object().into_iter().flat_map(|all| all.keys().cloned());
        let beside = BESIDE.iter().filter(|(of, _)| of == kind).flat_map(|(_, names)| *names);
        let all = known.chain(beside.chain(&LISTS).map(|name| (*name).to_owned()));
        bodies.push((path.clone(), all.collect()));
    }
    assert!(bodies.len() > 30, "{bodies:?}");
    bodies
}

/// An answer that says what is wrong, or that it was done.
fn check(answer: &Response, asked: &str) {
    let short: String = asked.chars().take(200).collect();
    assert!((200..500).contains(&answer.status), "{short}: {} {}", answer.status, answer.text());
    if answer.status >= 400 {
        let told = serde_json::from_str::<Value>(&answer.text()).unwrap_or_default();
        let said = told.get("error").or_else(|| told.get("detail"));
        assert!(said.is_some_and(|said| !said.is_null()), "{short}: {}", answer.text());
    }
}

/// What every body needs to be about something that is there.
fn about(made: &Value) -> Value {
    json!({
        "key": made["key"], "team_id": "t", "user_id": "u", "budget_id": "b", "name": "g", "id": "b",
        "organization_id": "o", "organization_alias": "o",
    })
}

fn world(database: &Database) -> (Upstream, Gateway, Value) {
    let upstream = Upstream::start();
    let config = format!("{}{}", model("m", "openai/gpt-4o", &upstream), database.settings(""));
    let gateway = Setup::new(config).start();
    let admin = Client::of(&gateway);
    for (path, body) in [
        ("/organization/new", json!({"organization_id": "o", "organization_alias": "o"})),
        ("/team/new", json!({"team_id": "t"})),
        ("/user/new", json!({"user_id": "u"})),
        ("/customer/new", json!({"user_id": "c"})),
        ("/budget/new", json!({"budget_id": "b"})),
        ("/tag/new", json!({"name": "g"})),
    ] {
        admin.made(path, body);
    }
    let made = admin.made("/key/generate", json!({}));
    (upstream, gateway, made)
}

/// In every field of every body what a database may not keep and what cannot be counted, and of the other values one after
/// the other.
fn every_field_takes_or_refuses_what_is_odd(database: &Database) {
    let (_upstream, gateway, made) = world(database);
    let admin = Client::of(&gateway);
    let (bodies, odd) = (bodies(&admin), odd());
    let always = [r#""a\u0000b""#, r#"["a\u0000b"]"#, "1e308"];
    let mut asked = Vec::new();
    for (path, fields) in &bodies {
        for field in fields {
            let turn = odd.get(asked.len() % odd.len()).map(String::as_str);
            asked.extend(always.into_iter().chain(turn).map(|value| (path, field, value)));
        }
    }
    let share = asked.len().div_ceil(4);
    thread::scope(|scope| {
        for asked in asked.chunks(share) {
            let (admin, made) = (&admin, &made);
            scope.spawn(move || {
                for (path, field, value) in asked {
                    let mut body = about(made);
                    body.as_object_mut().unwrap().remove(*field);
                    let mut text = body.to_string();
                    text.truncate(text.len() - 1);
                    write!(text, ", {}: {value}}}", json!(field)).unwrap();
                    let answer = admin.post_bytes(path, text.as_bytes());
                    check(&answer, &format!("{path} {field}: {value}"));
                }
            });
        }
    });
    assert!(!gateway.log().contains("panicked"), "{}", gateway.log());
}

/// Every value in every query.
fn every_question_is_answered(database: &Database) {
    let (_upstream, gateway, _) = world(database);
    let admin = Client::of(&gateway);
    let long = "x".repeat(64 << 10);
    for (path, name) in ASKED {
        for value in [
            "%00",
            "a%00b",
            "%ff%fe",
            "%ed%a0%80",
            "%",
            "%zz",
            "'%22;--",
            "-1",
            "1e308",
            "NaN",
            "%25_%5c",
            &long,
        ] {
            let asked = format!("{path}?{name}={value}");
            // A head may be too long for anybody to look into it.
            match admin.try_get(&asked) {
                Ok(answer) if matches!(answer.status, 414 | 431) => {}
                Ok(answer) => check(&answer, &asked),
                Err(err) => assert!(value.len() > 1000, "{asked}: {err}"),
            }
        }
    }
}

/// An id that is taken is kept to the last byte.
fn ids_are_kept_as_they_are_or_refused(database: &Database) {
    let (_upstream, gateway, _) = world(database);
    let admin = Client::of(&gateway);
    let texts: Vec<Value> = odd().iter().filter_map(|value| serde_json::from_str(value).ok()).collect();
    for id in texts.iter().filter_map(Value::as_str).filter(|id| !id.is_empty()) {
        let encoded: String = id.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02x}"));
        for (make, field, look) in [
            ("/team/new", "team_id", Err("/team/info?team_id=")),
            ("/user/new", "user_id", Err("/user/info?user_id=")),
            ("/customer/new", "user_id", Err("/customer/info?end_user_id=")),
            ("/budget/new", "budget_id", Ok(("/budget/info", "budgets"))),
            ("/tag/new", "name", Ok(("/tag/info", "names"))),
            ("/key/generate", "key_alias", Err("/key/list?return_full_object=true&key_alias=")),
        ] {
            let made = admin.post(make, &json!({field: id}));
            let booked = !matches!(make, "/budget/new" | "/key/generate");
            if booked && (id.len() > 160 || id.contains('\0')) {
                assert_eq!(made.status, 400, "{make} {id:?}: the ledger would not know it");
            }
            if made.status != 200 {
                check(&made, &format!("{make} {field} {id:?}"));
                continue;
            }
            let told = match look {
                Ok((path, list)) => admin.post(path, &json!({list: [id]})),
                Err(_) if encoded.len() > 10_000 => continue,
                Err(path) => admin.get(&format!("{path}{encoded}")),
            };
            assert_eq!(told.status, 200, "{make} {id:?}: {}", told.text());
            assert!(has(&told.json(), id), "{make} {id:?}: {}", told.text());
        }
    }
}

/// Whether a text stands anywhere in a document.
fn has(document: &Value, text: &str) -> bool {
    match document {
        Value::String(found) => found == text,
        Value::Array(items) => items.iter().any(|item| has(item, text)),
        Value::Object(map) => map.iter().any(|(name, value)| name == text || has(value, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[test]
fn odd_values_in_sqlite() {
    every_field_takes_or_refuses_what_is_odd(&Database::Sqlite);
    every_question_is_answered(&Database::Sqlite);
    ids_are_kept_as_they_are_or_refused(&Database::Sqlite);
}

#[test]
fn odd_values_in_postgres() {
    every_field_takes_or_refuses_what_is_odd(&Database::Postgres(Postgres::start()));
    every_question_is_answered(&Database::Postgres(Postgres::start()));
    ids_are_kept_as_they_are_or_refused(&Database::Postgres(Postgres::start()));
}
