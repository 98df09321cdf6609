//! What spans cost: a call of five of them, told and exported: `cargo bench -p gatewright-telemetry --bench traces`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench tells what it measured")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use gatewright_core::{
    AttemptId, Body, Call, CallService, Decision, Dialect, Error, Frame, Frames, Head, Middleware, Operation,
    Reply, Result, ServedBy, Target, Usage, layer,
};
use gatewright_telemetry::{Guard, Otlp, Settings, Traced, Tracer};
use gatewright_transport::Transport;
use http::{HeaderMap, Method, StatusCode};
use tower_layer::Layer;

const CALLS: u32 = 100_000;

/// So many calls are answered before the exporter has its turn.
const TURN: u32 = 64;

/// Notes what a router decides, and names the attempt.
#[derive(Clone)]
struct Router(Arc<Target>);

/// Answers with one frame.
#[derive(Clone)]
struct Upstream(Tracer, Arc<ServedBy>);

impl Middleware for Router {
    async fn handle(&self, mut call: Call, next: &impl CallService) -> Result<Reply> {
        if let Some(decisions) = &call.decisions {
            decisions.note(Decision::Group { name: call.model.clone(), deployments: 1 });
            decisions.note(Decision::Attempt { deployment: self.0.deployment.clone() });
        }
        call.target = Some(self.0.clone());
        next.answer(call).await
    }
}

impl tower_service::Service<Call> for Upstream {
    type Response = Reply;
    type Error = Error;
    type Future = std::future::Ready<Result<Reply>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let uri = http::Uri::from_static("http://up.example:8080/v1/chat/completions");
        let mut span = self.0.upstream(&call, &Method::POST, &uri);
        span.inject(&mut HeaderMap::new());
        span.answered(StatusCode::OK);
        let usage = Some(Usage { input: 10, output: 5, ..Usage::default() });
        let frame = Frame { data: Bytes::from_static(b"{}"), usage, content: 2, last: true };
        let head = Head { served_by: Some(self.1.clone()), ..Head::default() };
        std::future::ready(Ok(Reply { head: head.into(), frames: Frames::one(frame) }))
    }
}

fn main() {
    // `cargo test --all-targets` runs benches too, without saying so.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || listener.incoming().for_each(|socket| swallow(&socket.unwrap())));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let otlp = Otlp::new(format!("http://{address}/v1/traces").parse().unwrap());
        let settings = Settings { traces: Some(otlp), propagate: true, ..Settings::default() };
        let transport = Transport::new(gatewright_transport::Settings::default()).unwrap();
        let guard = Guard::spans(&settings, transport).unwrap();
        let off = calls(&Tracer::off(true)).await;
        let on = calls(guard.tracer()).await;
        println!("a call through all layers: {off:?} without spans, {on:?} with them: {:?}", guard.counts());
    });
}

async fn calls(tracer: &Tracer) -> Duration {
    let attempts = layer(Traced::attempt(tracer)).layer(Upstream(tracer.clone(), Arc::new(served_by())));
    let route = layer(Traced::route(tracer)).layer(layer(Router(Arc::new(target()))).layer(attempts));
    let stack = layer(Traced::call(tracer)).layer(layer(Traced::cache(tracer)).layer(route));
    let begun = Instant::now();
    for number in 0..CALLS {
        let mut call = Call::new(
            Operation::Chat,
            gatewright_dialects::of(Dialect::OpenAiChat),
            "m",
            Body::Opaque(Bytes::new()),
        );
        call.identified = Some(call.received);
        let mut reply = stack.answer(call).await.unwrap();
        while let Some(frame) = reply.frames.next().await {
            frame.unwrap();
        }
        if number % TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    begun.elapsed() / CALLS
}

/// Takes whatever it is sent.
fn swallow(socket: &TcpStream) {
    let mut reader = BufReader::new(socket);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        if let Some(said) = line.strip_prefix("content-length: ") {
            length = said.trim().parse().unwrap();
        }
        if line == "\r\n" {
            reader.read_exact(&mut vec![0; length]).unwrap();
            let mut socket = socket;
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
        line.clear();
    }
}

fn target() -> Target {
    let later = Instant::now() + Duration::from_secs(3600);
    Target {
        attempt: AttemptId::fresh(),
        deployment: "0123456789abcdef".into(),
        group: "m".into(),
        shown: "m".into(),
        model: None,
        first_content: Duration::from_secs(60),
        idle: Duration::from_secs(60),
        deadline: later,
    }
}

fn served_by() -> ServedBy {
    ServedBy {
        deployment: "0123456789abcdef".into(),
        group: "m".into(),
        model: "openai/gpt-4o".into(),
        api_base: "http://up.example:8080/v1".into(),
        provider: "openai".into(),
    }
}
