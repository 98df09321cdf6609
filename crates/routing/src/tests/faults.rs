//! Thousands of random schedules of faults, each of which must leave some truths in place.

mod schedule;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use futures_util::future::join_all;
use gatewright_core::{Call, CallService, Error, ErrorKind, Middleware, Reply, Result, Shared, layer};
use tokio::time::{Instant, sleep, timeout};
use tower_layer::Layer;

use self::schedule::{Client, Schedule};
use super::fixture::{Attempt, Seeded, Step, World, call};

/// How a call ended, as its client saw it.
#[derive(Debug)]
enum End {
    Whole,
    /// After its first content.
    Broken,
    Failed(Error),
    Left,
}

#[derive(Debug)]
struct Told {
    end: End,
    /// From the call's begin to its first content, or to its end where it had none.
    first: Duration,
}

/// Keeps each attempt's own time, as the layers below the router do.
#[derive(Clone)]
struct Times;

impl Middleware for Times {
    async fn handle(&self, call: Call, next: &impl CallService) -> Result<Reply> {
        let length = call.target.as_ref().unwrap().first_content;
        let late = |_| Error::new(ErrorKind::Timeout, "made to fail").with_provider("up");
        timeout(length, next.answer(call)).await.map_err(late)?
    }
}

/// Tells the seed of a schedule that failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the seed of this schedule is {}", self.0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn schedules_of_faults_1() {
    play(0..2500, false).await;
}

#[tokio::test(start_paused = true)]
async fn schedules_of_faults_2() {
    play(2500..5000, false).await;
}

#[tokio::test(start_paused = true)]
async fn schedules_of_faults_3() {
    play(5000..7500, false).await;
}

#[tokio::test(start_paused = true)]
async fn schedules_of_total_outages() {
    play(7500..10_000, true).await;
}

async fn play(seeds: std::ops::Range<u64>, outage: bool) {
    for seed in seeds {
        let _told = Seed(seed);
        let schedule = Schedule::of(&Seeded::new(seed), outage);
        let (world, told) = run(&schedule, seed).await;
        Truths { schedule: &schedule, told: &told, attempts: of_calls(&world, schedule.clients.len()) }
            .hold(outage);
        for (deployment, seen) in world.table.load().seen() {
            assert_eq!(seen.in_flight(), 0, "attempts at {} never ended", deployment.id);
        }
    }
}

async fn run(schedule: &Schedule, seed: u64) -> (World, Vec<Told>) {
    let Schedule { deployments, settings, scripts, clients, reload } = schedule;
    let world =
        World::of(deployments.clone(), settings.clone(), scripts.clone()).with_dice(Seeded::new(!seed));
    let calls = join_all(clients.iter().enumerate().map(|(nth, client)| send(&world, nth, client)));
    let reloading = async {
        let Some(after) = reload else { return };
        sleep(*after).await;
        let table = world.table.load();
        world.table.swap(table.rebuild(deployments.clone(), settings.clone()).unwrap());
    };
    let day = Duration::from_secs(24 * 3600);
    let (told, ()) = timeout(day, async { tokio::join!(calls, reloading) }).await.expect("a call hangs");
    (world, told)
}

async fn send(world: &World, nth: usize, client: &Client) -> Told {
    sleep(client.at).await;
    let start = Instant::now();
    let mut call = call(&client.model);
    call.stream = client.stream;
    call.controls = client.controls.clone();
    call.controls.tags = vec![nth.to_string().into()];
    let below = Shared::new(layer(Times).layer(world.upstream.clone()));
    let stack = layer(world.router().going_on(below.clone())).layer(below);
    let mut first = None;
    let answered = async {
        let mut reply = match stack.answer(call).await {
            Ok(reply) => reply,
            Err(err) => return End::Failed(err),
        };
        first = Some(start.elapsed());
        while let Some(frame) = reply.frames.next().await {
            if frame.is_err() {
                return End::Broken;
            }
        }
        End::Whole
    };
    let end = match client.leaves {
        Some(after) => timeout(after, answered).await.unwrap_or(End::Left),
        None => answered.await,
    };
    Told { end, first: first.unwrap_or_else(|| start.elapsed()) }
}

/// The attempts of each call.
fn of_calls(world: &World, calls: usize) -> Vec<Vec<Attempt>> {
    let mut of_calls = vec![Vec::new(); calls];
    for attempt in world.upstream.attempts() {
        let nth: usize = attempt.tag.as_ref().unwrap().parse().unwrap();
        of_calls[nth].push(attempt);
    }
    of_calls
}

/// What must be true of every schedule.
struct Truths<'a> {
    schedule: &'a Schedule,
    told: &'a [Told],
    attempts: Vec<Vec<Attempt>>,
}

impl Truths<'_> {
    fn hold(&self, outage: bool) {
        assert_eq!(self.told.len(), self.schedule.clients.len());
        for ((client, told), attempts) in self.schedule.clients.iter().zip(self.told).zip(&self.attempts) {
            self.ended_in_time(client, told);
            self.ended_as_its_last_attempt(told, attempts);
            self.goes_on_with_what_was_said(client, told, attempts);
            self.went_where_it_may(client, attempts);
        }
        if outage {
            self.nothing_is_multiplied();
        }
    }

    fn ended_in_time(&self, client: &Client, told: &Told) {
        let settings = &self.schedule.settings;
        let own = match client.stream {
            true => client.controls.stream_timeout.or(client.controls.timeout),
            false => client.controls.timeout,
        };
        let of_deployments =
            self.schedule.deployments.iter().flat_map(|one| [one.timeout, one.stream_timeout]);
        let longest = [settings.timeout, settings.stream_timeout].into_iter().chain(of_deployments).flatten();
        let most = own.unwrap_or_else(|| longest.fold(settings.total, Duration::max));
        assert!(told.first <= most + Duration::from_millis(2), "{told:?} within {most:?}");
    }

    fn ended_as_its_last_attempt(&self, told: &Told, attempts: &[Attempt]) {
        let last = attempts.last().map(|attempt| &attempt.step);
        match &told.end {
            End::Whole => assert!(last.unwrap().answers() && !last.unwrap().breaks(), "{told:?} {last:?}"),
            // One that was to go on may have failed.
            End::Broken => {
                let broke = |attempt: &Attempt| attempt.step.answers() && attempt.step.breaks();
                let goes_on = attempts.last().is_some_and(|attempt| attempt.goes_on);
                assert!(attempts.last().is_some_and(broke) || goes_on, "{told:?} {last:?}");
            }
            End::Failed(err) => {
                let invented = err.message() != "made to fail" && err.kind() != ErrorKind::Timeout;
                assert!(!invented || attempts.is_empty(), "{err}");
            }
            End::Left => {}
        }
    }

    /// What was said is never said again: after an attempt that was heard, another one only goes on, where that is wanted;
    /// and none goes on with nothing.
    fn goes_on_with_what_was_said(&self, client: &Client, told: &Told, attempts: &[Attempt]) {
        for pair in attempts.windows(2) {
            let (one, next) = (&pair[0], &pair[1]);
            let heard = matches!(one.step, Step::Stream(_)) && one.step.answers();
            let broke_off = one.step.answers() && one.step.breaks();
            let wanted = self.schedule.settings.go_on && client.stream;
            let may_go_on = wanted && (broke_off || one.goes_on);
            assert!(!next.goes_on || may_go_on, "goes on with nothing: {told:?} {attempts:?}");
            assert!(next.goes_on || !(heard || one.goes_on), "said twice: {told:?} {attempts:?}");
            assert!(!heard || broke_off, "goes on with what is whole: {told:?} {attempts:?}");
        }
        assert!(!attempts.first().is_some_and(|first| first.goes_on), "{told:?} {attempts:?}");
    }

    fn went_where_it_may(&self, client: &Client, attempts: &[Attempt]) {
        let settings = &self.schedule.settings;
        let sent = attempts.iter().filter(|attempt| !attempt.step.costs_nothing()).count();
        assert!(sent <= settings.max_attempts as usize, "{sent} attempts");
        let mut groups: Vec<&str> = attempts.iter().map(|attempt| &*attempt.target.group).collect();
        groups.dedup();
        let visits = groups.len();
        groups.sort_unstable();
        groups.dedup();
        assert_eq!(visits, groups.len(), "a group was visited twice: {groups:?}");
        let billed = attempts.iter().position(|attempt| attempt.step.is_billed());
        if let Some(billed) = billed.filter(|_| !settings.retry_billed) {
            assert_eq!(billed + 1, attempts.len(), "an attempt after one that was billed");
        }
        if let (Some(leaves), Some(last)) = (client.leaves, attempts.last()) {
            assert!(last.after <= client.at + leaves, "an attempt for nobody");
        }
    }

    /// In an outage of everything.
    fn nothing_is_multiplied(&self) {
        let periods = |millis: u128| millis / 10_000;
        let mut by_group: HashMap<&str, Vec<usize>> = HashMap::new();
        for (nth, client) in self.schedule.clients.iter().enumerate() {
            by_group.entry(&client.model).or_default().push(nth);
        }
        for (group, calls) in by_group {
            let attempts: Vec<&Attempt> = calls.iter().flat_map(|nth| &self.attempts[*nth]).collect();
            let mut more: BTreeMap<u128, u128> = BTreeMap::new();
            for nth in &calls {
                *more.entry(periods(self.schedule.clients[*nth].at.as_millis())).or_default() += 2;
            }
            let periods = attempts.iter().map(|attempt| periods(attempt.after.as_millis()));
            for period in periods {
                more.entry(period).or_default();
            }
            // A fifth of the calls of the period, or ten.
            let more: u128 = more.values().map(|tenths| (tenths / 10).max(10)).sum();
            let most = calls.len() as u128 + more;
            assert!(
                attempts.len() as u128 <= most,
                "{} attempts for {} calls of {group}",
                attempts.len(),
                calls.len()
            );
        }
        for (client, told) in self.schedule.clients.iter().zip(self.told) {
            if self.schedule.is_plain() && client.is_plain() {
                assert!(told.first <= Duration::from_secs(2), "told of an outage after {:?}", told.first);
            }
        }
    }
}

impl Step {
    /// Whether it comes to content.
    fn answers(&self) -> bool {
        match self {
            Self::Answer | Self::Slow(_) | Self::Whole(..) | Self::Limited { .. } => true,
            Self::Fail(_) | Self::Late(..) | Self::Hang => false,
            Self::Stream(frames) => frames
                .iter()
                .map_while(|frame| frame.as_ref().ok())
                .any(|frame| frame.content > 0 || frame.last),
            Self::Flow(frames) => frames
                .iter()
                .map_while(|(_, frame)| frame.as_ref().ok())
                .any(|frame| frame.content > 0 || frame.last),
        }
    }

    /// Whether it is a stream that ends with an error.
    fn breaks(&self) -> bool {
        match self {
            Self::Stream(frames) => frames.iter().any(Result::is_err),
            Self::Flow(frames) => frames.iter().any(|(_, frame)| frame.is_err()),
            _ => false,
        }
    }

    fn error(&self) -> Option<&Error> {
        match self {
            Self::Fail(err) | Self::Late(_, err) => Some(err),
            Self::Stream(frames) => frames.iter().find_map(|frame| frame.as_ref().err()),
            Self::Flow(frames) => frames.iter().find_map(|(_, frame)| frame.as_ref().err()),
            _ => None,
        }
    }

    /// Whether its failure is billed, where the attempt's own time did not end it before.
    fn is_billed(&self) -> bool {
        !matches!(self, Self::Late(..) | Self::Flow(_))
            && !self.answers()
            && self.error().is_some_and(Error::is_billed)
    }

    fn costs_nothing(&self) -> bool {
        let kind = self.error().map(Error::kind);
        matches!(kind, Some(ErrorKind::LimitReached | ErrorKind::Unsupported)) && !self.answers()
    }
}
