//! Budgets under calls that ask, wait, leave and end in any order.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, UNIX_EPOCH};

use crate::costs::{cost, tokens};
use futures_util::FutureExt;
use gatewright_core::{Clock, HandClock, Money};
use gatewright_limits::{Counters, Grant, Local, LocalHold, Refused, Rule, Window};
use proptest::prelude::*;

const LIMIT: u64 = 1_000;
const PERIOD: u64 = 60;

#[derive(Clone, Debug)]
enum Step {
    /// A call that is held against these budgets, for at least and at most so many tokens.
    Ask { budgets: Vec<u8>, least: u64, more: u64 },
    /// One that runs ends; it cost this share of its hold.
    End { which: prop::sample::Index, percent: u64 },
    /// One that runs makes another attempt, after one that cost this share of what it might.
    Again { which: prop::sample::Index, percent: u64, least: u64, more: u64 },
    /// One that waits goes away.
    Leave { which: prop::sample::Index },
    /// Time passes.
    Wait { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => (prop::collection::vec(0..3u8, 1..3), 1..700u64, 0..700u64)
            .prop_map(|(budgets, least, more)| Step::Ask { budgets, least, more }),
        5 => (index(), 0..=100u64).prop_map(|(which, percent)| Step::End { which, percent }),
        3 => (index(), 0..=100u64, 1..700u64, 0..700u64)
            .prop_map(|(which, percent, least, more)| Step::Again { which, percent, least, more }),
        1 => index().prop_map(|which| Step::Leave { which }),
        1 => (1..PERIOD).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

type Claim<'a> = Pin<Box<dyn Future<Output = Result<(LocalHold, Grant), Refused>> + Send + 'a>>;

struct Waiting<'a> {
    number: usize,
    budgets: Vec<u8>,
    claim: Claim<'a>,
    woken: Arc<Flag>,
}

struct Running {
    hold: LocalHold,
    held: u64,
    /// By attempts that ended.
    spent: u64,
    /// The most that its attempt can cost.
    covered: u64,
    budgets: Vec<u8>,
}

struct Scene<'a> {
    local: &'a Local,
    clock: &'a HandClock,
    waiting: Vec<Waiting<'a>>,
    running: Vec<Running>,
    asked: usize,
    settled: HashMap<u8, u64>,
}

/// Budget 0 lasts for ever; the others begin anew every minute.
fn rules(budgets: &[u8], clock: &HandClock) -> Vec<Rule> {
    let minute = clock.unix_seconds() / PERIOD + 1;
    let window = |budget| match budget {
        0 => Window::Forever,
        _ => Window::Period { name: "1m".into(), ends: UNIX_EPOCH + Duration::from_secs(minute * PERIOD) },
    };
    let rule =
        |budget: &u8| Rule::money("api_key", budget.to_string().into(), Money(LIMIT as i64), window(*budget));
    budgets.iter().map(rule).collect()
}

impl<'a> Scene<'a> {
    fn ask(&mut self, mut budgets: Vec<u8>, least: u64, more: u64) {
        budgets.dedup();
        let (local, rules, need) = (self.local, rules(&budgets, self.clock), tokens(least, least + more));
        let wait = Duration::from_secs(1_000_000);
        let claim: Claim<'a> = Box::pin(async move { local.hold(&rules, &need, wait).await });
        self.asked += 1;
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        self.waiting.push(Waiting { number: self.asked, budgets, claim, woken });
        self.run_woken();
    }

    /// Polls whoever was woken, until nobody is. Whoever is let in was the first that waits at its only budget.
    fn run_woken(&mut self) {
        while let Some(at) = self.waiting.iter().position(|call| call.woken.0.swap(false, Ordering::SeqCst)) {
            let call = &mut self.waiting[at];
            let waker = Waker::from(call.woken.clone());
            let Poll::Ready(result) = call.claim.as_mut().poll(&mut Context::from_waker(&waker)) else {
                continue;
            };
            let Waiting { number, budgets, .. } = self.waiting.remove(at);
            let Ok((hold, grant)) = result else { continue };
            let earlier = |other: &Waiting<'_>| other.budgets == budgets && other.number < number;
            assert!(budgets.len() > 1 || !self.waiting.iter().any(earlier), "{number} was let in too early");
            let (held, covered) = (grant.output, grant.output);
            self.running.push(Running { hold, held, spent: 0, covered, budgets });
        }
    }

    fn end(&mut self, at: usize, percent: u64) {
        let Running { hold, spent, covered, budgets, .. } = self.running.swap_remove(at);
        let spent = spent + covered * percent / 100;
        self.local.settle(&hold, cost(spent as i64));
        budgets.iter().for_each(|budget| *self.settled.entry(*budget).or_default() += spent);
        self.run_woken();
    }

    fn again(&mut self, at: usize, percent: u64, (least, most): (u64, u64)) {
        let call = &mut self.running[at];
        call.spent += std::mem::take(&mut call.covered) * percent / 100;
        let (rules, need, spent) =
            (rules(&call.budgets, self.clock), tokens(least, most), Money(call.spent as i64));
        let fitted = self.local.fit(&call.hold, &rules, &need, spent).now_or_never().unwrap();
        if let Ok(covered) = fitted {
            assert!((1..=most).contains(&covered), "{covered} of {most}");
            (call.covered, call.held) = (covered, call.held.max(call.spent + covered));
        }
    }

    fn check(&self) {
        for budget in 0..3u8 {
            let Some(spent) = self.local.spent("api_key", &budget.to_string()).pop() else { continue };
            let ours = self.running.iter().filter(|call| call.budgets.contains(&budget));
            let (count, held) = ours.fold((0, 0), |(count, held), call| (count + 1, held + call.held));
            assert_eq!((spent.running, spent.held), (count, Money(held as i64)), "{budget}");
            assert!(spent.settled.0 + spent.held.0 <= LIMIT as i64, "{budget}: {spent:?}");
            assert!(count <= 8 || spent.settled.0 + 2 * spent.held.0 <= LIMIT as i64, "{budget}: {spent:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn nothing_passes_a_budget_nothing_leaks_and_nobody_is_forgotten(
        steps in prop::collection::vec(step(), 1..150)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let _inside = runtime.enter();
        let clock = HandClock::new();
        let local = Local::new(clock.clone());
        let (waiting, running, settled) = (Vec::new(), Vec::new(), HashMap::new());
        let mut scene = Scene { local: &local, clock: &clock, waiting, running, asked: 0, settled };
        for step in steps {
            match step {
                Step::Ask { budgets, least, more } => scene.ask(budgets, least, more),
                Step::End { which, percent } if !scene.running.is_empty() => {
                    let at = which.index(scene.running.len());
                    scene.end(at, percent);
                }
                Step::Again { which, percent, least, more } if !scene.running.is_empty() => {
                    let at = which.index(scene.running.len());
                    scene.again(at, percent, (least, least + more));
                }
                Step::Leave { which } if !scene.waiting.is_empty() => {
                    let at = which.index(scene.waiting.len());
                    drop(scene.waiting.remove(at));
                    scene.run_woken();
                }
                Step::Wait { seconds } => clock.forward(Duration::from_secs(seconds)),
                Step::End { .. } | Step::Again { .. } | Step::Leave { .. } => {}
            }
            scene.check();
        }
        while !scene.running.is_empty() {
            scene.end(0, 0);
            scene.check();
        }
        prop_assert!(scene.waiting.is_empty(), "{} wait for nobody", scene.waiting.len());
        if let Some(spent) = local.spent("api_key", "0").pop() {
            let settled = scene.settled.get(&0).copied().unwrap_or_default();
            prop_assert_eq!((spent.settled, spent.waiting), (Money(settled as i64), 0));
        }
    }
}
