//! Traces through the whole gateway: the tree of a call, at a receiver that speaks OTLP over HTTP or gRPC.

use gatewright_tests::client::{Client, chat};
use gatewright_tests::collector::{Collector, Span};
use gatewright_tests::gateway::{Gateway, MASTER, Setup, deployment};
use gatewright_tests::upstream::{End, Ends, Said, Script, Upstream};
use serde_json::{Value, json};

const CONTENT: &str = "callback_settings: {otel: {message_logging: true}}\n";

/// A gateway whose spans come to a receiver.
struct Scene {
    upstream: Upstream,
    collector: Collector,
    gateway: Gateway,
}

// === impl Scene ===

impl Scene {
    fn start(config: impl FnOnce(&Upstream) -> String, variables: &[(&str, &str)]) -> Self {
        let (upstream, collector) = (Upstream::start(), Collector::start());
        let setup = Setup::new(format!("{}{MASTER}", config(&upstream)));
        let setup = setup.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.base());
        let gateway = variables.iter().fold(setup, |setup, (name, value)| setup.env(name, value)).start();
        Self { upstream, collector, gateway }
    }

    fn client(&self) -> Client {
        Client::of(&self.gateway)
    }

    /// Stops the gateway, which sends its last spans then.
    fn spans(mut self) -> Vec<Span> {
        self.gateway.terminate();
        assert!(self.gateway.wait_for_exit().success(), "{}", self.gateway.log());
        self.collector.spans()
    }
}

/// One model behind its name, with more settings of the router's.
fn one(upstream: &Upstream) -> String {
    format!("model_list:\n{}", deployment("m", "openai/gpt-4o", upstream, ""))
}

/// Each span below the one above it, the first begun first.
fn tree(spans: &[Span]) -> Vec<String> {
    let depth = |span: &Span| {
        let above = |id: &str| spans.iter().find(|other| other.id == id);
        std::iter::successors(above(&span.parent), |other| above(&other.parent)).count()
    };
    let mut lines: Vec<_> = spans.iter().map(|span| (span.time.0, depth(span), &*span.name)).collect();
    lines.sort_unstable();
    lines.into_iter().map(|(_, depth, name)| format!("{}{name}", "  ".repeat(depth))).collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn roots(spans: &[Span]) -> Vec<&Span> {
    named(spans, "chat m")
}

#[test]
fn a_call_is_one_tree_at_receivers_of_both_protocols() {
    for protocol in ["http/protobuf", "grpc"] {
        let budget = |upstream: &Upstream| format!("litellm_settings: {{max_budget: 5}}\n{}", one(upstream));
        let scene = Scene::start(budget, &[("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]);
        let body = chat("m", "a secret", json!({"stream": true, "temperature": 0.5, "user": "ann"}));
        assert_eq!(scene.client().post("/v1/chat/completions", &body).status, 200);
        let spans = scene.spans();
        assert_eq!(
            tree(&spans),
            ["chat m", "  auth", "  limits", "  route", "    attempt", "      POST"],
            "{protocol}"
        );
        let [root] = roots(&spans)[..] else { panic!("{spans:?}") };
        for (name, value) in [
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "openai"),
            ("gen_ai.request.temperature", "0.5"),
            ("gen_ai.usage.input_tokens", "10"),
            ("gen_ai.response.finish_reasons", "stop"),
            ("metadata.user_api_key_end_user_id", "ann"),
            ("gatewright.caller.id", "master"),
            ("gatewright.end", "complete"),
        ] {
            assert_eq!(root.get(name), value, "{name}");
        }
        let [limits] = named(&spans, "limits")[..] else { panic!("{spans:?}") };
        assert_eq!(limits.get("gatewright.limits.held"), "proxy budget");
        assert!(limits.get("gatewright.limits.money").parse::<f64>().unwrap() > 0.0);
        assert!(root.events.iter().any(|name| name == "gatewright.first_content"));
        assert_eq!(named(&spans, "attempt")[0].get("gatewright.attempt.reason"), "first");
        let all = format!("{spans:?}");
        assert!(!all.contains("a secret") && !all.contains("w0"), "nothing that was said, by default");
    }
}

#[test]
fn every_further_attempt_says_why_it_was_made() {
    let config = |upstream: &Upstream| {
        format!(
            "router_settings: {{num_retries: 1, fallbacks: [{{m: [f]}}], allowed_fails: 100}}\nmodel_list:\n{}{}",
            deployment("m", "openai/gpt-4o", upstream, ""),
            deployment("f", "openai/gpt-4o-mini", upstream, ""),
        )
    };
    let scene = Scene::start(config, &[]);
    scene.upstream.push(Script::fails(500, "no"));
    scene.upstream.push(Script::fails(503, "no"));
    assert_eq!(scene.client().chat("m", "hi").status, 200);
    let spans = scene.spans();
    let attempt = ["    attempt", "      POST"];
    let expected = [&["chat m", "  auth", "  route"][..], &attempt, &attempt, &attempt].concat();
    assert_eq!(tree(&spans), expected);
    let told: Vec<_> = named(&spans, "attempt")
        .iter()
        .map(|span| {
            (span.get("gatewright.attempt.reason"), span.get("gatewright.attempt.after"), span.failed)
        })
        .collect();
    assert_eq!(told, [("first", "", true), ("retry", "upstream", true), ("fallback", "unavailable", false)]);
    let [route] = named(&spans, "route")[..] else { panic!("{spans:?}") };
    let events: Vec<_> =
        route.events.iter().filter_map(|name| name.strip_prefix("gatewright.route.")).collect();
    let tried = ["attempt", "failed"];
    let expected = [&["group"][..], &tried, &["waited"], &tried, &["group", "attempt", "answered"]].concat();
    assert_eq!(events, expected, "each step of the choice, in its order");
    assert_eq!(route.get("gatewright.route.fallbacks"), "1");
}

#[test]
fn what_a_budget_refuses_goes_no_further_and_says_which_one() {
    let config =
        |upstream: &Upstream| format!("litellm_settings: {{max_budget: 0.000001}}\n{}", one(upstream));
    let scene = Scene::start(config, &[]);
    assert_eq!(scene.client().chat("m", "hi").status, 422);
    let spans = scene.spans();
    assert_eq!(tree(&spans), ["chat m", "  auth", "  limits"]);
    let [limits] = named(&spans, "limits")[..] else { panic!("{spans:?}") };
    assert_eq!(limits.get("gatewright.limits.refused_by"), "proxy budget");
    assert!(limits.failed && roots(&spans)[0].get("error.type") == "budget_exceeded");
}

#[test]
fn an_answer_that_was_kept_has_a_look_up_and_no_route() {
    let config = |upstream: &Upstream| {
        let cache = "litellm_settings: {cache: true, cache_params: {type: local}}\n";
        format!("{cache}{}", one(upstream))
    };
    let scene = Scene::start(config, &[]);
    let client = scene.client();
    for _ in 0..2 {
        assert_eq!(client.chat("m", "hi").status, 200);
    }
    let spans = scene.spans();
    let asked = ["chat m", "  auth", "  cache", "  route", "    attempt", "      POST"];
    assert_eq!(tree(&spans), [&asked[..], &["chat m", "  auth", "  cache"]].concat());
    let hits =
        |name| named(&spans, name).iter().map(|span| span.get("gatewright.cache.hit")).collect::<Vec<_>>();
    assert_eq!((hits("cache"), hits("chat m")), (vec!["false", "true"], vec!["false", "true"]));
    let [kept, again] = named(&spans, "cache")[..] else { panic!("{spans:?}") };
    assert_eq!(kept.get("gatewright.cache.key"), again.get("gatewright.cache.key"));
    assert!(again.get("gatewright.cache.saved").parse::<f64>().unwrap() > 0.0, "{again:?}");
    assert_eq!(roots(&spans)[1].get("gatewright.end"), "complete");
}

#[test]
fn what_is_refused_before_it_is_a_call_is_one_span_that_says_why() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    let scene = Scene::start(one, &[]);
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let stranger = Client::with_key(&scene.gateway, "sk-my-secret").header("traceparent", &parent);
    assert_eq!(stranger.chat("m", "my secret").status, 401);
    let known = scene.client().header("traceparent", &parent);
    assert_eq!(known.post("/v1/chat/completions", &json!({"messages": "my secret"})).status, 400);
    let spans = scene.spans();
    let told: Vec<_> = spans
        .iter()
        .map(|span| {
            let of = ["error.type", "http.response.status_code", "gatewright.caller.id", "gatewright.end"];
            (&*span.name, of.map(|name| span.get(name)), span.trace == TRACE, span.failed)
        })
        .collect();
    let expected = [
        ("chat", ["unauthenticated", "401", "", "failed"], false, true),
        ("chat", ["invalid_request", "400", "master", "failed"], true, true),
    ];
    assert_eq!(told, expected);
    assert_eq!((&*spans[0].parent, &*spans[1].parent), ("", "b7ad6b7169203331"));
    assert!(!format!("{spans:?}").contains("secret"));
}

#[test]
fn what_was_said_is_told_where_it_is_on_and_neither_key_nor_client_takes_it_back() {
    let scene = Scene::start(|upstream| format!("{CONTENT}{}", one(upstream)), &[]);
    let admin = scene.client();
    let quiet = admin.made("/key/generate", json!({"metadata": {"turn_off_message_logging": true}}));
    let quiet = Client::with_key(&scene.gateway, quiet["key"].as_str().unwrap());
    let says = |client: &Client, text: &str, more: Value| {
        assert_eq!(client.post("/v1/chat/completions", &chat("m", text, more)).status, 200);
    };
    says(&admin, "told", json!({"stream": true}));
    says(&quiet, "kept by the key", json!({}));
    says(
        &admin.clone().header("x-litellm-enable-message-redaction", "true"),
        "kept by the client",
        json!({}),
    );
    says(&admin, "kept unlogged", json!({"no-log": true}));
    let spans = scene.spans();
    let [first, rest @ ..] = &roots(&spans)[..] else { panic!("{spans:?}") };
    let asked = r#"[{"role":"user","parts":[{"type":"text","content":"told"}]}]"#;
    assert_eq!(first.get("gen_ai.input.messages"), asked);
    assert!(first.get("gen_ai.output.messages").contains(r#""content":"w0 w1 w2 w3 w4 ""#), "{first:?}");
    assert_eq!(rest.len(), 3);
    assert!(rest.iter().all(|root| !format!("{root:?}").contains("messages")), "{rest:?}");
    assert!(!format!("{spans:?}").contains("kept"));
}

#[test]
fn a_stream_that_breaks_or_is_left_is_told_as_far_as_it_came() {
    let scene = Scene::start(|upstream| format!("{CONTENT}{}", one(upstream)), &[]);
    scene.upstream.push(Script::says(Said::words(5)).stopping(3, Ends::Stall));
    scene.upstream.push(Script::says(Said::words(5)).stopping(3, Ends::Cut));
    let body = chat("m", "hi", json!({"stream": true}));
    let client = scene.client();
    let mut live = client.start("/v1/chat/completions", &body);
    live.event_with("w0");
    drop(live);
    scene.upstream.wait("the first was left", |bills| bills[0].end != End::Running);
    client.start("/v1/chat/completions", &body).finish();
    let spans = scene.spans();
    let [left, broken] = roots(&spans)[..] else { panic!("{spans:?}") };
    assert_eq!((left.get("gatewright.end"), broken.get("gatewright.end")), ("abandoned", "failed"));
    for root in [left, broken] {
        let told = root.get("gen_ai.output.messages");
        assert!(told.contains(r#""content":"w0 "#) && told.contains(r#""finish_reason":"error""#), "{told}");
    }
    assert!(broken.failed && !broken.get("error.type").is_empty());
}

#[test]
fn baggage_goes_on_only_where_it_is_asked_for_and_is_told_where_it_is_selected() {
    let selected = "callback_settings: {otel: {baggage_attributes: [tenant]}}\n";
    for (propagators, travels) in [("tracecontext", false), ("tracecontext,baggage", true)] {
        let config = |upstream: &Upstream| format!("{selected}{}", one(upstream));
        let scene = Scene::start(config, &[("OTEL_PROPAGATORS", propagators)]);
        let client = scene.client().header("baggage", "tenant=blue,other=secret");
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let client = client.header("traceparent", &format!("00-{trace}-b7ad6b7169203331-01"));
        assert_eq!(client.chat("m", "hi").status, 200);
        let seen = scene.upstream.last();
        let passed = if travels { "tenant=blue,other=secret" } else { "" };
        assert_eq!(seen.header("baggage"), passed);
        assert!(seen.header("traceparent").contains(trace));
        let spans = scene.spans();
        let root = roots(&spans)[0];
        assert_eq!(
            (root.get("baggage.tenant"), root.get("baggage.other"), &*root.trace),
            ("blue", "", trace)
        );
    }
}

#[test]
fn a_receiver_that_never_answers_holds_up_no_call() {
    let upstream = Upstream::start();
    // Nobody accepts here: what is sent waits for ever.
    let hung = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = Setup::new(format!("{}{MASTER}", one(&upstream)))
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}", hung.local_addr().unwrap()))
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "8")
        .env("OTEL_BSP_SCHEDULE_DELAY", "1")
        .start();
    let client = Client::of(&gateway);
    for _ in 0..20 {
        assert_eq!(client.chat("m", "hi").status, 200);
    }
}

#[test]
fn spans_are_printed_where_a_callback_names_no_receiver() {
    let upstream = Upstream::start();
    let config = format!("litellm_settings: {{callbacks: [otel]}}\n{}{MASTER}", one(&upstream));
    let mut gateway = Setup::new(config).start();
    assert_eq!(Client::of(&gateway).chat("m", "hi").status, 200);
    gateway.terminate();
    assert!(gateway.wait_for_exit().success());
    let log = gateway.log();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let root = lines.iter().find(|line| line["name"] == "chat m").unwrap_or_else(|| panic!("{log}"));
    assert_eq!(root["attributes"]["gen_ai.usage.output_tokens"], 5);
}
