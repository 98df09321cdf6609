//! The gateway process.

use std::process::ExitCode;

use clap::Parser;
use gatewright::cli::Cli;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gatewright::run(Cli::parse())
}
