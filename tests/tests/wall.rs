//! A budget is a wall: hundreds and thousands of calls at once want a dollar, plain and streamed, through one process.

use std::thread;

use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{MASTER, Setup, deployment};
use gatewright_tests::upstream::{Pause, Said, Script, Upstream, Used};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};

const DOLLAR: i64 = 1_000_000_000;

/// How calls go, all at once.
#[derive(Clone, Copy)]
struct Story {
    calls: usize,
    /// What each asks for; `None` leaves it to the model.
    cap: Option<u64>,
    /// Tokens that each answer has: gpt-4o's cost ten dollars a million.
    answers: u64,
    /// Whether every fifth client leaves and every tenth attempt breaks.
    troubled: bool,
}

/// What came of it.
#[derive(Debug)]
struct Sum {
    spent: i64,
    /// Calls that were answered.
    answered: usize,
    /// Attempts that the upstream saw.
    sent: usize,
}

/// A call of each end takes a socket here and one in the gateway.
fn allow_many_sockets() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit }).unwrap();
}

fn play(story: Story) -> Sum {
    allow_many_sockets();
    let upstream = Upstream::start();
    upstream.choose(move |seen| {
        let said =
            Said { used: Used { input: 10, output: story.answers, ..Used::default() }, ..Said::words(3) };
        let slow = Script { before_head: Pause::millis(30), ..Script::says(said) };
        let breaks = story.troubled && seen.number % 10 == 9;
        Some(Script { cut_before_head: breaks, ..slow })
    });
    let model = deployment("m", "openai/gpt-4o", &upstream, "num_retries: 0");
    // The wall alone is to refuse them, not a door that finds the workers of a busy machine late.
    let config = format!(
        "litellm_settings: {{max_budget: 1.0}}\nmodel_list:\n{model}{MASTER}  max_worker_delay_ms: 0\n"
    );
    let gateway = Setup::new(config).start();
    let client = Client::of(&gateway);
    let answered = thread::scope(|scope| {
        let one = |n: usize| {
            let client = &client;
            move || call(client, story, n)
        };
        let spawn = |n| thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, one(n)).unwrap();
        let calls: Vec<_> = (0..story.calls).map(spawn).collect();
        calls.into_iter().map(|call| call.join().unwrap()).filter(|answered| *answered).count()
    });
    let ended =
        |all: &[gatewright_tests::journal::Entry]| all.iter().all(|entry| entry.ending() != "running");
    let entries = gateway.journal_when("all ended", ended);
    let spent = entries.iter().map(|entry| (entry.0["cost"].as_f64().unwrap() * 1e9).round() as i64).sum();
    // An attempt is written down before it leaves: one whose client left first may never have reached the upstream.
    let stayed = entries.iter().filter(|entry| entry.ending() != "abandoned").count();
    let seen = upstream.seen().len();
    assert!(
        (stayed..=entries.len()).contains(&seen),
        "each attempt has its entry: {stayed} {seen} {entries:?}"
    );
    Sum { spent, answered, sent: entries.len() }
}

/// Every other call is a stream; some leave at once, some at the first event. Whether it was answered to its end.
fn call(client: &Client, story: Story, n: usize) -> bool {
    let mut body = chat("m", "hi", json!({"stream": n % 2 == 1}));
    if let Some(cap) = story.cap {
        body["max_tokens"] = cap.into();
    }
    let path = "/v1/chat/completions";
    match n % 10 {
        0 if story.troubled => {
            drop(client.send("POST", path, body.to_string().as_bytes()));
            false
        }
        5 if story.troubled => {
            let _ = client.start(path, &body).event();
            false
        }
        _ => {
            let answer = client.post(path, &body);
            let refused: Value = json!("budget_exceeded");
            match answer.status {
                200 => true,
                422 => {
                    assert_eq!(answer.json()["error"]["type"], refused);
                    false
                }
                500 if story.troubled => false,
                other => panic!("{other}: {}", answer.text()),
            }
        }
    }
}

/// Calls of six cents.
const WALL: Story = Story { calls: 200, cap: Some(6_000), answers: 6_000, troubled: true };

#[test]
fn two_hundred_calls_at_once_never_pass_a_dollar() {
    let sum = play(WALL);
    assert!((DOLLAR * 7 / 10..=DOLLAR).contains(&sum.spent), "{sum:?}");
    let sum = play(Story { troubled: false, ..WALL });
    assert_eq!((sum.answered, sum.sent), (16, 16), "all that a dollar buys: {sum:?}");
    assert!(sum.spent <= DOLLAR, "{sum:?}");
}

#[test]
fn two_thousand_calls_at_once_never_pass_a_dollar() {
    let sum = play(Story { calls: 2_000, ..WALL });
    assert!((DOLLAR * 7 / 10..=DOLLAR).contains(&sum.spent), "{sum:?}");
}

#[test]
fn answers_of_twice_their_caps_pass_a_dollar_by_half_at_most() {
    let sum = play(Story { answers: 12_000, ..WALL });
    // Eight that end before a ninth comes leave less room than it needs.
    assert!((DOLLAR * 7 / 10..=DOLLAR * 3 / 2).contains(&sum.spent), "{sum:?}");
}

#[test]
fn calls_that_cost_a_quarter_of_the_budget_together_are_let_in() {
    // 135 tokens are $0.00135: 27 cents in all. By itself the model may write 16,384, so each is held for 16 cents.
    for cap in [None, Some(1_350)] {
        let sum = play(Story { cap, answers: 135, troubled: false, ..WALL });
        assert!(sum.answered >= 198, "{cap:?}: {sum:?}");
        assert!(sum.spent <= DOLLAR * 28 / 100, "{cap:?}: {sum:?}");
    }
}
