//! Names of attributes: OpenTelemetry's GenAI and HTTP conventions as of 2026-11, and ours below `gatewright.`.
//!
//! The constants of the conventions' own crate are deprecated since GenAI moved to a repository of its own.

use gatewright_core::{Dialect, Operation};

/// What is done: `chat`.
pub const OPERATION_NAME: &str = "gen_ai.operation.name";
/// Who serves it, in the conventions' spelling.
pub const PROVIDER_NAME: &str = "gen_ai.provider.name";
/// The model that was asked for.
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
/// Whether a stream was asked for.
pub const REQUEST_STREAM: &str = "gen_ai.request.stream";
/// Randomness.
pub const REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
/// Nucleus.
pub const REQUEST_TOP_P: &str = "gen_ai.request.top_p";
/// Candidates.
pub const REQUEST_TOP_K: &str = "gen_ai.request.top_k";
/// The most tokens that the answer may have.
pub const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
/// Penalty by frequency.
pub const REQUEST_FREQUENCY_PENALTY: &str = "gen_ai.request.frequency_penalty";
/// Penalty by presence.
pub const REQUEST_PRESENCE_PENALTY: &str = "gen_ai.request.presence_penalty";
/// For repeatable answers.
pub const REQUEST_SEED: &str = "gen_ai.request.seed";
/// How many answers, where it is not one.
pub const REQUEST_CHOICES: &str = "gen_ai.request.choice.count";
/// How much the model shall think; only in the newest conventions.
pub const REQUEST_REASONING: &str = "gen_ai.request.reasoning.level";
/// The conversation that the call belongs to, by the client's name for it.
pub const CONVERSATION: &str = "gen_ai.conversation.id";
/// What was asked, as JSON; only where content is captured.
pub const INPUT_MESSAGES: &str = "gen_ai.input.messages";
/// What was answered, as JSON; only where content is captured.
pub const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
/// The application's instructions, as JSON; only where content is captured.
pub const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
/// The tools that were offered, as JSON; only where content is captured.
pub const TOOL_DEFINITIONS: &str = "gen_ai.tool.definitions";
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
/// Input tokens written to the provider's cache, in the newest conventions.
pub const CACHE_WRITE_TOKENS: &str = "gen_ai.usage.cache_write.input_tokens";
/// The same under its name up to version 1.41, which back ends read.
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

/// The end user, else the user that the key belongs to.
pub const USER_ID: &str = "user.id";
/// What several calls belong to, by the client's name for it.
pub const SESSION_ID: &str = "session.id";

/// The key's digest. These names are LiteLLM's, which back ends know.
pub const KEY_HASH: &str = "metadata.user_api_key_hash";
/// The key's alias.
pub const KEY_ALIAS: &str = "metadata.user_api_key_alias";
/// The team.
pub const TEAM_ID: &str = "metadata.user_api_key_team_id";
/// The team's alias.
pub const TEAM_ALIAS: &str = "metadata.user_api_key_team_alias";
/// The organization.
pub const ORGANIZATION_ID: &str = "metadata.user_api_key_org_id";
/// The organization's alias.
pub const ORGANIZATION_ALIAS: &str = "metadata.user_api_key_org_alias";
/// The user that the key belongs to.
pub const KEY_USER: &str = "metadata.user_api_key_user_id";
/// That user's e-mail address.
pub const KEY_USER_EMAIL: &str = "metadata.user_api_key_user_email";
/// The end user.
pub const END_USER: &str = "metadata.user_api_key_end_user_id";

/// The call's id, as in the ledger and the response headers.
pub const CALL_ID: &str = "gatewright.call.id";
/// Who calls: a key's hash or a role's name.
pub const CALLER_ID: &str = "gatewright.caller.id";
/// The client's own name for the trace.
pub const CLIENT_TRACE: &str = "gatewright.client_trace_id";
/// The project of the key.
pub const PROJECT_ID: &str = "gatewright.project.id";
/// Tags of the call: the caller's and the client's.
pub const TAGS: &str = "gatewright.tags";
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
/// Why there is this attempt: `first`, `retry`, `fallback` or `mirror`.
pub const ATTEMPT_REASON: &str = "gatewright.attempt.reason";
/// What went wrong before it.
pub const ATTEMPT_AFTER: &str = "gatewright.attempt.after";
/// The attempt's ordinal within the call, from 1.
pub const ATTEMPT_NUMBER: &str = "gatewright.attempt.number";
/// Input tokens of one attempt. Not a `gen_ai.usage` name: back ends sum those over a trace, and the call has them.
pub const ATTEMPT_INPUT_TOKENS: &str = "gatewright.attempt.input_tokens";
/// Output tokens of one attempt.
pub const ATTEMPT_OUTPUT_TOKENS: &str = "gatewright.attempt.output_tokens";
/// Dollars of one attempt.
pub const ATTEMPT_COST: &str = "gatewright.attempt.cost";

/// Whether the answer was in the cache.
pub const CACHE_HIT: &str = "gatewright.cache.hit";
/// What names the answer there.
pub const CACHE_KEY: &str = "gatewright.cache.key";
/// How alike the questions are, from 0 to 1.
pub const CACHE_SIMILARITY: &str = "gatewright.cache.similarity";
/// Dollars that the answer cost when it was made.
pub const CACHE_SAVED: &str = "gatewright.cache.saved";
/// The limits that something is held of: `team budget`.
pub const LIMITS_HELD: &str = "gatewright.limits.held";
/// Tokens that are held.
pub const LIMITS_TOKENS: &str = "gatewright.limits.tokens";
/// Dollars that are held: the most that the call may cost.
pub const LIMITS_MONEY: &str = "gatewright.limits.money";
/// The limit that refused the call.
pub const LIMITS_REFUSED_BY: &str = "gatewright.limits.refused_by";
/// Milliseconds that the call waited for its limits.
pub const LIMITS_WAITED: &str = "gatewright.limits.waited_ms";
/// Whether something of the content was too much to be captured.
pub const CONTENT_CUT: &str = "gatewright.content.truncated";

/// The event of a stream's first content.
pub const FIRST_CONTENT: &str = "gatewright.first_content";

/// What a call does, as the conventions call it.
pub fn operation_name(operation: Operation, dialect: Dialect) -> &'static str {
    match (operation, dialect) {
        (Operation::Chat, Dialect::OpenAiCompletions) => "text_completion",
        (Operation::Chat, Dialect::Gemini) => "generate_content",
        (other, _) => other.as_str(),
    }
}

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
