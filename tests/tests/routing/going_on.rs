//! A stream that breaks off goes on elsewhere: what the next model is asked, what the client pays, and what cannot go on.

use gatewright_tests::answer::{self, Got, anthropic, openai, responses};
use gatewright_tests::client::{Client, Response, chat, message};
use gatewright_tests::gateway::{Gateway, deployment};
use gatewright_tests::journal::Entry;
use gatewright_tests::upstream::{Ends, Said, Script, Upstream, Used};
use serde_json::{Value, json};

const OPENAI: &str = "openai/gpt-4o";
const CLAUDE: &str = "anthropic/claude-sonnet-4-5";

/// A gateway whose group `a` falls back to `b`, each at an upstream of its own.
struct Scene {
    a: Upstream,
    b: Upstream,
    gateway: Gateway,
}

impl Scene {
    fn of(a: &str, b: &str) -> Self {
        let (first, second) = (Upstream::start(), Upstream::start());
        let list = [deployment("a", a, &first, ""), deployment("b", b, &second, "")];
        let gateway = Gateway::start(&format!(
            "router_settings: {{num_retries: 0, enable_mid_stream_fallback_continuation: true, \
             fallbacks: [{{a: [b]}}]}}\nmodel_list:\n{}",
            list.concat()
        ));
        second.choose(|_| Some(Script::says(Said::text([" and ", "so on"]))));
        Self { a: first, b: second, gateway }
    }

    /// Answers with this and breaks off after so many events.
    fn breaks(&self, said: Said, after: usize) {
        self.a.push(Script::says(said).stopping(after, Ends::Cut));
    }

    fn ask(&self, more: Value) -> Response {
        Client::of(&self.gateway).post("/v1/chat/completions", &chat("a", "hi", streamed(more)))
    }

    /// The entries of the ledger, once all have ended.
    fn entries(&self, count: usize) -> Vec<Entry> {
        let ended = |all: &[Entry]| all.len() == count && all.iter().all(|entry| entry.ending() != "running");
        self.gateway.journal_when("all ended", ended)
    }
}

fn streamed(mut more: Value) -> Value {
    more["stream"] = json!(true);
    more["stream_options"] = json!({"include_usage": true});
    more
}

/// One answer, well formed.
fn read(response: &Response) -> Got {
    let got = openai::stream(&response.body);
    assert!(got.faults.is_empty() && got.error.is_none(), "{:?}: {}", got.faults, response.text());
    got
}

/// The answer broke off, and the client is told.
fn told(response: &Response) {
    let got = openai::stream(&response.body);
    assert!(got.error.is_some() && got.finish.is_none(), "{}", response.text());
}

#[test]
fn the_next_model_is_asked_to_go_on_from_what_was_said() {
    let scene = Scene::of(OPENAI, OPENAI);
    scene.breaks(Said::text(["Once ", "upon ", "a ", "ti", "me ", "there"]), 5);
    let got = read(&scene.ask(json!({"max_tokens": 100, "temperature": 0.5})));
    assert_eq!((got.text.as_str(), got.finish.as_deref()), ("Once upon a ti and so on", Some("stop")));
    assert_eq!(got.model, "a");
    let asked = scene.b.last().json();
    let turns = asked["messages"].as_array().unwrap();
    let roles: Vec<&Value> = turns.iter().map(|turn| &turn["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!((&turns[0]["content"], &turns[1]["content"]), (&json!("hi"), &json!("Once upon a ti")));
    assert!(turns[2]["content"].as_str().unwrap().contains("cut off"), "{asked}");
    assert_eq!((&asked["max_tokens"], &asked["temperature"]), (&json!(97), &json!(0.5)));
}

#[test]
fn a_model_that_takes_the_begin_of_its_answer_gets_it() {
    let scene = Scene::of(OPENAI, CLAUDE);
    scene.breaks(Said::text(["Once ", "upon ", "a ", "time"]), 4);
    let got = read(&scene.ask(json!({})));
    assert_eq!(got.text, "Once upon a and so on", "one space at the seam");
    let turns = scene.b.last().json()["messages"].clone();
    assert_eq!(turns.as_array().unwrap().len(), 2, "{turns}");
    assert!(turns[1]["role"] == "assistant" && turns[1].to_string().contains("Once upon a\""), "{turns}");

    // One that shall think takes none.
    scene.breaks(Said::text(["Once ", "upon ", "a ", "time"]), 4);
    read(&scene.ask(json!({"reasoning_effort": "low"})));
    let turns = scene.b.last().json()["messages"].clone();
    assert_eq!(turns.as_array().unwrap().len(), 3, "{turns}");
}

#[test]
fn each_attempt_has_its_entry_and_the_client_reads_the_sum() {
    let scene = Scene::of(CLAUDE, OPENAI);
    // Anthropic tells what it read at the begin: only the output is estimated.
    let used = Used { input: 40, output: 500, ..Used::default() };
    scene.breaks(Said { used, ..Said::text(["Once upon a time", " there was a stream"]) }, 4);
    scene.b.choose(|_| {
        let used = Used { input: 60, output: 7, ..Used::default() };
        Some(Script::says(Said { used, ..Said::text([" and so on"]) }))
    });
    let got = read(&scene.ask(json!({})));
    let entries = scene.entries(2);
    let ends: Vec<_> =
        entries.iter().map(|entry| (entry.group(), entry.ending(), entry.is_exact())).collect();
    assert_eq!(ends, [("a", "failed", false), ("b", "complete", true)]);
    assert_eq!(entries[0].call(), entries[1].call());
    let (first, second) = (&entries[0], &entries[1]);
    assert_eq!((first.input(), second.input(), second.output()), (40, 60, 7));
    assert!((4..500).contains(&first.output()), "{}", first.output());
    let usage = got.usage.unwrap();
    assert_eq!((usage.input, usage.output), (100, first.output() + 7));
}

#[test]
fn what_cannot_be_said_in_two_pieces_is_told_as_broken_off() {
    let scene = Scene::of(OPENAI, OPENAI);
    let schema = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}});
    let tool = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    let words = || Said::words(9);
    let called = || Said::words(1).tool("c1", "f", &["{\"a\":", "1", "}"]);
    let thinking = || Said { reasoning: vec!["so ".into(), "then ".into(), "hm ".into()], ..words() };
    for (about, said, after, more) in [
        ("a tool's arguments", called(), 4, json!({"tools": tool})),
        ("several answers", Said { n: 2, ..words() }, 6, json!({"n": 2})),
        ("an object", words(), 4, json!({"response_format": {"type": "json_object"}})),
        ("a schema", words(), 4, json!({"response_format": schema})),
        ("thoughts", thinking(), 3, json!({})),
    ] {
        scene.breaks(said, after);
        let response = scene.ask(more);
        assert_eq!(response.status, 200, "{about}");
        told(&response);
        assert_eq!(scene.b.count(), 0, "{about}");
    }
}

#[test]
fn thoughts_and_tools_stand_where_they_may() {
    let scene = Scene::of(CLAUDE, CLAUDE);
    let client = Client::of(&scene.gateway);
    let body = message("a", "hi", json!({"stream": true}));
    // What was thought before the answer is whole; what is thought behind its begin is not told.
    scene.breaks(Said::text(["Once ", "upon "]).thinking(["hm"], "c2ln"), 8);
    scene.b.choose(|_| {
        Some(Script::says(Said::text(["a time"]).thinking(["what?"], "b3RoZXI=").tool("t1", "f", &["{}"])))
    });
    let response = client.post("/v1/messages", &body);
    let got = anthropic::stream(&response.body);
    assert!(got.faults.is_empty() && got.error.is_none(), "{:?}: {}", got.faults, response.text());
    assert_eq!((got.reasoning.as_str(), got.signatures.len()), ("hm", 1), "{}", response.text());
    assert!(got.text.starts_with("Once ") && got.text.ends_with("a time"), "{}", got.text);
    assert_eq!((got.tools.len(), got.finish.as_deref()), (1, Some("tool_use")));
    let text = response.text();
    assert_eq!(text.matches("event: message_start").count(), 1);
    assert_eq!(text.matches("event: message_stop").count(), 1);
}

#[test]
fn it_breaks_off_again_and_goes_on_again() {
    let (first, second) = (Upstream::start(), Upstream::start());
    let list = [deployment("a", OPENAI, &first, ""), deployment("b", CLAUDE, &second, "")];
    let gateway = Gateway::start(&format!(
        "router_settings: {{num_retries: 1, disable_cooldowns: true, \
         enable_mid_stream_fallback_continuation: true, fallbacks: [{{a: [b]}}]}}\nmodel_list:\n{}",
        list.concat()
    ));
    let client = Client::of(&gateway);
    first.push(Script::says(Said::text(["one ", "two ", "x"])).stopping(3, Ends::Cut));
    first.push(
        Script::says(Said::text(["three ", "four ", "x"])).stopping(3, Ends::Error("overloaded".into())),
    );
    second.push(Script::fails(503, "busy"));
    second.push(Script::says(Said::text(["five"])));
    let response = client.post("/v1/chat/completions", &chat("a", "hi", streamed(json!({}))));
    let got = read(&response);
    assert_eq!(got.text, "one two three four five");
    let asked = second.last().json()["messages"].to_string();
    assert!(asked.contains("one two three four"), "{asked}");
    let ended = |all: &[Entry]| all.len() == 4 && all.iter().all(|entry| entry.ending() != "running");
    let entries = gateway.journal_when("all ended", ended);
    let ends: Vec<_> = entries.iter().map(|entry| (entry.group(), entry.ending())).collect();
    assert_eq!(ends, [("a", "failed"), ("a", "failed"), ("b", "failed"), ("b", "complete")]);
}

#[test]
fn a_budget_holds_for_all_of_it() {
    let scene = Scene::of(OPENAI, OPENAI);
    let admin = Client::of(&scene.gateway);
    let key = |budget: f64| {
        admin.made("/key/generate", json!({"max_budget": budget}))["key"].as_str().unwrap().to_owned()
    };
    let body = chat("a", "hi", streamed(json!({"max_tokens": 1000})));
    // A thousand tokens cost a cent; what broke off is to be paid beside another thousand.
    for (budget, goes_on) in [(0.05, true), (0.0103, false)] {
        let before = scene.b.count();
        scene.breaks(Said::text(vec!["word ".repeat(100); 9]), 7);
        let client = Client::with_key(&scene.gateway, &key(budget));
        let response = client.post("/v1/chat/completions", &body);
        let got = openai::stream(&response.body);
        assert_eq!(
            (got.error.is_none(), scene.b.count() - before),
            (goes_on, usize::from(goes_on)),
            "{}",
            response.text()
        );
    }
}

#[test]
fn an_answer_that_bears_our_name_keeps_it() {
    let scene = Scene::of(OPENAI, OPENAI);
    // Azure begins with an event that has neither an id nor a choice; the others have the model's.
    let first = json!({"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": []});
    let piece = |text: &str| {
        let choices = json!([{"index": 0, "delta": {"content": text}, "finish_reason": null}]);
        json!({"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choices})
    };
    let events = [first, piece("one "), piece("two ")].map(|event| format!("data: {event}\n\n"));
    let headers = [("content-type".to_owned(), "text/event-stream".to_owned())];
    scene.a.push(Script::replay(200, &headers, events.concat()));
    let response = scene.ask(json!({}));
    // An id that changes is a fault of the answer's form.
    assert_eq!(read(&response).text, "one two and so on");
}

#[test]
fn an_answer_of_responses_goes_on_under_the_ids_and_numbers_that_its_client_has() {
    let scene = Scene::of(OPENAI, OPENAI);
    for after in 5..11 {
        scene.breaks(Said::text(["Once ", "upon ", "a ", "time ", "there ", "was"]), after);
        let client = Client::of(&scene.gateway);
        let asked = json!({"model": "a", "input": "hi", "stream": true});
        let response = client.post("/v1/responses", &asked);
        let got = responses::stream(&response.body);
        assert!(
            got.faults.is_empty() && got.error.is_none(),
            "{after}: {:?}: {}",
            got.faults,
            response.text()
        );
        assert!(got.text.ends_with("and so on"), "{after}: {}", got.text);
        let events: Vec<Value> = answer::events(&response.body)
            .iter()
            .map(|(_, data)| serde_json::from_str(data).unwrap())
            .collect();
        let one = |found: Vec<&Value>| {
            let mut found: Vec<&Value> = found.into_iter().filter(|value| value.is_string()).collect();
            found.dedup();
            assert_eq!(found.len(), 1, "{after}: {found:?} in {}", response.text());
            found[0].as_str().unwrap().to_owned()
        };
        let id = one(events.iter().map(|event| &event["response"]["id"]).collect());
        let last = events.last().unwrap();
        let items = events.iter().flat_map(|event| [&event["item_id"], &event["item"]["id"]]);
        one(items.chain([&last["response"]["output"][0]["id"]]).collect());
        assert_eq!(last["response"]["output"].as_array().unwrap().len(), 1);
        let of = |name: &str| events.iter().filter(|event| event["type"] == name).count();
        for name in
            ["created", "output_item.added", "content_part.added", "output_text.done", "output_item.done"]
        {
            assert_eq!(of(&format!("response.{name}")), 1, "{after}: {name}");
        }

        // Neither upstream has this answer: whoever goes on from it is given all of it.
        scene.a.push(Script::says(Said::text(["Indeed"])));
        let more = json!({"model": "a", "input": "and then?", "previous_response_id": id});
        let answer = client.post("/v1/responses", &more);
        assert_eq!(answer.status, 200, "{after}: {}", answer.text());
        let told = scene.a.last().json();
        assert!(
            told["previous_response_id"].is_null() && told["input"].to_string().contains(got.text.trim()),
            "{told}"
        );
    }
}

#[test]
fn what_its_upstream_alone_knows_does_not_go_on() {
    let scene = Scene::of(OPENAI, OPENAI);
    for more in [json!({"conversation": "conv_1"}), json!({"prompt": {"id": "pmpt_1"}})] {
        scene.breaks(Said::words(9), 6);
        let mut asked = json!({"model": "a", "input": "hi", "stream": true});
        asked.as_object_mut().unwrap().append(more.clone().as_object_mut().unwrap());
        let got = responses::stream(&Client::of(&scene.gateway).post("/v1/responses", &asked).body);
        assert!(got.error.is_some() && got.finish.is_none(), "{more}: {got:?}");
    }
    assert_eq!(scene.b.count(), 0);
}

#[test]
fn more_text_than_is_kept_does_not_go_on() {
    for (most, goes_on) in [(1, true), (0, false)] {
        let (first, second) = (Upstream::start(), Upstream::start());
        let list = [deployment("a", OPENAI, &first, ""), deployment("b", OPENAI, &second, "")].concat();
        let gateway = Gateway::start(&format!(
            "router_settings: {{num_retries: 0, enable_mid_stream_fallback_continuation: true, \
             mid_stream_fallback_max_kb: {most}, fallbacks: [{{a: [b]}}]}}\nmodel_list:\n{list}"
        ));
        first.push(Script::says(Said::words(9)).stopping(5, Ends::Cut));
        let response =
            Client::of(&gateway).post("/v1/chat/completions", &chat("a", "hi", streamed(json!({}))));
        assert_eq!(openai::stream(&response.body).error.is_none(), goes_on, "{most}: {}", response.text());
    }
}
