//! Fuzzes the codec of OpenAI's Responses.
#![no_main]

use gatewright_core::Dialect;
use gatewright_fuzz::{codec, mutate};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|data: &[u8]| codec::check(Dialect::OpenAiResponses, data));
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::document(data, size, max_size, seed)
});
