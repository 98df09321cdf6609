//! The words of both dialects, for whoever makes up documents.

/// Names of fields.
pub(crate) const KEYS: &[&str] = &[
    "annotations", "arguments", "audio", "budget_tokens", "cache_control", "cache_creation",
    "cache_creation_input_tokens", "cache_read_input_tokens", "cached_tokens", "choices", "citation", "citations",
    "code", "completion_tokens", "completion_tokens_details", "content", "content_block", "context", "cost",
    "created", "custom", "data", "delta", "description", "detail", "disable_parallel_tool_use", "display", "effort",
    "error", "ephemeral_1h_input_tokens", "ephemeral_5m_input_tokens", "file", "file_data", "file_id", "filename",
    "finish_reason", "format", "function", "function_call", "functions", "id", "image_url", "include_usage", "index",
    "input", "input_audio", "input_schema", "input_tokens", "is_error", "json_schema", "logprobs",
    "max_completion_tokens", "max_tokens", "media_type", "message", "messages", "metadata", "mode", "model", "n",
    "name", "object", "output_config", "output_tokens", "parallel_tool_calls", "param", "parameters", "partial_json",
    "prompt_tokens", "prompt_tokens_details", "reasoning", "reasoning_content", "reasoning_details",
    "reasoning_effort", "reasoning_tokens", "refusal", "response_format", "role", "schema", "seed", "server_tool_use",
    "service_tier", "signature", "source", "stop", "stop_details", "stop_reason", "stop_sequence", "stop_sequences",
    "stream", "stream_options", "strict", "system", "temperature", "text", "thinking", "thinking_blocks", "title",
    "tool_call_id", "tool_calls", "tool_choice", "tool_use_id", "tools", "top_k", "top_p", "ttl", "type", "url",
    "url_citation", "usage", "user", "user_id", "x_groq",
];

/// Values of fields that are words.
pub(crate) const WORDS: &[&str] = &[
    "", " ", "\n", "\"", "\\", "é", "\u{1F600}", "1h", "5m", "a", "adaptive", "allowed_tools", "any", "assistant",
    "audio/wav", "auto", "base64", "citations_delta", "content_block_delta", "content_block_start",
    "content_block_stop", "content_filter", "custom", "data:image/png;base64,AA==", "data:text/plain,x", "developer",
    "disabled", "document", "enabled", "end_turn", "ephemeral", "error", "file", "flex", "function", "function_call",
    "high", "https://x/y", "image", "image_url", "input_audio", "input_json_delta", "json", "json_object",
    "json_schema", "length", "max_tokens", "message", "message_delta", "message_start", "message_stop", "none",
    "overloaded_error", "pause_turn", "ping", "redacted_thinking", "refusal", "required", "server_tool_use",
    "signature_delta", "standard_only", "stop", "stop_sequence", "system", "text", "text_delta", "thinking",
    "thinking_delta", "tool", "tool_calls", "tool_result", "tool_use", "url", "user", "web_search", "{}", "{\"a\":1}",
    "{\"a\":", "[DONE]",
];
