//! Every attempt has exactly one entry, however it ended.
#![cfg(test)]

#[path = "../../limits/tests/support/call.rs"]
mod call;

use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use call::call;
use futures_util::{FutureExt, StreamExt, stream};
use gatewright_core::{
    Auditor, Booking, Call, CallService, Caller, CostParts, Error, ErrorKind, Frame, Frames, HandClock, Head,
    Middleware, Money, Operation, Reply, Result, Tab, Usage,
};
use gatewright_spend::{
    Certainty, Charge, Ending, Entry, Journal, Ledgered, OnFull, Quote, Report, Settings, State, Sync,
    Tariff, entries,
};
use tower::service_fn;

/// One nano-dollar a token of input, ten a token of output, and a thousand a request.
struct Flat;

impl Tariff for Flat {
    fn quote(&self, _: &Call) -> Quote {
        Quote {
            provider: "openai".into(),
            model: "gpt-4o-mini".into(),
            input_estimate: 100,
            pieces: Usage::default(),
            output_cap: 50,
            bound: Money(1_600),
            charge: Arc::new(Self),
        }
    }
}

impl Charge for Flat {
    fn cost(&self, usage: &Usage) -> Money {
        Money(1000 + usage.input as i64 + 10 * usage.output as i64)
    }

    fn parts(&self, usage: &Usage) -> CostParts {
        CostParts {
            input: Money(1000 + usage.input as i64),
            output: Money(10 * usage.output as i64),
            ..CostParts::default()
        }
    }
}

fn journal(dir: &Path, clock: &Arc<HandClock>) -> Journal {
    Journal::open(Settings { segment_bytes: 1 << 16, ..Settings::at(dir) }, clock.clone()).unwrap()
}

fn only(dir: &Path) -> Entry {
    let all: Vec<_> = entries(dir).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap()
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input, output, ..Usage::default() }
}

fn text(bytes: u32) -> Result<Frame> {
    Ok(Frame { content: bytes, ..Frame::default() })
}

fn told(usage: Usage, last: bool) -> Result<Frame> {
    Ok(Frame { usage: Some(usage), last, ..Frame::default() })
}

fn end() -> Result<Frame> {
    Ok(Frame { last: true, ..Frame::default() })
}

fn streamed(frames: Vec<Result<Frame>>, then_stall: bool) -> Result<Reply> {
    let frames = stream::iter(frames);
    let rest = stream::iter(then_stall.then(|| stream::once(pending::<Result<Frame>>()))).flatten();
    Ok(Reply {
        head: Box::new(Head { streams: true, ..Head::default() }),
        frames: Frames::many(frames.chain(rest)),
    })
}

/// Deployment, use, cost, time, and whether content came.
type Shown = (String, Usage, Money, Option<Duration>, bool);

/// All that was booked.
#[derive(Default)]
struct Audit(Mutex<Vec<Shown>>);

impl Auditor for Audit {
    fn booked(&self, booking: &Booking<'_>) {
        let deployment = booking.target.deployment.to_string();
        let shown =
            (deployment, booking.usage, booking.cost, Some(booking.took), booking.first_content.is_some());
        self.0.lock().unwrap().push(shown);
    }
}

/// Sends a call to an upstream that answers so, reads until nothing comes, and leaves.
fn check(
    name: &str,
    answer: impl FnOnce() -> Result<Reply> + Clone + Send + std::marker::Sync + 'static,
    want: (Ending, Certainty, Usage, i64),
) {
    let dir = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let audit = Arc::new(Audit::default());
    let ledgered =
        Ledgered::new(journal(dir.path(), &clock), Arc::new(Flat), clock).audited_by(Some(audit.clone()));
    let upstream = service_fn(move |_| {
        let answer = answer.clone();
        async move { answer() }
    });
    let of_call = Tab::under(None);
    let of_attempt = Tab::itemised(Some(of_call.clone()));
    let mut call = call();
    call.tab = Some(of_attempt.clone());
    if let Ok(mut reply) = ledgered.handle(call, &upstream).now_or_never().unwrap() {
        while let Some(Some(Ok(_))) = reply.frames.next().now_or_never() {}
    }
    let entry = only(dir.path());
    assert_eq!([of_attempt.total(), of_call.total()], [entry.cost; 2], "{name}: what budgets are told");
    let parts = of_attempt.parts().unwrap();
    assert_eq!(parts.input + parts.output, entry.cost, "{name}: what it is made of");
    assert_eq!(of_call.parts(), None, "{name}: nobody asked there");
    let (ending, certainty, usage, cost) = want;
    assert_eq!((entry.state, entry.certainty), (State::Ended(ending), certainty), "{name}");
    assert_eq!((entry.usage, entry.cost), (usage, Money(cost)), "{name}");
    let shown = ("fast-1".to_owned(), usage, Money(cost), entry.duration, entry.first_content.is_some());
    assert_eq!(*audit.0.lock().unwrap(), [shown], "{name}: what an auditor is shown");
    let bound = if certainty == Certainty::Exact { cost } else { cost.max(1_600) };
    assert_eq!(entry.bound, Money(bound), "{name}");
    assert_eq!((&*entry.begin.deployment, &*entry.begin.model), ("fast-1", "gpt-4o-mini"));
}

fn failed(kind: ErrorKind) -> Ending {
    Ending::Failed { kind: format!("{kind:?}").into(), status: kind.status().as_u16() }
}

#[test]
fn a_whole_reply_is_booked_with_the_providers_usage() {
    let whole = || {
        let frame = Frame { usage: Some(usage(90, 7)), content: 30, ..Frame::default() };
        Ok(Reply { head: Box::default(), frames: Frames::one(frame) })
    };
    check("one body", whole, (Ending::Complete, Certainty::Exact, usage(90, 7), 1_160));
    let stream =
        || streamed(vec![told(usage(90, 1), false), text(8), told(usage(90, 9), false), end()], false);
    check("a stream", stream, (Ending::Complete, Certainty::Exact, usage(90, 9), 1_180));
    let silent = || streamed(vec![text(5), text(4), end()], false);
    check("no usage", silent, (Ending::Complete, Certainty::Estimated, usage(100, 3), 1_130));
}

#[test]
fn a_reply_that_breaks_off_is_estimated_from_what_was_seen() {
    let cut = || streamed(vec![text(40), Err(Error::new(ErrorKind::Connection, "gone"))], false);
    check("cut", cut, (failed(ErrorKind::Connection), Certainty::Estimated, usage(100, 10), 1_200));
    let cut = || {
        let err = Error::new(ErrorKind::Upstream, "overloaded");
        streamed(vec![told(usage(90, 1), false), text(40), Err(err)], false)
    };
    check("failed late", cut, (failed(ErrorKind::Upstream), Certainty::Estimated, usage(90, 10), 1_190));
    let stalled = || streamed(vec![text(40), Err(Error::new(ErrorKind::Timeout, "idle"))], false);
    check("stalled", stalled, (failed(ErrorKind::Timeout), Certainty::Estimated, usage(100, 10), 1_200));
    let left = || streamed(vec![text(400)], true);
    check("abandoned", left, (Ending::Abandoned, Certainty::Estimated, usage(100, 100), 2_100));
}

#[test]
fn a_failure_before_content_costs_nothing_only_where_that_is_known() {
    for kind in ErrorKind::ALL {
        let free = !matches!(
            kind,
            ErrorKind::ContentPolicy
                | ErrorKind::ContextWindow
                | ErrorKind::Timeout
                | ErrorKind::Connection
                | ErrorKind::ClientGone
                | ErrorKind::BadGateway
                | ErrorKind::Internal
        );
        let want = match free {
            true => (failed(*kind), Certainty::Exact, Usage::default(), 0),
            false => (failed(*kind), Certainty::Estimated, usage(100, 0), 1_100),
        };
        check(&format!("{kind:?}"), || Err(Error::new(*kind, "no")), want.clone());
        check(&format!("{kind:?} in a stream"), || streamed(vec![Err(Error::new(*kind, "no"))], false), want);
    }
}

#[test]
fn an_auditor_is_shown_whose_attempt_it_was_and_where_it_went() {
    struct Whose(Mutex<Vec<(String, String, bool, bool)>>);
    impl Auditor for Whose {
        fn booked(&self, booking: &Booking<'_>) {
            let whose = (
                booking.origin.caller.id.to_string(),
                format!("{} at {}", booking.model, booking.target.group),
            );
            self.0.lock().unwrap().push((whose.0, whose.1, booking.stream, booking.mirrored));
        }
    }
    for (stream, mirrored) in [(false, false), (true, false), (false, true)] {
        let (dir, clock) = (tempfile::tempdir().unwrap(), HandClock::new());
        let whose = Arc::new(Whose(Mutex::default()));
        let ledgered =
            Ledgered::new(journal(dir.path(), &clock), Arc::new(Flat), clock).audited_by(Some(whose.clone()));
        let mut call = call();
        call.caller = Arc::new(Caller::new("k"));
        call.stream = stream;
        call.mirror_of = mirrored.then_some(call.id);
        let refuses = service_fn(|_| async { Err(Error::new(ErrorKind::RateLimited, "no")) });
        assert!(ledgered.handle(call, &refuses).now_or_never().unwrap().is_err());
        let shown = ("k".to_owned(), "fast at fast".to_owned(), stream, mirrored);
        assert_eq!(*whose.0.lock().unwrap(), [shown]);
    }
}

#[test]
fn a_client_that_leaves_before_the_head_is_still_booked() {
    let dir = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let ledgered = Ledgered::new(journal(dir.path(), &clock), Arc::new(Flat), clock.clone());
    let silent = service_fn(|_| pending::<Result<Reply>>());
    let answer = ledgered.handle(call(), &silent);
    let mut answer = Box::pin(answer);
    assert!(answer.as_mut().now_or_never().is_none());
    assert_eq!(only(dir.path()).state, State::Running);
    clock.forward(Duration::from_secs(3));
    drop(answer);
    let entry = only(dir.path());
    assert_eq!(entry.state, State::Ended(Ending::Abandoned));
    assert_eq!(
        (entry.certainty, entry.cost, entry.bound),
        (Certainty::Estimated, Money(1_100), Money(1_600))
    );
    assert_eq!((entry.begin.started, entry.duration), (1_763_682_622_000_000, Some(Duration::from_secs(3))));
}

#[test]
fn a_reply_that_is_there_at_once_tells_its_cost_in_the_head() {
    let dir = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let ledgered = Ledgered::new(journal(dir.path(), &clock), Arc::new(Flat), clock);
    let frame = Frame { usage: Some(usage(90, 7)), ..Frame::default() };
    let answer = move |_| {
        let frames = Frames::one(frame.clone());
        async { Ok(Reply { head: Box::default(), frames }) }
    };
    let reply = ledgered.handle(call(), &service_fn(answer)).now_or_never().unwrap().unwrap();
    assert_eq!(reply.head.cost, Some(Money(1_160)));
}

#[test]
fn a_long_stream_whose_process_dies_is_booked_as_far_as_it_was_noted() {
    let dir = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let ledgered = Ledgered::new(journal(dir.path(), &clock), Arc::new(Flat), clock.clone());
    let frames = vec![text(40), text(40), text(40_000), text(40), told(usage(1, 1), false)];
    let upstream = service_fn(move |_| {
        let reply = streamed(frames.clone(), true);
        async move { reply }
    });
    let mut reply = ledgered.handle(call(), &upstream).now_or_never().unwrap().unwrap();
    let mut seen = Vec::new();
    for seconds in [1, 10, 1, 1, 60] {
        clock.forward(Duration::from_secs(seconds));
        reply.frames.next().now_or_never().unwrap();
        seen.push(only(dir.path()).usage.output);
    }
    assert_eq!(seen, [0, 20, 10_020, 10_020, 10_020]);
    // Whoever dies settles nothing.
    std::mem::forget(reply);
    assert_eq!(only(dir.path()).state, State::Running);
}

#[test]
fn a_call_is_refused_where_its_beginning_cannot_be_written() {
    for (on_full, passes) in [(OnFull::Refuse, false), (OnFull::Continue, true)] {
        let dir = tempfile::tempdir().unwrap();
        let clock = HandClock::new();
        drop(Journal::open(Settings::at(dir.path()), clock.clone()).unwrap());
        // No disk has room for such a segment.
        let settings =
            Settings { segment_bytes: 1 << 62, on_full, sync: Sync::Never, ..Settings::at(dir.path()) };
        let journal = Journal::open(settings, clock.clone()).unwrap();
        let ledgered = Ledgered::new(journal.clone(), Arc::new(Flat), clock);
        let reached = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let count = reached.clone();
        let upstream = service_fn(move |_| {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let frame = Frame { usage: Some(usage(90, 7)), ..Frame::default() };
            async { Ok(Reply { head: Box::default(), frames: Frames::one(frame) }) }
        });
        let mut passed = 0;
        for _ in 0..20 {
            match ledgered.handle(call(), &upstream).now_or_never().unwrap() {
                Ok(mut reply) => {
                    passed += 1;
                    assert!(reply.frames.next().now_or_never().is_some());
                }
                Err(err) => assert_eq!(err.kind(), ErrorKind::Unavailable),
            }
        }
        let health = journal.health();
        assert!(health.full.is_some());
        assert_eq!(passed, reached.load(std::sync::atomic::Ordering::Relaxed), "only what passes is sent");
        match passes {
            true => {
                assert_eq!((passed, health.unjournalled_cost.0), (20, health.unjournalled as i64 * 1_160))
            }
            false => assert!(passed < 20 && health.unjournalled == 0),
        }
    }
}

#[test]
fn a_call_that_nobody_bills_is_not_journalled() {
    let dir = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let ledgered = Ledgered::new(journal(dir.path(), &clock), Arc::new(Flat), clock);
    let mut counted = call();
    counted.operation = Operation::CountTokens;
    let answer = |_| async { Ok(Reply { head: Box::default(), frames: Frames::one(Frame::default()) }) };
    assert!(ledgered.handle(counted, &service_fn(answer)).now_or_never().unwrap().is_ok());
    assert_eq!(entries(dir.path()).unwrap().count(), 0);
}

#[test]
fn an_entry_is_one_flat_line_and_a_report_sums_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let ledgered = Ledgered::new(journal(dir.path(), &clock), Arc::new(Flat), clock);
    for answer in [Ok(Some(usage(90, 7))), Err(ErrorKind::RateLimited), Err(ErrorKind::Timeout)] {
        let upstream = service_fn(move |_| async move {
            let usage = answer.map_err(|kind| Error::new(kind, "no"))?;
            Ok(Reply { head: Box::default(), frames: Frames::one(Frame { usage, ..Frame::default() }) })
        });
        if let Ok(mut reply) = ledgered.handle(call(), &upstream).now_or_never().unwrap() {
            reply.frames.next().now_or_never().unwrap();
        }
    }
    let all: Vec<Entry> = entries(dir.path()).unwrap().map(Result::unwrap).collect();
    let lines: Vec<String> = all.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
    for (line, part) in [
        (
            0,
            r#""started":"2025-11-20T23:50:22.000000Z","caller":"anonymous","group":"fast","deployment":"fast-1""#,
        ),
        (0, r#""model":"gpt-4o-mini","end":"complete","exact":true,"usage":{"input":90,"output":7,"#),
        (0, r#""cost":0.00000116,"bound":0.00000116,"first_content_ms":null,"duration_ms":0}"#),
        (1, r#""end":"failed","error":"RateLimited","status":429,"exact":true"#),
        (2, r#""exact":false,"usage":{"input":100,"output":0,"#),
        (2, r#""cost":0.0000011,"bound":0.0000016,"#),
    ] {
        assert!(lines[line].contains(part), "{part} in {}", lines[line]);
    }
    let mut report = Report::default();
    report.extend(all);
    assert_eq!(
        (report.all.attempts, report.all.complete, report.all.failed, report.all.estimated),
        (3, 1, 2, 1)
    );
    assert_eq!((report.all.cost, report.all.bound), (Money(2_260), Money(2_760)));
    assert_eq!(
        (&report.models["openai/gpt-4o-mini"], &report.callers["anonymous"]),
        (&report.all, &report.all)
    );
    let table = report.to_string();
    assert!(
        table.lines().any(|row| row.starts_with("openai/gpt-4o-mini") && row.contains(" 0.00000276 ")),
        "{table}"
    );
}

#[test]
fn an_unrouted_call_is_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let clock = HandClock::new();
    let ledgered = Ledgered::new(journal(dir.path(), &clock), Arc::new(Flat), clock);
    let mut call = call();
    call.target = None;
    let err = ledgered.handle(call, &never()).now_or_never().unwrap().err().unwrap();
    assert_eq!(err.kind(), ErrorKind::Internal);
    assert_eq!(entries(dir.path()).unwrap().count(), 0);
}

fn never() -> impl CallService {
    service_fn(|_| async { unreachable!("it must not be sent") })
}
