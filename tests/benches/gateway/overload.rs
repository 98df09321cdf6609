//! More calls than the gateway takes: what is left of its work, and who suffers.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::children::{Process, load};
use crate::figures::quantile;
use crate::load::{Came, KEY, Load};
use crate::scenario::{SLOW, Servers};

/// Calls that the gateway takes at a time; their answers take 50 ms each.
const INSIDE: usize = 32;

/// How much more is asked for than is answered at most.
const OVERLOAD: f64 = 4.0;

/// How many calls a neighbour makes for each of its victim's.
const NOISE: f64 = 10.0;

/// How often it is asked whether it lives.
const PROBE: Duration = Duration::from_millis(20);

/// What came of a load while the gateway was asked whether it lives.
struct Watched {
    came: Vec<Came>,
    /// What each answer of those took, in microseconds.
    lives: Vec<f64>,
    silent: usize,
}

/// What came of a load, and what the process under it spent on each answer.
#[derive(Clone, Copy)]
struct Goodput {
    /// Answers a second.
    rate: f64,
    /// CPU of the process, in microseconds an answer.
    micros: f64,
}

/// Measures and prints. An overload lasts fifty times `seconds`: a minute, where nothing else is said.
pub(crate) fn run(binary: &Path, (mock, proxy): (&str, &Process), seconds: f64) {
    println!("\noverload: {INSIDE} calls at a time whose answers take 50 ms, as many wait, for 1 s at most");
    let servers = Servers { door: Some(INSIDE), ..Servers::default() };
    match Process::gateway(binary, mock, &servers) {
        Ok((gateway, _)) => {
            let peak = more_than_it_takes(&gateway, seconds);
            noisy_neighbour(&gateway, peak, seconds);
        }
        Err(why) => println!("no gateway: {why}"),
    }
    println!("\nno bound is met: everybody waits for the cores, answers come at once");
    match Process::gateway(binary, mock, &Servers::default()) {
        Ok((gateway, _)) => busy_cores(&gateway, proxy, seconds),
        Err(why) => println!("no gateway: {why}"),
    }
}

fn more_than_it_takes(gateway: &Process, seconds: f64) -> f64 {
    let call = |clients, rate, seconds| Load { rate, ..calls(gateway, (SLOW, KEY), clients, seconds) };
    let peak = load(&call(INSIDE, None, seconds * 5.0));
    let peak = peak.answers as f64 / peak.seconds;
    let before = gateway.rss();
    let watched = watch(gateway, &[call(INSIDE, Some(peak * OVERLOAD), seconds * 50.0)]);
    let came = &watched.came[0];
    println!("peak              {peak:.0} answers a second");
    println!(
        "{OVERLOAD} x overload      {:.0} answers a second = {:.2} of the peak (>= 0.9), {:.0} s",
        came.answers as f64 / came.seconds,
        came.answers as f64 / came.seconds / peak,
        came.seconds
    );
    println!(
        "refused           {} of {}, {}",
        came.refused,
        came.refused + came.answers,
        within(&came.refused_micros)
    );
    println!("served            {}, {} failures", within(&came.micros), came.failures);
    watched.tell_lives();
    println!(
        "memory            {before:.0} MB before, {:.0} MB at most, {:.0} MB after",
        gateway.peak(),
        gateway.rss()
    );
    peak
}

fn noisy_neighbour(gateway: &Process, peak: f64, seconds: f64) {
    let keys = (gateway.key("{}"), gateway.key("{}"));
    let (Ok(victim), Ok(noisy)) = keys else { return println!("no keys were made: {keys:?}") };
    let rate = peak * 0.3;
    let call =
        |key: &str, rate| Load { rate: Some(rate), ..calls(gateway, (SLOW, key), INSIDE, seconds * 10.0) };
    let alone = load(&call(&victim, rate));
    let both = watch(gateway, &[call(&victim, rate), call(&noisy, rate * NOISE)]);
    let (beside, noise) = (&both.came[0], &both.came[1]);
    let p99 = |came: &Came| quantile(&came.micros, 0.99) / 1e3;
    println!("\na neighbour makes {NOISE} calls for each of its victim's, 3.3 times what fits");
    println!("victim alone      p99 {:.1} ms, {} refused", p99(&alone), alone.refused);
    println!(
        "victim beside it  p99 {:.1} ms = {:.2} times (<= 2), {} refused of {}",
        p99(beside),
        p99(beside) / p99(&alone),
        beside.refused,
        beside.refused + beside.answers
    );
    println!("the neighbour     {} answered, {} refused", noise.answers, noise.refused);
    both.tell_lives();
}

/// In turn with the bare proxy, to which the same happens and which lets everybody in. Clients and upstream have the same
/// cores, and more clients cost more: what the gateway itself is worth is told by answers for each second of its own CPU.
fn busy_cores(gateway: &Process, proxy: &Process, seconds: f64) {
    let call = |clients| calls(gateway, ("plain", KEY), clients, seconds * 8.0);
    let mut least = None;
    for clients in [16, 64, 256, 1024] {
        let path = "/plain/v1/chat/completions".to_owned();
        let straight = Load { address: proxy.address.clone(), path, ..call(clients) };
        let spent = proxy.cpu();
        let bare = Goodput::of(&load(&straight), proxy.cpu() - spent);
        let spent = gateway.cpu();
        let watched = watch(gateway, &[call(clients)]);
        let came = &watched.came[0];
        let ours = Goodput::of(came, gateway.cpu() - spent);
        let (bare_least, our_least) = *least.get_or_insert((bare, ours));
        println!(
            "{clients:>4} clients      {:.0} answers a second = {:.2} (bare proxy {:.2}), {}, {} refused, {} failures",
            ours.rate,
            ours.rate / our_least.rate,
            bare.rate / bare_least.rate,
            within(&came.micros),
            came.refused,
            came.failures
        );
        println!(
            "its own CPU       {:.1} us an answer = {:.0} answers a CPU second = {:.2} (bare proxy {:.1} us, {:.2})",
            ours.micros,
            1e6 / ours.micros,
            our_least.micros / ours.micros,
            bare.micros,
            bare_least.micros / bare.micros
        );
        watched.tell_lives();
    }
}

fn calls(gateway: &Process, (model, key): (&str, &str), clients: usize, seconds: f64) -> Load {
    Load {
        address: gateway.address.clone(),
        path: "/v1/chat/completions".to_owned(),
        model: model.to_owned(),
        key: key.to_owned(),
        size: 1_000,
        stream: false,
        seconds,
        clients,
        rate: None,
    }
}

/// Runs these loads at once.
fn watch(gateway: &Process, loads: &[Load]) -> Watched {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let lives = scope.spawn(|| {
            let (mut lives, mut silent) = (Vec::new(), 0);
            while !over.load(Ordering::Relaxed) {
                match gateway.liveliness() {
                    Some(took) => lives.push(took.as_secs_f64() * 1e6),
                    None => silent += 1,
                }
                thread::sleep(PROBE);
            }
            (lives, silent)
        });
        let running: Vec<_> = loads.iter().map(|one| scope.spawn(|| load(one))).collect();
        let came = running.into_iter().map(|one| one.join().unwrap_or_default()).collect();
        over.store(true, Ordering::Relaxed);
        let (lives, silent) = lives.join().unwrap_or_default();
        Watched { came, lives, silent }
    })
}

// === impl Goodput ===

impl Goodput {
    fn of(came: &Came, spent: Duration) -> Self {
        let answers = came.answers as f64;
        Self { rate: answers / came.seconds, micros: spent.as_secs_f64() * 1e6 / answers }
    }
}

// === impl Watched ===

impl Watched {
    fn tell_lives(&self) {
        println!("liveliness        {} (<= 50), {} silent", within(&self.lives), self.silent);
    }
}

fn within(micros: &[f64]) -> String {
    let [half, most, all] = [0.5, 0.99, 1.0].map(|share| quantile(micros, share) / 1e3);
    format!("p50 {half:.1} ms, p99 {most:.1} ms, at most {all:.1} ms")
}
