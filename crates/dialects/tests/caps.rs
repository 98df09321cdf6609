//! What a request may cost at most is read where each dialect says it, and lowered there.

#![cfg(test)]

use gatewright_core::{Dialect, Json, ModelFacts};
use gatewright_dialects::of;

#[test]
fn a_cap_is_read_in_every_dialect() {
    for (dialect, request, want) in [
        (Dialect::OpenAiChat, r#"{"max_completion_tokens":7,"n":3}"#, (Some(7), 3)),
        (Dialect::OpenAiResponses, r#"{"max_output_tokens":7}"#, (Some(7), 1)),
        (Dialect::OpenAiCompletions, r#"{"max_tokens":7,"n":3,"prompt":"p"}"#, (Some(7), 3)),
        (Dialect::AnthropicMessages, r#"{"max_tokens":7}"#, (Some(7), 1)),
        (Dialect::Gemini, r#"{"generationConfig":{"maxOutputTokens":7,"candidateCount":3}}"#, (Some(7), 3)),
        (Dialect::Gemini, r#"{"generation_config":{"max_output_tokens":7}}"#, (Some(7), 1)),
        (Dialect::BedrockConverse, r#"{"inferenceConfig":{"maxTokens":7}}"#, (Some(7), 1)),
        (Dialect::CohereChat, r#"{"max_tokens":7}"#, (Some(7), 1)),
        (Dialect::OllamaChat, r#"{"options":{"num_predict":7}}"#, (Some(7), 1)),
        (Dialect::Gemini, r#"{"generationConfig":"none"}"#, (None, 1)),
    ] {
        let (codec, body) = (of(dialect), json(request));
        assert_eq!((codec.stated_cap(&body), codec.answers(&body)), want, "{request}");
    }
}

#[test]
fn a_cap_that_was_set_is_the_one_that_is_read() {
    for dialect in Dialect::ALL {
        let codec = of(dialect);
        let mut body = json("{}");
        for (cap, want) in [(50, 50), (20, 20), (90, 20)] {
            codec.cap_output(&mut body, cap, &ModelFacts::default());
            assert_eq!(codec.stated_cap(&body), Some(want), "{dialect:?}: {cap}");
        }
    }
}

fn json(text: &str) -> Json {
    Json::parse(text.to_owned().into(), gatewright_core::JsonLimits::default()).unwrap()
}
