//! Alerts, through the whole gateway: what happens, who is told of it, and in whose words.
#![cfg(test)]

mod budgets;
mod changes;
mod mails;
mod replicas;
mod reports;
mod set_up;
mod spend;

use std::time::Duration;

use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, MASTER, Setup, deployment, poll};
use gatewright_tests::mail::MailServer;
use gatewright_tests::upstream::{Gate, Pause, Said, Script, Seen, Upstream, Used};
use serde_json::{Value, json};

/// Whoever takes what is posted.
fn receiver() -> Upstream {
    let hook = Upstream::start();
    hook.choose(|_| Some(Script::replay(200, &[], "ok")));
    hook
}

/// An upstream whose answers cost $0.0035 with gpt-4o.
fn upstream() -> Upstream {
    let upstream = Upstream::start();
    upstream.choose(|_| {
        let used = Used { input: 1_000, output: 100, ..Used::default() };
        Some(Script::says(Said { used, ..Said::words(3) }))
    });
    upstream
}

/// A gateway that alerts as these lines of `general_settings` say.
fn alerting(models: &str, general: &str) -> Setup {
    Setup::new(format!("model_list:\n{models}{MASTER}{general}"))
}

/// What came, once so many have.
fn told(hook: &Upstream, count: usize) -> Vec<Seen> {
    hook.wait_for_requests(count);
    hook.seen()
}

/// What one of Slack's messages says, once one does that has these words.
fn said(hook: &Upstream, words: &str) -> String {
    let texts = || {
        hook.seen().iter().map(|seen| seen.json()["text"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let found = poll(Duration::from_secs(20), || {
        let texts: Vec<String> = texts();
        texts.into_iter().find(|text| text.contains(words))
    });
    found.unwrap_or_else(|| panic!("nobody said {words:?}: {:#?}", texts()))
}

/// Waits until the metrics have this line.
fn poll_metrics(gateway: &Gateway, line: &str) {
    let metrics = || Client::of(gateway).get("/metrics").text();
    let found = poll(Duration::from_secs(20), || metrics().contains(line).then_some(()));
    assert!(found.is_some(), "{line} is missing: {}", metrics());
}

fn key_of(gateway: &Gateway, body: Value) -> (String, String) {
    let made = Client::of(gateway).made("/key/generate", body);
    let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
    (text("key"), text("token"))
}

fn ask(client: &Client) -> u16 {
    client.post("/v1/chat/completions", &chat("m", "hi", json!({"max_tokens": 100}))).status
}

#[test]
fn every_channel_is_told_in_its_own_words() {
    let (upstream, hook, mail) = (upstream(), receiver(), MailServer::start());
    let models = deployment("m", "openai/gpt-4o", &upstream, "");
    let at = |path: &str| format!("http://{}/{path}", hook.addr());
    let general = "  alerting: [slack, discord, ms_teams, pagerduty, email]\n  alert_types: [budget_alerts]\n  \
        alert_emails: [ops@example.com]\n";
    let gateway = alerting(&models, general)
        .env("SLACK_WEBHOOK_URL", &at("slack"))
        .env("DISCORD_WEBHOOK_URL", &at("discord"))
        .env("MS_TEAMS_WEBHOOK_URL", &at("teams"))
        .env("PAGERDUTY_API_KEY", "R0123")
        .env("PAGERDUTY_EVENTS_URL", &at("v2/enqueue"))
        .env("SMTP_HOST", "127.0.0.1")
        .env("SMTP_PORT", &mail.port().to_string())
        .env("SMTP_TLS", "False")
        .env("SMTP_USERNAME", "gw")
        .env("SMTP_PASSWORD", "pass")
        .env("SMTP_SENDER_EMAIL", "gateway@example.com")
        .env("PROXY_BASE_URL", "https://gw.example.com")
        .start();
    let user = json!({"user_id": "u", "user_email": "u@example.com", "auto_create_key": false});
    Client::of(&gateway).made("/user/new", user);
    let (key, _) = key_of(&gateway, json!({"user_id": "u", "key_alias": "k`1", "max_budget": 0.004}));
    assert_eq!(ask(&Client::with_key(&gateway, &key)), 200);
    let seen = told(&hook, 4);
    let of = |path: &str| seen.iter().find(|seen| seen.path == path).expect("told").json();
    let title = "Key Budget: 15% Threshold Crossed";
    let text = of("/slack")["text"].as_str().unwrap().to_owned();
    for line in
        ["*Key Budget: 15% Threshold Crossed*", "\nLevel: `Medium`", "\nKey: `k'1`", "\nSpent: `$0.0035`"]
    {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    let discord = of("/discord");
    assert!(discord["content"].as_str().unwrap().starts_with(&format!("**{title}**\n")), "{discord}");
    assert_eq!(discord["allowed_mentions"], json!({"parse": []}));
    let card = of("/teams")["attachments"][0].clone();
    assert_eq!(card["contentType"], "application/vnd.microsoft.card.adaptive");
    assert_eq!(
        (&card["content"]["type"], &card["content"]["body"][0]["text"]),
        (&json!("AdaptiveCard"), &json!(title))
    );
    let event = of("/v2/enqueue");
    assert_eq!((&event["routing_key"], &event["event_action"]), (&json!("R0123"), &json!("trigger")));
    let payload = &event["payload"];
    let told = json!([payload["summary"], payload["source"], payload["severity"]]);
    assert_eq!(told, json!([title, "https://gw.example.com", "warning"]));
    let mail = mail.wait(1).remove(0);
    assert_eq!(mail.from, "gateway@example.com");
    assert_eq!(mail.to, ["u@example.com", "ops@example.com"]);
    // An empty name, the user's and the password, with a zero before each of the latter.
    assert_eq!(mail.login, "AGd3AHBhc3M=");
    assert!(mail.text.contains("Subject: Gatewright: Key Budget: 15% Threshold Crossed\n"), "{}", mail.text);
    assert!(mail.text.contains("\nSpent: $0.0035\n"), "{}", mail.text);
    for secret in ["R0123", "pass\"", key.as_str()] {
        assert!(!gateway.log().contains(secret), "{secret} is in the log");
    }
}

/// A gateway that tells Slack of these kinds.
fn slack(models: &str, hook: &Upstream, general: &str) -> Gateway {
    let address = format!("http://{}/slack", hook.addr());
    alerting(models, &format!("  alerting: [slack]\n{general}")).env("SLACK_WEBHOOK_URL", &address).start()
}

#[test]
fn a_deployment_that_fails_again_and_again_is_an_outage() {
    let (upstream, hook) = (Upstream::start(), receiver());
    upstream.choose(|_| Some(Script::fails(500, "the prompt was: hi")));
    let models = deployment("m", "openai/gpt-4o", &upstream, "num_retries: 0");
    let general = "  alert_types: [outage_alerts, llm_exceptions]\n";
    let gateway = slack(&models, &hook, general);
    let client = Client::of(&gateway);
    for _ in 0..10 {
        assert_eq!(client.chat("m", "hi").status, 500);
    }
    let minor = said(&hook, "Minor outage of openai/gpt-4o");
    assert!(minor.contains("Other failures: `5`") && minor.contains("Level: `Medium`"), "{minor}");
    let major = said(&hook, "Major outage of openai/gpt-4o");
    assert!(major.contains("Other failures: `10`") && major.contains("Level: `High`"), "{major}");
    let failed = said(&hook, "Calls of m fail");
    assert!(failed.contains("Failure: `upstream`") && failed.contains("Status: `500`"), "{failed}");
    // The others were kept back, and nobody repeats what a provider says.
    assert_eq!(hook.count(), 3);
    assert!(hook.seen().iter().all(|seen| !String::from_utf8_lossy(&seen.body).contains("prompt")));
}

#[test]
fn a_call_that_is_open_for_too_long_hangs_and_one_that_took_too_long_was_slow() {
    let (upstream, hook) = (Upstream::start(), receiver());
    let gate = Gate::default();
    upstream.push(Script { before_head: Pause::Gate(gate.clone()), ..Script::says(Said::words(3)) });
    let models = deployment("m", "openai/gpt-4o", &upstream, "");
    let general = "  alerting_threshold: 0.2\n  alert_types: [llm_requests_hanging, llm_too_slow]\n";
    let gateway = slack(&models, &hook, general);
    let client = Client::of(&gateway);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.chat("m", "a secret prompt").status);
        let hanging = said(&hook, "Calls of m are hanging");
        assert!(hanging.contains("Open for longer than: `200ms`\nCalls: `1`"), "{hanging}");
        gate.open();
        assert_eq!(call.join().unwrap(), 200);
    });
    let slow = said(&hook, "Calls of m are slow");
    assert!(slow.contains("Threshold: `200ms`") && !slow.contains("secret"), "{slow}");
}

#[test]
fn a_deployment_that_rests_is_told() {
    let (limited, well, hook) = (Upstream::start(), upstream(), receiver());
    limited.choose(|_| Some(Script::fails(429, "slow down")));
    let models = [
        deployment("m", "openai/gpt-4o", &limited, "order: 1"),
        deployment("m", "openai/gpt-4o-mini", &well, "order: 2"),
    ]
    .concat();
    let gateway = slack(&models, &hook, "  alert_types: [cooldown_deployment]\n");
    assert_eq!(Client::of(&gateway).chat("m", "hi").status, 200);
    let rests = said(&hook, "A deployment of m rests");
    for line in ["Model: `openai/gpt-4o`", "Rests for: `5s`", "Failure: `rate_limited`", "Status: `429`"] {
        assert!(rests.contains(line), "{line} is missing in {rests}");
    }
}

#[test]
fn what_was_told_is_not_told_again_after_a_restart() {
    let (upstream, hook) = (upstream(), receiver());
    let models = deployment("m", "openai/gpt-4o", &upstream, "");
    let address = format!("http://{}/hook", hook.addr());
    let mut gateway = alerting(&models, "  alerting: [webhook]\n").env("WEBHOOK_URL", &address).start();
    let (key, token) = key_of(&gateway, json!({"soft_budget": 0.001}));
    assert_eq!(ask(&Client::with_key(&gateway, &key)), 200);
    told(&hook, 1);
    gateway.terminate();
    gateway.wait_for_exit();
    gateway.restart();
    // As far as the new process knows, it is crossed for the first time.
    assert_eq!(ask(&Client::with_key(&gateway, &key)), 200);
    let (other, others) = key_of(&gateway, json!({"soft_budget": 0.001}));
    assert_eq!(ask(&Client::with_key(&gateway, &other)), 200);
    assert_eq!(gateway.log().matches("a soft budget was crossed").count(), 3);
    let tokens: Vec<Value> = told(&hook, 2).iter().map(|seen| seen.json()["token"].clone()).collect();
    assert_eq!(tokens, [json!(token), json!(others)]);
}

#[test]
fn deployments_are_reported_on_from_time_to_time() {
    let (upstream, hook) = (upstream(), receiver());
    let models = deployment("m", "openai/gpt-4o", &upstream, "");
    let general = "  alert_types: [daily_reports]\n  alerting_args: {daily_report_frequency: 0.5}\n";
    let gateway = slack(&models, &hook, general);
    assert_eq!(Client::of(&gateway).chat("m", "hi").status, 200);
    let report = said(&hook, "How the deployments did");
    assert!(report.contains("Attempts: `1`\nFailed: `0`\nSlowest: `openai/gpt-4o ("), "{report}");
}

#[test]
fn a_channel_that_hangs_costs_calls_nothing_and_holds_up_no_other() {
    let (upstream, hook) = (upstream(), Upstream::start());
    let gate = Gate::default();
    let held = gate.clone();
    hook.choose(move |seen| {
        let before_head = match seen.path.as_str() {
            "/slack" => Pause::Gate(held.clone()),
            _ => Pause::default(),
        };
        Some(Script { before_head, ..Script::replay(200, &[], "ok") })
    });
    let models = deployment("m", "openai/gpt-4o", &upstream, "");
    let at = |path: &str| format!("http://{}/{path}", hook.addr());
    let general = "  alerting: [slack, webhook]\n  alert_types: [budget_alerts]\n  alerting_args: {alert_queue_size: 2}\n";
    let gateway = alerting(&models, general)
        .env("SLACK_WEBHOOK_URL", &at("slack"))
        .env("WEBHOOK_URL", &at("hook"))
        .start();
    for _ in 0..6 {
        let (key, _) = key_of(&gateway, json!({"soft_budget": 0.001}));
        assert_eq!(ask(&Client::with_key(&gateway, &key)), 200);
    }
    let events = poll(Duration::from_secs(20), || {
        (hook.seen().iter().filter(|seen| seen.path == "/hook").count() == 6).then_some(())
    });
    assert!(events.is_some(), "the other channel is told of all");
    let metrics = Client::of(&gateway).get("/metrics").text();
    // One is being told, two wait.
    assert!(metrics.contains("gatewright_alerts_dropped_total{channel=\"slack\"} 3"), "{metrics}");
    gate.open();
}
