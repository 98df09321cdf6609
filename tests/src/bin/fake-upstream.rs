//! The fake provider as a process: `fake-upstream [ADDRESS]` prints its base URL and runs until its input closes.

use std::io::Read;

use gatewright_tests::upstream::Upstream;

fn main() {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let upstream = Upstream::start_on(addr.parse().expect("an address such as 127.0.0.1:8080"));
    println!("{}", upstream.base());
    // Whoever started it closes its input by ending, so that it never outlives them.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
