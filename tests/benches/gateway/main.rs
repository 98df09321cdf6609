//! What Gatewright costs, beside a bare proxy and nothing at all: `make bench`.
//!
//! One binary, several processes: the mock upstream, the bare proxy, the load and the gateway each run alone, so that
//! the kernel tells what each of them spent. Nothing here can fail on a figure.

mod answers;
mod books;
mod children;
mod figures;
mod load;
mod mock;
mod overload;
mod proxy;
mod report;
mod rounds;
mod scenario;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// A gateway that spends its memory elsewhere than its yardstick would be measured on the allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the gateway against a bare proxy.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Rounds to alternate; the figures are medians over them.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load for one figure.
    #[arg(long, default_value_t = 1.2)]
    seconds: f64,
    /// Scenarios to run, by name, separated by commas; also `floor`, `kept`, `metrics`, `traces`, `latency`, `memory`, `start`, and
    /// `overload`, which is not run unless it is named.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// The gateway's binary; the release build where none is named.
    #[arg(long)]
    gateway: Option<PathBuf>,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What a child process is.
#[derive(Subcommand)]
enum Role {
    /// The upstream: answers at once, or in a stream.
    #[command(hide = true)]
    Mock,
    /// The yardstick: hyper in front, hyper behind.
    #[command(hide = true)]
    Proxy {
        upstream: String,
        /// Writes every request down as the gateway does.
        #[arg(long)]
        ledger: bool,
    },
    /// The clients.
    #[command(hide = true)]
    Load(load::Load),
}

fn main() {
    let arguments = Arguments::parse();
    match arguments.role {
        Some(Role::Mock) => mock::serve(),
        Some(Role::Proxy { upstream, ledger }) => proxy::serve(upstream, ledger),
        Some(Role::Load(load)) => load.run(),
        // `cargo test --all-targets` runs benches too, without saying so.
        None if !arguments.bench => println!("run with `cargo bench`, or with --bench"),
        None => rounds::run(&arguments),
    }
}
