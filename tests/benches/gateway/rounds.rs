//! The run: rounds that alternate between the bare proxy and the gateway, so that a noisy machine disturbs both.

use std::path::Path;

use gatewright_tests::postgres::Postgres;
use gatewright_tests::redis::Redis;

use crate::Arguments;
use crate::answers::EVENTS;
use crate::children::{Process, load, release_build};
use crate::figures::{Latency, Series, Spent, quantile};
use crate::load::{Came, KEY, Load};
use crate::scenario::{ALL, Caller, FLOOR, Ledger, Scenario, Servers, Unit, VARIANTS, Variant};
use crate::{overload, report};

const RATE: f64 = 200.0;
const STARTS: usize = 9;

/// A variant may differ by a few hundredths, which a noisy machine does by itself from second to second: the same time in so
/// many times as many rounds.
const FINER: u16 = 4;

/// Who is asked.
#[derive(Clone, Copy)]
enum Target<'a> {
    /// The mock or the bare proxy: the path goes to the upstream as it is.
    Straight(&'a Process),
    /// The gateway: the model decides. With this key.
    Gateway(&'a Process, &'a str),
}

/// The processes of a run.
struct Cast {
    mock: Process,
    proxy: Process,
    gateway: Option<Process>,
}

/// Measures everything that was asked for and prints it.
pub(crate) fn run(arguments: &Arguments) {
    let binary = arguments.gateway.clone().unwrap_or_else(release_build);
    let mock = Process::mock();
    let (proxy, _) = Process::proxy(&mock.address);
    let gateway = match Process::gateway(&binary, &mock.address, &Servers::default()) {
        Ok((gateway, _)) => Some(gateway),
        Err(why) => {
            println!("no gateway at {}: {why}\nonly the yardstick is measured\n", binary.display());
            None
        }
    };
    let cast = Cast { mock, proxy, gateway };
    let wanted = |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    let idle = cast.memory();
    report::heading(arguments);
    for scenario in ALL.iter().filter(|scenario| wanted(scenario.name)) {
        let spent = match scenario.caller {
            Caller::Limited(ledger @ (Ledger::Postgres | Ledger::Shared)) => {
                match with_servers(&binary, &cast.mock.address, ledger == Ledger::Shared) {
                    Ok((gateway, ..)) => cast.spent(Some(&gateway), scenario, arguments),
                    Err(why) => {
                        println!("{:<17} no gateway: {why}", scenario.name);
                        continue;
                    }
                }
            }
            Caller::Master | Caller::Limited(Ledger::Sqlite) => {
                cast.spent(cast.gateway.as_ref(), scenario, arguments)
            }
        };
        report::scenario(scenario, cast.nothing(scenario, arguments), &spent);
    }
    if wanted("floor") {
        let bookkeeper = Process::bookkeeper(&cast.mock.address);
        let spent = cast.against(Target::Straight(&bookkeeper), &FLOOR, arguments);
        report::scenario(&FLOOR, cast.nothing(&FLOOR, arguments), &spent);
    }
    let variants: Vec<_> = VARIANTS.iter().filter(|variant| wanted(variant.name)).collect();
    if let Some(gateway) = cast.gateway.as_ref().filter(|_| !variants.is_empty()) {
        report::variants_heading();
        for variant in variants {
            match cast.variant((&binary, gateway), variant, arguments) {
                Ok(spent) => report::variant(variant, &spent),
                Err(why) => println!("{:<17} no gateway: {why}", variant.name),
            }
        }
    }
    if wanted("latency") {
        report::latency(&cast.latencies(arguments));
    }
    if wanted("memory") {
        report::memory(idle, cast.memory());
    }
    // A minute and a half of its own, so only where it is asked for.
    if arguments.only.iter().any(|only| only == "overload") {
        overload::run(&binary, (&cast.mock.address, &cast.proxy), arguments.seconds);
    }
    if wanted("start") {
        report::start(&starts(&binary, &cast));
    }
}

/// A gateway whose database is a server of its own, and with a Redis of its own where counts are shared.
fn with_servers(
    binary: &Path,
    mock: &str,
    shared: bool,
) -> Result<(Process, Postgres, Option<Redis>), String> {
    let (database, redis) = (Postgres::start(), shared.then(Redis::start));
    let redis_port = redis.as_ref().map(Redis::port);
    let servers = Servers { database: Some(database.url()), redis: redis_port, ..Servers::default() };
    Ok((Process::gateway(binary, mock, &servers)?.0, database, redis))
}

// === impl Cast ===

impl Cast {
    /// The bare proxy, then the gateway where there is one.
    fn targets<'a>(&'a self, gateway: Option<&'a Process>, key: &'a str) -> Vec<Target<'a>> {
        let gateway = gateway.map(|gateway| Target::Gateway(gateway, key));
        [Target::Straight(&self.proxy)].into_iter().chain(gateway).collect()
    }

    /// Megabytes of the bare proxy and of the gateway.
    fn memory(&self) -> [Option<f64>; 2] {
        [Some(self.proxy.rss()), self.gateway.as_ref().map(Process::rss)]
    }

    /// Units a second with nobody between the load and the mock: what these two can do at most.
    fn nothing(&self, scenario: &Scenario, arguments: &Arguments) -> f64 {
        let came = load(&Target::Straight(&self.mock).load(scenario, arguments.seconds.min(0.5)));
        units(scenario.unit, &came) / came.seconds
    }

    fn spent(&self, gateway: Option<&Process>, scenario: &Scenario, arguments: &Arguments) -> Vec<Spent> {
        let key = match (scenario.caller, gateway) {
            (Caller::Limited(_), Some(gateway)) => gateway.limited_key().unwrap_or_else(|why| {
                println!("{why}");
                String::new()
            }),
            (Caller::Master, _) | (_, None) => KEY.to_owned(),
        };
        in_turns(&of_one(&self.targets(gateway, &key), scenario), arguments.rounds, arguments.seconds)
    }

    /// The plain call, then the same in another way.
    fn variant(
        &self,
        (binary, gateway): (&Path, &Process),
        variant: &Variant,
        arguments: &Arguments,
    ) -> Result<Vec<Spent>, String> {
        let servers = Servers { besides: variant.besides, ..Servers::default() };
        let other = match variant.besides {
            Some(_) => Some(Process::gateway(binary, &self.mock.address, &servers)?.0),
            None => None,
        };
        let (plain, varied) = (&ALL[0], Scenario { model: variant.model, ..ALL[0] });
        let other = Target::Gateway(other.as_ref().unwrap_or(gateway), KEY);
        let asked = [(Target::Gateway(gateway, KEY), plain), (other, &varied)];
        let rounds = arguments.rounds * usize::from(FINER);
        Ok(in_turns(&asked, rounds, arguments.seconds / f64::from(FINER)))
    }

    /// The bare proxy, then another one.
    fn against(&self, other: Target<'_>, scenario: &Scenario, arguments: &Arguments) -> Vec<Spent> {
        in_turns(
            &of_one(&[Target::Straight(&self.proxy), other], scenario),
            arguments.rounds,
            arguments.seconds,
        )
    }

    /// Of nothing, the bare proxy and the gateway.
    fn latencies(&self, arguments: &Arguments) -> Vec<Latency> {
        let targets: Vec<_> = [Target::Straight(&self.mock)]
            .into_iter()
            .chain(self.targets(self.gateway.as_ref(), KEY))
            .collect();
        let mut latencies = vec![Latency::default(); targets.len()];
        for _ in 0..arguments.rounds {
            for (target, latency) in targets.iter().zip(&mut latencies) {
                let came = load(&Load { rate: Some(RATE), ..target.load(&ALL[0], arguments.seconds * 1.5) });
                latency.p50.0.push(quantile(&came.micros, 0.5));
                latency.p99.0.push(quantile(&came.micros, 0.99));
            }
        }
        latencies
    }
}

// === impl Target ===

impl Target<'_> {
    fn process(&self) -> &Process {
        match self {
            Self::Straight(process) | Self::Gateway(process, _) => process,
        }
    }

    fn load(&self, scenario: &Scenario, seconds: f64) -> Load {
        let (path, key) = match self {
            Self::Straight(_) => (format!("/{}{}", scenario.model, scenario.upstream_path), KEY),
            Self::Gateway(_, key) => ("/v1/chat/completions".to_owned(), *key),
        };
        Load {
            address: self.process().address.clone(),
            path,
            model: scenario.model.to_owned(),
            key: key.to_owned(),
            size: scenario.size,
            stream: scenario.unit == Unit::Event,
            seconds,
            clients: scenario.clients,
            rate: None,
        }
    }
}

/// The same asked of each.
fn of_one<'a>(targets: &[Target<'a>], scenario: &'a Scenario) -> Vec<(Target<'a>, &'a Scenario)> {
    targets.iter().map(|target| (*target, scenario)).collect()
}

/// What each of them costs, in rounds that alternate.
fn in_turns(asked: &[(Target<'_>, &Scenario)], rounds: usize, seconds: f64) -> Vec<Spent> {
    let mut spent = vec![Spent::default(); asked.len()];
    for (target, scenario) in asked {
        load(&target.load(scenario, 0.2));
    }
    for round in 0..rounds {
        for turn in 0..asked.len() {
            // Every other round begins with the other one.
            let index = (round + turn) % asked.len();
            let (target, scenario) = asked[index];
            measure(target, scenario, seconds, &mut spent[index]);
        }
    }
    spent
}

fn measure(target: Target<'_>, scenario: &Scenario, seconds: f64, spent: &mut Spent) {
    let before = target.process().cpu();
    let came = load(&target.load(scenario, seconds));
    let cpu = target.process().cpu().saturating_sub(before);
    let units = units(scenario.unit, &came);
    spent.cpu.0.push(cpu.as_secs_f64() * 1e6 / units);
    spent.rate.0.push(units / came.seconds);
    spent.failures += came.failures;
}

fn units(unit: Unit, came: &Came) -> f64 {
    match unit {
        Unit::Request => came.answers as f64,
        Unit::Event => (came.answers * EVENTS) as f64,
    }
}

/// Milliseconds from exec to the first answer, from scratch each time: the bare proxy, then the gateway.
fn starts(binary: &Path, cast: &Cast) -> Vec<Series> {
    let mut starts = vec![Series::default(); 1 + usize::from(cast.gateway.is_some())];
    for _ in 0..STARTS {
        let (_proxy, took) = Process::proxy(&cast.mock.address);
        starts[0].0.push(took.as_secs_f64() * 1e3);
        let gateway = cast
            .gateway
            .as_ref()
            .and_then(|_| Process::gateway(binary, &cast.mock.address, &Servers::default()).ok());
        if let (Some(starts), Some((_gateway, took))) = (starts.get_mut(1), gateway) {
            starts.0.push(took.as_secs_f64() * 1e3);
        }
    }
    starts
}
