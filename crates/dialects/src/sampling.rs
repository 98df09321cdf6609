//! The numbers that steer how words are chosen, as OpenAI named them and others after it.

use gatewright_core::chat::Sampling;
use serde_json::Value;

/// What a conversation says of them, in the order in which bodies have them.
pub(crate) fn numbers(sampling: &Sampling) -> [(&'static str, Option<Value>); 6] {
    [
        ("temperature", sampling.temperature.map(Value::from)),
        ("top_p", sampling.top_p.map(Value::from)),
        ("top_k", sampling.top_k.map(Value::from)),
        ("frequency_penalty", sampling.frequency_penalty.map(Value::from)),
        ("presence_penalty", sampling.presence_penalty.map(Value::from)),
        ("seed", sampling.seed.map(Value::from)),
    ]
}
