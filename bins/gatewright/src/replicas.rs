//! What replicas tell each other of the deployments through Redis: how busy and how fast they are, and which of them rest.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use gatewright_limits::{Counts, Shared};
use gatewright_routing::{LiveTable, Pace, Seen, Share};
use redis::{Pipeline, Value, from_redis_value};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::warn;

/// How often each tells its own and hears the others'.
const EVERY: Duration = Duration::from_millis(500);

/// What was told counts for so long.
const KEPT: Duration = Duration::from_secs(5);

/// So long Redis knows that there is a replica.
const KNOWN: Duration = Duration::from_secs(60);

/// The task that tells and hears. Calls never wait for it.
pub(crate) struct Replicas {
    pub(crate) counters: Arc<Counts>,
    pub(crate) table: LiveTable,
}

/// What a replica tells: of each deployment that it has something of, by id.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Report {
    /// Another one each time.
    number: u64,
    deployments: HashMap<Arc<str>, Load>,
}

/// What a replica has of a deployment. A field that a replica of another version leaves out is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Load {
    in_flight: u32,
    /// Attempts and tokens of its current minute.
    requests: u64,
    tokens: u64,
    /// What is left of the rest that it decided on, in milliseconds.
    rest: u64,
    /// The average time to its first content, in microseconds.
    average: u64,
    /// What its last answers took on the average, in nanoseconds, and of how many: whole ones a token.
    #[serde(skip_serializing_if = "is_none")]
    whole: (u64, u32),
    /// The same of streams until their first content.
    #[serde(skip_serializing_if = "is_none")]
    streams: (u64, u32),
}

/// What was heard so far.
#[derive(Default)]
struct Heard {
    /// The other replicas, and the number of the last report of each.
    others: HashMap<String, u64>,
    /// Those that are heard of no more.
    gone: Vec<String>,
    /// Whether they have something of a deployment.
    something: bool,
    /// When Redis answered last; nothing once what it said then is forgotten.
    at: Option<Instant>,
    /// Whether it was said that Redis does not take reports.
    refused: bool,
}

// === impl Replicas ===

impl Replicas {
    /// Tells and hears as long as it is let; not at all where replicas share nothing.
    pub(crate) async fn run(self) {
        let Some(shared) = self.counters.shared() else { return };
        let mut heard = Heard::default();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0.. {
            ticks.tick().await;
            let reports = self.exchange(shared, number, &mut heard).await;
            let now = Instant::now();
            match reports {
                Some(reports) => {
                    self.take(&reports, &mut heard, now);
                    heard.at = Some(now);
                }
                None if heard.at.is_some_and(|at| now - at > KEPT) => {
                    self.put(&HashMap::new(), now);
                    heard.at = None;
                }
                None => {}
            }
        }
    }

    /// One round trip: the own report goes, those of the replicas that are known come, and who there is besides.
    async fn exchange(
        &self,
        shared: &Shared,
        number: u64,
        heard: &mut Heard,
    ) -> Option<Vec<(String, Report)>> {
        let (report, all) = (self.report(number, Instant::now()), shared.key("loads"));
        let key = |replica: &str| shared.key(&format!("load:{replica}"));
        let others: Vec<String> = heard.others.keys().cloned().collect();
        let mut commands = Pipeline::new();
        let report = serde_json::to_string(&report).ok()?;
        commands.cmd("SET").arg(key(shared.replica())).arg(report).arg("PX").arg(millis(KEPT));
        commands.sadd(&all, shared.replica()).cmd("PEXPIRE").arg(&all).arg(millis(KNOWN));
        commands.smembers(&all);
        if !others.is_empty() {
            commands.mget(others.iter().map(|name| key(name)).collect::<Vec<_>>());
        }
        if !heard.gone.is_empty() {
            commands.srem(&all, std::mem::take(&mut heard.gone));
        }
        let mut answers = shared.ask(&commands).await?.into_iter();
        let refused = matches!(answers.next(), Some(Value::ServerError(_)));
        if refused && !std::mem::replace(&mut heard.refused, refused) {
            warn!("redis does not take what this replica tells others of its deployments");
        }
        let members: Vec<String> = from_redis_value(answers.nth(2)?).ok()?;
        let texts = answers.next().filter(|_| !others.is_empty());
        let texts = texts.and_then(|texts| from_redis_value::<Vec<Option<String>>>(texts).ok());
        let mut reports = Vec::new();
        for (name, text) in others.into_iter().zip(texts.unwrap_or_default()) {
            match text.map(|text| serde_json::from_str(&text)) {
                Some(Ok(report)) => reports.push((name, report)),
                // What another version tells in another way is no reason to forget it.
                Some(Err(_)) => {}
                None => heard.gone.push(name),
            }
        }
        heard.others.retain(|name, _| members.contains(name));
        for name in members.into_iter().filter(|name| name != shared.replica()) {
            heard.others.entry(name).or_insert(u64::MAX);
        }
        Some(reports)
    }

    /// What this replica has of the deployments.
    fn report(&self, number: u64, now: Instant) -> Report {
        let table = self.table.load();
        let loads = table.seen().map(|(deployment, seen)| (deployment.id.clone(), Load::of(seen, now)));
        Report { number, deployments: loads.filter(|(_, load)| load.is_something()).collect() }
    }

    /// Takes what the others told. A rest counts once: one that is read again is shorter by now.
    fn take(&self, reports: &[(String, Report)], heard: &mut Heard, now: Instant) {
        let mut sums: HashMap<Arc<str>, Load> = HashMap::new();
        for (name, report) in reports {
            let is_new = heard.others.insert(name.clone(), report.number) != Some(report.number);
            for (id, load) in &report.deployments {
                let rest = if is_new { load.rest } else { 0 };
                sums.entry(id.clone()).or_default().add(&Load { rest, ..*load });
            }
        }
        let something = !sums.is_empty();
        if std::mem::replace(&mut heard.something, something) || something {
            self.put(&sums, now);
        }
    }

    /// Puts into the table what all others have together. The last deployment of a group that does not rest goes on.
    fn put(&self, sums: &HashMap<Arc<str>, Load>, now: Instant) {
        let table = self.table.load();
        for (deployment, seen) in table.seen() {
            let load = sums.get(&deployment.id).copied().unwrap_or_default();
            seen.put_elsewhere(load.share(), now);
            seen.put_average(load.average, now);
            let mut group = table.seen().filter(|(other, _)| {
                (&other.group, &other.team) == (&deployment.group, &deployment.team)
                    && other.id != deployment.id
            });
            if load.rest > 0 && group.any(|(_, other)| !other.health.is_cooling(now)) {
                seen.health.rest_for(Duration::from_millis(load.rest), now);
            }
        }
    }
}

// === impl Load ===

impl Load {
    fn of(seen: &Seen, now: Instant) -> Self {
        let Share { in_flight, requests, tokens, whole, streams } = seen.share(now);
        let average = if requests > 0 { seen.average() } else { 0 };
        let rest = millis(seen.health.own_rest(now));
        let [whole, streams] = [whole, streams].map(|Pace { nanos, answers }| (nanos, answers));
        Self { in_flight, requests, tokens, rest, average, whole, streams }
    }

    fn is_something(&self) -> bool {
        *self != Self::default()
    }

    /// Adds another replica's: loads are summed, of rests and moving averages the longest counts, and the last answers count
    /// by how many they are.
    fn add(&mut self, other: &Self) {
        self.in_flight = self.in_flight.saturating_add(other.in_flight);
        self.requests = self.requests.saturating_add(other.requests);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.rest = self.rest.max(other.rest);
        self.average = self.average.max(other.average);
        for (all, more) in [(&mut self.whole, other.whole), (&mut self.streams, other.streams)] {
            let Pace { nanos, answers } = pace(*all).with(pace(more));
            *all = (nanos, answers);
        }
    }

    fn share(&self) -> Share {
        let Self { in_flight, requests, tokens, .. } = *self;
        Share { in_flight, requests, tokens, whole: pace(self.whole), streams: pace(self.streams) }
    }
}

fn pace((nanos, answers): (u64, u32)) -> Pace {
    Pace { nanos, answers }
}

fn is_none((_, answers): &(u64, u32)) -> bool {
    *answers == 0
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use gatewright_core::SystemClock;
    use gatewright_limits::Local;
    use gatewright_routing::{Deployment, Settings, Table};

    use super::*;

    fn replicas() -> Replicas {
        let deployment = |id: &str, group: &str| Deployment {
            id: id.into(),
            group: group.into(),
            target: "openai/m".into(),
            ..Deployment::default()
        };
        let all = vec![deployment("a", "m"), deployment("b", "m"), deployment("c", "alone")];
        let Ok(table) = Table::build(all, Settings::default()) else { panic!("no table") };
        Replicas {
            counters: Arc::new(Counts::Local(Local::new(Arc::new(SystemClock)))),
            table: LiveTable::new(table),
        }
    }

    fn report(number: u64, loads: &[(&str, Load)]) -> Report {
        let deployments = loads.iter().map(|(id, load)| (Arc::from(*id), *load)).collect();
        Report { number, deployments }
    }

    fn seen<T>(replicas: &Replicas, id: &str, of: impl Fn(&Seen) -> T) -> Option<T> {
        let table = replicas.table.load();
        table.seen().find(|(deployment, _)| &*deployment.id == id).map(|(_, seen)| of(seen))
    }

    #[test]
    fn loads_of_others_are_summed_and_forgotten() {
        let (replicas, mut heard, now) = (replicas(), Heard::default(), Instant::now());
        let load = Load { in_flight: 2, requests: 3, tokens: 50, average: 700, ..Load::default() };
        let slower = Load { average: 900, ..load };
        let reports =
            [("x".to_owned(), report(0, &[("a", load)])), ("y".to_owned(), report(0, &[("a", slower)]))];
        replicas.take(&reports, &mut heard, now);
        let of = |seen: &Seen| (seen.in_flight(), seen.usage(now), seen.average());
        assert_eq!(seen(&replicas, "a", of), Some((4, (6, 100), 900)));
        assert_eq!(seen(&replicas, "b", of), Some((0, (0, 0), 0)));
        assert_eq!(replicas.report(1, now), report(1, &[]), "what others told is not told on");
        replicas.take(&[], &mut heard, now);
        assert_eq!(seen(&replicas, "a", of), Some((0, (0, 0), 900)));
    }

    #[test]
    fn what_answers_took_at_others_counts_by_how_many_they_were() {
        let (replicas, mut heard, now) = (replicas(), Heard::default(), Instant::now());
        let told = |whole, streams| Load { whole, streams, ..Load::default() };
        let reports = [
            ("x".to_owned(), report(0, &[("a", told((900, 1), (0, 0)))])),
            ("y".to_owned(), report(0, &[("a", told((100, 7), (40, 2))), ("b", told((5, 1), (0, 0)))])),
        ];
        let merged = reports.iter().fold(Load::default(), |mut sum, (_, report)| {
            report.deployments.get("a").into_iter().for_each(|load| sum.add(load));
            sum
        });
        assert_eq!((merged.whole, merged.streams), ((200, 8), (40, 2)));
        replicas.take(&reports, &mut heard, now);
        assert_eq!(replicas.report(1, now), report(1, &[]), "what others told is not told on");
    }

    #[test]
    fn a_rest_of_another_counts_once_and_never_for_the_last_of_a_group() {
        let (replicas, mut heard, now) = (replicas(), Heard::default(), Instant::now());
        let rest = Load { rest: 4_000, ..Load::default() };
        let told = [("x".to_owned(), report(7, &[("a", rest), ("b", rest), ("c", rest)]))];
        replicas.take(&told, &mut heard, now);
        let rests = |id: &str, at: Instant| seen(&replicas, id, |seen| seen.health.is_cooling(at));
        let all = |at: Instant| ["a", "b", "c"].map(|id| rests(id, at) == Some(true));
        assert_eq!(all(now + Duration::from_millis(3_999)), [true, false, false]);
        // The same report, read again.
        replicas.take(&told, &mut heard, now + Duration::from_secs(3));
        assert_eq!(all(now + Duration::from_millis(4_001)), [false, false, false]);
        let next = [("x".to_owned(), report(8, &[("a", rest)]))];
        replicas.take(&next, &mut heard, now + Duration::from_secs(3));
        assert_eq!(all(now + Duration::from_millis(6_999)), [true, false, false]);
    }

    #[test]
    fn what_another_version_tells_can_be_read() {
        let told = r#"{"number": 3, "deployments": {"a": {"in_flight": 1, "mood": "fine"}}, "more": []}"#;
        let read: Option<Report> = serde_json::from_str(told).ok();
        assert_eq!(read, Some(report(3, &[("a", Load { in_flight: 1, ..Load::default() })])));
    }
}
