//! The figures as a table, with the goal beside each.

use crate::Arguments;
use crate::figures::{Latency, Series, Spent};
use crate::scenario::Scenario;

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
        "{:<17} {:>8} {:>9} {:>9}  {:<22} {:>9} {:>9}  goal",
        "scenario", "unit", "bare", "ours", "ratio", "bare/s", "ours/s"
    );
}

/// One line of it: the bare proxy first, then the gateway where there is one.
pub(crate) fn scenario(scenario: &Scenario, spent: &[Spent]) {
    let (name, unit) = (scenario.name, scenario.unit.name());
    let Some(bare) = spent.first() else { return };
    let [bare_cpu, bare_rate] = [bare.cpu.median(), bare.rate.median()];
    let Some(ours) = spent.get(1) else {
        println!("{name:<17} {unit:>8} {bare_cpu:>9.2} {:>9}  {:<22} {bare_rate:>9.0}", "-", "-");
        return complain(spent);
    };
    let ratios = ours.cpu.against(&bare.cpu, |ours, bare| ours / bare);
    let ratio = format!("{:.2} ({:.2} to {:.2})", ratios.median(), ratios.min(), ratios.max());
    println!(
        "{name:<17} {unit:>8} {bare_cpu:>9.2} {:>9.2}  {ratio:<22} {bare_rate:>9.0} {:>9.0}  {}",
        ours.cpu.median(),
        ours.rate.median(),
        goal(ratios.median(), scenario.goal),
    );
    complain(spent);
}

/// Nothing first, then the bare proxy, then the gateway.
pub(crate) fn latency(latencies: &[Latency]) {
    println!("\nlatency at 200 requests a second, microseconds: median over the rounds");
    let Some(nothing) = latencies.first() else { return };
    for (name, latency) in ["nothing", "bare", "ours"].into_iter().zip(latencies) {
        let added = |own: &Series, base: &Series| own.against(base, |own, base| own - base).median();
        let (p50, p99) = (added(&latency.p50, &nothing.p50), added(&latency.p99, &nothing.p99));
        let judged = if name == "ours" { goal(p99, ADDED_P99) } else { String::new() };
        println!(
            "{name:<10} p50 {:>7.0}  p99 {:>7.0}  added p50 {p50:>7.0}  added p99 {p99:>7.0}  {judged}",
            latency.p50.median(),
            latency.p99.median(),
        );
    }
    if let [nothing, bare, ours] = latencies {
        let added = |latency: &Latency| {
            let p50 = latency.p50.against(&nothing.p50, |own, base| own - base).median();
            (p50, latency.p99.against(&nothing.p99, |own, base| own - base).median())
        };
        let ((bare50, bare99), (ours50, ours99)) = (added(bare), added(ours));
        println!("ours to bare: added p50 x {:.2}, added p99 x {:.2}", ours50 / bare50, ours99 / bare99);
    }
}

/// The bare proxy first, then the gateway: before any request, and after all of them.
pub(crate) fn memory(idle: [Option<f64>; 2], after: [Option<f64>; 2]) {
    println!("\nresident memory, MB");
    for (name, (idle, after)) in ["bare", "ours"].into_iter().zip(idle.into_iter().zip(after)) {
        let (Some(idle), Some(after)) = (idle, after) else { continue };
        let judged = if name == "ours" { goal(idle, IDLE_RSS) } else { String::new() };
        println!("{name:<10} idle {idle:>6.1}  after load {after:>6.1}  {judged}");
    }
    if let ([Some(bare), Some(ours)], [Some(bare_after), Some(ours_after)]) = (idle, after) {
        println!("ours to bare: idle x {:.2}, after load x {:.2}", ours / bare, ours_after / bare_after);
    }
}

/// Of several starts from scratch.
pub(crate) fn start(millis: &Series) {
    println!("\nfrom exec to the first answer on /health/liveliness, ms");
    let (median, min, max) = (millis.median(), millis.min(), millis.max());
    println!("ours       {median:.1} ({min:.1} to {max:.1})  {}", goal(median, START));
}

fn goal(figure: f64, limit: f64) -> String {
    let verdict = if figure <= limit { "met" } else { "not met" };
    format!("at most {limit}: {verdict}")
}

/// A figure over answers that failed says nothing.
fn complain(spent: &[Spent]) {
    for (name, spent) in ["bare", "ours"].into_iter().zip(spent) {
        if spent.failures > 0 {
            println!("{:<17} {name}: {} answers FAILED", "", spent.failures);
        }
    }
}
