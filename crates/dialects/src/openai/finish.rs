//! Why a model stopped: OpenAI's words, and what the compatible providers say in their place.

use gatewright_core::chat::Finish;

/// Reads a provider's word; what nobody knows counts as done.
pub(super) fn read(word: &str) -> Finish {
    match word {
        "length" | "max_tokens" | "MAX_TOKENS" | "model_length" | "CONTINUATION" | "compaction" => {
            Finish::Length
        }
        "model_context_window_exceeded" => Finish::ContextWindow,
        "pause_turn" => Finish::Pause,
        "tool_calls" | "tool_use" | "TOOL_CALL" => Finish::ToolCalls,
        "function_call" => Finish::FunctionCall,
        "stop_sequence" | "STOP_SEQUENCE" => Finish::StopSequence,
        "refusal" => Finish::Refusal,
        "content_filter"
        | "content_filtered"
        | "guardrail_intervened"
        | "ERROR_TOXIC"
        | "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "OTHER"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "IMAGE_OTHER"
        | "NO_IMAGE"
        | "ESCALATION"
        | "sensitive" => Finish::ContentFilter,
        _ => Finish::Stop,
    }
}

/// The word on OpenAI's wire.
pub(super) fn word(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence => "stop",
        Finish::Length | Finish::ContextWindow | Finish::Pause => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::FunctionCall => "function_call",
        Finish::ContentFilter | Finish::Refusal => "content_filter",
    }
}

/// What a client is shown: one that used the older `functions` knows calls as `function_call`.
pub(super) fn shown(finish: Finish, older_functions: bool) -> Finish {
    match finish {
        Finish::ToolCalls if older_functions => Finish::FunctionCall,
        other => other,
    }
}

/// Whether clients of this dialect know the word, as JSON text.
pub(super) fn is_known(quoted: &[u8]) -> bool {
    matches!(quoted, b"stop" | b"length" | b"tool_calls" | b"content_filter" | b"function_call")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_s_word_becomes_one_of_openai_s() {
        for (theirs, ours) in [
            ("stop", "stop"),
            ("eos", "stop"),
            ("end_turn", "stop"),
            ("error", "stop"),
            ("max_tokens", "length"),
            ("tool_use", "tool_calls"),
            ("function_call", "function_call"),
            ("SAFETY", "content_filter"),
            ("never seen", "stop"),
        ] {
            assert_eq!(word(read(theirs)), ours, "{theirs}");
            assert!(is_known(ours.as_bytes()));
        }
    }
}
