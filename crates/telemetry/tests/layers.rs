//! What each layer of a call tells, from the door to the answer.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails a test")]

#[expect(dead_code, reason = "it is for the other tests")]
mod support;

use std::ops::AsyncFnOnce;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use gatewright_core::{
    Body, Cached, Call, CallService, Caller, Controls, Decision, Dialect, Error, ErrorKind, Frame, Frames,
    Head, Holding, Json, JsonLimits, KeyStanding, Limit, Middleware, Money, Names, Operation, Recording,
    Reply, Result, ServedBy, Usage, layer,
};
use gatewright_telemetry::{Detail, Guard, Otlp, Settings, Traced, Tracer};
use gatewright_transport::Transport;
use http::{HeaderMap, HeaderValue, Method};
use opentelemetry_proto::tonic::trace::v1::Span;
use support::receiver::{Receiver, Seen, attribute, value};
use tower_layer::Layer;

const ASKED: &str = r#"{"model":"m","temperature":0.5,"max_completion_tokens":9,"n":2,"reasoning_effort":"low",
    "stop":["my secret"],"messages":[{"role":"system","content":"be kind"},{"role":"user","content":"my secret"}]}"#;

/// Holds what a call needs, or refuses it.
#[derive(Clone)]
struct Limits {
    refuses: bool,
}

/// Keeps one answer, or none.
#[derive(Clone)]
struct Cache {
    hit: bool,
}

/// Tries a group twice, then another one.
#[derive(Clone)]
struct Router<S>(S);

/// Answers at the third attempt.
#[derive(Clone)]
struct Upstream(Tracer, Play);

/// What happens.
#[derive(Clone, Copy, Default)]
struct Play {
    refuses: bool,
    hit: bool,
    /// Attempts that fail first.
    failures: usize,
    /// Whether the stream ends with an error after its first words.
    breaks: bool,
}

// === impl Limits ===

impl Middleware for Limits {
    async fn handle(&self, call: Call, next: &impl CallService) -> Result<Reply> {
        let limit = Limit { scope: "team", counter: "budget" };
        let waited = Duration::from_millis(30);
        let decisions = call.decisions.as_ref().unwrap();
        if self.refuses {
            decisions.note(Decision::Refused { limit, waited });
            return Err(Error::new(ErrorKind::BudgetExceeded, "my secret"));
        }
        let (limits, money) = (vec![limit], Some(Money(2_000_000_000)));
        decisions.note(Decision::Held(Holding { limits, tokens: 7, money, waited }));
        next.answer(call).await
    }
}

// === impl Cache ===

impl Middleware for Cache {
    async fn handle(&self, call: Call, next: &impl CallService) -> Result<Reply> {
        let cached = |hit| {
            let (similarity, saved) =
                if hit { (Some(0.5), Some(Money(1_000_000_000))) } else { (None, None) };
            Some(Arc::new(Cached { key: "k".into(), hit, similarity, saved }))
        };
        if self.hit {
            return Ok(Reply {
                head: Box::new(Head { cached: cached(true), ..Head::default() }),
                frames: said(false, false),
            });
        }
        let mut reply = next.answer(call).await?;
        reply.head.cached = cached(false);
        Ok(reply)
    }
}

// === impl Router ===

impl<S: CallService> CallService for Router<S> {
    async fn answer(&self, call: Call) -> Result<Reply> {
        let decisions = call.decisions.clone().unwrap();
        let mut failed = 0;
        for group in ["m", "other"] {
            decisions.note(Decision::Group { name: group.into(), deployments: 1 });
            for _ in 0..2 {
                let mut attempt = call.clone();
                attempt.output_cap = Some(failed);
                let reply = self.0.answer(attempt).await;
                let Err(err) = reply else { return reply };
                decisions.note(Decision::Failed { kind: err.kind(), status: 500 });
                failed += 1;
            }
        }
        Err(Error::new(ErrorKind::Upstream, "all failed"))
    }
}

// === impl Upstream ===

impl tower_service::Service<Call> for Upstream {
    type Response = Reply;
    type Error = Error;
    type Future = std::future::Ready<Result<Reply>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let uri = "http://up.example/v1".parse().unwrap();
        let mut span = self.0.upstream(&call, &Method::POST, &uri);
        let mut headers = HeaderMap::new();
        span.inject(&mut headers);
        assert_eq!(headers.get("baggage").is_some(), self.0.carries_baggage());
        if call.output_cap < Some(self.1.failures as u64) {
            span.failed(ErrorKind::Upstream);
            return std::future::ready(Err(Error::new(ErrorKind::Upstream, "my secret")));
        }
        let served_by = ServedBy {
            deployment: "d".into(),
            group: "m".into(),
            model: "openai/gpt".into(),
            api_base: "http://up.example".into(),
            provider: "openai".into(),
        };
        let head = Head { served_by: Some(Arc::new(served_by)), streams: call.stream, ..Head::default() };
        std::future::ready(Ok(Reply { head: head.into(), frames: said(call.stream, self.1.breaks) }))
    }
}

/// An answer of two words, whole or as a stream.
fn said(streams: bool, breaks: bool) -> Frames {
    let usage =
        Usage { input: 10, output: 5, cache_read: 4, cache_in_input: true, reasoning: 2, ..Usage::default() };
    let whole = r#"{"id":"c","model":"gpt","choices":[{"index":0,"message":{"role":"assistant","content":"hush now"},"finish_reason":"stop"}]}"#;
    let delta = |text: &str| {
        let data = format!(
            r#"data: {{"id":"c","model":"gpt","choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#
        );
        Frame { data: format!("{data}\n\n").into(), content: 4, ..Frame::default() }
    };
    let end = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let last = |data: &'static str| Frame {
        data: Bytes::from_static(data.as_bytes()),
        usage: Some(usage),
        last: true,
        content: 4,
    };
    let frames: Vec<Result<Frame>> = match (streams, breaks) {
        (false, _) => vec![Ok(last(whole))],
        (true, false) => vec![Ok(delta("hush ")), Ok(delta("now")), Ok(last(end))],
        (true, true) => vec![Ok(delta("hush ")), Err(Error::new(ErrorKind::Connection, "broke"))],
    };
    Frames::many(stream::iter(frames))
}

#[tokio::test]
async fn every_layer_that_takes_time_or_decides_is_a_span() {
    let seen = told(Play { failures: 3, ..Play::default() }, Detail::default(), call(true), drain).await;
    let root = seen.span("chat m");
    assert_eq!(
        shape(&seen),
        ["attempt", "attempt", "attempt", "attempt", "auth", "cache", "chat m", "limits", "route"]
    );
    for name in ["auth", "limits", "cache", "route"] {
        assert_eq!(seen.span(name).parent_span_id, root.span_id, "{name}");
    }
    let attempts = seen.named("attempt");
    let reasons: Vec<_> = attempts
        .iter()
        .map(|span| {
            (attribute(span, "gatewright.attempt.reason"), attribute(span, "gatewright.attempt.after"))
        })
        .collect();
    let expected = [("first", ""), ("retry", "upstream"), ("fallback", "upstream"), ("retry", "upstream")];
    assert_eq!(reasons, expected.map(|(reason, after)| (reason.to_owned(), after.to_owned())));
    for attempt in attempts {
        assert_eq!(attempt.parent_span_id, seen.span("route").span_id);
    }
    let (auth, cache) = (seen.span("auth"), seen.span("cache"));
    assert!(auth.start_time_unix_nano.abs_diff(root.start_time_unix_nano) < 1_000_000);
    assert!(auth.end_time_unix_nano - auth.start_time_unix_nano >= 1_900_000);
    assert!(cache.end_time_unix_nano <= seen.span("route").end_time_unix_nano);
    check(cache, &[("gatewright.cache.hit", "false"), ("gatewright.cache.key", "k")]);
    check(
        seen.span("limits"),
        &[
            ("gatewright.limits.held", "[team budget]"),
            ("gatewright.limits.tokens", "7"),
            ("gatewright.limits.money", "2"),
            ("gatewright.limits.waited_ms", "30"),
            ("error.type", ""),
        ],
    );
    let limits = seen.span("limits");
    assert!(limits.end_time_unix_nano - limits.start_time_unix_nano >= 29_000_000);
    let firsts =
        |span: &Span| span.events.iter().filter(|event| event.name == "gatewright.first_content").count();
    assert_eq!(
        seen.spans.iter().map(firsts).sum::<usize>(),
        2,
        "of the call and of the attempt that answered"
    );
}

#[tokio::test]
async fn an_answer_from_the_cache_has_a_look_up_and_no_route() {
    let seen = told(Play { hit: true, ..Play::default() }, Detail::default(), call(false), drain).await;
    assert_eq!(shape(&seen), ["auth", "cache", "chat m", "limits"]);
    let facts = [
        ("gatewright.cache.hit", "true"),
        ("gatewright.cache.key", "k"),
        ("gatewright.cache.similarity", "0.5"),
        ("gatewright.cache.saved", "1"),
    ];
    check(seen.span("cache"), &facts);
    check(seen.span("chat m"), &facts);
}

#[tokio::test]
async fn a_call_that_a_budget_refuses_says_which_one() {
    let client = async |reply: Result<Reply>| assert!(reply.is_err());
    let seen = told(Play { refuses: true, ..Play::default() }, Detail::default(), call(false), client).await;
    assert_eq!(shape(&seen), ["auth", "chat m", "limits"]);
    check(
        seen.span("limits"),
        &[
            ("gatewright.limits.refused_by", "team budget"),
            ("gatewright.limits.waited_ms", "30"),
            ("gatewright.limits.held", ""),
            ("error.type", "budget_exceeded"),
        ],
    );
    check(seen.span("chat m"), &[("error.type", "budget_exceeded"), ("gatewright.end", "failed")]);
    assert!(!format!("{:?}", seen.spans).contains("secret"));
}

#[tokio::test]
async fn a_span_tells_who_calls_and_how_and_never_what() {
    let seen = told(Play::default(), Detail::default(), call(false), drain).await;
    check(
        seen.span("chat m"),
        &[
            ("gen_ai.request.temperature", "0.5"),
            ("gen_ai.request.max_tokens", "9"),
            ("gen_ai.request.choice.count", "2"),
            ("gen_ai.request.reasoning.level", ""),
            ("metadata.user_api_key_hash", "hash"),
            ("metadata.user_api_key_alias", "alias"),
            ("metadata.user_api_key_team_id", "t"),
            ("metadata.user_api_key_team_alias", "team"),
            ("metadata.user_api_key_user_email", "a@b.c"),
            ("metadata.user_api_key_end_user_id", "e"),
            ("user.id", "e"),
            ("session.id", "s"),
            ("gen_ai.conversation.id", "s"),
            ("gatewright.caller.id", "hash"),
            ("gatewright.tags", "[one, two]"),
            ("baggage.tenant", ""),
            ("gen_ai.usage.reasoning.output_tokens", "2"),
            ("gen_ai.input.messages", ""),
            ("openinference.span.kind", ""),
        ],
    );
    let all = format!("{:?}", seen.spans);
    assert!(!all.contains("secret") && !all.contains("hush"), "{all}");
}

#[tokio::test]
async fn identities_are_left_out_and_the_newest_names_are_used_where_that_is_asked_for() {
    let detail =
        Detail { identities: false, latest: true, baggage: vec!["tenant".into()], ..Detail::default() };
    let seen = told(Play::default(), detail, call(false), drain).await;
    let root = seen.span("chat m");
    let known = |prefix: &str| root.attributes.iter().any(|pair| pair.key.starts_with(prefix));
    assert!(!known("metadata.") && !known("user.") && !known("gatewright.caller"));
    check(
        root,
        &[("gen_ai.request.reasoning.level", "low"), ("baggage.tenant", "a b"), ("baggage.other", "")],
    );
}

#[tokio::test]
async fn what_was_said_is_told_where_it_is_switched_on() {
    let on = Detail { content: true, ..Detail::default() };
    for stream in [false, true] {
        let seen = told(Play::default(), on.clone(), call(stream), drain).await;
        check(
            seen.span("chat m"),
            &[
                (
                    "gen_ai.input.messages",
                    r#"[{"role":"user","parts":[{"type":"text","content":"my secret"}]}]"#,
                ),
                ("gen_ai.system_instructions", r#"[{"type":"text","content":"be kind"}]"#),
                (
                    "gen_ai.output.messages",
                    r#"[{"role":"assistant","parts":[{"type":"text","content":"hush now"}],"finish_reason":"stop"}]"#,
                ),
                ("gatewright.content.truncated", ""),
            ],
        );
        let others = seen.spans.iter().filter(|span| span.name != "chat m");
        assert!(others.into_iter().all(|span| !format!("{span:?}").contains("secret")));
    }
}

#[tokio::test]
async fn whoever_may_keeps_what_was_said_to_himself() {
    let mut by_key = call(false);
    let recording = Recording { redact: true, ..Recording::default() };
    Arc::make_mut(&mut by_key.caller).recording = Some(Arc::new(recording));
    let mut by_client = call(false);
    by_client.controls.record.redact = true;
    let mut unlogged = call(false);
    unlogged.controls.record.skip = true;
    for call in [by_key, by_client, unlogged] {
        let on = Detail { content: true, open_inference: true, ..Detail::default() };
        let seen = told(Play::default(), on, call, drain).await;
        let all = format!("{:?}", seen.spans);
        assert!(!all.contains("secret") && !all.contains("hush") && !all.contains("be kind"), "{all}");
        check(
            seen.span("chat m"),
            &[("gen_ai.usage.output_tokens", "5"), ("llm.token_count.completion", "5")],
        );
    }
}

#[tokio::test]
async fn what_came_before_a_stream_broke_or_was_left_is_told() {
    let leave = async |reply: Result<Reply>| drop(reply.unwrap().frames.next().await);
    let on = Detail { content: true, ..Detail::default() };
    let half =
        r#"[{"role":"assistant","parts":[{"type":"text","content":"hush "}],"finish_reason":"error"}]"#;
    let seen = told(Play::default(), on.clone(), call(true), leave).await;
    check(seen.span("chat m"), &[("gen_ai.output.messages", half), ("gatewright.end", "abandoned")]);
    let to_the_end = async |reply: Result<Reply>| {
        let mut frames = reply.unwrap().frames;
        while frames.next().await.is_some() {}
    };
    let seen = told(Play { breaks: true, ..Play::default() }, on, call(true), to_the_end).await;
    let facts =
        [("gen_ai.output.messages", half), ("gatewright.end", "failed"), ("error.type", "connection")];
    check(seen.span("chat m"), &facts);
}

#[tokio::test]
async fn no_more_is_told_than_there_is_room_for() {
    let on = Detail { content: true, content_bytes: 36, ..Detail::default() };
    let seen = told(Play::default(), on, call(false), drain).await;
    check(
        seen.span("chat m"),
        &[
            ("gen_ai.input.messages", r#"[{"role":"user","parts":[{"type":"text","content":"my s"}]}]"#),
            ("gen_ai.system_instructions", ""),
            (
                "gen_ai.output.messages",
                r#"[{"role":"assistant","parts":[{"type":"text","content":"hush"}],"finish_reason":"stop"}]"#,
            ),
            ("gatewright.content.truncated", "true"),
        ],
    );
}

#[tokio::test]
async fn open_inference_has_the_same_facts_in_its_names() {
    let detail = Detail { open_inference: true, content: true, ..Detail::default() };
    let seen = told(Play::default(), detail, call(true), drain).await;
    check(
        seen.span("chat m"),
        &[
            ("openinference.span.kind", "LLM"),
            ("llm.model_name", "gpt"),
            ("llm.provider", "openai"),
            ("llm.invocation_parameters", r#"{"temperature":0.5,"max_tokens":9,"choice.count":2}"#),
            ("llm.token_count.prompt", "10"),
            ("llm.token_count.completion", "5"),
            ("llm.token_count.total", "15"),
            ("llm.token_count.prompt_details.cache_read", "4"),
            ("llm.token_count.completion_details.reasoning", "2"),
            ("llm.input_messages.0.message.role", "system"),
            ("llm.input_messages.1.message.role", "user"),
            ("llm.input_messages.1.message.content", "my secret"),
            ("llm.output_messages.0.message.content", "hush now"),
            ("output.mime_type", "application/json"),
            ("tag.tags", "[one, two]"),
        ],
    );
    check(seen.span("route"), &[("openinference.span.kind", "CHAIN")]);
    let bare = Detail { open_inference: true, ..Detail::default() };
    let seen = told(Play::default(), bare, call(true), drain).await;
    assert!(!format!("{:?}", seen.spans).contains("secret"));
    check(seen.span("chat m"), &[("openinference.span.kind", "LLM"), ("input.value", "")]);
}

/// One call through all layers, and what its receiver has of it.
async fn told(play: Play, detail: Detail, call: Call, client: impl AsyncFnOnce(Result<Reply>)) -> Seen {
    let receiver = Receiver::start().await;
    let traces = Some(Otlp::new(receiver.url.parse().unwrap()));
    let baggage = !detail.baggage.is_empty();
    let settings = Settings { traces, detail, baggage, propagate: true, ..Settings::default() };
    let transport = Transport::new(gatewright_transport::Settings::default()).unwrap();
    let guard = Guard::spans(&settings, transport).unwrap();
    let tracer = guard.tracer();
    let attempts = layer(Traced::attempt(tracer)).layer(Upstream(tracer.clone(), play));
    let route = layer(Traced::route(tracer)).layer(Router(attempts));
    let cache = layer(Traced::cache(tracer)).layer(layer(Cache { hit: play.hit }).layer(route));
    let limits = layer(Limits { refuses: play.refuses }).layer(cache);
    client(layer(Traced::call(tracer)).layer(limits).answer(call).await).await;
    assert!(guard.shutdown(Duration::from_secs(30)).await);
    receiver.seen()
}

fn call(stream: bool) -> Call {
    let json = Json::parse(Bytes::from_static(ASKED.as_bytes()), JsonLimits::default()).unwrap();
    let codec = gatewright_dialects::of(Dialect::OpenAiChat);
    let mut call = Call::new(Operation::Chat, codec, "m", Body::Json(json));
    call.stream = stream;
    call.received = Instant::now().checked_sub(Duration::from_millis(5)).unwrap();
    call.identified = call.received.checked_add(Duration::from_millis(2));
    let known_as = Names {
        key: Some("alias".into()),
        team: Some("team".into()),
        email: Some("a@b.c".into()),
        ..Names::default()
    };
    call.caller = Arc::new(Caller {
        known_as: Arc::new(known_as),
        team: Some("t".into()),
        tags: vec!["one".into()],
        key: Some(Arc::new(KeyStanding::default())),
        ..Caller::new("hash")
    });
    call.controls = Controls {
        tags: vec!["two".into()],
        trace_id: Some("s".into()),
        end_user: Some("e".into()),
        ..Controls::default()
    };
    let baggage = HeaderValue::from_static("tenant=a%20b,other=my%20secret");
    call.headers.insert("baggage", baggage);
    call
}

/// The names of all spans but those of exchanges, in order.
fn shape(seen: &Seen) -> Vec<&str> {
    let mut names: Vec<_> =
        seen.spans.iter().map(|span| &*span.name).filter(|name| *name != "POST").collect();
    names.sort_unstable();
    names
}

async fn drain(reply: Result<Reply>) {
    let mut reply = reply.unwrap();
    while let Some(frame) = reply.frames.next().await {
        frame.unwrap();
    }
}

fn check(span: &Span, expected: &[(&str, &str)]) {
    for (key, wanted) in expected {
        assert_eq!(value(&span.attributes, key), *wanted, "{} {key}", span.name);
    }
}
