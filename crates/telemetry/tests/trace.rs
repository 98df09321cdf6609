//! One call is one trace, as a receiver that speaks OTLP sees it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails a test")]

mod support;

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use gatewright_core::{
    AttemptId, Body, Call, CallService, Caller, Dialect, Error, ErrorKind, Frame, Frames, Head, Money, Notes,
    Operation, Reply, ReplyFacts, Result, ServedBy, Target, Usage, layer,
};
use gatewright_telemetry::{
    Batch, Compression, Guard, Logs, Otlp, Pricing, Protocol, Refusal, Sampler, Settings, SpanFigures,
    Traced, Tracer, init,
};
use gatewright_transport::Transport;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use support::receiver::{Receiver, attribute};
use tower_layer::Layer;
use tower_service::Service;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CLIENT: &str = "b7ad6b7169203331";
const STATUS_ERROR: i32 = 2;
const PATIENCE: Duration = Duration::from_secs(30);

/// What the upstream does at each attempt.
#[derive(Clone, Copy)]
enum Act {
    Refuses,
    Streams,
    Breaks,
    Hangs,
}

/// The upstream: plays its acts in turn and keeps the headers that it was sent.
#[derive(Clone)]
struct Stage {
    tracer: Tracer,
    acts: Arc<Mutex<Vec<Act>>>,
    sent: Arc<Mutex<Vec<HeaderMap>>>,
}

/// Tries once more after a failure.
#[derive(Clone)]
struct Router<S>(S);

// === impl Stage ===

impl Service<Call> for Stage {
    type Response = Reply;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Reply>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let act = self.acts.lock().unwrap().remove(0);
        let uri = "http://up.example:8080/v1/chat?key=sk-secret".parse().unwrap();
        let mut span = self.tracer.upstream(&call, &Method::POST, &uri);
        let mut headers = HeaderMap::new();
        span.inject(&mut headers);
        self.sent.lock().unwrap().push(headers);
        let frames = match act {
            Act::Refuses => {
                span.answered(StatusCode::TOO_MANY_REQUESTS);
                span.failed(ErrorKind::RateLimited);
                let err = Error::new(ErrorKind::RateLimited, "the prompt was: my secret");
                return Box::pin(async { Err(err) });
            }
            Act::Streams => vec![Ok(content()), Ok(last())],
            Act::Hangs => {
                return Box::pin(async move {
                    let _alive = span;
                    std::future::pending().await
                });
            }
            Act::Breaks => vec![Ok(content()), Err(Error::new(ErrorKind::Connection, "broken"))],
        };
        span.answered(StatusCode::OK);
        let notes = span.is_recording().then(Notes::default);
        let head = Head { notes: notes.clone(), ..head() };
        // As a provider does: the span lives as long as the body is read, and the facts come with it.
        let body = stream::iter(frames).inspect(move |_| {
            let _alive = &span;
            notes.iter().for_each(|notes| notes.note(facts()));
        });
        Box::pin(async move { Ok(Reply { head: head.into(), frames: Frames::many(body) }) })
    }
}

// === impl Router ===

impl<S: CallService> CallService for Router<S> {
    async fn answer(&self, call: Call) -> Result<Reply> {
        match self.0.answer(routed(&call)).await {
            Err(_) => self.0.answer(routed(&call)).await,
            reply => reply,
        }
    }
}

#[tokio::test]
async fn a_call_is_one_trace_from_the_client_to_every_upstream() {
    let run = run(&[Act::Refuses, Act::Streams], |otlp| otlp, drain).await;
    let seen = run.receiver.seen();
    let (call, route) = (seen.span("chat gpt"), seen.span("route"));
    let (attempts, exchanges) = (seen.named("attempt"), seen.named("POST"));

    assert_eq!(seen.spans.len(), 6);
    assert!(seen.spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    assert_eq!(hex(&call.parent_span_id), CLIENT);
    assert_eq!(route.parent_span_id, call.span_id);
    assert_eq!(attempts.len(), 2);
    for (attempt, exchange) in attempts.iter().zip(&exchanges) {
        assert_eq!(attempt.parent_span_id, route.span_id);
        assert_eq!(exchange.parent_span_id, attempt.span_id);
    }
    let sent: Vec<_> = run.sent.iter().map(|headers| headers["traceparent"].to_str().unwrap()).collect();
    let expected: Vec<_> =
        exchanges.iter().map(|span| format!("00-{TRACE}-{}-01", hex(&span.span_id))).collect();
    assert_eq!(sent, expected);
    assert!(run.sent.iter().all(|headers| headers["tracestate"] == "vendor=1"));
    assert_eq!(call.kind, SpanKind::Server as i32);
    assert_eq!(exchanges[0].kind, SpanKind::Client as i32);
}

#[tokio::test]
async fn each_span_says_what_happened_and_never_what_was_said() {
    let run = run(&[Act::Refuses, Act::Streams], |otlp| otlp, drain).await;
    let seen = run.receiver.seen();
    let (attempts, exchanges) = (seen.named("attempt"), seen.named("POST"));
    let number = |text: &str| text.parse::<f64>().unwrap();

    check(
        seen.span("chat gpt"),
        &[
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.request.model", "gpt"),
            ("gen_ai.request.stream", "true"),
            ("gen_ai.response.model", "mistral-large-2411"),
            ("gen_ai.response.id", "cmpl-1"),
            ("gen_ai.response.finish_reasons", "[stop, length]"),
            ("gen_ai.provider.name", "mistral_ai"),
            ("gen_ai.usage.input_tokens", "10"),
            ("gen_ai.usage.output_tokens", "5"),
            ("gen_ai.usage.cache_read.input_tokens", "4"),
            ("gen_ai.usage.cache_creation.input_tokens", ""),
            ("gen_ai.usage.cost", "0.000015"),
            ("gatewright.caller.id", "anonymous"),
            ("gatewright.end", "complete"),
            ("error.type", ""),
        ],
    );
    assert!(number(&attribute(seen.span("chat gpt"), "gen_ai.response.time_to_first_chunk")) >= 0.0);
    check(seen.span("route"), &[("gatewright.deployment.id", "d1"), ("gatewright.route.retries", "1")]);
    check(
        attempts[0],
        &[
            ("gatewright.attempt.number", "1"),
            ("gatewright.deployment.id", "d1"),
            ("gatewright.end", "failed"),
            ("error.type", "rate_limited"),
        ],
    );
    check(
        attempts[1],
        &[
            ("gatewright.attempt.number", "2"),
            ("gen_ai.request.model", "mistral-large"),
            ("gatewright.attempt.output_tokens", "5"),
            ("gatewright.attempt.cost", "0.000015"),
            ("gen_ai.usage.output_tokens", ""),
            ("gatewright.end", "complete"),
        ],
    );
    check(exchanges[0], &[("http.response.status_code", "429"), ("error.type", "429")]);
    check(
        exchanges[1],
        &[
            ("http.request.method", "POST"),
            ("http.response.status_code", "200"),
            ("server.address", "up.example"),
            ("server.port", "8080"),
            ("url.path", "/v1/chat"),
            ("error.type", ""),
        ],
    );
    let failed = |span: &Span| span.status.as_ref().is_some_and(|status| status.code == STATUS_ERROR);
    assert!(failed(attempts[0]) && failed(exchanges[0]));
    assert!(!failed(attempts[1]) && !failed(exchanges[1]) && !failed(seen.span("chat gpt")));
    assert!(!format!("{:?}", seen.spans).contains("secret"));
}

#[tokio::test]
async fn a_span_ends_with_the_stream_and_not_with_its_head() {
    for (acts, take, end, error) in [
        (&[Act::Streams][..], usize::MAX, "complete", ""),
        (&[Act::Breaks], usize::MAX, "failed", "connection"),
        (&[Act::Streams], 1, "abandoned", ""),
        (&[Act::Refuses, Act::Refuses], usize::MAX, "failed", "rate_limited"),
    ] {
        let run = run(
            acts,
            |otlp| otlp,
            async |reply| {
                let Ok(mut reply) = reply else { return };
                let mut left = take;
                while left > 0 && reply.frames.next().await.is_some() {
                    left -= 1;
                }
            },
        )
        .await;
        let seen = run.receiver.seen();
        for name in ["chat gpt", "route"] {
            check(seen.span(name), &[("gatewright.end", end), ("error.type", error)]);
        }
    }
}

#[tokio::test]
async fn exports_carry_the_headers_and_the_resource_that_were_set() {
    let set = |otlp| Otlp {
        headers: vec![(http::header::AUTHORIZATION, "Basic abc".into())],
        resource: vec![("deployment.environment.name".into(), "lab".into())],
        ..otlp
    };
    let run = run(&[Act::Streams], set, drain).await;
    let seen = run.receiver.seen();
    assert_eq!(seen.headers["authorization"], "Basic abc");
    assert_eq!(seen.headers["content-type"], "application/x-protobuf");
    assert_eq!(seen.path, "/v1/traces");
    assert_eq!(seen.resource["service.name"], "gatewright");
    assert_eq!(seen.resource["deployment.environment.name"], "lab");
}

#[tokio::test]
async fn spans_leave_in_every_protocol_and_what_may_pass_is_tried_again() {
    const HTTP: &str = "/v1/traces";
    const GRPC: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    // Unavailable; then an argument that no other attempt makes better.
    for (protocol, refusals, exports, arrives) in [
        (Protocol::Grpc, &[][..], 1, true),
        (Protocol::Grpc, &[14], 2, true),
        (Protocol::Grpc, &[3], 1, false),
        (Protocol::Http, &[], 1, true),
        (Protocol::Http, &[503], 2, true),
        (Protocol::Http, &[400], 1, false),
    ] {
        for compression in [Compression::None, Compression::Gzip] {
            let receiver = Receiver::start().await;
            receiver.refuse(refusals.iter().copied());
            let is_grpc = protocol == Protocol::Grpc;
            let endpoint = if is_grpc { receiver.base() } else { &receiver.url };
            let otlp = Otlp { protocol, compression, ..Otlp::new(endpoint.parse().unwrap()) };
            let http2 = gatewright_transport::Http2::PriorKnowledge;
            let settings = gatewright_transport::Settings::default();
            let way = if is_grpc { gatewright_transport::Settings { http2, ..settings } } else { settings };
            let settings = Settings { traces: Some(otlp), ..Settings::default() };
            let guard = Guard::spans(&settings, Transport::new(way).unwrap()).unwrap();
            let stage = Stage::new(guard.tracer().clone(), &[Act::Streams]);
            drain(stage.stack().answer(call()).await).await;
            assert_eq!(guard.flush().await, arrives);
            let (seen, figures) = (receiver.seen(), guard.counts().unwrap().figures());
            assert_eq!(seen.path, if is_grpc { GRPC } else { HTTP });
            assert_eq!(seen.exports, exports, "{refusals:?}");
            let (exported, failed) = if arrives { (4, 0) } else { (0, 4) };
            assert_eq!(figures, SpanFigures { exported, failed, ..SpanFigures::default() }, "{refusals:?}");
            assert_eq!(seen.spans.len(), if arrives { 4 } else { 0 });
            let header = if is_grpc { "grpc-encoding" } else { "content-encoding" };
            assert_eq!(seen.headers.contains_key(header), compression == Compression::Gzip);
        }
    }
}

#[tokio::test]
async fn spans_leave_as_json_where_that_is_spoken() {
    for compression in [Compression::None, Compression::Gzip] {
        let set = |otlp| Otlp { protocol: Protocol::Json, compression, ..otlp };
        let run = run(&[Act::Streams], set, drain).await;
        let seen = run.receiver.seen();
        let spans = seen.json["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
        let mut names: Vec<_> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["POST", "attempt", "chat gpt", "route"]);
        assert!(spans.iter().all(|span| span["traceId"] == TRACE));
    }
}

#[tokio::test]
async fn a_whole_batch_waits_for_nobody() {
    let receiver = Receiver::start().await;
    let batch = Batch { size: 2, schedule_delay: Duration::from_secs(3600), ..Batch::default() };
    let guard = guard(Otlp { batch, ..Otlp::new(receiver.url.parse().unwrap()) }, true);
    let stage = Stage::new(guard.tracer().clone(), &[Act::Streams]);
    drain(stage.stack().answer(call()).await).await;
    while receiver.seen().spans.len() < 4 {
        tokio::task::yield_now().await;
    }
    assert_eq!(receiver.seen().exports, 2);
}

#[tokio::test]
async fn a_call_that_is_left_before_its_answer_begins_is_told_as_abandoned() {
    let receiver = Receiver::start().await;
    let guard = guard(Otlp::new(receiver.url.parse().unwrap()), true);
    let stage = Stage::new(guard.tracer().clone(), &[Act::Hangs]);
    let stack = stage.stack();
    let mut answer = Box::pin(stack.answer(call()));
    assert!((&mut answer).now_or_never().is_none());
    drop(answer);
    assert!(guard.shutdown(PATIENCE).await);
    let seen = receiver.seen();
    for name in ["chat gpt", "route", "attempt"] {
        check(seen.span(name), &[("gatewright.end", "abandoned"), ("error.type", "")]);
    }
}

#[tokio::test]
async fn a_request_that_is_refused_is_one_span_and_a_stranger_writes_into_no_trace_but_his_own() {
    for (caller, continues) in [(None, false), (Some(Caller::new("hash")), true)] {
        let receiver = Receiver::start().await;
        let guard = guard(Otlp::new(receiver.url.parse().unwrap()), true);
        let error = Error::new(ErrorKind::Forbidden, "my secret");
        guard.tracer().refused(&Refusal {
            operation: Operation::Chat,
            dialect: Dialect::OpenAiChat,
            caller: caller.map(Arc::new).as_ref(),
            headers: &call().headers,
            received: Instant::now(),
            error: &error,
        });
        assert!(guard.shutdown(PATIENCE).await);
        let seen = receiver.seen();
        let span = seen.span("chat");
        assert_eq!((seen.spans.len(), span.kind), (1, SpanKind::Server as i32));
        assert_eq!(
            (hex(&span.trace_id) == TRACE, hex(&span.parent_span_id) == CLIENT),
            (continues, continues)
        );
        let caller = if continues { "hash" } else { "" };
        check(
            span,
            &[
                ("gen_ai.operation.name", "chat"),
                ("error.type", "forbidden"),
                ("http.response.status_code", "403"),
                ("gatewright.caller.id", caller),
                ("gatewright.end", "failed"),
            ],
        );
        assert!(!format!("{:?}", seen.spans).contains("secret"));
    }
}

#[tokio::test]
async fn what_has_no_room_to_wait_is_dropped_and_counted() {
    let batch = Batch { queue: 5, ..Batch::default() };
    let bytes = Batch { queue_bytes: 0, ..Batch::default() };
    for (batch, dropped) in [(Batch::default(), 0), (batch, 3), (bytes, 8)] {
        let receiver = Receiver::start().await;
        let guard = guard(Otlp { batch, ..Otlp::new(receiver.url.parse().unwrap()) }, true);
        let stage = Stage::new(guard.tracer().clone(), &[Act::Streams, Act::Streams]);
        for _ in 0..2 {
            drain(stage.stack().answer(call()).await).await;
        }
        guard.flush().await;
        let figures = guard.counts().unwrap().figures();
        assert_eq!((figures.dropped, figures.exported), (dropped, 8 - dropped), "{batch:?}");
        assert_eq!(receiver.seen().spans.len() as u64, 8 - dropped);
    }
}

#[tokio::test]
async fn a_trace_that_is_not_sampled_travels_and_is_not_exported() {
    let run = run(&[Act::Streams], |otlp| Otlp { sampler: Sampler::Never, ..otlp }, drain).await;
    let parent = run.sent[0]["traceparent"].to_str().unwrap();
    assert!(parent.starts_with(&format!("00-{TRACE}-")) && parent.ends_with("-00"), "{parent}");
    assert_eq!(run.receiver.seen().spans.len(), 0);
}

#[tokio::test]
async fn without_a_receiver_the_clients_context_goes_on_only_where_it_is_asked_for() {
    for (propagate, expected) in [(true, Some(format!("00-{TRACE}-{CLIENT}-01"))), (false, None)] {
        let stage = Stage::new(Tracer::off(propagate), &[Act::Streams]);
        drain(stage.stack().answer(call()).await).await;
        let sent = stage.sent.lock().unwrap()[0].get("traceparent").cloned();
        assert_eq!(sent, expected.map(|text| HeaderValue::try_from(text).unwrap()));
    }
}

#[tokio::test]
async fn a_gateway_that_keeps_its_traces_to_itself_neither_reads_nor_writes_a_context() {
    let receiver = Receiver::start().await;
    let guard = guard(Otlp::new(receiver.url.parse().unwrap()), false);
    let stage = Stage::new(guard.tracer().clone(), &[Act::Streams]);
    drain(stage.stack().answer(call()).await).await;
    assert!(guard.shutdown(PATIENCE).await);
    assert!(stage.sent.lock().unwrap()[0].is_empty());
    assert_ne!(hex(&receiver.seen().span("chat gpt").trace_id), TRACE);
}

#[tokio::test]
async fn a_receiver_that_is_away_holds_up_neither_calls_nor_the_shutdown() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let otlp = Otlp::new(format!("http://{closed}/v1/traces").parse().unwrap());
    let guard = guard(otlp, true);
    let stage = Stage::new(guard.tracer().clone(), &[Act::Streams]);
    drain(stage.stack().answer(call()).await).await;
    assert!(!guard.shutdown(Duration::from_millis(50)).await);
}

#[tokio::test]
async fn a_log_filter_that_cannot_be_read_is_refused() {
    let logs = Logs { filter: "gatewright=loud=very".into(), ..Logs::default() };
    let settings = Settings { logs, ..Settings::default() };
    let transport = Transport::new(gatewright_transport::Settings::default()).unwrap();
    let why = init(&settings, transport).err().unwrap().to_string();
    assert!(why.starts_with("the log filter cannot be read"), "{why}");
}

struct Run {
    receiver: Receiver,
    sent: Vec<HeaderMap>,
}

/// One call through the whole stack, with a receiver that has everything once this returns.
async fn run(acts: &[Act], set: impl FnOnce(Otlp) -> Otlp, client: impl AsyncFnOnce(Result<Reply>)) -> Run {
    let receiver = Receiver::start().await;
    let guard = guard(set(Otlp::new(receiver.url.parse().unwrap())), true);
    let stage = Stage::new(guard.tracer().clone(), acts);
    client(stage.stack().answer(call()).await).await;
    assert!(guard.shutdown(PATIENCE).await);
    let sent = stage.sent.lock().unwrap().clone();
    Run { receiver, sent }
}

fn guard(otlp: Otlp, propagate: bool) -> Guard {
    let settings = Settings { traces: Some(otlp), propagate, ..Settings::default() };
    let transport = Transport::new(gatewright_transport::Settings::default()).unwrap();
    Guard::spans(&settings, transport).unwrap()
}

impl Stage {
    fn new(tracer: Tracer, acts: &[Act]) -> Self {
        Self { tracer, acts: Arc::new(Mutex::new(acts.to_vec())), sent: Arc::default() }
    }

    fn stack(&self) -> impl CallService {
        let pricing: Pricing = Arc::new(|deployment, usage| {
            (deployment == "d1").then_some(Money(usage.total().cast_signed() * 1_000))
        });
        let attempt = Traced::attempt(&self.tracer).priced_by(pricing.clone());
        let call = Traced::call(&self.tracer).priced_by(pricing);
        let route = Router(layer(attempt).layer(self.clone()));
        layer(call).layer(layer(Traced::route(&self.tracer)).layer(route))
    }
}

fn call() -> Call {
    let mut call = Call::new(
        Operation::Chat,
        gatewright_dialects::of(Dialect::OpenAiChat),
        "gpt",
        Body::Opaque(Bytes::new()),
    );
    call.stream = true;
    let parent = format!("00-{TRACE}-{CLIENT}-01");
    call.headers.insert("traceparent", HeaderValue::try_from(parent).unwrap());
    call.headers.insert("tracestate", HeaderValue::from_static("vendor=1"));
    call
}

fn routed(call: &Call) -> Call {
    let mut routed = call.clone();
    routed.target = Some(Arc::new(Target {
        attempt: AttemptId::fresh(),
        deployment: "d1".into(),
        group: "gpt".into(),
        shown: "gpt".into(),
        model: None,
        first_content: PATIENCE,
        idle: PATIENCE,
        deadline: Instant::now() + PATIENCE,
    }));
    routed
}

fn head() -> Head {
    let served_by = ServedBy {
        deployment: "d1".into(),
        group: "gpt".into(),
        model: "mistral/mistral-large".into(),
        api_base: "http://up.example".into(),
        provider: "mistral".into(),
    };
    Head { served_by: Some(Arc::new(served_by)), streams: true, retries: 1, ..Head::default() }
}

fn facts() -> ReplyFacts {
    ReplyFacts {
        id: Some("cmpl-1".into()),
        model: Some("mistral-large-2411".into()),
        finish: [(1, "length".into()), (0, "stop".into())].into(),
    }
}

fn content() -> Frame {
    Frame { data: Bytes::from_static(b"my secret"), content: 9, ..Frame::default() }
}

fn last() -> Frame {
    let usage = Usage { input: 10, output: 5, cache_read: 4, cache_in_input: true, ..Usage::default() };
    Frame { usage: Some(usage), last: true, ..Frame::default() }
}

async fn drain(reply: Result<Reply>) {
    let mut reply = reply.unwrap();
    while let Some(frame) = reply.frames.next().await {
        frame.unwrap();
    }
}

fn check(span: &Span, expected: &[(&str, &str)]) {
    for (key, value) in expected {
        assert_eq!(attribute(span, key), *value, "{} {key}", span.name);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
