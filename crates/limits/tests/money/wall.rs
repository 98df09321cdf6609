//! Many calls at once run into one budget, through the whole policy: some leave, some fail, some cost more than they
//! may.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use gatewright_core::{
    Call, CallService, End, Error, ErrorKind, Frame, Frames, Middleware, Money, Observer, Outcome, Price,
    Reply, Result, SystemClock, Tab, Usage, arm,
};
use gatewright_limits::{Foresee, Limits, Local, Need, Rule, Rules, Ruling, Wanted, Window};
use proptest::test_runner::{RngAlgorithm, TestRng};
use rand::RngExt;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::service_fn;

use crate::call::call;

const DOLLAR: i64 = 1_000_000_000;

/// Ten dollars a million tokens.
const PRICE: Price = Price(10_000_000_000);
const NANO_A_TOKEN: i64 = 10_000;

/// One budget of a dollar for every call.
struct Dollar;

impl Rules for Dollar {
    fn rules(&self, _: &Call, out: &mut Ruling) {
        out.push(Rule::money("proxy", "proxy".into(), Money(DOLLAR), Window::Forever));
    }
}

/// Every call may have as many tokens.
struct Cap {
    least: u64,
    most: u64,
}

impl Foresee for Cap {
    fn need(&self, _: &Call, _: Wanted) -> Need {
        let Self { least, most } = *self;
        Need { output: PRICE, output_cap: most, least_output: least, known_cap: true, ..Need::default() }
    }
}

/// How calls go.
#[derive(Clone, Copy)]
struct Story {
    calls: u32,
    /// The least and the most tokens that a call is held for.
    cap: (u64, u64),
    /// Tokens of a whole answer; what a cap cuts is not written.
    answers: u64,
    /// How many times its cap an upstream may write.
    exceeds: f64,
    percent_leave: u32,
    percent_fail: u32,
    takes: Duration,
}

/// What came of it.
#[derive(Debug)]
struct Sum {
    spent: i64,
    sent: u32,
    refused: u32,
    most_at_once: u32,
}

/// Books an attempt as the ledger does: whole answers by what they had, others by as much of it as there was time for.
struct Booked {
    tab: Arc<Tab>,
    whole: i64,
    part: i64,
}

impl Observer for Booked {
    fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
        self.tab.add(Money(match outcome.end {
            End::Complete => self.whole,
            End::Failed(_) | End::Abandoned => self.part,
        }));
    }
}

/// How one call goes.
#[derive(Clone, Copy)]
struct Fate {
    leaves_after: Option<Duration>,
    fails: bool,
    exceeds: f64,
}

fn upstream(story: Story, sent: Arc<AtomicU32>, fate: Fate) -> impl CallService {
    service_fn(move |call: Call| {
        let sent = sent.clone();
        async move {
            sent.fetch_add(1, Ordering::SeqCst);
            let cap = call.output_cap.unwrap_or(story.cap.1);
            let tokens = (story.answers.min(cap) as f64 * fate.exceeds) as i64;
            let (whole, part) = (tokens * NANO_A_TOKEN, tokens * NANO_A_TOKEN / 2);
            let tab = call.tab.clone().unwrap();
            let answer = async move {
                sleep(story.takes).await;
                if fate.fails {
                    return Err(Error::new(ErrorKind::Connection, "gone"));
                }
                let usage = Some(Usage { output: tokens as u64, ..Usage::default() });
                let frame = Frame { usage, content: 1, ..Frame::default() };
                Ok(Reply { head: Box::default(), frames: Frames::one(frame) })
            };
            arm(Booked { tab, whole, part }).follow(answer.await)
        }
    })
}

async fn one(limits: Limits<Local>, story: Story, sent: Arc<AtomicU32>, fate: Fate) -> Result<()> {
    let upstream = upstream(story, sent, fate);
    let answer = async {
        let mut reply = limits.handle(call(), &upstream).await?;
        while let Some(frame) = reply.frames.next().await {
            frame?;
        }
        Ok(())
    };
    match fate.leaves_after {
        None => answer.await,
        Some(after) => timeout(after, answer).await.unwrap_or(Ok(())),
    }
}

async fn play(story: Story, seed: u8) -> Sum {
    let clock = Arc::new(SystemClock);
    let local = Arc::new(Local::new(clock.clone()));
    let cap = Cap { least: story.cap.0, most: story.cap.1 };
    let limits = Limits::new(Arc::new(Dollar), local.clone(), Arc::new(cap), clock);
    let sent = Arc::new(AtomicU32::new(0));
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut fates = move || Fate {
        leaves_after: (rng.random_range(0..100) < story.percent_leave)
            .then(|| story.takes.mul_f64(rng.random_range(0.0..4.0))),
        fails: rng.random_range(0..100) < story.percent_fail,
        exceeds: story.exceeds,
    };
    let mut calls = JoinSet::new();
    for _ in 0..story.calls {
        calls.spawn(one(limits.clone(), story, sent.clone(), fates()));
    }
    let (mut refused, mut most_at_once) = (0, 0);
    while let Some(call) = calls.join_next().await {
        if let [spent] = local.spent("proxy", "proxy").as_slice() {
            most_at_once = most_at_once.max(spent.running);
        }
        match call.unwrap() {
            Err(err) if err.kind() == ErrorKind::BudgetExceeded => refused += 1,
            Ok(()) | Err(_) => {}
        }
    }
    let spent = local.spent("proxy", "proxy");
    assert_eq!((spent[0].held, spent[0].running, spent[0].waiting), (Money::ZERO, 0, 0), "nothing leaks");
    Sum { spent: spent[0].settled.0, sent: sent.load(Ordering::SeqCst), refused, most_at_once }
}

/// A dollar, and calls of six cents.
const WALL: Story = Story {
    calls: 200,
    cap: (6_000, 6_000),
    answers: 6_000,
    exceeds: 1.0,
    percent_leave: 20,
    percent_fail: 10,
    takes: Duration::from_millis(200),
};

#[tokio::test(start_paused = true)]
async fn a_dollar_is_never_passed_however_many_calls_want_it() {
    for (calls, seed) in [(200, 1), (200, 2), (200, 3), (2_000, 4), (2_000, 5)] {
        let sum = play(Story { calls, ..WALL }, seed).await;
        assert!(sum.spent <= DOLLAR, "{sum:?}");
        assert!(sum.spent > DOLLAR * 85 / 100, "{sum:?}: what can be spent, can be spent");
        assert!(sum.most_at_once <= 8, "{sum:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_leaving_and_failing_all_sixteen_calls_of_a_dollar_are_made() {
    let sum = play(Story { percent_leave: 0, percent_fail: 0, ..WALL }, 1).await;
    assert_eq!((sum.sent, sum.refused, sum.spent), (16, 184, 16 * 60_000_000), "{sum:?}");
}

#[tokio::test(start_paused = true)]
async fn answers_beyond_their_caps_pass_a_dollar_by_half_at_most() {
    for (calls, exceeds) in [(200, 1.2), (200, 2.0), (2_000, 1.5), (2_000, 2.0)] {
        for seed in 0..5 {
            let sum = play(Story { calls, exceeds, ..WALL }, seed).await;
            assert!(sum.spent <= DOLLAR * 3 / 2, "{exceeds} × the cap: {sum:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_all_cost_a_quarter_of_the_budget_are_let_in() {
    // 135 tokens are $0.00135: 27 cents in all.
    let quarter =
        Story { answers: 135, percent_leave: 0, percent_fail: 0, takes: Duration::from_secs(1), ..WALL };
    for (what, cap) in [
        ("the model's own cap", (256, 16_384)),
        ("a stated cap of ten times the answer", (1_350, 1_350)),
        ("a stated cap that is kept to", (135, 135)),
    ] {
        let sum = play(Story { cap, ..quarter }, 1).await;
        assert!(sum.sent >= 198 && sum.refused <= 2, "{what}: {sum:?}");
        assert_eq!(sum.spent, i64::from(sum.sent) * 135 * NANO_A_TOKEN, "{what}: nothing is cut short");
    }
}
