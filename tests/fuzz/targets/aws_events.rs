//! Fuzzes Amazon's event stream and the codecs behind it.
#![no_main]

use gatewright_fuzz::{aws_events, mutate};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|data: &[u8]| aws_events::check(data));
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::document(data, size, max_size, seed)
});
