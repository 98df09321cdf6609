//! A random schedule: who serves what, what goes wrong there, and who calls.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{Controls, Error, ErrorKind, Frame, Result};

use super::super::fixture::{Seeded, Step, deployment, frame};
use super::super::strategies;
use crate::{Deployment, PerKind, Rule, Settings};

/// What happens, whatever the router does.
pub(super) struct Schedule {
    pub(super) deployments: Vec<Deployment>,
    pub(super) settings: Settings,
    pub(super) scripts: HashMap<Arc<str>, Vec<Step>>,
    pub(super) clients: Vec<Client>,
    /// When the table is replaced.
    pub(super) reload: Option<Duration>,
}

/// One call.
pub(super) struct Client {
    pub(super) at: Duration,
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) controls: Controls,
    /// How long it stays.
    pub(super) leaves: Option<Duration>,
}

const GROUPS: [&str; 4] = ["m", "n", "o", "p"];

/// What fails for everyone.
const OUTAGES: [ErrorKind; 6] = [
    ErrorKind::Upstream,
    ErrorKind::Unavailable,
    ErrorKind::Connection,
    ErrorKind::Unreachable,
    ErrorKind::BadGateway,
    ErrorKind::Timeout,
];

// === impl Schedule ===

impl Schedule {
    /// The schedule of these dice; in an outage everything fails at once, for everyone.
    pub(super) fn of(dice: &Seeded, outage: bool) -> Self {
        let groups = &GROUPS[..1 + usize::try_from(dice.below(4)).unwrap()];
        let deployments = deployments(dice, groups);
        let scripts = deployments.iter().map(|one| (one.id.clone(), script(dice, outage))).collect();
        // Most schedules are short, so that there can be many.
        let calls = 1 + dice.below(dice.one(&[4, 4, 8, 8, 16, 60]));
        let span = dice.one(&[1, 500, 5000, 60_000]);
        let span = if outage { span.min(8000) } else { span };
        Self {
            settings: settings(dice, groups),
            clients: (0..calls).map(|_| client(dice, groups, span, outage)).collect(),
            reload: dice.hits(20).then(|| Duration::from_millis(dice.below(span))),
            deployments,
            scripts,
        }
    }

    /// Whether it says no more of retries than the defaults do.
    pub(super) fn is_plain(&self) -> bool {
        let Settings { num_retries, retries, retry_after, .. } = &self.settings;
        let own = self.deployments.iter().any(|one| one.num_retries.is_some_and(|number| number > 2));
        *num_retries <= 2 && *retries == PerKind::default() && retry_after.is_zero() && !own
    }
}

// === impl Client ===

impl Client {
    /// Whether it has no wishes about retries and times.
    pub(super) fn is_plain(&self) -> bool {
        let Controls { num_retries, timeout, stream_timeout, .. } = &self.controls;
        num_retries.is_none() && timeout.is_none() && stream_timeout.is_none()
    }
}

fn deployments(dice: &Seeded, groups: &[&str]) -> Vec<Deployment> {
    let mut list = Vec::new();
    for group in groups {
        for nth in 0..=dice.below(4) {
            list.push(Deployment {
                order: dice.hits(30).then(|| u32::try_from(dice.below(3)).unwrap()),
                weight: dice.hits(30).then(|| dice.one(&[0.0, 1.0, 9.0])),
                rpm: dice.hits(20).then(|| dice.below(9)),
                timeout: dice.hits(15).then(|| seconds(dice, 20)),
                stream_timeout: dice.hits(15).then(|| seconds(dice, 20)),
                num_retries: dice.hits(10).then(|| u32::try_from(dice.below(4)).unwrap()),
                cooldown_time: dice.hits(10).then(|| seconds(dice, 20)),
                ..deployment(group, &format!("{group}{nth}"))
            });
        }
    }
    list
}

fn settings(dice: &Seeded, groups: &[&str]) -> Settings {
    let strategies = strategies::all();
    let mut settings = Settings {
        pick: dice.one(&strategies).1,
        fallbacks: rules(dice, groups, 50),
        context_window_fallbacks: rules(dice, groups, 20),
        content_policy_fallbacks: rules(dice, groups, 20),
        default_fallbacks: if dice.hits(30) { some(dice, groups) } else { Vec::new() },
        max_fallbacks: dice.one(&[0, 1, 5, 5, 5]),
        max_attempts: dice.one(&[1, 2, 5, 20, 20, 20]),
        num_retries: dice.one(&[0, 1, 2, 2, 2, 5]),
        retry_billed: dice.hits(10),
        go_on: dice.hits(50),
        cooldown_time: dice.one(&[Duration::ZERO, Duration::from_secs(1), Duration::from_secs(5)]),
        timeout: dice.hits(30).then(|| seconds(dice, 30)),
        stream_timeout: dice.hits(20).then(|| seconds(dice, 30)),
        total: dice.one(&[Duration::from_secs(600), Duration::from_secs(30)]),
        ..Settings::default()
    };
    if dice.hits(20) {
        settings.retries.of.push((dice.one(ErrorKind::ALL), u32::try_from(dice.below(4)).unwrap()));
    }
    if dice.hits(20) {
        settings.allowed_fails.other = Some(u32::try_from(dice.below(4)).unwrap());
    }
    settings
}

/// Rules for so many groups in a hundred; cycles among them are no exception.
fn rules(dice: &Seeded, groups: &[&str], percent: u64) -> Vec<Rule> {
    let with_rule = groups.iter().filter(|_| dice.hits(percent));
    with_rule.map(|group| Rule { group: (*group).into(), fallbacks: some(dice, groups) }).collect()
}

fn some(dice: &Seeded, groups: &[&str]) -> Vec<Arc<str>> {
    (0..=dice.below(3)).map(|_| dice.one(groups).into()).collect()
}

fn seconds(dice: &Seeded, most: u64) -> Duration {
    Duration::from_millis(dice.below(most * 1000))
}

fn client(dice: &Seeded, groups: &[&str], span: u64, outage: bool) -> Client {
    let mut controls = Controls::default();
    if dice.hits(15) {
        controls.num_retries = Some(u32::try_from(dice.below(5)).unwrap());
    }
    if dice.hits(15) {
        controls.timeout = Some(seconds(dice, 10));
    }
    if dice.hits(5) {
        controls.stream_timeout = Some(seconds(dice, 10));
    }
    if dice.hits(15) {
        controls.fallbacks = some(dice, groups);
    }
    controls.disable_fallbacks = dice.hits(10);
    let unknown = !outage && dice.hits(3);
    Client {
        at: Duration::from_millis(dice.below(span)),
        model: if unknown { "unknown".into() } else { dice.one(groups).into() },
        stream: dice.hits(50),
        controls,
        leaves: dice.hits(10).then(|| seconds(dice, 5)),
    }
}

fn script(dice: &Seeded, outage: bool) -> Vec<Step> {
    let steps = if outage { 4 } else { 1 + dice.below(8) };
    // Some are well but for a fault now and then, some are nothing but faults.
    let faulty = dice.one(&[0, 20, 50, 100]);
    (0..steps)
        .map(|_| match (outage, dice.hits(faulty)) {
            (true, _) if dice.hits(20) => {
                Step::Stream(vec![Ok(frame(0, false)), Err(plain(dice.one(&OUTAGES)))])
            }
            (true, _) => Step::Fail(plain(dice.one(&OUTAGES))),
            (_, true) => fault(dice),
            (_, false) => well(dice),
        })
        .collect()
}

fn well(dice: &Seeded) -> Step {
    match dice.below(6) {
        0 => Step::Slow(seconds(dice, 3)),
        1 => Step::Whole(seconds(dice, 3), dice.below(1000)),
        2 => Step::Stream(vec![Ok(frame(0, false)), Ok(frame(1, false)), Ok(frame(0, true))]),
        3 => Step::Flow(flowing(dice, Ok(frame(1, true)))),
        _ => Step::Answer,
    }
}

fn fault(dice: &Seeded) -> Step {
    match dice.below(12) {
        0 => Step::Hang,
        1 => Step::Slow(seconds(dice, 60)),
        2 => Step::Late(seconds(dice, 9), error(dice)),
        3 => Step::Stream(vec![Ok(frame(0, false)), Err(error(dice))]),
        4 => Step::Stream(vec![Ok(frame(0, false)), Ok(frame(2, false)), Err(error(dice))]),
        5 => Step::Flow(flowing(dice, Err(error(dice)))),
        _ => Step::Fail(error(dice)),
    }
}

/// A stream with content after a while, and this at its end.
fn flowing(dice: &Seeded, last: Result<Frame>) -> Vec<(Duration, Result<Frame>)> {
    let mut frames = vec![(seconds(dice, 2), Ok(frame(0, false))), (seconds(dice, 2), Ok(frame(1, false)))];
    frames.push((seconds(dice, 2), last));
    frames
}

fn plain(kind: ErrorKind) -> Error {
    Error::new(kind, "made to fail").with_provider("up")
}

fn error(dice: &Seeded) -> Error {
    let mut err = Error::new(dice.one(ErrorKind::ALL), "made to fail");
    if dice.hits(85) {
        err = err.with_provider("up");
    }
    if dice.hits(15) {
        err = err.with_retry_after(seconds(dice, 90));
    }
    if dice.hits(10) { err.with_bill() } else { err }
}
