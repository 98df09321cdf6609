//! The gateway process.

use std::process::ExitCode;

use clap::Parser;
use gatewright::cli::Cli;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for no huge pages; some systems give them unasked. Where there are none, nothing is lost.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    gatewright::run(Cli::parse())
}
