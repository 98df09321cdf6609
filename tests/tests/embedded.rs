//! The layers inside a program, without the server: what `gatewright-sdk` promises.

use std::sync::{Arc, Mutex};

use gatewright_sdk::chat::{Delta, Event, Finish};
use gatewright_sdk::{Ask, Attempted, Client, Deployment, ErrorKind, Money};
use gatewright_tests::upstream::{Ends, Said, Script, Upstream};
use serde_json::json;

fn at(model: &str, upstream: &Upstream) -> Deployment {
    Deployment::of(model).api_base(upstream.base() + "/v1").api_key("sk-upstream")
}

fn run<T>(program: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(program)
}

#[test]
fn an_answer_has_text_usage_and_cost_whoever_gives_it() {
    let upstream = Upstream::start();
    let client = Client::builder()
        .deployment("gpt", at("openai/gpt-4o", &upstream))
        .deployment("claude", at("anthropic/claude-sonnet-4-5", &upstream))
        .build()
        .unwrap();
    run(async {
        // 10 tokens at $2.50 and 5 at $10 a million; then at $3 and $15.
        for (model, nanos) in [("gpt", 75_000), ("claude", 105_000)] {
            let answer = client.completion(model, "n=3").await.unwrap();
            assert_eq!(answer.text(), "w0 w1 w2 ", "{model}");
            assert_eq!(answer.finish(), Finish::Stop);
            assert_eq!(answer.usage().map(|usage| usage.total()), Some(15));
            assert_eq!(answer.cost(), Some(Money(nanos)), "{model}");
        }
        let vectors = client.embedding("gpt", ["a", "bcd"]).await.unwrap();
        assert_eq!(vectors.vectors, [vec![1.0, 0.0], vec![3.0, 1.0]]);
    });
}

#[test]
fn a_conversation_with_tools_goes_on_with_all_that_the_model_thought() {
    let upstream = Upstream::start();
    upstream.push(Script::says(Said::text(["let me see"]).thinking(["hm"], "c2lnbmVk").tool(
        "call_1",
        "weather",
        &["{\"city\":", "\"Paris\"}"],
    )));
    let client =
        Client::builder().deployment("claude", at("anthropic/claude-sonnet-4-5", &upstream)).build().unwrap();
    run(async {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        let ask = Ask::new()
            .system("Be brief.")
            .user("Weather?")
            .tool("weather", "Tells it.", schema)
            .max_tokens(99);
        let answer = client.completion("claude", ask.clone()).await.unwrap();
        assert_eq!((answer.reasoning().as_str(), answer.finish()), ("hm", Finish::ToolCalls));
        let call = answer.tool_calls().next().unwrap();
        assert_eq!((call.id.as_str(), call.arguments.as_str()), ("call_1", "{\"city\":\"Paris\"}"));
        client.completion("claude", ask.then(&answer).tool_result("call_1", "21 degrees")).await.unwrap();
    });
    let sent = upstream.last().json();
    assert_eq!(
        sent["messages"][1]["content"][0],
        json!({"type": "thinking", "thinking": "hm", "signature": "c2lnbmVk"})
    );
    assert_eq!(sent["messages"][2]["content"][0]["tool_use_id"], "call_1");
    assert_eq!((&sent["system"], &sent["max_tokens"]), (&json!("Be brief."), &json!(99)));
}

#[test]
fn a_stream_tells_text_and_events_and_what_it_cost() {
    let upstream = Upstream::start();
    let client = Client::builder().deployment("gpt", at("openai/gpt-4o", &upstream)).build().unwrap();
    run(async {
        let mut stream = client.stream("gpt", "n=3").await.unwrap();
        let mut pieces = Vec::new();
        while let Some(text) = stream.next_text().await.unwrap() {
            pieces.push(text);
        }
        assert_eq!(pieces, ["w0 ", "w1 ", "w2 "]);
        assert_eq!(stream.cost(), Some(Money(75_000)));

        upstream.push(Script::says(Said::words(9)).stopping(4, Ends::Cut));
        let mut stream = client.stream("gpt", "hi").await.unwrap();
        let failed = loop {
            match stream.next().await {
                Ok(Some(
                    Event::PartDelta { delta: Delta::Text(_), .. }
                    | Event::Start { .. }
                    | Event::PartStart { .. },
                )) => {}
                Ok(other) => panic!("{other:?}"),
                Err(err) => break err,
            }
        };
        assert_eq!(failed.kind(), ErrorKind::Connection);
        assert_eq!(stream.next().await.unwrap(), None);
    });
}

#[test]
fn failures_fall_back_and_every_attempt_is_told() {
    let (bad, good) = (Upstream::start(), Upstream::start());
    bad.choose(|_| Some(Script::fails(401, "no")));
    let told: Arc<Mutex<Vec<Attempted>>> = Arc::default();
    let listener = told.clone();
    let client = Client::builder()
        .deployment("smart", at("openai/gpt-4o", &bad))
        .deployment("cheap", at("openai/gpt-4o-mini", &good))
        .fallback("smart", ["cheap"])
        .on_attempt(move |attempted| listener.lock().unwrap().push(attempted.clone()))
        .build()
        .unwrap();
    run(async {
        assert_eq!(client.completion("smart", "n=1").await.unwrap().text(), "w0 ");
        let stream = client.stream("cheap", "n=500 gap=5").await.unwrap();
        drop(stream);
    });
    let told = told.lock().unwrap();
    let seen: Vec<_> = told.iter().map(|told| (&*told.group, told.failed, told.is_whole)).collect();
    let expected =
        [("smart", Some(ErrorKind::UpstreamAuth), false), ("cheap", None, true), ("cheap", None, false)];
    assert_eq!(seen, expected);
    assert_eq!(told[1].cost, Some(Money(4_500)));
}

#[test]
fn what_cannot_be_built_or_asked_is_told() {
    let client = Client::builder().deployment("gpt", Deployment::of("nobody/x")).build().unwrap();
    run(async {
        assert_eq!(client.completion("gpt", "hi").await.unwrap_err().kind(), ErrorKind::InvalidRequest);
        assert_eq!(
            client.completion("what-is-this", "hi").await.unwrap_err().kind(),
            ErrorKind::InvalidRequest
        );
    });
}
