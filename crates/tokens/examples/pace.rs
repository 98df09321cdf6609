//! How long an estimate of a request takes: `cargo run --release -p gatewright-tokens --example pace`.

use std::hint::black_box;
use std::time::Instant;

use gatewright_tokens::estimate_bytes;

const BYTES: usize = 100 << 10;
const ROUNDS: u32 = 200;

#[expect(clippy::print_stdout, reason = "its result")]
fn main() {
    let prose = "It was the best of times, it was the worst of times; 17 clocks struck. ";
    let code = "fn main() {\\n    let total: u64 = items.iter().map(|item| item.price * 3).sum();\\n}\\n";
    for (name, text) in [("prose", prose), ("code", code)] {
        let text = text.repeat(BYTES / text.len());
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#);
        let tokens = estimate_bytes(body.as_bytes());
        // The least of many rounds: what a busy machine adds is not the estimate's.
        let least = (0..ROUNDS).map(|_| {
            let begun = Instant::now();
            black_box(estimate_bytes(black_box(body.as_bytes())));
            begun.elapsed()
        });
        println!("{name}: {} KB, {tokens} tokens, {:?}", body.len() >> 10, least.min().unwrap_or_default());
    }
}
