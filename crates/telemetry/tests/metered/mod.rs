//! A meter above and beside a fake ledger.

use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::FutureExt;
use gatewright_core::{
    Allowance, AttemptId, Auditor, Body, Booking, Budget, Call, CallService, Caller, Dialect, Error,
    ErrorKind, Frame, Frames, Head, Json, JsonLimits, Money, Names, Observer, Operation, Outcome, Reply,
    Result, ServedBy, Target, Usage, arm, layer,
};
use gatewright_telemetry::{Figures, Meter, MetricSettings, TextFormat};
use http::{HeaderMap, HeaderName, HeaderValue};
use tower_layer::Layer;
use tower_service::Service;

/// A meter and what is to be counted by it.
pub(crate) struct Stage {
    pub(crate) meter: Meter,
}

/// What the fake ledger books and answers.
#[derive(Clone)]
enum Fate {
    Answers(Usage, Money),
    Fails(ErrorKind, Money),
    Hangs,
    Refuses,
}

/// Stands for the ledger and the upstream.
#[derive(Clone)]
struct Fake(Fate, Option<Arc<dyn Auditor>>);

/// What the fake ledger writes down when an attempt has ended.
struct Attempt {
    auditor: Option<Arc<dyn Auditor>>,
    call: Call,
    usage: Usage,
    cost: Money,
}

impl Stage {
    pub(crate) fn new(settings: MetricSettings) -> Self {
        Self { meter: Meter::new(settings) }
    }

    /// A call of this caller that is answered, and booked with cost, input and output.
    pub(crate) async fn answered(&self, caller: &Caller, cost: Money, (input, output): (u64, u64)) {
        let usage = Usage { input, output, ..Usage::default() };
        let mut reply = self.call(caller, Fate::Answers(usage, cost)).await.unwrap();
        while let Some(frame) = reply.frames.next().await {
            frame.unwrap();
        }
    }

    /// A call that fails at its provider.
    pub(crate) async fn failed(&self, caller: &Caller, kind: ErrorKind, cost: Money) {
        assert!(self.call(caller, Fate::Fails(kind, cost)).await.is_err());
    }

    /// A call whose client leaves.
    pub(crate) async fn abandoned(&self, caller: &Caller) {
        assert!(self.call(caller, Fate::Hangs).now_or_never().is_none());
    }

    /// A call that the ledger does not take.
    pub(crate) async fn unbooked(&self, caller: &Caller) {
        assert!(self.call(caller, Fate::Refuses).await.is_err());
    }

    /// All of it, at a time two hours before a budget's end.
    pub(crate) fn text(&self, format: TextFormat) -> String {
        self.meter.text(&Figures::default(), format, UNIX_EPOCH)
    }

    /// The values of all samples of this name.
    pub(crate) fn samples(&self, name: &str) -> Vec<String> {
        let text = self.text(TextFormat::Plain);
        let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        lines.filter_map(|line| Some(line.rsplit_once(' ')?.1.to_owned())).collect()
    }

    async fn call(&self, caller: &Caller, fate: Fate) -> Result<Reply> {
        let calls = layer(self.meter.calls()).layer(Fake(fate, self.meter.auditor()));
        let json = Json::parse(Bytes::from_static(br#"{"model":"m"}"#), JsonLimits::default()).unwrap();
        let mut call =
            Call::new(Operation::Chat, gatewright_dialects::of(Dialect::OpenAiChat), "m", Body::Json(json));
        call.caller = Arc::new(caller.clone());
        call.target = Some(Arc::new(target()));
        calls.answer(call).await
    }
}

impl Service<Call> for Fake {
    type Response = Reply;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Reply>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let Self(fate, auditor) = self.clone();
        let books = |usage, cost| arm(Attempt { auditor, call, usage, cost });
        match fate {
            Fate::Answers(usage, cost) => {
                let frame = Frame { usage: Some(usage), content: 1, last: true, ..Frame::default() };
                let reply = Reply { head: Box::new(head()), frames: Frames::one(frame) };
                Box::pin(ready(books(usage, cost).follow(Ok(reply))))
            }
            Fate::Fails(kind, cost) => {
                let err = Error::new(kind, "no").with_provider("openai").with_served_by(served_by());
                Box::pin(ready(books(Usage::default(), cost).follow(Err(err))))
            }
            Fate::Hangs => {
                let books = books(Usage::default(), Money::ZERO);
                Box::pin(async move { books.follow(pending().await) })
            }
            Fate::Refuses => {
                Box::pin(ready(Err(Error::new(ErrorKind::Unavailable, "the journal takes no more"))))
            }
        }
    }
}

impl Observer for Attempt {
    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        let Some(auditor) = &self.auditor else { return };
        auditor.booked(&Booking {
            origin: &self.call.origin,
            model: &self.call.model,
            target: self.call.target().unwrap(),
            stream: self.call.stream,
            mirrored: false,
            usage: self.usage,
            cost: self.cost,
            took: Duration::from_millis(1),
            first_content: None,
            outcome,
        });
    }
}

/// The holder of a key of a team.
pub(crate) fn caller(key: &str, team: &str) -> Caller {
    let names = Names { key: Some(format!("alias of {key}").into()), ..Names::default() };
    Caller { team: Some(team.into()), known_as: Arc::new(names), ..Caller::new(key) }
}

/// The same with budgets for the key, until then, and for the team, and with a rate.
pub(crate) fn limited(caller: Caller, ends: SystemTime) -> Caller {
    let allowance = |scope: &'static str, id: &Arc<str>, most, ends| Allowance {
        scope,
        id: id.clone(),
        model: None,
        requests: Some(60),
        tokens: None,
        tokens_a_day: None,
        parallel: None,
        budgets: vec![Budget {
            most: Money(most),
            spent: Money(1_500_000_000),
            duration: None,
            ends,
            turn: 0,
        }],
        soft: None,
    };
    let team = caller.team.clone().unwrap();
    let allowances = vec![
        allowance("api_key", &caller.id, 5_000_000_000, Some(ends)),
        allowance("team", &team, 9_000_000_000, None),
    ];
    Caller { allowances, ..caller }
}

fn served_by() -> Arc<ServedBy> {
    Arc::new(ServedBy {
        deployment: "d1".into(),
        group: "m".into(),
        model: "openai/gpt-4o".into(),
        api_base: "https://api.example.com/v1".into(),
        provider: "openai".into(),
    })
}

fn head() -> Head {
    let headers = HeaderMap::from_iter([(
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderValue::from_static("99"),
    )]);
    let told = HeaderMap::from_iter([(
        HeaderName::from_static("x-ratelimit-api_key-remaining-requests"),
        HeaderValue::from_static("57"),
    )]);
    Head { headers, told, served_by: Some(served_by()), ..Head::default() }
}

fn target() -> Target {
    Target {
        attempt: AttemptId::fresh(),
        deployment: "d1".into(),
        group: "m".into(),
        shown: "m".into(),
        model: None,
        first_content: Duration::from_secs(9),
        idle: Duration::from_secs(9),
        deadline: Instant::now() + Duration::from_secs(9),
    }
}
