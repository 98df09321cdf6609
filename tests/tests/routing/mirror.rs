//! Calls are mirrored to a silent model: the client gets no other answer, no later, and pays for one.

use std::thread;
use std::time::Duration;

use gatewright_tests::books::Database;
use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, deployment, poll};
use gatewright_tests::journal::Entry;
use gatewright_tests::upstream::{End, Gate, Pause, Said, Script, Upstream, Used};
use serde_json::{Value, json};

/// An answer that used so many tokens.
fn used(input: u64, output: u64) -> Script {
    Script::says(Said { used: Used { input, output, ..Used::default() }, ..Said::words(3) })
}

/// A group `m` at the first upstream, whose calls are mirrored to `silent` at the second.
fn pair(model: &str, settings: &str) -> (Upstream, Upstream, Gateway) {
    let (own, other) = (Upstream::start(), Upstream::start());
    own.choose(|_| Some(used(10, 500)));
    let models = [
        deployment("m", "openai/gpt-4o", &own, "silent_model: silent"),
        deployment("silent", model, &other, "silent_model: m"),
    ];
    let gateway =
        Gateway::start(&format!("router_settings: {{{settings}}}\nmodel_list:\n{}", models.concat()));
    (own, other, gateway)
}

fn ended(gateway: &Gateway, count: usize) -> Vec<Entry> {
    let all = |all: &[Entry]| all.len() == count && all.iter().all(|entry| entry.ending() != "running");
    let mut entries = gateway.journal_when("all ended", all);
    entries.sort_by_key(|entry| entry.group() == "silent");
    entries
}

fn figure(gateway: &Gateway, name: &str) -> u64 {
    let text = Client::of(gateway).get("/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("gatewright_mirrors_{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

#[test]
fn a_silent_model_is_asked_the_same_and_nobody_pays_for_it() {
    let (own, other, gateway) = pair("anthropic/claude-sonnet-4-5", "num_retries: 0");
    other.choose(|_| Some(used(1_000, 100)));
    let admin = Client::of(&gateway);
    let key = admin.made("/key/generate", json!({"max_budget": 0.0102}))["key"].as_str().unwrap().to_owned();
    let client = Client::with_key(&gateway, &key).header("x-litellm-session-id", "s-1");
    let body = chat("m", "what is the time?", json!({"max_tokens": 500, "temperature": 0.5}));
    // The second fits into the budget only where the mirror of the first is not in it.
    for nth in 1..=2 {
        let answer = client.post("/v1/chat/completions", &body);
        assert_eq!((answer.status, &answer.json()["model"]), (200, &json!("m")), "{}", answer.text());
        other.wait_for_requests(nth);
    }
    let seen = other.last().json();
    assert_eq!(seen["messages"][0]["role"], "user");
    assert!(seen["messages"][0].to_string().contains("what is the time?"), "{seen}");
    assert_eq!((&seen["max_tokens"], &seen["temperature"]), (&json!(500), &json!(0.5)));
    let entries = ended(&gateway, 4);
    let (asked, mirrored) = (&entries[0], &entries[2]);
    assert_eq!((asked.group(), mirrored.group()), ("m", "silent"));
    assert_eq!((mirrored.ending(), mirrored.input(), mirrored.output()), ("complete", 1_000, 100));
    assert_eq!((mirrored.caller(), mirrored.is_exact()), ("mirror", true));
    assert_ne!(asked.caller(), "mirror");
    assert_ne!(asked.call(), mirrored.call());
    let spent = poll(Duration::from_secs(20), || {
        // What is spent is asked for last: it may be booked between the two questions.
        let booked = admin.get("/spend/logs").json().as_array().is_some_and(|rows| rows.len() == 4);
        booked.then(|| admin.get(&format!("/key/info?key={key}")).json()["info"]["spend"].as_f64())?
    });
    assert_eq!(spent, Some(2.0 * 0.005025), "the key pays for its own answers");
    let logs = admin.get("/spend/logs").json();
    let of = |group: &str| -> Vec<Value> {
        logs.as_array().unwrap().iter().filter(|row| row["model_group"] == group).cloned().collect()
    };
    for row in of("silent") {
        assert_eq!(
            (&row["session_id"], &row["request_tags"]),
            (&json!("s-1"), &json!(["is_silent_experiment"]))
        );
    }
    assert_eq!(of("m").len(), 2);
    assert!(
        of("m").iter().all(|row| row["session_id"] == "s-1" && row["request_tags"] == json!([])),
        "{logs}"
    );
    assert_eq!((own.count(), other.count()), (2, 2), "a mirror has no mirror");
}

#[test]
fn an_answer_does_not_wait_for_its_mirror_and_a_stop_ends_it() {
    let (own, other, mut gateway) = pair("openai/gpt-4o-mini", "num_retries: 0");
    other.choose(|_| Some(Script { before_head: Pause::Forever, ..used(10, 5) }));
    let client = Client::of(&gateway);
    for stream in [false, true] {
        let answer = client.post("/v1/chat/completions", &chat("m", "hi", json!({"stream": stream})));
        assert_eq!(answer.status, 200);
        assert!(!stream || answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    }
    other.wait_for_requests(2);
    assert_eq!(figure(&gateway, "running"), 2);
    assert_eq!(own.count(), 2);
    gateway.terminate();
    assert!(gateway.wait_for_exit().success());
    other.wait("both left", |bills| bills.iter().all(|bill| bill.end != End::Running));
    let entries = ended(&gateway, 4);
    let endings: Vec<_> = entries.iter().map(Entry::ending).collect();
    assert_eq!(endings, ["complete", "complete", "abandoned", "abandoned"]);
    // They ended before the last entries were taken to the database.
    let mut booked: Vec<i64> =
        Database::Sqlite.books(&gateway).entries.iter().map(|one| one.ending).collect();
    booked.sort_unstable();
    assert_eq!(booked, [0, 0, 2, 2]);
}

#[test]
fn a_mirror_that_fails_is_nobodys_trouble() {
    let (own, other, gateway) = pair("openai/gpt-4o-mini", "num_retries: 0, fallbacks: [{silent: [m]}]");
    other.choose(|_| Some(Script::fails(500, "not today")));
    assert_eq!(Client::of(&gateway).chat("m", "hi").status, 200);
    let entries = ended(&gateway, 2);
    assert_eq!((entries[0].ending(), entries[1].ending()), ("complete", "failed"));
    assert_eq!((own.count(), other.count()), (1, 1), "and it falls back to nobody");
    assert!(
        poll(Duration::from_secs(20), || (figure(&gateway, "failed_total") == 1).then_some(())).is_some()
    );
}

#[test]
fn no_more_are_mirrored_than_may_be_and_no_call_that_is_refused() {
    let (own, other, gateway) = pair("openai/gpt-4o-mini", "num_retries: 0, max_mirrors: 1");
    let gate = Gate::default();
    let held = gate.clone();
    other.choose(move |_| Some(Script { before_head: Pause::Gate(held.clone()), ..used(10, 5) }));
    let client = Client::of(&gateway);
    thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(|| client.chat("m", "hi").status)).collect();
        assert!(calls.into_iter().all(|call| call.join().unwrap() == 200));
    });
    other.wait_for_requests(1);
    assert_eq!((own.count(), figure(&gateway, "running"), figure(&gateway, "dropped_total")), (4, 1, 3));
    gate.open();
    assert!(
        poll(Duration::from_secs(20), || (figure(&gateway, "answered_total") == 1).then_some(())).is_some()
    );
    own.push(Script::fails(400, "no"));
    assert_eq!(client.chat("m", "hi").status, 400);
    let admin = Client::of(&gateway);
    let key = admin.made("/key/generate", json!({"rpm_limit": 0}))["key"].as_str().unwrap().to_owned();
    assert_eq!(Client::with_key(&gateway, &key).chat("m", "hi").status, 429);
    assert_eq!(client.chat("m", "hi").status, 200);
    assert!(
        poll(Duration::from_secs(20), || (figure(&gateway, "answered_total") == 2).then_some(())).is_some()
    );
    assert_eq!((other.count(), figure(&gateway, "dropped_total")), (2, 3));
}
