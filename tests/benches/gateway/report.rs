//! The figures as a table, with the goal beside each.

use crate::Arguments;
use crate::figures::{Latency, Series, Spent};
use crate::scenario::{Scenario, Variant};

const ADDED_P99: f64 = 300.0;
const IDLE_RSS: f64 = 30.0;
const START: f64 = 100.0;

/// What the columns mean.
pub(crate) fn heading(arguments: &Arguments) {
    let Arguments { rounds, seconds, .. } = arguments;
    println!(
        "CPU of one process, microseconds a unit: median of {rounds} alternating rounds of {seconds} s."
    );
    println!("The ratio is taken round by round against the bare hyper proxy: median (lowest to highest).\n");
    println!(
        "{:<17} {:>8} {:>8} {:>8}  {:<22} {:>9} {:>9} {:>9}  goal",
        "scenario", "unit", "bare", "ours", "ratio", "nothing/s", "bare/s", "ours/s"
    );
}

/// One line of it: the bare proxy first, then the gateway where there is one.
pub(crate) fn scenario(scenario: &Scenario, nothing: f64, spent: &[Spent]) {
    let column =
        |index: usize, series: fn(&Spent) -> &Series| spent.get(index).map(series).map(Series::median);
    let ratios = match spent {
        [bare, ours] => ours.cpu.against(&bare.cpu, |ours, bare| ours / bare),
        _ => Series::default(),
    };
    println!(
        "{:<17} {:>8} {:>8} {:>8}  {:<22} {nothing:>9.0} {:>9} {:>9}  {}",
        scenario.name,
        scenario.unit.name(),
        number(column(0, |spent| &spent.cpu), 2),
        number(column(1, |spent| &spent.cpu), 2),
        spread(&ratios),
        number(column(0, |spent| &spent.rate), 0),
        number(column(1, |spent| &spent.rate), 0),
        goal(ratios.median(), scenario.goal),
    );
    for (name, spent) in ["bare", "ours"].into_iter().zip(spent).filter(|(_, spent)| spent.failures > 0) {
        println!("{:<17} {name}: {} answers FAILED, so its figures say nothing", "", spent.failures);
    }
}

/// What the columns of variants mean.
pub(crate) fn variants_heading() {
    println!(
        "\nthe gateway's plain call in other ways, in shorter rounds; the ratio is taken round by round against itself"
    );
    println!(
        "{:<17} {:>8} {:>8}  {:<22} {:>9} {:>9}  goal",
        "variant", "plain", "varied", "ratio", "plain/s", "varied/s"
    );
}

/// One line of it: the plain call, then the variant.
pub(crate) fn variant(variant: &Variant, spent: &[Spent]) {
    let [plain, varied] = spent else { return };
    let ratios = varied.cpu.against(&plain.cpu, |varied, plain| varied / plain);
    println!(
        "{:<17} {:>8} {:>8}  {:<22} {:>9} {:>9}  {}",
        variant.name,
        number(Some(plain.cpu.median()), 2),
        number(Some(varied.cpu.median()), 2),
        spread(&ratios),
        number(Some(plain.rate.median()), 0),
        number(Some(varied.rate.median()), 0),
        goal(ratios.median(), variant.goal),
    );
    if plain.failures + varied.failures > 0 {
        println!("{:<17} some answers FAILED, so its figures say nothing", "");
    }
}

/// Nothing first, then the bare proxy, then the gateway.
pub(crate) fn latency(latencies: &[Latency]) {
    println!("\nlatency at 200 requests a second, microseconds: median over the rounds (lowest to highest)");
    let Some(nothing) = latencies.first() else { return };
    let added = |own: &Series, base: &Series| own.against(base, |own, base| own - base);
    for (name, latency) in ["nothing", "bare", "ours"].into_iter().zip(latencies) {
        println!("{name:<8} p50 {:<22} p99 {}", spread(&latency.p50), spread(&latency.p99));
    }
    let mut bare = None;
    for (name, latency) in ["bare", "ours"].into_iter().zip(latencies.iter().skip(1)) {
        let (p50, p99) = (added(&latency.p50, &nothing.p50), added(&latency.p99, &nothing.p99));
        println!("{name:<8} added p50 {:<16} added p99 {}", spread(&p50), spread(&p99));
        let Some((bare50, bare99)) = bare.replace((p50.median(), p99.median())) else { continue };
        let (times50, times99) = (p50.median() / bare50, p99.median() / bare99);
        println!(
            "ratio    added p50 {times50:<16.2} added p99 {times99:.2}  {}",
            goal(p99.median(), ADDED_P99)
        );
    }
}

/// The bare proxy first, then the gateway: before any request, and after all of them.
pub(crate) fn memory(idle: [Option<f64>; 2], after: [Option<f64>; 2]) {
    println!("\nresident memory, MB");
    let verdict = idle[1].map(|ours| goal(ours, IDLE_RSS)).unwrap_or_default();
    println!("idle     {}  {verdict}", pair(idle));
    println!("loaded   {}", pair(after));
}

/// Of several starts from scratch: the bare proxy, then the gateway.
pub(crate) fn start(millis: &[Series]) {
    println!("\nfrom exec to the first answer on /health/liveliness, ms");
    let medians = [millis.first().map(Series::median), millis.get(1).map(Series::median)];
    let verdict = medians[1].map(|ours| goal(ours, START)).unwrap_or_default();
    println!("start    {}  {verdict}", pair(medians));
}

fn pair([bare, ours]: [Option<f64>; 2]) -> String {
    let ratio = bare.zip(ours).map(|(bare, ours)| ours / bare);
    format!("bare {:>7}  ours {:>7}  ratio {:>6}", number(bare, 1), number(ours, 1), number(ratio, 2))
}

fn spread(series: &Series) -> String {
    let digits = if series.max() < 100.0 { 2 } else { 0 };
    match series.0.is_empty() {
        true => "-".to_owned(),
        false => {
            let (median, min, max) = (series.median(), series.min(), series.max());
            format!("{median:.digits$} ({min:.digits$} to {max:.digits$})")
        }
    }
}

fn number(figure: Option<f64>, digits: usize) -> String {
    figure.map_or("-".to_owned(), |figure| format!("{figure:.digits$}"))
}

fn goal(figure: f64, limit: f64) -> String {
    let verdict = match figure {
        figure if figure.is_nan() => "not measured",
        figure if figure <= limit => "met",
        _ => "not met",
    };
    format!("at most {limit}: {verdict}")
}
