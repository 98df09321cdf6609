//! The upstream: its path says what it answers, so that it reads no body.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::answers;
use crate::scenario::KEPT;

const GAP: Duration = Duration::from_millis(10);

/// What an answer takes where calls are to pile up.
const SLOW: Duration = Duration::from_millis(50);

/// Everything that can be answered, made once.
struct Answers {
    openai: Bytes,
    anthropic: Bytes,
    openai_events: Arc<[Bytes]>,
    anthropic_events: Arc<[Bytes]>,
}

/// A body: whole, or events one by one, each a chunk of its own.
enum Answer {
    Whole(Option<Bytes>),
    Events { all: Arc<[Bytes]>, next: usize, pace: Option<Interval> },
}

/// Prints its port and answers until it is killed.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn serve() {
    let answers = Arc::new(Answers {
        openai: answers::openai(),
        anthropic: answers::anthropic(),
        openai_events: answers::openai_events().into(),
        anthropic_events: answers::anthropic_events().into(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let mut connections = JoinSet::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        connections.spawn(converse(socket, answers.clone()));
    }
}

async fn converse(socket: TcpStream, answers: Arc<Answers>) {
    socket.set_nodelay(true).unwrap();
    let service = service_fn(move |request| {
        let answers = answers.clone();
        async move { Ok::<_, Infallible>(answers.answer(request).await) }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

// === impl Answers ===

impl Answers {
    async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        let (head, mut body) = request.into_parts();
        while body.frame().await.is_some() {}
        let (all, pace) = match head.uri.path().split('/').nth(1).unwrap_or_default() {
            // Also to whoever only wants to know whether someone answers.
            "plain" | KEPT | "health" => return json(self.openai.clone()),
            // A receiver of spans.
            "v1" => return json(Bytes::new()),
            "slow" => {
                tokio::time::sleep(SLOW).await;
                return json(self.openai.clone());
            }
            "translated" => return json(self.anthropic.clone()),
            "burst" => (&self.openai_events, None),
            "paced" => (&self.openai_events, Some(pace())),
            "translated-burst" => (&self.anthropic_events, None),
            "translated-paced" => (&self.anthropic_events, Some(pace())),
            other => panic!("nothing is served at {other}"),
        };
        let body = Answer::Events { all: all.clone(), next: 0, pace };
        Response::builder().header(header::CONTENT_TYPE, "text/event-stream").body(body).unwrap()
    }
}

fn json(body: Bytes) -> Response<Answer> {
    Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .body(Answer::Whole(Some(body)))
        .unwrap()
}

fn pace() -> Interval {
    let mut pace = interval(GAP);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

// === impl Answer ===

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut *self {
            Self::Whole(body) => body.take(),
            Self::Events { all, next, pace } => {
                if let Some(pace) = pace {
                    ready!(pace.poll_tick(cx));
                }
                let event = all.get(*next).cloned();
                *next += 1;
                event
            }
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::Events { .. } => SizeHint::default(),
        }
    }
}
