//! SIGHUP: the configuration is read again while calls go on.
#![cfg(test)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, MASTER, deployment, poll};
use gatewright_tests::upstream::{Gate, Pause, Script, Upstream};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(20);

fn config(models: &[String], more: &str) -> String {
    format!("model_list:\n{}{more}{MASTER}", models.concat())
}

/// Waits until a model is answered so.
fn until(client: &Client, model: &str, status: u16) {
    let mut last = 0;
    let found = poll(PATIENCE, || {
        last = client.chat(model, "hi").status;
        (last == status).then_some(())
    });
    assert!(found.is_some(), "{model}: still {last}, not {status}");
}

#[test]
fn models_aliases_and_credentials_are_taken_anew_and_no_call_is_dropped() {
    let (upstream, gate) = (Upstream::start(), Gate::default());
    let old = |more| deployment("old", "openai/gpt-4o", &upstream, more);
    let new = deployment("new", "openai/gpt-4o-mini", &upstream, "");
    let gateway = Gateway::start(&format!("model_list:\n{}", old("")));
    let client = Client::of(&gateway);
    upstream.push(Script { before_head: Pause::Gate(gate.clone()), ..Script::default() });
    thread::scope(|scope| {
        let running = scope.spawn(|| client.chat("old", "hi"));
        upstream.wait_for_requests(1);
        gateway.reread(&config(
            std::slice::from_ref(&new),
            "router_settings: {model_group_alias: {nick: new}}\n",
        ));
        until(&client, "new", 200);
        assert_eq!((client.chat("nick", "hi").status, client.chat("old", "hi").status), (200, 400));
        gate.open();
        assert_eq!(running.join().unwrap().status, 200, "it began when there was such a model");
    });
    let other = old("").replace("api_key: sk-upstream", "litellm_credential_name: shop");
    let credentials = "credential_list: [{credential_name: shop, credential_values: {api_key: sk-anew}}]\n";
    gateway.reread(&config(&[other], credentials));
    until(&client, "old", 200);
    assert_eq!(upstream.last().header("authorization"), "Bearer sk-anew");
    assert_eq!(client.chat("new", "hi").status, 400);
}

#[test]
fn a_file_with_errors_is_told_and_the_old_one_stays() {
    let upstream = Upstream::start();
    let model = |name| deployment(name, "openai/gpt-4o", &upstream, "");
    let gateway = Gateway::start(&format!("model_list:\n{}", model("one")));
    let client = Client::of(&gateway);
    const ID: &str = "    model_info: {id: same}\n";
    for (turn, broken) in [
        "model_list: [".to_owned(),
        config(&[model("two") + ID, model("three") + ID], ""),
        config(&[model("two")], "router_settings: {num_retries: many}\n"),
    ]
    .into_iter()
    .enumerate()
    {
        gateway.reread(&broken);
        let told = || (gateway.log().matches("the old one stays").count() > turn).then_some(());
        assert!(poll(PATIENCE, told).is_some(), "{broken}: {}", gateway.log());
        assert_eq!(
            (client.chat("one", "hi").status, client.chat("two", "hi").status),
            (200, 400),
            "{broken}"
        );
    }
    gateway.reread(&config(&[model("two")], "litellm_settings: {max_budget: 5}\n"));
    until(&client, "two", 200);
    let told = || gateway.log().contains("takes effect at the next start").then_some(());
    assert!(poll(PATIENCE, told).is_some(), "{}", gateway.log());
}

#[test]
fn stored_models_stay_when_the_file_is_read_again() {
    let upstream = Upstream::start();
    let model = |name| deployment(name, "openai/gpt-4o", &upstream, "");
    let stored = "general_settings:\n  store_model_in_db: true\n";
    let text =
        |name| format!("model_list:\n{}{}", model(name), MASTER.replace("general_settings:\n", stored));
    let gateway = gatewright_tests::gateway::Setup::new(text("one")).start();
    let client = Client::of(&gateway);
    let params =
        json!({"model": "openai/gpt-4o", "api_base": format!("{}/v1", upstream.base()), "api_key": "sk-x"});
    client.made("/model/new", json!({"model_name": "kept", "litellm_params": params}));
    until(&client, "kept", 200);
    gateway.reread(&text("two"));
    until(&client, "two", 200);
    assert_eq!((client.chat("kept", "hi").status, client.chat("one", "hi").status), (200, 400));
}

#[test]
fn calls_go_on_while_the_table_is_replaced_again_and_again() {
    const CLIENTS: usize = 8;
    const TURNS: usize = 12;
    let upstreams = [Upstream::start(), Upstream::start()];
    let stored = "general_settings:\n  store_model_in_db: true\n";
    // The model that all call is at another upstream each turn; another one is there in its turn alone.
    let text = |turn: usize| {
        let at = &upstreams[turn % 2];
        let models = [
            deployment("m", "openai/gpt-4o", at, ""),
            deployment(&format!("turn-{turn}"), "openai/gpt-4o", at, ""),
        ];
        let retries = "router_settings: {num_retries: 0}\n";
        format!("{retries}model_list:\n{}{}", models.concat(), MASTER.replace("general_settings:\n", stored))
    };
    let gateway = gatewright_tests::gateway::Setup::new(text(0)).start();
    let client = Client::of(&gateway);
    let params = json!({
        "model": "openai/gpt-4o", "api_base": format!("{}/v1", upstreams[0].base()), "api_key": "sk-x",
    });
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let call = || {
            let mut answers = Vec::new();
            while !over.load(Ordering::Relaxed) || answers.is_empty() {
                let answer = client.chat("m", "hi");
                answers.push((answer.status, answer.text()));
            }
            answers
        };
        let callers: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(call)).collect();
        let change = || {
            for turn in 1..=TURNS {
                gateway.reread(&text(turn));
                until(&client, &format!("turn-{turn}"), 200);
                let made = client.made("/model/new", json!({"model_name": "more", "litellm_params": params}));
                until(&client, "more", 200);
                client.made("/model/delete", json!({"id": made["model_info"]["id"]}));
                until(&client, "more", 400);
            }
        };
        let changed = scope.spawn(change).join();
        over.store(true, Ordering::Relaxed);
        for caller in callers {
            let failed: Vec<_> =
                caller.join().unwrap().into_iter().filter(|(status, _)| *status != 200).collect();
            assert!(failed.is_empty(), "{failed:?}");
        }
        changed.unwrap();
    });
    let of_calls = |upstream: &Upstream| upstream.seen().len() > TURNS;
    assert!(upstreams.iter().all(of_calls), "each had its share");
}
