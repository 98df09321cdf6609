//! Names of attributes: OpenTelemetry's GenAI and HTTP conventions as of 2026-11, and ours below `gatewright.`.
//!
//! The constants of the conventions' own crate are deprecated since GenAI moved to a repository of its own.

/// What is done: `chat`.
pub const OPERATION_NAME: &str = "gen_ai.operation.name";
/// Who serves it, in the conventions' spelling.
pub const PROVIDER_NAME: &str = "gen_ai.provider.name";
/// The model that was asked for.
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
/// Whether a stream was asked for.
pub const REQUEST_STREAM: &str = "gen_ai.request.stream";
/// The model that answered, as the provider calls it; where it says nothing, the one that it was asked for.
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
/// The answer's id at the provider.
pub const RESPONSE_ID: &str = "gen_ai.response.id";
/// Why each choice of the answer ended.
pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// Seconds until the first content of a stream.
pub const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
/// Input tokens, cached ones included.
pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Output tokens, reasoning included.
pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// Input tokens read from the provider's cache.
pub const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
/// Input tokens written to the provider's cache.
pub const CACHE_WRITE_TOKENS: &str = "gen_ai.usage.cache_write.input_tokens";
/// The same under its name up to version 1.41, which back ends still read.
pub const CACHE_CREATION_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";
/// Output tokens spent on reasoning.
pub const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
/// Dollars; not in the conventions, but what back ends read.
pub const COST: &str = "gen_ai.usage.cost";

/// Why it failed.
pub const ERROR_TYPE: &str = "error.type";
/// The method of the upstream request.
pub const HTTP_METHOD: &str = "http.request.method";
/// The status of the upstream's answer.
pub const HTTP_STATUS: &str = "http.response.status_code";
/// The upstream's host.
pub const SERVER_ADDRESS: &str = "server.address";
/// The upstream's port.
pub const SERVER_PORT: &str = "server.port";
/// The path of the upstream request; never its query, which may hold a key.
pub const URL_PATH: &str = "url.path";

/// The call's id, as in the ledger and the response headers.
pub const CALL_ID: &str = "gatewright.call.id";
/// Who calls: a key's hash or a role's name.
pub const CALLER_ID: &str = "gatewright.caller.id";
/// The client's own name for the trace.
pub const CLIENT_TRACE: &str = "gatewright.client_trace_id";
/// How it ended: `complete`, `failed` or `abandoned`.
pub const END: &str = "gatewright.end";
/// The model group that answers.
pub const GROUP: &str = "gatewright.group";
/// Why the router decided so, in a word or two.
pub const REASON: &str = "gatewright.route.reason";
/// Milliseconds that a call waited at the router.
pub const WAITED: &str = "gatewright.route.waited_ms";
/// Attempts that failed before the one that answered.
pub const RETRIES: &str = "gatewright.route.retries";
/// Groups that failed before the one that answered.
pub const FALLBACKS: &str = "gatewright.route.fallbacks";
/// The deployment that is tried or that answered.
pub const DEPLOYMENT_ID: &str = "gatewright.deployment.id";
/// The attempt's id, as in the ledger.
pub const ATTEMPT_ID: &str = "gatewright.attempt.id";
/// The attempt's ordinal within the call, from 1.
pub const ATTEMPT_NUMBER: &str = "gatewright.attempt.number";
/// Input tokens of one attempt. Not a `gen_ai.usage` name: back ends sum those over a trace, and the call has them.
pub const ATTEMPT_INPUT_TOKENS: &str = "gatewright.attempt.input_tokens";
/// Output tokens of one attempt.
pub const ATTEMPT_OUTPUT_TOKENS: &str = "gatewright.attempt.output_tokens";
/// Dollars of one attempt.
pub const ATTEMPT_COST: &str = "gatewright.attempt.cost";

/// A provider's name as the conventions spell it; where they have none, our own.
pub fn provider_name(provider: &str) -> &str {
    match provider {
        "azure" => "azure.ai.openai",
        "azure_ai" => "azure.ai.inference",
        "bedrock" => "aws.bedrock",
        "gemini" => "gcp.gemini",
        "vertex_ai" => "gcp.vertex_ai",
        "mistral" => "mistral_ai",
        "moonshot" => "moonshot_ai",
        "watsonx" => "ibm.watsonx.ai",
        "xai" => "x_ai",
        other => other,
    }
}
